# SPDX-License-Identifier: GPL-3.0-or-later
"""A lazy VIDEO: made while it is read, once; honest about who made it."""

from __future__ import annotations

import gc
import io
import itertools
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
import torch

from comfyui_spacetime.video.errors import VideoError
from comfyui_spacetime.video.reader import read_audio, read_frames

pytestmark = pytest.mark.host

COUNT = 12


@pytest.fixture
def temp(inprocess: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The host's temp folder, for this test alone."""
    import folder_paths

    monkeypatch.setattr(folder_paths, "get_temp_directory", lambda: str(tmp_path / "temp"))
    return tmp_path / "temp"


@pytest.fixture
def made(temp: Path) -> Any:
    """Makes a lazy video of ``COUNT`` grey frames and notes how often and how far it is made."""
    from comfyui_spacetime.nodes.lazy_video import LazyVideo

    def make(count: int = COUNT, error: BaseException | None = None, **options: Any) -> Any:
        notes = SimpleNamespace(runs=0, frames=0, open=0)

        def frames() -> Any:
            notes.runs += 1
            notes.open += 1
            try:
                for index in range(count):
                    notes.frames += 1
                    yield np.full((47, 63, 3), 20 * index, np.uint8)
                if error is not None:
                    raise error
            finally:
                notes.open -= 1

        video = LazyVideo(frames, 63, 47, COUNT, 8, made_by="Decode Video (node 7)", **options)
        return video, notes

    return make


def tone(seconds: float) -> dict[str, Any]:
    return {"waveform": torch.full((1, 1, int(seconds * 8000)), 0.25), "sample_rate": 8000}


def levels(frames: Any) -> list[int]:
    return [round(float(frame.mean()) / 20) for frame in frames]


def test_its_facts_need_no_frames(made):
    video, notes = made()
    assert video.get_dimensions() == (63, 47) and video.get_frame_count() == COUNT
    assert video.get_frame_rate() == 8 and video.get_duration() == 1.5
    assert "mp4" in video.get_container_format() and notes.runs == 0


def test_saving_streams_and_keeps_tags_and_sound(made, tmp_path):
    video, notes = made(audio=tone(1.5))
    video.save_to(str(tmp_path / "a.mp4"), metadata={"prompt": {"1": {}}})
    assert levels(read_frames(tmp_path / "a.mp4")) == list(range(COUNT))
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert json.loads(container.metadata["prompt"]) == {"1": {}}
    sound = read_audio(tmp_path / "a.mp4")
    assert sound is not None and sound.samples.shape[1] == pytest.approx(12000, abs=2100)
    assert notes.open == 0


def test_a_second_reader_gets_exact_frames_without_a_second_decode(made, tmp_path):
    video, notes = made()
    video.save_to(str(tmp_path / "a.mp4"))
    again = list(video.frames())
    assert [int(f[0, 0, 0]) for f in again] == [20 * i for i in range(COUNT)]
    assert again[0].shape == (47, 63, 3) and all((f == f[0, 0, 0]).all() for f in again)
    video.save_to(str(tmp_path / "b.mp4"))
    assert levels(read_frames(tmp_path / "b.mp4")) == list(range(COUNT)) and notes.runs == 1


def test_the_copy_goes_with_the_video(made, temp):
    video, _ = made()
    list(video.frames())
    assert len(list(temp.iterdir())) == 1
    del video
    gc.collect()
    assert list(temp.iterdir()) == []


def test_a_lost_copy_means_a_second_decode(made, temp):
    video, notes = made()
    list(video.frames())
    for path in temp.iterdir():
        path.unlink()
    assert levels(video.frames()) == list(range(COUNT)) and notes.runs == 2


def test_a_reader_that_stops_ends_the_decoding_and_leaves_no_copy(made, temp):
    video, notes = made()
    reader = video.frames()
    assert levels(itertools.islice(reader, 3)) == [0, 1, 2] and notes.frames == 3
    reader.close()
    assert notes.open == 0 and list(temp.iterdir()) == []
    assert levels(video.frames()) == list(range(COUNT))


def test_no_room_for_a_copy_is_no_error(made, temp, monkeypatch):
    import shutil

    video, notes = made()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    assert levels(video.frames()) == levels(video.frames()) == list(range(COUNT))
    assert notes.runs == 2 and list(temp.iterdir()) == []


@pytest.mark.parametrize(
    ("start", "duration", "expected"),
    [(0.5, 0.5, range(4, 8)), (-0.5, 0, range(8, 12)), (None, None, range(12)), (1, 99, range(8, 12))],
)
def test_trimming(made, start, duration, expected):
    video, notes = made(audio=tone(1.5))
    part = video.as_trimmed(start, duration)
    assert notes.runs == 0 and part.get_frame_count() == len(expected)
    assert levels(part.frames()) == list(expected)
    assert part.get_audio()["waveform"].shape[-1] == len(expected) * 1000


def test_trimming_a_part_again_counts_from_the_part(made):
    video, _ = made()
    assert levels(video.as_trimmed(0.5, 1.0).as_trimmed(0.25, 0.25).frames()) == [6, 7]


def test_trimming_to_nothing_gives_none(made):
    video, _ = made()
    assert video.as_trimmed(5) is None and video.as_trimmed(1, 5, strict_duration=True) is None


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_part_behind_the_end_of_the_sound_has_none(made, tmp_path, suffix):
    video, _ = made(audio=tone(0.5))
    part = video.as_trimmed(1.0, 0.5)
    assert part.get_audio() is None and part.sound() is None
    part.save_to(tmp_path / f"a.{suffix}", suffix)
    assert levels(read_frames(tmp_path / f"a.{suffix}")) == list(range(8, 12))
    assert video.as_trimmed(0.25, 0.5).get_audio()["waveform"].shape[-1] == 2000


def test_a_sound_of_no_length_is_none(made, tmp_path):
    video, _ = made(audio=tone(0.0))
    video.save_to(tmp_path / "a.mp4")
    assert video.sound() is None and read_audio(tmp_path / "a.mp4") is None


def test_an_operation_takes_a_video_with_a_sound_of_no_length(made):
    from fractions import Fraction

    from comfyui_spacetime.nodes.originals import look_at, open_video
    from comfyui_spacetime.nodes.plan import Kept
    from comfyui_spacetime.nodes.soundtrack import soundtrack

    silent, loud = (look_at(open_video(made(audio=tone(seconds))[0]))[0] for seconds in (0.0, 1.5))
    assert soundtrack([Kept(silent, 0, 12)], Fraction(8)) is None
    both = soundtrack([Kept(silent, 0, 12), Kept(loud, 0, 12)], Fraction(8))["waveform"][0, 0]
    assert not both[:12000].any() and (both[12000:] == 0.25).all()


def test_a_part_shares_the_copy(made):
    video, notes = made()
    list(video.frames())
    assert levels(video.as_trimmed(0.5, 0.5).frames()) == [4, 5, 6, 7] and notes.runs == 1


def test_components_are_the_exact_images(made):
    parts = made(audio=tone(1))[0].get_components()
    assert parts.images.shape == (COUNT, 47, 63, 3) and parts.frame_rate == 8 and parts.audio["sample_rate"] == 8000
    assert torch.equal(parts.images[:, 0, 0, 0].mul(255).round(), torch.arange(COUNT) * 20.0)


def test_it_can_be_read_as_a_file_object(made):
    source = made()[0].get_stream_source()
    assert isinstance(source, io.BytesIO) and levels(read_frames(source)) == list(range(COUNT))


def test_an_error_names_the_node_that_made_the_video_and_leaves_no_file(made, tmp_path, temp):
    video, notes = made(count=5, error=RuntimeError("the weights are broken"))
    with pytest.raises(VideoError, match=r"made by Decode Video \(node 7\) cannot be decoded: the weights are broken"):
        video.save_to(str(tmp_path / "a.mp4"))
    assert list(tmp_path.glob("*.mp4")) + list(tmp_path.glob(".*")) + list(temp.iterdir()) == [] and notes.open == 0


def test_too_few_frames_are_told(made):
    with pytest.raises(VideoError, match="ended after 5 of 12 frames"):
        made(count=5)[0].get_components()


def test_a_cancel_passes_through_and_leaves_no_file(made, tmp_path, temp):
    import comfy.model_management as mm

    video, _ = made(count=5, error=mm.InterruptProcessingException())
    with pytest.raises(mm.InterruptProcessingException):
        video.save_to(str(tmp_path / "a.mp4"))
    assert list(tmp_path.glob("*.mp4")) + list(tmp_path.glob(".*")) + list(temp.iterdir()) == []


def test_the_quality_can_be_chosen(temp, tmp_path):
    from comfyui_spacetime.nodes.lazy_video import LazyVideo

    noise = [np.random.default_rng(i).integers(0, 256, (96, 96, 3), np.uint8) for i in range(4)]
    video, sizes = LazyVideo(lambda: noise, 96, 96, 4, 8), []
    for crf in (10.0, 40.0):
        video.save_to(str(tmp_path / "a.mp4"), format="mp4", codec="h264", crf=crf, color_space=None)
        sizes.append((tmp_path / "a.mp4").stat().st_size)
    assert sizes[0] > 2 * sizes[1]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"format": "avi"}, 'cannot be written as "avi"'),
        ({"codec": "lossless"}, "saved as h264 or av1"),
        ({"color_space": "HDR"}, "8-bit sRGB"),
        ({"bit_depth": 10}, "8-bit frames"),
    ],
)
def test_what_cannot_be_written_gets_a_sentence(made, tmp_path, options, sentence):
    video, notes = made()
    with pytest.raises(VideoError, match=sentence):
        video.save_to(str(tmp_path / "a.mp4"), **options)
    assert notes.runs == 0 and list(tmp_path.glob("*.mp4")) == []
