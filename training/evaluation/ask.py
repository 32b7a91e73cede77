# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a maker for clips, once for each prompt, and reads from them what all questions want to know."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..judges.nets import Judge
from ..judges.sight import Sight
from ..scenes.config import WorldConfig
from ..scenes.scene import Scene
from .makers import Maker
from .prompts import NEEDS, Pool, Prompt, draw_prompts
from .questions import Question
from .work import Task

OTHERS = 4  # scenes of other prompts that a clip is also held against
TOGETHER = 8  # prompts of a task

Prompts = dict[Question, list[Prompt]]


@dataclass
class Answers:
    """How right each clip was, 0..1: held against its own prompt, and against others'."""

    right: list[float] = field(default_factory=list)
    shuffled: list[float] = field(default_factory=list)


def draw_all(questions: Sequence[Question], world: WorldConfig, count: int, limit: int) -> Prompts:
    """The prompts of every question; a question that the world cannot answer has none."""
    drawn: dict[tuple[str, str], list[Prompt]] = {}
    pool = Pool()
    for question in sorted(questions, key=lambda q: ORDER.get(q.need, 9)):
        key = (question.need, question.wording)
        need = NEEDS[question.need]
        if key not in drawn:
            drawn[key] = [] if need.lacks(world) else draw_prompts(need, world, count, question.wording, limit, pool)
    return {question: drawn[question.need, question.wording] for question in questions}


# Needs whose scenes also serve those that come after them.
ORDER = {"directed": 0, "camera": 1, "clear": 2, "plain": 3}


def belonging(prompts: Prompts) -> dict[Prompt, list[Question]]:
    """The questions that are asked of the clip of each prompt."""
    asked: dict[Prompt, list[Question]] = {}
    for question, own in prompts.items():
        for prompt in own:
            asked.setdefault(prompt, []).append(question)
    return asked


def in_parts(prompts: Sequence[Prompt], size: int = TOGETHER) -> list[list[Prompt]]:
    """The prompts in parts of one shape and about one size; none has one prompt alone where it need not."""
    parts: list[list[Prompt]] = []
    for shape in dict.fromkeys(_shape(p) for p in prompts):
        same = [p for p in prompts if _shape(p) == shape]
        edges = np.linspace(0, len(same), -(-len(same) // size) + 1).round().astype(int)
        parts += [same[first:end] for first, end in pairwise(edges)]
    return parts


def _shape(p: Prompt) -> tuple[int, int, int, float]:
    return p.width, p.height, p.frames, p.fps


def tasks(
    maker: Callable[[], Maker], judge: Judge, prompts: Prompts, world: WorldConfig, store: Path, name: str
) -> list[Task]:
    """Make a clip for every prompt and let every question that it belongs to judge it: tasks of some prompts each.

    A model with shuffled text makes the same clips for other prompts: each clip is also held against some of those.
    ``maker`` is called when the first clip is wanted.
    """
    asked = belonging(prompts)
    return [
        Task(store, f"{name} {number}", partial(_measure, maker, judge, part, asked, prompts, world))
        for number, part in enumerate(in_parts(list(asked)))
    ]


def _measure(
    maker: Callable[[], Maker], judge: Judge, part: list[Prompt], asked: Mapping[Prompt, list[Question]],
    prompts: Prompts, world: WorldConfig,
) -> list[dict[str, Any]]:  # fmt: skip
    """What each question says of each of some prompts' clips: {row: [right, [others]]}."""
    out = []
    for prompt, clip in zip(part, maker()(part), strict=True):
        sight = Sight(judge, clip, prompt.fps)
        found: dict[str, Any] = {}
        for question in asked[prompt]:
            others = [question.right(sight, scene, world) for scene in _others(prompt, prompts[question])]
            found[question.row] = [question.right(sight, prompt.scene, world), others]
        out.append(found)
    return out


def _others(prompt: Prompt, prompts: Sequence[Prompt]) -> list[Scene]:
    """The scenes of some other prompts, always the same ones."""
    rest = [p.scene for p in prompts if p != prompt]
    count = min(OTHERS, len(rest))
    chosen = np.random.default_rng(prompt.seed).permutation(len(rest))[:count]
    return [rest[int(i)] for i in chosen]


def answers(found: Mapping[str, Any], name: str) -> dict[str, Answers]:
    """The answers by row, of all results of :func:`tasks` of that name."""
    out: dict[str, Answers] = {}
    for task in sorted(t for t in found if t.rpartition(" ")[0] == name):
        for clip in found[task]:
            for row, (right, others) in clip.items():
                into = out.setdefault(row, Answers())
                into.right.append(right)
                into.shuffled += others
    return out


def control_tasks(judge: Judge, prompts: Prompts, world: WorldConfig, store: Path, count: int) -> list[Task]:
    """How far each question is satisfied by what must not satisfy it, on up to ``count`` prompts."""
    out: list[Task] = []
    for question, own in prompts.items():
        chosen = [p for p in own if question.controlled(p.scene)][:count]
        make = partial(question.control, world)
        out += tasks(make, judge, {question: chosen}, world, store, f"control of {question.row}")
    return out
