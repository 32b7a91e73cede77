# SPDX-License-Identifier: GPL-3.0-or-later
"""A take: one shot laid out for a size, a length and a frame rate, and the pieces that its actors become."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .camera import CameraPath
from .mood import Mood
from .pieces import Matrices, Piece, Pyramid
from .scene import Shot
from .sprites import SIDE, Picture, premultiplied, sprite

Floats = NDArray[np.float64]
SpriteMaker = Callable[[str, str | None], Picture]
MIDDLE = (SIDE - 1) / 2


@dataclass
class Placement:
    """Where one instance of an actor is in every frame, in pixels of the actors' plane. ``foot`` is its lowest point's
    height when it stands, ``ground`` where its shadow falls, ``size`` its height; the others are as in motion.Moves."""

    actor: int
    number: int
    x: Floats
    foot: Floats
    size: Floats
    facing: Floats
    ground: float
    lift: Floats
    tilt: Floats
    stretch: Floats
    flap: Floats
    lie: Floats
    shadow: bool = True
    depth: float = 0.0  # order among the actors: the greater, the nearer

    @classmethod
    def standing(cls, frames: int, x: float, foot: float, size: float, actor: int = 0, number: int = 0) -> Placement:
        """An instance that stands still and looks left."""
        zero, one = np.zeros(frames), np.ones(frames)
        return cls(
            actor,
            number,
            zero + x,
            zero + foot,
            zero + size,
            -one,
            foot,
            zero,
            zero.copy(),
            one,
            one.copy(),
            zero.copy(),
        )

    def matrices(self, mirrors: bool) -> Matrices:
        """From pixels of the sprite to the actors' plane, (F, 2, 3); ``mirrors``: it looks left in its picture."""
        scale, fallen = self.size / SIDE, np.deg2rad(85 * self.lie)
        height = self.size * self.stretch
        cx = self.x + np.sin(fallen) * height / 2
        cy = self.foot - self.lift - np.cos(fallen) * height / 2 - np.abs(np.sin(fallen)) * 0.36 * height
        flip = np.where(self.facing > 0, -1.0, 1.0) if mirrors else np.ones_like(self.x)
        sx, sy = scale * flip * self.flap / np.sqrt(self.stretch), scale * self.stretch
        angle = np.deg2rad(self.tilt) + fallen
        c, s = np.cos(angle), np.sin(angle)
        out = np.empty((len(self.x), 2, 3))
        out[:, 0, 0], out[:, 0, 1], out[:, 1, 0], out[:, 1, 1] = c * sx, -s * sy, s * sx, c * sy
        out[:, 0, 2] = cx - out[:, 0, 0] * MIDDLE - out[:, 0, 1] * MIDDLE
        out[:, 1, 2] = cy - out[:, 1, 0] * MIDDLE - out[:, 1, 1] * MIDDLE
        return out


@dataclass
class Take:
    """All that is fixed before the actors are placed."""

    shot: Shot
    width: int
    height: int
    phase: Floats
    seconds: Floats
    camera: CameraPath
    mood: Mood
    seed: int
    floor: float  # pixels from above
    make: SpriteMaker = sprite
    lens: Matrices = field(init=False)  # of the actors' plane
    instances: list[tuple[int, int]] = field(default_factory=list)  # (actor, number) of all that were set

    def __post_init__(self) -> None:
        self.see(self.camera)

    def see(self, camera: CameraPath) -> None:
        """Film with another camera path."""
        self.camera = camera
        self.lens = camera.matrices(1.0)

    @property
    def frames(self) -> int:
        """The number of frames."""
        return len(self.phase)

    @property
    def unit(self) -> float:
        """The shorter side in pixels."""
        return float(min(self.width, self.height))

    def filmed(self, matrices: Matrices) -> Matrices:
        """From the actors' plane on into the frame."""
        out = np.einsum("fij,fjk->fik", self.lens[:, :, :2], matrices)
        out[:, :, 2] += self.lens[:, :, 2]
        return out

    def pyramid(self, noun: str, colour: str | None) -> Pyramid:
        """The pictures of a noun in this light."""
        if self.make is sprite:
            return _lit(noun, colour, self.mood)
        return Pyramid.of(self.mood.tint(premultiplied(self.make(noun, colour)), 1.0, actor=True))

    def lit(self, pixels: Picture) -> Pyramid:
        """A drawn picture of premultiplied alpha in this light."""
        return Pyramid.of(self.mood.tint(pixels, 1.0, actor=True))

    def piece(
        self,
        name: str,
        kind: str,
        pictures: tuple[Pyramid, ...],
        matrices: Matrices,
        state: NDArray[np.int64] | None = None,
    ) -> Piece:
        """A piece on the actors' plane; ``matrices`` lead to the plane."""
        shown = np.zeros(self.frames, np.int64) if state is None else state
        return Piece(name, kind, pictures, self.filmed(matrices), shown)

    def placed(self, picture: Picture, x: float, foot: float, height: float) -> Matrices:
        """Matrices of a picture that stands still on (x, foot), ``height`` pixels high."""
        rows, columns = picture.shape[:2]
        scale = height / rows
        one = np.array([[scale, 0, x - scale * (columns - 1) / 2], [0, scale, foot - scale * (rows - 0.5)]])
        return np.broadcast_to(one, (self.frames, 2, 3)).copy()

    def actor_pieces(
        self, place: Placement, pictures: tuple[Pyramid, ...] | None = None, state: NDArray[np.int64] | None = None
    ) -> list[Piece]:
        """The shadow and the figure of an instance, which is numbered with it."""
        actor = self.shot.actors[place.actor]
        shown = pictures or (self.pyramid(actor.noun, actor.colour),)
        figure = self.piece(actor.noun, "actor", shown, place.matrices(actor.seen_from_side), state)
        figure.instance = self.instance(place.actor, place.number)
        return [*([self.shadow(place)] if place.shadow else []), figure]

    def instance(self, actor: int, number: int) -> int:
        """The number of an instance among all of the shot."""
        if (actor, number) not in self.instances:
            self.instances.append((actor, number))
        return self.instances.index((actor, number))

    def shadow(self, place: Placement) -> Piece:
        """The soft shadow on the ground under an instance."""
        picture = _shadow()
        actor = self.shot.actors[place.actor]
        smallest = self.pyramid(actor.noun, actor.colour).levels[-1]
        share = float(np.mean((smallest[..., 3] > 127).any(0)))  # of its picture that it is wide
        wide = 0.95 * share * place.size / picture.levels[0].shape[1]
        out = np.zeros((self.frames, 2, 3))
        rows, columns = picture.levels[0].shape[:2]
        out[:, 0, 0] = out[:, 1, 1] = wide
        out[:, 0, 2] = place.x - wide * (columns - 1) / 2
        out[:, 1, 2] = place.ground - wide * (rows - 1) * 0.55
        return self.piece("shadow", "shadow", (picture,), out)


@lru_cache(maxsize=192)
def _lit(noun: str, colour: str | None, mood: Mood) -> Pyramid:
    return Pyramid.of(mood.tint(premultiplied(sprite(noun, colour)), 1.0, actor=True))


@lru_cache(maxsize=1)
def _shadow() -> Pyramid:
    y, x = np.mgrid[-1:1:32j, -1:1:128j]
    dark = np.clip(1.15 - np.hypot(x, y), 0, 1) ** 0.8 * 80
    pixels = np.zeros((32, 128, 4), np.uint8)
    pixels[..., 3] = np.clip(dark * (np.hypot(x, y) < 1), 0, 255)
    return Pyramid((pixels,))
