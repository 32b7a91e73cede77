# SPDX-License-Identifier: GPL-3.0-or-later
"""Woods and what people built: forest, jungle, city, castle, park and playground."""

from __future__ import annotations

import numpy as np

from .canvas import Canvas
from .mood import Colour
from .stage import FAR, GROUND, MID, NEAR, Stage, flowers, fringe, pebbles, row, shade, sky, tufts


def forest(s: Stage, rng: np.random.Generator) -> None:
    """Trees behind trees; a floor of leaves."""
    sky(s, rng, 0.6)
    far = s.canvas("far trees", FAR, 0.5)
    far.below(0.60 * far.h, (0.22, 0.40, 0.26))
    row(far, rng, ("tree", "pine"), 0.62, 0.42, 0.17, dim=0.72)
    mid = s.canvas("trees", MID, 0.6)
    mid.below(0.655 * mid.h, (0.26, 0.42, 0.22))
    row(mid, rng, ("tree", "pine", "tree"), 0.685, 0.52, 0.36, dim=0.9)
    ground = s.canvas("forest floor", GROUND, 0.8)
    ground.below(ground.hills(rng, 0.69, 0.012, 0.9), (0.38, 0.46, 0.22), (0.30, 0.30, 0.16))
    for _ in range(int(70 * (ground.right - ground.left) / ground.u)):  # fallen leaves
        x, y = rng.uniform(ground.left, ground.right), rng.uniform(0.71, 1.12) * ground.h
        leaf = ((0.80, 0.52, 0.20), (0.62, 0.36, 0.16), (0.52, 0.58, 0.24))[int(rng.integers(3))]
        ground.disc(x, y, rng.uniform(0.008, 0.014) * ground.u, leaf, squash=0.6)
    left = bool(rng.random() < 0.5)
    ground.stamp("log", (0.08 if left else 0.92) * ground.w, 0.80 * ground.h, 0.17 * ground.u)
    ground.mist(0.69 * ground.h, 0.3 * ground.h)
    near = s.canvas("trunk", NEAR)
    x = (1.0 if left else 0.0) * near.w
    near.box(x - 0.075 * near.u, -near.my, 0.15 * near.u, near.bottom + near.my, (0.30, 0.20, 0.14))
    near.box(x - 0.075 * near.u, -near.my, 0.05 * near.u, near.bottom + near.my, (0.38, 0.26, 0.18))
    for y in np.arange(0.05, 1.0, 0.11):  # bark
        at = x + rng.uniform(-0.05, 0.05) * near.u
        near.line([(at, y * near.h), (at, (y + 0.05) * near.h)], 0.008 * near.u, (0.22, 0.14, 0.10))


def jungle(s: Stage, rng: np.random.Generator) -> None:
    """Palms, vines, hanging leaves and large flowers."""
    sky(s, rng, 0.6)
    far = s.canvas("far jungle", FAR, 0.3)
    far.below(far.hills(rng, 0.34, 0.05, 1.6), (0.16, 0.44, 0.26), (0.10, 0.32, 0.18), depth=0.3)
    row(far, rng, ("palm", "tree"), 0.62, 0.40, 0.22, dim=0.75)
    mid = s.canvas("palms", MID, 0.3)
    mid.below(mid.hills(rng, 0.63, 0.02, 2.0), (0.14, 0.46, 0.22), (0.10, 0.36, 0.16), depth=0.1)
    row(mid, rng, ("palm",), 0.69, 0.56, 0.34)
    row(mid, rng, ("sprig",), 0.70, 0.20, 0.20, dim=0.8)
    ground = s.canvas("jungle floor", GROUND, 0.5)
    ground.below(ground.hills(rng, 0.695, 0.014, 1.2), (0.26, 0.52, 0.20), (0.20, 0.30, 0.12))
    tufts(ground, rng, 0.71, 110, (0.16, 0.46, 0.16), 0.05)
    for x in ground.spread(rng, 0.5 * ground.u):
        ground.stamp("hibiscus", x, rng.uniform(0.735, 0.76) * ground.h, 0.085 * ground.u)
    ground.mist(0.69 * ground.h, 0.3 * ground.h)
    near = s.canvas("vines", NEAR)
    for x in near.spread(rng, 0.17 * near.u):
        if 0.22 < x / near.w < 0.78:
            continue
        end = rng.uniform(0.22, 0.5) * near.h
        sway = np.stack([x + 0.012 * near.u * np.sin(np.linspace(0, 7, 14)), np.linspace(-near.my, end, 14)], 1)
        near.line(sway, 0.010 * near.u, (0.16, 0.36, 0.14))
        for px, py in sway[4::2]:
            near.disc(px + 0.016 * near.u, py, 0.018 * near.u, (0.24, 0.56, 0.20), squash=0.55)
    for x in near.spread(rng, 0.075 * near.u):  # a roof of leaves
        near.disc(x, -near.my * 0.25, rng.uniform(0.05, 0.085) * near.u, shade(rng, (0.14, 0.42, 0.16)), squash=1.3)


