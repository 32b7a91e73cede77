# SPDX-License-Identifier: GPL-3.0-or-later
"""Scene changes found while frames stream by: hard cuts, dissolves and fades, from small pictures of the frames.

A hard cut is a change that stands out of the changes around it and stays; a flash goes away again and fast motion
changes every frame. A dissolve or fade is a second of frames in which each is a mixture of the first and the last.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Thumb = NDArray[np.float32]

SIDE = 48  # pixels of a thumb's longer side
LOOK = 6  # frames on either side that a hard cut must stand out of
LEAST_JUMP = 5.0  # of 255, mean over a thumb
STANDS_OUT = 2.5  # times the changes around it
STANDS_OUT_ELSEWHERE = 1.5  # times the largest of them, where the picture is another one altogether
UNLIKE = 0.3  # correlation below which it is
STAYS = 0.45  # of the jump must be there in each of the next LOOK frames
ALIKE = 0.90  # correlation from which two pictures show the same scene in another light
GRADUAL_SECONDS = (0.35, 0.7, 1.1)
LEAST_MIXTURE = 12.0  # of 255: how much the two ends of a dissolve differ
MIXTURE_ERROR = 0.36  # of that difference: how far frames between may be from a mixture
MIXTURE_ALIKE = 0.75
WAY = ((0.08, 0.44), (0.28, 0.72), (0.56, 0.92))  # share of the new scene a quarter, a half, three quarters through


@dataclass(frozen=True)
class Cut:
    """Frames ``start`` to ``stop`` (exclusive) belong to neither scene; a hard cut has none: both are the new
    scene's first frame."""

    start: int
    stop: int

    @property
    def is_hard(self) -> bool:
        """Whether the scene changes from one frame to the next."""
        return self.start == self.stop


def thumbnail(frame: NDArray[np.uint8]) -> Thumb:
    """Average a frame (H, W, 3) RGB down to a small (h, w, 3) float picture of luma and colour, 0..255."""
    height, width = frame.shape[:2]
    scale = SIDE / max(height, width)
    size = (max(6, round(width * scale)), max(6, round(height * scale)))
    small = Image.fromarray(frame).resize(size, Image.Resampling.BOX)
    return np.asarray(small.convert("YCbCr"), np.float32)


class CutDetector:
    """Feed it every frame's thumb in order; it keeps about a second of them. ``fps`` sets what gradual means."""

    def __init__(self, fps: float) -> None:
        self.widths = sorted({max(6, round(fps * s)) for s in GRADUAL_SECONDS})
        self.thumbs: deque[Thumb] = deque(maxlen=max(self.widths[-1] + 1, 2 * LOOK + 2))
        self.jumps: deque[float] = deque(maxlen=2 * LOOK + 1)
        self.count = 0
        self.hard: list[int] = []
        self.gradual: list[tuple[int, int]] = []

    def feed(self, thumb: Thumb) -> None:
        """Take the next frame's thumb; all are of one size."""
        self.jumps.append(difference(self.thumbs[-1], thumb) if self.thumbs else 0.0)
        self.thumbs.append(thumb)
        self.count += 1
        if self.count > LOOK:
            self._judge(self.count - 1 - LOOK)
        for width in self.widths:
            if self.count > width and is_mixture(list(self.thumbs)[-width - 1 :]):
                self._note(self.count - 1 - width, self.count - 1)

    @property
    def settled(self) -> int:
        """Frames before this one are judged for good: nothing that is still to come changes a cut before it."""
        return self.count - 1 - max(self.widths[-1], LOOK)

    def finish(self) -> list[Cut]:
        """Return all cuts in order, after the last frame."""
        for index in range(max(0, self.count - LOOK), self.count):
            self._judge(index)
        return self.cuts()

    def cuts(self) -> list[Cut]:
        """Return the cuts found so far in order; those before frame ``settled`` stay."""
        # Frames at the ends of a mixture are the scenes themselves; a hard cut inside would have ruled it out.
        cuts = [Cut(a + 1, b) for a, b in self.gradual]
        cuts += [Cut(i, i) for i in self.hard if not any(a <= i <= b for a, b in self.gradual)]
        return sorted(cuts, key=lambda cut: cut.start)

    def _judge(self, index: int) -> None:
        """Decide about a hard cut before frame ``index``, from the frames around it."""
        first_jump, first_thumb = self.count - len(self.jumps), self.count - len(self.thumbs)
        at = index - first_jump
        jump = self.jumps[at]
        if index == 0 or jump < LEAST_JUMP:
            return
        around = [j for i, j in enumerate(self.jumps) if i != at and abs(i - at) <= LOOK and i + first_jump > 0]
        before, after = self.thumbs[index - 1 - first_thumb], self.thumbs[index - first_thumb]
        alike = correlation(before, after)
        drowned = bool(around) and jump < STANDS_OUT * float(np.percentile(around, 75))
        if drowned and (alike > UNLIKE or jump < STANDS_OUT_ELSEWHERE * max(around)):
            return
        later = list(self.thumbs)[index - first_thumb : index - first_thumb + LOOK]
        if min(difference(before, thumb) for thumb in later) < STAYS * jump:
            return
        if alike < ALIKE:
            self.hard.append(index)

    def _note(self, start: int, stop: int) -> None:
        if self.gradual and start <= self.gradual[-1][1]:
            start, last = self.gradual.pop()[0], stop
            self.gradual.append((start, last))
        else:
            self.gradual.append((start, stop))


def difference(a: Thumb, b: Thumb) -> float:
    """Mean absolute difference of two thumbs, 0..255."""
    return float(np.abs(a - b).mean())


def correlation(a: Thumb, b: Thumb) -> float:
    """Correlation of two thumbs' luma, -1..1; 0 where one of them is flat."""
    x, y = a[..., 0] - a[..., 0].mean(), b[..., 0] - b[..., 0].mean()
    norm = float(np.sqrt((x * x).sum() * (y * y).sum()))
    flat = 1.0 * x.size  # a deviation of one grey level
    return float((x * y).sum()) / norm if norm > flat else 0.0


def is_mixture(thumbs: list[Thumb]) -> bool:
    """Whether the frames between the first and the last go from one to the other by mixing them evenly."""
    a, b = thumbs[0], thumbs[-1]
    if difference(a, b) < LEAST_MIXTURE or correlation(a, b) > MIXTURE_ALIKE:
        return False
    way = b - a
    length = float((way * way).sum())
    for quarter, (low, high) in enumerate(WAY, 1):
        between = thumbs[(len(thumbs) - 1) * quarter // 4] - a
        share = float((between * way).sum()) / length
        if not low <= share <= high:
            return False
        rest = between - share * way
        if float((rest * rest).sum()) > MIXTURE_ERROR**2 * length:
            return False
    return True


def find_cuts(frames: Iterable[NDArray[np.uint8]], fps: float) -> tuple[list[Cut], int]:
    """Find the cuts of a stream of frames (H, W, 3) uint8 and count its frames, holding one frame at a time."""
    detector = CutDetector(fps)
    for frame in frames:
        detector.feed(thumbnail(frame))
    return detector.finish(), detector.count
