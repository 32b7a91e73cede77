# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures that are drawn for events: states of candles, bitten food, shards, an easel, a treadmill and others.

All are premultiplied RGBA of (256, 256, 4) and stand on their lower edge, unless said otherwise.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from .mood import Colour
from .sprites import SCENERY, SIDE, Picture, picture, premultiplied

PAINTS: dict[str, Colour] = {
    "red": (0.90, 0.14, 0.16),
    "orange": (0.98, 0.55, 0.10),
    "yellow": (1.0, 0.85, 0.12),
    "green": (0.16, 0.68, 0.28),
    "blue": (0.12, 0.40, 0.90),
    "purple": (0.55, 0.22, 0.80),
    "pink": (0.98, 0.42, 0.68),
    "brown": (0.48, 0.28, 0.14),
    "black": (0.10, 0.10, 0.12),
    "white": (0.97, 0.97, 0.97),
    "grey": (0.55, 0.56, 0.58),
}
FLAME = 80  # rows of the candle's picture that its flame takes
STEPS = 12  # states of the easel for each stroke
BELT = 6  # states of the treadmill's belt
SHARDS = 9


def _ink(colour: Colour) -> tuple[int, int, int, int]:
    r, g, b = (int(c * 255 + 0.5) for c in colour)
    return r, g, b, 255


