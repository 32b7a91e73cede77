# SPDX-License-Identifier: GPL-3.0-or-later
"""``./spacetime bench``: what lies in bench/ is listed and run, and its figures can be kept as JSON."""

from __future__ import annotations

import importlib
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from comfyui_spacetime.host import bench, cli, doctor


@pytest.fixture
def started(monkeypatch):
    """Note the command instead of running it."""
    commands = []
    monkeypatch.setattr(bench, "find_host", lambda: SimpleNamespace(python=sys.executable))
    monkeypatch.setattr(
        bench.subprocess, "run", lambda command, **_: commands.append(command) or SimpleNamespace(returncode=0)
    )
    return commands


def run(*arguments):
    return CliRunner().invoke(cli.cli, ["bench", *arguments])


def test_without_a_name_the_measurements_are_listed(started):
    shown = run().output
    assert "decode_memory" in shown and "video_1080p" in shown and "Memory and time of decoding" in shown
    assert "_cases" not in shown and started == []


def test_a_measurement_gets_its_options_and_the_file_for_its_figures(started, tmp_path):
    assert run("video_1080p", "--seconds", "1", "--json", str(tmp_path / "a.json")).exit_code == 0
    (command,) = started
    assert command[3:] == ["bench.video_1080p", "--seconds", "1", "--json", str(tmp_path / "a.json")]


def test_an_unknown_name_lists_the_known_ones(started):
    result = run("speed")
    assert result.exit_code == 2 and "no measurement 'speed'" in result.output and "decode_memory" in result.output


@pytest.mark.parametrize("name", sorted(bench.benches()))
def test_every_measurement_says_what_it_is(name):
    assert len(bench.benches()[name]) > 10


def test_the_tables_of_a_measurement_that_writes_no_file_become_json(tmp_path, monkeypatch):
    entry = tmp_path / "entry.py"
    entry.write_text("print('two:\\n\\n| way | MiB |\\n|---|---|\\n| a | 1.5 |\\n| b c | 20 |')")
    (tmp_path / "plain.py").write_text('"""A plain measurement."""\n')
    monkeypatch.setattr(bench, "FOLDER", tmp_path)
    monkeypatch.setattr(bench, "benches", lambda: {"plain": "A plain measurement."})
    monkeypatch.setattr(bench, "__file__", str(tmp_path / "bench.py"))
    monkeypatch.setattr(bench, "find_host", lambda: SimpleNamespace(python=sys.executable))
    result = run("plain", "--json", str(tmp_path / "a.json"))
    assert result.exit_code == 0 and "| b c | 20 |" in result.output
    assert json.loads((tmp_path / "a.json").read_text())["rows"] == [
        {"way": "a", "MiB": 1.5}, {"way": "b c", "MiB": 20.0}]  # fmt: skip


def test_figures_are_kept_with_their_settings(tmp_path):
    cases = importlib.import_module("comfyui_spacetime.bench._cases")
    cases.write_json(tmp_path / "a.json", "x", {"size": 3}, [{"peak": 1.5}])
    kept = json.loads((tmp_path / "a.json").read_text())
    assert (kept["bench"], kept["settings"], kept["rows"]) == ("x", {"size": 3}, [{"peak": 1.5}])
    cases.write_json(None, "x", {}, [])


def test_the_doctor_tells_when_videos_cannot_be_signed(tmp_path):
    (lacking,) = doctor.check_credentials({"credentials": None}, tmp_path / "python")
    assert lacking.level == "note" and f'{tmp_path / "python"} -m pip install "c2pa-python' in lacking.mend
    (there,) = doctor.check_credentials({"credentials": "0.38.1"}, tmp_path / "python")
    assert there.level == "ok" and "0.38.1" in there.found


def test_the_doctor_names_the_video_encoders_in_hardware_that_opened(tmp_path):
    (some,) = doctor.check_encoders({"encoders": {"h264_nvenc": "", "h264_qsv": "no driver"}}, tmp_path)
    assert some.level == "ok" and "work here: h264_nvenc; else software" in some.found
    (none,) = doctor.check_encoders({"encoders": {"h264_qsv": "no driver"}}, tmp_path)
    assert none.level == "ok" and "none works here (tried: h264_qsv)" in none.found
    (without,) = doctor.check_encoders({"encoders": None}, tmp_path / "python")
    assert without.level == "bad" and "pip install av" in without.mend


def drift_settings(drift, **more):
    given = {
        "way": "Long Video",
        "noise": 0.0,
        "context": 1.0,
        "hold": 0.0,
        "guidance": 1.0,
        "seconds": 20.0,
        "steps": 1,
        "seed": 1,
    }
    given |= {"chunk": 2.0, "size": 16, "fps": 4.0, "prompt": "", "subject": "", "checkpoint": "", "keep": ""}
    return drift.Settings(**given | more)


def test_drift_is_measured_between_the_first_chunk_and_the_end():
    drift = importlib.import_module("comfyui_spacetime.bench.drift")
    look, random = drift.Look(drift_settings(drift)), np.random.default_rng(0)
    pattern = random.integers(-40, 40, (16, 16, 1))
    for index in range(80):  # grows brighter and loses half of its contrast; jumps by 6 levels every two seconds
        level = 60 + index // 2 + 6 * (index // 8)
        frame = np.repeat(level + pattern * (1 if index < 40 else 0.5), 3, 2)
        look.at(np.clip(frame, 0, 255).astype(np.uint8))
    joints = set(range(8, 80, 8))
    found = look.figures(joints, set(range(2, 80, 2)) - joints)
    assert found["contrast"] == pytest.approx(0.5, abs=0.02) == pytest.approx(found["detail"], abs=0.02)
    assert found["colour"] == pytest.approx(82, abs=2)  # the last five seconds against the first two
    assert found["seam"] == pytest.approx(7, abs=1.5) and np.isnan(found["subject"])
    assert [len(curve) for name, curve in found["curves"].items() if name in ("colour", "motion")] == [4, 4]


def test_drift_asks_for_the_subject_in_every_part_after_the_first_chunk(monkeypatch):
    drift = importlib.import_module("comfyui_spacetime.bench.drift")
    names = iter(["red panda", "red panda", "train", "train"])
    monkeypatch.setattr(drift, "judge", lambda fps: lambda clip: next(names))
    look = drift.Look(drift_settings(drift, subject="red panda", seconds=8.0))
    for _ in range(32):
        look.at(np.zeros((16, 16, 3), np.uint8))
    assert look.figures({8}, {4})["subject"] == pytest.approx(1 / 3)
