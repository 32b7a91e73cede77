# SPDX-License-Identifier: GPL-3.0-or-later
"""Names a measured motion: the one whose own equations, those by which the world moves things, fit it best."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from ..scenes import camera as world_camera
from ..scenes import motion as world_motion
from .tracking import Camera, Path

Floats = NDArray[np.float64]
# How far what is measured may lie beside a motion's own course: x, y, log of the size, degrees, slenderness.
TOLERANCE = np.array([0.03, 0.025, 0.06, 6.0, 0.12])
WORST = 25.0  # squared error from which on a frame counts no more
USUAL = 0.45  # height of a thing
AMPLITUDE = (0.45, 1.5)  # of a motion against the world's own
EXPLAINED = 0.6  # of what moves that a motion may leave unexplained
# A motion that repeats itself may be anywhere in its course when the clip begins (seconds).
BEGINS = {"jump": (0.0, 0.25, 0.5, 0.75), "sway": (0.0, 0.4, 0.8, 1.2), "stretch": (0.0, 0.3, 0.6, 0.9)}
STILL = ("still",)
CALM = 8.0  # squared error a frame up to which what no motion explains is standing still
STRETCHING = ("stretch", "fall over")  # change how slender a thing is
BOTH_WAYS = ("fall over", "back and forth", "flip")  # to where it looks
# Of a cut: cells a side, frames before and after, how far it stands out; grey levels that are seen, and in which share
# of the cells.
CELLS, AROUND, SUDDEN, SEEN, MOST = 12, 5, 1.4, 4, 0.5
CAMERA_TOLERANCE = np.array([0.03, 0.03, 0.04])


@lru_cache(maxsize=4096)
def course(motions: tuple[str, ...], frames: int, fps: float, begin: float = 0.0, facing: str = "left") -> Floats:
    """What is measured of a motion, or of two in sequence, in the world's own clips: (5, F), each of mean 0."""
    phase, seconds = np.linspace(0, 1, frames), np.arange(frames) / fps + begin
    m = world_motion.moves(motions, facing, phase, seconds, world_motion.Ground(1, 1, USUAL, 0.5, 0.3))
    fallen = np.deg2rad(85 * m.lie)
    tall = USUAL * np.exp(m.growth) * m.stretch
    x = m.x + np.sin(fallen) * tall / 2
    y = m.y - m.lift - np.cos(fallen) * tall / 2
    out = np.stack([x, y, m.growth, m.tilt + 85 * m.lie, 1.5 * np.log(m.stretch)])
    return out - out.mean(1, keepdims=True)


def courses(motions: tuple[str, ...], frames: int, fps: float) -> list[Floats]:
    """All courses that a motion may take."""
    begins = sorted({b for m in motions for b in BEGINS.get(m, (0.0,))})
    ways = ("left", "right") if set(motions) & set(BOTH_WAYS) else ("left",)
    return [course(motions, frames, fps, b, way) for b in begins for way in ways]


def misfit(path: Path, motions: tuple[str, ...], fps: float) -> float:
    """How badly a motion explains a path from which the camera's movement is taken out."""
    measured = np.stack([path.x, path.y, path.size, path.turn, path.slender])
    measured = (measured - measured.mean(1, keepdims=True)) / TOLERANCE[:, None]
    if abs(measured[3]).max() > 2:  # what turns is now tall, now wide
        measured[4] = 0
    return min(_error(measured, own / TOLERANCE[:, None]) for own in courses(motions, len(path.x), fps))


def _error(measured: Floats, own: Floats) -> float:
    """What is left of a measured course when another, more or less of it, is taken out."""
    strength = float((own * own).sum())
    factor = np.clip((measured * own).sum() / strength, *AMPLITUDE) if strength > 0 else 0.0
    return float(np.minimum((measured - factor * own) ** 2, WORST).sum())


def _best(options: Sequence[tuple[str, ...]], error: Callable[[tuple[str, ...]], float]) -> tuple[str, ...]:
    """The option of the least error; none where it explains hardly more than standing still does."""
    found = min(options, key=error)
    nothing = error(STILL)
    return found if found == STILL or error(found) < EXPLAINED * nothing else ()


def name_motion(paths: Sequence[Path], options: Sequence[tuple[str, ...]], fps: float) -> tuple[str, ...]:
    """The one of several motions, or sequences of two, that fits best; none where none fits.

    ``paths`` are of the same thing, measured in several ways; the one is believed that some motion fits best.
    """
    stretches = any(set(motions) & set(STRETCHING) for motions in options)
    told = [p if stretches else replace(p, slender=0 * p.slender) for p in paths]
    errors = [{motions: misfit(path, motions, fps) for motions in {*options, STILL}} for path in told]
    best = min(errors, key=lambda found: min(found[o] for o in options))
    if STILL in options and best[STILL] < CALM * len(paths[0].x) and _best(options, best.__getitem__) == ():
        return STILL
    return _best(options, best.__getitem__)


def name_camera(camera: Camera, options: Sequence[tuple[str, ...]], fps: float) -> tuple[str, ...]:
    """The one of several camera moves, or sequences of two, that fits best: pans, tilts, zooms, or a still one."""
    measured = np.stack([camera.x, camera.y, camera.zoom])
    measured = (measured - measured.mean(1, keepdims=True)) / CAMERA_TOLERANCE[:, None]
    return _best(options, lambda moves: _error(measured, camera_course(moves, len(camera.x), fps)))


@lru_cache(maxsize=512)
def camera_course(moves: tuple[str, ...], frames: int, fps: float) -> Floats:
    """What is measured of a camera's moves in the world's own clips: (3, F) in tolerances, each of mean 0."""
    phase = np.linspace(0, 1, frames)
    path = world_camera.camera_path(moves, phase, np.arange(frames) / fps, 1, 1, 0)
    out = np.stack([path.x, path.y, np.log(path.zoom)])
    return np.asarray((out - out.mean(1, keepdims=True)) / CAMERA_TOLERANCE[:, None])


def jumps(clip: NDArray[np.uint8]) -> Floats:
    """The mean difference between neighbouring frames, in grey levels: (F - 1,)."""
    return np.array([float(np.abs(b.astype(np.int16) - a).mean()) for a, b in pairwise(clip)])


def cuts(clip: NDArray[np.uint8]) -> list[int]:
    """The frames with which a new shot begins: most of the picture changes, and more than at any time near.

    Cells of a twelfth of the frame are compared, so that neither falling snow nor a fast thing is a cut. Shots are
    longer than AROUND frames.
    """
    small = np.stack([cv2.resize(f, (CELLS, CELLS), interpolation=cv2.INTER_AREA) for f in clip]).astype(np.int16)
    changes = np.abs(np.diff(small, axis=0))
    steps, share = changes.mean((1, 2, 3)), (changes.max(3) > SEEN).mean((1, 2))
    near = [np.r_[steps[max(0, k - AROUND) : k], steps[k + 1 : k + 1 + AROUND]] for k in range(len(steps))]
    return [k + 1 for k, others in enumerate(near) if share[k] > MOST and steps[k] > SUDDEN * max([0, *others])]
