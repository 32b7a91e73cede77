# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetches the pictures of the scene world: MIT-licensed emoji from one npm package, its checksum known.

Package: @lobehub/fluent-emoji-3d 1.1.0 (MIT; Microsoft's Fluent Emoji), 256 x 256 RGBA pictures. It is the first step
of ``./spacetime train``, called ``sprites``.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from .nouns import NOUNS
from .sprites import SCENERY, sprite_folder

PACKAGE = "@lobehub/fluent-emoji-3d@1.1.0"
SHA256 = "c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58"


def codes() -> tuple[str, ...]:
    """Return the code points of every picture that the world can show."""
    return tuple(dict.fromkeys([*(noun.code for noun in NOUNS.values()), *SCENERY.values()]))


def fetch_sprites(folder: Path | None = None) -> Path:
    """Fetch the sprite package with npm unless every picture is there, check it and unpack what the world uses.

    Raises RuntimeError when npm is missing, the package cannot be had or its checksum is another.
    """
    folder = folder or sprite_folder()
    if all((folder / f"{code}.webp").exists() for code in codes()):
        return folder
    if shutil.which("npm") is None:
        raise RuntimeError("scenes are rendered from an npm package: install npm (Debian: apt install npm)")
    with tempfile.TemporaryDirectory() as scratch:
        done = subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=scratch, capture_output=True, text=True)
        archives = list(Path(scratch).glob("*.tgz"))
        if done.returncode or not archives:
            raise RuntimeError(f"npm could not fetch {PACKAGE}: {done.stderr.strip() or done.stdout.strip()}")
        unpack(archives[0], folder)
    return folder


def unpack(archive: Path, folder: Path) -> None:
    """Check the package's archive and write the world's pictures into ``folder``; raises RuntimeError."""
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != SHA256:
        raise RuntimeError(f"{PACKAGE} has checksum {digest}, expected {SHA256}; it is not used")
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as opened:
        for code in codes():
            try:
                member = opened.extractfile(f"package/assets/{code}.webp")
            except KeyError:
                member = None
            if member is None:
                raise RuntimeError(f"{PACKAGE} lacks {code}.webp")
            (folder / f"{code}.webp").write_bytes(member.read())


def main() -> None:
    """Fetch the pictures and say where they are."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("spacetime.training").info("sprites in %s", fetch_sprites())


if __name__ == "__main__":
    main()
