# SPDX-License-Identifier: GPL-3.0-or-later
"""Painting the layers of a place with antialiased shapes, in the frame's own coordinates.

A layer is larger than the frame, for the camera to move over; the nearer it is, the more. (0, 0) is the frame's upper
left corner when the camera is still, (w, h) its lower right one, and ``u``, the shorter side, is the unit of sizes:
what is composed in them is composed natively for every aspect ratio.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from . import sprites
from .mood import Colour, Mood
from .sprites import SCENERY, Picture

LIT = ("house", "cottage", "office", "post", "store", "hotel", "school", "church")  # with windows
SHIFT = 4  # cv2 takes coordinates in 1/16 pixels


@dataclass(frozen=True)
class Layer:
    """A painted layer: premultiplied RGBA whose upper left pixel lies at (left, top) of the frame.

    ``depth`` is 0 for what is infinitely far and 1 for the actors' plane; an opaque layer needs no blending.
    """

    name: str
    depth: float
    image: Picture
    left: float
    top: float
    opaque: bool
    solid: int = 0  # rows from here down hide everything behind them
    clips_weather: bool = False  # a wall: weather falls behind it


class Canvas:
    """A layer being painted."""

    def __init__(self, name: str, width: int, height: int, depth: float, mood: Mood, snowed: float = 0.0) -> None:
        self.name, self.w, self.h, self.u = name, float(width), float(height), float(min(width, height))
        self.depth, self.mood, self.snowed = depth, mood, snowed
        self.mx, self.my = int(width * (0.17 + 0.13 * depth)) + 2, int(height * (0.10 + 0.16 * depth)) + 2
        self.image: Picture = np.zeros((height + 2 * self.my, width + 2 * self.mx, 4), np.uint8)
        self.opaque = False

    @property
    def left(self) -> float:
        """The leftmost x that is painted."""
        return -float(self.mx)

    @property
    def right(self) -> float:
        """The rightmost x that is painted."""
        return self.w + self.mx

    @property
    def bottom(self) -> float:
        """The lowest y that is painted."""
        return self.h + self.my

    def ink(self, colour: Colour, glow: bool = False, snowed: float | None = None) -> tuple[int, int, int, int]:
        """What cv2 paints for a colour in this light; what glows keeps its colour at night."""
        if not glow:
            colour = self.mood.tone(colour, self.depth, self.snowed if snowed is None else snowed)
        r, g, b = (int(min(max(c, 0.0), 1.0) * 255 + 0.5) for c in colour)
        return r, g, b, 255

    def _points(self, points: Iterable[tuple[float, float]] | NDArray[np.float64]) -> NDArray[np.int32]:
        xy = np.asarray(list(points) if not isinstance(points, np.ndarray) else points, np.float64)
        return np.round((xy + np.array([self.mx - 0.5, self.my - 0.5])) * (1 << SHIFT)).astype(np.int32)

    def poly(self, points: Iterable[tuple[float, float]] | NDArray[np.float64], colour: Colour, **ink: bool) -> None:
        """Fill a polygon."""
        cv2.fillPoly(self.image, [self._points(points)], self.ink(colour, **ink), cv2.LINE_AA, SHIFT)

    def box(self, x: float, y: float, width: float, height: float, colour: Colour, **ink: bool) -> None:
        """Fill a rectangle from its upper left corner."""
        self.poly([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], colour, **ink)

    def disc(self, x: float, y: float, radius: float, colour: Colour, squash: float = 1.0, **ink: bool) -> None:
        """Fill a disc, or an ellipse ``squash`` times as high as wide."""
        (cx, cy), one = self._points([(x, y)])[0].tolist(), 1 << SHIFT
        axes = (max(1, round(radius * one)), max(1, round(radius * squash * one)))
        cv2.ellipse(self.image, (cx, cy), axes, 0, 0, 360, self.ink(colour, **ink), -1, cv2.LINE_AA, SHIFT)

    def line(self, points: Iterable[tuple[float, float]], width: float, colour: Colour, **ink: bool) -> None:
        """Draw a line of a width in pixels through points."""
        thick = max(1, round(width))
        cv2.polylines(self.image, [self._points(points)], False, self.ink(colour, **ink), thick, cv2.LINE_AA, SHIFT)

    def strokes(self, starts: NDArray[np.float64], ends: NDArray[np.float64], width: float, colour: Colour) -> None:
        """Draw many short lines at once, (N, 2) each."""
        both = np.stack([self._points(starts), self._points(ends)], 1)
        cv2.polylines(self.image, list(both), False, self.ink(colour), max(1, round(width)), cv2.LINE_AA, SHIFT)

    def gradient(self, colours: tuple[Colour, ...], top: float, bottom: float, toned: bool = True) -> None:
        """Fill everything with a vertical gradient between two heights in pixels; the layer is opaque then."""
        stops = np.array([self.mood.tone(c, self.depth, self.snowed) if toned else c for c in colours])
        y = (np.arange(self.image.shape[0]) - self.my - top) / max(bottom - top, 1e-6)
        at = np.linspace(0, 1, len(colours))
        rows = np.stack([np.interp(y, at, stops[:, k]) for k in range(3)], -1)
        self.image[..., :3] = (rows * 255 + 0.5).astype(np.uint8)[:, None]
        self.image[..., 3] = 255
        self.opaque = True

    def below(self, line: NDArray[np.float64] | float, *colours: Colour, depth: float = 0.35) -> None:
        """Fill below ``line``: one height for all, or one for every painted column; two colours are a gradient that
        ends ``depth`` heights of the frame below the line's middle."""
        columns = self.image.shape[1]
        heights = np.broadcast_to(np.asarray(line, np.float64), (columns,))
        x = np.arange(columns) - self.mx + 0.5
        step = max(1, columns // 160)
        xs, ys = np.append(x[::step], x[-1]), np.append(heights[::step], heights[-1])
        outline = np.stack([xs, ys], 1)
        floor = np.array([[self.right + 2, self.bottom + 2], [self.left - 2, self.bottom + 2]])
        self.poly(np.concatenate([outline, floor]), colours[0])
        if len(colours) == 1:
            return
        stops = np.array([self.ink(c)[:3] for c in colours], np.float64)
        first = int(heights.min()) + self.my
        y = (np.arange(first, self.image.shape[0]) - self.my - heights.mean()) / (depth * self.h)
        at = np.linspace(0, 1, len(colours))
        rows = np.stack([np.interp(y, at, stops[:, k]) for k in range(3)], -1)[:, None]
        part = self.image[first:]
        # Only what this call filled: rows below the line, at full or partial cover of the edge.
        under = (np.arange(first, self.image.shape[0])[:, None] - self.my) >= heights[None] + 1
        part[..., :3] = np.where(under[..., None], rows.astype(np.uint8), part[..., :3])

    def hills(self, rng: np.random.Generator, height: float, rough: float, waves: float = 1.5) -> NDArray[np.float64]:
        """A random skyline around ``height`` (fraction of the frame), one height for every painted column."""
        x = (np.arange(self.image.shape[1]) - self.mx) / self.u
        line = sum(np.sin(x * waves * f * 6.283 + rng.uniform(0, 6.283)) / f for f in (0.5, 1.0, 1.9))
        return np.asarray(self.h * height + line * rough * self.u, np.float64)

    def stamp(
        self, name: str, x: float, y: float, size: float, mirrored: bool = False, lit: bool = True, dim: float = 1.0
    ) -> None:
        """Set a piece of scenery ``size`` pixels high with its foot on (x, y); windows are lit at night."""
        rgba = scenery(name, self.mood, self.depth, lit, 0.55 * self.snowed, dim, sprites.level(size))
        if mirrored:
            rgba = cv2.flip(rgba, 1)
        scale = size / rgba.shape[0]
        side = int(size) + 2
        x0, y0 = x + self.mx - size / 2, y + self.my - size
        col, row = int(np.floor(x0)), int(np.floor(y0))
        matrix = np.array([[scale, 0, x0 - col], [0, scale, y0 - row]], np.float32)
        drawn = cv2.warpAffine(rgba, matrix, (side, side), flags=cv2.INTER_LINEAR)
        blend(self.image, drawn, col, row)

    def spread(self, rng: np.random.Generator, gap: float, jitter: float = 0.3) -> list[float]:
        """Places for things in a row over the layer's whole width, about ``gap`` pixels apart."""
        count = int((self.right - self.left) / gap) + 2
        return [self.left + (i + rng.uniform(-jitter, jitter)) * gap for i in range(count)]

    def glow(self, x: float, y: float, radius: float, colour: Colour, strength: float) -> None:
        """Blend a soft round light over what is painted."""
        x, y = x + self.mx, y + self.my
        x0, y0 = max(0, int(x - radius)), max(0, int(y - radius))
        part = self.image[y0 : max(y0, int(y + radius) + 1), x0 : max(x0, int(x + radius) + 1)]
        rows, columns = np.ogrid[y0 : y0 + part.shape[0], x0 : x0 + part.shape[1]]
        share = strength * np.clip(1 - np.hypot(columns - x, rows - y) / radius, 0, 1)[..., None] ** 2
        light = np.asarray(colour) * part[..., 3:]
        part[..., :3] = (part[..., :3] * (1 - share) + light * share + 0.5).astype(np.uint8)

    def cut(self, x: float, y: float, width: float, height: float) -> None:
        """Make a rectangular hole."""
        corners = self._points([(x, y), (x + width, y), (x + width, y + height), (x, y + height)])
        cv2.fillPoly(self.image, [corners], (0, 0, 0, 0), cv2.LINE_8, SHIFT)
        self.opaque = False

    def mist(self, line: float, reach: float) -> None:
        """In fog, veil what stands near the height ``line`` and let the veil thin out ``reach`` pixels below."""
        if self.mood.weather != "fog":
            return
        y = (np.arange(self.image.shape[0]) - self.my - line) / reach
        share = (0.75 * np.clip(1 - y, 0, 1))[:, None, None]
        fog = np.asarray(self.mood.fog) * 255 * (self.image[..., 3:] / 255.0)
        self.image[..., :3] = (self.image[..., :3] * (1 - share) + fog * share + 0.5).astype(np.uint8)

    def layer(self, clips_weather: bool = False) -> Layer:
        """The finished layer, cut to what is painted."""
        rows = np.nonzero(self.image[..., 3].any(1))[0]
        columns = np.nonzero(self.image[..., 3].any(0))[0]
        if not len(rows):
            rows = columns = np.array([0])
        image = self.image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        left, top = columns[0] - self.mx, rows[0] - self.my
        full = (image[..., 3] == 255).all(1)
        solid = 0 if full.all() else int(np.nonzero(~full)[0][-1]) + 1
        return Layer(
            self.name,
            self.depth,
            np.ascontiguousarray(image),
            float(left),
            float(top),
            self.opaque,
            solid,
            clips_weather,
        )


def blend(image: Picture, drawn: Picture, column: int, row: int) -> None:
    """Put premultiplied ``drawn`` over ``image`` (3 or 4 channels) with its corner at (column, row)."""
    top, left = max(row, 0), max(column, 0)
    bottom, right = min(row + drawn.shape[0], image.shape[0]), min(column + drawn.shape[1], image.shape[1])
    if bottom <= top or right <= left:
        return
    part = drawn[top - row : bottom - row, left - column : right - column]
    under = image[top:bottom, left:right]
    keep = cv2.bitwise_not(cv2.extractChannel(part, 3))
    flat = image.shape[2] == 3
    kept = cv2.multiply(under, cv2.cvtColor(keep, cv2.COLOR_GRAY2RGB) if flat else cv2.merge([keep] * 4), scale=1 / 255)
    image[top:bottom, left:right] = cv2.add(kept, cv2.cvtColor(part, cv2.COLOR_RGBA2RGB) if flat else part)


@lru_cache(maxsize=512)
def scenery(name: str, mood: Mood, depth: float, lit: bool, snowed: float, dim: float, side: int) -> Picture:
    """A picture of scenery in this light, premultiplied, ``side`` pixels high; windows shine at night."""
    pixels = sprites.shrunk(sprites.premultiplied(sprites.picture(SCENERY[name])), side)
    out = mood.tint(pixels, depth, snowed=snowed)
    if dim != 1.0:
        out = cv2.transform(out, np.diag([dim, dim, dim, 1]).astype(np.float32))
    if lit and mood.light == "night" and name in LIT:
        r, g, b = (pixels[..., k].astype(np.int16) for k in range(3))
        out[..., :3][(b > 150) & (b - r > 70) & (g - r > 20)] = (255, 214, 120)  # their light blue
    return out
