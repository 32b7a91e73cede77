# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: help without loading anything, doctor that works when other parts do not."""

from __future__ import annotations

import json
import struct
import sys

import pytest
from click.testing import CliRunner

from comfyui_spacetime.host import cli, comfy, doctor, setup


def test_help_lists_every_command_without_loading_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "comfyui_spacetime.host.render", None)
    result = CliRunner().invoke(cli.cli, ["--help"])
    assert result.exit_code == 0
    for name in ("render", "serve", "test", "doctor", "setup"):
        assert f"\n  {name} " in result.output


def test_an_unknown_command_is_named():
    result = CliRunner().invoke(cli.cli, ["rendr"])
    assert result.exit_code == 2
    assert "No such command 'rendr'" in result.output


@pytest.mark.parametrize("name", ["render", "serve", "test", "doctor", "setup"])
def test_every_command_has_help(name):
    result = CliRunner().invoke(cli.cli, [name, "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_a_fault_is_one_sentence(monkeypatch):
    def no_host():
        raise comfy.HostError("no ComfyUI here")

    monkeypatch.setattr(cli, "cli", lambda prog_name: no_host())
    with pytest.raises(SystemExit, match=r"^spacetime: no ComfyUI here$"):
        cli.main()


# doctor


@pytest.fixture
def weights(tmp_path):
    """A small file in the form of a checkpoint."""
    header = {"__metadata__": {"spacetime": "{}"}, "dit.a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
    text = json.dumps(header).encode()
    (tmp_path / "nano.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(8))
    return tmp_path


def levels(findings):
    return [(finding.level, finding.what) for finding in findings]


def test_whole_weights_are_well(weights):
    assert levels(doctor.check_weights(weights)) == [("ok", "weights")]


def test_weights_that_were_cut_off_are_noticed(weights):
    path = weights / "nano.safetensors"
    path.write_bytes(path.read_bytes()[:-3])
    (finding,) = doctor.check_weights(weights)
    assert finding.level == "bad"
    assert "cut off or damaged" in finding.found
    assert "git checkout -- weights" in finding.mend


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\n", b"\4" + bytes(7) + b"junk"])
def test_a_file_of_another_kind_is_noticed(weights, content):
    (weights / "nano.safetensors").write_bytes(content)
    (finding,) = doctor.check_weights(weights)
    assert (finding.level, finding.found[:16]) == ("bad", "nano.safetensors")


def test_another_checksum_than_the_one_that_came_along_is_noticed(weights):
    (weights / "SHA256SUMS").write_text(f"{'0' * 64}  nano.safetensors\n")
    (finding,) = doctor.check_weights(weights)
    assert finding.level == "bad"
    assert "another checksum" in finding.found


def test_missing_weights_are_noticed(tmp_path):
    assert levels(doctor.check_weights(tmp_path)) == [("bad", "weights")]


def test_before_the_set_up_the_remedy_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(setup, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(setup, "STAMP", tmp_path / ".venv" / "spacetime-ready")
    monkeypatch.setattr(setup, "HOST_HOME", tmp_path / ".host")
    monkeypatch.delenv("COMFYUI", raising=False)
    monkeypatch.setattr(comfy, "ROOT", tmp_path)
    assert doctor.examine(quick=True) == 1
    out = capsys.readouterr().out
    assert "set-up       not done yet" in out
    assert "-> run ./spacetime setup" in out
    assert out.endswith("something must be mended first\n")


def test_a_pack_without_nodes_is_bad_and_the_hosts_words_are_told():
    answer = {"seconds": 5.0, "count": 400, "ours": [], "warnings": ["ComfyUI-Spacetime: broken"]}
    assert levels(doctor.check_pack(answer)) == [("note", "pack"), ("bad", "nodes")]


def test_a_torch_that_does_not_import_is_bad_and_its_words_are_told():
    (finding,) = doctor.check_torch("ModuleNotFoundError: No module named 'torch'", own=False)
    assert finding.level == "bad"
    assert "COMFYUI_PYTHON" in finding.mend


@pytest.mark.host
def test_doctor_finds_torch_and_the_host(comfy_host, capsys):
    code = doctor.examine(quick=True, as_json=True)
    found = {entry["what"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert found["torch"]["level"] == "ok"
    assert found["ComfyUI"]["found"].startswith(comfy_host.version)
    assert code == int(any(entry["level"] == "bad" for entry in found.values()))
