# SPDX-License-Identifier: GPL-3.0-or-later
"""The README's commands do what it says: their options exist, and in a clean copy they run from the first one on."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import av
import click
import pytest

from comfyui_spacetime.host import cli, serve

ROOT = Path(__file__).resolve().parent.parent
PLACEHOLDERS = re.compile(r"/path/to|\bURL\b|\bFILE\b|\bFOLDER\b|<[^>]+>|\.\.\.")


def shell_lines(text):
    """The lines of the README's shell blocks, without prompts and comments, long ones joined."""
    blocks = re.findall(r"^```(?:sh|bash|shell|console)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    words = [shlex.split(line.removeprefix("$ "), comments=True) for line in lines]
    return [line for line in words if line]


def readme_commands():
    """Every ``./spacetime`` command of the README as (environment, arguments)."""
    found = []
    for words in shell_lines((ROOT / "README.md").read_text(encoding="utf-8")):
        if "./spacetime" in words:
            at = words.index("./spacetime")
            found.append((dict(word.split("=", 1) for word in words[:at]), words[at + 1 :]))
    return found


def test_shell_blocks_are_read_as_a_shell_reads_them():
    text = (
        '# A\n```sh\n$ ./spacetime render "a b" \\\n    --seed 3   # third\n\n'
        "COMFYUI=/x ./spacetime test\n```\n```json\n{}\n```\n"
    )
    assert shell_lines(text) == [["./spacetime", "render", "a b", "--seed", "3"], ["COMFYUI=/x", "./spacetime", "test"]]


def test_the_two_commands_come_first():
    names = [arguments[0] for _, arguments in readme_commands()]
    assert names[:2] == ["render", "test"]


def test_ci_runs_the_test_command():
    assert "./spacetime test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert ({}, ["test"]) in readme_commands()


def test_every_command_and_option_of_the_readme_exists():
    for _, arguments in readme_commands():
        with click.Context(cli.cli) as context:
            name, command, rest = cli.cli.resolve_command(context, list(arguments))
            command.make_context(name, [word for word in rest if word != "..."], parent=context)


@pytest.fixture(scope="module")
def clean_copy(tmp_path_factory):
    """What a clone holds: the tracked files and those that would be added, in a folder with another name."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git clone")
    copy = tmp_path_factory.mktemp("clean") / "a copy"
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    yield copy
    shutil.rmtree(copy, ignore_errors=True)


def run(copy, arguments, environ, seconds=900):
    command = [str(copy / "spacetime"), *arguments]
    done = subprocess.run(
        command,
        cwd=copy,
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def frames_of(video):
    with av.open(str(video)) as container:
        return sum(1 for _ in container.decode(video=0))


@pytest.mark.slow
@pytest.mark.host
def test_the_first_command_sets_up_a_clean_copy_and_writes_a_video_and_its_contact_sheet(clean_copy):
    environ, arguments = readme_commands()[0]
    said = run(clean_copy, arguments, environ).splitlines()
    written = [clean_copy / line.split(": ")[-1].strip() for line in said]
    videos, sheets = ([path for path in written if path.suffix == end] for end in (".mp4", ".png"))
    assert len(videos) == len(sheets) == 1
    assert frames_of(videos[0]) > 8
    assert sheets[0].stat().st_size > 10_000
    assert not [p for p in videos[0].parent.iterdir() if p.name.startswith(".") or p.suffix == ".part"]


@pytest.mark.slow
@pytest.mark.host
def test_the_readmes_other_commands_run_in_the_copy(clean_copy):
    """Renders with options, doctor and setup; those with a placeholder for the reader's own things are left out."""
    said = {}
    for environ, arguments in readme_commands()[1:]:
        concrete = not PLACEHOLDERS.search(shlex.join([*arguments, *environ.values()]))
        line = shlex.join(arguments)
        if concrete and arguments[0] in ("render", "doctor", "setup") and line not in said:
            said[line] = run(clean_copy, arguments, environ)
    assert {"SpacetimeLoadModel", "SpacetimeSampler", "SpacetimeDecodeVideo"} <= set(said["doctor"].split())
    assert "everything needed is there" in said["doctor"] and "note  pack" not in said["doctor"]


@pytest.mark.slow
@pytest.mark.host
def test_serve_brings_up_a_server_with_the_packs_nodes_and_ends_on_request(clean_copy):
    port = serve.free_port()
    command = [str(clean_copy / "spacetime"), "serve", "--port", str(port)]
    process = subprocess.Popen(
        command, cwd=clean_copy, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    url = f"http://127.0.0.1:{port}/object_info/SpacetimeSampler"
    try:
        deadline = time.monotonic() + 300
        while process.poll() is None and time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(url, timeout=10) as answer:
                    assert b"SpacetimeSampler" in answer.read()
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.5)
        time.sleep(1)  # it looks for its own server every 0.2 s and then says where it is
    finally:
        process.send_signal(signal.SIGTERM)
        output = process.communicate(timeout=60)[0]
    assert f"ComfyUI with Spacetime: http://127.0.0.1:{port}" in output
    assert process.returncode == 0
