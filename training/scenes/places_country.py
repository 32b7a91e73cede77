# SPDX-License-Identifier: GPL-3.0-or-later
"""Open country: meadow, beach, desert, mountains, lake and farm."""

from __future__ import annotations

import numpy as np

from .canvas import Canvas
from .stage import FAR, GROUND, MID, NEAR, Stage, flowers, fringe, pebbles, row, shade, sky, tufts


def meadow(s: Stage, rng: np.random.Generator) -> None:
    """Green hills with flowers under a wide sky."""
    sky(s, rng, 0.58)
    far = s.canvas("far hills", FAR, 0.8)
    far.below(far.hills(rng, 0.54, 0.035), shade(rng, (0.50, 0.74, 0.48)))
    mid = s.canvas("hills", MID, 0.8)
    mid.below(mid.hills(rng, 0.61, 0.025, 1.0), shade(rng, (0.44, 0.72, 0.36)), shade(rng, (0.36, 0.62, 0.28)))
    ground = s.canvas("grass", GROUND, 0.85)
    ground.below(ground.hills(rng, 0.69, 0.012, 0.8), shade(rng, (0.46, 0.74, 0.32)), shade(rng, (0.30, 0.56, 0.20)))
    tufts(ground, rng, 0.71, 130, (0.30, 0.58, 0.22))
    flowers(ground, rng, 0.72, 1.05, 22)
    ground.mist(0.69 * ground.h, 0.3 * ground.h)
    fringe(s.canvas("near grass", NEAR, 0.5), rng, (0.25, 0.52, 0.18))


def beach(s: Stage, rng: np.random.Generator) -> None:
    """Sand with palms and a parasol, surf and the sea."""
    sky(s, rng, 0.5)
    sea = s.canvas("sea", FAR)
    sea.below(0.50 * sea.h, (0.08, 0.42, 0.68), (0.20, 0.66, 0.80), depth=0.22)
    for _ in range(int(26 * (sea.right - sea.left) / sea.u)):
        x, y = rng.uniform(sea.left, sea.right), rng.uniform(0.52, 0.68) * sea.h
        sea.line([(x, y), (x + rng.uniform(0.03, 0.09) * sea.u, y)], 0.005 * sea.u, (0.62, 0.86, 0.93))
    sea.stamp("boat", rng.uniform(0.1, 0.9) * sea.w, 0.535 * sea.h, 0.12 * sea.u)
    sea.mist(0.5 * sea.h, 0.3 * sea.h)
    surf = s.canvas("surf", 0.8, 0.3)
    shore = surf.hills(rng, 0.665, 0.014, 0.8)
    surf.below(shore - 0.022 * surf.u, (0.95, 0.99, 1.0))
    surf.below(shore, (0.72, 0.63, 0.44))
    ground = s.canvas("sand", GROUND, 0.8)
    ground.below(ground.hills(rng, 0.69, 0.012, 0.8), (0.97, 0.88, 0.66), (0.88, 0.74, 0.48))
    pebbles(ground, rng, 0.71, 26, (0.80, 0.68, 0.46))
    side = bool(rng.random() < 0.5)
    for x, size in ((0.06, 0.52), (-0.16, 0.42)):
        ground.stamp("palm", (x if side else 1 - x) * ground.w, 0.725 * ground.h, size * ground.u, side)
    ground.stamp("parasol", (0.86 if side else 0.14) * ground.w, 0.75 * ground.h, 0.24 * ground.u, side)
    ground.mist(0.69 * ground.h, 0.3 * ground.h)
    pebbles(s.canvas("near pebbles", NEAR, 0.3), rng, 0.97, 9, (0.62, 0.52, 0.38))


def desert(s: Stage, rng: np.random.Generator) -> None:
    """Dunes and cacti."""
    sky(s, rng, 0.56)
    far = s.canvas("far dunes", FAR, 0.6)
    far.below(far.hills(rng, 0.53, 0.05, 0.7), shade(rng, (0.88, 0.62, 0.38)))
    mid = s.canvas("dunes", MID, 0.7)
    line = mid.hills(rng, 0.62, 0.03, 0.9)
    mid.below(line, (0.96, 0.74, 0.44), (0.86, 0.58, 0.32), depth=0.2)
    for x in mid.spread(rng, 0.45 * mid.u):
        foot = line[int(np.clip(x + mid.mx, 0, len(line) - 1))]
        mid.stamp("cactus", x, foot + 0.02 * mid.u, rng.uniform(0.16, 0.26) * mid.u, bool(rng.random() < 0.5))
    ground = s.canvas("sand", GROUND, 0.7)
    ground.below(ground.hills(rng, 0.70, 0.016, 0.7), (0.98, 0.80, 0.50), (0.84, 0.58, 0.32))
    for y in np.linspace(0.75, 1.1, 8):  # ripples that the wind left
        xs = np.linspace(ground.left, ground.right, 60)
        wave = y * ground.h + 0.006 * ground.u * np.sin(xs / ground.u * 20 + rng.uniform(0, 6))
        ground.line(np.stack([xs, wave], 1), 0.006 * ground.u, (0.86, 0.62, 0.36))
    side = float(rng.choice([0.02, 0.98]))
    ground.stamp("cactus", side * ground.w, 0.75 * ground.h, 0.4 * ground.u)
    ground.mist(0.7 * ground.h, 0.3 * ground.h)
    pebbles(s.canvas("near stones", NEAR, 0.4), rng, 0.97, 8, (0.60, 0.40, 0.28))


