# SPDX-License-Identifier: GPL-3.0-or-later
"""The sprites of the first scene world: MIT-licensed emoji pictures from one npm package, which scenes/fetch.py gets.

Package: @lobehub/fluent-emoji-3d 1.1.0 (MIT; Microsoft's Fluent Emoji), 256 x 256 RGBA pictures.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PACKAGE = "@lobehub/fluent-emoji-3d@1.1.0"
SHA256 = "c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58"
ROOT = Path(__file__).resolve().parent.parent

# Name in the world -> code point of the picture. All of them look left or straight ahead.
SPRITES: dict[str, str] = {
    "red panda": "1f9a8",
    "dog": "1f415",
    "horse": "1f40e",
    "cow": "1f404",
    "elephant": "1f418",
    "giraffe": "1f992",
    "rabbit": "1f407",
    "turtle": "1f422",
    "duck": "1f986",
    "penguin": "1f427",
    "dinosaur": "1f996",
    "butterfly": "1f98b",
    "car": "1f697",
    "bus": "1f68c",
    "helicopter": "1f681",
    "balloon": "1f388",
}


def sprite_folder() -> Path:
    """Where the pictures lie: ``$SPACETIME_SPRITES``, else ``runs/sprites`` in the tree."""
    return Path(os.environ.get("SPACETIME_SPRITES") or ROOT / "runs" / "sprites")


def load_sprite(name: str) -> NDArray[np.uint8]:
    """Return the sprite ``name`` as (256, 256, 4) uint8 RGBA, straight alpha."""
    path = sprite_folder() / f"{SPRITES[name]}.webp"
    if not path.exists():
        raise FileNotFoundError(f"sprite {path} is missing; `./spacetime train sprites` fetches it")
    pixels = np.asarray(Image.open(path).convert("RGBA").resize((256, 256)))
    return red_panda(pixels) if name == "red panda" else pixels


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
