# SPDX-License-Identifier: GPL-3.0-or-later
"""Our VAE and CLIP under the stock nodes."""

from __future__ import annotations

import pytest
import torch
from node_kit import Kit, as_the_executor_does, make_kit  # noqa: F401
from tiny import CHANNELS

pytestmark = pytest.mark.host


def images(frames: int, height: int = 64, width: int = 96) -> torch.Tensor:
    return torch.rand(frames, height, width, 3, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize(("frames", "latents"), [(1, 1), (5, 2), (33, 9), (37, 10)])
def test_vae_encode_and_decode(kit: Kit, frames: int, latents: int) -> None:
    import nodes

    latent = nodes.VAEEncode().encode(kit.vae, images(frames))[0]
    assert latent["samples"].shape == (1, CHANNELS, latents, 4, 6)
    decoded = nodes.VAEDecode().decode(kit.vae, latent)[0]
    assert decoded.shape == (frames, 64, 96, 3)
    assert decoded.min() >= 0 and decoded.max() <= 1


def test_long_clips_go_through_in_chunks_and_come_out_as_one(kit: Kit) -> None:
    from comfyui_spacetime.models.vae import VideoVAE

    model = kit.vae.first_stage_model
    video = torch.rand(1, 3, 45, 32, 32) * 2 - 1
    whole = VideoVAE.encode(model, video)
    assert torch.allclose(model.encode(video), whole, atol=1e-5)
    assert torch.allclose(model.decode(whole), VideoVAE.decode(model, whole), atol=1e-5)


def test_frames_that_fill_no_latent_frame_are_dropped(kit: Kit) -> None:
    import nodes

    assert torch.equal(
        nodes.VAEEncode().encode(kit.vae, images(8))[0]["samples"],
        nodes.VAEEncode().encode(kit.vae, images(5))[0]["samples"],
    )


def test_sizes_are_cropped_to_what_the_vae_takes(kit: Kit) -> None:
    import nodes

    assert nodes.VAEEncode().encode(kit.vae, images(1, 70, 100))[0]["samples"].shape == (1, CHANNELS, 1, 4, 6)


def test_the_tiled_nodes_work_with_several_tiles(kit: Kit) -> None:
    import nodes

    latent = {"samples": torch.randn(1, CHANNELS, 9, 6, 8)}
    plain = nodes.VAEDecode().decode(kit.vae, latent)[0]
    tiled = nodes.VAEDecodeTiled().decode(
        kit.vae, latent, tile_size=64, overlap=32, temporal_size=16, temporal_overlap=4
    )[0]
    assert tiled.shape == plain.shape == (33, 96, 128, 3)
    again = nodes.VAEEncodeTiled().encode(
        kit.vae, images(33, 128, 128), tile_size=64, overlap=32, temporal_size=16, temporal_overlap=4
    )[0]
    assert again["samples"].shape == (1, CHANNELS, 9, 8, 8)


def test_a_batch_of_clips_is_decoded(kit: Kit) -> None:
    import nodes

    assert nodes.VAEDecode().decode(kit.vae, {"samples": torch.randn(2, CHANNELS, 3, 4, 4)})[0].shape == (18, 64, 64, 3)


def test_the_vae_tells_what_it_does_to_pixels(kit: Kit) -> None:
    vae = kit.vae
    assert (vae.spacial_compression_decode(), vae.temporal_compression_decode()) == (16, 4)
    assert vae.latent_channels == CHANNELS


def test_decoding_leaves_the_latent_and_earlier_pictures_alone(kit: Kit) -> None:
    latent = torch.randn(1, CHANNELS, 2, 4, 4)
    before = latent.clone()
    first = kit.vae.decode(latent)
    kept = first.clone()
    kit.vae.decode(latent * 2)
    assert torch.equal(latent, before) and torch.equal(first, kept)


def test_clip_text_encode_gives_81_states_with_the_pooled_text_last(kit: Kit) -> None:
    import nodes

    for text in ("a red panda walks left to right", "", "a very long text " * 40, "一只红色的猫"):
        states, extra = nodes.CLIPTextEncode().encode(kit.clip, text)[0][0]
        assert states.shape == (1, 81, 32)
        assert torch.equal(extra["pooled_output"], states[:, -1])


def test_the_text_is_what_the_plain_encoder_makes_of_it(kit: Kit) -> None:
    import nodes

    from comfyui_spacetime.models.checkpoint import load_checkpoint

    tokenizer, encoder = load_checkpoint(kit.path).build_text()
    states = nodes.CLIPTextEncode().encode(kit.clip, "a red panda (walks:1.3) \\(snow\\)")[0][0][0]
    assert torch.allclose(states, encoder(tokenizer.batch(["a red panda walks (snow)"])), atol=1e-6)


def test_word_order_matters(kit: Kit) -> None:
    import nodes

    there, back = (
        nodes.CLIPTextEncode().encode(kit.clip, text)[0][0][0] for text in ("left to right", "right to left")
    )
    assert not torch.allclose(there, back, atol=1e-3)


def test_loraloader_and_set_last_layer_take_the_clip(kit: Kit) -> None:
    import nodes

    clip = nodes.CLIPSetLastLayer().set_last_layer(kit.clip, -2)[0]
    assert torch.equal(nodes.CLIPTextEncode().encode(clip, "a red panda walks")[0][0][0], kit.positive[0][0])
