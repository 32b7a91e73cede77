# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing videos: exact frames in, a whole file or none out."""

from __future__ import annotations

import errno
import io
import json
import shutil
from collections import namedtuple
from fractions import Fraction

import av
import numpy as np
import pytest

from comfyui_spacetime.video.errors import VideoError
from comfyui_spacetime.video.reader import Audio, probe, read_audio, read_frames
from comfyui_spacetime.video.writer import VideoWriter, write_video


def clip(count=8, width=64, height=48):
    """Frames of one grey level each, so that order and loss are easy to read."""
    for index in range(count):
        yield np.full((height, width, 3), 20 + 20 * index, np.uint8)


def levels(path):
    return [round(float(frame.mean()) / 20) - 1 for frame in read_frames(path)]


def test_frames_come_back_in_order_at_their_rate(tmp_path):
    written = write_video(tmp_path / "a.mp4", clip(), fps=Fraction(30000, 1001))
    assert (written.frames, written.width, written.height) == (8, 64, 48)
    info = probe(tmp_path / "a.mp4")
    assert (info.width, info.height, info.fps, info.frame_count) == (64, 48, Fraction(30000, 1001), 8)
    assert levels(tmp_path / "a.mp4") == list(range(8))


def test_colours_survive(tmp_path):
    colour = np.array([200, 120, 30], np.uint8)
    write_video(tmp_path / "a.mp4", (np.broadcast_to(colour, (64, 64, 3)) for _ in range(3)), fps=8)
    for frame in read_frames(tmp_path / "a.mp4"):
        assert np.abs(frame.astype(int) - colour).max() <= 4


def test_the_lossless_codec_is_exact(tmp_path):
    noise = [np.random.default_rng(i).integers(0, 256, (48, 64, 3), np.uint8) for i in range(5)]
    write_video(tmp_path / "a.mkv", noise, fps=8, container="mkv", codec="lossless")
    back = list(read_frames(tmp_path / "a.mkv"))
    assert len(back) == 5 and all(np.array_equal(a, b) for a, b in zip(noise, back, strict=True))


@pytest.mark.parametrize(("container", "codec"), [("mkv", "h264"), ("webm", "av1"), ("mp4", "av1")])
def test_other_containers_and_codecs(tmp_path, container, codec):
    sound = Audio(np.zeros((2, 48000), np.float32), 48000)
    path = tmp_path / f"a.{container}"
    write_video(path, clip(width=96, height=96), fps=8, audio=sound, container=container, codec=codec)
    assert levels(path) == list(range(8))
    assert probe(path).has_audio


@pytest.mark.parametrize("size", [(63, 47), (1, 1), (33, 64)])
def test_odd_sizes_are_filled_up_to_even_ones(tmp_path, size):
    written = write_video(tmp_path / "a.mp4", clip(3, *size), fps=8)
    assert (written.width, written.height) == (size[0] + size[0] % 2, size[1] + size[1] % 2)
    assert levels(tmp_path / "a.mp4") == [0, 1, 2]


def test_tags_keep_the_workflow(tmp_path):
    write_video(tmp_path / "a.mp4", clip(), fps=8, metadata={"workflow": {"nodes": [1, 2]}, "note": "hi"})
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert json.loads(container.metadata["workflow"]) == {"nodes": [1, 2]}
        assert container.metadata["note"] == "hi"


def test_crf_trades_size_for_quality(tmp_path):
    noise = [np.random.default_rng(i).integers(0, 256, (96, 96, 3), np.uint8) for i in range(4)]
    sizes = []
    for crf in (10, 40):
        write_video(tmp_path / "a.mp4", noise, fps=8, crf=crf)
        sizes.append((tmp_path / "a.mp4").stat().st_size)
    assert sizes[0] > 2 * sizes[1]


