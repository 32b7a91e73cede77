# SPDX-License-Identifier: GPL-3.0-or-later
"""Encode Video and Decode Video: streamed, with rate and sound, and a sentence for every wrong input."""

from __future__ import annotations

import io
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from node_kit import NAME, as_the_executor_does, make_kit  # noqa: F401
from tiny import CHANNELS

from comfyui_spacetime.video.errors import VideoError
from comfyui_spacetime.video.reader import Audio, probe, read_frames
from comfyui_spacetime.video.writer import write_video

pytestmark = pytest.mark.host


@pytest.fixture
def encode(inprocess: Any) -> Any:
    """Run Encode Video and return the LATENT."""
    from comfyui_spacetime.nodes.video import EncodeVideo

    return lambda *args, **named: EncodeVideo.execute(*args, **named).result[0]


@pytest.fixture
def decode(inprocess: Any) -> Any:
    """Run Decode Video and return the list of VIDEOs."""
    from comfyui_spacetime.nodes.video import DecodeVideo

    return lambda *args, **named: DecodeVideo.execute(*args, **named).result[0]


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    """Two seconds at 24 frames per second, 96x64, with sound."""
    frames = (np.full((64, 96, 3), 5 * i, np.uint8) for i in range(48))
    sound = Audio(np.full((1, 96000), 0.25, np.float32), 48000)
    write_video(tmp_path / "movie.mp4", frames, fps=24, audio=sound, crf=4)
    return tmp_path / "movie.mp4"


def from_file(source: Any) -> Any:
    from comfy_api.latest import InputImpl

    return InputImpl.VideoFromFile(source)


# -- encoding ------------------------------------------------------------------------------------------------------


def test_a_file_becomes_a_latent_with_rate_and_sound(kit, encode, movie):
    latent = encode(from_file(str(movie)), kit.vae)
    assert latent["samples"].shape == (1, CHANNELS, 12, 4, 6) and latent["frame_rate"] == 24.0  # 45 of 48 frames
    assert latent["audio"]["sample_rate"] == 48000 and latent["audio"]["waveform"].ndim == 3


def test_the_latent_is_that_of_the_stock_encoder(kit, encode, movie):
    pixels = torch.from_numpy(np.stack(list(read_frames(movie)))[:45]).float() / 255
    torch.testing.assert_close(
        encode(from_file(str(movie)), kit.vae)["samples"], kit.vae.encode(pixels), atol=1e-4, rtol=0
    )


def test_another_rate_keeps_the_speed(kit, encode, movie):
    latent = encode(from_file(str(movie)), kit.vae, fps=8.0)
    assert latent["samples"].shape[2] == 4 and latent["frame_rate"] == 8.0  # 16 frames, 13 of them fill latent frames


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [(0, 0, (96, 64)), (64, 64, (64, 64)), (70, 0, (64, 32)), (0, 130, (192, 128)), (1, 1, (32, 32))],
)
def test_sizes_go_to_the_nearest_legal_one(kit, encode, movie, width, height, expected):
    shape = encode(from_file(str(movie)), kit.vae, width=width, height=height, fps=4.0)["samples"].shape
    assert (shape[4] * 16, shape[3] * 16) == expected


def test_every_kind_of_video_can_be_encoded(kit, encode, decode, movie):
    from comfy_api.latest import InputImpl, Types

    first = encode(from_file(str(movie)), kit.vae)
    memory = encode(from_file(io.BytesIO(movie.read_bytes())), kit.vae)
    images = torch.from_numpy(np.stack(list(read_frames(movie)))).float() / 255
    parts = Types.VideoComponents(images=images, audio=None, frame_rate=Fraction(24))
    tensor = encode(InputImpl.VideoFromComponents(parts), kit.vae)
    assert torch.equal(first["samples"], memory["samples"])
    torch.testing.assert_close(tensor["samples"], first["samples"])
    lazy = encode(decode(first, kit.vae)[0], kit.vae)
    assert lazy["samples"].shape == first["samples"].shape and lazy["frame_rate"] == 24.0
    assert torch.equal(lazy["audio"]["waveform"], first["audio"]["waveform"])


