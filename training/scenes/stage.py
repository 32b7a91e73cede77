# SPDX-License-Identifier: GPL-3.0-or-later
"""A stage: the layers of a place while they are painted, and the parts that several places share."""

from __future__ import annotations

import numpy as np

from .canvas import Canvas, Layer
from .mood import Colour, Mood

SKY, FAR, MID, GROUND, NEAR = 0.06, 0.32, 0.6, 1.0, 1.5  # depths


class Stage:
    """Collects layers from the farthest to the nearest."""

    def __init__(self, width: int, height: int, mood: Mood) -> None:
        self.width, self.height, self.mood = width, height, mood
        self._canvases: list[tuple[Canvas, bool]] = []

    def canvas(
        self, name: str, depth: float, snowed: float = 0.0, indoors: bool = False, clips_weather: bool = False
    ) -> Canvas:
        """Begin the next nearer layer; ``snowed`` is how much of it a snowfall covers."""
        mood = Mood(self.mood.light, self.mood.weather, indoors)
        canvas = Canvas(name, self.width, self.height, depth, mood, snowed)
        self._canvases.append((canvas, clips_weather))
        return canvas

    def finish(self) -> tuple[Layer, ...]:
        """The painted layers, from the farthest to the nearest."""
        return tuple(canvas.layer(wall) for canvas, wall in self._canvases)


def sky(stage: Stage, rng: np.random.Generator, horizon: float = 0.62) -> Canvas:
    """The sky with what is in it: sun, moon and stars when it is clear, clouds otherwise."""
    c = stage.canvas("sky", SKY)
    mood = stage.mood
    c.gradient(mood.sky, 0, horizon * c.h, toned=False)
    x, clear = rng.uniform(0.12, 0.88) * c.w, mood.weather == "clear"
    shift = rng.uniform(0, 1)
    if mood.light == "night":
        if clear:
            _stars(c, rng, horizon)
        if clear or mood.weather == "snow":
            _moon(c, x, 0.18 * c.h, 0.085 * c.u)
    elif mood.light == "sunset":
        c.glow(x, (horizon - 0.12) * c.h, 0.75 * c.u, (1.0, 0.72, 0.36), 0.75 if clear else 0.35)
        if clear:
            c.disc(x, (horizon - 0.12) * c.h, 0.115 * c.u, (1.0, 0.90, 0.55), glow=True)
    elif clear:
        c.glow(x, 0.17 * c.h, 0.30 * c.u, (1.0, 0.97, 0.75), 0.7)
        c.disc(x, 0.17 * c.h, 0.075 * c.u, (1.0, 0.93, 0.50), glow=True)
    if mood.weather in ("rain", "snow"):
        _overcast(c, rng, dim=0.62 if mood.weather == "rain" else 0.94)
    elif clear and mood.light != "night":
        for i in range(3):
            size = rng.uniform(0.22, 0.36) * c.u
            c.stamp("cloud", (shift + i / 3) % 1.0 * c.w, rng.uniform(0.22, 0.42) * c.h, size)
    return c


def _stars(c: Canvas, rng: np.random.Generator, horizon: float) -> None:
    for _ in range(int(46 * c.w * c.h / c.u**2)):
        bright = rng.uniform(0.65, 1)
        x, y = rng.uniform(c.left, c.right), rng.uniform(-c.my, horizon * c.h)
        c.disc(x, y, rng.uniform(0.003, 0.008) * c.u, (bright, bright, 0.88 * bright), glow=True)


def _moon(c: Canvas, x: float, y: float, radius: float) -> None:
    c.glow(x, y, radius * 3, (0.75, 0.80, 0.95), 0.4)
    c.disc(x, y, radius, (0.98, 0.96, 0.82), glow=True)
    for dx, dy, r in ((0.35, -0.25, 0.22), (-0.3, 0.3, 0.27), (0.25, 0.45, 0.15)):
        c.disc(x + dx * radius, y + dy * radius, r * radius, (0.86, 0.84, 0.68), glow=True)


