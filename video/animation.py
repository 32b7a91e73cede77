# SPDX-License-Identifier: GPL-3.0-or-later
"""Animated WebP, which libav writes but does not read: frame by frame through Pillow."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from .container import BLACK, Colour, Source, over, rewound
from .errors import VideoError, name_of
from .frames import Frame

ANIMATED = 0x02  # a flag of the file's first chunk, VP8X


def is_animation(source: Source) -> bool:
    """Whether a file (a path or a file object) is an animated WebP."""
    try:
        with _binary(source) as file:
            head = file.read(21)
    except OSError:
        return False
    return head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and bool(head[20] & ANIMATED)


def animation_frames(source: Source, background: Colour = BLACK) -> Iterator[tuple[Fraction, Frame]]:
    """Yield (seconds, frame uint8 (height, width, 3)). Raises VideoError for a damaged file."""
    begin = 0
    for length, picture in _pictures(source):
        yield Fraction(begin, 1000), over(np.asarray(picture.convert("RGBA")), background)
        begin += length


def picture_times(source: Source) -> list[int]:
    """Return when each picture goes, in milliseconds from the begin."""
    ends, end = [], 0
    for length, _ in _pictures(source):
        end += length
        ends.append(end)
    return ends


def _pictures(source: Source) -> Iterator[tuple[int, Image.Image]]:
    try:
        with _binary(source) as file, Image.open(file) as picture:
            for index in range(getattr(picture, "n_frames", 1)):
                picture.seek(index)
                picture.load()
                yield max(1, int(picture.info.get("duration") or 0)), picture
    except (OSError, EOFError, SyntaxError, ValueError) as error:
        raise VideoError(f"{name_of(source)} is damaged: {error}.") from None


@contextmanager
def _binary(source: Source) -> Iterator[BinaryIO]:
    if isinstance(source, (str, os.PathLike)):
        with Path(source).open("rb") as file:
            yield file
    else:
        yield rewound(source)
