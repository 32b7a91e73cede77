# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known exactly about a rendered clip: boxes, visibility, paths, camera, events and motion per pixel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .camera import CameraPath
from .pieces import Matrices, Piece, Pyramid
from .scene import Event, Scene

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PieceTruth:
    """A drawn thing: its matrices into the frame, which of its pictures is shown in each, and the pictures of actors
    and props."""

    name: str
    kind: str
    instance: int
    matrices: Matrices
    state: NDArray[np.int64]
    pictures: tuple[Pyramid, ...]

    @classmethod
    def of(cls, piece: Piece) -> PieceTruth:
        """What is known about a piece."""
        pictures = piece.pictures if piece.kind in ("actor", "prop") else ()
        return cls(piece.name, piece.kind, piece.instance, piece.matrices, piece.state, pictures)

    def points(self, k: int) -> Floats:
        """The outline in frame ``k``, (N, 2) pixels."""
        outline = self.pictures[int(self.state[k])].outline
        return np.asarray(outline @ self.matrices[k, :, :2].T + self.matrices[k, :, 2])


@dataclass(frozen=True)
class EventTruth:
    """An event: from frame ``start`` on it happens, from frame ``end`` on it has happened and stays so.

    ``progress`` (F,) is 0 before, 1 after; for what passes behind or leaves, the part of it that is hidden or away.
    """

    event: Event
    start: int
    end: int
    progress: Floats


@dataclass(frozen=True)
class ShotTruth:
    """What is known about one shot; its frames are ``first`` to ``first + frames - 1`` of the clip.

    ``owner`` (F, H, W) says which piece is seen, 1 for ``pieces[0]``, 0 for none. ``instances`` gives (actor, number)
    of each instance that pieces refer to. ``camera`` holds the camera's path, ``layers`` the matrices of each layer.
    """

    first: int
    owner: NDArray[np.uint8]
    pieces: tuple[PieceTruth, ...]
    instances: tuple[tuple[int, int], ...]
    camera: CameraPath
    event: EventTruth | None

    @property
    def frames(self) -> int:
        """The number of frames."""
        return len(self.owner)

    @property
    def layers(self) -> dict[str, Matrices]:
        """The camera's matrix for every layer and frame, by the layer's name."""
        return {p.name: p.matrices for p in self.pieces if p.kind == "layer"}

    def _of(self, instance: int) -> list[int]:
        return [i for i, p in enumerate(self.pieces) if p.instance == instance and p.kind == "actor"]

    @cached_property
    def cover(self) -> NDArray[np.uint8]:
        """Where any actor is seen, 255, else 0: (F, H, W)."""
        table = np.zeros(256, np.uint8)
        for i, piece in enumerate(self.pieces):
            table[i + 1] = 255 * (piece.kind == "actor")
        return table[self.owner]

    def mask(self, instance: int) -> NDArray[np.bool_]:
        """Where an instance is seen, (F, H, W)."""
        return np.isin(self.owner, [i + 1 for i in self._of(instance)])

    @cached_property
    def boxes(self) -> Floats:
        """Every instance's box in every frame whether hidden or not, (instances, F, 4): left, top, right, bottom."""
        out = np.full((len(self.instances), self.frames, 4), np.nan)
        for n in range(len(self.instances)):
            parts = [self.pieces[i] for i in self._of(n)]
            for k in range(self.frames):
                shown = [p.points(k) for p in parts if p.state[k] >= 0]
                if shown:
                    points = np.concatenate(shown)
                    out[n, k] = (*points.min(0), *points.max(0))
        return out

    @cached_property
    def paths(self) -> Floats:
        """Every instance's middle in every frame, (instances, F, 2) pixels."""
        return (self.boxes[..., :2] + self.boxes[..., 2:]) / 2

    @cached_property
    def visible(self) -> Floats:
        """The part of every instance's area that is seen, (instances, F) in 0..1; outside the frame is not seen."""
        seen = np.stack([np.bincount(o.ravel(), minlength=len(self.pieces) + 1) for o in self.owner])[:, 1:]
        out = np.zeros((len(self.instances), self.frames))
        for n in range(len(self.instances)):
            for k in range(self.frames):
                whole = sum(self._area(i, k) for i in self._of(n))
                out[n, k] = min(1.0, sum(seen[k, i] for i in self._of(n)) / whole) if whole else 0.0
        return out

    def _area(self, i: int, k: int) -> float:
        piece = self.pieces[i]
        if piece.state[k] < 0:
            return 0.0
        return piece.pictures[int(piece.state[k])].area * abs(float(np.linalg.det(piece.matrices[k, :, :2])))


@dataclass(frozen=True)
class Truth:
    """Everything that is known about a clip."""

    scene: Scene
    width: int
    height: int
    fps: float
    shots: tuple[ShotTruth, ...]

    @property
    def cuts(self) -> tuple[int, ...]:
        """The frames with which the second and third shot begin."""
        return tuple(s.first for s in self.shots[1:])

    @property
    def cover(self) -> NDArray[np.uint8]:
        """Where any actor is seen, 255, else 0: (F, H, W)."""
        return np.concatenate([s.cover for s in self.shots])

    def at(self, frame: int) -> tuple[ShotTruth, int]:
        """The shot of a frame of the clip, and the frame's number in it."""
        for shot in reversed(self.shots):
            if frame >= shot.first:
                return shot, frame - shot.first
        raise IndexError(f"the clip has no frame {frame}")

    def flow(self, now: int, before: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """How many pixels right and down of itself each pixel of frame ``now`` was in frame ``before``.

        Returns (2, H, W) pixels and (H, W) whether the pixel was seen then: the same thing, in the frame, not hidden.
        Across a cut nothing was.
        """
        shot, k = self.at(now)
        other, j = self.at(before)
        flow = np.zeros((2, self.height, self.width), np.float32)
        if shot is not other:
            return flow, np.zeros((self.height, self.width), bool)
        owner = shot.owner[k]
        x = np.arange(self.width, dtype=np.float32)
        y = np.arange(self.height, dtype=np.float32)[:, None]
        for number in np.flatnonzero(np.bincount(owner.ravel())):
            if number == 0 or shot.pieces[number - 1].state[j] < 0:
                continue
            matrices = shot.pieces[number - 1].matrices
            m = matrices[j] @ np.linalg.inv(np.vstack([matrices[k], [0, 0, 1]]))
            inside = owner == number
            flow[0][inside] = ((m[0, 0] - 1) * x + m[0, 1] * y + m[0, 2])[inside]
            flow[1][inside] = (m[1, 0] * x + (m[1, 1] - 1) * y + m[1, 2])[inside]
        return flow, self._seen(owner, shot.owner[j], flow)

    def _seen(
        self, owner: NDArray[np.uint8], before: NDArray[np.uint8], flow: NDArray[np.float32]
    ) -> NDArray[np.bool_]:
        row, column = np.mgrid[0 : self.height, 0 : self.width]
        x, y = np.rint(column + flow[0]).astype(int), np.rint(row + flow[1]).astype(int)
        inside = (x >= 0) & (x < self.width) & (y >= 0) & (y < self.height)
        there = before[np.clip(y, 0, self.height - 1), np.clip(x, 0, self.width - 1)]
        return np.asarray(inside & (there == owner))
