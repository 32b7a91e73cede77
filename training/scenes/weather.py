# SPDX-License-Identifier: GPL-3.0-or-later
"""Falling rain and snow: particles with depth, drawn over a frame or behind a wall."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
SHIFT = 4


def falling(
    weather: str, light: str, seconds: NDArray[np.float64], width: int, height: int, seed: int
) -> Callable[[Frame, int], None] | None:
    """What draws the weather into frame k, or nothing if none falls."""
    rng = np.random.default_rng([seed, 7])
    bright = {"day": 1.0, "sunset": 0.92, "night": 0.72}[light]
    if weather == "rain":
        return _rain(rng, seconds, width, height, bright)
    if weather == "snow":
        return _snow(rng, seconds, width, height, bright)
    return None


def _rain(
    rng: np.random.Generator, seconds: NDArray[np.float64], width: int, height: int, bright: float
) -> Callable[[Frame, int], None]:
    unit = min(width, height)
    count = int(46 * width * height / unit**2)
    x, y = rng.random(count), rng.random(count)
    near = rng.uniform(0.6, 1.0, count)
    reach = near * 0.10 * unit
    colour = tuple(int(c * bright) for c in (205, 216, 232))

    def paint(frame: Frame, k: int) -> None:
        fall = (y + near * 1.9 * seconds[k]) % 1.15
        top = np.stack([(x * 1.2 - 0.1) * width - 0.22 * fall * unit * 0.5, fall * height - reach], -1)
        foot = top + np.stack([-0.22 * reach, reach], -1)
        lines = np.round(np.stack([top, foot], 1) * (1 << SHIFT)).astype(np.int32)
        cv2.polylines(frame, list(lines), False, colour, max(1, round(unit / 220)), cv2.LINE_AA, SHIFT)

    return paint


def _snow(
    rng: np.random.Generator, seconds: NDArray[np.float64], width: int, height: int, bright: float
) -> Callable[[Frame, int], None]:
    unit = min(width, height)
    count = int(40 * width * height / unit**2)
    x, y, sway = rng.random(count), rng.random(count), rng.uniform(0, 6.283, count)
    near = rng.uniform(0.5, 1.0, count)
    shade = int(255 * bright)

    def paint(frame: Frame, k: int) -> None:
        drift = 0.02 * np.sin(seconds[k] * 2.2 + sway)
        px = ((x + drift) * width * 16).astype(int)
        py = (((y + near * 0.32 * seconds[k]) % 1.06 - 0.03) * height * 16).astype(int)
        radii = np.maximum(14, near * 0.013 * unit * 16).astype(int)
        for at_x, at_y, radius in zip(px.tolist(), py.tolist(), radii.tolist(), strict=True):
            cv2.circle(frame, (at_x, at_y), radius, (shade, shade, shade), -1, cv2.LINE_AA, SHIFT)

    return paint
