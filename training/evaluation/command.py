# SPDX-License-Identifier: GPL-3.0-or-later
"""``./spacetime evaluate``: measures what a table takes, in several processes, and shows it; see options.py."""

from __future__ import annotations

import os
import sys

import cv2

from ...models.checkpoint import CheckpointError
from ..common import ROOT
from ..parallel import join
from ..saves import RunError
from .options import Options, read_options
from .plan import Plan
from .table import Row, markdown, read_card, write_card, write_json
from .work import work, work_together


def evaluate(options: Options, arguments: list[str]) -> list[Row]:
    """Measure all rows that are asked for; ``arguments`` are those of the command. Raises CheckpointError, RunError."""
    plan = Plan(options)
    program = [sys.executable, "-P", str(ROOT / "host" / "entry.py"), "training.evaluation.command", *arguments]
    helpers = [[*program, "--part", str(number)] for number in range(1, options.processes)]
    return plan.rows(work_together(plan.tasks(), helpers, "evaluate"))


def told(options: Options) -> str:
    """How a table was made, in a sentence."""
    return (
        f"`{options.checkpoint.name}`, world {options.world}, {options.samples} samples a row, "
        f"{options.rollouts} roll-outs, {options.steps} steps, guidance {options.guidance:g}."
    )


def main(arguments: list[str] | None = None) -> None:
    """Read the options and run; a fault is one sentence and exit code 1."""
    words = sys.argv[1:] if arguments is None else arguments
    options = read_options(words)
    cv2.setNumThreads(1)
    join(max(1, (os.cpu_count() or 1) // options.processes))
    try:
        if options.part is not None:
            work(Plan(options).tasks(), options.part)
            return
        if options.card:
            read_card(options.card)  # better now than after an hour
        rows = evaluate(options, words)
    except (CheckpointError, RunError) as error:
        sys.exit(f"spacetime: {error}")
    print(markdown(rows))
    if options.json:
        about = {
            "checkpoint": None if options.renders else options.checkpoint.name,
            **{"world": options.world, "samples": options.samples, "steps": options.steps},
            "guidance": options.guidance,
        }
        write_json(options.json, rows, about)
    if options.card:
        write_card(options.card, f"{told(options)}\n\n{markdown(rows)}")


if __name__ == "__main__":
    main()
