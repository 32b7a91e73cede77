# SPDX-License-Identifier: GPL-3.0-or-later
"""What the motions are: displacements over time, added up when two follow each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .camera import segments

Floats = NDArray[np.float64]

TRAVEL, CLIMB, GROWTH = 0.42, 0.30, 0.56  # reach of a single motion: frame widths, frame heights, log units


@dataclass
class Moves:
    """Displacements in every frame, arrays of length F: ``x``, ``y`` in pixels from where the path begins, ``y`` down;
    ``lift`` in pixels above the path (jumps, which cast their shadow on the ground); ``growth`` the log of the size;
    ``tilt`` in degrees clockwise; ``stretch`` in height; ``flap`` in width; ``lie`` how far it has fallen over, in
    -1..1; ``facing`` -1 for left, 1 for right."""

    x: Floats
    y: Floats
    lift: Floats
    growth: Floats
    tilt: Floats
    stretch: Floats
    flap: Floats
    lie: Floats
    facing: Floats
    going: Floats  # 1 where it travels: legs move then

    @classmethod
    def none(cls, n: int) -> Moves:
        """No displacement in ``n`` frames."""
        a, b, c, d, e, f, g, h = np.zeros((8, n))
        return cls(a, b, c, d, e, np.ones(n), np.ones(n), f, g, h)


@dataclass(frozen=True)
class Ground:
    """What displacements are measured by: frame size and the size of what moves, in pixels, and the room it has."""

    width: int
    height: int
    size: float
    room: float  # pixels that a path may reach sideways
    rise: float  # pixels that it may reach upwards

    @property
    def unit(self) -> float:
        """The shorter side of the frame."""
        return float(min(self.width, self.height))


def moves(motions: tuple[str, ...], facing: str, phase: Floats, seconds: Floats, ground: Ground) -> Moves:
    """Add up the motions in sequence; ``phase`` runs from 0 to 1 over the shot."""
    n = len(phase)
    out = Moves.none(n)
    look = 1.0 if facing == "right" else -1.0
    names = motions or ("still",)
    length = float(seconds[-1] - seconds[0]) if n > 1 else 1.0
    for k, (name, p) in enumerate(zip(names, segments(phase, len(names)), strict=True)):
        current = (phase * len(names) >= k) & ((phase * len(names) < k + 1) | (k == len(names) - 1))
        look = _turned(name, look)
        out.facing[current] = look
        _add(out, name, p, current, seconds, look, ground, 1.0 if len(names) == 1 else 0.7, length / len(names))
    return out


def _turned(name: str, look: float) -> float:
    """Where it looks while it makes a motion: ahead."""
    return 1.0 if name in ("right", "roll right") else -1.0 if name in ("left", "roll left") else look


def _add(
    out: Moves,
    name: str,
    p: Floats,
    now: NDArray[np.bool_],
    seconds: Floats,
    look: float,
    ground: Ground,
    part: float,
    length: float,
) -> None:
    unit, wave = ground.unit, 2 * np.pi * seconds
    match name:
        case "right" | "left" | "roll right" | "roll left":
            reach = min(part * TRAVEL * ground.width, part * ground.room) * p * look
            out.x += reach
            out.going[now] = 1
            if name.startswith("roll"):
                out.tilt += np.rad2deg(reach / (0.5 * ground.size))
                out.going[now] = 0
        case "up" | "down":
            out.y += part * min(CLIMB * ground.height, ground.rise) * p * (1 if name == "down" else -1)
        case "closer" | "away":
            out.growth += part * GROWTH * p * (1 if name == "closer" else -1)
        case "jump":
            out.lift += now * 0.17 * unit * np.abs(np.sin(wave / 2))
        case "spin":
            out.tilt += 120 * length * p
        case "sway":
            out.tilt += now * 15 * np.sin(0.6 * wave)
        case "circle":
            turns = max(1, round(length * 0.5))
            radius = min(0.15 * unit, 0.5 * ground.room)
            out.x += radius * np.sin(2 * np.pi * turns * p)
            out.y += -radius * (1 - np.cos(2 * np.pi * turns * p))
        case "back and forth":
            at = p * max(1, round(length / 2.5)) % 1.0
            at = np.where((p == 1), 1.0, at)
            out.x += look * min(0.30 * ground.width, ground.room) * (1 - np.abs(2 * at - 1))
            out.facing[now & (at > 0.5)] *= -1
            out.going[now] = 1
        case "fall over":
            out.lie += look * np.clip((p - 0.2) / 0.3, 0, 1) ** 2
        case "stretch":
            out.stretch *= 1 + now * 0.24 * np.sin(0.8 * wave)
        case "shake":
            out.x += now * 0.020 * unit * np.sin(3.1 * wave)
            out.tilt += now * 5 * np.sin(3.1 * wave + 1)
        case "flip":
            hop = p * max(1, round(length / 2)) % 1.0
            q = np.clip((hop - 0.12) / 0.76, 0, 1)
            out.lift += 0.26 * unit * 4 * q * (1 - q)
            out.tilt += look * 360 * q


def gait(out: Moves, kind: str, noun: str, seconds: Floats, ground: Ground, offset: float) -> None:
    """Add how it gets about: steps of those that walk, the hovering of those that fly and swim."""
    wave = 2 * np.pi * (seconds + offset)
    if kind == "walk":
        out.lift += out.going * 0.022 * ground.unit * np.abs(np.sin(1.25 * wave))
        out.tilt += out.going * 3.5 * np.sin(1.25 * wave)
    elif kind in ("fly", "swim"):
        out.y += 0.010 * ground.unit * np.sin(0.5 * wave)
    if noun == "butterfly":
        out.flap *= 0.70 + 0.30 * np.cos(1.6 * wave)
