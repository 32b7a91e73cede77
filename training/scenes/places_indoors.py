# SPDX-License-Identifier: GPL-3.0-or-later
"""Rooms: kitchen and living room. Light and weather are seen through their windows."""

from __future__ import annotations

import numpy as np

from .canvas import Canvas
from .mood import Colour
from .stage import GROUND, Stage, row, sky

WALL = 0.85
WHITE: Colour = (0.97, 0.96, 0.94)


def _outside(s: Stage, rng: np.random.Generator) -> None:
    sky(s, rng, 0.40)
    far = s.canvas("garden", 0.2, 0.9)
    far.below(far.hills(rng, 0.40, 0.012, 1.4), (0.46, 0.70, 0.38))
    row(far, rng, ("tree", "pine"), 0.43, 0.13, 0.16)


def _window(c: Canvas, x: float, y: float, width: float, height: float, frame: Colour) -> None:
    """A frame with a cross around a hole in the wall."""
    edge = 0.022 * c.u
    c.box(x - edge, y - edge, width + 2 * edge, height + 2 * edge, frame)
    half, mid = (width - edge) / 2, (height - edge) / 2
    for dx in (0, half + edge):
        for dy in (0, mid + edge):
            c.cut(x + dx, y + dy, half, mid)
    c.box(x - 2 * edge, y + height + edge, width + 4 * edge, 1.2 * edge, frame)


def kitchen(s: Stage, rng: np.random.Generator) -> None:
    """Tiles, cupboards, a stove and a refrigerator beside the window."""
    _outside(s, rng)
    wall = s.canvas("kitchen wall", WALL, indoors=True, clips_weather=True)
    wall.gradient(((0.98, 0.93, 0.80), (0.95, 0.88, 0.72)), 0, 0.6 * wall.h)
    w, h, u = wall.w, wall.h, wall.u
    left = bool(rng.random() < 0.5)
    foot, counter = 0.735 * h, 0.735 * h - 0.27 * u
    wall.box(wall.left, counter - 0.16 * u, wall.right - wall.left, 0.16 * u, (0.74, 0.86, 0.88))
    for x in np.arange(wall.left, wall.right, 0.08 * u):
        wall.line([(x, counter - 0.16 * u), (x, counter)], 0.005 * u, WHITE)
    wall.line([(wall.left, counter - 0.08 * u), (wall.right, counter - 0.08 * u)], 0.005 * u, WHITE)
    wide = 0.50 * u
    x = (0.12 if left else 0.88) * w - wide / 2 + (0.18 * u if left else -0.18 * u)
    tall = min(0.36 * u, counter - 0.22 * u - 0.05 * h)
    _window(wall, x, counter - 0.20 * u - tall, wide, tall, WHITE)
    cupboard: Colour = ((0.36, 0.60, 0.62), (0.80, 0.52, 0.40), (0.56, 0.62, 0.80))[int(rng.integers(3))]
    wall.box(wall.left, counter, wall.right - wall.left, foot - counter, cupboard)
    for px in np.arange(wall.left, wall.right, 0.21 * u):
        wall.box(px + 0.012 * u, counter + 0.045 * u, 0.186 * u, foot - counter - 0.07 * u, _lighter(cupboard))
        wall.disc(px + 0.17 * u, counter + 0.09 * u, 0.010 * u, (0.95, 0.92, 0.80))
    wall.box(wall.left, counter - 0.012 * u, wall.right - wall.left, 0.035 * u, (0.58, 0.40, 0.26))
    at = (0.60 if left else 0.40) * w
    _stove(wall, at, foot, 0.30 * u)
    _fridge(wall, (0.93 if left else 0.07) * w, foot, 0.74 * u)
    wall.stamp("teapot", at + (-0.27 if left else 0.27) * u, counter - 0.008 * u, 0.12 * u)
    floor = s.canvas("tiled floor", GROUND, indoors=True)
    floor.below(0.73 * h, (0.93, 0.90, 0.84))
    _checkers(floor, 0.73 * h, 0.5 * w, (0.56, 0.66, 0.70))
    _window_light(floor, 0.80 * h, x + wide / 2)


def _lighter(colour: Colour, amount: float = 0.07) -> Colour:
    r, g, b = (min(1.0, c + amount) for c in colour)
    return r, g, b


def _stove(c: Canvas, x: float, foot: float, size: float) -> None:
    c.box(x - size / 2, foot - 0.94 * size, size, 0.94 * size, (0.86, 0.87, 0.90))
    c.box(x - 0.4 * size, foot - 0.58 * size, 0.8 * size, 0.44 * size, (0.20, 0.22, 0.26))
    c.box(x - 0.33 * size, foot - 0.50 * size, 0.66 * size, 0.28 * size, (0.96, 0.62, 0.26))
    for k in range(4):
        c.disc(x + (k - 1.5) * 0.2 * size, foot - 0.75 * size, 0.05 * size, (0.25, 0.26, 0.30))
    c.box(x - size / 2, foot - 0.99 * size, size, 0.06 * size, (0.18, 0.18, 0.20))
    pot = foot - 0.99 * size
    c.box(x - 0.27 * size, pot - 0.26 * size, 0.42 * size, 0.26 * size, (0.85, 0.30, 0.28))
    c.disc(x - 0.06 * size, pot - 0.27 * size, 0.22 * size, (0.92, 0.42, 0.38), squash=0.25)


