# SPDX-License-Identifier: GPL-3.0-or-later
"""Load Video: a file as a lazy VIDEO, and any file VIDEO as a stream with one rate."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from test_video_sources import film, grey, numbers, tones

from comfyui_spacetime.video.errors import VideoError
from comfyui_spacetime.video.reader import Audio, probe, read_frames
from comfyui_spacetime.video.writer import write_video

pytestmark = pytest.mark.host


@pytest.fixture
def folder(inprocess: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The host's input folder, for this test alone; the output folder lies beside it."""
    import folder_paths

    for kind in ("input", "output", "temp"):
        (tmp_path / kind).mkdir()
        monkeypatch.setattr(folder_paths, f"get_{kind}_directory", lambda kind=kind: str(tmp_path / kind))
    return tmp_path / "input"


@pytest.fixture
def load(folder: Path) -> Any:
    """Run Load Video and return the VIDEO."""
    from comfyui_spacetime.nodes.load_video import LoadVideo

    return lambda *args, **named: LoadVideo.execute(*args, **named).result[0]


def uneven(path: Path) -> Path:
    times = [round(1000 * i / 30) + (1000 if i >= 10 else 0) for i in range(40)]
    return film(path, grey(40), rate=30, times=times)


def test_a_file_becomes_a_video_without_a_frame_being_decoded_but_one(load, folder, monkeypatch):
    from comfyui_spacetime.video import container

    film(folder / "a.mp4", grey(24), rate=8)
    decoded, original = [], container._upright
    monkeypatch.setattr(container, "_upright", lambda *a: decoded.append(1) or original(*a))
    video = load("a.mp4")
    assert (video.get_dimensions(), video.get_frame_count(), video.get_frame_rate()) == ((64, 48), 24, 8)
    assert len(decoded) <= 2
    assert numbers(video.frames()) == list(range(24))


def test_trimmed_resampled_and_scaled_while_it_is_read(load, folder):
    film(folder / "a.mp4", grey(40), rate=8)
    video = load("a.mp4", start=1.0, duration=2.0, fps=4.0, width=32)
    assert (video.get_dimensions(), video.get_frame_count(), video.get_duration()) == ((32, 24), 8, 2.0)
    assert numbers(video.frames()) == [8, 10, 12, 14, 16, 18, 20, 22]
    assert numbers(video.as_trimmed(1.0, 0.5).frames()) == [16, 18]


def test_an_uneven_rate_is_made_even_with_every_picture_at_its_time(load, folder):
    uneven(folder / "a.mp4")
    video = load("a.mp4")
    assert video.get_frame_rate() == 30 and video.get_frame_count() == 70
    assert numbers(video.frames()) == [*range(10), *[9] * 30, *range(10, 40)]


def test_our_nodes_read_the_stock_loaders_video_the_same_way(inprocess, tmp_path):
    from comfy_api.latest import InputImpl

    from comfyui_spacetime.nodes.video_input import VideoStream

    stream = VideoStream(InputImpl.VideoFromFile(str(uneven(tmp_path / "a.mp4"))))
    assert (stream.rate, stream.count) == (30, 70) and len(list(stream.frames())) == 70
    live = film(tmp_path / "b.mkv", grey(40), live="1")
    stream = VideoStream(InputImpl.VideoFromFile(str(live)))
    assert (stream.rate, stream.count) == (8, 40) and numbers(stream.frames()) == list(range(40))


def test_stock_nodes_read_our_video(load, folder):
    film(folder / "a.mp4", grey(8), rate=8)
    parts = load("a.mp4").get_components()
    assert parts.images.shape == (8, 48, 64, 3) and parts.frame_rate == 8 and parts.audio is None


def test_reading_twice_leaves_no_copy(load, folder):
    film(folder / "a.mp4", grey(8))
    video = load("a.mp4")
    assert numbers(video.frames()) == numbers(video.frames()) == list(range(8))
    assert list((folder.parent / "temp").iterdir()) == []


def test_six_channels_go_through_to_the_saved_file(load, folder):
    tones(folder / "a.mkv", "5.1")
    video = load("a.mkv", start=0.5, duration=1.0)
    assert video.sound().layout == "5.1"
    assert video.get_audio()["waveform"].shape == (1, 2, 48000)  # what models and stock nodes take
    video.save_to(str(folder / "b.mp4"))
    with av.open(str(folder / "b.mp4")) as saved:
        assert len(saved.streams.audio[0].layout.channels) == 6
        assert float(saved.streams.audio[0].duration * saved.streams.audio[0].time_base) == pytest.approx(1, abs=0.05)