def city(s: Stage, rng: np.random.Generator) -> None:
    """A street with houses before a skyline of towers."""
    sky(s, rng, 0.6)
    far = s.canvas("skyline", FAR, 0.1)
    for x in far.spread(rng, 0.145 * far.u, 0.1):
        _tower(far, rng, x, 0.66 * far.h, 0.135 * far.u, rng.uniform(0.30, 0.52) * far.u)
    mid = s.canvas("houses", MID, 0.35)
    row(mid, rng, ("office", "post", "store", "hotel", "school"), 0.70, 0.36, 0.40)
    mid.box(mid.left, 0.695 * mid.h, mid.right - mid.left, 0.1 * mid.h, (0.70, 0.70, 0.72))
    ground = s.canvas("street", GROUND, 0.5)
    ground.below(0.715 * ground.h, (0.78, 0.77, 0.76))
    for x in np.arange(ground.left, ground.right, 0.12 * ground.u):
        ground.line([(float(x), 0.715 * ground.h), (float(x), 0.765 * ground.h)], 0.004 * ground.u, (0.64, 0.63, 0.62))
    ground.below(0.765 * ground.h, (0.40, 0.41, 0.44), (0.30, 0.31, 0.34))
    ground.box(ground.left, 0.765 * ground.h, ground.right - ground.left, 0.012 * ground.h, (0.90, 0.89, 0.86))
    for x in np.arange(ground.left + rng.uniform(0, 0.3) * ground.u, ground.right, 0.32 * ground.u):
        top, foot = 0.895 * ground.h, 0.92 * ground.h
        ground.poly(
            [(x, foot), (x + 0.02 * ground.u, top), (x + 0.18 * ground.u, top), (x + 0.17 * ground.u, foot)],
            (0.95, 0.90, 0.66),
        )
    _lamps(ground, 0.765 * ground.h, 0.42 * ground.u, float(rng.uniform(0.0, 0.2)))
    ground.mist(0.7 * ground.h, 0.3 * ground.h)


def _tower(c: Canvas, rng: np.random.Generator, x: float, foot: float, width: float, height: float) -> None:
    tones: tuple[Colour, ...] = ((0.56, 0.62, 0.74), (0.66, 0.62, 0.68), (0.50, 0.58, 0.66), (0.72, 0.66, 0.60))
    body = shade(rng, tones[int(rng.integers(len(tones)))], 0.04)
    c.box(x - width / 2, foot - height, width, height + c.h * 0.1, body)
    night = c.mood.light == "night"
    side = width / 5
    for i in range(int(height / (side * 1.5))):
        for k in range(3):
            lit = rng.random() < 0.55
            shine: Colour = (1.0, 0.86, 0.50) if night and lit else (0.76, 0.88, 0.96)
            at = (x - width / 2 + side * (0.55 + 1.45 * k), foot - height + side * (0.7 + 1.5 * i))
            c.box(*at, side, side * 0.9, shine, glow=night and lit)


def _lamps(c: Canvas, foot: float, height: float, shift: float) -> None:
    night = c.mood.light == "night"
    for x in np.arange(c.left + shift * c.u, c.right, 0.85 * c.u):
        c.line([(x, foot), (x, foot - height)], 0.014 * c.u, (0.22, 0.24, 0.28))
        if night:
            c.glow(x, foot - height, 0.16 * c.u, (1.0, 0.85, 0.50), 0.7)
        c.disc(x, foot - height, 0.028 * c.u, (1.0, 0.90, 0.62) if night else (0.94, 0.94, 0.88), glow=night)


