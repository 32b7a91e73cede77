# SPDX-License-Identifier: GPL-3.0-or-later
"""Streaming a VAE: chunked equals whole, for ours and Wan's; seams are smooth for every other."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def doubles(inprocess: Any) -> ModuleType:
    """The small VAEs."""
    import vae_doubles

    return vae_doubles


@pytest.fixture(scope="module")
def stream(inprocess: Any) -> ModuleType:
    """The module under test."""
    from comfyui_spacetime.nodes import vae_stream

    return vae_stream


def noise_clip(count: int, height: int = 32, width: int = 32) -> list[np.ndarray]:
    return [np.random.default_rng(i).integers(0, 256, (height, width, 3), np.uint8) for i in range(count)]


def random_latent(channels: int, frames: int, height: int = 4, width: int = 4) -> torch.Tensor:
    return torch.randn(1, channels, frames, height, width, generator=torch.Generator().manual_seed(3))


def whole_decode(vae: Any, latent: torch.Tensor) -> np.ndarray:
    with torch.inference_mode():
        images = vae.decode(latent)
    return images.reshape(-1, *images.shape[-3:]).clamp(0, 1).mul(255).round().byte().numpy()


def whole_encode(vae: Any, frames: list[np.ndarray]) -> torch.Tensor:
    with torch.inference_mode():
        return vae.encode(torch.from_numpy(np.stack(frames)).float() / 255)


@pytest.mark.parametrize("kind", ["own", "wan21", "wan22"])
@pytest.mark.parametrize("frames", [1, 2, 4, 7])
def test_a_stream_decodes_to_what_the_whole_latent_decodes_to(doubles, stream, monkeypatch, kind, frames):
    vae = getattr(doubles, kind)()
    monkeypatch.setattr(stream, "CPU_PIXELS", 2 * 4 * 64 * 64)  # small chunks
    latent = random_latent(vae.latent_channels, frames)
    whole = whole_decode(vae, latent)
    assert whole.std() > 5  # else anything would be equal
    chunked = np.stack(list(stream.decode_frames(vae, latent)))
    assert chunked.shape == whole.shape == (4 * frames - 3, *whole.shape[1:])
    assert np.abs(chunked.astype(int) - whole).max() <= 1


@pytest.mark.parametrize("kind", ["own", "wan21", "wan22"])
@pytest.mark.parametrize("frames", [1, 5, 9, 21])
def test_a_stream_encodes_to_what_the_whole_clip_encodes_to(doubles, stream, monkeypatch, kind, frames):
    vae = getattr(doubles, kind)()
    monkeypatch.setattr(stream, "CPU_PIXELS", 2 * 4 * 32 * 32)
    clip = noise_clip(frames)
    whole = whole_encode(vae, clip)
    latent = stream.encode_frames(vae, clip)
    assert latent.shape == whole.shape and latent.shape[2] == (frames + 3) // 4
    torch.testing.assert_close(latent, whole, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["own", "wan21", "wan22", "plain"])
def test_frames_that_fill_no_latent_frame_are_dropped(doubles, stream, kind):
    vae = getattr(doubles, kind)()
    time = vae.temporal_compression_decode()
    legal = 2 * time + 1
    clip = noise_clip(legal + time - 1)
    torch.testing.assert_close(stream.encode_frames(vae, clip), stream.encode_frames(vae, clip[:legal]))
    assert stream.encode_frames(vae, clip[:2]).shape[2] == 1


@pytest.mark.parametrize("lone_first", [True, False])
@pytest.mark.parametrize("frames", [1, 9, 10, 15, 16, 40])
def test_windows_without_state_have_no_visible_seam(doubles, stream, lone_first, frames):
    vae = doubles.plain(lone_first, time=4)
    ramp = torch.linspace(-1, 1, frames)[None, None, :, None, None].expand(1, 3, -1, 4, 4)
    whole = whole_decode(vae, ramp)
    windows = np.stack(list(stream.decode_frames(vae, ramp)))
    assert windows.shape == whole.shape
    if lone_first and frames > 9:  # at a seam a window's first frame stands for its group: at most one group's step off
        assert np.abs(windows.astype(int) - whole).max() <= np.ceil(255 / (frames - 1)) + 1
    else:
        assert np.abs(windows.astype(int) - whole).max() <= 1
    assert (np.diff(windows[:, 0, 0, 0].astype(int)) >= 0).all()


@pytest.mark.parametrize("lone_first", [True, False])
@pytest.mark.parametrize("frames", [1, 4, 33, 40, 61, 100])
def test_windows_encode_like_the_whole(doubles, stream, lone_first, frames):
    vae = doubles.plain(lone_first, time=4)
    legal = frames - (frames - 1) % 4 if lone_first else max(4, frames - frames % 4)
    if frames < 4 and not lone_first:
        pytest.skip("less than one group")
    clip = noise_clip(frames, 16, 16)
    whole = whole_encode(vae, clip[:legal])
    torch.testing.assert_close(stream.encode_frames(vae, clip), whole, atol=1e-5, rtol=0)


def test_an_image_vae_makes_a_clip_of_a_batch(doubles, stream):
    vae = doubles.picture()
    clip = [np.full((16, 16, 3), 20 * i, np.uint8) for i in range(9)]
    latent = stream.encode_frames(vae, clip)
    assert latent.shape == (9, 3, 2, 2)
    assert [int(frame[0, 0, 0]) for frame in stream.decode_frames(vae, latent)] == [20 * i for i in range(9)]


def test_decoding_is_lazy_and_tells_its_progress(doubles, stream, monkeypatch):
    vae = doubles.own()
    monkeypatch.setattr(stream, "CPU_PIXELS", 1)
    calls, told = [], []
    decode = vae.first_stage_model.decode_chunk
    monkeypatch.setattr(vae.first_stage_model, "decode_chunk", lambda *a: calls.append(1) or decode(*a))
    frames = stream.decode_frames(vae, random_latent(4, 6), told.append)
    next(frames)
    assert len(calls) == 1
    assert len(list(frames)) == 20 and len(calls) == 6 and told == [1, 5, 9, 13, 17, 21]


class Lack(RuntimeError):
    """A device's lack of memory."""


