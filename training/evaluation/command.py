# SPDX-License-Identifier: GPL-3.0-or-later
"""Score a checkpoint on prompts that it was never trained on, in one table: ``./spacetime evaluate``.

Every row stands beside the same figure for real renders (ceiling), for the same model given other prompts' texts
(floor), and for renders that must not satisfy the row's judge (control). docs/EVALUATION.md says what each row is.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from ...models.checkpoint import Checkpoint, CheckpointError, load_checkpoint
from ..assets import ROOT
from ..common import log
from ..evaluate import Generator
from ..judges.nets import WEIGHTS, Judge, load_judge
from ..parallel import join
from ..saves import RunError
from ..scenes.config import CONFIGS, WorldConfig
from ..worlds import words
from .ask import ask, control_answers, draw_all
from .joins import Filler, ModelFiller, drift_rows, join_rows, truth
from .makers import Model, Renders
from .prompts import NEEDS, Prompt
from .questions import QUESTIONS, Question
from .reconstruction import SIZES, clip_rows, size_rows
from .table import PERCENT, Row, markdown, share_row, write_json

JOINS = ("extension", "loop", "connection")
DRIFT = (30, 60)  # seconds
QUICK = 12  # samples
SHARED_PLACES = ("meadow", "beach", "desert", "forest", "city")  # of the first world and of scenes/
FIRST = "was trained in the first world (training/world.py)"
# What a checkpoint of the first world cannot have, and why.
NOT_FIRST = {
    "place": f"the checkpoint {FIRST}, whose places are painted otherwise than the judge has learnt",
    "light": f"the checkpoint {FIRST}: night is a place there",
    "weather": f"the checkpoint {FIRST}: snow is a place there",
    "English prompts": f"the checkpoint {FIRST}; its places cannot be judged",
    "Chinese prompts": f"the checkpoint {FIRST}; its places cannot be judged",
    "free wording": f"the checkpoint {FIRST}; its places cannot be judged",
}


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


def read_options(arguments: list[str] | None) -> Options:
    """Read the options."""
    parser = argparse.ArgumentParser(
        prog="./spacetime evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--quick", action="store_true", help=f"{QUICK} samples a row and no roll-outs, for a first look")
    add("--json", type=Path, help="write the table here, too")
    add("--world", choices=tuple(CONFIGS), default="nano", help="whose held-out prompts to ask for (nano)")
    add("--checkpoint", type=Path, default=ROOT / "weights" / "spacetime-nano.safetensors")
    add("--samples", type=int, help="prompts for a row (200)")
    add("--rollouts", type=int, help="roll-outs of a minute (8); each takes about thirty clips' time")
    add("--steps", type=int, default=20, help="model calls for a clip (20)")
    add("--guidance", type=float, default=4.0)
    add("--rows", nargs="+", default=[], metavar="WORD", help="only rows whose name has one of these words")
    add("--clips", nargs="+", type=Path, default=[], metavar="FILE", help="real videos for the VAE's rows")
    add("--renders", action="store_true", help="no checkpoint: the table of the renders and the judges alone")
    add("--judge", type=Path, default=WEIGHTS, help="the judge's weights, see ./spacetime train judge")
    add("--references", type=Path, metavar="FILE", help="take ceilings and controls from a table written before")
    o = parser.parse_args(arguments)
    for name in ("samples", "rollouts", "steps"):
        if getattr(o, name) is not None and getattr(o, name) < (name != "rollouts"):
            parser.error(f"--{name} {getattr(o, name)}: must be at least 1")
    return Options(
        o.checkpoint, o.world, o.samples or (QUICK if o.quick else 200),
        (0 if o.quick else 8) if o.rollouts is None else o.rollouts, o.steps, o.guidance, o.quick, o.renders,
        tuple(o.rows), tuple(o.clips), o.judge, o.references, o.json,
    )  # fmt: skip


def trained_in(checkpoint: Checkpoint) -> str:
    """Whose captions a checkpoint's text encoder knows: "first" for the first world, else "scenes"."""
    info, config = checkpoint.info or {}, checkpoint.text_config
    if "world" in info:
        return "first" if info["world"] == "first" else "scenes"
    return "first" if config is not None and config.pieces == words("first") else "scenes"


