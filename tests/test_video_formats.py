# SPDX-License-Identifier: GPL-3.0-or-later
"""Every format of the data files: written, read back, with sound and workflow where it can carry them."""

from __future__ import annotations

import io
import json
import wave
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from comfyui_spacetime.video import encoders, formats, tags
from comfyui_spacetime.video.encoders import pick_encoder
from comfyui_spacetime.video.errors import VideoError
from comfyui_spacetime.video.formats import Codec, Encoder, find_format, settings_of
from comfyui_spacetime.video.reader import Audio, probe, read_audio, read_frames
from comfyui_spacetime.video.sequence import SequenceWriter, read_sequence
from comfyui_spacetime.video.timing import read_timing
from comfyui_spacetime.video.writer import VideoWriter, write_all

COUNT = 12
FILES = [name for name in formats.formats() if name != "png"]
WORKFLOW = {"nodes": [{"title": "ein Fuchs läuft 狐"}]}


def moving(count=COUNT, width=96, height=64):
    """A white square that moves over a colour ramp."""
    for index in range(count):
        frame = np.empty((height, width, 3), np.uint8)
        frame[..., 0] = np.linspace(0, 250, width)[None]
        frame[..., 1] = np.linspace(0, 250, height)[:, None]
        frame[..., 2] = 120
        frame[8:24, 4 * index : 4 * index + 16] = 255
        yield frame


def tone(seconds=2.0, rate=48000, channels=2):
    time = np.arange(int(seconds * rate)) / rate
    return Audio(np.broadcast_to(0.5 * np.sin(2 * np.pi * 440 * time), (channels, len(time))).astype(np.float32), rate)


def write(path, name, frames=None, **options):
    chosen = find_format(name)
    settings = {"fps": 8, "container": chosen.container.name, "codec": chosen.codec.name, **options}
    return write_all(VideoWriter(path, **settings), moving() if frames is None else frames)


def loudness(samples):
    return float(np.sqrt((samples**2).mean()))


@pytest.mark.parametrize("name", FILES)
def test_every_format_reads_back_what_was_written(tmp_path, name):
    chosen = find_format(name)
    path = tmp_path / f"a.{chosen.container.suffix}"
    written = write(path, name, audio=tone(), quality="best")
    assert (written.frames, written.width, written.height) == (COUNT, 96, 64)
    assert read_timing(path).count == COUNT and float(read_timing(path).end) == pytest.approx(1.5, abs=0.02)
    errors = [np.abs(a.astype(int) - b).mean() for a, b in zip(read_frames(path), moving(), strict=True)]
    assert max(errors) <= (0 if chosen.codec.lossless else 6)
    if not chosen.container.sound:
        assert not probe(path).has_audio
        return
    sound = read_audio(path)
    middle = sound.samples[:, sound.rate // 4 : sound.rate]
    assert sound.samples.shape[0] == 2 and loudness(middle) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)
    assert sound.samples.shape[1] / sound.rate == pytest.approx(1.5, abs=0.05)


@pytest.mark.parametrize(("fps", "count"), [("1", 2), ("5", 2), ("7.3", 9), ("14.7", 9), ("60", 33)])
def test_a_moving_png_has_the_length_of_its_pictures_at_any_rate(tmp_path, fps, count):
    write(tmp_path / "a.png", "apng", moving(count), fps=Fraction(fps))
    found = read_timing(tmp_path / "a.png")
    assert found.count == count and float(found.end) == pytest.approx(count / float(fps), rel=0.01)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("size", [(63, 47), (1, 1)])
def test_every_format_takes_odd_sizes_or_says_which_it_takes(tmp_path, name, size):
    path = tmp_path / f"a.{find_format(name).container.suffix}"
    if min(size) < find_format(name).codec.least:
        with pytest.raises(VideoError, match=r"takes pictures of at least \d+x\d+ pixels, and these are 2x2"):
            write(path, name, moving(5, *size))
        assert list(tmp_path.iterdir()) == []
        return
    write(path, name, moving(5, *size))
    width, height = probe(path).width, probe(path).height
    assert (width - size[0], height - size[1]) in ((0, 0), (1, 1)) and len(list(read_frames(path))) >= 1


