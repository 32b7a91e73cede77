# SPDX-License-Identifier: GPL-3.0-or-later
"""``./spacetime train``: the steps that make the model, in the order in which they are needed."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import click

from . import entry, setup, testing, tools

# step: (module, what it does)
STEPS = {
    "sprites": ("training.scenes.fetch", "fetch the pictures that the scene world is made of (npm)"),
    "vae": ("training.train_vae", "train the video VAE"),
    "latents": ("training.latents", "render scenes and encode them with the VAE"),
    "footage": ("training.footage.encode", "encode a folder of videos with captions, beside the scenes or instead"),
    "text": ("training.train_text", "teach the text encoder the words of the captions"),
    "caption": ("training.train_caption", "train the captioner of Caption Video on the latents and their captions"),
    "dit": ("training.train_dit", "train the transformer and the text encoder on the latents"),
    "lora": ("training.train_lora", "fit a LoRA for ComfyUI's stock loader to clips of your own"),
    "judge": ("training.judges.train", "train the networks that read clips for ./spacetime evaluate"),
    "fewer": ("training.fewer", "cut a checkpoint to fewer latent channels, to train it on with them"),
    "publish": ("training.publish", "join the runs into one checkpoint that the nodes load"),
    "evaluate-vae": ("training.evaluate_vae", "score the reconstructions of a checkpoint's VAE"),
}
RENDERED = ("vae", "latents", "judge", "evaluate-vae")  # steps that render scenes
# glibc returns large buffers to the kernel at once; keeping them makes a training step up to three times as fast
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    "MALLOC_TOP_PAD_": "268435456",
}


def training_requirements() -> list[str]:
    """Return the packages of pyproject.toml's ``training`` extra."""
    project = tomllib.loads((setup.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [str(line) for line in project["optional-dependencies"]["training"]]


def install_training_packages() -> None:
    """Make the training packages importable; raises SetupError."""
    missing = tools.missing(training_requirements())
    if not missing:
        return
    if not tools.in_own_environment():
        tools.ensure(missing)
        return
    with setup.only_one():
        report = setup.Report(1)
        with report.step("packages for training"):
            setup.run_pip(["install", *missing], "the training packages", report)


def require_pictures(arguments: Sequence[str]) -> None:
    """Raise SetupError when the scene world's pictures were not fetched, unless only help is asked for."""
    folder = Path(os.environ.get("SPACETIME_SPRITES") or setup.ROOT / "runs" / "sprites")  # as training.scenes has it
    if {"-h", "--help"}.isdisjoint(arguments) and not any(folder.glob("*.webp")):
        raise setup.SetupError("the scene world's pictures are missing; fetch them with: ./spacetime train sprites")


def describe_steps() -> str:
    """List the steps for the help text."""
    return "\n".join(f"  {name:12} {text}" for name, (_, text) in STEPS.items())


@click.command(
    "train",
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    epilog="\b\nSteps, in order:\n" + describe_steps() + "\n\n\b\nOptions of a step: ./spacetime train STEP --help",
)
@click.option("--processes", type=click.IntRange(1), default=1, help="Processes on this machine that share the work.")
@click.option("--hosts", type=click.IntRange(1), default=1, help="Machines; give the same command on each.")
@click.option("--meet", metavar="HOST:PORT", help="With --hosts: one of the machines, and a free port on it.")
@click.option("--restarts", type=click.IntRange(0), default=0, help="How often to go on when a process dies.")
@click.argument("step", type=click.Choice([*STEPS, "--help", "-h"]), metavar="STEP")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def train_command(
    context: click.Context,
    processes: int,
    hosts: int,
    meet: str | None,
    restarts: int,
    step: str,
    arguments: tuple[str, ...],
) -> None:
    """Train the model: one STEP at a time."""
    if step not in STEPS:
        click.echo(context.get_help())
        return
    if hosts > 1 and meet is None:
        raise click.UsageError("--hosts needs --meet HOST:PORT, the same on every machine")
    install_training_packages()
    if step in RENDERED:
        require_pictures(arguments)
    program = [str(setup.ROOT / "host" / "entry.py"), STEPS[step][0], *arguments]
    command = [sys.executable, "-P", *program]
    if processes > 1 or hosts > 1:
        torchrun = [str(entry.TOOLS), "torch.distributed.run", *launch_options(processes, hosts, meet, restarts)]
        command = [sys.executable, "-P", "-c", testing.RUN_MODULE, *torchrun, *program]
    environ = {**ALLOCATOR, "OMP_NUM_THREADS": "1", **os.environ}
    sys.exit(subprocess.run(command, cwd=setup.ROOT, env=environ, check=False).returncode)


def launch_options(processes: int, hosts: int, meet: str | None, restarts: int) -> list[str]:
    """Return torchrun's options: how many processes where, and that they begin again when one of them dies."""
    shared = [f"--nproc-per-node={processes}", f"--max-restarts={restarts}"]
    if hosts == 1:
        return [*shared, "--standalone"]
    return [*shared, f"--nnodes={hosts}", "--rdzv-backend=c10d", f"--rdzv-endpoint={meet}", "--rdzv-id=spacetime"]
