# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures of the scene world: fetched sprites, their colour variants, and states that events need."""

from __future__ import annotations

import os
import zlib
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..common import ROOT
from .nouns import NOUNS

SIDE = 256  # pixels of a sprite's picture
RAGGED = 24.0  # pixels by which a blob's outline is off
Picture = NDArray[np.uint8]  # (H, W, 4) RGBA

# What places are furnished with; none of it is a noun, so that a place never shows what nobody speaks of.
SCENERY: dict[str, str] = {
    "tree": "1f333",
    "pine": "1f332",
    "palm": "1f334",
    "cactus": "1f335",
    "house": "1f3e0",
    "cottage": "1f3e1",
    "castle": "1f3f0",
    "peak": "1f3d4-fe0f",
    "office": "1f3e2",
    "post": "1f3e3",
    "store": "1f3ec",
    "hotel": "1f3e8",
    "school": "1f3eb",
    "wheel": "1f3a1",
    "coaster": "1f3a2",
    "slide": "1f6dd",
    "fountain": "26f2",
    "sofa": "1f6cb-fe0f",
    "painting": "1f5bc-fe0f",
    "log": "1fab5",
    "boulder": "1faa8",
    "wheat": "1f33e",
    "sprig": "1f33f",
    "hibiscus": "1f33a",
    "daisy": "1f33c",
    "parasol": "26f1-fe0f",
    "hut": "1f6d6",
    "cloud": "2601-fe0f",
    "clock": "1f570-fe0f",
    "boat": "26f5",
    "teapot": "1fad6",
    "television": "1f4fa",
    "church": "26ea",
}
HUES = {"red": 0.0, "orange": 25.0, "yellow": 48.0, "green": 125.0, "blue": 215.0, "purple": 275.0, "pink": 325.0}
# Colours without a hue of their own: what saturation and brightness become (factor, offset).
DULL = {
    "black": (0.10, 0.30, 0.02),
    "white": (0.06, 0.30, 0.72),
    "grey": (0.06, 0.62, 0.16),
    "brown": (0.62, 0.55, 0.05),
}


def sprite_folder() -> Path:
    """Where the pictures lie: ``$SPACETIME_SPRITES``, else ``runs/sprites`` in the tree."""
    return Path(os.environ.get("SPACETIME_SPRITES") or ROOT / "runs" / "sprites")


@lru_cache(maxsize=256)
def picture(code: str) -> Picture:
    """The picture of a code point, (256, 256, 4) RGBA of straight alpha. Do not write into it."""
    path = sprite_folder() / f"{code}.webp"
    if not path.exists():
        raise FileNotFoundError(f"sprite {path} is missing; `./spacetime train sprites` fetches it")
    return np.asarray(Image.open(path).convert("RGBA").resize((SIDE, SIDE)))


@lru_cache(maxsize=256)
def sprite(noun: str, colour: str | None = None) -> Picture:
    """The picture of a noun in a colour, upright and looking left if it is seen from its side."""
    kind = NOUNS[noun]
    pixels = picture(kind.code)
    if noun == "red panda":
        pixels = red_panda(pixels)
    if kind.turn:
        pixels = turned(pixels, kind.turn)
    return pixels if colour is None else recolour(pixels, colour)


