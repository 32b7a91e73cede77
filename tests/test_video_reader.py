# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading videos: frames one at a time, the right way up, at the wanted rate, range and size."""

from __future__ import annotations

import io
import itertools
import socket
from fractions import Fraction

import av
import numpy as np
import pytest
import torch

from comfyui_spacetime.video.errors import VideoError
from comfyui_spacetime.video.frames import as_rate, chunked, fit_frame, legal_size, resample, to_bytes, to_floats
from comfyui_spacetime.video.reader import Audio, probe, read_audio, read_frames
from comfyui_spacetime.video.timing import read_timing
from comfyui_spacetime.video.writer import write_video


def grey(count, width=64, height=48):
    for index in range(count):
        yield np.full((height, width, 3), 4 * index, np.uint8)


@pytest.fixture(scope="module")
def movie(tmp_path_factory):
    """60 frames at 24 per second, frame i has grey level 4 i; with a second and a half of sound."""
    path = tmp_path_factory.mktemp("movie") / "movie.mp4"
    sound = Audio(np.full((1, 72000), 0.25, np.float32), 48000)
    write_video(path, grey(60), fps=24, crf=4, audio=sound)
    return path


def numbers(frames):
    return [round(float(frame.mean()) / 4) for frame in frames]


def test_probe_tells_size_rate_length_and_sound(movie):
    info = probe(movie)
    assert (info.width, info.height, info.fps, info.frame_count, info.has_audio) == (64, 48, 24, 60, True)
    assert info.duration == pytest.approx(2.5)


def test_every_frame_in_order(movie):
    assert numbers(read_frames(movie)) == list(range(60))


def test_reading_is_lazy(movie):
    assert numbers(itertools.islice(read_frames(movie), 3)) == [0, 1, 2]


def test_a_lower_rate_takes_the_frame_on_show(movie):
    assert numbers(read_frames(movie, fps=8)) == list(range(0, 60, 3))


def test_a_higher_rate_repeats_frames(movie):
    assert numbers(read_frames(movie, fps=48)) == [i // 2 for i in range(120)]


def test_an_uneven_rate_keeps_the_length(movie):
    shown = numbers(read_frames(movie, fps=10))
    assert len(shown) == 25 and shown == [int(i * 2.4 + 0.25) for i in range(25)]


@pytest.mark.parametrize(("start", "duration", "expected"), [(1.0, 0.5, range(24, 36)), (2.0, None, range(48, 60))])
def test_trimming_is_exact_to_the_frame(movie, start, duration, expected):
    assert numbers(read_frames(movie, start=start, duration=duration)) == list(expected)


def test_trimming_and_resampling_together(movie):
    assert numbers(read_frames(movie, start=0.5, duration=1, fps=8)) == list(range(12, 36, 3))


def test_a_file_object_reads_like_a_file(movie):
    memory = io.BytesIO(movie.read_bytes())
    assert probe(memory).frame_count == 60
    assert numbers(read_frames(memory, fps=8)) == list(range(0, 60, 3))


def test_sound_comes_with_its_rate_and_can_be_trimmed(movie):
    sound = read_audio(movie)
    assert sound is not None and sound.rate == 48000 and sound.samples.shape[1] == pytest.approx(72000, abs=2048)
    part = read_audio(movie, start=0.5, duration=0.5)
    assert part is not None and part.samples.shape == (1, 24000)
    assert part.samples.mean() == pytest.approx(0.25, abs=0.02)


def test_a_file_without_sound_gives_none(tmp_path):
    write_video(tmp_path / "a.mp4", grey(3), fps=8)
    assert read_audio(tmp_path / "a.mp4") is None and not probe(tmp_path / "a.mp4").has_audio


@pytest.mark.parametrize("turn", [90, -90, 180])
def test_a_turned_phone_clip_stands_upright(tmp_path, turn):
    upright = np.zeros((48, 64, 3), np.uint8)
    upright[:16, :16] = (255, 255, 255)  # a white corner, top left
    stored = np.rot90(upright, -turn // 90)
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        if not hasattr(stream, "set_display_rotation"):
            pytest.skip("this PyAV cannot write a rotation")
        stream.width, stream.height, stream.pix_fmt = stored.shape[1], stored.shape[0], "yuv420p"
        stream.set_display_rotation(turn)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(stored), format="rgb24")))
        container.mux(stream.encode(None))
    info, frame = probe(tmp_path / "a.mp4"), next(read_frames(tmp_path / "a.mp4"))
    assert (info.width, info.height) == (64, 48) and frame.shape == (48, 64, 3)
    assert frame[4, 4].min() > 200 and frame[40, 40].max() < 50 and frame[4, 60].max() < 50


def test_a_still_picture_is_a_clip_of_one_frame(tmp_path):
    from PIL import Image

    Image.fromarray(np.full((30, 40, 3), 77, np.uint8)).save(tmp_path / "a.png")
    frames = list(read_frames(tmp_path / "a.png"))
    assert len(frames) == 1 and frames[0].shape == (30, 40, 3) and frames[0][0, 0, 0] == 77


# -- what cannot be read -------------------------------------------------------------------------------------------


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(VideoError, match=r"There is no file .*none\.mp4"):
        probe(tmp_path / "none.mp4")


@pytest.mark.parametrize("content", [b"", b"this is a text, no video\n" * 50])
def test_what_is_no_video_gets_a_sentence(tmp_path, content):
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(VideoError, match=r"a\.mp4 is not a video, or it is cut off"):
        list(read_frames(tmp_path / "a.mp4"))


