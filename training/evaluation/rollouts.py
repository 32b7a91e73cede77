# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows about drift: scenes' beginnings that go on for a minute, in the way of the node Long Video."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...models.edits.rollout import FREE, KNOWN, Chunk, chunks, corrupt, history_guidance, hold_colour
from ...models.edits.timeline import Timeline
from ..judges.nets import Judge
from ..scenes.config import WorldConfig
from ..scenes.render import render
from .ask import in_parts
from .joins import content_row, keeps
from .makers import Model
from .prompts import Need, Prompt, draw_prompts
from .table import Row
from .work import Task

Frames = NDArray[np.uint8]
Rolled = Iterator[tuple[int, list[Frames]]]  # seconds, and what is seen of each clip in the two before
SIDE = 160  # pixels: a third of the work of the other rows' 256
TOGETHER = 4  # roll-outs that go on side by side
BEGUN = 9  # frames of a scene that are known
WINDOW, CONTEXT = 9, 3  # latent frames made or seen at once, and seen: Long Video's 4 s and 1.5 s
HISTORY_NOISE, HOLD_COLOUR, GUIDED = 0.05, 0.5, 0.5  # Long Video's, the last as its history_guidance
SHOWN = 4  # latent frames that are judged: two seconds
LOOK = 4  # latent frames before a frame that are decoded to see it
CALM = ("still", "jump", "spin", "sway")  # what can be done for a minute
LONG = Need({"motions": lambda world: tuple(m for m in world.motions if m in CALM), "cameras": ("still",)})


def drift_prompts(world: WorldConfig, count: int, limit: int) -> list[Prompt]:
    """Scenes that go on as they are for a minute."""
    return [replace(p, width=SIDE, height=SIDE) for p in draw_prompts(LONG, world, count, limit=limit)]


@dataclass
class LongVideo:
    """A checkpoint, chunk after chunk in latents: finished ones with a little noise in front of what is made, colours
    held to those of the first chunk, and before the history a frame that stands for the past."""

    model: Model

    @torch.inference_mode()
    def __call__(self, prompts: Sequence[Prompt], seconds: Sequence[int]) -> Rolled:
        """Go on from the scenes' beginnings; what is seen at each of the times."""
        line = Timeline()
        x = torch.cat([self.model.encode(render(p.scene, p.width, p.height, BEGUN, p.fps)[0]) for p in prompts])
        ends = {at: line.latents(round(at * prompts[0].fps) + 1) for at in sorted(seconds)}
        state = [KNOWN] * x.shape[2] + [FREE] * (max(ends.values()) - x.shape[2])
        reference = None
        for number, chunk in enumerate(chunks(state, WINDOW, CONTEXT, line)):
            made = self._made(prompts, x, chunk, number)
            reference = made if reference is None else reference
            if number:
                pairs = zip(made.split(1), reference.split(1), strict=True)
                made = torch.cat([hold_colour(one, first, HOLD_COLOUR) for one, first in pairs])
            x = torch.cat([x[:, :, : chunk.begin], made], 2)
            for at in [at for at, end in ends.items() if end <= chunk.end]:
                end = ends.pop(at)
                yield at, [self._seen(z[:, :, :end]) for z in x.split(1)]

    def _made(self, prompts: Sequence[Prompt], x: Tensor, chunk: Chunk, number: int) -> Tensor:
        """A chunk's latents (B, C, chunk.count, h, w); of the first chunk the beginning is known."""
        begun = x[:, :, chunk.begin : chunk.end]
        free = x.new_zeros(*x.shape[:2], chunk.count - begun.shape[2], *x.shape[3:])
        history = x[:, :, chunk.begin - chunk.before : chunk.begin]
        if chunk.lead:
            history = torch.cat([self._past(x[:, :, : chunk.begin - chunk.before]), history], 2)
        if history.shape[2]:
            noisy = (corrupt(z, HISTORY_NOISE, p.seed + number) for z, p in zip(history.split(1), prompts, strict=True))
            history = torch.cat([*noisy])
        known = torch.cat([history, begun, free], 2)
        mask = torch.ones(len(x), 1, *known.shape[2:])
        mask[:, :, : known.shape[2] - free.shape[2]] = 0
        guidance = history_guidance(self.model.guidance, GUIDED) if chunk.before else self.model.guidance
        return self.model.fill(prompts, known, mask, number, guidance)[:, :, history.shape[2] :]

    def _past(self, x: Tensor) -> Tensor:
        """The last frame of latents, decoded, and encoded as a clip's first."""
        frames = self.model.generator.frames(x[:, :, -LOOK - 1 :])
        return torch.cat([self.model.encode(clip[-1:]) for clip in frames])

    def _seen(self, x: Tensor) -> Frames:
        """The last two seconds of a clip's latents (1, C, T, h, w)."""
        return self.model.generator.frames(x[:, :, -SHOWN - LOOK :])[0][-Timeline().ratio * SHOWN :]


def drift_tasks(
    roll: Callable[[], LongVideo] | None, prompts: Sequence[Prompt], seconds: Sequence[int], judge: Judge,
    world: WorldConfig, store: Path,
) -> list[Task]:  # fmt: skip
    """Whether thing and place are still there after so many seconds; without a roll-out what the world shows then,
    and what it shows of another scene."""
    measure = partial(_still_there) if roll is None else partial(_rolled, roll)
    return [
        Task(store, f"drift {number}", partial(measure, part, seconds, judge, world))
        for number, part in enumerate(in_parts(prompts, TOGETHER))
    ]


def _rolled(
    roll: Callable[[], LongVideo], prompts: Sequence[Prompt], seconds: Sequence[int], judge: Judge, world: WorldConfig
) -> dict[str, list[float]]:
    return {
        str(at): [keeps(p, clip, judge, world) for p, clip in zip(prompts, clips, strict=True)]
        for at, clips in roll()(prompts, seconds)
    }


def _still_there(
    prompts: Sequence[Prompt], seconds: Sequence[int], judge: Judge, world: WorldConfig
) -> dict[str, list[list[float]]]:
    """For each time: the scores of each scene itself, and of another one."""
    out: dict[str, list[list[float]]] = {}
    for at in seconds:
        ends = [ending(p, at) for p in prompts]
        others = [*ends[1:], *ends[:1]]
        both = (zip(prompts, seen, strict=True) for seen in (ends, others))
        out[str(at)] = [[keeps(p, seen, judge, world) for p, seen in pairs] for pairs in both]
    return out


def ending(p: Prompt, seconds: int) -> Frames:
    """The last two seconds of a scene of so many, rendered at a low rate."""
    return render(p.scene, p.width, p.height, seconds + 1, 1.0)[0][-3:]


def drift_rows(
    own: Mapping[str, Any] | None, references: Mapping[str, Any], seconds: Sequence[int], world: WorldConfig
) -> list[Row]:
    """The rows of roll-outs, by results of :func:`drift_tasks`; without ``own`` those of the scenes themselves."""
    note = "object and place still there in the last two seconds; floor: another scene"
    rows = []
    for at in map(str, seconds):
        real, wrong = ([s for task in _drifts(references) for s in task[at][k]] for k in (0, 1))
        made = real if own is None else [s for task in _drifts(own) for s in task[at]]
        rows.append(content_row(f"drift over {at} s", made, real, wrong, world, note))
    return rows


def _drifts(found: Mapping[str, Any]) -> list[Any]:
    return [result for task, result in found.items() if task.rpartition(" ")[0] == "drift"]
