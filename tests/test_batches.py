# SPDX-License-Identifier: GPL-3.0-or-later
"""Batches for the transformer: native shapes, progressive size and length, images, dropped text."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import CHANNELS, PIECES

pytest.importorskip("cv2", reason="training needs opencv: pip install '.[training]'")

from comfyui_spacetime.models.text import TextConfig, Tokenizer
from comfyui_spacetime.training.batches import CLOSE, Batches, clips_in, close_ups, how_often
from comfyui_spacetime.training.latents import load_latents, write_shard
from comfyui_spacetime.training.settings import SettingError, Stage, TrainDiT

SHAPES = [(5, 8, 8), (5, 16, 16), (9, 16, 16), (5, 12, 22)]
STAGES = (Stage(0.0, 128, {"1": 0.5, "5": 0.5}), Stage(1.0, 512, {"1": 0.1, "5": 0.5, "9": 0.4}))


@pytest.fixture
def batches(tmp_path):
    """Batches of made-up latents: small, large, long and wide ones."""
    for n, (frames, height, width) in enumerate(SHAPES):
        torch.manual_seed(n)
        write_shard(
            tmp_path / f"train-{n:05d}.safetensors",
            torch.randn(4, CHANNELS, frames, height, width).bfloat16(),
            (torch.rand(4, frames, height, width) > 0.9).bfloat16(),
            torch.tensor([8.0, 8.0, 12.0, 12.0]),
            [{"clip": [f"a red panda walks {n}"], "image": ["a red panda"]}] * 4,
        )
    options = TrainDiT(tokens=512, stages=STAGES, misspelt=0.0)
    return Batches(load_latents(tmp_path, "train"), Tokenizer(TextConfig(PIECES)), options, dim=320)


def drawn(batches, progress, count=200):
    rng = np.random.default_rng(0)
    return [batches.draw(rng, progress) for _ in range(count)]


def test_a_batch_is_of_one_shape_and_one_frame_rate(batches):
    for batch in drawn(batches, 0.5, 20):
        assert batch.x.shape[2:] == batch.weight.shape[2:] and batch.fps in (8.0, 12.0)
        assert batch.plan.told.shape[2] == batch.x.shape[2] and len(batch.ids) == len(batch.x)


def test_a_run_begins_small_and_short_and_ends_with_every_shape(batches):
    begin = Counter(tuple(b.x.shape[2:]) for b in drawn(batches, 0.0))
    assert set(begin) == {(1, 8, 8), (5, 8, 8)}
    end = Counter(tuple(b.x.shape[2:]) for b in drawn(batches, 1.0))
    assert {(9, 16, 16), (5, 12, 22), (5, 16, 16), (1, 16, 16)} <= set(end)
    assert 0.28 < sum(n for s, n in end.items() if s[0] == 9) / 200 < 0.52


def test_clips_of_a_length_are_whole_clips_and_only_images_are_cut_from_longer_ones(batches):
    made = [b for b in drawn(batches, 1.0) if b.x.shape[2] == 5]
    whole = {tuple(clip.flatten()[:8].tolist()) for s in SHAPES if s[0] == 5 for clip in every(batches, s)}
    assert made and all(tuple(clip.flatten()[:8].tolist()) in whole for batch in made for clip in batch.x)
    chosen = TrainDiT()  # and with the stages that stand in the settings
    assert {int(n) for stage in chosen.stages for n in stage.frames} <= {1, *(s[0] for s in SHAPES)}
    batches.clips = {shape: clips for shape, clips in batches.clips.items() if shape[0] == 9}
    assert {b.x.shape[2] for b in drawn(batches, 0.9)} == {1, 5, 9}  # there are no others


def every(batches, shape):
    clips = batches.clips[shape]
    return [clips.read(i, shape[0])[0].float() for i in range(len(clips))]


def test_images_are_captioned_as_images_and_a_tenth_of_the_text_is_dropped(batches):
    rng = np.random.default_rng(0)
    clips = batches.clips[(5, 8, 8)]
    texts = Counter(batches.words(clips, 0, 1, rng) for _ in range(2000))
    assert set(texts) == {"", "a red panda"} and 0.08 < texts[""] / 2000 < 0.12
    assert {batches.words(clips, 0, 5, rng) for _ in range(100)} == {"", "a red panda walks 0"}


def test_a_short_clip_is_the_beginning_of_a_longer_one(batches):
    clips = batches.clips[(5, 8, 8)]
    whole, _ = clips.read(2, 5)
    image, cover = clips.read(2, 1)
    assert image.shape == (CHANNELS, 1, 8, 8) and cover.shape == (1, 8, 8)
    assert torch.equal(image, whole[:, :1])


def test_what_moves_weighs_more_and_the_mean_weight_is_one(batches):
    batch = drawn(batches, 0.0, 1)[0]
    assert batch.weight.mean() == pytest.approx(1) and batch.weight.max() == pytest.approx(4 * batch.weight.min())


def test_batches_are_about_equally_much_work(batches):
    sizes = {s: clips_in(16384, s, 320) * (n := s[0] * s[1] * s[2] // 4) * (1 + n / 1920) for s in SHAPES}
    assert max(sizes.values()) < 1.1 * min(sizes.values())
    assert clips_in(10, (9, 16, 16), 320) == 1, "never none"


def test_the_same_random_numbers_draw_the_same_batch(batches):
    one, two = (batches.draw(np.random.default_rng([0, 7, 1]), 0.5) for _ in range(2))
    assert torch.equal(one.x, two.x) and torch.equal(one.plan.told, two.plan.told) and torch.equal(one.ids, two.ids)


def test_close_ups_are_squares_around_what_moves_in_a_share_of_the_batches(batches):
    batches.options = replace(batches.options, close=0.5)
    shapes = Counter(tuple(b.x.shape[3:]) for b in drawn(batches, 1.0))
    assert shapes[CLOSE, CLOSE] > 60 and shapes[16, 16] > 40 and shapes[8, 8] > 0  # smaller clips stay whole
    near = next(b for b in drawn(batches, 1.0) if b.x.shape[3:] == (CLOSE, CLOSE))
    assert near.plan.told.shape[-2:] in ((1, 1), (CLOSE, CLOSE)) and abs(near.weight.mean() - 1) < 1e-4
    x, weight = torch.rand(2, 3, 1, 8, 12), torch.ones(2, 1, 1, 8, 12)
    weight[0, ..., 7, 11] = weight[1, ..., 0, 5] = 4.0
    cut, heavy = close_ups(x, weight, side=4)
    assert torch.equal(cut[0], x[0, ..., 4:8, 8:12]) and torch.equal(cut[1], x[1, ..., 0:4, 4:8])
    assert (heavy.amax((1, 2, 3, 4)) > 3).all()


def test_short_captions_may_take_the_place_of_dense_ones(batches):
    rng, clips = np.random.default_rng(0), batches.clips[(5, 8, 8)]
    batches.options = replace(batches.options, short=1.0, dropped_text=0.0)
    assert {batches.words(clips, 0, 5, rng) for _ in range(5)} == {"a red panda"}
    clips.texts[0] = {"clip": ["a dog", "a dog runs to the left"]}
    assert {batches.words(clips, 0, 5, rng) for _ in range(5)} == {"a dog"}


def test_clips_whose_captions_have_a_word_of_focus_are_drawn_more_often(batches):
    clips = batches.clips[(5, 8, 8)]
    clips.texts[0] = {"clip": ["A Dog runs.", "一条狗"], "image": ["a picture"]}
    batches.options = replace(batches.options, focus={"dog": 6.0, "dgo": 2.0})
    batches.open({(5, 8, 8): clips})
    assert batches.unknown_focus() == ["dgo"]
    told = [i for b in drawn(batches, 0.0) for i in b.ids.tolist() if b.fps == 8.0 and b.x.shape[2] == 5]
    dogs = batches.tokenizer.batch(clips.texts[0]["clip"]).tolist()
    share = sum(i in dogs for i in told) / len(told)
    assert 0.7 < share < 0.85  # 6 of 7, and a tenth has no text


def test_a_word_of_focus_is_a_whole_word_and_the_largest_weight_counts():
    focus = {"car": 4.0, "red panda": 2.0}
    assert how_often({"clip": ["A cart carries a scar."]}, focus) == 1.0
    assert how_often({"clip": ["nothing"], "image": ["A red panda in a car"]}, focus) == 4.0
    with pytest.raises(SettingError, match=r"focus\.car = 0: must be more than 0"):
        TrainDiT(focus={"car": 0.0})
