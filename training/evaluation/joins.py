# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows about joints: how extensions, loops and connections meet what they start from.

A gap is what lies between known frames. The world fills it with what it shows there itself; a model with what the
operations of the nodes (models/edits) make of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from ...models.edits.clip import bridge
from ...models.edits.seam import Residual, to_picture
from ...models.edits.segments import encode_segment
from ...models.edits.timeline import Timeline
from ..judges.motion import jumps
from ..judges.nets import Judge
from ..judges.sight import Sight
from ..scenes.config import WorldConfig
from ..scenes.render import render
from .ask import in_parts
from .makers import Model
from .prompts import CLEAR, Need, Prompt
from .table import Row, measured_row, share_row
from .work import Task

Frames = NDArray[np.uint8]
# With the known ones 17 frames, a length that checkpoints are trained on most.
KNOWN, MADE = 9, 8  # frames that are known before an extension, and that are made
SIDES = 5, 4  # frames known before and after a bridge
TOGETHER = 4  # gaps of a task
FADE = 8  # frames over which the detail that the VAE loses fades from made ones
TIMES = "x own motion"
# Whose frames differ: a moving camera, so that the clip's own motion is more than nothing; and can be read in a second.
MOVING = Need({"moving_camera": 1.0, **CLEAR})


@dataclass(frozen=True)
class Gap:
    """Frames (F, H, W, 3) on either side of ``made`` unknown ones, and what the world shows in their place."""

    prompt: Prompt
    before: Frames
    made: int
    after: Frames | None
    truth: Frames


class Filler(Protocol):
    """Fills gaps with frames (made, H, W, 3), in their order."""

    def __call__(self, gaps: Sequence[Gap]) -> Iterator[Frames]:
        """Yield the frames."""


def truth(gaps: Sequence[Gap]) -> Iterator[Frames]:
    """What the world shows in the gaps."""
    for gap in gaps:
        yield gap.truth


def hard_cuts(gaps: Sequence[Gap]) -> Iterator[Frames]:
    """What another scene shows in the gaps: what a seam must not look like."""
    for _, other in zip(gaps, [*gaps[1:], *gaps[:1]], strict=True):
        yield other.truth


