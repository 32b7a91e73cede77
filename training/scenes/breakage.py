# SPDX-License-Identifier: GPL-3.0-or-later
"""A fragile thing slips off a stool, falls and breaks into shards that lie where they fell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import props
from .pieces import Matrices, Piece, Pyramid
from .scene import Event
from .sprites import SIDE
from .take import Placement, Take

Floats = NDArray[np.float64]
TALL = 0.40  # of the stool, in units


def shatters(take: Take, event: Event, size: float) -> tuple[list[Piece], Floats]:
    """Return the stool, the thing and its shards, and how far it has fallen: 1 when it is broken."""
    actor = take.shot.actors[0]
    way = 1.0 if actor.facing == "right" else -1.0
    middle = 0.5 * take.width - way * 0.14 * take.unit
    middle += 0.8 * actor.start[0] * max(0.0, 0.5 * take.width - 0.5 * take.unit)
    wide = 0.52 * TALL * take.unit
    length = max(event.end - event.start, 1e-6)
    fall = np.clip((take.phase - event.start) / length, 0, 1)
    broken = take.phase >= event.end
    placed = Placement.standing(take.frames, middle, take.floor - TALL * take.unit, size)
    placed.x = middle + way * (0.5 * wide + 0.36 * size) * np.clip(fall * 1.8, 0, 1)
    placed.foot = placed.foot + TALL * take.unit * np.clip((fall - 0.25) / 0.75, 0, 1) ** 2
    placed.tilt = way * 62 * np.clip((fall - 0.15) / 0.85, 0, 1)
    placed.shadow = False
    pixels = take.pyramid(actor.noun, actor.colour).levels[0]
    whole = take.actor_pieces(placed, None, np.where(broken, -1, 0).astype(np.int64))
    stool = props.stand()
    stands = take.piece("stool", "prop", (take.lit(stool),), take.placed(stool, middle, take.floor, TALL * take.unit))
    pieces = [stands, *whole]
    for number, (shard, matrices) in enumerate(_flights(take, placed, pixels, event.end, size, way)):
        piece = take.piece(f"shard {number + 1}", "actor", (Pyramid.of(shard),), matrices)
        piece.state = np.where(broken, 0, -1).astype(np.int64)
        piece.instance = take.instance(0, 0)
        pieces.append(piece)
    return pieces, fall


def _flights(
    take: Take, placed: Placement, pixels: NDArray[np.uint8], end: float, size: float, way: float
) -> list[tuple[NDArray[np.uint8], Matrices]]:
    """Every shard's picture and its matrices on the actors' plane: it bursts away from the impact and comes to rest."""
    rng = np.random.default_rng([take.seed, 6])
    pieces, middles = props.shards(pixels, take.seed)
    age = np.clip((take.phase - end) / 0.16, 0, 1)  # a sixth of the shot until all lie still
    impact_x = placed.x[-1]
    out = []
    spots = rng.permutation(np.linspace(-1, 1, len(pieces)))
    for shard, (mx, my), spot in zip(pieces, middles, spots, strict=True):
        scale = size / SIDE
        from_x = impact_x + (mx - SIDE / 2) * scale * 0.6
        from_y = take.floor - 0.30 * size + (my - SIDE / 2) * scale * 0.4
        to_x = impact_x + spot * 0.62 * size + way * 0.05 * size
        to_y = take.floor - rng.uniform(0.0, 0.10) * size
        x = from_x + (to_x - from_x) * age
        y = from_y + (to_y - from_y) * age - rng.uniform(0.25, 0.6) * size * 4 * age * (1 - age)
        angle = np.deg2rad(way * 62 + rng.uniform(-150, 150) * age)
        c, s = scale * np.cos(angle), scale * np.sin(angle)
        m = np.empty((take.frames, 2, 3))
        m[:, 0, 0], m[:, 0, 1], m[:, 1, 0], m[:, 1, 1] = c, -s, s, c
        m[:, 0, 2], m[:, 1, 2] = x - c * mx + s * my, y - s * mx - c * my
        out.append((shard, m))
    return out
