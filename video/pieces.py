# SPDX-License-Identifier: GPL-3.0-or-later
"""A stream of frames as the pieces of its shots: cut where the scene changes, and where a shot gets long.

Only the piece being filled and the frames about which the cut detector has not decided yet are in memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .cuts import Cut, CutDetector, thumbnail
from .frames import Frame


@dataclass(frozen=True)
class Piece:
    """A part of one shot: from frame ``start`` to ``stop`` (exclusive) of the stream. ``cut``: it begins a shot.

    ``frames`` (N, H, W, 3) uint8 are those without the dissolve or fade that it may begin or end with.
    """

    start: int
    stop: int
    frames: NDArray[np.uint8]
    cut: bool


def pieces(frames: Iterable[Frame], fps: float, longest: int) -> Iterator[Piece]:
    """Yield the pieces of a stream in order, of about ``longest`` frames: half to one and a half times, unless the
    shot itself is shorter."""
    filler = _Filler(longest)
    detector = CutDetector(fps)
    waiting: deque[Frame] = deque()
    for frame in frames:
        detector.feed(thumbnail(frame))
        waiting.append(frame)
        if detector.settled > filler.next:
            cuts = detector.cuts()
            while detector.settled > filler.next:
                yield from filler.take(waiting.popleft(), cuts)
    cuts = detector.finish()
    while waiting:
        yield from filler.take(waiting.popleft(), cuts)
    yield from filler.rest(detector.count)


class _Filler:
    """Collects the frames of a piece."""

    def __init__(self, longest: int) -> None:
        self.longest = max(2, longest)
        self.next = 0  # number of the frame that comes next
        self._held: list[Frame] = []
        self._start, self._cut = 0, True

    def take(self, frame: Frame, cuts: list[Cut]) -> Iterator[Piece]:
        """Take the next frame; yield what is whole."""
        index, self.next = self.next, self.next + 1
        change = next((cut for cut in reversed(cuts) if cut.start <= index <= cut.stop), None)
        if change is not None and index == change.start:
            yield from self.rest((change.start + change.stop) // 2)
        if change is None or index == change.stop:
            self._held.append(frame)
        if len(self._held) == self.longest + self.longest // 2:
            yield self._off(self.longest, index + 1 - self.longest // 2)

    def rest(self, stop: int) -> Iterator[Piece]:
        """Yield what is left of a shot that ends at frame ``stop``."""
        if len(self._held) > self.longest:
            half = -(-len(self._held) // 2)
            yield self._off(half, stop - len(self._held) + half)
        if self._held:
            yield self._off(len(self._held), stop)
        self._start, self._cut = stop, True

    def _off(self, count: int, stop: int) -> Piece:
        piece = Piece(self._start, stop, np.stack(self._held[:count]), self._cut)
        self._held, self._start, self._cut = self._held[count:], stop, False
        return piece
