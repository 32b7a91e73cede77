# SPDX-License-Identifier: GPL-3.0-or-later
"""``./spacetime train``: how it starts the programs that train."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from comfyui_spacetime.host import train
from comfyui_spacetime.host.evaluate import evaluate_command


@pytest.fixture
def started(monkeypatch):
    """The command lines that would have been run."""
    commands = []

    def run(command, **_more):
        commands.append(command)
        return type("Done", (), {"returncode": 0})()

    monkeypatch.setattr(train.subprocess, "run", run)
    monkeypatch.setattr(train, "install_training_packages", lambda: None)
    return commands


def call(*words):
    return CliRunner().invoke(train.train_command, words)


def test_a_step_gets_its_own_options(started):
    assert call("dit", "--config", "nano", "--set", "steps=5", "--dry-run").exit_code == 0
    assert started[0][-6:] == ["training.train_dit", "--config", "nano", "--set", "steps=5", "--dry-run"]
    assert "torch.distributed.run" not in started[0]


def test_several_processes_are_started_by_torchrun_and_again_when_one_dies(started):
    call("--processes", "2", "--restarts", "3", "dit", "--minutes", "5")
    at = started[0].index("torch.distributed.run")
    assert started[0][at + 1 : at + 4] == ["--nproc-per-node=2", "--max-restarts=3", "--standalone"]
    assert started[0][-3:] == ["training.train_dit", "--minutes", "5"]


def test_several_machines_meet_at_one_of_them(started):
    call("--processes", "8", "--hosts", "4", "--meet", "first:29500", "dit", "--config", "3b")
    assert {"--nnodes=4", "--rdzv-backend=c10d", "--rdzv-endpoint=first:29500"} <= set(started[0])


def test_several_machines_without_a_meeting_place_are_refused(started):
    done = call("--hosts", "2", "dit")
    assert done.exit_code == 2 and "--hosts needs --meet HOST:PORT" in done.output
    assert not started


@pytest.mark.parametrize("step", train.RENDERED)
def test_a_step_that_renders_asks_for_the_pictures_before_it_starts(started, step, tmp_path, monkeypatch):
    monkeypatch.setenv("SPACETIME_SPRITES", str(tmp_path))
    result = CliRunner().invoke(train.train_command, [step])
    assert "./spacetime train sprites" in str(result.exception) and not started
    CliRunner().invoke(train.train_command, [step, "--help"])
    assert len(started) == 1


def test_the_evaluation_asks_for_the_pictures_too(started, tmp_path, monkeypatch):
    monkeypatch.setenv("SPACETIME_SPRITES", str(tmp_path))
    result = CliRunner().invoke(evaluate_command, ["--quick"])
    assert "./spacetime train sprites" in str(result.exception) and not started
