# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a maker for clips, once for each prompt, and reads from them what all questions want to know."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..common import log
from ..judges.nets import Judge
from ..judges.sight import Sight
from ..scenes.config import WorldConfig
from ..scenes.scene import Scene
from .makers import Maker
from .prompts import NEEDS, Prompt, draw_prompts
from .questions import Question

OTHERS = 4  # scenes of other prompts that a clip is also held against
TOLD = 60.0  # seconds between two lines of progress


@dataclass
class Answers:
    """How right each clip was, 0..1: held against its own prompt, and against others'."""

    right: list[float] = field(default_factory=list)
    shuffled: list[float] = field(default_factory=list)


def draw_all(questions: Sequence[Question], world: WorldConfig, count: int, limit: int) -> dict[Question, list[Prompt]]:
    """The prompts of every question; a question that the world cannot answer has none."""
    drawn: dict[tuple[str, str], list[Prompt]] = {}
    for question in questions:
        key = (question.need, question.wording)
        need = NEEDS[question.need]
        if key not in drawn:
            drawn[key] = [] if need.lacks(world) else draw_prompts(need, world, count, question.wording, limit)
    return {question: drawn[question.need, question.wording] for question in questions}


def ask(
    maker: Maker, judge: Judge, prompts: dict[Question, list[Prompt]], world: WorldConfig, name: str
) -> dict[Question, Answers]:
    """Make a clip for every prompt and let every question that it belongs to judge it.

    A model with shuffled text makes the same clips for other prompts: each clip is also held against some of those.
    """
    asked: dict[Prompt, list[Question]] = {}
    for question, own in prompts.items():
        for prompt in own:
            asked.setdefault(prompt, []).append(question)
    answers = {question: Answers() for question in prompts}
    told = time.monotonic()
    for done, (prompt, clip) in enumerate(zip(asked, maker(list(asked)), strict=True), 1):
        sight = Sight(judge, clip, prompt.fps)
        for question in asked[prompt]:
            answers[question].right.append(question.right(sight, prompt.scene, world))
            for scene in _others(prompt, prompts[question]):
                answers[question].shuffled.append(question.right(sight, scene, world))
        if time.monotonic() - told > TOLD:
            told = time.monotonic()
            log.info("%s: %d of %d clips", name, done, len(asked))
    return answers


def _others(prompt: Prompt, prompts: Sequence[Prompt]) -> list[Scene]:
    """The scenes of some other prompts, always the same ones."""
    rest = [p.scene for p in prompts if p != prompt]
    count = min(OTHERS, len(rest))
    chosen = np.random.default_rng(prompt.seed).permutation(len(rest))[:count]
    return [rest[int(i)] for i in chosen]


def control_answers(
    judge: Judge, prompts: dict[Question, list[Prompt]], world: WorldConfig, count: int
) -> dict[Question, list[float]]:
    """How far each question is satisfied by what must not satisfy it, on up to ``count`` prompts."""
    out: dict[Question, list[float]] = {}
    for question, own in prompts.items():
        chosen = [p for p in own if question.controlled(p.scene)][:count]
        found = ask(question.control(world), judge, {question: chosen}, world, f"control of {question.row}")
        out[question] = found[question].right
    return out
