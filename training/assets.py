# SPDX-License-Identifier: GPL-3.0-or-later
"""The sprites of the scene world: MIT-licensed emoji pictures from one npm package, fetched when training asks.

Package: @lobehub/fluent-emoji-3d 1.1.0 (MIT; Microsoft's Fluent Emoji), 256 x 256 RGBA pictures.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import subprocess
import tarfile
import tempfile
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


def fetch_sprites(folder: Path | None = None) -> Path:
    """Fetch the sprite package with npm, check it and unpack the pictures that the world uses.

    Raises RuntimeError when npm is missing, the package cannot be had or its checksum is another.
    """
    folder = folder or sprite_folder()
    if all((folder / f"{code}.webp").exists() for code in SPRITES.values()):
        return folder
    if shutil.which("npm") is None:
        raise RuntimeError("training renders its scenes from an npm package: install npm (Debian: apt install npm)")
    with tempfile.TemporaryDirectory() as scratch:
        done = subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=scratch, capture_output=True, text=True)
        archives = list(Path(scratch).glob("*.tgz"))
        if done.returncode or not archives:
            raise RuntimeError(f"npm could not fetch {PACKAGE}: {done.stderr.strip() or done.stdout.strip()}")
        digest = hashlib.sha256(archives[0].read_bytes()).hexdigest()
        if digest != SHA256:
            raise RuntimeError(f"{PACKAGE} has checksum {digest}, expected {SHA256}; it is not used")
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archives[0]) as archive:
            for code in SPRITES.values():
                member = archive.extractfile(f"package/assets/{code}.webp")
                if member is None:
                    raise RuntimeError(f"{PACKAGE} lacks {code}.webp")
                (folder / f"{code}.webp").write_bytes(member.read())
    return folder


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


def main() -> None:
    """Fetch the sprites and say where they are."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("spacetime.training").info("sprites in %s", fetch_sprites())


if __name__ == "__main__":
    main()
