# SPDX-License-Identifier: GPL-3.0-or-later
"""Files as people have them: uneven times, ten bits, transparency, no length, any sound, broken ends."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace
from PIL import Image

from comfyui_spacetime.video import container, reader, timing
from comfyui_spacetime.video.errors import VideoError
from comfyui_spacetime.video.reader import Audio, probe, read_audio, read_frames
from comfyui_spacetime.video.sound import read_sound
from comfyui_spacetime.video.timing import read_timing
from comfyui_spacetime.video.writer import write_video


def film(path, frames, codec="libx264", pixels="yuv420p", rate=8, times=None, stream=None, **options):
    """Write frames (uint8, RGB or RGBA); ``times`` in ms make the rate uneven."""
    with av.open(str(path), "w", options=options) as out:
        track = out.add_stream(codec, rate=Fraction(rate))
        track.options = stream or {}
        for index, frame in enumerate(frames):
            if index == 0:
                track.height, track.width, track.pix_fmt = *frame.shape[:2], pixels
            if index == 0 and times is not None:
                track.codec_context.time_base = Fraction(1, 1000)
            picture = av.VideoFrame.from_ndarray(frame, format="rgba" if frame.shape[2] == 4 else "rgb24")
            picture = picture.reformat(format=pixels)
            picture.pts, picture.time_base = (
                (index, 1 / Fraction(rate)) if times is None else (times[index], Fraction(1, 1000))
            )
            out.mux(track.encode(picture))
        out.mux(track.encode(None))
    return path


def grey(count, step=5, size=(48, 64)):
    return [np.full((*size, 3), step * index, np.uint8) for index in range(count)]


def numbers(frames, step=5):
    return [round(float(frame.mean()) / step) for frame in frames]


# -- time ----------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["mp4", "mkv"])
def uneven(request, tmp_path):
    """30 a second with a pause of a second after the tenth picture."""
    times = [round(1000 * i / 30) + (1000 if i >= 10 else 0) for i in range(40)]
    return film(tmp_path / f"a.{request.param}", grey(40), rate=30, times=times)


def test_a_variable_rate_is_noticed_and_its_motion_rate_found(uneven):
    found = read_timing(uneven)
    assert found.variable and found.rate == 30 and found.count == 40
    assert float(found.end) == pytest.approx(40 / 30 + 1, abs=0.04)


def test_a_variable_rate_becomes_constant_with_every_picture_at_its_time(uneven):
    shown = numbers(read_frames(uneven, fps=30))
    assert len(shown) == 70 == read_timing(uneven).count_of(Fraction(30))
    assert shown[:10] == list(range(10)) and shown[10:40] == [9] * 30 and shown[40:] == list(range(10, 40))


@pytest.mark.parametrize("suffix", ["png", "gif", "webp"])
@pytest.mark.parametrize(("lengths", "seconds"), [((100, 100, 1000), 1.2), ((2000, 2000), 4.0), ((137,) * 9, 1.233)])
def test_the_pictures_of_an_animation_stand_as_long_as_it_says(tmp_path, suffix, lengths, seconds):
    first, *rest = (Image.fromarray(frame) for frame in grey(len(lengths), 20))
    first.save(tmp_path / f"a.{suffix}", save_all=True, append_images=rest, duration=list(lengths))
    found = read_timing(tmp_path / f"a.{suffix}")
    assert found.count == len(lengths) and float(found.end) == pytest.approx(seconds, abs=0.07)  # a gif has 1/100 s
    assert float(found.rate) == pytest.approx(1000 / lengths[0], rel=0.06)
    assert probe(tmp_path / f"a.{suffix}").duration == pytest.approx(seconds, abs=0.07)


def test_a_moving_png_is_trimmed_to_the_picture(tmp_path):
    first, *rest = (Image.fromarray(frame) for frame in grey(10, 20))
    first.save(tmp_path / "a.png", save_all=True, append_images=rest, duration=[100] * 9 + [500])
    assert numbers(read_frames(tmp_path / "a.png", start=0.5), 20) == [5, 6, 7, 8, 9]
    assert numbers(read_frames(tmp_path / "a.png", start=0.5, fps=20, duration=0.2), 20) == [5, 5, 6, 6]


def test_trimming_a_variable_rate_goes_by_the_clock(uneven):
    assert numbers(read_frames(uneven, fps=10, start=0.5, duration=1.0)) == [9] * 9 + [12]


def test_a_constant_rate_is_no_variable_one(tmp_path):
    for name, rate in (("a.mp4", 24), ("b.mkv", Fraction(24000, 1001)), ("c.webm", 60)):
        codec = "libvpx-vp9" if name.endswith("webm") else "libx264"
        film(tmp_path / name, grey(30), codec, rate=rate)
        found = read_timing(tmp_path / name)
        assert (found.variable, found.rate, found.count) == (False, rate, 30)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mkv", "libx264"), ("a.webm", "libvpx-vp9"), ("a.h264", "libx264"), ("a.ts", "libx264"), ("a.avi", "mpeg4")],
)
def test_without_a_length_in_the_header_the_pictures_are_counted(tmp_path, name, codec):
    live = {"live": "1"} if name.endswith(("mkv", "webm")) else {}
    path = film(tmp_path / name, grey(40), codec, stream={"g": "10", "b": "4000000"}, **live)
    info = probe(path)
    assert info.fps == 8 and info.duration == pytest.approx(5.0, abs=0.13)
    assert read_timing(path).count == 40 and numbers(read_frames(path)) == list(range(40))
    assert numbers(read_frames(path, start=2.5, duration=1.0)) == list(range(20, 28))
    assert numbers(read_frames(path, start=2.5, duration=1.0, fps=4)) == [20, 22, 24, 26]


def test_the_timing_of_a_file_is_read_once_until_it_changes(tmp_path, monkeypatch):
    path = film(tmp_path / "a.mp4", grey(8))
    first = read_timing(path)
    opened = []
    monkeypatch.setattr(
        timing, "open_container", lambda source: opened.append(source) or container.open_container(source)
    )
    assert read_timing(path) is first and opened == []
    film(path, grey(12))
    assert read_timing(path).count == 12 and len(opened) == 1


def test_a_file_in_memory_has_a_timing_too(tmp_path):
    memory = io.BytesIO(film(tmp_path / "a.mp4", grey(8)).read_bytes())
    assert read_timing(memory).count == 8 and numbers(read_frames(memory)) == list(range(8))


def noise(count):
    return [np.random.default_rng(index).integers(0, 256, (96, 128, 3), np.uint8) for index in range(count)]


def test_pictures_and_sound_of_a_file_in_memory_are_read_at_once_as_those_of_a_path(tmp_path):
    """As Save Video does; the file is larger than what libav reads ahead."""
    sound = Audio(np.random.default_rng(1).standard_normal((2, 96000)).astype(np.float32) / 9, 48000)
    write_video(tmp_path / "a.mp4", noise(48), fps=24, audio=sound, crf=4)
    memory = io.BytesIO((tmp_path / "a.mp4").read_bytes())
    assert len(memory.getvalue()) > 600_000
    written = []
    for name, source in (("path.mp4", tmp_path / "a.mp4"), ("memory.mp4", memory)):
        write_video(tmp_path / name, read_frames(source, fps=12), fps=12, audio=read_sound(source))
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1]


def test_nothing_is_decoded_to_tell_the_timing(tmp_path, monkeypatch):
    path = film(tmp_path / "a.mp4", grey(8))
    monkeypatch.setattr(container, "_decode", lambda *_: pytest.fail("decoded"))
    assert read_timing(path).count == 8


def test_only_a_few_pictures_are_decoded_for_a_late_start(tmp_path, monkeypatch):
    path = film(tmp_path / "a.mp4", grey(50), stream={"g": "10"})
    decoded, original = [], container._upright
    monkeypatch.setattr(container, "_upright", lambda *a: decoded.append(1) or original(*a))
    assert numbers(read_frames(path, start=5.0, duration=0.5)) == [40, 41, 42, 43]
    assert len(decoded) <= 16


# -- pictures ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pixels", ["yuv420p10le", "yuv422p10le", "yuv444p12le"])
def test_ten_and_twelve_bits_become_eight(tmp_path, pixels):
    path = film(
        tmp_path / "a.mkv", grey(5, 50), "libx265", pixels, stream={"crf": "4", "x265-params": "log-level=none"}
    )
    assert numbers(read_frames(path), 50) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("a.mov", "prores_ks", "yuva444p10le"),
        ("a.mov", "qtrle", "argb"),
        ("a.webm", "libvpx-vp9", "yuva420p"),
        ("a.apng", "apng", "rgba"),
        ("a.webp", "", ""),
    ],
)
def test_transparent_pictures_lie_over_the_background(tmp_path, name, codec, pixels):
    frame = np.full((48, 64, 4), 255, np.uint8)
    frame[:, :, 1] = 40
    frame[:, :32, 3] = 0  # the left half is not there, whatever its colour
    second = frame.copy()
    second[:4, 40:, 1] = 90
    if codec:
        path = film(tmp_path / name, [frame, second], codec, pixels)
    else:  # libav writes no transparency into this format
        path = tmp_path / name
        first, *rest = (Image.fromarray(picture) for picture in (frame, second))
        first.save(path, save_all=True, append_images=rest, duration=125, lossless=True)
    for background in ((0, 0, 0), (255, 255, 255), (0, 200, 0)):
        first = next(read_frames(path, background=background))
        assert np.abs(first[24, 8].astype(int) - background).max() <= 3
        assert np.abs(first[24, 56].astype(int) - (255, 40, 255)).max() <= 6


def test_half_transparent_is_half_background():
    picture = np.full((2, 2, 4), 200, np.uint8)
    picture[..., 3] = 128
    assert container.over(picture, (0, 0, 0))[0, 0, 0] == 100
    assert container.over(picture, (255, 255, 255))[0, 0, 0] == 227


@pytest.mark.parametrize("size", [(47, 63), (33, 9), (5, 5), (719, 1281)])
def test_odd_sizes_stay_what_they_are(tmp_path, size):
    path = film(tmp_path / "a.mkv", grey(3, 50, size), "ffv1", "bgr0")
    assert (probe(path).height, probe(path).width) == size
    assert [frame.shape for frame in read_frames(path)] == [(*size, 3)] * 3


@pytest.mark.parametrize(("height", "matrix"), [(1080, Colorspace.ITU709), (240, Colorspace.ITU601)])
def test_a_picture_that_names_no_colour_matrix_is_read_as_players_do(tmp_path, height, matrix):
    colour = np.array([200, 60, 30], np.uint8)
    picture = av.VideoFrame.from_ndarray(np.broadcast_to(colour, (height, 320, 3)).copy(), format="rgb24")
    with av.open(str(tmp_path / "a.mp4"), "w") as out:
        track = out.add_stream("libx264", rate=8)
        track.width, track.height, track.pix_fmt, track.options = 320, height, "yuv420p", {"crf": "1"}
        out.mux(track.encode(picture.reformat(format="yuv420p", dst_colorspace=matrix)))
        out.mux(track.encode(None))
    frame = next(read_frames(tmp_path / "a.mp4"))
    assert np.abs(frame[9, 9].astype(int) - colour).max() <= 3


def test_wide_pixels_become_square(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as out:
        track = out.add_stream("libx264", rate=8)
        track.width, track.height, track.pix_fmt = 48, 48, "yuv420p"
        track.codec_context.sample_aspect_ratio = Fraction(4, 3)
        out.mux(track.encode(av.VideoFrame.from_ndarray(grey(1)[0][:, :48].copy(), format="rgb24")))
        out.mux(track.encode(None))
    assert probe(tmp_path / "a.mp4").width == 64 and next(read_frames(tmp_path / "a.mp4")).shape == (48, 64, 3)


def test_an_animated_webp_reads_like_a_video(tmp_path):
    path = film(tmp_path / "a.webp", grey(12, 20), "libwebp_anim", "bgra", stream={"lossless": "1"})
    info = probe(path)
    assert (info.width, info.height, info.fps, info.frame_count) == (64, 48, 8, 12)
    assert numbers(read_frames(path), 20) == list(range(12))
    assert numbers(read_frames(io.BytesIO(path.read_bytes()), fps=4, start=0.5), 20) == [4, 6, 8, 10]


def test_a_gif_keeps_its_pace(tmp_path):
    path = film(tmp_path / "a.gif", grey(12, 20), "gif", "gray", rate=8)
    found = read_timing(path)
    assert found.count == 12 and found.rate == 8 and not found.variable
    assert numbers(read_frames(path), 20) == list(range(12))


# -- sound ---------------------------------------------------------------------------------------------------------


def tones(path, layout, rate=48000, seconds=2.0, codec="pcm_s16le", picture_at=0.0, sound_at=0.0):
    """A file whose channel number n holds the constant level (n + 1) / 20."""
    channels = len(av.AudioLayout(layout).channels)
    level = (np.arange(channels) + 1)[:, None] / 20
    samples = np.broadcast_to(level, (channels, int(seconds * rate))).astype(np.float32)
    with av.open(str(path), "w") as out:
        picture = out.add_stream("libx264", rate=8)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        sound = out.add_stream(codec, rate=rate, layout=layout)
        for index, frame in enumerate(grey(int(8 * seconds))):
            shown = av.VideoFrame.from_ndarray(frame, format="rgb24")
            shown.pts, shown.time_base = index + round(picture_at * 8), Fraction(1, 8)
            out.mux(picture.encode(shown))
        out.mux(picture.encode(None))
        for at in range(0, samples.shape[1], 1024):
            packed = np.ascontiguousarray(samples[:, at : at + 1024].T).reshape(1, -1)
            piece = av.AudioFrame.from_ndarray(packed, "flt", layout)
            piece.sample_rate, piece.time_base, piece.pts = rate, Fraction(1, rate), at + round(sound_at * rate)
            out.mux(sound.encode(piece))
        out.mux(sound.encode(None))
    return path


@pytest.mark.parametrize("layout", ["mono", "stereo", "2.1", "quad", "5.1", "7.1"])
def test_sound_of_any_layout_keeps_its_channels_as_a_stream(tmp_path, layout):
    sound = read_sound(tones(tmp_path / "a.mkv", layout))
    pieces = list(sound.pieces())
    whole = np.concatenate(pieces, 1)
    channels = len(av.AudioLayout(layout).channels)
    assert whole.shape == (channels, 96000) and len(pieces) > 10 and sound.rate == 48000
    if layout != "quad":  # which is kept as the other layout of four channels, 4.0
        assert np.allclose(whole[:, 48000], (np.arange(channels) + 1) / 20, atol=1e-3)


@pytest.mark.parametrize(("layout", "channels"), [("mono", 1), ("stereo", 2), ("5.1", 2), ("7.1", 2)])
def test_models_get_one_or_two_channels_that_do_not_clip(tmp_path, layout, channels):
    sound = read_audio(tones(tmp_path / "a.mkv", layout))
    assert sound.samples.shape == (channels, 96000) and 0 < sound.samples[:, 48000].max() < 0.5


def test_a_range_of_the_sound_is_cut_to_the_sample(tmp_path):
    path = tones(tmp_path / "a.mkv", "stereo", rate=44100)
    part = np.concatenate(list(read_sound(path).cut(0.5, 1.0).cut(0.25).pieces()), 1)
    assert part.shape == (2, round(0.75 * 44100))


def test_sound_stays_in_step_with_a_picture_that_begins_later(tmp_path):
    late_sound = read_audio(tones(tmp_path / "a.mkv", "mono", sound_at=0.5)).samples[0]
    assert np.abs(late_sound[:23000]).max() == 0 and late_sound[25000] == pytest.approx(0.05, abs=1e-3)
    early_sound = read_audio(tones(tmp_path / "b.mkv", "mono", picture_at=0.5)).samples[0]
    assert len(early_sound) == 72000 and early_sound[0] == pytest.approx(0.05, abs=1e-3)


# -- broken ends ---------------------------------------------------------------------------------------------------


@pytest.fixture
def cut_off(tmp_path):
    """A file whose index lies in front and whose second half is missing."""
    noise = [np.random.default_rng(i).integers(0, 256, (64, 64, 3), np.uint8) for i in range(48)]
    whole = film(tmp_path / "whole.mp4", noise, movflags="faststart", stream={"g": "8"}).read_bytes()
    (tmp_path / "a.mp4").write_bytes(whole[: len(whole) // 2])
    return tmp_path / "a.mp4"


def test_a_cut_off_file_is_refused_or_read_as_far_as_it_goes(cut_off):
    with pytest.raises(VideoError, match=r"a\.mp4 is (cut off|damaged)"):
        list(read_frames(cut_off))
    kept = list(read_frames(cut_off, keep_whole=True))
    found = read_timing(cut_off)
    assert found.cut_off and 15 < found.count < 33 and 0 <= found.count - len(kept) <= 4


def test_a_recording_that_was_cut_off_mid_stream_still_reads(tmp_path):
    data = film(tmp_path / "a.mkv", grey(40), stream={"g": "4"}, live="1").read_bytes()
    (tmp_path / "b.mkv").write_bytes(data[: len(data) * 3 // 4])
    shown = numbers(reader.read_frames(tmp_path / "b.mkv", keep_whole=True))
    assert len(shown) >= 16 and shown == list(range(len(shown)))