@dataclass
class ModelFiller:
    """A checkpoint with the edits that the nodes make."""

    model: Model

    @torch.inference_mode()
    def __call__(self, gaps: Sequence[Gap]) -> Iterator[Frames]:
        """Encode the known frames, sample what is between, decode it, and give it the detail that the VAE lost."""
        edits = [self._edit(gap) for gap in gaps]
        known, mask = (torch.cat(parts) for parts in zip(*edits, strict=True))
        latents = self.model.fill([gap.prompt for gap in gaps], known, mask)
        for gap, latent in zip(gaps, latents.split(1), strict=True):
            yield faded(self.model.generator.frames(latent)[0], gap)

    def _edit(self, gap: Gap) -> tuple[torch.Tensor, torch.Tensor]:
        """The latents that are known of a gap, and where they are not."""
        line = Timeline()
        position = len(gap.before) + gap.made
        known = encode_segment(self.model.encode, gap.before, 0, line)
        after = None if gap.after is None else encode_segment(self.model.encode, gap.after, position, line)
        edit = bridge(known, gap.made // line.ratio, after)
        return edit.samples.float(), edit.mask


def faded(decoded: Frames, gap: Gap) -> Frames:
    """The made frames of a decoded clip, as Finish Video shows them."""
    first, end = len(gap.before), len(gap.before) + gap.made
    length = min(FADE, gap.made)
    left = Residual(gap.before[-1], decoded[first - 1], length, gap.before[-2])
    right = None if gap.after is None else Residual(gap.after[0], decoded[end], length, gap.after[1])
    out = []
    for k in range(first, end):
        picture = decoded[k].astype(np.float32)
        shares = [left.share(picture, k - first + 1)]
        shares += [] if right is None else [right.share(picture, end - k)]
        out.append(to_picture(decoded[k], *shares))
    return np.stack(out)


def gaps_of(kind: str, prompts: Sequence[Prompt]) -> Iterator[Gap]:
    """The gaps of an "extension", a "loop" (shown there and back) or a "connection" of a scene's begin with its end."""
    for p in prompts:
        before, after = (KNOWN, 0) if kind == "extension" else SIDES
        count = before + MADE + after
        if kind == "loop":
            there = render(p.scene, p.width, p.height, MADE, p.fps)[0]
            circle = np.concatenate([there, there[-2:0:-1]])  # 2 MADE - 2 frames, and round again
            clip = np.concatenate([circle, circle])[MADE - before // 2 :][:count]
        else:
            clip = render(p.scene, p.width, p.height, count, p.fps)[0]
        end = clip[before + MADE :] if after else None
        yield Gap(p, clip[:before], MADE, end, clip[before : before + MADE])


def seam(gap: Gap, made: Frames) -> float:
    """The larger jump at the joins over the mean jump within the known frames; 1 is no seam at all."""
    parts = [gap.before] if gap.after is None else [gap.before, gap.after]
    own = float(np.concatenate([jumps(part) for part in parts]).mean())
    joins = [jumps(np.stack([gap.before[-1], made[0]]))[0]]
    if gap.after is not None:
        joins.append(jumps(np.stack([made[-1], gap.after[0]]))[0])
    return max(joins) / max(own, 0.25)


def keeps(prompt: Prompt, made: Frames, judge: Judge, world: WorldConfig) -> float:
    """Whether the made frames show the thing and the place that the prompt names."""
    sight, shot = Sight(judge, made, prompt.fps), prompt.scene.shots[0]
    return float(sight.noun(world.nouns) == shot.actors[0].noun and sight.scenery("place", world.places) == shot.place)


Scores = dict[str, list[tuple[float, float]]]  # by filler: seam and what is kept of each gap


def join_tasks(
    kind: str, prompts: Sequence[Prompt], fillers: Mapping[str, Callable[[], Filler]], judge: Judge,
    world: WorldConfig, store: Path,
) -> list[Task]:  # fmt: skip
    """An operation's gaps, filled by each of the fillers: tasks of some prompts each."""
    return [
        Task(store, f"{kind} {number}", partial(_join, kind, part, fillers, judge, world))
        for number, part in enumerate(in_parts(prompts, TOGETHER))
    ]


def _join(
    kind: str, prompts: Sequence[Prompt], fillers: Mapping[str, Callable[[], Filler]], judge: Judge, world: WorldConfig
) -> Scores:
    gaps = list(gaps_of(kind, prompts))
    return {
        name: [(seam(g, m), keeps(g.prompt, m, judge, world)) for g, m in zip(gaps, filler()(gaps), strict=True)]
        for name, filler in fillers.items()
    }


def join_rows(kind: str, own: Mapping[str, Any], references: Mapping[str, Any], world: WorldConfig) -> list[Row]:
    """The rows of an operation: its seams, and whether what is made keeps to the thing and the place.

    ``own`` and ``references`` are results of :func:`join_tasks`: of one filler, and of the truth and of hard cuts.
    """
    made = [score for name in own if _is(name, kind) for score in next(iter(own[name].values()))]
    real, cuts = ([s for name in references if _is(name, kind) for s in references[name][f]] for f in REFERENCES)
    about = "floor: a hard cut to another scene"
    return [
        measured_row(
            *(f"{kind} seam", TIMES, [s for s, _ in made]),
            ceiling=float(np.mean([s for s, _ in real])), floor=float(np.mean([s for s, _ in cuts])),
            note=f"jump at the join over the clip's own mean jump, 1 is none; {about}",
        ),
        content_row(
            f"{kind} content", [k for _, k in made], [k for _, k in real], [k for _, k in cuts], world,
            f"object and place kept in what is made; {about}",
        ),
    ]  # fmt: skip


REFERENCES: dict[str, Filler] = {"truth": truth, "cuts": hard_cuts}


def _is(task: str, kind: str) -> bool:
    return task.rpartition(" ")[0] == kind


def content_row(
    name: str, made: list[float], real: list[float], wrong: list[float], world: WorldConfig, note: str
) -> Row:
    """The row of what is kept, by scores of the filler, of the truth and of what is wrong."""
    ceiling, floor = float(np.mean(real)), float(np.mean(wrong))
    chance = 1 / (len(world.nouns) * len(world.places))
    return share_row(name, made, ceiling=ceiling, floor=floor, control=floor, chance=chance, note=note)
