# SPDX-License-Identifier: GPL-3.0-or-later
"""A contact sheet: the frames of a video as one PNG grid with their times, to judge a clip at a glance."""

from __future__ import annotations

import math
import os
import secrets
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .errors import VideoError
from .frames import Frame, fit_frame
from .reader import Source, probe, read_frames

GAP = 4
LABEL_HEIGHT = 14
PAPER, INK = (24, 24, 24), (220, 220, 220)


def write_contact_sheet(
    video_path: Source,
    png_path: str | os.PathLike[str],
    *,
    columns: int | None = None,
    max_frames: int = 16,
    tile_width: int = 256,
) -> Path:
    """Write a grid of up to ``max_frames`` frames, evenly spread from the first to the last, and return its path.

    ``columns`` None gives a grid about twice as wide as high; tiles are at most ``tile_width`` pixels wide.
    Only the tiles are held in memory. Raises VideoError as ``read_frames`` does.
    """
    if max_frames < 1 or (columns is not None and columns < 1):
        raise VideoError("A contact sheet needs at least one frame and one column.")
    target = Path(png_path)
    if not target.parent.is_dir():
        raise VideoError(f"{target.name} cannot be written: there is no folder {target.parent}.")
    info = probe(video_path)
    total = info.frame_count or max(1, round((info.duration or 0) * info.fps))
    scale = min(1.0, tile_width / info.width)
    size = (max(1, round(info.width * scale)), max(1, round(info.height * scale)))
    wanted = {int(i) for i in np.linspace(0, total - 1, min(max_frames, total)).round()}
    tiles = [
        (float(index / info.fps), fit_frame(frame, *size, "stretch"))
        for index, frame in enumerate(read_frames(video_path))
        if index in wanted
    ]
    sheet = _draw(tiles, size, columns or _columns(len(tiles), size))
    temporary = target.with_name(f".{target.stem}-{secrets.token_hex(4)}.part")
    try:
        sheet.save(temporary, format="PNG")
        os.replace(temporary, target)
    except OSError as error:
        raise VideoError(f"{target.name} cannot be written: {error.strerror or error}.") from error
    finally:
        temporary.unlink(missing_ok=True)
    return target


def _columns(count: int, size: tuple[int, int]) -> int:
    return max(1, min(count, math.ceil(math.sqrt(2 * count * size[1] / size[0]))))


def _draw(tiles: list[tuple[float, Frame]], size: tuple[int, int], columns: int) -> Image.Image:
    columns = min(columns, len(tiles))
    rows = math.ceil(len(tiles) / columns)
    step_x, step_y = size[0] + GAP, size[1] + LABEL_HEIGHT + GAP
    sheet = Image.new("RGB", (columns * step_x + GAP, rows * step_y + GAP), PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default()
    for place, (seconds, frame) in enumerate(tiles):
        left, top = GAP + place % columns * step_x, GAP + place // columns * step_y
        sheet.paste(Image.fromarray(frame), (left, top))
        pen.text((left + 2, top + size[1] + 1), f"{seconds:.2f} s", fill=INK, font=font)
    return sheet
