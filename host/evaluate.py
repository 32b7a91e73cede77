# SPDX-License-Identifier: GPL-3.0-or-later
"""``./spacetime evaluate``: one table of what a checkpoint does with prompts that it was never trained on."""

from __future__ import annotations

import os
import subprocess
import sys

import click

from . import setup, train


@click.command("evaluate", context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def evaluate_command(arguments: tuple[str, ...]) -> None:
    """Score a checkpoint on held-out prompts: [--quick] [--json FILE] [--world nano|full] [--checkpoint FILE]."""
    train.install_training_packages()
    train.require_pictures(arguments)
    program = [str(setup.ROOT / "host" / "entry.py"), "training.evaluation.command", *arguments]
    threads = str(os.cpu_count() or 1)
    environ = {**train.ALLOCATOR, "OMP_NUM_THREADS": threads, **os.environ}
    sys.exit(subprocess.run([sys.executable, "-P", *program], env=environ, check=False).returncode)
