# SPDX-License-Identifier: GPL-3.0-or-later
"""``./spacetime test``: fetch what only the tests need, then ruff, mypy and pytest."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from . import entry, setup, tools
from .comfy import find_host, link_clone

# Runs a module of the folder of extra packages too, after all others, in a process of its own.
RUN_MODULE = (
    "import runpy, sys; sys.path.append(sys.argv[1]); sys.argv[:] = sys.argv[2:]; "
    "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
)
INSTALL_CHROMIUM = "apt-get install --no-install-recommends chromium"


def run_module(name: str, *arguments: str, folder: Path = setup.ROOT) -> int:
    """Run ``python -m name`` in a folder (the clone) and return its exit status."""
    command = [sys.executable, "-P", "-c", RUN_MODULE, str(entry.TOOLS), name, *arguments]
    return subprocess.run(command, cwd=folder, check=False).returncode


def install_test_packages() -> None:
    """Make the test tools available: in ``.venv``, or beside a Python that is the user's own; raises SetupError."""
    wanted = setup.pins()["test"]["requirements"]
    if not tools.in_own_environment():
        tools.ensure(wanted)
        return
    if setup.is_ready(setup.TEST_STAMP):
        return
    with setup.only_one():
        report = setup.Report(1)
        with report.step("packages for the tests"):
            setup.sweep_half_installed(setup.site_packages())
            setup.run_pip(["install", *wanted], "the test packages", report)
        setup.write_atomically(setup.TEST_STAMP, setup.stamp_text())


def install_chromium() -> str | None:
    """Return a Chromium, installed with apt if there is none and this is root; else say why there is none."""
    found = tools.find_chromium()
    if found or os.name == "nt":
        return found
    if not shutil.which("apt-get") or os.geteuid() != 0:
        click.echo(f"no Chromium: the browser tests will be skipped; to run them: sudo {INSTALL_CHROMIUM}", err=True)
        return None
    click.echo("installing Chromium for the browser tests ...", err=True)
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    options: dict[str, Any] = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "check": False}
    for command in (["apt-get", "update", "-qq"], [*INSTALL_CHROMIUM.split(), "-y", "-qq"]):
        done = subprocess.run(command, env=environ, **options)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            click.echo(f"{' '.join(command)} failed ({reason}): the browser tests will be skipped", err=True)
            return None
    return tools.find_chromium()


def check_types() -> int:
    """Run mypy on the package under its name; the folder's own name need not be one that Python allows."""
    folder = setup.HOST_HOME / "typing"
    link_clone(folder, entry.PACKAGE)
    options = [f"--config-file={setup.ROOT / 'pyproject.toml'}", f"--cache-dir={setup.ROOT / '.mypy_cache'}"]
    return run_module("mypy", *options, "-p", entry.PACKAGE, folder=folder)


def run_checks() -> dict[str, int]:
    """Run ruff and mypy and return their exit statuses by name."""
    click.echo("== ruff", err=True)
    ruff = run_module("ruff", "check", ".")
    click.echo("== mypy", err=True)
    return {"ruff": ruff, "mypy": check_types()}


@click.command("test", context_settings={"ignore_unknown_options": True})
@click.option("--quick", is_flag=True, help="Leave out slow and browser tests.")
@click.option("--no-checks", is_flag=True, help="Leave out ruff and mypy.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[PYTEST ARGUMENT ...]")
def test_command(quick: bool, no_checks: bool, arguments: Sequence[str]) -> None:
    """Run ruff, mypy and the tests, on the embedded ComfyUI or on the one that COMFYUI names.

    Further arguments go to pytest: ./spacetime test tests/test_setup.py -k stamp
    """
    host = find_host()
    install_test_packages()
    chromium = None if quick else install_chromium()
    where = f"ComfyUI {host.version} ({host.kind}) in {host.root}"
    click.echo(f"testing on {where}, Chromium: {chromium or 'none'}", err=True)
    statuses = {} if no_checks else run_checks()
    click.echo("== pytest", err=True)
    chosen = ["-m", "not slow and not browser"] if quick else []
    # a child process of its own: a host that is loaded into the tests' process may end it in its own way
    statuses["pytest"] = run_module("pytest", *chosen, *arguments)
    failed = [name for name, status in statuses.items() if status]
    if failed:
        click.echo(f"failed: {', '.join(failed)}", err=True)
    sys.exit(1 if failed else 0)
