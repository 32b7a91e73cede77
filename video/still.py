# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames as picture files in memory, for models that look at pictures."""

from __future__ import annotations

import io

from PIL import Image

from .frames import Frame

LONGEST = 768  # pixels of the longer side


def jpeg(frame: Frame, longest: int = LONGEST) -> bytes:
    """A frame (H, W, 3) uint8 as a JPEG file of at most ``longest`` pixels on its longer side."""
    picture = Image.fromarray(frame)
    picture.thumbnail((longest, longest))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=90)
    return file.getvalue()


def smaller(width: int, height: int, longest: int = LONGEST) -> tuple[int, int]:
    """Width and height of a picture that is scaled down to at most ``longest`` pixels on its longer side."""
    scale = min(1.0, longest / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))