def _fridge(c: Canvas, x: float, foot: float, height: float) -> None:
    width = 0.44 * height
    c.box(x - width / 2, foot - height, width, height, (0.92, 0.94, 0.96))
    c.box(x - width / 2, foot - 0.64 * height, width, 0.012 * height, (0.70, 0.74, 0.78))
    for top, tall in ((0.95, 0.2), (0.58, 0.3)):
        c.box(x - 0.40 * width, foot - top * height, 0.05 * width, tall * height, (0.62, 0.66, 0.72))


def _checkers(c: Canvas, top: float, vanish: float, colour: Colour) -> None:
    """Tiles of a floor in perspective: every other one in another colour."""
    edges = [top + (c.bottom - top) * (k / 7) ** 1.5 for k in range(8)]
    for j in range(7):
        for k in range(-16, 16):
            if (k + j) % 2:
                continue
            spread = [0.14 * c.u * (1 + 1.6 * (y - top) / c.u) for y in edges[j : j + 2]]
            a, b = spread
            c.poly(
                [
                    (vanish + k * a, edges[j]),
                    (vanish + (k + 1) * a, edges[j]),
                    (vanish + (k + 1) * b, edges[j + 1]),
                    (vanish + k * b, edges[j + 1]),
                ],
                colour,
            )


def _window_light(c: Canvas, y: float, x: float) -> None:
    """What falls through the window onto the floor by day and at sunset."""
    light = c.mood.light
    if light != "night":
        colour: Colour = (1.0, 0.98, 0.88) if light == "day" else (1.0, 0.70, 0.38)
        c.glow(x, y, 0.42 * c.u, colour, 0.45 if light == "day" else 0.6)


def living_room(s: Stage, rng: np.random.Generator) -> None:
    """A sofa with a lamp, a painting and a clock on the wall, curtains and a rug."""
    _outside(s, rng)
    wall = s.canvas("living-room wall", WALL, indoors=True, clips_weather=True)
    w, h, u = wall.w, wall.h, wall.u
    paper: Colour = ((0.80, 0.88, 0.82), (0.94, 0.84, 0.74), (0.82, 0.82, 0.94))[int(rng.integers(3))]
    wall.gradient((paper, _lighter(paper, -0.05)), 0, 0.7 * h)
    for x in np.arange(wall.left, wall.right, 0.12 * u):
        wall.box(float(x), -wall.my, 0.035 * u, h + 2 * wall.my, _lighter(paper, 0.035))
    left = bool(rng.random() < 0.5)
    wide, tall = 0.42 * u, min(0.38 * u, 0.36 * h)
    x, y = (0.27 if left else 0.73) * w - wide / 2, 0.09 * h
    _window(wall, x, y, wide, tall, WHITE)
    curtain: Colour = (0.80, 0.30, 0.30)
    for side in (-1, 1):
        edge = x if side < 0 else x + wide
        hem = y + tall + 0.14 * u
        folds = [(-0.04, y - 0.04 * u), (0.10, y - 0.04 * u), (0.12, hem), (0.03, hem)]
        wall.poly([(edge + side * dx * u, py) for dx, py in folds], curtain)
    wall.line([(x - 0.12 * u, y - 0.045 * u), (x + wide + 0.12 * u, y - 0.045 * u)], 0.016 * u, (0.45, 0.32, 0.20))
    other = (0.76 if left else 0.24) * w
    wall.stamp("painting", other, y + 0.27 * u, 0.24 * u, lit=False)
    wall.box(wall.left, 0.70 * h, wall.right - wall.left, 0.03 * h, WHITE)
    foot = 0.745 * h
    wall.stamp("sofa", other, foot, 0.50 * u, lit=False)
    if s.mood.light == "night":
        wall.glow(other + 0.14 * u, foot - 0.30 * u, 0.42 * u, (1.0, 0.84, 0.50), 0.75)
    stand = (0.27 if left else 0.73) * w
    wall.box(stand - 0.16 * u, foot - 0.11 * u, 0.32 * u, 0.11 * u, (0.55, 0.38, 0.24))
    wall.stamp("television", stand, foot - 0.10 * u, 0.22 * u, lit=False)
    floor = s.canvas("wooden floor", GROUND, indoors=True)
    floor.below(0.735 * h, (0.76, 0.56, 0.36), (0.62, 0.43, 0.27))
    for k in range(-24, 25):
        near = w / 2 + k * 0.24 * u
        floor.line([(w / 2 + k * 0.11 * u, 0.735 * h), (near, floor.bottom)], 0.004 * u, (0.55, 0.38, 0.24))
    floor.disc(w / 2, 0.895 * h, 0.42 * u, (0.72, 0.30, 0.34), squash=0.22)
    floor.disc(w / 2, 0.895 * h, 0.36 * u, (0.92, 0.80, 0.62), squash=0.22)
    floor.disc(w / 2, 0.895 * h, 0.32 * u, (0.78, 0.38, 0.40), squash=0.22)
    _window_light(floor, 0.80 * h, x + wide / 2)
