# SPDX-License-Identifier: GPL-3.0-or-later
"""Clips that were there before, recognised by a perceptual hash; the index is a file that several folders can share.

A clip's signature is five 64-bit hashes: of three frames, and of what changes from one to the next. The pictures tell
scenes apart, the changes tell two moments of one still-standing camera apart.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Signature = NDArray[np.uint8]  # (40,): five hashes of eight bytes

PLACES = (1 / 6, 1 / 2, 5 / 6)  # of the frames in the clip
SIDE = 32
NEAR = 0.14  # mean share of differing bits below which two clips are one
_BITS = np.array([bin(i).count("1") for i in range(256)], np.uint16)


def signature(clip: NDArray[np.uint8]) -> Signature:
    """Return the signature of a clip (F, H, W, 3) uint8."""
    frames = [_small(clip[round((len(clip) - 1) * place)]) for place in PLACES]
    changes = [after - before for before, after in pairwise(frames)]
    return np.concatenate([picture_hash(picture) for picture in (*frames, *changes)])


def picture_hash(picture: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Hash a grey picture (32, 32): the signs of its 64 lowest frequencies against their median, as 8 bytes."""
    low = cv2.dct(picture)[:9, :9].ravel()[1:65]
    return np.packbits(low > np.median(low))


def distance(a: Signature, b: Signature) -> float:
    """Share of differing bits of two signatures, 0..1; about 0.5 for clips that have nothing in common."""
    return float(_BITS[a ^ b].sum()) / (8 * len(a))


def _small(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    grey = cv2.cvtColor(cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    return cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 1.0)


@dataclass(frozen=True)
class Known:
    """A clip of the index: the whole path of its file and its first frame."""

    file: str
    start: int


class Index:
    """The signatures of all kept clips, in a JSON lines file to which every kept clip adds a line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known: list[Known] = []
        self.table = np.zeros((256, 8 * (len(PLACES) * 2 - 1)), np.uint8)
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                self._read(line)

    def _read(self, line: str) -> None:
        try:
            entry = json.loads(line)
            self._remember(np.frombuffer(bytes.fromhex(entry["hash"]), np.uint8), Known(entry["file"], entry["start"]))
        except (json.JSONDecodeError, KeyError, ValueError, TypeError):
            return  # a line that an interruption tore: its clip is hashed again

    def _remember(self, mark: Signature, clip: Known) -> None:
        if mark.shape != self.table.shape[1:]:
            raise ValueError("a signature of another version")
        if len(self.known) == len(self.table):
            self.table = np.concatenate([self.table, np.zeros_like(self.table)])
        self.table[len(self.known)] = mark
        self.known.append(clip)

    def find(self, mark: Signature, clip: Known) -> tuple[Known, float] | None:
        """Return the nearest known clip and its distance if it is a duplicate; the clip itself is none of its own."""
        if not self.known:
            return None
        far = _BITS[self.table[: len(self.known)] ^ mark].sum(1) / (8 * len(mark))
        for i in np.argsort(far, kind="stable"):
            if far[i] >= NEAR:
                return None
            if self.known[i] != clip:
                return self.known[i], float(far[i])
        return None

    def add(self, mark: Signature, clip: Known) -> None:
        """Remember a kept clip, here and in the file."""
        if clip in self.known:
            return
        self._remember(mark, clip)
        line = json.dumps({"hash": mark.tobytes().hex(), "file": clip.file, "start": clip.start}, ensure_ascii=False)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