def _overcast(c: Canvas, rng: np.random.Generator, dim: float) -> None:
    for row, height in enumerate((-0.10, 0.06, 0.20)):
        for x in c.spread(rng, 0.30 * c.u):
            size = rng.uniform(0.36, 0.5) * c.u
            c.stamp("cloud", x, height * c.h + 0.1 * c.u, size, dim=dim * (1 - 0.08 * row))


def shade(rng: np.random.Generator, colour: Colour, amount: float = 0.03) -> Colour:
    """The colour, a little brighter or darker."""
    r, g, b = np.clip(np.asarray(colour) + rng.uniform(-amount, amount), 0, 1)
    return float(r), float(g), float(b)


def tufts(c: Canvas, rng: np.random.Generator, top: float, count: int, colour: Colour, length: float = 0.03) -> None:
    """Blades of grass from the height ``top`` (fraction of the frame) down, longer where they are nearer."""
    count = int(count * (c.right - c.left) / c.w * c.w / c.u)
    y = rng.uniform(top * c.h, c.bottom, count)
    near = (y - top * c.h) / (c.bottom - top * c.h)
    feet = np.stack([rng.uniform(c.left, c.right, count), y], 1)
    lean = rng.uniform(-0.5, 0.5, count) * length
    tips = feet + np.stack([lean, -length * (0.5 + near)], 1) * c.u
    c.strokes(feet, tips, 0.006 * c.u, colour)


def fringe(c: Canvas, rng: np.random.Generator, colour: Colour, height: float = 0.07) -> None:
    """Grass along the lower edge, in front of everything."""
    x = np.arange(c.left, c.right, 0.022 * c.u)
    for shift, amount, part in ((0.0, -0.05, 1.0), (0.5, 0.0, 0.75)):
        at = x + (shift + rng.uniform(-0.4, 0.4, len(x))) * 0.022 * c.u
        reach = height * c.h * (0.45 + 0.55 * np.abs(np.sin(at / c.u * 5 + 1.0))) * rng.uniform(0.6, 1, len(x)) * part
        tone: Colour = (colour[0] + amount, colour[1] + amount, colour[2] + amount)
        for px, py in zip(at, c.h - reach, strict=True):
            half = 0.016 * c.u
            c.poly([(px - half, c.bottom), (px + rng.uniform(-1, 1) * half, py), (px + half, c.bottom)], tone)


def flowers(c: Canvas, rng: np.random.Generator, top: float, bottom: float, count: int) -> None:
    """Small flowers in random colours."""
    colours: tuple[Colour, ...] = ((1, 0.95, 0.4), (1, 1, 1), (0.98, 0.55, 0.65), (0.75, 0.55, 0.95))
    for i in range(int(count * (c.right - c.left) / c.u)):
        x, y = rng.uniform(c.left, c.right), rng.uniform(top, bottom) * c.h
        c.disc(x, y, (0.006 + 0.008 * (y / c.h - top)) * c.u, colours[i % len(colours)])


def pebbles(c: Canvas, rng: np.random.Generator, top: float, count: int, colour: Colour) -> None:
    """Flat stones, larger where they are nearer."""
    for _ in range(int(count * (c.right - c.left) / c.u)):
        x, y = rng.uniform(c.left, c.right), rng.uniform(top * c.h, c.bottom)
        near = (y - top * c.h) / (c.bottom - top * c.h)
        c.disc(x, y, (0.008 + 0.018 * near) * c.u, shade(rng, colour, 0.05), squash=0.45)


def row(
    c: Canvas, rng: np.random.Generator, names: tuple[str, ...], foot: float, size: float, gap: float, dim: float = 1.0
) -> None:
    """Things in a row over the whole width, with their feet about at ``foot`` (fraction of the frame)."""
    for x in c.spread(rng, gap * c.u):
        name = names[int(rng.integers(len(names)))]
        height = size * c.u * rng.uniform(0.85, 1.15)
        c.stamp(name, x, (foot + rng.uniform(-0.01, 0.01)) * c.h, height, bool(rng.random() < 0.5), dim=dim)