@pytest.mark.parametrize("name", FILES)
def test_the_workflow_travels_with_every_format_that_can_carry_it(tmp_path, name):
    chosen = find_format(name)
    path = tmp_path / f"a.{chosen.container.suffix}"
    write(path, name, metadata={"workflow": WORKFLOW, "prompt": {"1": {}}})
    kind = chosen.container.tags
    if kind == "header":
        with av.open(str(path)) as container:
            found = {key.lower(): value for key, value in container.metadata.items()}  # mkv writes names in capitals
            texts = found["workflow"], found["prompt"]
    elif kind == "webp":
        exif = Image.open(path).getexif()
        texts = exif[0x010F].removeprefix("workflow:"), exif[0x0110].removeprefix("prompt:")
    elif kind == "png":
        with Image.open(path) as picture:
            picture.load()
            info = picture.info
        texts = info["workflow"], info["prompt"]
    else:
        assert name == "gif"
        return
    assert json.loads(texts[0]) == WORKFLOW and json.loads(texts[1]) == {"1": {}}
    assert len(list(read_frames(path))) == COUNT  # the tags have not hurt the pictures


@pytest.mark.parametrize("name", ["h264 mp4", "h265 mp4", "av1 mp4", "vp9 webm", "prores mov", "webp", "gif"])
def test_a_better_quality_is_larger_and_closer(tmp_path, name):
    noise = np.random.default_rng(0).integers(0, 60, (64, 96, 1), np.uint8)
    frames = [np.clip(frame + noise, 0, 255).astype(np.uint8) for frame in moving(6)]
    sizes, errors = [], []
    for level in ("draft", "best"):
        path = tmp_path / f"{level}.{find_format(name).container.suffix}"
        write(path, name, frames, quality=level)
        sizes.append(path.stat().st_size)
        back = next(read_frames(path)).astype(int)
        errors.append(np.abs(back - frames[0]).mean())
    assert sizes[0] < sizes[1] and errors[0] > errors[1]


def test_a_crf_goes_before_the_quality(tmp_path):
    x264 = formats.codecs()["h264"]
    software = x264.present(hardware=False)[0]
    assert settings_of(x264, software, Fraction(8), "draft", None)["crf"] == "30"
    assert settings_of(x264, software, Fraction(8), "draft", 7.5)["crf"] == "7.5"


def test_a_file_of_h265_opens_on_apple_devices(tmp_path):
    write(tmp_path / "a.mp4", "h265 mp4")
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].codec_context.codec_tag == "hvc1"
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p10le"


def test_a_moving_png_with_a_long_text_in_front_still_moves(tmp_path):
    write(tmp_path / "a.png", "apng")
    data = (tmp_path / "a.png").read_bytes()
    long_text = tags.png_chunks({"note": "x" * 100_000})
    (tmp_path / "a.png").write_bytes(data[:33] + long_text + data[33:])
    assert len(list(read_frames(tmp_path / "a.png"))) == COUNT == read_timing(tmp_path / "a.png").count


def test_moving_pictures_repeat_for_ever(tmp_path):
    for name, suffix in (("gif", "gif"), ("webp", "webp"), ("apng", "png")):
        write(tmp_path / f"a.{suffix}", name)
        with Image.open(tmp_path / f"a.{suffix}") as picture:
            assert picture.n_frames == COUNT and picture.info["loop"] == 0


def test_equal_pictures_of_a_webp_become_one_that_stands(tmp_path):
    still = np.full((48, 64, 3), 90, np.uint8)
    write(tmp_path / "a.webp", "webp", [*moving(1, 64, 48), *[still] * 7])
    assert float(read_timing(tmp_path / "a.webp").end) == pytest.approx(1.0)
    assert len(list(read_frames(tmp_path / "a.webp", fps=8))) == 8


