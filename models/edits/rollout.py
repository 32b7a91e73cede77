# SPDX-License-Identifier: GPL-3.0-or-later
"""A clip that is longer than a model can make at once: which latent frames are made when, and what is seen meanwhile.

A chunk is made in a window: finished latent frames in front of it (its history, exact as they are), the chunk, and
what is already known behind it. Inside a clip a causal VAE's first latent frame stands for the past: there the window
begins with a *lead*, either the decoded frame before the history, encoded anew, or, at the begin of a scene, left free.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .timeline import Timeline

FREE, KNOWN, MIXED = "free", "known", "mixed"
STRETCH = 1.25  # how far contrast may be pulled back in one chunk
SHIFT = 0.5  # how far a channel's mean may be pulled back, in standard deviations of the reference
NOISE_SEED = 1 << 60  # the noise on history is not the noise that the chunk is made from


@dataclass(frozen=True)
class Chunk:
    """Latent frames ``begin`` to ``end``, made with ``before`` finished ones in front and ``after`` known ones behind.

    lead: latent frames in front of all of them that stand for the past; ``anchored`` where they show the frame before,
    else they are made up, and with ``opens`` kept, since the scene that begins here is decoded from them on.
    """

    begin: int
    end: int
    before: int = 0
    after: int = 0
    lead: int = 0
    anchored: bool = False
    opens: bool = False
    backward: bool = False

    @property
    def count(self) -> int:
        """Return the number of latent frames made."""
        return self.end - self.begin

    @property
    def places(self) -> list[int]:
        """The clip's latent frame for each one of the window; a lead stands at the nearest that there is."""
        first = self.begin - self.before
        return [max(0, first - 1)] * self.lead + list(range(first, self.end + self.after))


def states(mask: Tensor | None, length: int) -> list[str]:
    """What a mask (1, 1, T, h, w) says of each latent frame: FREE, KNOWN or MIXED; without one all are free."""
    if mask is None:
        return [FREE] * length
    flat = mask.expand(1, 1, length, *mask.shape[3:])[0, 0].flatten(1)
    low, high = flat.amin(1).tolist(), flat.amax(1).tolist()
    return [FREE if a >= 1 else KNOWN if b <= 0 else MIXED for a, b in zip(low, high, strict=True)]


def chunks(
    state: Sequence[str], window: int, context: int, timeline: Timeline, cuts: Sequence[int] = ()
) -> list[Chunk]:
    """Cut a clip into chunks, in the order in which they are made.

    ``window`` latent frames are made or seen at once (known ones behind a chunk come on top), ``context`` of them
    history. A scene that leads to a known end from nothing is made from its end. Raises ValueError where the context
    leaves nothing to make.
    """
    room = window - context - int(timeline.lone_first)
    if room < 1:
        raise ValueError(f"a context of {context} latent frames leaves nothing to make in a window of {window}")
    out: list[Chunk] = []
    for start, stop in zip((0, *cuts), (*cuts, len(state)), strict=True):
        out += _scene(state, start, stop, window, context, timeline.lone_first)
    return out


def _scene(state: Sequence[str], start: int, stop: int, window: int, context: int, lone: bool) -> list[Chunk]:
    opening = int(lone and start > 0)  # the lead of a scene inside the clip
    room = window - context - int(lone)
    goal = next((frame for frame in range(start, stop) if state[frame] != FREE), stop)
    out, at = [], start
    if goal < stop and state[goal] == KNOWN and goal - start >= window - opening:
        behind = goal + _known_run(state, goal, stop, context)  # up to here there is something to see
        for begin, end in reversed(_parts(start, goal, room)):
            lead = opening if begin == start else int(lone)
            seen = min(context, behind - end)
            out.append(Chunk(begin, end, 0, seen, lead, opens=bool(opening) and begin == start, backward=True))
        at = goal
    spans = [(at, min(stop, at + window - opening))] if at == start else []
    for begin, end in [*spans, *_parts(spans[0][1] if spans else at, stop, room)]:
        before = min(context, begin - start)
        first = begin - before
        lead = opening if first == start else int(lone)
        after = _known_run(state, end, stop, context)
        out.append(
            Chunk(begin, end, before, after, lead, first > start and bool(lead), bool(opening) and begin == start)
        )
    return out


def _parts(begin: int, end: int, most: int) -> list[tuple[int, int]]:
    """Cut a stretch into parts of nearly the same size, none larger than ``most``."""
    count = -(-(end - begin) // most)
    edges = [begin + (end - begin) * index // max(1, count) for index in range(count + 1)]
    return list(itertools.pairwise(edges))


def _known_run(state: Sequence[str], begin: int, stop: int, most: int) -> int:
    """How many latent frames from ``begin`` on are known, up to ``most``."""
    count = 0
    while count < most and begin + count < stop and state[begin + count] == KNOWN:
        count += 1
    return count


def corrupt(latent: Tensor, level: float, seed: int) -> Tensor:
    """Make history a little noisy, as a model that was trained for it expects: it then trusts its faults less.

    latent: in the model's own units (unit variance). ``level`` 0..1 is the share of noise. ``seed`` may be that of the
    noise which the chunk is made from: this is another one.
    """
    if level <= 0:
        return latent
    generator = torch.Generator().manual_seed((NOISE_SEED + seed) % (1 << 64))
    return torch.lerp(latent, torch.randn(latent.shape, generator=generator).to(latent), level)


def history_guidance(guidance: float, share: float) -> float:
    """Guidance for a chunk that goes on from finished frames: 1, and ``share`` 0..1 of what ``guidance`` is beyond it.

    Those frames show most of what the text asks for. Full guidance would strengthen its own traces from chunk to
    chunk, until edges and colours are too hard.
    """
    return 1 + share * (guidance - 1)


def hold_colour(made: Tensor, reference: Tensor, strength: float, joined: tuple[bool, bool] = (True, False)) -> Tensor:
    """Pull the channels' means and contrasts of a chunk (1, C, T, h, w) back to those of ``reference``.

    Where the chunk is ``joined`` to others (before, after) nothing changes, and the pull grows with the distance: the
    picture turns back slowly and no edge can be seen. ``strength`` 0..1 is the share of the difference taken back.
    """
    if strength <= 0:
        return made
    whole = (0, 2, 3, 4)
    goal, spread = (_each(x) for x in (reference.mean(whole), reference.std(whole)))
    mean, own = (_each(x) for x in (made.mean(whole), made.std(whole)))
    stretch = (spread / own.clamp(min=1e-6)).clamp(1 / STRETCH, STRETCH)
    shift = torch.maximum(torch.minimum(goal - mean, SHIFT * spread), -SHIFT * spread)
    held = (made - mean) * stretch + mean + shift
    return torch.lerp(made, held, strength * _ramp(made.shape[2], joined).view(1, 1, -1, 1, 1).to(made))


def _each(values: Tensor) -> Tensor:
    return values.view(1, -1, 1, 1, 1)


def _ramp(count: int, joined: tuple[bool, bool]) -> Tensor:
    """How far each of ``count`` frames is from what it is joined to: 0 beyond the end, 1 farthest away."""
    place = torch.arange(1, count + 1) / (count + 1)
    out = torch.ones(count)
    for side, share in zip(joined, (place, 1 - place), strict=True):
        out = torch.minimum(out, share * (count + 1) / count) if side else out
    return out