@pytest.mark.parametrize(("channels", "rate"), [(1, 44100), (2, 48000), (6, 24000), (2, 12345)])
def test_sound_is_written_and_cut_to_the_picture(tmp_path, channels, rate):
    time = np.arange(3 * rate) / rate
    tone = np.broadcast_to(0.5 * np.sin(2 * np.pi * 440 * time), (channels, 3 * rate)).astype(np.float32)
    write_video(tmp_path / "a.mp4", clip(8), fps=8, audio=Audio(tone, rate))
    back = read_audio(tmp_path / "a.mp4")
    assert back is not None and back.samples.shape[0] == min(channels, 2) if channels <= 2 else 1
    assert back.samples.shape[1] / back.rate == pytest.approx(1.0, abs=0.1)
    middle = back.samples[0, back.rate // 4 : back.rate // 2]
    assert np.sqrt((middle**2).mean()) == pytest.approx(0.5 / np.sqrt(2), rel=0.1)
    assert np.argmax(np.abs(np.fft.rfft(middle))) == pytest.approx(110, abs=2)  # 440 Hz in a quarter of a second


def test_a_file_object_gets_the_same_video():
    memory = io.BytesIO()
    write_video(memory, clip(), fps=8)
    assert levels(memory) == list(range(8))


def test_frames_are_pulled_one_at_a_time(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", fps=8) as writer:
        for count, frame in enumerate(clip(), 1):
            writer.write(frame)
            assert writer.count == count
            assert not (tmp_path / "a.mp4").exists()  # nothing carries the name before it is whole
        writer.finish()
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


class Cancelled(BaseException):
    """As a host's cancel: no ordinary error."""


@pytest.mark.parametrize("error", [RuntimeError("boom"), Cancelled(), KeyboardInterrupt()])
def test_an_error_or_cancel_leaves_nothing_and_passes_through(tmp_path, error):
    closed = []

    def broken():
        try:
            yield from clip(4)
            raise error
        finally:
            closed.append(True)

    with pytest.raises(type(error)):
        write_video(tmp_path / "a.mp4", broken(), fps=8)
    assert list(tmp_path.iterdir()) == [] and closed == [True]


def test_a_failed_rewrite_keeps_the_old_file(tmp_path):
    write_video(tmp_path / "a.mp4", clip(), fps=8)
    with pytest.raises(VideoError, match="no frames"):
        write_video(tmp_path / "a.mp4", [], fps=8)
    assert levels(tmp_path / "a.mp4") == list(range(8))


def test_a_failed_write_leaves_a_file_object_as_it_was():
    memory = io.BytesIO(b"before")
    memory.seek(6)
    frames = [*clip(4), np.zeros((10, 10, 3), np.uint8)]
    with pytest.raises(VideoError, match="Frame 5 is 10x10 pixels, but the video is 64x48"):
        write_video(memory, frames, fps=8)
    assert memory.getvalue() == b"before"


class FullDisk(io.BytesIO):
    def write(self, data):
        if self.tell() + len(data) > 3000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


def test_a_disk_that_fills_up_is_named():
    noise = (np.random.default_rng(i).integers(0, 256, (96, 96, 3), np.uint8) for i in range(90))
    with pytest.raises(VideoError, match="the disk is full"):
        write_video(FullDisk(), noise, fps=8)


def test_a_full_disk_is_refused_before_any_work(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 10, 0))
    with pytest.raises(VideoError, match="is full"):
        VideoWriter(tmp_path / "a.mp4", fps=8)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"fps": 0}, "not a usable frame rate"),
        ({"fps": float("nan")}, "not a frame rate"),
        ({"fps": 8, "container": "avi"}, 'cannot be written as "avi"'),
        ({"fps": 8, "container": "webm", "codec": "h264"}, "webm files take av1"),
    ],
)
def test_wrong_settings_get_a_sentence(tmp_path, options, sentence):
    with pytest.raises(VideoError, match=sentence):
        write_video(tmp_path / "a.mp4", clip(), **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("frame", [np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), np.uint8), "frame"])
def test_wrong_frames_get_a_sentence(tmp_path, frame):
    with pytest.raises(VideoError, match="uint8 array of shape"):
        write_video(tmp_path / "a.mp4", [frame], fps=8)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(VideoError, match="there is no folder"):
        write_video(tmp_path / "none" / "a.mp4", clip(), fps=8)
