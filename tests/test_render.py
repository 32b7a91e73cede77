# SPDX-License-Identifier: GPL-3.0-or-later
"""``render`` as a program: what it prints where, its exit status, Ctrl-C. It runs against a server, which is quick."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from graphs import api, clip, picture

from comfyui_spacetime.host.render import render_command

pytestmark = pytest.mark.host
ENTRY = Path(__file__).resolve().parent.parent / "host" / "entry.py"


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-P", str(ENTRY), "host.cli", "render", *arguments]


def render(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), cwd=folder, capture_output=True, text=True, timeout=300, check=False)


def write(folder: Path, graph: dict[str, Any]) -> str:
    path = folder / "graph.json"
    path.write_text(json.dumps(graph))
    return str(path)


def test_paths_go_to_stdout_and_all_else_to_stderr(server: str, tmp_path: Path):
    graph = clip("cli") | {"4": api("SaveImage", images=["1", 0], filename_prefix="cli-picture")}
    done = render(tmp_path, write(tmp_path, graph), "--server", server, "--out", "results/")
    assert done.returncode == 0, done.stderr
    paths = [Path(line) for line in done.stdout.splitlines()]
    assert sorted(path.suffix for path in paths) == [".mp4", *[".png"] * 4]
    assert all(path.parent == tmp_path / "results" and path.stat().st_size for path in paths)
    sheet = next(path for path in paths if path.suffix == ".mp4").with_suffix(".png")
    assert sheet.exists()
    assert f"contact sheet: {sheet}" in done.stderr


def test_settings_are_applied(server: str, tmp_path: Path):
    graph = {"1": api("TestSteps", steps=2, pause=0.0)}
    done = render(tmp_path, write(tmp_path, graph), "--server", server, "--set", "Steps.steps=5")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "Steps: 5/5 steps" in done.stderr


@pytest.mark.parametrize(
    ("graph", "arguments", "sentence"),
    [
        ({"1": api("TestFails", message="no paint")}, [], 'spacetime: "Fails" (node 1, TestFails) failed: no paint'),
        (picture("x"), ["--set", "Nobody.x=1"], 'spacetime: The workflow has no node "Nobody".'),
        (picture("x"), ["--prompt", "a cat"], "spacetime: --prompt finds no positive prompt"),
        (picture("x", width=-1), [], 'Input "width"'),
    ],
)
def test_a_failure_is_a_sentence_and_status_1(server: str, tmp_path: Path, graph: Any, arguments: Any, sentence: str):
    done = render(tmp_path, write(tmp_path, graph), "--server", server, *arguments)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--size", "abc"], '--size takes WIDTHxHEIGHT, a ratio as 16:9, or a side as 256, not "abc".'),
        (["--set", "steps"], '--set "steps" has no "="'),
    ],
)
def test_what_fits_no_workflow_is_told_before_anything_is_loaded(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], sentence: str
):
    monkeypatch.setattr("comfyui_spacetime.host.render.connect", None)
    done = CliRunner().invoke(render_command, ["a dog", *arguments])
    assert done.exit_code == 1 and sentence in done.stderr


def test_a_missing_file_is_told_before_anything_is_loaded(tmp_path: Path):
    done = render(tmp_path, "nothing.json")
    assert (done.returncode, done.stderr) == (1, "spacetime: There is no file nothing.json.\n")


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent differently there")
def test_ctrl_c_ends_with_130_and_leaves_no_file(server: str, host_base: Path, tmp_path: Path):
    graph = {"1": api("TestSavesSlowly", filename_prefix="ctrlc", steps=2000, fails=False)}
    process = subprocess.Popen(
        command(write(tmp_path, graph), "--server", server), cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    half = host_base / "output" / "ctrlc_00001_.txt"
    deadline = time.monotonic() + 120
    while not half.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors.endswith("spacetime: The run was stopped.\n")
    assert [path.name for path in tmp_path.iterdir()] == ["graph.json"]
