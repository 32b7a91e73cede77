# SPDX-License-Identifier: GPL-3.0-or-later
"""A checkpoint with fewer latent channels keeps what the picture hangs on."""

from __future__ import annotations

import pytest
import torch

from comfyui_spacetime.models.checkpoint import load_checkpoint, save_checkpoint
from comfyui_spacetime.models.dit import DiTConfig, SpacetimeDiT
from comfyui_spacetime.models.text import TextConfig, TextEncoder
from comfyui_spacetime.models.vae import VAEConfig, VideoVAE
from comfyui_spacetime.training.fewer import Cut, cut_dit, cut_vae, fewer, seen
from comfyui_spacetime.training.latents import write_shard
from comfyui_spacetime.training.saves import RunError

MANY, FEW = 6, 3
SIZES = VAEConfig(MANY, widths=(8, 8, 16), expand=(1, 1, 1), encoder_blocks=(1, 1), decoder_blocks=(1, 1, 1))
DIT = DiTConfig(channels=MANY, dim=32, depth=1, heads=2, text_dim=24)


@pytest.fixture
def vae():
    """A VAE of six channels, of which three combinations carry everything."""
    torch.manual_seed(0)
    vae = VideoVAE(SIZES).eval()
    with torch.no_grad():
        for parameter in vae.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for parameter in (vae.encoder.project.weight, vae.encoder.project.bias):
            parameter.copy_(torch.cat([parameter[:FEW], parameter[:FEW] * 0.5]))
        vae.scale.running_var += 0.5
        raw = vae.encode(clips()).transpose(0, 1).flatten(1) * vae.scale.running_var[:, None].sqrt()
        vae.scale.running_mean.copy_(raw.mean(1))
        vae.scale.running_var.copy_(raw.var(1))
    return vae


def clips(count: int = 4) -> torch.Tensor:
    return torch.rand(count, 3, 17, 32, 32, generator=torch.Generator().manual_seed(count)) * 2 - 1


@torch.no_grad()
def test_channels_that_repeat_others_are_cut_without_loss(vae):
    latents = vae.encode(clips())
    cut = Cut.of(latents.transpose(0, 1).flatten(1), seen(vae, latents), FEW)
    small = cut_vae(vae, cut)
    video = clips(1)
    z = small.encode(video)
    assert z.shape[1] == FEW
    torch.testing.assert_close(small.decode(z), vae.decode(vae.encode(video)), rtol=1e-3, atol=1e-3)
    spread = small.encode(clips()).transpose(0, 1).flatten(1).std(1)
    assert (spread - 1).abs().max() < 0.3, "latents still have a variance of about 1"


def test_what_is_seen_more_is_kept_first():
    torch.manual_seed(0)
    latents = torch.randn(MANY, 500)
    weight = torch.tensor([1.0, 1, 9, 1, 8, 7])
    kept = Cut.of(latents, weight, FEW)
    shares = kept.down.square().sum(0)
    assert set(shares.topk(FEW).indices.tolist()) == {2, 4, 5}


@torch.no_grad()
def test_a_cut_transformer_answers_as_before_on_what_was_kept():
    torch.manual_seed(0)
    dit = SpacetimeDiT(DIT)
    cut = Cut.of(torch.randn(MANY, 500), torch.ones(MANY), FEW)
    z, text, t = torch.randn(1, FEW, 2, 4, 4), torch.randn(1, 5, 24), torch.full((1,), 0.5)
    x = torch.einsum("ck,bkthw->bcthw", cut.up.float(), z)
    whole = torch.einsum("kc,bcthw->bkthw", cut.down.float(), dit(x, t, text))
    torch.testing.assert_close(cut_dit(dit, cut)(z, t, text), whole, rtol=1e-3, atol=1e-3)


@pytest.fixture
def trained(vae, tmp_path):
    """A checkpoint and a folder of its latents."""
    text = TextEncoder(TextConfig(("a", "b"), dim=24, length=8))
    save_checkpoint(tmp_path / "many.safetensors", SpacetimeDiT(DIT), vae, text, dtype=torch.float32)
    with torch.no_grad():
        latents = vae.encode(clips())
    cover = torch.zeros(4, *latents.shape[2:])
    (tmp_path / "latents").mkdir()
    write_shard(tmp_path / "latents" / "train-00000.safetensors", latents, cover, torch.full((4,), 8), [{}] * 4)
    return tmp_path


def test_a_checkpoint_is_cut_to_a_file_that_loads(trained):
    fewer(trained / "many.safetensors", trained / "latents", FEW, trained / "few.safetensors")
    small = load_checkpoint(trained / "few.safetensors")
    assert small.dit_config.channels == FEW and small.build_vae().config.channels == FEW


@pytest.mark.parametrize("channels", [0, MANY])
def test_channels_that_are_not_fewer_are_refused(trained, channels):
    with pytest.raises(RunError, match=f"--channels {channels} fewer"):
        fewer(trained / "many.safetensors", trained / "latents", channels, trained / "few.safetensors")