@pytest.fixture
def lacking(stream, monkeypatch):
    """Make the host take ``Lack`` for a lack of memory."""
    monkeypatch.setattr(stream, "is_out_of_memory", lambda error: isinstance(error, Lack))


def test_a_lack_of_memory_makes_chunks_smaller(doubles, stream, lacking, monkeypatch):
    vae, latent = doubles.own(), random_latent(4, 7)
    expected, sizes = whole_decode(vae, latent), []
    decode = vae.first_stage_model.decode_chunk

    def small_only(piece, state):
        sizes.append(piece.shape[2])
        if piece.shape[2] > 1:
            raise Lack
        return decode(piece, state)

    monkeypatch.setattr(vae.first_stage_model, "decode_chunk", small_only)
    assert np.abs(np.stack(list(stream.decode_frames(vae, latent))).astype(int) - expected).max() <= 1
    assert sizes == [7, 3, 1, 1, 1, 1, 1, 1, 1]


def test_a_lack_of_memory_for_one_chunk_falls_back_to_the_hosts_tiles(doubles, stream, lacking, monkeypatch):
    vae, latent, calls = doubles.own(), random_latent(4, 3), []
    expected = whole_decode(vae, latent)
    monkeypatch.setattr(stream, "CPU_PIXELS", 1)
    decode = vae.first_stage_model.decode_chunk

    def only_first(piece, state):
        calls.append(piece.shape[2])
        if state is not None:
            raise Lack
        return decode(piece, state)

    monkeypatch.setattr(vae.first_stage_model, "decode_chunk", only_first)
    frames = np.stack(list(stream.decode_frames(vae, latent)))
    assert calls[:2] == [1, 1] and np.abs(frames.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("kind", ["own", "wan21"])
def test_a_lack_of_memory_while_encoding_halves_the_chunks(doubles, stream, lacking, monkeypatch, kind):
    vae, clip, sizes = getattr(doubles, kind)(), noise_clip(21), []
    whole, codec = whole_encode(vae, clip), stream.codec_of(vae)
    encode = type(codec).encode

    def small_only(self, pixels, state, last):
        sizes.append(pixels.shape[2])
        if pixels.shape[2] > 4:
            raise Lack
        return encode(self, pixels, state, last)

    monkeypatch.setattr(type(codec), "encode", small_only)
    torch.testing.assert_close(stream.encode_frames(vae, clip), whole, atol=1e-4, rtol=1e-4)
    assert max(sizes) == (21 if kind == "own" else 4) and sum(size for size in sizes if size <= 4) == 21


def test_a_vae_that_gives_no_numbers_is_told(doubles, stream):
    vae = doubles.plain()
    with torch.no_grad():
        vae.first_stage_model.weight.fill_(float("nan"))
    with pytest.raises(ValueError, match="needs a higher precision"):
        list(stream.decode_frames(vae, random_latent(3, 2)))
