# SPDX-License-Identifier: GPL-3.0-or-later
"""What a frame is composed of: pictures with one affine matrix per frame, drawn from back to front."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from .canvas import blend
from .sprites import Picture, shrunk

Matrices = NDArray[np.float64]  # (F, 2, 3)
Frame = NDArray[np.uint8]


@dataclass(frozen=True)
class Pyramid:
    """A premultiplied picture and its reductions to a half, a quarter and an eighth."""

    levels: tuple[Picture, ...]

    @classmethod
    def of(cls, pixels: Picture) -> Pyramid:
        """Build the reductions of a square picture."""
        return cls(tuple(shrunk(pixels, pixels.shape[0] >> k) for k in range(4)))

    @cached_property
    def area(self) -> float:
        """How many pixels of the full picture it covers by more than a half."""
        return float((self.levels[0][..., 3] > 127).sum())

    @cached_property
    def outline(self) -> NDArray[np.float64]:
        """The corners of its convex hull, (N, 2) pixels of the full picture."""
        points = cv2.findNonZero((self.levels[0][..., 3] > 127).astype(np.uint8))
        return np.zeros((1, 2)) if points is None else np.asarray(cv2.convexHull(points)[:, 0], np.float64)

    def fitting(self, scale: float) -> tuple[Picture, float]:
        """The level from which a picture drawn at ``scale`` is sampled, and how many times smaller it is."""
        k = min(len(self.levels) - 1, max(0, int(np.floor(-np.log2(max(scale, 1e-6)) + 0.3))))
        return self.levels[k], float(1 << k)


@dataclass
class Piece:
    """One thing that is drawn. ``state`` says which of the pictures is shown in each frame, -1 for none.

    ``matrices`` lead from pixels of the (unreduced) picture to pixels of the frame. ``instance`` numbers the actor
    instance that it is (a part of), -1 for none. ``paint`` replaces pictures for what is not one: falling weather.
    """

    name: str
    kind: str  # "layer", "prop", "actor", "shadow", "effect" or "weather"
    pictures: tuple[Pyramid, ...]
    matrices: Matrices
    state: NDArray[np.int64]
    instance: int = -1
    opaque: bool = False
    solid: int | None = None  # the row of the picture from which on it hides all that is behind it
    paint: Callable[[Frame, int], None] | None = None

    @property
    def still(self) -> bool:
        """Whether it looks the same in every frame."""
        same = (self.matrices == self.matrices[0]).all() and (self.state == self.state[0]).all()
        return self.paint is None and bool(same)

    def draw(self, frame: Frame, owner: NDArray[np.uint8], number: int, k: int) -> None:
        """Draw it into frame ``k`` and write ``number`` into ``owner`` where it covers more than a half."""
        if self.paint is not None:
            self.paint(frame, k)
            return
        if self.state[k] < 0:
            return
        matrix = self.matrices[k]
        scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
        picture, ratio = self.pictures[int(self.state[k])].fitting(scale)
        if ratio > 1:  # the middle of a reduced pixel lies between the middles of those that it stands for
            reduced = np.array([[ratio, 0, (ratio - 1) / 2], [0, ratio, (ratio - 1) / 2], [0, 0, 1]])
            matrix = matrix @ reduced
        left, top, right, bottom = _box(matrix, picture.shape, frame.shape)
        if right <= left or bottom <= top:
            return
        here = matrix.copy()
        here[:, 2] -= (left, top)
        border = cv2.BORDER_REPLICATE if self.opaque else cv2.BORDER_CONSTANT
        drawn = cv2.warpAffine(picture, here, (right - left, bottom - top), flags=cv2.INTER_LINEAR, borderMode=border)
        if self.opaque:
            frame[top:bottom, left:right] = drawn[..., :3]
            owner[top:bottom, left:right] = number
            return
        if self.solid is not None and matrix[1, 0] == 0 and left == 0 and right == frame.shape[1]:
            split = int(np.ceil(matrix[1, 1] * (self.solid + 1) + matrix[1, 2]))  # solid from this row of the frame on
            split = min(max(split, top), bottom)
            frame[split:bottom] = cv2.cvtColor(drawn[split - top :], cv2.COLOR_RGBA2RGB) if split < bottom else 0
            owner[split:bottom] = number
            drawn = drawn[: split - top]
        if drawn.size:
            blend(frame, drawn, left, top)
            if self.kind not in ("shadow", "effect"):
                seen = owner[top : top + drawn.shape[0], left:right]
                np.copyto(seen, np.uint8(number), where=drawn[..., 3] > 127)


def _box(matrix: NDArray[np.float64], shape: tuple[int, ...], frame: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Which part of the frame a picture can touch: left, top, right, bottom in whole pixels."""
    h, w = shape[:2]
    corners = matrix @ np.array([[-1, w, -1, w], [-1, -1, h, h], [1, 1, 1, 1]], float)
    (x0, y0), (x1, y1) = corners.min(1), corners.max(1)
    left, top = max(0, int(np.floor(x0))), max(0, int(np.floor(y0)))
    return left, top, min(frame[1], int(np.ceil(x1)) + 1), min(frame[0], int(np.ceil(y1)) + 1)


def compose(pieces: list[Piece], frames: int, width: int, height: int) -> tuple[Frame, NDArray[np.uint8]]:
    """Draw all frames: pictures (F, H, W, 3) and which piece is seen where (F, H, W), 1 for the first piece.

    What stands still behind everything that moves is drawn once.
    """
    clip = np.zeros((frames, height, width, 3), np.uint8)
    owner = np.zeros((frames, height, width), np.uint8)
    count = next((i for i, piece in enumerate(pieces) if not piece.still), len(pieces))
    base, base_owner = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.uint8)
    for i, piece in enumerate(pieces[:count]):
        piece.draw(base, base_owner, i + 1, 0)
    clip[:], owner[:] = base, base_owner
    for k in range(frames):
        for i, piece in enumerate(pieces[count:], count):
            piece.draw(clip[k], owner[k], i + 1, k)
    return clip, owner