def red_panda(skunk: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Recolour the skunk: rust coat, cream stripe, dark legs and a ringed tail, as a red panda has them."""
    rgb, alpha = skunk[..., :3].astype(np.float32) / 255, skunk[..., 3:]
    luminance = rgb.mean(-1, keepdims=True)
    y, x = np.mgrid[0:256, 0:256].astype(np.float32)[:, :, :, None] / 256
    light = np.clip((luminance - 0.45) / 0.25, 0, 1)
    coat = np.array([0.80, 0.36, 0.13], np.float32) * (0.75 + luminance * 1.1)
    dark = np.array([0.22, 0.11, 0.09], np.float32) * (0.8 + luminance)
    legs = np.clip((y - 0.76) / 0.06, 0, 1)
    rings = 0.55 * (np.sin((x * 0.9 - y * 0.35) * 62) > 0.1) * ((y < 0.36) & (x > 0.30))
    coat = coat * (1 - legs) + dark * legs
    coat = coat * (1 - rings) + np.array([0.55, 0.20, 0.08], np.float32) * rings
    cream = np.array([0.99, 0.91, 0.78], np.float32)
    out = coat * (1 - light) + cream * light
    return np.concatenate([(np.clip(out, 0, 1) * 255).astype(np.uint8), alpha], -1)


def turned(pixels: Picture, degrees: float) -> Picture:
    """The picture turned clockwise and fitted into its square again."""
    side = pixels.shape[0]
    flat = premultiplied(pixels)
    matrix = cv2.getRotationMatrix2D((side / 2 - 0.5, side / 2 - 0.5), -degrees, 1.0)
    flat = cv2.warpAffine(flat, matrix, (side, side), flags=cv2.INTER_LINEAR)
    y, x = np.nonzero(flat[..., 3] > 8)
    flat = flat[y.min() : y.max() + 1, x.min() : x.max() + 1]
    scale = (side - 2) / max(flat.shape[:2])
    small = cv2.resize(flat, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    out = np.zeros((side, side, 4), np.uint8)
    left = (side - small.shape[1]) // 2
    out[side - small.shape[0] :, left : left + small.shape[1]] = small
    return straight(out)


def recolour(pixels: Picture, colour: str) -> Picture:
    """Give the picture's main hue to ``colour``; greys, glass and small details keep theirs."""
    rgb, alpha = pixels[..., :3].astype(np.float32) / 255, pixels[..., 3] > 128
    hsv = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV)
    hue, saturation, value = hsv[..., 0], hsv[..., 1], hsv[..., 2]
    main = _main_hue(hue, saturation * value * alpha)
    away = np.abs((hue - main + 180) % 360 - 180)
    share = np.clip((70 - away) / 25, 0, 1) * np.clip((saturation - 0.12) / 0.12, 0, 1)
    share *= np.clip((value - 0.20) / 0.15, 0, 1)  # eyes and tyres stay dark
    turned_hue, sat, val = hue.copy(), saturation.copy(), value.copy()
    if colour in HUES:
        turned_hue = (HUES[colour] + 0.35 * ((hue - main + 180) % 360 - 180)) % 360
        sat = np.clip(saturation * (1.25 if saturation[alpha].mean() < 0.5 else 1.0), 0, 1)
        usual = float(value[alpha & (share > 0.5)].mean()) if (alpha & (share > 0.5)).any() else 1.0
        val = np.clip(value * max(1.0, 0.86 / usual) * (1.08 if colour == "yellow" else 1.0), 0, 1)
    else:
        factor, gain, lift = DULL[colour]
        if colour == "brown":
            turned_hue = np.full_like(hue, 24.0)
        sat, val = saturation * factor, np.clip(value * gain + lift, 0, 1)
        sat = np.maximum(sat, 0.55) if colour == "brown" else sat
    new = cv2.cvtColor(np.stack([turned_hue, sat, val], -1).astype(np.float32), cv2.COLOR_HSV2RGB)
    out = rgb + share[..., None] * (new - rgb)
    return np.concatenate([(np.clip(out, 0, 1) * 255 + 0.5).astype(np.uint8), pixels[..., 3:]], -1)


def _main_hue(hue: NDArray[np.float32], weight: NDArray[np.float32]) -> float:
    """The hue that covers most, by a smoothed circular histogram."""
    counts, _ = np.histogram(hue, bins=72, range=(0, 360), weights=weight)
    smooth = sum(np.roll(counts, k) for k in range(-3, 4))
    return float(np.argmax(smooth) * 5 + 2.5)


def level(size: float) -> int:
    """The side of the stored picture from which one of ``size`` pixels is sampled without aliasing."""
    return SIDE if size > 128 else 128 if size > 64 else 64 if size > 32 else 32


def shrunk(pixels: Picture, side: int) -> Picture:
    """The premultiplied picture reduced to ``side`` pixels."""
    return pixels if side == pixels.shape[0] else cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)


def premultiplied(pixels: Picture) -> Picture:
    """Straight to premultiplied alpha."""
    alpha = np.ascontiguousarray(pixels[..., 3])
    rgb = cv2.multiply(np.ascontiguousarray(pixels[..., :3]), cv2.merge([alpha] * 3), scale=1 / 255)
    return np.dstack([rgb, alpha])


def straight(pixels: Picture) -> Picture:
    """Premultiplied to straight alpha."""
    out = pixels.copy()
    alpha = np.maximum(pixels[..., 3:].astype(np.float32), 1)
    out[..., :3] = np.clip(pixels[..., :3] * (255 / alpha) + 0.5, 0, 255).astype(np.uint8)
    return out


def blob(noun: str, colour: str | None = None) -> Picture:
    """The sprite's colours in a ragged shape without details: what a model draws that knows only colours."""
    pixels = premultiplied(sprite(noun, colour))
    rng = np.random.default_rng(zlib.crc32(noun.encode()))
    height, width = pixels.shape[:2]
    down, across = (_ripples(rng, height, width) for _ in range(2))
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return straight(cv2.GaussianBlur(cv2.remap(pixels, x + across, y + down, cv2.INTER_LINEAR), (0, 0), 6))


def _ripples(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """Smooth noise with a standard deviation of RAGGED pixels, in bumps of about three times that size."""
    noise = cv2.GaussianBlur(rng.normal(0, 1, (height, width)).astype(np.float32), (0, 0), 0.75 * RAGGED)
    return np.asarray(noise * (RAGGED / noise.std()), np.float32)
