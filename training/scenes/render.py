# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders scenes: pictures and exact truth, natively for any width, height, length and frame rate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import places
from .camera import camera_path
from .cast import place
from .events import stage_event
from .looks import apply_look
from .pieces import Piece, Pyramid, compose
from .scene import INDOORS, Scene
from .sprites import sprite
from .take import SpriteMaker, Take
from .truth import EventTruth, PieceTruth, ShotTruth, Truth
from .weather import falling

Frames = NDArray[np.uint8]


def render(
    scene: Scene, width: int, height: int, frames: int, fps: float, make: SpriteMaker = sprite
) -> tuple[Frames, Truth]:
    """Render a scene: (frames, height, width, 3) uint8 and what is known about it.

    ``make`` draws another picture for (noun, colour) than the noun's own, as :func:`sprites.blob` does. A single
    frame shows the middle of the first shot. Raises ValueError for a size or a length that cannot be rendered.
    """
    if width < 16 or height < 16 or frames < 1 or fps <= 0:
        raise ValueError(f"cannot render {frames} frames of {width} x {height} at {fps} fps")
    clip = np.empty((frames, height, width, 3), np.uint8)
    truths = []
    for number, (first, count) in enumerate(split(scene, frames)):
        shot = scene.shots[number]
        phase = np.linspace(0, 1, count) if count > 1 else np.array([0.5])
        seconds = np.arange(count) / fps
        take = Take(
            shot,
            width,
            height,
            phase,
            seconds,
            camera_path(shot.camera, phase, seconds, width, height, scene.seed + number),
            places.mood(shot.place, shot.light, shot.weather),
            scene.seed * 4 + number,
            places.floor(shot.place) * height,
            make,
        )
        pictures, truth = _film(take, first)
        clip[first : first + count] = pictures
        truths.append(truth)
    return apply_look(clip, scene.look, scene.seed), Truth(scene, width, height, fps, tuple(truths))


def split(scene: Scene, frames: int) -> list[tuple[int, int]]:
    """Which frames each shot has: its first one and how many. Every shot has one at least, as far as they go."""
    shares = np.array([s.share for s in scene.shots])
    edges = np.rint(np.cumsum(shares) / shares.sum() * frames).astype(int)
    out, first = [], 0
    for edge in edges:
        if edge > first:
            out.append((first, int(edge) - first))
            first = int(edge)
    return out


def _film(take: Take, first: int) -> tuple[Frames, ShotTruth]:
    event: EventTruth | None = None
    if take.shot.event is None:
        actors = [piece for placed in place(take) for piece in take.actor_pieces(placed)]
    else:
        actors, event = stage_event(take)
    pieces = _around(take, actors)
    pictures, owner = compose(pieces, take.frames, take.width, take.height)
    known = tuple(PieceTruth.of(p) for p in pieces)
    return pictures, ShotTruth(first, owner, known, tuple(take.instances), take.camera, event)


def _around(take: Take, actors: list[Piece]) -> list[Piece]:
    """The place around the actors, from the farthest to the nearest, and what falls from the sky."""
    shot = take.shot
    weather = _weather(take)
    pieces: list[Piece] = []
    pending = actors
    for layer in places.layers(shot.place, shot.light, shot.weather, shot.variant, take.width, take.height):
        if layer.depth > 1 and pending:
            pieces += pending
            pending = []
        if layer.clips_weather:
            pieces += weather
        matrices = take.camera.matrices(layer.depth)
        matrices[:, :, 2] += matrices[:, :, :2] @ (layer.left, layer.top)
        image = layer.image[..., :3] if layer.opaque else layer.image
        picture = Pyramid((np.ascontiguousarray(image),))
        state = np.zeros(take.frames, np.int64)
        pieces.append(Piece(layer.name, "layer", (picture,), matrices, state, opaque=layer.opaque, solid=layer.solid))
    return pieces + pending + (weather if shot.place not in INDOORS else [])


def _weather(take: Take) -> list[Piece]:
    paint = falling(take.shot.weather, take.shot.light, take.seconds, take.width, take.height, take.seed)
    if paint is None:
        return []
    unmoved = np.broadcast_to(np.eye(2, 3), (take.frames, 2, 3)).copy()
    return [Piece(take.shot.weather, "weather", (), unmoved, np.zeros(take.frames, np.int64), paint=paint)]
