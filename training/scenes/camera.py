# SPDX-License-Identifier: GPL-3.0-or-later
"""Camera moves: one path per shot, and from it the matrix that moves a layer according to its depth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PAN, TILT, ORBIT = 0.28, 0.20, 0.32  # reach over a shot, in frame widths and heights
ZOOM = 0.36  # in log units
WIDEST = float(np.log(0.88))  # a zoom begins or ends here


@dataclass(frozen=True)
class CameraPath:
    """Where the camera is in every frame (arrays of length F).

    ``x``, ``y`` are pixels on the actors' plane, ``zoom`` is a factor, ``roll`` degrees clockwise, ``orbit`` pixels by
    which it has gone sideways while it keeps looking at the actors.
    """

    x: Floats
    y: Floats
    zoom: Floats
    roll: Floats
    orbit: Floats
    width: int
    height: int

    def matrices(self, depth: float) -> NDArray[np.float64]:
        """From a layer's place when the camera is still to the frame, (F, 2, 3)."""
        angle = np.deg2rad(self.roll)
        c, s = self.zoom * np.cos(angle), self.zoom * np.sin(angle)
        shift_x = -depth * self.x + (1 - depth) * self.orbit - (self.width - 1) / 2
        shift_y = -depth * self.y - (self.height - 1) / 2
        out = np.empty((len(self.x), 2, 3))
        out[:, 0, 0], out[:, 0, 1], out[:, 1, 0], out[:, 1, 1] = c, -s, s, c
        out[:, 0, 2] = c * shift_x - s * shift_y + (self.width - 1) / 2
        out[:, 1, 2] = s * shift_x + c * shift_y + (self.height - 1) / 2
        return out


def segments(phase: Floats, count: int) -> list[Floats]:
    """How far each of ``count`` parts in sequence is done at every phase of the shot."""
    return [np.clip(phase * count - i, 0, 1) for i in range(count)]


def camera_path(
    moves: tuple[str, ...], phase: Floats, seconds: Floats, width: int, height: int, seed: int
) -> CameraPath:
    """Lay the camera's path; "follow" is added by :func:`following`, once it is known where the actors go.

    ``phase`` runs from 0 to 1 over the shot, ``seconds`` is the time since it began.
    """
    zero = np.zeros_like(phase)
    x, y, zoom, roll, orbit = zero.copy(), zero.copy(), zero.copy(), zero.copy(), zero.copy()
    part = 1.0 if len(moves) == 1 else 0.72
    for move, p in zip(moves, segments(phase, len(moves)), strict=True):
        match move:
            case "pan right" | "pan left":
                x += part * PAN * width * p * (1 if move == "pan right" else -1)
            case "tilt up" | "tilt down":
                y += part * TILT * height * p * (1 if move == "tilt down" else -1)
            case "zoom in" | "zoom out":
                zoom += part * ZOOM * p * (1 if move == "zoom in" else -1)
            case "orbit right" | "orbit left":
                orbit += part * ORBIT * width * p * (1 if move == "orbit right" else -1)
            case "handheld":
                _shake(x, y, roll, seconds, width, height, seed)
    # Every path is centred, so that no move is told by where it begins alone.
    if moves != ("handheld",):
        x -= (x.max() + x.min()) / 2
        y -= (y.max() + y.min()) / 2
    orbit -= (orbit.max() + orbit.min()) / 2
    if "zoom in" in moves or "zoom out" in moves:
        zoom += WIDEST - zoom.min()
        if len(phase) == 1:
            zoom += ZOOM / 2
    return CameraPath(x, y, np.exp(zoom), roll, orbit, width, height)


def _shake(x: Floats, y: Floats, roll: Floats, seconds: Floats, width: int, height: int, seed: int) -> None:
    """The small restless moves of a hand: slow sway and faster tremor."""
    rng = np.random.default_rng([seed, 11])
    unit = min(width, height)
    for target, reach in ((x, 0.020 * unit), (y, 0.016 * unit), (roll, 1.3)):
        for rate, share in ((0.7, 0.7), (1.6, 0.45), (2.9, 0.25)):
            target += reach * share * np.sin(2 * np.pi * rate * seconds + rng.uniform(0, 6.283))


def following(path: CameraPath, x: Floats, y: Floats) -> CameraPath:
    """The path of a camera that keeps what moves along (x, y) at one place of the frame."""
    across = x - (x.max() + x.min()) / 2
    along = y - (y.max() + y.min()) / 2
    return CameraPath(path.x + across, path.y + along, path.zoom, path.roll, path.orbit, path.width, path.height)
