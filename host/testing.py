# SPDX-License-Identifier: GPL-3.0-or-later
"""``./spacetime test``: fetch what only the tests need, then ruff, and mypy beside pytest in several processes."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
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
MOST_PROCESSES = 4  # each holds a ComfyUI; what needs the one server runs in one of them, however many there are


def module_command(name: str, *arguments: str) -> list[str]:
    """Return the command that runs ``python -m name``."""
    return [sys.executable, "-P", "-c", RUN_MODULE, str(entry.TOOLS), name, *arguments]


def run_module(name: str, *arguments: str, folder: Path = setup.ROOT) -> int:
    """Run ``python -m name`` in a folder (the clone) and return its exit status."""
    return subprocess.run(module_command(name, *arguments), cwd=folder, check=False).returncode


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


@contextlib.contextmanager
def checking_types() -> Iterator[subprocess.Popen[str]]:
    """Run mypy meanwhile, on the package under its name; the folder's own name need not be one that Python allows."""
    folder = setup.HOST_HOME / "typing"
    link_clone(folder, entry.PACKAGE)
    options = [f"--config-file={setup.ROOT / 'pyproject.toml'}", f"--cache-dir={setup.ROOT / '.mypy_cache'}"]
    command = module_command("mypy", *options, "-p", entry.PACKAGE)
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def run_pytest(arguments: Sequence[str], quick: bool) -> int:
    """Run the tests that the arguments ask for, or all of them in several processes, and return the exit status."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    processes = min(cores, MOST_PROCESSES)
    environ, options = dict(os.environ), ["-m", "not slow and not browser"] if quick else []
    if processes > 1 and not arguments:
        environ.setdefault("OMP_NUM_THREADS", str(cores // processes))  # else their threads are in each other's way
        options += [f"--numprocesses={processes}", "--dist=loadgroup", "--no-loadscope-reorder"]
    # a child process of its own: a host that is loaded into the tests' process may end it in its own way
    command = module_command("pytest", *options, *arguments)
    return subprocess.run(command, cwd=setup.ROOT, env=environ, check=False).returncode


def run_all(arguments: Sequence[str], quick: bool) -> dict[str, int]:
    """Run ruff, then pytest and mypy beside each other, and return their exit statuses by name."""
    click.echo("== ruff", err=True)
    statuses = {"ruff": run_module("ruff", "check", ".")}
    with checking_types() as types:
        click.echo("== pytest", err=True)
        statuses["pytest"] = run_pytest(arguments, quick)
        click.echo("== mypy", err=True)
        click.echo(types.communicate()[0], nl=False)
    return statuses | {"mypy": types.returncode}


@click.command("test", context_settings={"ignore_unknown_options": True})
@click.option("--quick", is_flag=True, help="Leave out slow and browser tests.")
@click.option("--no-checks", is_flag=True, help="Leave out ruff and mypy.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[PYTEST ARGUMENT ...]")
def test_command(quick: bool, no_checks: bool, arguments: Sequence[str]) -> None:
    """Run ruff, mypy and the tests, on the embedded ComfyUI or on the one that COMFYUI names.

    Further arguments go to pytest, which runs in one process then: ./spacetime test tests/test_setup.py -k stamp
    """
    host = find_host()
    install_test_packages()
    chromium = None if quick else install_chromium()
    where = f"ComfyUI {host.version} ({host.kind}) in {host.root}"
    click.echo(f"testing on {where}, Chromium: {chromium or 'none'}", err=True)
    statuses = {"pytest": run_pytest(arguments, quick)} if no_checks else run_all(arguments, quick)
    failed = [name for name, status in statuses.items() if status]
    if failed:
        click.echo(f"failed: {', '.join(failed)}", err=True)
    sys.exit(1 if failed else 0)