def test_a_still_webp_carries_its_workflow_too(tmp_path):
    write(tmp_path / "a.webp", "webp", moving(1), metadata={"workflow": WORKFLOW})
    with Image.open(tmp_path / "a.webp") as picture:
        assert json.loads(picture.getexif()[0x010F].removeprefix("workflow:")) == WORKFLOW
        picture.load()
    plain = Image.fromarray(next(moving(1)))
    plain.save(tmp_path / "b.webp")  # a file without the chunk that announces others
    tags.write_tags(tmp_path / "b.webp", "webp", {"prompt": "{}"})
    with Image.open(tmp_path / "b.webp") as picture:
        assert picture.getexif()[0x0110] == "prompt:{}" and picture.size == plain.size
        picture.load()


# -- a folder of pictures ------------------------------------------------------------------------------------------


def test_a_sequence_is_a_folder_of_exact_pictures_with_the_sound_beside_them(tmp_path):
    writer = SequenceWriter(tmp_path / "a", fps=Fraction(30000, 1001), audio=tone(), metadata={"workflow": WORKFLOW})
    written = write_all(writer, moving())
    assert written.frames == COUNT and [path.name for path in tmp_path.iterdir()] == ["a"]
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == [f"{n:06}.png" for n in range(1, COUNT + 1)] + ["sound.wav"]
    assert all(np.array_equal(a, b) for a, b in zip(read_sequence(tmp_path / "a"), moving(), strict=True))
    with Image.open(tmp_path / "a" / "000005.png") as picture:
        assert json.loads(picture.info["workflow"]) == WORKFLOW and picture.info["frame_rate"] == "30000/1001"
    with wave.open(str(tmp_path / "a" / "sound.wav")) as sound:
        assert sound.getnchannels() == 2
        assert sound.getnframes() / 48000 == pytest.approx(COUNT * 1001 / 30000, abs=1e-3)


def test_a_sequence_that_fails_leaves_no_folder(tmp_path):
    def broken():
        yield from moving(3)
        raise RuntimeError("boom")

    with pytest.raises(RuntimeError):
        write_all(SequenceWriter(tmp_path / "a", fps=8), broken())
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(VideoError, match="no frames"):
        write_all(SequenceWriter(tmp_path / "a", fps=8), [])


def test_a_sequence_does_not_overwrite(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(VideoError, match="something of that name is there"):
        SequenceWriter(tmp_path / "a", fps=8)


# -- whole or not at all -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_a_cancel_leaves_nothing_in_any_format(tmp_path, name):
    def broken():
        yield from moving(5)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / f"a.{find_format(name).container.suffix}", name, broken())
    assert list(tmp_path.iterdir()) == []


def test_a_step_that_fails_leaves_nothing(tmp_path):
    def fail(path):
        assert path.exists() and path.name.startswith(".")
        raise VideoError("no")

    chosen = find_format("webp")
    with pytest.raises(VideoError, match="no"):
        write_all(VideoWriter(tmp_path / "a.webp", fps=8, container="webp", codec=chosen.codec.name), moving(), fail)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_while_the_workflow_is_put_in_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tags, "png_chunks", full)
    with pytest.raises(VideoError, match="the disk is full"):
        write(tmp_path / "a.png", "apng", metadata={"workflow": WORKFLOW})
    assert list(tmp_path.iterdir()) == []


# -- what is offered -----------------------------------------------------------------------------------------------


HARD = Encoder("h264_nvenc", "yuv420p", hardware=True)


def test_hardware_comes_first_and_is_left_where_it_does_not_open(monkeypatch, caplog):
    soft = Encoder("libx264", "yuv420p")
    codec = Codec("h264", "", ("mp4",), (HARD, soft), levels={"high": 18})
    monkeypatch.setattr(av, "codecs_available", {"libx264", "h264_nvenc"})
    monkeypatch.setattr(encoders, "_told", set())
    caplog.set_level("INFO")
    for reason, expected in (("", HARD), ("no driver", soft), ("no driver", soft)):
        monkeypatch.setattr(encoders, "trial", lambda *_, reason=reason: reason)
        assert pick_encoder(codec, (64, 64), Fraction(8), "high", hardware=True) is expected
        assert pick_encoder(codec, (64, 64), Fraction(8), "high", hardware=False) is soft
    assert caplog.messages == ["h264_nvenc does not work here (no driver): the next encoder is used."]


