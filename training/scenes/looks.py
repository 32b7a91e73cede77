# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks: filters over finished frames. Each depends on the frame and the seed alone, so that what stands still in the
scene stands still in the look."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]
Filter = Callable[[Frames, int], Frames]


@lru_cache(maxsize=24)
def _grain(height: int, width: int, seed: int, softness: float) -> NDArray[np.float32]:
    """Noise of mean 0 and deviation 1 that does not change over time, (H, W)."""
    noise = np.random.default_rng([seed, 13]).standard_normal((height, width)).astype(np.float32)
    if softness:
        noise = cv2.GaussianBlur(noise, (0, 0), softness)
        noise /= noise.std()
    return noise


def _edges(frame: Frames, softness: float) -> NDArray[np.float32]:
    """How strong contours are, (H, W) in 0..1."""
    soft = cv2.GaussianBlur(frame, (0, 0), softness)
    strength = np.zeros(frame.shape[:2], np.float32)
    for k in range(3):
        channel = cv2.extractChannel(soft, k)
        dx, dy = cv2.Sobel(channel, cv2.CV_16S, 1, 0), cv2.Sobel(channel, cv2.CV_16S, 0, 1)
        strength = np.maximum(strength, cv2.magnitude(dx.astype(np.float32), dy.astype(np.float32)))
    return np.minimum(strength / 160, 1)


def watercolour(frame: Frames, seed: int) -> Frames:
    """Washes that run together, darker along their edges, on rough paper."""
    height, width = frame.shape[:2]
    unit = min(height, width)
    half = cv2.resize(frame, (-(-width // 2), -(-height // 2)), interpolation=cv2.INTER_AREA)
    half = cv2.bilateralFilter(cv2.medianBlur(half, 2 * max(1, unit // 200) + 1), 5, 36, 3)
    wash = cv2.resize(half, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    paper = 255 - (255 - wash) * 0.80
    rim = _edges(wash.astype(np.uint8), unit / 170)[..., None]
    drops = np.clip(frame.astype(np.float32) - wash - 40, 0, None)  # what is too small for a wash and bright: snow
    out = paper * (1 - 0.34 * rim) + drops
    blotch = _grain(height, width, seed, unit / 14)[..., None] * 7 + _grain(height, width, seed + 1, 0.9)[..., None] * 3
    return np.clip(out + blotch, 0, 255).astype(np.uint8)


def pencil(frame: Frames, seed: int) -> Frames:
    """Grey contours and hatching on white paper."""
    height, width = frame.shape[:2]
    unit = min(height, width)
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    blurred = cv2.GaussianBlur(grey, (0, 0), max(1.0, unit / 40))
    dodge = np.clip(grey.astype(np.float32) * 250 / (blurred.astype(np.float32) + 4), 0, 255)
    line = 1 - 0.75 * _edges(frame, unit / 220)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / unit
    hatch = 0.5 + 0.5 * np.sin((x + y) * 330)
    dark = np.clip((165 - blurred.astype(np.float32)) / 165, 0, 1)
    out = dodge * line * (1 - 0.62 * dark * hatch) + _grain(height, width, seed, 0.6) * 4
    tone = np.clip(out, 0, 255)[..., None] * np.array([1.0, 0.99, 0.97]) * 0.98
    return tone.astype(np.uint8)


def pixel_art(frame: Frames, seed: int) -> Frames:
    """Large pixels in few colours."""
    height, width = frame.shape[:2]
    cell = max(2, round(min(height, width) / 64))
    small = cv2.resize(frame, (-(-width // cell), -(-height // cell)), interpolation=cv2.INTER_AREA)
    levels = (small.astype(np.float32) / 255 * 5).round() / 5
    vivid = np.clip((levels - 0.5) * 1.08 + 0.5, 0, 1)
    big = (vivid * 255).astype(np.uint8).repeat(cell, 0).repeat(cell, 1)
    return np.ascontiguousarray(big[:height, :width])


def neon(frame: Frames, seed: int) -> Frames:
    """Glowing contours in the dark."""
    unit = min(frame.shape[:2])
    hsv = cv2.cvtColor(frame, cv2.COLOR_RGB2HSV)
    hsv[..., 1] = np.maximum(hsv[..., 1], 150)
    hsv[..., 2] = 255
    vivid = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB).astype(np.float32)
    line = np.clip(_edges(frame, unit / 200) * 2.2, 0, 1)[..., None]
    tube = line * vivid
    glow = cv2.GaussianBlur(tube, (0, 0), unit / 36) * 1.1
    return np.clip(frame * np.float32(0.20) + tube + glow, 0, 255).astype(np.uint8)


def film(frame: Frames, seed: int) -> Frames:
    """Black and white with contrast, grain and darker corners."""
    height, width = frame.shape[:2]
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    curve = grey * grey * (3 - 2 * grey) * 0.75 + grey * 0.25
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    corners = 1 - 0.38 * np.clip(np.hypot(x, y) - 0.45, 0, 1)
    out = curve * corners * 250 + _grain(height, width, seed, 0.5) * 8
    return np.ascontiguousarray(np.clip(out, 0, 255).astype(np.uint8)[..., None].repeat(3, -1))


def paper_cut(frame: Frames, seed: int) -> Frames:
    """Flat sheets of coloured paper that cast shadows on each other."""
    height, width = frame.shape[:2]
    unit = min(height, width)
    half = cv2.resize(frame, (-(-width // 2), -(-height // 2)), interpolation=cv2.INTER_AREA)
    half = cv2.medianBlur(half, 2 * max(1, unit // 160) + 1)
    smooth = cv2.resize(half, (width, height), interpolation=cv2.INTER_CUBIC)
    lab = cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB).astype(np.float32)
    steps = np.stack([(lab[..., 0] / 36).round() * 36, *((lab[..., k] / 18).round() * 18 for k in (1, 2))], -1)
    sheets = cv2.medianBlur(cv2.cvtColor(np.clip(steps, 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB), 5)
    grey = cv2.cvtColor(sheets, cv2.COLOR_RGB2GRAY)
    edge = np.minimum(cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8)).astype(np.float32) / 50, 1)
    offset = max(1, round(unit / 90))
    shadow = cv2.GaussianBlur(np.roll(edge, (offset, offset), (0, 1)), (0, 0), unit / 130) * (1 - edge)
    fibre = _grain(height, width, seed, 0.9)[..., None] * 2.5
    return np.clip(sheets * (0.94 - 0.5 * shadow[..., None]) + 14 + fibre, 0, 255).astype(np.uint8)


FILTERS: dict[str, Filter] = {
    "watercolour": watercolour,
    "pencil": pencil,
    "pixel art": pixel_art,
    "neon": neon,
    "black-and-white film": film,
    "paper cut": paper_cut,
}


def apply_look(clip: Frames, look: str, seed: int) -> Frames:
    """Give every frame of a clip (F, H, W, 3) a look."""
    if look == "natural":
        return clip
    paint = FILTERS[look]
    paper = seed % 16  # few papers, so that their noise is made once
    return np.stack([paint(frame, paper) for frame in clip])