def test_a_trimmed_file_gives_its_part(kit, encode, movie):
    video = from_file(str(movie))
    if not hasattr(video, "as_trimmed"):
        pytest.skip("this host cannot trim a video")
    part = encode(video.as_trimmed(0.5, 0.75), kit.vae)
    pixels = torch.from_numpy(np.stack(list(read_frames(movie))[12:29])).float() / 255
    torch.testing.assert_close(part["samples"], kit.vae.encode(pixels), atol=1e-4, rtol=0)
    assert part["audio"]["waveform"].shape[-1] == 36000


def test_a_broken_file_gets_a_sentence(kit, encode, tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"nothing")
    with pytest.raises(VideoError, match=r"a\.mp4 is not a video"):
        encode(from_file(str(tmp_path / "a.mp4")), kit.vae)


# -- decoding ------------------------------------------------------------------------------------------------------


def test_the_video_is_that_of_the_stock_decoder(kit, decode):
    noise = torch.randn(1, CHANNELS, 5, 4, 6, generator=torch.Generator().manual_seed(1))
    latent = {"samples": noise, "frame_rate": 8.0}
    (video,) = decode(latent, kit.vae)
    assert video.get_dimensions() == (96, 64) and video.get_frame_count() == 17 and video.get_frame_rate() == 8
    stock = kit.vae.decode(latent["samples"])[0].clamp(0, 1)
    assert (video.get_components().images - stock).abs().max() <= 0.5 / 255 + 1e-3


@pytest.mark.parametrize(
    ("given", "own", "expected"), [(0.0, 29.97, Fraction(30000, 1001)), (12.0, 24.0, 12), (0.0, None, 8)]
)
def test_the_rate_is_the_given_or_the_latents_or_the_models(kit, decode, given, own, expected):
    latent = kit.latent() if own is None else {**kit.latent(), "frame_rate": own}
    if own is None:
        del latent["frame_rate"]
    assert decode(latent, kit.vae, fps=given)[0].get_frame_rate() == expected


def test_sound_comes_from_the_input_else_from_the_latent(kit, decode):
    old, new = ({"waveform": torch.full((1, 1, 8), level), "sample_rate": 8} for level in (0.1, 0.2))
    latent = {**kit.latent(), "audio": old}
    assert torch.equal(decode(latent, kit.vae)[0].get_audio()["waveform"], old["waveform"])
    assert torch.equal(decode(latent, kit.vae, audio=new)[0].get_audio()["waveform"], new["waveform"])
    assert decode(kit.latent(), kit.vae)[0].get_audio() is None


def test_a_batch_gives_one_video_for_each_clip(kit, decode):
    latent = {"samples": torch.stack([torch.full((CHANNELS, 2, 2, 2), level) for level in (-0.5, 0.5)])}
    videos = decode(latent, kit.vae)
    images = [video.get_components().images for video in videos]
    assert [i.shape for i in images] == [(5, 32, 32, 3)] * 2 and not torch.equal(*images)


def test_an_image_latent_is_a_clip_of_one_frame(kit, decode):
    videos = decode({"samples": torch.zeros(2, CHANNELS, 2, 2)}, kit.vae)
    assert [video.get_frame_count() for video in videos] == [1, 1]
    assert videos[0].get_components().images.shape == (1, 32, 32, 3)


def test_an_image_vae_makes_a_clip_of_a_batch(kit, decode):
    import vae_doubles

    (video,) = decode({"samples": torch.zeros(7, 3, 2, 2)}, vae_doubles.picture())
    assert video.get_frame_count() == 7 and video.get_dimensions() == (16, 16) and video.get_frame_rate() == 24
    assert video.get_components().images.shape == (7, 16, 16, 3)


@pytest.mark.parametrize(
    ("samples", "sentence"),
    [
        (torch.zeros(1, 48, 3, 4, 4), f"The latent has 48 channels, but this VAE decodes {CHANNELS}"),
        (torch.zeros(1, 4, 8, 8), f"The latent has 4 channels, but this VAE decodes {CHANNELS}"),
        (torch.zeros(1, CHANNELS, 0, 4, 4), "The latent has no frames"),
        (torch.zeros(1, 64, 100), "no latent of pictures or video"),
        (None, "no latent of pictures or video"),
    ],
)
def test_a_foreign_latent_gets_a_sentence(kit, decode, samples, sentence):
    with pytest.raises(VideoError, match=sentence):
        decode({"samples": samples}, kit.vae)


