# SPDX-License-Identifier: GPL-3.0-or-later
"""Real footage: captions of a folder, clips of legal length, one in memory, and reports of what was dropped."""

from __future__ import annotations

import gc
import json
import weakref

import numpy as np
import pytest

pytest.importorskip("cv2", reason="training needs opencv: pip install '.[training]'")

from footage_kit import FPS, HEIGHT, WIDTH, shot, subtitle, write, write_raw

from comfyui_spacetime.training.footage import clips as clip_module
from comfyui_spacetime.training.footage.clips import Options, read_clips, view, windows
from comfyui_spacetime.training.footage.hashes import Index
from comfyui_spacetime.training.footage.listing import FootageError, Video, list_folder
from comfyui_spacetime.training.footage.report import FileLine, Report
from comfyui_spacetime.video.cuts import Cut

SHORT = Options(most=17, least=9)


def read(path, options=SHORT, index=None):
    """The clips of a video as (start, frames, size) and its line in the report."""
    listed = list_folder(path.parent).videos
    video = next(video for video in listed if video.path == path)
    line = FileLine(video.name)
    found = [
        (clip.start, clip.frames.copy(), clip.fps, clip.captions)
        for clip in read_clips(video, options, index or Index(path.parent / "index"), line)
    ]
    return found, line