def _peaks(c: Canvas, rng: np.random.Generator, foot: float, height: float, gap: float, capped: bool) -> None:
    for x in c.spread(rng, gap * c.u):
        top, half = height * c.u * rng.uniform(0.75, 1.1), gap * c.u * rng.uniform(0.75, 0.95)
        y = foot * c.h
        c.poly([(x - half, y), (x, y - top), (x, y)], shade(rng, (0.52, 0.56, 0.66)))
        c.poly([(x, y), (x, y - top), (x + half, y)], shade(rng, (0.40, 0.44, 0.55)))
        if capped:
            edge = [(-0.34, 0.66), (-0.2, 0.72), (-0.1, 0.64), (0.0, 0.70), (0.12, 0.62), (0.22, 0.71), (0.34, 0.66)]
            c.poly([(x, y - top), *((x + half * dx, y - top * dy) for dx, dy in edge)], (0.96, 0.98, 1.0))


def mountains(s: Stage, rng: np.random.Generator) -> None:
    """Snow-capped peaks behind pines."""
    sky(s, rng, 0.58)
    far = s.canvas("peaks", 0.22, 0.2)
    _peaks(far, rng, 0.62, 0.42, 0.46, True)
    far.below(0.615 * far.h, (0.44, 0.50, 0.56))
    mid = s.canvas("pines", MID, 0.7)
    mid.below(mid.hills(rng, 0.63, 0.012, 1.0), shade(rng, (0.30, 0.46, 0.36)))
    row(mid, rng, ("pine",), 0.68, 0.20, 0.17)
    ground = s.canvas("alp", GROUND, 0.9)
    ground.below(ground.hills(rng, 0.71, 0.014, 0.8), shade(rng, (0.52, 0.62, 0.42)), shade(rng, (0.38, 0.48, 0.34)))
    tufts(ground, rng, 0.73, 50, (0.34, 0.48, 0.28))
    pebbles(ground, rng, 0.74, 20, (0.58, 0.58, 0.58))
    ground.stamp("boulder", float(rng.choice([0.05, 0.95])) * ground.w, 0.80 * ground.h, 0.2 * ground.u)
    ground.mist(0.7 * ground.h, 0.3 * ground.h)
    pebbles(s.canvas("near stones", NEAR, 0.4), rng, 0.97, 8, (0.42, 0.42, 0.46))


def lake(s: Stage, rng: np.random.Generator) -> None:
    """A wide lake between wooded shores, with reeds."""
    sky(s, rng, 0.5)
    far = s.canvas("far shore", FAR, 0.6)
    _peaks(far, rng, 0.50, 0.14, 0.5, False)
    row(far, rng, ("tree", "pine"), 0.515, 0.10, 0.11, dim=0.8)
    water = s.canvas("water", MID)
    day = s.mood.light == "day"
    water.below(0.505 * water.h, (0.48, 0.74, 0.88), (0.12, 0.42, 0.62), depth=0.3)
    for _ in range(int(44 * (water.right - water.left) / water.u)):
        x, y = rng.uniform(water.left, water.right), rng.uniform(0.53, 0.78) * water.h
        reach = rng.uniform(0.04, 0.14) * water.u
        water.line([(x, y), (x + reach, y)], 0.005 * water.u, (0.72, 0.86, 0.92) if day else (0.80, 0.72, 0.66))
    water.stamp("boat", rng.uniform(0.15, 0.85) * water.w, 0.60 * water.h, 0.16 * water.u, bool(rng.random() < 0.5))
    water.mist(0.5 * water.h, 0.3 * water.h)
    ground = s.canvas("shore", GROUND, 0.85)
    ground.below(ground.hills(rng, 0.775, 0.012, 0.8), (0.62, 0.66, 0.40), (0.38, 0.54, 0.26), depth=0.1)
    tufts(ground, rng, 0.79, 90, (0.32, 0.52, 0.24))
    near = s.canvas("reeds", NEAR, 0.3)
    for x in [*rng.uniform(-0.16, 0.06, 7), *rng.uniform(0.94, 1.16, 7)]:
        top = rng.uniform(0.78, 0.9) * near.h
        near.line([(x * near.w, near.bottom), ((x + 0.01) * near.w, top)], 0.010 * near.u, (0.36, 0.50, 0.22))
        near.disc((x + 0.01) * near.w, top, 0.012 * near.u, (0.46, 0.28, 0.14), squash=2.6)


