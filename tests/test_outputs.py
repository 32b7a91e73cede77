# SPDX-License-Identifier: GPL-3.0-or-later
"""Where results go: names, folders, nothing half-written, nothing outside."""

from __future__ import annotations

import errno
import io
import shutil
from pathlib import Path

import pytest

from comfyui_spacetime.host.graph import WorkflowError
from comfyui_spacetime.host.outputs import Delivery, HalfFiles, inside, reported_files
from comfyui_spacetime.host.progress import ProgressView


def source(folder: Path, name: str = "made.mp4", content: str = "new") -> Path:
    path = folder / name
    path.write_text(content)
    return path


def test_saved_files_are_found_in_what_nodes_show_and_previews_only_without_them():
    saved = {"filename": "a.mp4", "subfolder": "video", "type": "output"}
    preview = {"filename": "p.png", "subfolder": "", "type": "temp"}
    shown = {"1": {"images": [preview]}, "2": {"images": [saved], "animated": (True,)}, "3": {"text": ["hi"]}}
    assert [(file.filename, file.node) for file in reported_files(shown)] == [("a.mp4", "2")]
    assert [file.filename for file in reported_files({"1": shown["1"]})] == ["p.png"]


@pytest.mark.parametrize("parts", [("..", "x"), ("a", "../../x"), ("/etc", "x"), ("", "")])
def test_names_cannot_leave_the_folder(tmp_path: Path, parts: tuple[str, ...]):
    with pytest.raises(WorkflowError, match="outside"):
        inside(tmp_path, *parts)
    assert inside(tmp_path, "video", "a.mp4") == tmp_path / "video" / "a.mp4"


def test_a_folder_collects_files_without_replacing_any(tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "made.mp4").write_text("old")
    placed = Delivery(f"{tmp_path}/out").place(source(tmp_path), "../made.mp4")
    assert placed == tmp_path / "out" / "made-2.mp4"
    assert (tmp_path / "out" / "made.mp4").read_text() == "old"
    assert not (tmp_path / "made.mp4").exists()


def test_a_named_file_is_replaced_and_further_files_are_numbered(tmp_path: Path):
    (tmp_path / "clip.mp4").write_text("old")
    delivery = Delivery(tmp_path / "clip.mp4")
    names = [delivery.place(source(tmp_path, name), name).name for name in ("a.mp4", "b.mp4", "c.png")]
    assert names == ["clip.mp4", "clip-2.mp4", "clip-3.png"]
    assert (tmp_path / "clip.mp4").read_text() == "new"


def test_folders_are_made(tmp_path: Path):
    assert Delivery(f"{tmp_path}/a/b/").place(source(tmp_path), "made.mp4") == tmp_path / "a" / "b" / "made.mp4"


def test_a_copy_that_fails_leaves_nothing_and_says_where_the_result_is(tmp_path: Path, monkeypatch):
    def full(source: Path, target: Path) -> None:
        target.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    made = source(tmp_path)
    with pytest.raises(WorkflowError, match=rf"cannot be written \(No space left.*kept as {made}"):
        Delivery(f"{tmp_path}/out/").place(made, "made.mp4", move=False)
    assert list((tmp_path / "out").iterdir()) == [] and made.exists()


def test_a_folder_that_cannot_be_written_is_told_before_the_run(tmp_path: Path, monkeypatch):
    def refuse(path: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(WorkflowError, match=r"cannot be written \(Read-only file system\); give another place"):
        Delivery(tmp_path / "clip.mp4")


def test_only_what_the_failed_node_began_is_removed(tmp_path: Path):
    for name in ("clip_00001_.mp4", "other_00002_.mp4"):
        (tmp_path / name).write_text("finished")
    half = HalfFiles()
    half.node_begins(tmp_path, "clip_00002_")
    for name in ("clip_00002_.mp4", "other_00003_.mp4"):
        (tmp_path / name).write_text("begun")
    assert half.remove() == [tmp_path / "clip_00002_.mp4"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "clip_00001_.mp4",
        "other_00002_.mp4",
        "other_00003_.mp4",
    ]
    assert half.remove() == []


def events(view: ProgressView) -> None:
    view("executing", {"node": "1"})
    for value in (1, 2, 3):
        view("progress_state", {"nodes": {"1": {"state": "running", "value": value, "max": 3}}})
    view("progress_state", {"nodes": {"1": {"state": "finished", "value": 3, "max": 3}}})
    view("executing", {"node": "2"})
    view("execution_success", {})
    view.close()


def test_without_a_terminal_there_is_one_line_for_a_node_with_steps():
    stream = io.StringIO()
    events(ProgressView({"1": "Sampler", "2": "Save"}.__getitem__, stream))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("Sampler: 3/3 steps, ")


def test_a_terminal_shows_a_bar_with_the_nodes_title():
    stream = io.StringIO()
    events(ProgressView({"1": "Sampler", "2": "Save"}.__getitem__, stream, terminal=True))
    assert "Sampler: 100%" in stream.getvalue()
    assert "3/3 [" in stream.getvalue()