def test_a_hardware_encoder_is_opened_and_given_a_picture():
    assert encoders.trial("h264", "libx264", (64, 48), Fraction(8), "high") == ""  # the trial itself works
    tried = encoders.survey()
    known = [e.name for codec in formats.codecs().values() for e in codec.present() if e.hardware]
    assert list(tried) == known  # whatever this computer has, each works or has a reason
    working = {name for name, reason in tried.items() if not reason}
    picked = pick_encoder(formats.codecs()["h264"], (640, 384), Fraction(24), "high", hardware=True)
    assert picked.name in working or not picked.hardware


def open_error(name, pixels, options):
    context = av.CodecContext.create(name, "w")
    context.width, context.height, context.pix_fmt = 640, 384, pixels
    context.time_base, context.framerate, context.options = Fraction(1, 24), Fraction(24), options
    try:
        context.open()
    except (av.FFmpegError, ValueError) as error:
        return getattr(error, "errno", str(error))
    return 0


@pytest.mark.parametrize("codec", formats.codecs().values(), ids=lambda codec: codec.name)
def test_what_is_set_on_hardware_encoders_is_what_they_take(codec):
    """libav checks options and pixel formats before it looks for the hardware, so this holds without any."""
    for encoder in [encoder for encoder in codec.present() if encoder.hardware]:
        plain = open_error(encoder.name, encoder.pixels, {})
        for level in formats.LEVELS:
            options = settings_of(codec, encoder, Fraction(24), level, None)
            assert open_error(encoder.name, encoder.pixels, options) == plain, (encoder.name, options)
        assert encoder.pixels in [form.name for form in av.Codec(encoder.name, "w").video_formats]


@pytest.mark.parametrize("as_file", [True, False])
def test_hardware_that_fails_when_the_file_is_begun_leaves_it_to_software(tmp_path, monkeypatch, as_file):
    """All sessions of a graphics card may be taken between the trial and the file."""
    monkeypatch.setattr(encoders, "trial", lambda *_: "")
    hardware = [entry.name for entry in formats.codecs()["h264"].present() if entry.hardware]
    if not hardware:
        pytest.skip("this libav has no encoder in hardware")
    target = tmp_path / "a.mp4" if as_file else io.BytesIO()
    assert write(target, "h264 mp4", hardware=True, audio=tone()).encoder in ("libx264", *hardware)
    assert len(list(read_frames(target))) == COUNT and probe(target).has_audio


def test_with_hardware_wished_a_file_is_written_anyway(tmp_path):
    assert write(tmp_path / "a.mp4", "h264 mp4", hardware=True).frames == COUNT


def test_a_format_whose_encoder_is_missing_says_so(monkeypatch):
    monkeypatch.setattr(
        av, "codecs_available", av.codecs_available - {e.name for e in formats.codecs()["av1"].encoders}
    )
    assert "no encoder for it (libsvtav1, libaom-av1)" in formats.formats()["av1 mp4"].missing()
    with pytest.raises(VideoError, match='"av1 mp4" cannot be written here'):
        find_format("av1 mp4")


def test_an_unknown_format_lists_the_known_ones():
    with pytest.raises(VideoError, match=r'no format "divx": choose one of h264 mp4, h264 mkv, h265 mp4'):
        find_format("divx")


def test_the_data_files_are_complete():
    names = formats.containers()
    for codec in formats.codecs().values():
        assert codec.title and codec.encoders and set(codec.containers) <= set(names)
        assert not codec.encoders[-1].hardware, "the last resort is software"
        for encoder in codec.encoders:
            wanted = encoder.quality or encoder.palette
            assert not wanted or set(encoder.levels or codec.levels) == set(formats.LEVELS), codec.name
            assert encoder.matrix in ("bt709", "bt601", "none")
