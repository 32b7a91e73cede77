# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: ``./spacetime render | serve | train | bench | test | doctor | setup``.

A command's module is imported only when that command runs, so that ``doctor`` works when another one is broken.
"""

from __future__ import annotations

import importlib
import sys
import tomllib
from typing import Any

import click

from . import setup
from .comfy import HostError

# name: (module, click command in it, what it does)
COMMANDS = {
    "render": ("render", "render_command", "make a video from a prompt, or run a workflow file"),
    "serve": ("serve", "serve_command", "start ComfyUI with Spacetime, for the browser"),
    "expand": ("expand", "expand_command", "make a dense prompt of a short one"),
    "caption": ("caption", "caption_command", "tell what a video shows, or caption a folder of videos"),
    "train": ("train", "train_command", "train the model, one step at a time"),
    "evaluate": ("evaluate", "evaluate_command", "score a checkpoint on prompts it was never trained on"),
    "world": ("world", "world_command", "show the scenes that training renders, on a contact sheet"),
    "bench": ("bench", "bench_command", "measure: memory, speed, quality of operations"),
    "test": ("testing", "test_command", "run the tests"),
    "doctor": ("cli", "doctor_command", "tell what was found, what is missing and how to mend it"),
    "setup": ("cli", "setup_command", "install everything now (the other commands do so when needed)"),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands' names in the order of the help text."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command: Any = getattr(importlib.import_module(f".{module}", __package__), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])


def version() -> str:
    """Return this pack's version."""
    project = tomllib.loads((setup.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version(), prog_name="ComfyUI-Spacetime")
def cli() -> None:
    """Text, images and videos in, video out: ComfyUI-Spacetime from the shell.

    The first command sets up this folder: PyTorch and an embedded ComfyUI, nothing outside of it. With
    COMFYUI=/path/to/ComfyUI your own ComfyUI and its Python are used instead, and nothing is installed into them.
    """


@cli.command("doctor")
@click.option("--quick", is_flag=True, help="Leave out what takes seconds: loading ComfyUI with all its nodes.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor_command(quick: bool, as_json: bool) -> None:
    """Tell what was found, what is missing and how to mend it."""
    from . import doctor

    sys.exit(doctor.examine(quick=quick, as_json=as_json))


@cli.command("setup")
@click.option("--force", is_flag=True, help="Go through every step again, also if all is there.")
def setup_command(force: bool) -> None:
    """Install PyTorch, ComfyUI and their packages into this folder."""
    from . import tools

    if not tools.in_own_environment():
        click.echo(f"Using {sys.executable}: nothing to set up. To install this folder's own, unset COMFYUI.")
        return
    setup.set_up(force=force)
    click.echo(f"ready: Python in {setup.VENV}, ComfyUI in {setup.embedded_root()}")


def main() -> None:
    """Run the command line; a fault is one sentence on stderr and exit code 1."""
    try:
        cli(prog_name=sys.argv[0])
    except (setup.SetupError, HostError) as error:
        sys.exit(f"spacetime: {error}")


if __name__ == "__main__":
    main()
