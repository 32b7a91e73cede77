# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes a clip worthless for training, each as one measured value and the threshold at which it is dropped.

A clip is uint8 (F, H, W, 3) RGB. Thresholds were set on real and on spoilt clips: see docs/FOOTAGE.md for the rates
of false alarms and misses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .overlay import overlaid_letters

Frames = NDArray[np.uint8]

THUMB = 64  # pixels of a thumb's longer side
SAME = 0.6  # of 255: the largest change in a thumb of a frame that was only repeated
GRID = 8  # blocks along each side in which sharpness is measured
EDGES = 2.0  # of 255: mean slope of a block in which sharpness can be told


@dataclass(frozen=True)
class Filter:
    """A measure of a clip; it is dropped when the value is below (or, with ``above``, above) the threshold."""

    name: str
    measure: Callable[[Frames], float]
    threshold: float
    above: bool
    meaning: str

    def drops(self, value: float) -> bool:
        """Whether a clip with this value is dropped."""
        return value > self.threshold if self.above else value < self.threshold


@dataclass(frozen=True)
class Finding:
    """A reason to drop a clip: the filter, the value measured and the threshold that it passed."""

    filter: str
    value: float
    threshold: float
    above: bool
    detail: str = ""

    def __str__(self) -> str:
        sign = ">" if self.above else "<"
        return f"{self.filter} {self.value:.2f} {sign} {self.threshold:g}" + (
            f" ({self.detail})" if self.detail else ""
        )


def luma_thumbs(clip: Frames) -> NDArray[np.float32]:
    """Average every frame down to a small grey picture (F, h, w), 0..255."""
    height, width = clip.shape[1:3]
    scale = min(1.0, THUMB / max(height, width))
    size = (max(4, round(width * scale)), max(4, round(height * scale)))
    small = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in clip]
    return np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in small]).astype(np.float32)


def motion(clip: Frames) -> float:
    """How much the most moving 0.5% of the picture change over the clip, of 255; noise and flicker count little."""
    thumbs = luma_thumbs(clip)
    thumbs -= np.median(thumbs, axis=(1, 2), keepdims=True)  # the light may change
    if len(thumbs) >= 3:
        thumbs = ((thumbs[:-2] + thumbs[1:-1] + thumbs[2:]) / 3).astype(np.float32)
    return float(np.percentile(np.ptp(thumbs, axis=0), 99.5))


def frozen_share(clip: Frames) -> float:
    """The longest run of repeated frames as a share of the clip, 0..1: a player hung, a stream broke off."""
    thumbs = luma_thumbs(clip)
    longest = run = 0
    for change in np.abs(np.diff(thumbs, axis=0)).max(axis=(1, 2)):
        run = run + 1 if change < SAME else 0
        longest = max(longest, run)
    return longest / max(1, len(clip) - 1)


def brightest(clip: Frames) -> float:
    """Luma of the brightest 2% of the picture in the median frame, 0..255: a night has lights, black has none."""
    return float(np.median(np.percentile(luma_thumbs(clip), 98, axis=(1, 2))))


def variety(clip: Frames) -> float:
    """Standard deviation of luma over the picture in the median frame, 0..127: white and test screens have none."""
    return float(np.median(luma_thumbs(clip).std(axis=(1, 2))))


def blur(clip: Frames) -> float:
    """Blur of the sharpest part of the sharpest frame looked at, 0 (crisp) to 1.

    A sharp picture loses most of its slopes when it is blurred once more, a blurred one keeps them (the re-blur
    measure of Crete et al., 2007). Taken per block, so that a sharp face before a soft background is sharp.
    """
    return min(_frame_blur(clip[i]) for i in np.linspace(0, len(clip) - 1, 5).round().astype(int))


def _frame_blur(frame: Frames) -> float:
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
    worst = np.zeros((GRID, GRID), np.float32)
    slopes = np.zeros((GRID, GRID), np.float32)
    for axis, kernel in ((0, (1, 9)), (1, (9, 1))):
        soft = cv2.blur(grey, kernel)
        before, after = (np.abs(np.diff(picture, axis=axis)) for picture in (grey, soft))
        lost = np.maximum(0, before - after)
        total, gone = _blocks(before), _blocks(lost)
        worst = np.maximum(worst, 1 - gone / np.maximum(total, 1e-6))
        slopes = np.maximum(slopes, total)
    telling = worst[slopes >= EDGES]
    return float(np.percentile(telling, 10)) if telling.size else 1.0


def _blocks(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return cv2.resize(values, (GRID, GRID), interpolation=cv2.INTER_AREA)


FILTERS = (
    Filter("black", brightest, 30.0, False, "nearly nothing is lit"),
    Filter("plain", variety, 5.0, False, "one even colour"),
    Filter("static", motion, 5.0, False, "nothing moves"),
    Filter("frozen", frozen_share, 0.4, True, "the picture hangs"),
    Filter("blurred", blur, 0.6, True, "no part of it is sharp"),
    Filter("text", overlaid_letters, 4.0, True, "letters are laid over the picture"),
)


def judge(clip: Frames, filters: Iterable[Filter] = FILTERS) -> list[Finding]:
    """Return the reasons to drop a clip, none for a good one; stops at the first, which is what is reported."""
    for chosen in filters:
        value = chosen.measure(clip)
        if chosen.drops(value):
            return [Finding(chosen.name, value, chosen.threshold, chosen.above)]
    return []
