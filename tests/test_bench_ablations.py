# SPDX-License-Identifier: GPL-3.0-or-later
"""Short runs that differ in one thing, and the framing that square crops teach."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scene_kit import drawn_sprites

pytest.importorskip("cv2", reason="training needs opencv: pip install '.[training]'")

from comfyui_spacetime.bench import _variants, ablations, framing
from comfyui_spacetime.models.dit import DiTConfig
from comfyui_spacetime.models.flow import add_noise
from comfyui_spacetime.models.text import TextConfig
from comfyui_spacetime.training import latents, settings, train_dit

TINY = ("dit.dim=32", "dit.depth=3", "dit.heads=2", "tokens=64", "freeze_text=true")


@pytest.fixture
def folder(tmp_path):
    for split in "train", "held-out":
        torch.manual_seed(0)
        cover = (torch.rand(4, 5, 4, 6) > 0.7).to(torch.bfloat16)
        texts = [{"clip": ["A dog walks to the left in the city."], "image": ["A dog."]}] * 4
        x = torch.randn(4, 16, 5, 4, 6, dtype=torch.bfloat16)
        latents.write_shard(tmp_path / f"{split}-0.safetensors", x, cover, torch.full((4,), 8.0), texts)
    return tmp_path


def test_every_variant_differs_from_the_first_in_settings_that_there_are():
    for variant in ablations.VARIANTS.values():
        settings.load_settings("nano", "dit", [*ablations.SIZE, *variant.changes])
    different = {(v.changes, v.part) for v in ablations.VARIANTS.values()}
    assert len(different) == len(ablations.VARIANTS)


@pytest.mark.parametrize(
    "name", ["base", "text", *(n for n, v in ablations.VARIANTS.items() if v.part is not _variants.Measured)]
)
def test_every_variant_trains_and_is_measured_as_the_others_are(name, folder, monkeypatch):
    monkeypatch.setattr(ablations, "SIZE", TINY)
    row = ablations.train(name, 2, folder, folder / "out")
    assert row["steps"] == round(2 * ablations.VARIANTS[name].longer) and row["name"] == name
    assert row["validation"] > 0.5 and row["things"] > 0.5


@pytest.mark.parametrize(("network", "wanted"), [(_variants.PredictsClip, "clip"), (_variants.PredictsNoise, "noise")])
def test_a_network_that_is_right_about_clip_or_noise_is_right_about_the_velocity(network, wanted, monkeypatch):
    clip, noise = torch.randn(2, 16, 3, 4, 4), torch.randn(2, 16, 3, 4, 4)
    monkeypatch.setattr(train_dit.Trained, "forward", lambda *_: clip if wanted == "clip" else noise)
    model = network(DiTConfig(dim=32, depth=1, heads=2, text_dim=32), TextConfig(dim=32, heads=2))
    for t in torch.full((2, 3), 0.4), torch.full((2, 1, 3, 4, 4), 0.4):
        v = model(add_noise(clip, noise, torch.tensor(0.4)), t, torch.zeros(2, 80, dtype=torch.int64), 8.0)
        torch.testing.assert_close(v, noise - clip)


def test_what_a_network_adds_to_the_best_guess_is_nothing_where_the_guess_is_right():
    model = _variants.Skipping(DiTConfig(dim=32, depth=1, heads=2, text_dim=32), TextConfig(dim=32, heads=2))
    x, ids = torch.randn(2, 16, 3, 4, 4), torch.zeros(2, 80, dtype=torch.int64)
    for level, share in (0.0, -1.0), (0.5, 0.0), (1.0, 1.0):  # the head begins at zero
        torch.testing.assert_close(model(x, torch.full((2, 3), level), ids, 8.0), share * x)


def test_evenly_spread_timesteps_are_of_the_same_distribution_and_leave_no_part_of_it_out():
    even, any_ = (
        torch.stack([draw(16, 320, np.random.default_rng(n), 1.4) for n in range(200)])
        for draw in (_variants.spread_evenly, _variants.base_timestep)
    )
    wanted = torch.tensor([0.1, 0.5, 0.9])
    torch.testing.assert_close(even.flatten().quantile(wanted), any_.flatten().quantile(wanted), atol=0.03, rtol=0)
    assert even.median(1).values.std() < 0.5 * any_.median(1).values.std()


def test_clips_of_another_shape_than_a_square_are_cut_with_their_noise_plan(folder):
    options = settings.load_settings("nano", "dit", [*TINY, f"latents={folder}", "noise.regions=1.0"])
    part = _variants.Square(options.train.dit, train_dit.Trained(options.dit, TextConfig(dim=192, heads=3)))
    batch = part.batches.draw(np.random.default_rng(0), 1.0)
    assert batch.plan.told.shape[-2:] == batch.x.shape[-2:] == (4, 4)


def test_self_flow_learns_to_foretell_the_averaged_network(folder):
    options = settings.load_settings("nano", "dit", [*TINY, f"latents={folder}"])
    module = _variants.Aligned(options.dit, TextConfig(dim=192, heads=3))
    part = _variants.SelfFlow(options.train.dit, module)
    torch.manual_seed(0)
    loss, tokens = part.loss(np.random.default_rng(0), 0.5)
    loss.backward()
    assert loss.isfinite() and tokens > 0 and module.foretell[0].weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in part.teacher.parameters())


def test_the_validation_where_things_move_is_the_trainer_s_with_other_weights(folder, monkeypatch):
    options = settings.load_settings("nano", "dit", [*TINY, f"latents={folder}"])
    part = _variants.Measured(options.train.dit, train_dit.Trained(options.dit, TextConfig(dim=192, heads=3)))
    seen = []
    monkeypatch.setattr(train_dit, "flow_loss", lambda module, batch: seen.append(batch) or torch.tensor(1.0))
    part.validate()
    assert len(seen) == 2 * len(train_dit.LEVELS)
    cover = torch.stack([part.held_out.clips[5, 4, 6].read(i, 5)[1] for i in range(4)])[:, None]
    by_weight = {float(batch.weight.mean()) for batch in seen}
    assert by_weight == {1.0, float((cover > _variants.MOVES).float().mean())}
    assert all(torch.equal(batch.x, seen[0].x) and torch.equal(batch.ids, seen[0].ids) for batch in seen)


def test_square_crops_take_whole_tokens_from_the_middle(folder):
    options = settings.load_settings("nano", "dit", [*TINY, f"latents={folder}"])
    part = _variants.Square(options.train.dit, train_dit.Trained(options.dit, TextConfig(dim=192, heads=3)))
    data = part.batches.clips[5, 4, 6]
    x, weight = part.batches.read(data, np.array([1, 2]), 5)
    assert x.shape[-2:] == weight.shape[-2:] == (4, 4)
    assert torch.equal(x[0], data.read(1, 5)[0][..., :4].float())


@pytest.mark.usefixtures(drawn_sprites.__name__)
def test_a_square_cut_of_a_wide_clip_is_its_middle():
    clip = np.arange(2 * 4 * 8 * 3, dtype=np.uint8).reshape(2, 4, 8, 3)
    assert np.array_equal(framing.squared(clip), clip[:, :, 2:6])
    scenes = framing.scenes(4)
    assert all(s.shots[0].actors[0].motions == ("still",) and s.shots[0].camera == ("still",) for s in scenes)
    assert all(len(s.shots) == 1 and len(s.shots[0].actors) == 1 for s in scenes)


@pytest.mark.parametrize(("way", "side"), [("native shapes", 6), ("square crops", 4)])
def test_framing_is_learnt_from_clips_that_are_no_squares(way, side, folder):
    square = torch.randn(4, 16, 5, 6, 6, dtype=torch.bfloat16)
    texts = [{"clip": ["A dog stands in the city."], "image": ["A dog."]}] * 4
    latents.write_shard(folder / "train-1.safetensors", square, torch.ones(4, 5, 6, 6), torch.full((4,), 8.0), texts)
    options = settings.load_settings("nano", "dit", [*TINY, f"latents={folder}"])
    module = train_dit.Trained(options.dit, TextConfig(dim=192, heads=3))
    part = framing.WAYS[way](options.train.dit, module)
    for seed in range(8):
        assert part.batches.draw(np.random.default_rng(seed), 1.0).x.shape[-2:] == (4, side)
