# SPDX-License-Identifier: GPL-3.0-or-later
"""What a long render is known by, and the folder in which it keeps its work."""

from __future__ import annotations

import ntpath
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytestmark = pytest.mark.host

GRAPH = {
    "1": {"class_type": "SpacetimeLoadModel", "inputs": {"checkpoint": "spacetime-nano.safetensors"}},
    "2": {"class_type": "LoadVideo", "inputs": {"file": "clip.mp4"}},
    "3": {"class_type": "SpacetimeLongVideo", "inputs": {"model": ["1", 0], "video": ["2", 0], "seed": 1}},
    "4": {"class_type": "SaveVideo", "inputs": {"video": ["3", 0], "filename_prefix": "a"}},
}


@pytest.fixture
def folders(inprocess: Any, tmp_path: Path, monkeypatch: Any) -> Path:
    """The host's user and input folders, for one test."""
    import folder_paths

    (tmp_path / "input").mkdir()
    (tmp_path / "input" / "clip.mp4").write_bytes(b"one")
    monkeypatch.setattr(folder_paths, "user_directory", str(tmp_path / "user"))
    monkeypatch.setattr(folder_paths, "input_directory", str(tmp_path / "input"))
    return tmp_path


def key(graph: dict[str, Any], node: str = "3", number: int = 0) -> str:
    from comfyui_spacetime.nodes.graph_key import graph_key

    return graph_key(graph.__getitem__, node, number)


def changed(node: str, **inputs: Any) -> dict[str, Any]:
    return {**GRAPH, node: {**GRAPH[node], "inputs": {**GRAPH[node]["inputs"], **inputs}}}


def test_the_same_graph_has_the_same_key_whatever_comes_after_and_however_it_is_numbered(folders):
    renumbered = {
        "9": {**GRAPH["1"], "_meta": {"title": "another"}},
        "8": GRAPH["2"],
        "7": {**GRAPH["3"], "inputs": {"seed": 1, "video": ["8", 0], "model": ["9", 0]}},
    }
    assert key(GRAPH) == key(renumbered, "7") == key(changed("4", filename_prefix="b")) and key(GRAPH).isalnum()


def test_what_comes_before_makes_another_key(folders):
    keys = [key(GRAPH), key(changed("3", seed=2)), key(changed("3", model=["1", 1])), key(GRAPH, number=1)]
    keys.append(key(changed("1", checkpoint="other.safetensors")))
    assert len(set(keys)) == len(keys)


def test_the_content_of_a_named_file_counts_and_not_its_date(folders):
    before = key(GRAPH)
    os.utime(folders / "input" / "clip.mp4", (1, 1))
    assert key(GRAPH) == before
    (folders / "input" / "clip.mp4").write_bytes(b"two")
    assert key(GRAPH) != before


def test_other_versions_make_another_key(folders, monkeypatch):
    from comfyui_spacetime.nodes import graph_key

    before = key(GRAPH)
    monkeypatch.setattr(graph_key, "versions", lambda: ["another"])
    assert key(GRAPH) != before


def test_the_content_of_a_file_that_is_named_by_its_whole_path_counts(folders):
    path = folders / "elsewhere.mp4"
    keys = []
    for content in (b"one", b"two"):
        path.write_bytes(content)
        keys.append(key(changed("2", file=str(path))))
    path.unlink()
    keys.append(key(changed("2", file=str(path))))
    assert len(set(keys)) == 3


def test_what_is_only_a_text_or_leads_out_of_the_host_s_folders_is_no_file(folders):
    from comfyui_spacetime.nodes.graph_key import named_files

    (folders / "secret.txt").write_text("x")
    names = ["../secret.txt", str(folders), "/dev/zero", "/" + "x" * 900, "a prompt\nof two lines", "", "x" * 2000]
    for name in names:
        assert list(named_files(name)) == []
    assert list(named_files("clip.mp4")) == [folders / "input" / "clip.mp4"]
    assert [path.name for path in named_files("spacetime-nano.safetensors")] == ["spacetime-nano.safetensors"]
    assert list(named_files("panda_snow.mp4"))  # of the pack's examples