def farm(s: Stage, rng: np.random.Generator) -> None:
    """A red barn, furrowed fields and a fence."""
    sky(s, rng, 0.56)
    far = s.canvas("fields", FAR, 0.8)
    far.below(far.hills(rng, 0.55, 0.02, 0.8), shade(rng, (0.86, 0.78, 0.42)))
    far.below(far.hills(rng, 0.59, 0.012, 0.9), shade(rng, (0.58, 0.74, 0.36)))
    mid = s.canvas("barn", MID, 0.5)
    mid.below(0.655 * mid.h, shade(rng, (0.50, 0.70, 0.34)))
    x = rng.uniform(0.24, 0.76) * mid.w
    _barn(mid, x, 0.68 * mid.h, 0.36 * mid.u)
    row(mid, rng, ("tree",), 0.67, 0.16, 0.62)
    _barn(mid, x, 0.68 * mid.h, 0.36 * mid.u)
    ground = s.canvas("field", GROUND, 0.8)
    ground.below(0.70 * ground.h, (0.66, 0.50, 0.30), (0.48, 0.34, 0.20))
    middle = ground.w * rng.uniform(0.3, 0.7)
    for k in range(-14, 15):  # furrows run towards the horizon
        x0, x1 = middle + k * 0.16 * ground.u, middle + k * 0.42 * ground.u
        ground.line([(x0, 0.705 * ground.h), (x1, ground.bottom)], 0.012 * ground.u, (0.40, 0.62, 0.24))
    _fence(ground, 0.70 * ground.h, 0.11 * ground.u)
    ground.mist(0.7 * ground.h, 0.3 * ground.h)
    near = s.canvas("wheat", NEAR, 0.3)
    for at in [*rng.uniform(-0.12, 0.10, 4), *rng.uniform(0.9, 1.12, 4)]:
        near.stamp("wheat", at * near.w, near.h * 1.03, 0.16 * near.u, bool(rng.random() < 0.5))


def _barn(c: Canvas, x: float, y: float, size: float) -> None:
    red, dark, white = (0.78, 0.16, 0.14), (0.50, 0.20, 0.18), (0.97, 0.95, 0.92)
    half = 0.62 * size
    c.box(x + half * 0.95, y - 1.12 * size, 0.26 * size, 1.12 * size, (0.72, 0.74, 0.78))  # silo
    c.disc(x + half * 0.95 + 0.13 * size, y - 1.12 * size, 0.13 * size, (0.60, 0.62, 0.68))
    c.box(x - half, y - 0.6 * size, 2 * half, 0.6 * size, red)
    roof = [(-1.08, 0.58), (-0.72, 0.88), (0.0, 1.05), (0.72, 0.88), (1.08, 0.58)]
    c.poly([(x + half * dx, y - size * dy) for dx, dy in roof], dark)
    roof = [(-0.88, 0.58), (-0.62, 0.80), (0.0, 0.94), (0.62, 0.80), (0.88, 0.58)]
    c.poly([(x + half * dx, y - size * dy) for dx, dy in roof], red)
    door = 0.24 * size
    c.box(x - door, y - 0.42 * size, 2 * door, 0.42 * size, white)
    c.box(x - 0.88 * door, y - 0.385 * size, 1.76 * door, 0.385 * size, (0.62, 0.12, 0.11))
    c.line([(x - door, y), (x + door, y - 0.40 * size)], 0.035 * size, white)
    c.line([(x + door, y), (x - door, y - 0.40 * size)], 0.035 * size, white)
    window = c.mood.light == "night"
    c.box(x - 0.1 * size, y - 0.74 * size, 0.2 * size, 0.16 * size, (1, 0.85, 0.5) if window else white, glow=window)


def _fence(c: Canvas, y: float, height: float) -> None:
    white = (0.95, 0.93, 0.88)
    for rail in (0.3, 0.7):
        c.box(c.left, y - rail * height, c.right - c.left, 0.14 * height, white)
    for x in np.arange(c.left, c.right, 0.14 * c.u):
        c.box(float(x), y - height, 0.026 * c.u, height * 1.1, white)