def test_a_text_file_gives_a_caption_a_line_and_json_lines_describe_parts(tmp_path):
    write(tmp_path / "one.mp4", shot(1, 5), "a ball\n\nein Ball\n")
    (tmp_path / "two").mkdir()
    write(tmp_path / "two" / "two.mp4", shot(2, 5), None)
    lines = [
        {"file": "two/two.mp4", "caption": "first", "stop": 2},
        {"file_name": "two/two.mp4", "captions": ["rest"], "start": 2},
    ]
    (tmp_path / "all.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    one, two = list_folder(tmp_path).videos
    assert (one.name, one.captions_at(0), two.name) == ("one.mp4", ["a ball", "ein Ball"], "two/two.mp4")
    assert (two.captions_at(1.9), two.captions_at(2.0)) == (["first"], ["rest"])


def test_captions_that_cannot_be_used_are_named_by_line(tmp_path):
    write(tmp_path / "one.mp4", shot(1, 5), None)
    lines = [
        '{"file": "one.mp4", "caption": "good"}',
        "no json",
        '{"file": "gone.mp4", "caption": "x"}',
        '{"caption": "x"}',
        '{"file": "../one.mp4", "text": "x"}',
        '{"file": "one.mp4", "start": 3, "stop": 2, "text": "x"}',
        "[1]",
    ]
    (tmp_path / "c.jsonl").write_text("\n".join(lines), encoding="utf-8")
    listing = list_folder(tmp_path)
    assert listing.videos[0].captions_at(0) == ["good"]
    assert [fault.split()[2] for fault in listing.faults] == ["2", "3", "4", "5", "6", "7"]
    assert "not JSON" in listing.faults[0] and "gone.mp4" in listing.faults[1]


def test_a_folder_without_videos_is_refused(tmp_path):
    with pytest.raises(FootageError, match="holds no videos"):
        list_folder(tmp_path)


def test_clips_have_4k_plus_1_frames_and_do_not_reach_over_a_cut():
    cuts = [Cut(40, 40), Cut(60, 70)]
    assert windows(cuts, 90, Options(most=33, least=9)) == [(0, 33), (40, 17), (70, 17)]
    assert all((length - 1) % 4 == 0 for _, length in windows([], 1000, Options()))


@pytest.mark.parametrize(
    ("size", "expected"),
    [((176, 144), (160, 128)), ((640, 272), (640, 256)), ((1280, 720), (672, 384)), ((1080, 1920), (384, 672))],
)
def test_the_native_size_is_kept_up_to_the_pixel_budget(size, expected):
    scaled, cropped = view(*size, 512 * 512)
    assert cropped == expected
    assert scaled == size or abs(scaled[0] / scaled[1] - size[0] / size[1]) < 0.01


def test_a_video_becomes_clips_of_its_own_rate_and_size_cut_at_the_scene_change(tmp_path):
    path = write(tmp_path / "a.mp4", np.concatenate([shot(1, 30), shot(2, 30)]))
    found, line = read(path)
    assert line.cuts == [(30, 30)] and line.fps == FPS
    assert [(start, frames.shape) for start, frames, *_ in found] == [
        (0, (17, 96, 160, 3)),
        (17, (13, 96, 160, 3)),
        (30, (17, 96, 160, 3)),
        (47, (13, 96, 160, 3)),
    ]
    assert np.abs(found[2][1].astype(int) - shot(2, 17)).mean() < 8
    assert found[0][3] == ["a ball"]


def test_never_more_than_one_clip_is_in_memory(tmp_path, monkeypatch):
    path = write(tmp_path / "a.mp4", shot(1, 60))
    alive, most = [], 0
    empty = np.empty

    def counted(*arguments):
        nonlocal most
        gc.collect()
        buffer = empty(*arguments)
        alive.append(weakref.ref(buffer))
        most = max(most, sum(ref() is not None for ref in alive))
        return buffer

    monkeypatch.setattr(clip_module.np, "empty", counted)
    video, line = list_folder(tmp_path).videos[0], FileLine("a.mp4")
    count = 0
    for clip in read_clips(video, SHORT, Index(tmp_path / "index"), line):
        count += clip.frames.shape[0] > 0
        del clip
    assert count == 4 and path.exists() and most == 1


def test_a_turned_phone_clip_stands_upright(tmp_path):
    path = write_raw(tmp_path / "a.mp4", shot(1, 20), turn=90)
    found, line = read(path)
    assert line.size == (HEIGHT, WIDTH) and found[0][1].shape == (17, 160, 96, 3)


def test_ten_bits_and_odd_sizes_are_read(tmp_path):
    found, _ = read(write_raw(tmp_path / "a.mp4", shot(1, 20), pixels="yuv420p10le"))
    assert np.abs(found[0][1].astype(int) - shot(1, 17)).mean() < 8
    odd, line = read(write(tmp_path / "b.mp4", shot(2, 20, 131, 75)))
    assert odd[0][1].shape == (17, 64, 128, 3) and line.size == (132, 76)


def test_a_variable_rate_becomes_the_rate_of_its_motion(tmp_path):
    times = [i / FPS + (0.2 if i > 12 else 0.0) for i in range(30)]
    found, line = read(write_raw(tmp_path / "a.mp4", shot(1, 30), times), Options(most=33, least=9, allow=("frozen",)))
    assert line.variable and line.fps == pytest.approx(FPS, rel=0.01) and line.frames == pytest.approx(35, abs=1)
    assert len(found) == 1


def test_a_clip_that_nothing_describes_is_dropped(tmp_path):
    path = write(tmp_path / "a.mp4", shot(1, 40), None)
    assert read(path)[1].skipped == "no caption"
    (tmp_path / "a.jsonl").write_text('{"file": "a.mp4", "caption": "begin", "stop": 0.5}', encoding="utf-8")
    found, line = read(path)
    assert [start for start, *_ in found] == [0] and line.clips[1].dropped == "no caption"


def test_damage_is_reported_and_the_file_skipped(tmp_path):
    whole = write(tmp_path / "whole.mp4", shot(1, 40)).read_bytes()
    rng = np.random.default_rng(0)
    hurt = bytearray(whole)
    begin = whole.index(b"mdat")
    for place in rng.integers(begin + 2000, len(whole) - 3000, 40):
        hurt[place] ^= 0xFF
    for name, data in {
        "half": whole[: len(whole) // 2],
        "hurt": bytes(hurt),
        "empty": b"",
        "words": b"hello\n" * 99,
    }.items():
        path = tmp_path / f"{name}.mp4"
        path.write_bytes(data)
        path.with_suffix(".txt").write_text("a ball", encoding="utf-8")
        found, line = read(path)
        assert found == [] and line.skipped == "unreadable" and f"{name}.mp4" in line.reason, name


def test_a_matroska_file_that_breaks_off_is_skipped(tmp_path):
    frames = shot(1, 72)
    clip_path = tmp_path / "a.mkv"
    from comfyui_spacetime.video.writer import write_video

    write_video(clip_path, frames, fps=FPS, container="mkv")
    data = clip_path.read_bytes()
    clip_path.write_bytes(data[: len(data) // 2])
    clip_path.with_suffix(".txt").write_text("a ball", encoding="utf-8")
    assert read(clip_path)[1].skipped == "unreadable"


def test_every_dropped_clip_says_by_which_value(tmp_path):
    still = np.repeat(shot(1, 1), 17, 0)
    path = write(tmp_path / "a.mp4", np.concatenate([still, subtitle(shot(2, 17)), shot(3, 17)]))
    found, line = read(path)
    assert [start for start, *_ in found] == [34]
    assert [clip.dropped for clip in line.clips] == ["static", "text", ""]
    assert line.clips[0].value < line.clips[0].threshold and line.clips[1].value > line.clips[1].threshold
    assert "<" in line.clips[0].detail


def test_a_copy_is_dropped_within_a_folder_and_across_folders_but_no_clip_is_its_own_copy(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir(), two.mkdir()
    write(one / "a.mp4", shot(1, 17))
    write(one / "b.mp4", shot(1, 17, 240, 144), fps=30)
    write(two / "c.mp4", shot(1, 17) // 2 + 60)
    shared = tmp_path / "known.jsonl"
    assert read(one / "a.mp4", index=Index(shared))[1].kept == 1
    assert read(one / "b.mp4", Options(17, 9), Index(shared))[1].kept == 1, (
        "another pattern at another size is another clip"
    )
    assert read(one / "a.mp4", index=Index(shared))[1].kept == 1, "a second run finds its own clip"
    line = read(two / "c.mp4", index=Index(shared))[1]
    assert line.clips[0].dropped == "duplicate" and "a.mp4 frame 0" in line.clips[0].detail


def test_a_torn_index_line_is_left_out(tmp_path):
    path = write(tmp_path / "a.mp4", shot(1, 17))
    read(path, index=Index(tmp_path / "index"))
    whole = (tmp_path / "index").read_text(encoding="utf-8")
    (tmp_path / "index").write_text(whole + whole[:30], encoding="utf-8")
    assert len(Index(tmp_path / "index").known) == 1


def test_the_report_goes_on_after_an_interruption_and_refuses_other_settings(tmp_path):
    report = Report(tmp_path, {"pixels": 1, "allow": ("text",)})
    line = FileLine("a.mp4", fps=24.0, frames=48, state=(5, 6), cuts=[(3, 3)])
    line.skip("short", "no shot has 17 frames")
    report.add(line)
    with (tmp_path / "footage.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"file": "b.mp4", "sp')
    again = Report(tmp_path, {"pixels": 1, "allow": ("text",)})
    assert again.files == [line] and again.done("a.mp4", (5, 6)) and not again.done("a.mp4", (5, 7))
    again.add(FileLine("b.mp4"))
    assert [known.file for known in Report(tmp_path, {"pixels": 1, "allow": ("text",)}).files] == ["a.mp4", "b.mp4"]
    assert "short: no shot has 17 frames" in again.table()
    with pytest.raises(FootageError, match="pixels"):
        Report(tmp_path, {"pixels": 2})


@pytest.mark.parametrize("wrong", [{"most": 32}, {"least": 37, "most": 33}, {"pixels": 100}, {"allow": ("statik",)}])
def test_options_that_make_no_clip_are_refused_in_words(wrong):
    with pytest.raises(FootageError):
        Options(**wrong)


def test_a_video_that_is_too_small_is_skipped(tmp_path):
    assert read(write(tmp_path / "a.mp4", shot(1, 20, 80, 48)))[1].skipped == "small"


def test_captions_at_a_time_without_any_are_empty(tmp_path):
    assert Video(tmp_path / "a.mp4", "a.mp4").captions_at(0) == []
