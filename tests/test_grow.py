# SPDX-License-Identifier: GPL-3.0-or-later
"""A larger network begins as the smaller one that it starts from."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from comfyui_spacetime.models.dit import DiTConfig
from comfyui_spacetime.models.text import TextConfig, TextEncoder
from comfyui_spacetime.models.vae import VAEConfig, VideoVAE
from comfyui_spacetime.training.grow import grow
from comfyui_spacetime.training.scenes.words.vocabulary import vocabulary
from comfyui_spacetime.training.settings import SettingError, Settings, Train, TrainDiT
from comfyui_spacetime.training.train_dit import Trained, with_channels, with_text

SMALL = VAEConfig(4, widths=(8, 8, 16), expand=(1, 1, 1), encoder_blocks=(1, 1), decoder_blocks=(1, 1, 1))
LARGE = VAEConfig(channels=6, widths=(8, 8, 16), expand=(1, 2, 3), encoder_blocks=(2, 2), decoder_blocks=(3, 2, 1))


def settled(config: VAEConfig) -> VideoVAE:
    """A VAE all of whose weights count, as after training."""
    vae = VideoVAE(config).eval()
    with torch.no_grad():
        for parameter in vae.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return vae


def test_a_grown_vae_decodes_what_the_small_one_decoded() -> None:
    small, large = settled(SMALL), VideoVAE(LARGE).eval()
    grow(large, small.state_dict(), "small")
    video = torch.rand(1, 3, 9, 32, 32) * 2 - 1
    latent, more = small.encode(video), large.encode(video)
    torch.testing.assert_close(more[:, :4], latent)
    torch.testing.assert_close(large.decode(more), small.decode(latent))


def test_what_is_new_in_a_grown_vae_learns() -> None:
    large = VideoVAE(LARGE)
    grow(large, settled(SMALL).state_dict(), "small")
    video = torch.rand(1, 3, 5, 32, 32)
    (large.decode(large.encode(video)) - video).square().mean().backward()
    new = large.decoder.project.weight.grad
    assert new is not None and new[:, 4:].abs().sum() > 0


def test_a_network_does_not_start_from_a_larger_one() -> None:
    with pytest.raises(SettingError, match=r"large: encoder\.fine\.blocks\.0\.conv1\.weight .* no larger"):
        grow(VideoVAE(SMALL), VideoVAE(LARGE).state_dict(), "large")


def test_a_transformer_for_more_channels_begins_as_the_one_for_fewer() -> None:
    text = TextConfig(dim=24, depth=1, heads=2, length=8, pieces=("a",))
    config = DiTConfig(channels=4, dim=48, depth=1, heads=2, text_dim=24)
    model = Trained(config, text)
    torch.nn.init.normal_(model.dit.head.weight)
    wider = with_channels(model, DiTConfig(channels=6, dim=48, depth=1, heads=2, text_dim=24), "small")
    x, states = torch.randn(1, 6, 2, 4, 4), torch.randn(1, 3, 24)
    made = wider.dit(x, torch.tensor([0.5]), states)
    torch.testing.assert_close(made[:, :4], model.dit(x[:, :4], torch.tensor([0.5]), states))


def test_a_transformer_of_another_width_is_refused() -> None:
    text = TextConfig(dim=24, depth=1, heads=2, length=8, pieces=("a",))
    model = Trained(DiTConfig(channels=4, dim=48, depth=1, heads=2, text_dim=24), text)
    with pytest.raises(SettingError, match="another size"):
        with_channels(model, DiTConfig(channels=4, dim=96, depth=1, heads=2, text_dim=24), "small")


def test_a_transformer_goes_on_with_the_text_encoder_of_other_words(tmp_path) -> None:
    text = TextConfig(dim=24, depth=1, heads=2, length=8, pieces=("a",))
    model = Trained(DiTConfig(channels=4, dim=48, depth=1, heads=2, text_dim=24), text)
    settings = Settings(model.dit.config, VAEConfig(channels=4), text, train=Train(dit=TrainDiT(world="nano")))
    taught = TextEncoder(replace(text, pieces=vocabulary())).initialise()
    save_file({name: value.contiguous() for name, value in taught.state_dict().items()}, tmp_path / "text.safetensors")
    other = with_text(model, settings, tmp_path / "text.safetensors")
    assert torch.equal(other.dit.head.weight, model.dit.head.weight)
    for name, value in taught.state_dict().items():
        assert torch.equal(other.text.state_dict()[name], value), name
    with pytest.raises(SettingError, match="no text encoder of the scene world"):
        with_text(model, settings, tmp_path / "none.safetensors")