def castle(s: Stage, rng: np.random.Generator) -> None:
    """A castle on a hill, a path that leads to it, and banners."""
    sky(s, rng, 0.58)
    far = s.canvas("far hills", FAR, 0.8)
    far.below(far.hills(rng, 0.56, 0.04, 0.8), shade(rng, (0.46, 0.62, 0.50)))
    mid = s.canvas("castle", MID, 0.6)
    x = rng.uniform(0.36, 0.64) * mid.w
    mid.stamp("castle", x, 0.655 * mid.h, 0.58 * mid.u)
    wall = (0.74, 0.70, 0.78)
    for side in (-1, 1):
        start = x + side * 0.25 * mid.u
        reach = (mid.right - start) if side > 0 else (start - mid.left)
        mid.box(min(start, start + side * reach), 0.555 * mid.h, reach, 0.11 * mid.h, wall)
        for k in range(int(reach / (0.06 * mid.u))):
            at = start + side * k * 0.06 * mid.u
            mid.box(at - 0.017 * mid.u, 0.555 * mid.h - 0.03 * mid.u, 0.034 * mid.u, 0.035 * mid.u, wall)
    mid.below(mid.hills(rng, 0.655, 0.008, 0.9), shade(rng, (0.42, 0.66, 0.32)))
    ground = s.canvas("court", GROUND, 0.8)
    ground.below(ground.hills(rng, 0.70, 0.008, 0.8), (0.46, 0.68, 0.34), (0.32, 0.54, 0.24))
    tufts(ground, rng, 0.72, 60, (0.28, 0.50, 0.22))
    way = [(-0.05, 0.70), (0.05, 0.70), (0.36, 1.3), (-0.36, 1.3)]
    ground.poly([(x + dx * ground.u, py * ground.h) for dx, py in way], (0.80, 0.74, 0.62))
    colours: tuple[Colour, ...] = ((0.85, 0.18, 0.24), (0.95, 0.78, 0.22), (0.28, 0.36, 0.80))
    for k, px in enumerate((-0.12, 0.06, 0.94, 1.12)):  # banners along the court
        bx = (px + rng.uniform(-0.02, 0.02)) * ground.w - 0.04 * ground.u
        pole = 0.30 * ground.u
        ground.line([(bx, 0.72 * ground.h), (bx, 0.72 * ground.h - pole)], 0.012 * ground.u, (0.45, 0.34, 0.24))
        y = 0.72 * ground.h - pole
        cloth = [(0, 0), (0.09, 0.0), (0.09, 0.12), (0.045, 0.09), (0.0, 0.12)]
        ground.poly([(bx + dx * ground.u, y + dy * ground.u) for dx, dy in cloth], colours[k % 3])
    ground.mist(0.69 * ground.h, 0.3 * ground.h)
    fringe(s.canvas("near grass", NEAR, 0.5), rng, (0.24, 0.46, 0.20), 0.05)


