# SPDX-License-Identifier: GPL-3.0-or-later
"""How a finished clip and the videos it was made from become one video; the plan travels with the LATENT.

Original frames pass through untouched; only what was generated is decoded. Where the two meet, what the VAE lost of
the original is given back to the generated side and fades.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import comfy.model_management as mm
import numpy as np
from numpy.typing import NDArray

from ..models.edits.clip import Edit
from ..models.edits.seam import Residual, fill_region, to_picture
from ..video.frames import Frame, fit_frame
from .guides import KEY as GUIDES
from .guides import Guides
from .originals import Original

KEY = "spacetime_plan"  # in a LATENT
FEATHER = 6  # pixels over which a region's border fades


@dataclass(frozen=True)
class Kept:
    """Frames ``begin`` to ``end`` of an original, as they are."""

    original: Original
    begin: int
    end: int

    @property
    def count(self) -> int:
        """Return the number of frames."""
        return self.end - self.begin

    def frames(self) -> Iterator[Frame]:
        """Yield them."""
        return self.original.frames(self.begin, self.end)

    def part(self, skip: int, count: int) -> Kept:
        """Return ``count`` of these frames behind the first ``skip``."""
        return Kept(self.original, self.begin + skip, self.begin + skip + count)


@dataclass(frozen=True)
class Shown:
    """Frames that are given as they are, such as a keyframe; the sound is that of the Made in whose place they are."""

    pictures: tuple[Frame, ...]
    sound: Kept | None = None
    sound_in: Kept | None = None
    shares: tuple[float, float] = (0.0, 1.0)

    @property
    def count(self) -> int:
        """Return the number of frames."""
        return len(self.pictures)

    def frames(self) -> Iterator[Frame]:
        """Yield them."""
        return iter(self.pictures)


@dataclass(frozen=True)
class Made:
    """Frames ``begin`` to ``end`` of the decoded clip.

    ``before`` and ``after`` are the originals of the decoded frames next to them, the nearest first, where those are
    known; ``sound`` is the original whose sound goes on meanwhile, ``sound_in`` one that it gives way to, whose share
    goes evenly from ``shares[0]`` to ``shares[1]``.
    """

    begin: int
    end: int
    before: tuple[Frame, ...] = ()
    after: tuple[Frame, ...] = ()
    sound: Kept | None = None
    sound_in: Kept | None = None
    shares: tuple[float, float] = (0.0, 1.0)

    @property
    def count(self) -> int:
        """Return the number of frames."""
        return self.end - self.begin

    def part(self, begin: int, end: int) -> Made:
        """Return decoded frames ``begin`` to ``end`` of these, with the sound that belongs there."""
        low, high = self.shares
        first, last = (low + (high - low) * (frame - self.begin) / self.count for frame in (begin, end))
        sound, coming = (
            None if kept is None else kept.part(begin - self.begin, end - begin) for kept in (self.sound, self.sound_in)
        )
        before, after = self.before if begin == self.begin else (), self.after if end == self.end else ()
        return Made(begin, end, before, after, sound, coming, (first, last))


@dataclass(frozen=True)
class Filled:
    """The decoded clip's frames from ``begin`` on, of which only a region shows; around it stands ``kept``.

    region: (1 or count, height, width) of the whole picture, True where decoded pixels show; the original's picture
    has its upper left corner at ``corner`` (x, y).
    """

    kept: Kept | Shown
    begin: int
    region: NDArray[np.bool_]
    corner: tuple[int, int] = (0, 0)

    @property
    def count(self) -> int:
        """Return the number of frames."""
        return self.kept.count

    @property
    def sound(self) -> Kept | None:
        """The original whose sound goes on meanwhile."""
        return self.kept if isinstance(self.kept, Kept) else None

    def place(self, frame: Frame) -> Frame:
        """Put an original frame on the whole picture."""
        height, width = self.region.shape[1:]
        if frame.shape[:2] == (height, width):
            return frame
        whole = np.zeros((height, width, 3), np.uint8)
        x, y = self.corner
        whole[y : y + frame.shape[0], x : x + frame.shape[1]] = frame
        return whole


Part = Kept | Shown | Made | Filled


@dataclass(frozen=True)
class Plan:
    """The parts of a video in their order, its size (width, height) and its frames per second."""

    parts: tuple[Part, ...]
    size: tuple[int, int]
    rate: Fraction

    @property
    def count(self) -> int:
        """Return the number of frames."""
        return sum(part.count for part in self.parts)


def to_latent(edit: Edit, plan: Plan, guides: Guides | None = None) -> dict[str, Any]:
    """Return a LATENT to sample that carries its plan and, where whole frames are known, these as ``guides``."""
    device = mm.intermediate_device()
    latent = {
        "samples": edit.samples.to(device),
        "noise_mask": edit.mask.to(device),
        "frame_rate": float(plan.rate),
        KEY: plan,
    }
    return latent if guides is None else {**latent, GUIDES: guides}


def assemble(plan: Plan, decode: Callable[[], Iterator[Frame]], fade: float = 1.0) -> Iterator[Frame]:
    """Yield a plan's frames; ``decode`` gives the finished clip's. Residuals fade over ``fade`` seconds."""
    decoded = _Decoded(decode, plan.size)
    try:
        for part in plan.parts:
            if isinstance(part, (Kept, Shown)):
                yield from part.frames()
            elif isinstance(part, Filled):
                yield from _filled(part, decoded)
            else:
                yield from _made(part, decoded, round(fade * plan.rate))
    finally:
        decoded.close()


class _Decoded:
    """The decoded clip as a stream that is begun when it is first needed; frames are asked for in order."""

    def __init__(self, decode: Callable[[], Iterator[Frame]], size: tuple[int, int]) -> None:
        self._decode, self._size = decode, size
        self._stream: Iterator[Frame] | None = None
        self._next = 0
        self._last: Frame | None = None

    def frame(self, index: int) -> Frame:
        """Return frame ``index``, the last one given or a later one."""
        if self._stream is None:
            self._stream = self._decode()
        while self._next <= index:
            self._last = next(self._stream)
            self._next += 1
        assert self._last is not None and self._next == index + 1  # parts stand in the clip's order
        return fit_frame(self._last, *self._size, "stretch")

    def close(self) -> None:
        close = getattr(self._stream, "close", None)
        if close is not None:
            close()


def _made(part: Made, decoded: _Decoded, fade: int) -> Iterator[Frame]:
    length = min(fade, part.count)
    left = right = None
    if part.before and part.begin > 0:
        left = _residual(part.before, decoded.frame(part.begin - 1), length)
    waiting: deque[tuple[int, Frame]] = deque()  # near the end, until what follows is decoded
    held = length if part.after else 0
    for index in range(part.begin, part.end):
        waiting.append((index, decoded.frame(index)))
        if len(waiting) > held:
            yield _with_residuals(part, *waiting.popleft(), left, None)
    if part.after:
        right = _residual(part.after, decoded.frame(part.end), length)
    for index, frame in waiting:
        yield _with_residuals(part, index, frame, left, right)


def _residual(originals: tuple[Frame, ...], decoded: Frame, length: int) -> Residual:
    return Residual(originals[0], decoded, length, originals[1] if len(originals) > 1 else None)


def _with_residuals(part: Made, index: int, frame: Frame, left: Residual | None, right: Residual | None) -> Frame:
    picture = frame.astype(np.float32)
    shares = [] if left is None else [left.share(picture, index - part.begin + 1)]
    shares += [] if right is None else [right.share(picture, part.end - index)]
    return to_picture(frame, *shares)


def _filled(part: Filled, decoded: _Decoded) -> Iterator[Frame]:
    for index, original in enumerate(part.kept.frames()):
        region = part.region[index if len(part.region) > 1 else 0]
        yield fill_region(part.place(original), decoded.frame(part.begin + index), region, FEATHER)