def evaluate(options: Options) -> list[Row]:
    """Measure all rows that are asked for. Raises CheckpointError and RunError."""
    world, judge = CONFIGS[options.world](), load_judge(options.judge)
    checkpoint = None if options.renders else load_checkpoint(options.checkpoint)
    first = checkpoint is not None and trained_in(checkpoint) == "first"
    if first:
        world = restrict_to_first(world)
    model = None if checkpoint is None else Model(Generator.of(checkpoint), options.steps, options.guidance)
    limit = 80 if checkpoint is None or checkpoint.text_config is None else checkpoint.text_config.length
    rows = asked_rows(options, model, judge, world, limit, first)
    rows += time_rows(options, model, judge, world, limit, first)
    if model is not None and wanted(options, "VAE reconstruction"):
        vae = model.generator.vae
        rows += size_rows(vae, world, max(4, options.samples // 8), SIZES[:2] if options.quick else SIZES)
        rows += clip_rows(vae, options.clips)
    return rows


def restrict_to_first(world: WorldConfig) -> WorldConfig:
    """The part of a world's config of which the first world has words."""
    places = tuple(p for p in world.places if p in SHARED_PLACES)
    return replace(world, places=places, lights=("day",), weathers=("clear",), looks=("natural",), colour=0.0)


def wanted(options: Options, row: str) -> bool:
    """Whether a row is asked for."""
    return not options.rows or any(word in row for word in options.rows)


def asked_rows(
    options: Options, model: Model | None, judge: Judge, world: WorldConfig, limit: int, first: bool
) -> list[Row]:
    """The rows whose questions a clip answers."""
    chosen = [q for q in QUESTIONS if wanted(options, q.row)]
    reasons = {q: (NOT_FIRST.get(q.row, "") if first else "") or NEEDS[q.need].lacks(world) for q in chosen}
    prompts = draw_all([q for q in chosen if not reasons[q]], world, options.samples, limit)
    for q, own in prompts.items():
        if not own:
            reasons[q] = "no held-out scene of this world has it"
    prompts = {q: own for q, own in prompts.items() if own}
    own_ceiling = model is None or options.references is None
    ceilings = ask(Renders(), judge, once(prompts), world, "renders") if own_ceiling else {}
    if options.references is None:
        control = control_answers(judge, prompts, world, max(12, options.samples // 2))
        known = {q.row: (_mean(ceilings[_same(q, ceilings)].right), _mean(control[q])) for q in prompts}
    else:
        known = read_references(options.references)
    answers = ceilings if model is None else ask(model, judge, prompts, world, "clips")
    rows = []
    for q in chosen:
        if reasons[q]:
            rows.append(Row(q.row, note=f"absent: {reasons[q]}"))
            continue
        found = answers[_same(q, answers)]
        ceiling, against = known.get(q.row, (None, None))
        figures = {"ceiling": ceiling, "floor": _mean(found.shuffled), "control": against, "chance": q.chance(world)}
        rows.append(share_row(q.row, found.right, **figures, note=q.note))
    return rows


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def read_references(path: Path) -> dict[str, tuple[float | None, float | None]]:
    """Ceilings and controls in 0..1 of a table that was written before. Raises RunError."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
        found = {r["row"]: (r["ceiling"], r["control"]) for r in rows if r["unit"] == PERCENT}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} is no table that ./spacetime evaluate --json wrote ({error})") from error
    return {row: tuple(None if v is None else v / 100 for v in both) for row, both in found.items()}  # type: ignore[misc]


def once(prompts: dict[Question, list[Prompt]]) -> dict[Question, list[Prompt]]:
    """The prompts without those that ask for the same scenes in other words: a render sees no words."""
    plain: dict[tuple[str, Any], Question] = {}
    for q in prompts:
        plain.setdefault((q.need, q.right), q)
    return {q: prompts[q] for q in plain.values()}


def _same(question: Question, answered: dict[Question, Any]) -> Question:
    if question in answered:
        return question
    return next(q for q in answered if (q.need, q.right) == (question.need, question.right))


def time_rows(
    options: Options, model: Model | None, judge: Judge, world: WorldConfig, limit: int, first: bool
) -> list[Row]:
    """The rows of operations and roll-outs."""
    filler: Filler = truth if model is None else ModelFiller(model)
    rows: list[Row] = []
    for kind in JOINS:
        if wanted(options, f"{kind} seam") or wanted(options, f"{kind} content"):
            rows += join_rows(kind, filler, judge, world, options.samples, limit)
            log.info("%s: %d samples", kind, options.samples)
    if options.rollouts and any(wanted(options, f"drift over {s} s") for s in DRIFT):
        rows += drift_rows(filler, judge, world, options.rollouts, DRIFT, limit)
    elif not options.rollouts:
        rows += [Row(f"drift over {s} s", note="absent: no roll-outs in this run, see --rollouts") for s in DRIFT]
    if first:
        rows = [
            Row(r.row, note=f"absent: {NOT_FIRST['place']}") if "content" in r.row or "drift" in r.row else r
            for r in rows
        ]
    return [r for r in rows if wanted(options, r.row)]


def main(arguments: list[str] | None = None) -> None:
    """Read the options and run; a fault is one sentence and exit code 1."""
    options = read_options(arguments)
    cv2.setNumThreads(1)
    join(torch.get_num_threads())
    try:
        rows = evaluate(options)
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


if __name__ == "__main__":
    main()