def candle(pixels: Picture) -> tuple[Picture, ...]:
    """The candle without flame, then with it in three heights, for flickering; ``pixels`` is the lit one."""
    dark = pixels.copy()
    dark[:FLAME] = 0
    cv2.line(dark, (127, FLAME - 12), (127, FLAME + 4), (88, 72, 72, 255), 7, cv2.LINE_AA)
    out = [dark]
    for stretch in (1.0, 0.88, 1.10):
        lit = dark.copy()
        grown = np.array([[2 - stretch, 0, 127.5 * (stretch - 1)], [0, stretch, FLAME * (1 - stretch)]])
        flame = np.where(np.arange(SIDE)[:, None, None] < FLAME, pixels, 0).astype(np.uint8)
        flame = cv2.warpAffine(flame, grown, (SIDE, SIDE), flags=cv2.INTER_LINEAR)
        keep = 255 - flame[..., 3:].astype(np.uint16)
        lit = (lit * keep // 255 + flame).clip(0, 255).astype(np.uint8)
        out.append(lit)
    return tuple(out)


def bitten(pixels: Picture, count: int, seed: int) -> tuple[Picture, ...]:
    """A food whole and after each of ``count`` bites: scalloped pieces are gone from its edge, with a pale rim."""
    rng = np.random.default_rng([seed, 3])
    alpha = pixels[..., 3] > 127
    y, x = np.nonzero(alpha)
    middle = np.array([x.mean(), y.mean()])
    out, now = [pixels], pixels.astype(np.float32)
    rows, columns = np.mgrid[0:SIDE, 0:SIDE]
    begin = rng.uniform(-0.9, -0.3)
    for k in range(count):
        angle = begin + k * 0.95
        ray = np.array([np.cos(angle), np.sin(angle)])
        edge = ((np.stack([x, y], 1) - middle) @ ray).max()
        distance = np.full((SIDE, SIDE), 1e3)
        for side in (-0.32, 0.0, 0.32):
            turned = np.array([np.cos(angle + side), np.sin(angle + side)])
            at = middle + turned * edge * 0.97
            distance = np.minimum(distance, np.hypot(columns - at[0], rows - at[1]) - 34)
        rim = np.clip((12 - distance) / 3, 0, 1)[..., None]
        cream = np.array([250, 232, 190], np.float32) * (now[..., 3:] / 255)
        now[..., :3] += rim * (cream - now[..., :3])
        now *= np.clip(distance, 0, 1)[..., None]
        out.append((now + 0.5).clip(0, 255).astype(np.uint8))
    return tuple(out)


def shards(pixels: Picture, seed: int) -> tuple[tuple[Picture, ...], np.ndarray]:
    """The picture broken into pieces that fill it, and their middles (N, 2): x, y in its pixels."""
    rng = np.random.default_rng([seed, 5])
    y, x = np.nonzero(pixels[..., 3] > 127)
    points = np.stack([x, y], 1)
    seeds = points[rng.integers(len(points), size=1)].astype(float)
    for _ in range(SHARDS - 1):  # each as far from the others as some of 30 tries allows
        tries = points[rng.integers(len(points), size=30)]
        far = np.linalg.norm(tries[:, None] - seeds[None], axis=-1).min(1)
        seeds = np.concatenate([seeds, tries[[int(far.argmax())]]])
    rows, columns = np.mgrid[0:SIDE, 0:SIDE]
    nearest = np.stack([np.hypot(columns - a, rows - b) for a, b in seeds]).argmin(0)
    pieces, middles = [], []
    for k in range(SHARDS):
        mask = (nearest == k).astype(np.uint8)
        pieces.append(np.ascontiguousarray(pixels * mask[..., None]))
        inside = (mask > 0) & (pixels[..., 3] > 127)
        middles.append([columns[inside].mean(), rows[inside].mean()])
    return tuple(pieces), np.array(middles)


def stroke_path(number: int, part: float) -> tuple[float, float]:
    """Where on the easel's picture a stroke is when ``part`` of it is done: x, y in pixels."""
    return 58 + 140 * part, 52 + 44 * number + 9 * float(np.sin(part * 7 + number))


def easel(colour: str, count: int) -> tuple[Picture, ...]:
    """A canvas on an easel, blank and then with more and more of ``count`` strokes, STEPS states for each."""
    blank = np.zeros((SIDE, SIDE, 4), np.uint8)
    wood, paper, edge = (150, 98, 56, 255), (250, 247, 240, 255), (206, 196, 180, 255)
    for x0, x1 in ((70, 40), (186, 216), (128, 128)):
        cv2.line(blank, (x0, 150), (x1, 254), wood, 9, cv2.LINE_AA)
    cv2.rectangle(blank, (34, 12), (222, 186), edge, -1)
    cv2.rectangle(blank, (40, 18), (216, 180), paper, -1)
    cv2.line(blank, (30, 190), (226, 190), wood, 9, cv2.LINE_AA)
    out = [blank]
    for number in range(count):
        for step in range(1, STEPS + 1):
            drawn = out[-1].copy()
            parts = np.linspace((step - 1) / STEPS, step / STEPS, 5)
            points = np.array([stroke_path(number, float(p)) for p in parts])
            cv2.polylines(
                drawn, [np.round(points * 16).astype(np.int32)], False, _ink(PAINTS[colour]), 21, cv2.LINE_AA, 4
            )
            out.append(drawn)
    return tuple(out)


def dipped(pixels: Picture, colour: str) -> Picture:
    """The paintbrush with its bristles full of a colour."""
    out = pixels.astype(np.float32)
    r, g, b, a = (out[..., k] for k in range(4))
    tip = (np.arange(SIDE)[:, None] > 165) & (r - b > 60) & (g - b > 25) & (a > 0)
    shade = (0.65 + 0.35 * out[..., :3].max(-1) / np.maximum(a, 1))[..., None]
    out[..., :3] = np.where(tip[..., None], np.asarray(PAINTS[colour]) * a[..., None] * shade, out[..., :3])
    return out.clip(0, 255).astype(np.uint8)


@lru_cache(maxsize=1)
def treadmill() -> tuple[Picture, ...]:
    """A treadmill for one that runs left, its belt in BELT positions that run right."""
    out = []
    for k in range(BELT):
        image = np.zeros((SIDE, SIDE, 4), np.uint8)
        frame, belt, mark = (84, 90, 104, 255), (44, 46, 54, 255), (236, 190, 60, 255)
        cv2.line(image, (34, 226), (14, 70), frame, 13, cv2.LINE_AA)
        cv2.line(image, (14, 72), (58, 62), (200, 60, 60, 255), 13, cv2.LINE_AA)
        cv2.rectangle(image, (6, 54), (40, 78), (40, 44, 54, 255), -1)
        cv2.rectangle(image, (11, 59), (35, 72), (120, 220, 250, 255), -1)
        cv2.line(image, (18, 233), (238, 233), frame, 34, cv2.LINE_AA)
        cv2.line(image, (18, 224), (238, 224), belt, 13, cv2.LINE_AA)
        for x in range(-2, 7):
            at = 12 + (x * BELT + k) * 38 // BELT
            if 12 <= at <= 228:
                cv2.line(image, (at, 224), (at + 12, 224), mark, 9, cv2.LINE_AA)
        for x in (40, 216):
            cv2.rectangle(image, (x - 14, 246), (x + 14, 255), frame, -1)
        out.append(image)
    return tuple(out)


@lru_cache(maxsize=4)
def screen(kind: str) -> Picture:
    """What something passes behind: a tree, a rock or a column, wide and without gaps."""
    if kind in ("tree", "rock"):
        return premultiplied(picture(SCENERY["tree" if kind == "tree" else "boulder"]))
    image = np.zeros((SIDE, SIDE, 4), np.uint8)
    for x in range(82, 175):  # a round shaft: lighter on its left side
        light = 0.94 - 0.32 * ((x - 106) / 68) ** 2 - 0.05 * ((x - 82) // 10 % 2)
        cv2.line(image, (x, 24), (x, 238), _ink((light, light * 0.97, light * 0.92)), 1)
    for top, half in ((0, 64), (13, 55), (232, 55), (243, 64)):
        cv2.rectangle(image, (128 - half, top), (128 + half, top + 13), (232, 224, 212, 255), -1)
        cv2.line(image, (128 - half, top + 13), (128 + half, top + 13), (180, 172, 162, 255), 1)
    return image


@lru_cache(maxsize=1)
def stand() -> Picture:
    """A tall stool."""
    image = np.zeros((SIDE, SIDE, 4), np.uint8)
    wood, dark = (170, 112, 66, 255), (128, 82, 48, 255)
    for x0, x1 in ((98, 74), (158, 182)):
        cv2.line(image, (x0, 24), (x1, 252), dark, 16, cv2.LINE_AA)
    cv2.line(image, (88, 150), (168, 150), dark, 11, cv2.LINE_AA)
    cv2.rectangle(image, (62, 0), (194, 26), wood, -1)
    return image


@lru_cache(maxsize=8)
def soft(colour: Colour, opacity: float) -> Picture:
    """A soft round spot, (64, 64, 4): smoke or light."""
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    alpha = opacity * np.clip(1 - np.hypot(x, y), 0, 1) ** 1.3
    return (np.dstack([*(c * alpha for c in colour), alpha]) * 255 + 0.5).astype(np.uint8)
