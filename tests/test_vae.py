# SPDX-License-Identifier: GPL-3.0-or-later
"""The video VAE: causal in time, and a stream in both directions."""

from __future__ import annotations

import pytest
import torch
from tiny import CHANNELS, tiny_vae

from comfyui_spacetime.models.vae import VAEConfig, VideoVAE


@pytest.fixture(scope="module", name="vae")
def random_vae() -> VideoVAE:
    vae = tiny_vae()
    vae.scale.running_mean.normal_()
    vae.scale.running_var.uniform_(0.5, 2)
    return vae


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def clip(frames: int, height: int = 32, width: int = 48, batch: int = 1, seed: int = 0) -> torch.Tensor:
    return torch.rand(batch, 3, frames, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize(("frames", "height", "width"), [(1, 16, 16), (5, CHANNELS, 48), (17, 48, 16)])
def test_frames_become_latent_frames_and_back(vae: VideoVAE, frames: int, height: int, width: int) -> None:
    latent = vae.encode(clip(frames, height, width, batch=2))
    assert latent.shape == (2, CHANNELS, (frames - 1) // 4 + 1, height // 16, width // 16)
    assert vae.decode(latent).shape == (2, 3, frames, height, width)


@pytest.mark.parametrize("chunks", [[1, 4, 4, 4, 4], [5, 12], [9, 4, 4], [17], [1, 16], [13, 4]])
def test_encoding_in_chunks_equals_encoding_the_whole(vae: VideoVAE, chunks: list[int]) -> None:
    video, parts, state, at = clip(17), [], None, 0
    for count in chunks:
        latent, state = vae.encode_chunk(video[:, :, at : at + count], state)
        parts.append(latent)
        at += count
    assert torch.allclose(torch.cat(parts, 2), vae.encode(video), atol=1e-5)


@pytest.mark.parametrize("chunks", [[1, 1, 1, 1, 1], [2, 3], [4, 1], [1, 4], [5]])
def test_decoding_in_chunks_equals_decoding_the_whole(vae: VideoVAE, chunks: list[int]) -> None:
    latent = torch.randn(2, CHANNELS, 5, 2, 3)
    parts, state, at = [], None, 0
    for count in chunks:
        video, state = vae.decode_chunk(latent[:, :, at : at + count], state)
        parts.append(video)
        at += count
    assert [part.shape[2] for part in parts] == [4 * c - 3 if i == 0 else 4 * c for i, c in enumerate(chunks)]
    assert torch.allclose(torch.cat(parts, 2), vae.decode(latent), atol=1e-5)


def test_a_state_can_be_used_again(vae: VideoVAE) -> None:
    latent = torch.randn(1, CHANNELS, 3, 2, 2)
    _, state = vae.decode_chunk(latent[:, :, :1], None)
    first, _ = vae.decode_chunk(latent[:, :, 1:], state)
    again, _ = vae.decode_chunk(latent[:, :, 1:], state)
    assert torch.equal(first, again)


def test_the_future_changes_nothing_of_the_past(vae: VideoVAE) -> None:
    video = clip(13)
    other = video.clone()
    other[:, :, 9:] = clip(4, seed=1)
    latent, changed = vae.encode(video), vae.encode(other)
    assert torch.allclose(latent[:, :, :3], changed[:, :, :3], atol=1e-6)
    assert not torch.allclose(latent[:, :, 3], changed[:, :, 3], atol=1e-3)
    decoded, decoded_changed = vae.decode(latent), vae.decode(changed)
    assert torch.allclose(decoded[:, :, :9], decoded_changed[:, :, :9], atol=1e-5)
    assert not torch.allclose(decoded[:, :, 9:], decoded_changed[:, :, 9:], atol=1e-3)


def test_the_past_is_seen(vae: VideoVAE) -> None:
    video = clip(9)
    other = video.clone()
    other[:, :, 1:5] = clip(4, seed=1)
    assert not torch.allclose(vae.encode(video)[:, :, 2], vae.encode(other)[:, :, 2], atol=1e-4)


def test_clips_of_a_batch_do_not_see_each_other(vae: VideoVAE) -> None:
    video = clip(9, batch=2)
    together = vae.encode(video)
    assert torch.allclose(together[1:], vae.encode(video[1:]), atol=1e-5)
    assert torch.allclose(vae.decode(together)[1:], vae.decode(together[1:]), atol=1e-4)


def test_latents_are_normalised_by_statistics_among_the_weights(vae: VideoVAE) -> None:
    bare = tiny_vae()
    video = clip(5)
    mean = vae.scale.running_mean.view(1, -1, 1, 1, 1)
    deviation = (vae.scale.running_var + vae.scale.eps).sqrt().view(1, -1, 1, 1, 1)
    assert torch.allclose(vae.encode(video), (bare.encode(video) - mean) / deviation, atol=1e-4)
    assert {"scale.running_mean", "scale.running_var"} <= vae.state_dict().keys()


@pytest.mark.parametrize(
    ("video", "sentence"),
    [
        (torch.zeros(1, 3, 6, 32, 32), "6 frames cannot be encoded"),
        (torch.zeros(1, 3, 0, 32, 32), "0 frames"),
        (torch.zeros(1, 3, 5, 40, 32), "height 40 is not a multiple of 16; nearest: 32 or 48"),
        (torch.zeros(1, 3, 5, 32, 8), "width 8"),
        (torch.zeros(1, 4, 5, 32, 32), r"\(batch, 3, frames, height, width\)"),
        (torch.zeros(3, 5, 32, 32), "this VAE encodes"),
    ],
)
def test_what_cannot_be_encoded_is_refused_with_a_sentence(vae: VideoVAE, video: torch.Tensor, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        vae.encode(video)


@pytest.mark.parametrize("shape", [(1, 48, 3, 2, 2), (1, CHANNELS, 0, 2, 2), (32, 3, 2, 2)])
def test_another_model_s_latent_is_refused(vae: VideoVAE, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="this VAE decodes"):
        vae.decode(torch.zeros(shape))


def test_a_config_survives_being_written(vae: VideoVAE) -> None:
    assert VAEConfig.from_dict(vae.config.to_dict()) == vae.config
