# SPDX-License-Identifier: GPL-3.0-or-later
"""The training loops' parts: noise plan, loss, optimisers, latents and publishing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("cv2", reason="training needs opencv: pip install '.[training]'")

from comfyui_spacetime.models.checkpoint import load_checkpoint, save_checkpoint
from comfyui_spacetime.models.text import Tokenizer
from comfyui_spacetime.models.vae import VideoVAE
from comfyui_spacetime.training import captions, common, latents, noise, optim, train_dit, train_text, train_vae


def test_the_noise_plan_mixes_whole_partly_known_and_per_frame_clips():
    rng = np.random.default_rng(0)
    flat = torch.cat([t.flatten(1) for t in (noise.plan(8, 5, 8, 8, rng) for _ in range(60)) if t.shape[-1] == 1])
    assert flat.min() >= 0 and flat.max() <= 1
    whole = (flat == flat[:, :1]).all(1).float().mean()
    known = (flat == 0).any(1).float().mean()
    assert 0.6 < whole < 0.8 and 0.12 < known < 0.28
    assert (flat > 0).any(1).all(), "a clip that is wholly known teaches nothing"


def test_known_regions_are_whole_tokens():
    rng = np.random.default_rng(0)
    for _ in range(100):
        mask = noise.known_region(3, 6, 8, rng)
        tokens = mask.reshape(3, 3, 2, 4, 2)
        assert (tokens == tokens[:, :, :1, :, :1]).all() and not mask.all()


def test_the_loss_ignores_what_is_known():
    x, weight = torch.randn(2, 32, 3, 4, 4), torch.ones(2, 1, 3, 4, 4)
    t = torch.full((2, 1, 3, 4, 4), 0.5)
    t[:, :, :2] = 0
    seen = []

    def wrong_where_known(noisy, timestep, ids, fps):
        seen.append(noisy)
        return torch.where(timestep > 0, 0.0, 1e6).expand_as(noisy)

    loss = train_dit.flow_loss(wrong_where_known, x, weight, t, torch.zeros(2, 48, dtype=torch.long), 8.0)
    assert loss < 10
    assert torch.equal(seen[0][:, :, :2], x[:, :, :2]), "known frames enter clean"


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


def test_an_interrupted_save_leaves_the_old_run(tmp_path, monkeypatch):
    path = tmp_path / "run.pt"
    common.save_run(path, step=1)

    def fail(*_args):
        raise OSError("no space left")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="no space"):
        common.save_run(path, step=2)
    assert common.load_run(path) == {"step": 1}


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


def test_a_trained_model_publishes_and_loads_back(tmp_path):
    model = train_dit.Trained(("red", "panda"))
    path = tmp_path / "x.safetensors"
    save_checkpoint(path, model.dit, VideoVAE(), model.text, {"name": "test"})
    loaded = load_checkpoint(path)
    again = train_dit.published(path)
    assert torch.equal(again.dit.embed.weight, model.dit.embed.weight.bfloat16().float())
    tokenizer, _ = loaded.build_text()
    assert tokenizer.ids.keys() == {"red", "panda"} and loaded.info == {"name": "test"}


def test_a_few_steps_learn_a_single_clip():
    torch.manual_seed(0)
    model = train_dit.Trained(("dog",))
    optimisers = optim.Optimisers(model, ("embed", "head", "pieces", "places", "where", "condition", "modulate_block"))
    x, weight = torch.randn(2, 32, 1, 4, 4), torch.ones(2, 1, 1, 4, 4)
    t, ids = torch.full((2, 1, 1, 4, 4), 0.9), torch.zeros(2, 48, dtype=torch.long)
    losses = []
    for _ in range(12):
        loss = train_dit.flow_loss(model, x, weight, t, ids, 8.0)
        loss.backward()
        optimisers.step(1.0)
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


def test_a_misspelt_caption_lacks_one_letter_of_one_word():
    rng = np.random.default_rng(0)
    assert captions.misspell("a red panda", rng, 0.0) == "a red panda"
    changed = {captions.misspell("a panda", rng, 1.0) for _ in range(50)} - {"a panda"}
    assert changed and all(len(text) == len("a panda") - 1 and text.startswith("a p") for text in changed)


def test_the_text_encoder_learns_facts_from_captions_within_a_few_steps():
    torch.manual_seed(0)
    reader = train_text.Reader()
    tokenizer = Tokenizer(reader.text.config)
    optimisers = optim.Optimisers(reader, ("pieces", "places", "out."), muon_lr=0.01)
    ids, right = train_text.caption_batch(1, 32, tokenizer, "train")
    losses = []
    for _ in range(8):
        loss = torch.nn.functional.cross_entropy(reader(ids)["object"], right["object"])
        loss.backward()
        optimisers.step(1.0)
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
