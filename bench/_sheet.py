# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture of texts and the clips that belong to them, to look at what a measurement counts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE, LABEL, SHOWN = 160, 26, 4  # pixels of a frame and of a text; frames of a clip


def write_sheet(path: Path, texts: Sequence[str], clips: Sequence[NDArray[np.uint8]], columns: int = 2) -> None:
    """Write four frames of each clip (F, H, W, 3) uint8 under its text."""
    rows = -(-len(clips) // columns)
    sheet = np.full((rows * (SIDE + LABEL), columns * (SIDE * SHOWN + 12), 3), 255, np.uint8)
    for i, (text, clip) in enumerate(zip(texts, clips, strict=True)):
        y, x = i // columns * (SIDE + LABEL), i % columns * (SIDE * SHOWN + 12)
        cv2.putText(sheet, text[:84], (x + 4, y + 17), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (20, 20, 20), 1, cv2.LINE_AA)
        for k, frame in enumerate(np.linspace(0, len(clip) - 1, SHOWN).round().astype(int)):
            sheet[y + LABEL : y + LABEL + SIDE, x + k * SIDE : x + (k + 1) * SIDE] = cv2.resize(
                clip[frame], (SIDE, SIDE), interpolation=cv2.INTER_AREA
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(path)
