# SPDX-License-Identifier: GPL-3.0-or-later
"""Places the actors of a shot: where each instance stands and how it moves, so that all of it stays in the frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .camera import following
from .motion import Ground, Moves, gait, moves
from .scene import TRAVELS, Actor
from .take import Placement, Take

Floats = NDArray[np.float64]
EDGE = 0.02  # of the frame that stays free at its sides
# For 1 to 5 of a noun: the size of each against one alone, and where they stand (across, up) in sizes of one.
SMALLER = (1.0, 0.78, 0.68, 0.62, 0.56)
FORMATIONS: tuple[tuple[tuple[float, float], ...], ...] = (
    ((0.0, 0.0),),
    ((-0.54, 0.0), (0.54, 0.0)),
    ((0.0, 0.62), (-0.56, 0.0), (0.56, 0.0)),
    ((-0.25, 0.66), (0.83, 0.66), (-0.83, 0.0), (0.25, 0.0)),
    ((-0.55, 0.66), (0.55, 0.66), (-1.06, 0.0), (0.0, 0.0), (1.06, 0.0)),
)


@dataclass
class Member:
    """One instance before it is placed: where it stands against the others (pixels, ``up`` above the ground)."""

    actor: int
    number: int
    across: float
    up: float
    size: float
    offset: float = 0.0  # seconds by which it is ahead of the others
    depth: float = 0.0
    hovers: bool = False
    shadow: bool = True


def members(take: Take) -> list[Member]:
    """Arrange all instances of the shot's actors around one point."""
    first = take.shot.actors[0]
    size = _size(take, first)
    airy = first.kind.gait in ("fly", "swim")
    out = [
        Member(0, i, across * size, up * size, size * (1 - 0.06 * (up > 0)), 0.11 * i, -up, airy, not airy)
        for i, (across, up) in enumerate(FORMATIONS[first.count - 1])
    ]
    for k, actor in enumerate(take.shot.actors[1:], 1):
        out.append(_related(take, actor, k, out[0]))
    return out


def _size(take: Take, actor: Actor) -> float:
    return actor.size * take.unit * actor.kind.size * SMALLER[actor.count - 1]


def _related(take: Take, actor: Actor, index: int, first: Member) -> Member:
    size = _size(take, actor)
    gap = 0.53 * (size + first.size)
    match actor.relation:
        case "left of":
            return Member(index, 0, -gap, first.up, size, 0.2, 0.1, first.hovers, first.shadow)
        case "above":
            return Member(index, 0, 0.0, first.up + first.size * 1.06, size, 0.2, 0.1, first.hovers, False)
        case "behind":
            side = 1 if actor.start[0] > 0 else -1
            return Member(
                index, 0, side * 0.34 * first.size, 0.30 * first.size, 0.9 * size, 0.2, -1.0, first.hovers, first.shadow
            )
    return Member(index, 0, gap, first.up, size, 0.2, 0.1, first.hovers, first.shadow)


def place(take: Take) -> list[Placement]:
    """Lay the paths of all instances so that they stay in the frame of the moving camera.

    A camera that follows is laid here, too: it goes where the first actor goes.
    """
    group = members(take)
    span = max(m.across + m.size / 2 for m in group) - min(m.across - m.size / 2 for m in group)
    room = max(0.12 * take.width, (1 - 2 * EDGE) * take.width - span)
    paths = [_path(take, m, room) for m in group]
    if "follow" in take.shot.camera:
        level = paths[0].y if set(take.shot.actors[0].motions) & {"up", "down"} else np.zeros(take.frames)
        take.see(following(take.camera, paths[0].x, level))
    anchor = _across(take, group, paths)
    base = _level(take, group, paths)
    out = []
    for member, path in zip(group, paths, strict=True):
        x = anchor + member.across + path.x
        out.append(
            Placement(
                member.actor, member.number, x, base - member.up + path.y, member.size * np.exp(path.growth),
                path.facing, _ground(take, member, base), path.lift, path.tilt, path.stretch, path.flap, path.lie,
                member.shadow, member.depth,
            )
        )  # fmt: skip
    return sorted(out, key=lambda p: p.depth)


def _path(take: Take, member: Member, room: float) -> Moves:
    actor = take.shot.actors[member.actor]
    standing = 0.92 * take.height if member.hovers else take.floor
    rise = max(0.12 * take.height, standing - member.up - 1.02 * member.size - 0.03 * take.height)
    ground = Ground(take.width, take.height, member.size, room, rise)
    seconds = take.seconds + member.offset
    path = moves(actor.motions, actor.facing, take.phase, seconds, ground)
    path.growth -= (path.growth.max() + path.growth.min()) / 2
    gait(path, actor.kind.gait, actor.noun, take.seconds, ground, member.offset)
    return path


def _across(take: Take, group: list[Member], paths: list[Moves]) -> float:
    """The x around which the group moves: in the range that keeps all of it in the frame, where the scene says."""
    low, high = -1e9, 1e9
    camera = take.camera
    reach = (0.5 - EDGE) * take.width / camera.zoom
    for member, path in zip(group, paths, strict=True):
        half = 0.46 * member.size * np.exp(path.growth)
        at = take.width / 2 + camera.x - member.across - path.x
        low, high = max(low, float((at - reach + half).max())), min(high, float((at + reach - half).min()))
    if low > high:
        return (low + high) / 2
    return (low + high) / 2 + 0.9 * take.shot.actors[0].start[0] * (high - low) / 2


def _level(take: Take, group: list[Member], paths: list[Moves]) -> float:
    """The height at which the group's lowest row stands when it does not move, pixels from above."""
    lead, path = group[0], paths[0]
    jitter = take.shot.actors[0].start[1]
    # What crosses the frame upwards or downwards does it inside the part that a zooming camera shows.
    if lead.hovers:
        tall = max(m.up + m.size for m in group)
        return 0.5 * take.height + tall / 2 + 0.05 * jitter * take.height - float(path.y.max() + path.y.min()) / 2
    return take.floor + 0.018 * jitter * take.height - max(0.0, float(max(p.y.max() for p in paths)))


def _ground(take: Take, member: Member, base: float) -> float:
    """Where a shadow falls: below an instance that rises or sinks it stays on the floor."""
    motions = take.shot.actors[member.actor].motions
    return (take.floor if set(motions) & {"up", "down"} else base) - member.up * (member.actor == 0)


def follows(actor: Actor) -> bool:
    """Whether a camera can follow this actor: it goes somewhere."""
    return bool(set(actor.motions) & set(TRAVELS))
