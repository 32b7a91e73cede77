# SPDX-License-Identifier: GPL-3.0-or-later
"""Workflow and prompt in pictures that move: what libav cannot write into WebP and PNG, put in afterwards.

WebP carries them as EXIF ("prompt:..." and "workflow:..." in the tags that ComfyUI reads), PNG as text chunks.
"""

from __future__ import annotations

import os
import shutil
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from .errors import VideoError

EXIF_MODEL, EXIF_MAKE = 0x0110, 0x010F  # ComfyUI's own saver counts downwards from the second
HAS_EXIF, HAS_ALPHA = 0x08, 0x10


def write_tags(path: Path, kind: str, tags: Mapping[str, str]) -> None:
    """Put ``tags`` into the file at ``path``; ``kind`` is "webp" or "png", others do nothing."""
    if tags and kind == "webp":
        _into_webp(path, tags)
    elif tags and kind == "png":
        beside = path.with_name(path.name + "+")
        try:
            with path.open("rb") as source, beside.open("wb") as target:
                target.write(source.read(_behind_mark(source)))
                target.write(png_chunks(tags))
                shutil.copyfileobj(source, target, 1 << 20)
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)


def _behind_mark(file: BinaryIO) -> int:
    """Return where the chunk ends that announces further pictures: readers look for it among the first bytes."""
    place = 8
    file.seek(place)
    while len(head := file.read(8)) == 8 and head[4:] != b"IDAT":
        place += int.from_bytes(head[:4], "big") + 12
        if head[4:] == b"acTL":
            file.seek(0)
            return place
        file.seek(place)
    raise VideoError("The PNG encoder has written something else.")


def png_chunks(tags: Mapping[str, str]) -> bytes:
    """Return the text chunks of ``tags``."""
    chunks = b""
    for key, text in tags.items():
        name = key.encode("latin-1", "replace")[:79]
        try:
            kind, body = b"tEXt", name + b"\0" + text.encode("latin-1")
        except UnicodeEncodeError:
            kind, body = b"iTXt", name + b"\0\0\0\0\0" + text.encode()
        chunks += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return chunks


def _into_webp(path: Path, tags: Mapping[str, str]) -> None:
    exif = Image.Exif()
    number = EXIF_MAKE
    for key, text in tags.items():
        if key == "prompt":
            exif[EXIF_MODEL] = f"prompt:{text}"
        else:
            exif[number] = f"{key}:{text}"
            number -= 1
    body = exif.tobytes().removeprefix(b"Exif\0\0")
    with path.open("r+b") as file:
        head = file.read(30)
        if head[:4] != b"RIFF" or head[8:12] != b"WEBP":
            raise VideoError("The WebP encoder has written something else.")
        if head[12:16] != b"VP8X":
            _make_extended(file, path)
            file.seek(0)
            head = file.read(30)
        file.seek(20)
        file.write(bytes([head[20] | HAS_EXIF]))
        file.seek(0, os.SEEK_END)
        if file.tell() % 2:
            file.write(b"\0")
        file.write(b"EXIF" + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2))
        size = file.tell() - 8
        file.seek(4)
        file.write(struct.pack("<I", size))


def _make_extended(file: BinaryIO, path: Path) -> None:
    """Give a plain still picture the chunk that announces further ones."""
    with Image.open(path) as picture:
        width, height = picture.size
        alpha = HAS_ALPHA if picture.mode == "RGBA" else 0
    file.seek(12)
    rest = file.read()
    sizes = b"".join((side - 1).to_bytes(3, "little") for side in (width, height))
    file.seek(12)
    file.write(b"VP8X" + struct.pack("<I", 10) + bytes([alpha, 0, 0, 0]) + sizes + rest)
