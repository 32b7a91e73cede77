# SPDX-License-Identifier: GPL-3.0-or-later
"""Letters laid over a video: subtitles, captions, time stamps, logos with words.

They stay where they are while the picture under them moves, they are of one colour, and they stand in lines of shapes
of about one height but different widths. No letter is read, so that every script counts that has separate signs.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

HEIGHT = 288  # pixels of the picture that is searched
SAMPLES = 5  # frames looked at in each part of a clip
STROKE = 15  # pixels: strokes are narrower
CONTRASTS = (70.0, 130.0)  # of 255, of a stroke against what is around it; the larger keeps tight letters apart
LEAST, MOST = 6, 44  # height of a letter in pixels
EVEN = 18.0  # of 255: deviation of a line's colour
LINE = 5  # letters that make a line
BASE = 0.1  # of a letter's height: how exactly letters stand on their line
SAME_SIZE = 0.1  # difference of width, height and area below which two shapes are alike
REPEATED = 0.6  # share of alike shapes from which they are windows or fence posts
UNEQUAL = 0.4  # deviation of the heights, as a share
STANDING = 0.55  # of a line's letters stand on it, or hang from it: a j or a comma does not


@dataclass(frozen=True)
class Letter:
    """A connected shape: its box and its area in pixels, and the luma of its strokes where they are most themselves."""

    x: int
    y: int
    width: int
    height: int
    area: int
    luma: float

    @property
    def middle(self) -> float:
        """Height of its centre."""
        return self.y + self.height / 2


def overlaid_letters(clip: NDArray[np.uint8]) -> float:
    """Count the letters in lines that stand over a third of a clip (F, H, W, 3) uint8: subtitles come and go."""
    parts = np.array_split(clip, 3) if len(clip) >= 9 else [clip]
    return float(max(sum(len(line) for line in find_lines(part)) for part in parts))


def find_lines(clip: NDArray[np.uint8]) -> list[list[Letter]]:
    """Return the lines of letters that stay in place through a clip."""
    frames = np.stack([_grey(clip[i]) for i in np.linspace(0, len(clip) - 1, SAMPLES).round().astype(int)])
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (STROKE, STROKE))
    lines = []
    for operation in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT):  # bright strokes, dark strokes
        steady = np.stack([cv2.morphologyEx(frame, operation, kernel) for frame in frames]).min(0)
        ink = frames.mean(0) if operation == cv2.MORPH_TOPHAT else 255 - frames.mean(0)
        found = [
            [line for line in group(_letters((steady > contrast).astype(np.uint8), ink)) if _is_writing(line)]
            for contrast in CONTRASTS
        ]
        lines += max(found, key=lambda some: sum(map(len, some)))
    return lines


def _grey(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = frame.shape[:2]
    size = (max(1, round(width * HEIGHT / height)), HEIGHT)
    scaled = cv2.resize(frame, size, interpolation=cv2.INTER_AREA if height > HEIGHT else cv2.INTER_CUBIC)
    return cv2.cvtColor(scaled, cv2.COLOR_RGB2GRAY)


def _letters(mask: NDArray[np.uint8], ink: NDArray[np.float64]) -> list[Letter]:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    strongest = np.zeros(count)
    np.maximum.at(strongest, labels.ravel(), ink.ravel())  # the edges of thin strokes are mixed with what is around
    found = []
    for i in range(1, count):
        x, y, width, height, area = (int(v) for v in stats[i])
        if LEAST <= height <= MOST and width <= 2 * height and area >= max(10, 0.15 * width * height):
            found.append(Letter(x, y, width, height, area, float(strongest[i])))
    return found


def group(letters: list[Letter]) -> list[list[Letter]]:
    """Join letters that stand beside each other, of about one height and colour, into lines from left to right."""
    rest = sorted(letters, key=lambda letter: letter.x)
    lines: list[list[Letter]] = []
    for letter in rest:
        best = next((line for line in lines if _continues(line, letter)), None)
        if best is None:
            lines.append([letter])
        else:
            best.append(letter)
    return [line for line in lines if len(line) >= LINE]


def _continues(line: list[Letter], letter: Letter) -> bool:
    last = line[-1]
    tall = max(last.height, letter.height)
    gap = letter.x - (last.x + last.width)
    return (
        -0.3 * tall <= gap <= 1.1 * tall
        and abs(letter.middle - last.middle) <= 0.4 * tall
        and tall <= 2.2 * min(last.height, letter.height)
        and abs(letter.luma - float(np.median([known.luma for known in line]))) <= 1.5 * EVEN
    )


def _is_writing(line: list[Letter]) -> bool:
    """Letters of a line are of one colour and about one height, stand on one line or hang from one, and are not all
    alike as windows or fence posts are."""
    heights, widths, areas, tops = (
        np.array([getattr(letter, name) for letter in line], float) for name in ("height", "width", "area", "y")
    )
    sizes = np.stack([heights, widths, areas])
    alike = float((np.abs(sizes / np.median(sizes, 1, keepdims=True) - 1) < SAME_SIZE).all(0).mean())
    slack = max(1.0, BASE * float(np.median(heights)))
    in_line = max(float((np.abs(edge - np.median(edge)) <= slack).mean()) for edge in (tops, tops + heights))
    colours = np.array([letter.luma for letter in line])
    if alike > REPEATED or heights.std() / heights.mean() > UNEQUAL:
        return False
    return in_line >= STANDING and float(colours.std()) <= EVEN
