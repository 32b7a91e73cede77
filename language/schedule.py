# SPDX-License-Identifier: GPL-3.0-or-later
"""Which prompt counts when: a storyboard, or a glide between two, laid over a clip's latent frames."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ..models.edits.timeline import Timeline
from .storyboard import CUT, GLIDE, Shot, StoryboardError, is_storyboard, read_storyboard


class Schedule(Protocol):
    """The prompts' shares over a clip of ``length`` latent frames at ``rate`` frames per second."""

    def shares(self, length: int, rate: float | None) -> Tensor:
        """Return (prompts, length), every column adding up to 1; ``rate`` None: not known."""

    def cuts(self, length: int, rate: float | None) -> list[int]:
        """Return the latent frames at which another scene begins, in order; never the first."""


@dataclass(frozen=True)
class Board:
    """Shots at their times; the last prompt holds on. ``usual_rate`` counts where the clip does not say its own."""

    shots: tuple[Shot, ...]
    timeline: Timeline
    usual_rate: float

    def shares(self, length: int, rate: float | None) -> Tensor:
        """Return (shots, length); a gliding shot takes over from the one before little by little."""
        out = torch.zeros(len(self.shots), length)
        starts = self._starts()
        for frame, time in enumerate(self._times(length, rate)):
            now = max(index for index, start in enumerate(starts) if start <= time or not index)
            shot, share = self.shots[now], 1.0
            if shot.transition == GLIDE:
                share = min(1.0, (time - starts[now]) / shot.seconds)
                out[now - 1, frame] = 1 - share
            out[now, frame] = share
        return out

    def cuts(self, length: int, rate: float | None) -> list[int]:
        """Return the first latent frame of every scene but the first that the clip reaches."""
        times = self._times(length, rate)
        begins = [start for start, shot in zip(self._starts(), self.shots, strict=True) if shot.transition == CUT]
        found = {sum(time < begin for time in times) for begin in begins}
        return sorted(frame for frame in found if 0 < frame < length)

    def _starts(self) -> list[float]:
        """Seconds at which each shot begins."""
        return [sum(shot.seconds for shot in self.shots[:index]) for index in range(len(self.shots))]

    def _times(self, length: int, rate: float | None) -> list[float]:
        """The middle of each latent frame in seconds."""
        ends = [self.timeline.frames(count) for count in range(length + 1)]
        return [(begin + end - 1) / 2 / (rate or self.usual_rate) for begin, end in itertools.pairwise(ends)]


@dataclass(frozen=True)
class Turn:
    """Two prompts without a cut; ``share`` gives the second one's share (T,) for a clip of T latent frames."""

    share: Callable[[int], Tensor]

    def shares(self, length: int, rate: float | None) -> Tensor:
        """Return (2, length)."""
        second = self.share(length)
        return torch.stack([1 - second, second])

    def cuts(self, length: int, rate: float | None) -> list[int]:
        """Return nothing: it is one scene."""
        return []


def read_prompts(text: str) -> list[Shot]:
    """Read a storyboard, or one prompt for the whole clip where the text is none.

    Raises StoryboardError like ``read_storyboard``, and for a shot with a picture.
    """
    if text.strip() and not is_storyboard(text):
        return [Shot(1.0, " ".join(text.split()))]
    shots = read_storyboard(text)
    for shot in shots:
        if shot.picture:
            raise StoryboardError(
                f"A shot begins with the picture {shot.picture}: a schedule holds prompts only. Put the picture into "
                "the latent with Add Keyframe, or use Shots."
            )
    return shots
