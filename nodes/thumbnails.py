# SPDX-License-Identifier: GPL-3.0-or-later
"""Small pictures for the front end, in the host's temp folder, which is emptied at its next start."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

import folder_paths
from PIL import Image

from ..video.frames import Frame

HEIGHT = 96  # pixels


def save_thumbnails(frames: Sequence[Frame], name: str) -> list[dict[str, str]]:
    """Save a small picture of each frame and return, for each, what the host's ``/view`` takes."""
    folder = Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    run = secrets.token_hex(6)  # so that a browser shows no older picture of the same name
    saved = []
    for number, frame in enumerate(frames, 1):
        height, width = frame.shape[:2]
        small = Image.fromarray(frame).resize(
            (max(1, round(width * HEIGHT / height)), HEIGHT), Image.Resampling.LANCZOS
        )
        path = folder / f"{name}_{run}_{number}.webp"
        small.save(path, quality=80)
        saved.append({"filename": path.name, "subfolder": "", "type": "temp"})
    return saved