def test_the_first_latent_frame_that_is_no_number_is_named(kit, decode):
    latent = kit.latent(frames=5)
    latent["samples"][0, 3, 2, 1, 1] = float("nan")
    latent["samples"][0, 3, 4, 1, 1] = float("inf")
    with pytest.raises(VideoError, match=r"Latent frame 3 of 5 .*2 such frames"):
        decode(latent, kit.vae)


def test_a_missing_vae_gets_a_sentence(inprocess, decode):
    import comfy.sd

    with pytest.raises(VideoError, match="holds no VAE"):
        decode({"samples": torch.zeros(1, CHANNELS, 1, 2, 2)}, comfy.sd.VAE(sd={}))


# -- in a graph ----------------------------------------------------------------------------------------------------


def graph(side: int, **outputs: dict[str, Any]) -> Any:
    """A prompt that decodes an empty clip of two seconds for some readers; the host caches clips of equal size."""
    from comfyui_spacetime.host.workflow import Prompt

    empty = {"aspect": "custom", "size": 64, "width": side, "height": 64, "seconds": 2.0, "fps": 8.0, "batch_size": 1}
    nodes = {
        "1": {"class_type": "SpacetimeLoadModel", "inputs": {"checkpoint": NAME}},
        "2": {"class_type": "SpacetimeEmptyLatent", "inputs": empty},
        "3": {"class_type": "SpacetimeDecodeVideo", "inputs": {"samples": ["2", 0], "vae": ["1", 2], "fps": 0.0}},
    }
    return Prompt({**nodes, **outputs})


def save(prefix: str) -> dict[str, Any]:
    inputs = {"video": ["3", 0], "filename_prefix": prefix, "format": "mp4", "codec": "h264"}
    return {"class_type": "SaveVideo", "inputs": inputs}


def running_stream() -> Any:
    """The module that the host's own copy of the pack streams with."""
    import nodes

    return sys.modules[nodes.NODE_CLASS_MAPPINGS["SpacetimeDecodeVideo"].__module__].vae_stream


def test_stock_save_video_writes_it_and_two_readers_decode_once(inprocess, kit, host_base, monkeypatch):
    stream = running_stream()
    decodes, original = [], stream.decode_frames
    monkeypatch.setattr(stream, "decode_frames", lambda *a: decodes.append(1) or original(*a))
    progress: list[Any] = []
    listener = lambda event, data: progress.append((event, data))  # noqa: E731
    result = inprocess.run(graph(64, a=save("lazy/a"), b=save("lazy/b")), listener)
    assert len(result.files) == 2 and decodes == [1]
    for path in (host_base / "output" / "lazy").glob("*.mp4"):
        info = probe(path)
        assert (info.width, info.height, info.fps, info.frame_count) == (64, 64, 8, 17)
    nodes = [data["nodes"] for event, data in progress if event == "progress_state"]
    assert any(states.get("a", {}).get("max") == 17 or states.get("b", {}).get("max") == 17 for states in nodes)


def test_a_cancel_while_saving_leaves_no_file(inprocess, kit, host_base, monkeypatch):
    from comfyui_spacetime.host.errors import Cancelled

    stream = running_stream()
    monkeypatch.setattr(stream, "CPU_PIXELS", 1)
    chunks = []
    original = stream.OwnCodec.decode

    def cancel_soon(self: Any, latent: Any, state: Any) -> Any:
        chunks.append(1)
        if len(chunks) == 2:
            inprocess.cancel()
        return original(self, latent, state)

    monkeypatch.setattr(stream.OwnCodec, "decode", cancel_soon)
    with pytest.raises(Cancelled):
        inprocess.run(graph(96, c=save("cancelled/c")))
    assert len(chunks) == 2
    assert list((host_base / "output" / "cancelled").iterdir()) == []


def test_an_error_while_saving_names_the_decoder(inprocess, kit, monkeypatch):
    from comfyui_spacetime.host.errors import ExecutionFailed

    stream = running_stream()

    def fail(*_: Any) -> Any:
        raise RuntimeError("boom")

    monkeypatch.setattr(stream.OwnCodec, "decode", fail)
    with pytest.raises(ExecutionFailed, match=r"made by Decode Video \(node 3\) cannot be decoded: boom"):
        inprocess.run(graph(128, d=save("failed/d")))
