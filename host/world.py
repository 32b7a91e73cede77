# SPDX-License-Identifier: GPL-3.0-or-later
"""``./spacetime world``: a contact sheet of the scenes that training renders."""

from __future__ import annotations

import os
import subprocess
import sys

import click

from . import setup, train


@click.command("world", context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def world_command(arguments: tuple[str, ...]) -> None:
    """Write a contact sheet of the scene world: --preview FILE.png."""
    train.install_training_packages()
    program = [str(setup.ROOT / "host" / "entry.py"), "training.scenes.preview", *(arguments or ("--help",))]
    environ = {"OMP_NUM_THREADS": "1", **os.environ}
    sys.exit(subprocess.run([sys.executable, "-P", *program], env=environ, check=False).returncode)
