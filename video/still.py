# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames for models that look at them: small enough, and as picture files in memory."""

from __future__ import annotations

import io

from PIL import Image

from .frames import Frame, legal_size

LONGEST = 768  # pixels of the longer side


def jpeg(frame: Frame, longest: int = LONGEST) -> bytes:
    """A frame (H, W, 3) uint8 as a JPEG file of at most ``longest`` pixels on its longer side."""
    picture = Image.fromarray(frame)
    picture.thumbnail((longest, longest))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=90)
    return file.getvalue()


def bounded(width: int, height: int, pixels: int, multiple: int) -> tuple[int, int]:
    """The size nearest to that of a picture, in multiples of ``multiple``, scaled down to about ``pixels`` in all."""
    scale = min(1.0, (pixels / (width * height)) ** 0.5)
    return legal_size(round(width * scale), round(height * scale), multiple)