def test_a_cut_off_file_gets_a_sentence(movie, tmp_path):
    data = movie.read_bytes()
    (tmp_path / "a.mp4").write_bytes(data[: len(data) // 2])
    with pytest.raises(VideoError, match="cut off"):
        list(read_frames(tmp_path / "a.mp4"))


def test_a_file_whose_index_survived_the_cut_is_found_out(tmp_path):
    noise = (np.random.default_rng(i).integers(0, 256, (64, 64, 3), np.uint8) for i in range(48))
    with av.open(str(tmp_path / "whole.mp4"), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for frame in noise:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    data = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "a.mp4").write_bytes(data[: len(data) // 2])
    with pytest.raises(VideoError, match=r"a\.mp4 is (cut off|damaged)"):
        list(read_frames(tmp_path / "a.mp4"))


def test_a_sound_file_has_no_picture(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(VideoError, match="no picture track"):
        probe(tmp_path / "a.mp4")


def test_a_start_behind_the_end_has_no_frames(movie):
    with pytest.raises(VideoError, match="no frames after 99 s"):
        list(read_frames(movie, start=99))


def test_a_folder_is_no_video(tmp_path):
    with pytest.raises(VideoError, match="is a folder"):
        probe(tmp_path)


def test_a_playlist_cannot_open_addresses(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"
        (tmp_path / "a.m3u8").write_text(f"#EXTM3U\n#EXTINF:1,\n{address}\n#EXT-X-ENDLIST\n")
        with pytest.raises(VideoError):
            list(read_frames(tmp_path / "a.m3u8"))
        with pytest.raises(TimeoutError):  # nobody called
            server.accept()


# -- conversions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fps", "rate"),
    [(8, 8), (29.97, Fraction(30000, 1001)), (23.976, Fraction(24000, 1001)), (12.5, Fraction(25, 2)), ("16", 16)],
)
def test_rates_become_exact(fps, rate):
    assert as_rate(fps) == rate


def test_crop_keeps_the_middle_and_the_aspect():
    frame = np.zeros((40, 100, 3), np.uint8)
    frame[:, 30:70] = 255
    assert fit_frame(frame, 20, 20, "crop").shape == (20, 20, 3)
    assert fit_frame(frame, 20, 20, "crop").min() >= 250


def test_pad_keeps_everything_between_black_bars():
    padded = fit_frame(np.full((40, 80, 3), 255, np.uint8), 32, 32, "pad")
    assert padded.shape == (32, 32, 3) and padded[16].min() > 250 and padded[:8].max() == 0 and padded[24:].max() == 0


def test_stretch_uses_the_whole_area():
    assert fit_frame(np.full((40, 80, 3), 255, np.uint8), 32, 32, "stretch").min() > 250


def test_an_unknown_fit_is_refused():
    with pytest.raises(VideoError, match='"zoom" is not a way'):
        fit_frame(np.zeros((4, 4, 3), np.uint8), 2, 2, "zoom")


def test_sizes_snap_to_the_nearest_legal_one():
    assert legal_size(1920, 1080, 32) == (1920, 1088) and legal_size(5, 47, 32) == (32, 32)


def test_frames_are_grouped_for_a_causal_network():
    assert [len(c) for c in chunked(grey(12), 5, 4)] == [5, 4, 3]


def test_frames_of_two_sizes_are_refused():
    with pytest.raises(VideoError, match="64x48 at first, then 10x20"):
        list(chunked([*grey(1), np.zeros((20, 10, 3), np.uint8)], 4, 4))


def test_resampling_uneven_time_stamps_keeps_their_moments():
    times = [Fraction(0), Fraction(1, 10), Fraction(9, 10)]
    timed = [(t, np.full((2, 2, 3), i, np.uint8)) for i, t in enumerate(times)]
    shown = [int(f[0, 0, 0]) for f in resample(timed, Fraction(10), Fraction(5))]
    assert shown == [0, 1, 1, 1, 1]


@pytest.mark.parametrize(("rate", "count", "fps"), [(1, 10, 24), (1, 3, 10), (2, 10, 24), (8, 33, 60), (10, 30, 60)])
def test_slow_pictures_stand_their_whole_time_at_a_higher_rate(rate, count, fps):
    timed = [(Fraction(i, rate), np.full((2, 2, 3), i, np.uint8)) for i in range(count)]
    shown = [int(f[0, 0, 0]) for f in resample(timed, Fraction(rate), Fraction(fps))]
    # an output frame's time may be less than a quarter of its length before the picture's
    assert shown == [int(min(count - 1, rate * (k + 0.25 - 1e-9) // fps)) for k in range(round(count * fps / rate))]


def test_a_moment_of_a_slow_animation_has_its_frames(tmp_path):
    from PIL import Image

    first, *rest = (Image.fromarray(frame) for frame in grey(3))
    first.save(tmp_path / "a.gif", save_all=True, append_images=rest, duration=1000)
    assert len(list(read_frames(tmp_path / "a.gif", fps=24, duration=0.25))) == 6
    for start, duration in ((0, None), (1.5, None), (0.9, 1.2)):
        window = Fraction(start).limit_denominator(100), duration and Fraction(duration).limit_denominator(100)
        frames = list(read_frames(tmp_path / "a.gif", fps=24, start=start, duration=duration))
        assert (
            len(frames)
            == read_timing(tmp_path / "a.gif").count_of(Fraction(24), *window)
            == (round(24 * (duration or 3 - start)))
        )


def test_bytes_and_floats_are_inverse():
    frames = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, -1)
    assert np.array_equal(to_bytes(to_floats(frames)), frames)
    assert to_bytes(torch.tensor([[[-1.0, 0.5, 2.0]]])).tolist() == [[[0, 128, 255]]]
