# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures how the camera and a thing move, from pixels alone: features are followed from frame to frame.

Lengths are in frame widths and heights (one and the same in a square frame), turns in degrees clockwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]
Floats = NDArray[np.float64]
SIDE = 256  # of the square pictures in which features are followed
BANDS = (0.42, 0.56, 0.70)  # rows between which layers of about the same depth lie
GROUND = (0.70, 0.88)  # rows in which the ground is seen at the depth of the things that stand on it
MIDDLE_DEPTH = 0.6  # of what lies above it
POOL = 4  # pairs of frames that are fitted together
FASTEST = 0.3  # frame heights a clip that a camera tilts; what is faster is snow
FEW = 6  # features
Points = tuple[Floats, Floats]  # places (N, 2) and displacements (N, 2)


@dataclass(frozen=True)
class Camera:
    """Where the camera is in every frame, arrays (F,): ``x``, ``y`` at the depth of the things, ``zoom`` the log of
    the factor; all 0 in the first frame."""

    x: Floats
    y: Floats
    zoom: Floats


@dataclass(frozen=True)
class Path:
    """A thing in every frame, arrays (F,): its middle ``x``, ``y``, the log of its size, how far it has turned, and
    its height over its width as a log."""

    x: Floats
    y: Floats
    size: Floats
    turn: Floats
    slender: Floats

    def seen_by(self, camera: Camera) -> Path:
        """The path with the camera's own movement taken out."""
        factor = np.exp(-camera.zoom)
        x, y = (self.x - 0.5) * factor + camera.x, (self.y - 0.5) * factor + camera.y
        return Path(x, y, self.size - camera.zoom, self.turn, self.slender)