def test_a_path_on_another_drive_of_windows_lies_in_no_folder(folders, monkeypatch):
    import folder_paths

    from comfyui_spacetime.nodes import file_names, graph_key, provenance, save_video
    from comfyui_spacetime.nodes.errors import InputError

    windows = SimpleNamespace(path=ntpath)
    monkeypatch.setattr(file_names, "os", windows)
    monkeypatch.setattr(save_video, "os", windows)
    monkeypatch.setattr(folder_paths, "get_input_directory", lambda: "C:\\ComfyUI\\input")
    monkeypatch.setattr(folder_paths, "get_output_directory", lambda: "C:\\ComfyUI\\output")
    monkeypatch.setattr(folder_paths, "get_full_path", lambda key, name: ntpath.relpath(name, "C:\\ComfyUI"))
    name = "E:\\clips\\a.mp4"
    assert list(graph_key.named_files(name)) == [] and provenance._input_file(name) is None
    with pytest.raises(InputError, match="leads out of"):
        file_names.find_file(name)
    with pytest.raises(InputError, match="leads out of"):
        save_video._target("E:\\out\\clip", None, None)
    assert file_names.inside("C:\\ComfyUI\\input", "C:\\ComfyUI\\input\\a\\b.mp4")


def test_a_large_file_is_known_by_its_parts(folders, monkeypatch):
    from comfyui_spacetime.nodes import graph_key

    monkeypatch.setattr(graph_key, "WHOLE", 10)
    monkeypatch.setattr(graph_key, "PART", 8)
    path = folders / "input" / "large.bin"
    path.write_bytes(bytes(5000))
    before = graph_key.content_of(path)
    path.write_bytes(bytes(4999) + b"x")
    assert graph_key.content_of(path) != before


def test_a_folder_lies_in_the_user_folder_under_a_key_alone(folders):
    from comfyui_spacetime.nodes.work_folder import WorkFolder, work_folder

    folder = work_folder("abc123")
    assert folder.path == folders / "user" / "__spacetime" / "long_video" / "abc123"
    assert work_folder("abc123") is folder
    with pytest.raises(ValueError, match="is no key"):
        WorkFolder("../abc")


def test_another_process_cannot_work_in_it(folders):
    from comfyui_spacetime.nodes import work_folder as module

    path = module.root() / "abc"
    path.mkdir(parents=True)
    if os.name == "nt":
        pytest.skip("locks otherwise there")
    code = (
        "import fcntl, sys, time; f = open(sys.argv[1], 'a'); fcntl.flock(f, 2); print(1, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path / "lock")], stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout is not None and other.stdout.readline()
            with pytest.raises(ValueError, match="Another ComfyUI is making this very video"):
                module.work_folder("abc")
        finally:
            other.kill()
    assert module.work_folder("abc")  # its lock has gone with it


def test_finished_work_makes_room_and_unfinished_work_stays(folders):
    from comfyui_spacetime.nodes import work_folder as module

    for number, name in enumerate(("one", "two", "three", "half", "old")):
        path = module.root() / name
        path.mkdir(parents=True)
        if name not in ("half", "old"):
            (path / module.DONE).touch()
        age = 40 * 86400 if name == "old" else 100 - number
        os.utime(path, (time.time() - age, time.time() - age))
    folder = module.work_folder("new")
    assert sorted(path.name for path in module.root().iterdir()) == ["half", "new", "three", "two"]
    assert folder.path.is_dir()


def test_work_that_is_in_use_is_not_removed(folders):
    from comfyui_spacetime.nodes import work_folder as module

    used = [module.work_folder(f"done{number}") for number in range(4)]
    for folder in used:
        folder.finished()
    module.work_folder("new")
    assert all(folder.path.is_dir() for folder in used)
