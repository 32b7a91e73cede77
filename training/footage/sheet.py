# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture of what was kept and what was dropped: three frames of every clip and the reason."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from .report import ClipLine, FileLine

MOST = 120  # clips on the sheet
TILE = 96  # pixels, height of a frame
COLUMNS, GAP, LABEL = 3, 6, 26
PAPER, INK, GOOD, BAD = (24, 24, 24), (200, 200, 200), (150, 220, 150), (240, 140, 120)


class Sheet:
    """Collects small pictures of the clips that pass, kept and dropped ones alike."""

    def __init__(self) -> None:
        self.strips: list[tuple[str, ClipLine, NDArray[np.uint8]]] = []

    def add(self, line: FileLine, note: ClipLine, frames: NDArray[np.uint8]) -> None:
        """Take a clip (F, H, W, 3) uint8 into the sheet while there is room."""
        if len(self.strips) < MOST:
            size = (max(1, round(frames.shape[2] * TILE / frames.shape[1])), TILE)
            chosen = [frames[i] for i in (0, len(frames) // 2, len(frames) - 1)]
            strip = np.hstack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in chosen])
            self.strips.append((line.file, note, strip))

    def save(self, path: Path) -> None:
        """Write the sheet as PNG; nothing when no clip was seen."""
        if not self.strips:
            return
        width = max(strip.shape[1] for *_, strip in self.strips) + GAP
        rows = -(-len(self.strips) // COLUMNS)
        picture = Image.new("RGB", (COLUMNS * width + GAP, rows * (TILE + LABEL + GAP) + GAP), PAPER)
        pen, font = ImageDraw.Draw(picture), ImageFont.load_default()
        for place, (name, note, strip) in enumerate(self.strips):
            x, y = GAP + place % COLUMNS * width, GAP + place // COLUMNS * (TILE + LABEL + GAP)
            picture.paste(Image.fromarray(strip), (x, y))
            verdict = "kept" if note.kept else note.detail or note.dropped
            pen.text((x, y + TILE), f"{name} frame {note.start}", fill=INK, font=font)
            pen.text((x, y + TILE + 12), verdict[:60], fill=GOOD if note.kept else BAD, font=font)
        picture.save(path)