def test_a_trimmed_video_takes_its_part_of_the_sound(load, folder):
    ramp = np.linspace(0, 1, 96000, dtype=np.float32)[None]
    write_video(folder / "a.mkv", iter(grey(16)), fps=8, audio=Audio(ramp, 48000), container="mkv")
    wave = load("a.mkv", start=0.5).as_trimmed(0.5, 0.5).get_audio()["waveform"][0, 0]
    assert len(wave) == 24000 and float(wave[12000]) == pytest.approx(0.625, abs=0.02)


def test_transparent_pictures_lie_over_the_chosen_colour(load, folder):
    clear = np.zeros((48, 64, 4), np.uint8)
    film(folder / "a.mov", [clear, clear], "prores_ks", "yuva444p10le")
    assert next(load("a.mov", background="white").frames()).min() > 250
    assert next(load("a.mov").frames()).max() < 5


def test_a_damaged_file_is_refused_or_used_as_far_as_it_goes(load, folder):
    noise = [np.random.default_rng(i).integers(0, 256, (64, 64, 3), np.uint8) for i in range(48)]
    whole = film(folder / "whole.mp4", noise, movflags="faststart", stream={"g": "8"}).read_bytes()
    (folder / "a.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(VideoError, match=r"a\.mp4 is cut off: 3\.00 s of it are there.*use what is whole"):
        load("a.mp4")
    video = load("a.mp4", if_damaged="use what is whole")
    assert 15 < video.get_frame_count() < 25 and len(list(video.frames())) == video.get_frame_count()


def test_a_range_behind_the_end_gets_a_sentence(load, folder):
    film(folder / "a.mp4", grey(8))
    with pytest.raises(VideoError, match=r"no frames after 5 s: it is 1\.00 s long"):
        load("a.mp4", start=5.0)


# -- names ---------------------------------------------------------------------------------------------------------


def test_the_list_holds_the_videos_of_the_input_folder_and_those_in_it(load, folder):
    from comfyui_spacetime.nodes.file_names import list_videos

    (folder / "shots").mkdir()
    (folder / ".hidden").mkdir()
    for name in ("b.mp4", "shots/a.webm", "c.gif", "note.txt", "d.png", ".hidden/e.mp4", ".f.mp4"):
        (folder / name).write_bytes(b"")
    assert list_videos() == ["b.mp4", "c.gif", "shots/a.webm"]


def test_names_in_folders_and_of_other_host_folders_are_found(load, folder):
    (folder / "shots").mkdir()
    film(folder / "shots" / "a.mp4", grey(3))
    film(folder.parent / "output" / "b.mp4", grey(4))
    assert load("shots/a.mp4").get_frame_count() == 3 and load("b.mp4 [output]").get_frame_count() == 4


@pytest.mark.parametrize("name", ["../secret.mp4", "/etc/passwd", "shots/../../secret.mp4", "../secret.mp4 [output]",
                                  "[input]", "", "../input-other/a.mp4"])  # fmt: skip
def test_no_name_leads_out_of_the_hosts_folders(load, folder, name):
    from comfyui_spacetime.nodes.errors import InputError
    from comfyui_spacetime.nodes.load_video import LoadVideo

    film(folder.parent / "secret.mp4", grey(2))
    with pytest.raises(InputError, match="leads out of"):
        load(name)
    assert "leads out of" in LoadVideo.validate_inputs(file=name)


def test_a_missing_file_is_named_before_anything_runs(load):
    from comfyui_spacetime.nodes.load_video import LoadVideo

    assert 'There is no file "none.mp4"' in LoadVideo.validate_inputs(file="none.mp4")


def test_a_name_that_comes_over_a_link_is_known_when_the_node_runs(inprocess):
    from comfyui_spacetime.nodes.load_video import LoadVideo

    mark = LoadVideo.fingerprint_inputs(file=None, start=0.0)
    assert LoadVideo.validate_inputs(file=None) is True and mark != mark  # the host takes that as always changed


def test_a_changed_file_is_read_again(load, folder):
    from comfyui_spacetime.nodes.load_video import LoadVideo

    path = film(folder / "a.mp4", grey(3))
    before = LoadVideo.fingerprint_inputs(file="a.mp4", start=None)
    os.utime(path, (1, 1))
    assert LoadVideo.fingerprint_inputs(file="a.mp4", start=None) != before


def test_load_save_load_gives_the_same_pictures(load, folder):
    film(folder / "a.mp4", grey(10, 20), rate=Fraction(24000, 1001))
    load("a.mp4").save_to(str(folder / "b.mp4"), crf=4)
    assert probe(folder / "b.mp4").fps == Fraction(24000, 1001)
    assert numbers(read_frames(folder / "b.mp4"), 20) == list(range(10))
