# SPDX-License-Identifier: GPL-3.0-or-later
"""What the command line of ``./spacetime evaluate`` asks for."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

from ..common import ROOT
from ..judges.nets import WEIGHTS
from ..scenes.config import CONFIGS

JOINS = ("extension", "loop", "connection")
DRIFT = (30, 60)  # seconds
SAMPLES, QUICK = 200, 12
NAMES = ("evaluation", "judges", "scenes")  # folders of training/ on which every result depends
ABOUT = """Score a checkpoint on prompts that it was never trained on, in one table.

Every row stands beside the same figure for real renders (ceiling), for the same model given other prompts' texts
(floor), and for renders that must not satisfy the row's judge (control). docs/EVALUATION.md says what each row is.
A table that was stopped goes on when it is asked for again."""


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    checkpoint: Path
    world: str
    samples: int
    rollouts: int
    steps: int
    guidance: float
    quick: bool
    renders: bool
    rows: tuple[str, ...]
    clips: tuple[Path, ...]
    judge: Path
    references: Path | None
    json: Path | None
    card: Path | None
    work: Path
    processes: int
    part: int | None  # of several processes, the number of this one; None in the first

    def wants(self, row: str) -> bool:
        """Whether a row is asked for."""
        return not self.rows or any(word in row for word in self.rows)


def read_options(arguments: list[str] | None) -> Options:
    """Read the options."""
    parser = argparse.ArgumentParser(
        prog="./spacetime evaluate", description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--quick", action="store_true", help=f"{QUICK} samples a row and no roll-outs, for a first look")
    add("--json", type=Path, help="write the table here, too")
    add("--card", type=Path, metavar="FILE", help="put it into a model card, between its two lines for it")
    add("--world", choices=tuple(CONFIGS), default="nano", help="whose held-out prompts to ask for (nano)")
    add("--checkpoint", type=Path, default=ROOT / "weights" / "spacetime-nano.safetensors")
    add("--samples", type=int, help=f"prompts for a row ({SAMPLES})")
    add("--rollouts", type=int, help="roll-outs of a minute (as many as samples); each takes as long as twenty clips")
    add("--steps", type=int, default=8, help="model calls for a clip (8)")
    add("--guidance", type=float, default=4.0)
    add("--rows", nargs="+", default=[], metavar="WORD", help="only rows whose name has one of these words")
    add("--clips", nargs="+", type=Path, default=[], metavar="FILE", help="real videos for the VAE's rows")
    add("--renders", action="store_true", help="no checkpoint: the table of the renders and the judges alone")
    add("--judge", type=Path, default=WEIGHTS, help="the judge's weights, see ./spacetime train judge")
    add("--references", type=Path, metavar="FILE", help="take ceilings and controls from a table written before")
    add("--processes", type=int, default=os.cpu_count() or 1, help="how many work side by side (one for each core)")
    add("--work", type=Path, default=ROOT / "runs" / "evaluate", help="where results are kept (runs/evaluate)")
    add("--part", type=int, help=argparse.SUPPRESS)
    o = parser.parse_args(arguments)
    for name in ("samples", "rollouts", "steps", "processes"):
        if getattr(o, name) is not None and getattr(o, name) < (name != "rollouts"):
            parser.error(f"--{name} {getattr(o, name)}: must be at least 1")
    if o.card and (o.rows or o.quick or o.renders):
        parser.error("--card takes the whole table: leave out --rows, --quick and --renders")
    samples = o.samples or (QUICK if o.quick else SAMPLES)
    rollouts = (0 if o.quick else samples) if o.rollouts is None else o.rollouts
    return Options(
        o.checkpoint, o.world, samples, rollouts, o.steps, o.guidance, o.quick, o.renders,
        tuple(o.rows), tuple(o.clips), o.judge, o.references, o.json, o.card, o.work, o.processes, o.part,
    )  # fmt: skip