def park(s: Stage, rng: np.random.Generator) -> None:
    """Lawns with a fountain, trees, a bench, a path and flower beds."""
    sky(s, rng, 0.58)
    far = s.canvas("far trees", FAR, 0.6)
    far.below(0.59 * far.h, (0.40, 0.64, 0.38))
    row(far, rng, ("tree",), 0.61, 0.22, 0.15, dim=0.9)
    mid = s.canvas("lawn", MID, 0.8)
    mid.below(mid.hills(rng, 0.625, 0.006, 0.8), (0.48, 0.76, 0.38), (0.42, 0.70, 0.32))
    x = rng.uniform(0.3, 0.7) * mid.w
    mid.stamp("fountain", x, 0.685 * mid.h, 0.24 * mid.u)
    for side in (-1, 1):
        mid.stamp("tree", x + side * rng.uniform(0.34, 0.44) * mid.u, 0.69 * mid.h, 0.36 * mid.u)
    ground = s.canvas("path", GROUND, 0.8)
    ground.below(0.69 * ground.h, (0.50, 0.76, 0.38), (0.34, 0.60, 0.26))
    ground.box(ground.left, 0.80 * ground.h, ground.right - ground.left, 0.13 * ground.h, (0.90, 0.80, 0.62))
    pebbles(ground, rng, 0.81, 10, (0.82, 0.72, 0.54))
    for bx in ground.spread(rng, 0.8 * ground.u, 0.1):
        _bench(ground, bx, 0.785 * ground.h, 0.24 * ground.u)
    flowers(ground, rng, 0.70, 0.755, 50)
    ground.mist(0.69 * ground.h, 0.3 * ground.h)
    near = s.canvas("flower bed", NEAR, 0.5)
    fringe(near, rng, (0.26, 0.54, 0.22), 0.04)
    colours: tuple[Colour, ...] = ((0.95, 0.30, 0.36), (1.0, 0.84, 0.30), (0.98, 0.98, 0.98))
    for k, fx in enumerate(near.spread(rng, 0.07 * near.u)):
        near.disc(fx, near.h * rng.uniform(0.975, 1.03), 0.018 * near.u, colours[k % 3])


def _bench(c: Canvas, x: float, foot: float, width: float) -> None:
    wood, iron = (0.62, 0.40, 0.22), (0.24, 0.26, 0.28)
    for dx in (-0.4, 0.4):
        c.box(x + dx * width - 0.02 * width, foot - 0.46 * width, 0.05 * width, 0.46 * width, iron)
    for y in (0.44, 0.32, 0.19):
        c.box(x - width / 2, foot - y * width, width, 0.085 * width, wood)


def playground(s: Stage, rng: np.random.Generator) -> None:
    """A slide, swings and a seesaw on a coloured floor."""
    sky(s, rng, 0.58)
    far = s.canvas("far houses", FAR, 0.6)
    far.below(0.60 * far.h, (0.52, 0.74, 0.44))
    row(far, rng, ("cottage", "tree", "house"), 0.62, 0.20, 0.24)
    mid = s.canvas("slide and swings", MID, 0.4)
    mid.below(0.645 * mid.h, (0.50, 0.76, 0.40))
    left = bool(rng.random() < 0.5)
    x = rng.uniform(0.2, 0.3)
    mid.stamp("slide", (x if left else 1 - x) * mid.w, 0.69 * mid.h, 0.38 * mid.u, left)
    _swings(mid, (1 - x if left else x) * mid.w, 0.69 * mid.h, 0.36 * mid.u)
    ground = s.canvas("rubber floor", GROUND, 0.7)
    ground.below(0.685 * ground.h, (0.90, 0.48, 0.36), (0.80, 0.36, 0.28))
    for k, px in enumerate(ground.spread(rng, 0.42 * ground.u)):
        colour: Colour = ((0.28, 0.60, 0.86), (0.98, 0.80, 0.30), (0.42, 0.74, 0.42))[k % 3]
        y = rng.uniform(0.76, 1.0) * ground.h
        ground.disc(px, y, (0.10 + 0.10 * (y / ground.h - 0.7)) * ground.u, colour, squash=0.32)
    ground.mist(0.69 * ground.h, 0.3 * ground.h)


def _swings(c: Canvas, x: float, foot: float, height: float) -> None:
    post: Colour = (0.22, 0.50, 0.82)
    for dx in (-0.62, 0.62):
        for lean in (-0.16, 0.16):
            c.line([(x + (dx + lean) * height, foot), (x + dx * height, foot - height)], 0.05 * height, post)
    c.line([(x - 0.62 * height, foot - height), (x + 0.62 * height, foot - height)], 0.06 * height, post)
    for dx in (-0.28, 0.28):
        for rope in (-0.09, 0.09):
            at = x + (dx + rope) * height
            c.line([(at, foot - height), (at, foot - 0.24 * height)], 0.02 * height, (0.35, 0.35, 0.38))
        c.box(x + (dx - 0.12) * height, foot - 0.26 * height, 0.24 * height, 0.06 * height, (0.96, 0.76, 0.22))