def camera_of(clip: Frames, things: Floats) -> Camera:
    """Measure the camera from what is not covered by ``things`` (F, h, w) in 0..1."""
    pairs = _background(clip, things)
    limit = FASTEST / max(1, len(pairs))
    steady = [(p[abs(d[:, 1]) < limit], d[abs(d[:, 1]) < limit]) for p, d in pairs]
    out = np.zeros((len(clip), 3))
    for k in range(len(pairs)):
        first = max(0, min(k - POOL // 2, len(pairs) - POOL))
        near = steady[first : first + POOL]
        growth, x, y = _fit(np.concatenate([p for p, _ in near]), np.concatenate([d for _, d in near]))
        zoom = out[k, 2] + growth
        out[k + 1] = out[k, 0] - x / np.exp(zoom), out[k, 1] - y / np.exp(zoom), zoom
    return Camera(*out.T)


def _background(clip: Frames, things: Floats) -> list[Points]:
    """Displacements of features outside the things, for every pair of neighbouring frames."""
    grey = np.stack([cv2.resize(cv2.cvtColor(f, cv2.COLOR_RGB2GRAY), (SIDE, SIDE)) for f in clip])
    around = np.concatenate([grey[:1], grey, grey[-1:]])
    calm = np.minimum(np.minimum(around[:-2], around[1:-1]), around[2:])  # what falls from the sky is bright and fast
    calm = np.stack([cv2.GaussianBlur(f, (0, 0), 1.2) for f in calm])
    taken = [
        cv2.dilate((cv2.resize(t, (SIDE, SIDE)) > 0.05).astype(np.uint8), np.ones((11, 11), np.uint8)) for t in things
    ]
    top, bottom = (int(row * SIDE) for row in GROUND)
    out = []
    for k in range(len(clip) - 1):
        free = 255 * ((taken[k] == 0) & (taken[k + 1] == 0)).astype(np.uint8)
        ground, rest = free.copy(), free
        ground[:top] = ground[bottom:] = 0
        rest[top:] = 0
        found = [follow(calm[k], calm[k + 1], mask, 50) for mask in (ground, rest)]
        place = np.concatenate([p for p, _ in found]) / SIDE - 0.5
        out.append((place, np.concatenate([q - p for p, q in found]) / SIDE))
    return out


def follow(before: Frames, after: Frames, mask: Frames, most: int) -> Points:
    """Features of one grey picture found again in another, there and back: two arrays (N, 2) in pixels."""
    start = cv2.goodFeaturesToTrack(before, most, 0.02, 5, mask=mask, blockSize=5)
    if start is None:
        return np.zeros((0, 2)), np.zeros((0, 2))
    end, found, _ = cv2.calcOpticalFlowPyrLK(before, after, start, None, winSize=(21, 21), maxLevel=2)
    back, again, _ = cv2.calcOpticalFlowPyrLK(after, before, end, None, winSize=(21, 21), maxLevel=2)
    good = (found[:, 0] > 0) & (again[:, 0] > 0) & (abs(back - start).max((1, 2)) < 0.7)
    return start[good, 0].astype(np.float64), end[good, 0].astype(np.float64)


def _fit(place: Floats, moved: Floats) -> tuple[float, float, float]:
    """Growth (log) of the picture and shift of the ground that explain most displacements.

    All layers grow alike, but nearer ones shift farther: each band of rows has a shift of its own.
    """
    if len(place) < FEW:
        return 0.0, 0.0, 0.0
    band = np.digitize(place[:, 1] + 0.5, BANDS)
    system = np.zeros((len(place), 2, 9))
    system[:, :, 0] = place
    rows = np.arange(len(place))
    system[rows, 0, 1 + 2 * band] = system[rows, 1, 2 + 2 * band] = 1
    weight = np.ones(len(place))
    for _ in range(12):  # least squares whose outliers weigh less and less
        weighted = system * weight[:, None, None]
        normal = np.einsum("nij,nik->jk", weighted, system) + 1e-4 * np.eye(9)
        found = np.linalg.solve(normal, np.einsum("nij,ni->j", weighted, moved))
        error = np.linalg.norm(moved - system @ found, axis=1)
        weight = 1 / (1 + (error / max(0.001, 1.5 * float(np.median(error)))) ** 2)
    support = [int((weight[band == b] > 0.5).sum()) for b in range(4)]
    x, y = found[7:9]
    if support[3] < FEW <= support[2]:
        x, y = found[5:7] / MIDDLE_DEPTH
    return float(np.log1p(max(found[0], -0.5))), float(x), float(y)


def path_of(clip: Frames, thing: Floats) -> Path:
    """Follow one thing, seen where ``thing`` (F, h, w) is near 1. Where it is not seen, it stays as it was."""
    shape = np.stack([_shape(t) for t in thing])
    missing = np.isnan(shape[:, 0])
    if missing.all():
        flat = np.zeros(len(clip))
        return Path(flat + 0.5, flat + 0.5, flat, flat, flat)
    for column in shape.T:
        column[missing] = np.interp(np.flatnonzero(missing), np.flatnonzero(~missing), column[~missing])
    grey = [cv2.resize(cv2.cvtColor(f, cv2.COLOR_RGB2GRAY), (SIDE, SIDE)) for f in clip]
    turn = np.zeros(len(clip))
    for k, (before, after) in enumerate(pairwise(grey)):
        shift = (shape[k + 1, :2] - shape[k, :2]) * SIDE
        turn[k + 1] = turn[k] + _turned(before, after, thing[k], shift)
    return Path(shape[:, 0], shape[:, 1], shape[:, 2], turn, shape[:, 3])


def _shape(thing: Floats) -> Floats:
    """Middle, log of the size along its longest axis, and slenderness of a map (h, w); nan where there is nothing."""
    total = float(thing.sum())
    if total < 2:
        return np.full(4, np.nan)
    height, width = thing.shape
    y, x = (np.mgrid[0:height, 0:width] + 0.5) / [[[height]], [[width]]]
    share = thing / total
    mx, my = float((share * x).sum()), float((share * y).sum())
    xx, yy = float((share * (x - mx) ** 2).sum()), float((share * (y - my) ** 2).sum())
    xy = float((share * (x - mx) * (y - my)).sum())
    longest = np.linalg.eigvalsh([[xx, xy], [xy, yy]])[-1]
    return np.array([mx, my, 0.5 * np.log(longest + 1e-9), 0.5 * np.log((yy + 1e-9) / (xx + 1e-9))])


def _turned(before: Frames, after: Frames, thing: Floats, shift: Floats) -> float:
    """How far a thing has turned between two grey pictures, ``shift`` (2,) pixels apart."""
    inside = 255 * (cv2.resize(thing, (SIDE, SIDE)) > 0.5).astype(np.uint8)
    start = cv2.goodFeaturesToTrack(before, 60, 0.01, 4, mask=inside)
    if start is None or len(start) < 4:
        return 0.0
    guess = start + shift.astype(np.float32)
    end, found, _ = cv2.calcOpticalFlowPyrLK(
        before, after, start, guess, winSize=(15, 15), maxLevel=2, flags=cv2.OPTFLOW_USE_INITIAL_FLOW
    )
    good = found[:, 0] > 0
    if good.sum() < 4:
        return 0.0
    fit = cv2.estimateAffine2D if good.sum() >= 10 else cv2.estimateAffinePartial2D
    matrix, _ = fit(start[good], end[good], method=cv2.RANSAC, ransacReprojThreshold=2.0)
    if matrix is None:
        return 0.0
    u, _, v = np.linalg.svd(matrix[:, :2])
    rotation = u @ v  # what is left when stretching is taken out: a thing that flaps does not turn
    return float(np.rad2deg(np.arctan2(rotation[1, 0], rotation[0, 0])))
