# SPDX-License-Identifier: GPL-3.0-or-later
"""The training loops' parts: noise plan, loss, optimisers, latents and publishing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scene_kit import drawn_sprites
from tiny import CHANNELS, tiny_vae, write_tiny_checkpoint
from torch import nn

pytest.importorskip("cv2", reason="training needs opencv: pip install '.[training]'")

from comfyui_spacetime.models.checkpoint import load_checkpoint, save_checkpoint
from comfyui_spacetime.models.dit import DiTConfig
from comfyui_spacetime.models.text import TextConfig, Tokenizer
from comfyui_spacetime.models.vae import VideoVAE
from comfyui_spacetime.training import (
    batches,
    common,
    facts,
    latents,
    noise,
    optim,
    publish,
    train_dit,
    train_text,
    train_vae,
    worlds,
)
from comfyui_spacetime.training.origins import Origin
from comfyui_spacetime.training.saves import RunError
from comfyui_spacetime.training.scenes.captions import caption, dense
from comfyui_spacetime.training.scenes.config import nano, simple
from comfyui_spacetime.training.scenes.draw import draw_scene
from comfyui_spacetime.training.scenes.words.vocabulary import vocabulary


def batch_of(x, told, level=None):
    told = torch.as_tensor(told)
    level = told if level is None else level
    ids = torch.zeros(len(x), 48, dtype=torch.long)
    return batches.Batch(x, torch.ones_like(x[:, :1]), noise.Plan(told, level), ids, 8.0)


def test_the_loss_ignores_what_is_known():
    x = torch.randn(2, CHANNELS, 3, 4, 4)
    t = torch.full((2, 1, 3, 4, 4), 0.5)
    t[:, :, :2] = 0
    seen = []

    def wrong_where_known(noisy, timestep, ids, fps):
        seen.append(noisy)
        return torch.where(timestep > 0, 0.0, 1e6).expand_as(noisy)

    assert train_dit.flow_loss(wrong_where_known, batch_of(x, t)) < 10
    assert torch.equal(seen[0][:, :, :2], x[:, :, :2]), "known frames enter clean"


def test_a_corrupted_past_is_noisy_and_called_known():
    x = torch.randn(2, CHANNELS, 3, 4, 4)
    told = torch.tensor([0.0, 0.5, 0.5]).view(1, 1, 3, 1, 1).repeat(2, 1, 1, 1, 1)
    level = torch.tensor([0.1, 0.5, 0.5]).view(1, 1, 3, 1, 1).repeat(2, 1, 1, 1, 1)
    seen = []

    def remember(noisy, timestep, ids, fps):
        seen.append((noisy, timestep))
        return torch.zeros_like(noisy)

    train_dit.flow_loss(remember, batch_of(x, told, level))
    noisy, timestep = seen[0]
    assert not torch.equal(noisy[:, :, 0], x[:, :, 0]) and (noisy - x)[:, :, 0].std() < 0.2
    assert torch.equal(timestep, told[:, 0, :, 0, 0])


def test_muon_orthogonalises_its_step():
    step = optim.orthogonalise(torch.randn(32, 64))
    values = torch.linalg.svdvals(step.float())
    assert values.min() > 0.5 and values.max() < 1.4


def test_a_step_that_is_not_finite_is_skipped_and_counted():
    layer = nn.Linear(4, 4)
    before = layer.weight.detach().clone()
    optimisers = optim.Optimisers(layer)
    (layer(torch.ones(1, 4)).sum() * float("nan")).backward()
    assert optimisers.step(1.0) is False and optimisers.skipped == 1
    assert torch.equal(layer.weight, before)


def test_the_learning_rate_warms_up_holds_and_cools_down():
    assert common.learning_rate(0.0, 0) == pytest.approx(0.01)
    assert common.learning_rate(0.5, 1000) == 1.0
    assert common.learning_rate(1.0, 9000) == pytest.approx(0.02)
    assert common.learning_rate(0.9, 9000, cooldown=0.2) == pytest.approx(0.5)


@pytest.mark.parametrize("progress", [0.0, 0.99, 1.0])
def test_without_a_cool_down_the_learning_rate_holds_to_the_end(progress):
    assert common.learning_rate(progress, 9000, cooldown=0.0) == 1.0


@pytest.mark.usefixtures(drawn_sprites.__name__)
@pytest.mark.parametrize("world", worlds.WORLDS)
def test_latents_of_every_world_are_kept_with_their_captions(world, tmp_path, monkeypatch):
    monkeypatch.setattr(latents, "SHARD", 2)
    path = tmp_path / "train-00000.safetensors"
    latents.encode_shard(tiny_vae().bfloat16(), path, Origin("vae of tests", world), 64, 64, 64, 5, "train")
    clips = latents.load_latents(tmp_path, "train")[(2, 4, 4)]
    assert len(clips) == 2 and len(clips.texts[0]["clip"]) == 8 and len(clips.texts[1]["image"]) == 4
    latent, cover = clips.read(1, 2)
    assert latent.shape == (CHANNELS, 2, 4, 4) and cover.shape == (2, 4, 4) and 0 < cover.float().mean() < 1
    tokenizer = Tokenizer(TextConfig(vocabulary(), length=200))
    spelt = [i for text in clips.texts[0]["image"] for i in tokenizer.encode(text) if i < 257]
    assert not spelt, "no caption of a world needs bytes"


def test_coverage_follows_the_latent_frames():
    cover = np.zeros((9, 32, 32), np.uint8)
    cover[5:9, :16, :16] = 255
    out = latents.latent_cover(torch.from_numpy(cover))
    assert out.shape == (3, 2, 2)
    assert out[2, 0, 0] == 1 and out.sum() == 1


def test_reconstruction_loss_is_zero_only_for_the_truth_and_counts_the_sprite_more():
    real, cover = torch.zeros(1, 2, 3, 16, 16), torch.zeros(1, 2, 1, 16, 16)
    cover[..., :8, :8] = 1
    assert train_vae.reconstruction_loss(real, real, cover) == 0
    on, off = real.clone(), real.clone()
    on[..., 2:4, 2:4], off[..., 12:14, 12:14] = 0.5, 0.5
    assert train_vae.reconstruction_loss(on, real, cover) > 2 * train_vae.reconstruction_loss(off, real, cover)


def tiny_model(*pieces):
    return train_dit.Trained(DiTConfig(dim=64, depth=2, heads=2, text_dim=32), TextConfig(pieces, dim=32, heads=2))


def test_a_trained_model_publishes_and_loads_back(tmp_path):
    model = tiny_model("red", "panda")
    path = tmp_path / "x.safetensors"
    save_checkpoint(path, model.dit, VideoVAE(), model.text, {"name": "test"})
    loaded = load_checkpoint(path)
    again = train_dit.published(path)
    assert torch.equal(again.dit.embed.bias, model.dit.embed.bias.bfloat16().float())
    weight = model.dit.embed.weight
    assert ((again.dit.embed.weight - weight).abs() <= weight.abs().amax(1, keepdim=True) / 127).all()
    tokenizer, _ = loaded.build_text()
    assert tokenizer.ids.keys() == {"red", "panda"} and loaded.info == {"name": "test"}


def test_a_few_steps_learn_a_single_clip():
    torch.manual_seed(0)
    model = tiny_model("dog")
    optimisers = optim.Optimisers(model, train_dit.DiTPart.adam_only)
    batch = batch_of(torch.randn(2, CHANNELS, 1, 4, 4), torch.full((2, 1, 1, 4, 4), 0.9))
    losses = []
    for _ in range(40):
        loss = train_dit.flow_loss(model, batch)
        loss.backward()
        optimisers.step(1.0)
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


def test_the_text_encoder_learns_facts_from_captions_within_a_few_steps():
    torch.manual_seed(0)
    reader = train_text.Reader(TextConfig(vocabulary()))
    tokenizer = Tokenizer(reader.text.config)
    optimisers = optim.Optimisers(reader, ("pieces", "places", "out."), muon_lr=0.01)
    ids, right = train_text.caption_batch("nano", 1, 32, tokenizer, "train")
    losses = []
    for _ in range(8):
        loss = torch.nn.functional.cross_entropy(reader(ids)["place"], right["place"], ignore_index=train_text.UNSAID)
        loss.backward()
        optimisers.step(1.0)
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_a_fact_that_a_caption_leaves_open_is_not_asked_for():
    rng = np.random.default_rng(0)
    said = [facts.told("full", seed, "train", rng)[1] for seed in range(40)]
    for name, values in facts.FACTS.items():
        assert {says[name] for says in said if name in says} <= set(values)
    assert any("place" not in says for says in said) and any("place" in says for says in said)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_a_caption_of_the_narrow_world_says_is_read_back(language):
    for seed in range(300):
        scene = draw_scene(seed, simple(nano()), "any")
        text, truth = dense(scene, np.random.default_rng(seed), language), facts.truth(scene)
        assert all(facts.right(text, truth).values()), (text, facts.read(text), truth)


def test_the_captions_of_a_clip_agree_on_its_facts():
    for seed in range(100):
        scene, rng = draw_scene(seed, simple(nano()), "any"), np.random.default_rng(seed)
        assert facts.agreed(caption(scene, rng).text for _ in range(worlds.CAPTIONS)) == facts.truth(scene)


def test_what_is_wrong_or_left_out_is_not_right():
    clip = {"noun": "dog", "place": "beach", "light": "night", "weather": "clear", "motion": "left", "camera": "still"}
    assert facts.right("A puppy runs to the right at the seaside, the camera pans right.", clip) == {
        "noun": True, "place": True, "light": False, "weather": True, "motion": False, "camera": False,
    }  # fmt: skip
    assert not facts.right("a dog and a cow walk leftwards", clip)["noun"]
    assert facts.right("A dog looking right walks to the left.", clip)["motion"]


def test_published_weights_may_be_mixed_with_those_the_run_began_with(tmp_path):
    path = write_tiny_checkpoint(tmp_path / "begun.safetensors")
    begun, run = train_dit.published(path), train_dit.published(path)
    with torch.no_grad():
        for parameter in run.parameters():
            parameter.add_(1.0)
    publish.mix(run, begun, 0.25, "begun")
    for one, other in zip(run.parameters(), begun.parameters(), strict=True):
        torch.testing.assert_close(one, other + 0.25)
    with pytest.raises(RunError, match="the share must be from 0 to 1"):
        publish.mix(run, begun, 1.5, "begun")
    with pytest.raises(RunError, match="begun has networks of another size"):
        publish.mix(run, nn.Linear(1, 1), 0.5, "begun")
