# SPDX-License-Identifier: GPL-3.0-or-later
"""Painted places: procedural backgrounds composed for any width and height.

Every painter fills an (H, W, 3) float array in 0..1 on the unit square (x and y run from 0 to 1 over the canvas), so
that a portrait canvas is composed as a portrait. Sizes of things follow the shorter side.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
Colour = tuple[float, float, float]
Painter = Callable[["Canvas", np.random.Generator], None]


class Canvas:
    """A picture being painted; coordinates are pixels, lengths may be given in units of the shorter side."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.unit = float(min(width, height))
        self.image: Image = np.zeros((height, width, 3), np.float32)
        self.y, self.x = np.mgrid[0:height, 0:width].astype(np.float32)

    def paint(self, cover: NDArray[np.float32], colour: Colour | Image) -> None:
        """Blend ``colour`` over the picture with opacity ``cover`` (H, W) in 0..1."""
        self.image += cover[..., None] * (np.asarray(colour, np.float32) - self.image)

    def gradient(self, top: Colour, bottom: Colour, start: float = 0.0, end: float = 1.0) -> None:
        """Fill everything with a vertical gradient between two heights (fractions of the picture)."""
        t = np.clip((self.y / self.height - start) / max(end - start, 1e-6), 0, 1)[..., None]
        self.image[:] = np.asarray(top, np.float32) * (1 - t) + np.asarray(bottom, np.float32) * t

    def below(self, line: NDArray[np.float32] | float, colour: Colour | Image) -> None:
        """Fill below ``line``, heights in pixels for every column."""
        self.paint(np.clip(self.y - line, 0, 1), colour)

    def disc(self, x: float, y: float, radius: float, colour: Colour, soft: float = 1.0) -> None:
        """A disc; ``soft`` is the width of its edge in pixels."""
        distance = np.hypot(self.x - x, self.y - y)
        self.paint(np.clip((radius - distance) / soft + 0.5, 0, 1), colour)

    def box(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        """An axis-aligned rectangle from its upper left corner."""
        inside = np.clip(np.minimum(self.x - x, x + width - self.x) + 0.5, 0, 1)
        self.paint(inside * np.clip(np.minimum(self.y - y, y + height - self.y) + 0.5, 0, 1), colour)

    def triangle(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        """A triangle standing on (x, y), pointing up."""
        half = width / 2 * np.clip((self.y - (y - height)) / height, 0, 1)
        rows = np.clip(np.minimum(y - self.y, self.y - (y - height)) + 0.5, 0, 1)
        self.paint(np.clip(half - np.abs(self.x - x) + 0.5, 0, 1) * rows, colour)

    def hills(self, rng: np.random.Generator, height: float, rough: float, waves: float = 1.5) -> NDArray[np.float32]:
        """A random skyline (1, W) around ``height`` (fraction of the picture)."""
        x = np.arange(self.width, dtype=np.float32)[None] / self.unit
        line = sum(np.sin(x * waves * f * 6.283 + rng.uniform(0, 6.283)) / f for f in (0.5, 1.0, 1.9))
        return np.asarray(self.height * height + line * rough * self.unit, np.float32)


def shade(rng: np.random.Generator, colour: Colour, amount: float = 0.03) -> Colour:
    """The colour, a little brighter or darker."""
    r, g, b = np.clip(np.asarray(colour) + rng.uniform(-amount, amount), 0, 1)
    return float(r), float(g), float(b)


def meadow(c: Canvas, rng: np.random.Generator) -> None:
    """Green hills under a blue sky with clouds."""
    c.gradient(shade(rng, (0.38, 0.68, 0.96)), (0.82, 0.93, 1.0), 0, 0.6)
    c.disc(rng.uniform(0.1, 0.9) * c.width, 0.24 * c.height, 0.09 * c.unit, (1.0, 0.93, 0.55), 3)
    for _ in range(3):
        x, y = rng.uniform(0, 1) * c.width, rng.uniform(0.16, 0.36) * c.height
        for k in (-1, 0, 1):
            c.disc(x + k * 0.08 * c.unit, y, (0.07 - 0.02 * abs(k)) * c.unit, (1, 1, 1), 6)
    c.below(c.hills(rng, 0.56, 0.035), shade(rng, (0.45, 0.72, 0.38)))
    c.below(c.hills(rng, 0.66, 0.025, 1.0), shade(rng, (0.36, 0.64, 0.27)))


def beach(c: Canvas, rng: np.random.Generator) -> None:
    """Sand, surf and sea."""
    c.gradient(shade(rng, (0.45, 0.78, 0.98)), (0.88, 0.96, 1.0), 0, 0.5)
    c.disc(rng.uniform(0.1, 0.9) * c.width, 0.24 * c.height, 0.08 * c.unit, (1.0, 0.95, 0.7), 4)
    c.below(0.48 * c.height, shade(rng, (0.10, 0.52, 0.75)))
    c.below(0.56 * c.height, shade(rng, (0.17, 0.64, 0.80)))
    shore = c.hills(rng, 0.66, 0.02, 0.8)
    c.below(shore - 0.02 * c.unit, (0.93, 0.98, 1.0))
    c.below(shore, shade(rng, (0.94, 0.84, 0.60)))


def desert(c: Canvas, rng: np.random.Generator) -> None:
    """Dunes and cacti in warm light."""
    c.gradient(shade(rng, (0.96, 0.62, 0.34)), (1.0, 0.88, 0.62), 0, 0.6)
    c.disc(rng.uniform(0.15, 0.85) * c.width, 0.28 * c.height, 0.11 * c.unit, (1.0, 0.95, 0.78), 3)
    c.below(c.hills(rng, 0.55, 0.05, 0.7), shade(rng, (0.85, 0.55, 0.30)))
    c.below(c.hills(rng, 0.68, 0.03, 0.9), shade(rng, (0.91, 0.66, 0.38)))
    for _ in range(3):
        x, y, s = rng.uniform(0, 1) * c.width, rng.uniform(0.6, 0.7) * c.height, rng.uniform(0.1, 0.16) * c.unit
        green = shade(rng, (0.25, 0.50, 0.28))
        c.box(x - 0.12 * s, y - s, 0.24 * s, s, green)
        c.box(x - 0.45 * s, y - 0.6 * s, 0.4 * s, 0.14 * s, green)
        c.box(x - 0.45 * s, y - 0.85 * s, 0.14 * s, 0.3 * s, green)
        c.box(x, y - 0.45 * s, 0.42 * s, 0.14 * s, green)
        c.box(x + 0.3 * s, y - 0.75 * s, 0.14 * s, 0.35 * s, green)


def _pine(c: Canvas, x: float, y: float, size: float, green: Colour, snow: bool) -> None:
    c.box(x - 0.06 * size, y - 0.2 * size, 0.12 * size, 0.2 * size, (0.36, 0.25, 0.17))
    for k in range(3):
        width, base = (0.62 - 0.14 * k) * size, y - (0.15 + 0.27 * k) * size
        c.triangle(x, base, width, 0.42 * size, green)
        if snow:
            c.triangle(x, base - 0.24 * size, width * 0.43, 0.18 * size, (0.97, 0.98, 1.0))


def snow(c: Canvas, rng: np.random.Generator) -> None:
    """White hills and snowy pines; the flakes belong to the scene."""
    c.gradient(shade(rng, (0.62, 0.70, 0.82)), (0.86, 0.89, 0.94), 0, 0.6)
    c.below(c.hills(rng, 0.52, 0.05, 0.8), shade(rng, (0.80, 0.85, 0.92)))
    for x in np.arange(rng.uniform(-0.1, 0.2), 3, 0.34):
        if x * c.unit < c.width * 1.1:
            size = rng.uniform(0.26, 0.42) * c.unit
            _pine(c, float(x) * c.unit, rng.uniform(0.60, 0.67) * c.height, size, shade(rng, (0.20, 0.40, 0.36)), True)
    c.below(c.hills(rng, 0.67, 0.02, 0.8), shade(rng, (0.94, 0.96, 0.99), 0.02))


def forest(c: Canvas, rng: np.random.Generator) -> None:
    """Trunks and crowns in two depths."""
    c.gradient(shade(rng, (0.50, 0.66, 0.42)), (0.70, 0.80, 0.56), 0, 0.6)
    c.below(0.6 * c.height, shade(rng, (0.30, 0.42, 0.20)))
    for depth, tone in ((0.0, (0.38, 0.50, 0.32)), (1.0, (0.22, 0.34, 0.18))):
        for x in np.arange(rng.uniform(-0.1, 0.1), 3, 0.30 + 0.1 * depth):
            px = (float(x) + rng.uniform(-0.06, 0.06)) * c.unit
            if px < c.width * 1.1:
                w, foot = (0.045 + 0.03 * depth) * c.unit, (0.63 + 0.06 * depth) * c.height
                c.box(px - w / 2, 0, w, foot, (0.30 - 0.06 * depth, 0.22 - 0.04 * depth, 0.15))
                for _ in range(3):
                    cx, cy = px + rng.uniform(-0.1, 0.1) * c.unit, rng.uniform(0, 0.2) * c.height
                    c.disc(cx, cy, 0.12 * c.unit, shade(rng, tone), 3)
    c.below(c.hills(rng, 0.72, 0.01, 1.2), shade(rng, (0.36, 0.50, 0.22)))


def city(c: Canvas, rng: np.random.Generator) -> None:
    """House fronts with windows along a street."""
    c.gradient(shade(rng, (0.56, 0.66, 0.80)), (0.93, 0.88, 0.84), 0, 0.6)
    x = -rng.uniform(0, 0.2) * c.unit
    tones: tuple[Colour, ...] = ((0.55, 0.42, 0.40), (0.44, 0.48, 0.56), (0.66, 0.58, 0.46), (0.38, 0.40, 0.46))
    while x < c.width:
        w, top = rng.uniform(0.2, 0.32) * c.unit, rng.uniform(0.10, 0.36) * c.height
        c.box(x, top, w, 0.68 * c.height - top, shade(rng, tones[int(rng.integers(4))]))
        step = 0.085 * c.unit
        for wy in np.arange(top + 0.04 * c.unit, 0.58 * c.height, step):
            for k in range(int(w / step)):
                lit: Colour = (1.0, 0.92, 0.62) if rng.random() < 0.35 else (0.74, 0.82, 0.90)
                c.box(x + (k + 0.3) * step, float(wy), 0.5 * step, 0.55 * step, lit)
        x += w
    c.below(0.68 * c.height, (0.66, 0.66, 0.68))
    c.below(0.72 * c.height, shade(rng, (0.34, 0.35, 0.38)))
    for x in np.arange(rng.uniform(0, 0.2), 4, 0.3):
        c.box(float(x) * c.unit, 0.86 * c.height, 0.16 * c.unit, 0.018 * c.unit, (0.93, 0.90, 0.72))


def night(c: Canvas, rng: np.random.Generator) -> None:
    """Hills under stars and the moon."""
    c.gradient(shade(rng, (0.03, 0.05, 0.17), 0.02), (0.20, 0.20, 0.42), 0, 0.65)
    for _ in range(int(40 * c.width * c.height / c.unit**2)):
        bright = rng.uniform(0.6, 1)
        size = rng.uniform(0.003, 0.008) * c.unit
        c.disc(rng.uniform(0, 1) * c.width, rng.uniform(0, 0.55) * c.height, size, (bright, bright, 0.9 * bright), 1)
    x, y = rng.uniform(0.12, 0.88) * c.width, 0.25 * c.height
    c.disc(x, y, 0.10 * c.unit, (0.97, 0.95, 0.80), 2)
    c.disc(x + 0.03 * c.unit, y - 0.02 * c.unit, 0.02 * c.unit, (0.86, 0.83, 0.68), 2)
    c.below(c.hills(rng, 0.58, 0.05, 0.8), (0.10, 0.14, 0.26))
    c.below(c.hills(rng, 0.69, 0.02, 0.8), (0.13, 0.22, 0.22))


PLACES: dict[str, Painter] = {
    "meadow": meadow,
    "beach": beach,
    "desert": desert,
    "snow": snow,
    "forest": forest,
    "city": city,
    "night": night,
}


def paint(place: str, width: int, height: int, seed: int) -> NDArray[np.uint8]:
    """Paint a place as (height, width, 3) uint8; the same arguments give the same picture."""
    canvas = Canvas(width, height)
    PLACES[place](canvas, np.random.default_rng([seed, *place.encode()]))
    return (np.clip(canvas.image, 0, 1) * 255 + 0.5).astype(np.uint8)
