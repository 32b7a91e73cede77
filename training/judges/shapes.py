# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells a thing by its shape: the known picture of every noun is laid over a crop in many poses and compared.

What is compared are edges and their directions, summed over the colours and without regard to their sign, each as
strong as it stands out: no colour, no brightness and no contrast tells a noun, and a soft patch is like none of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..scenes import sprites
from ..scenes.nouns import NOUNS
from .nets import CROP

GRID = CROP // 2  # side of the maps that are compared
EDGE = 0.04  # change of brightness from pixel to pixel that is half an edge
REACH = 2  # cells by which a pose is moved about
UPRIGHT = (-14, -5, 5, 14)  # degrees
TURNED = tuple(range(0, 360, 15))
SIZES = (0.85, 1.0, 1.18)  # against what the crop's box says
WIDTHS = {"butterfly": (0.5, 0.75, 1.0)}  # of those that flap
FILLS = 0.8  # of a crop that a thing fills
FAINT = 0.15  # of a pose's edges that must be there to be compared
# Poses by which a thing is followed, finer where things mostly are.
FINE_TURNS = (*range(-20, 25, 5), *range(30, 340, 15))
FINE_SIZES = (0.72, 0.81, 0.9, 1.0, 1.12, 1.25)
FAR = 3  # cells
TURNING = 0.012  # likeness that a turn of one degree from frame to frame has to gain, beyond LIVELY degrees
LIVELY = 20.0
Pixels = NDArray[np.float32]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Poses:
    """A noun's picture in K poses: its edges (K, 2, GRID, GRID); where it and its outline are, (K, 1, GRID, GRID); how
    strong its edges are, (K,); the degrees it is turned by, (K,); the scale from the picture to a crop of side 1, (K,);
    and how far the picture's middle lies right of and below the crop's, (K, 2) in sides."""

    maps: Tensor
    mask: Tensor
    strength: Tensor
    turn: Floats
    scale: Floats
    middle: Floats


@dataclass(frozen=True)
class Fit:
    """How a noun's picture lies in each of F crops: degrees turned, scale, and how far its middle lies from the crop's
    (F, 2), as in Poses; and how alike it is, (F,)."""

    turn: Floats
    scale: Floats
    middle: Floats
    alike: Floats


def edges(crops: Tensor) -> Tensor:
    """Crops (B, 3, CROP, CROP) in 0..1 to the directions of their edges, doubled angles: (B, 2, GRID, GRID)."""
    soft = F.avg_pool2d(F.pad(crops, (1, 1, 1, 1), mode="replicate"), 3, 1)
    wide = F.pad(soft, (1, 1, 1, 1), mode="replicate")
    x = (wide[..., 1:-1, 2:] - wide[..., 1:-1, :-2]) / 2
    y = (wide[..., 2:, 1:-1] - wide[..., :-2, 1:-1]) / 2
    xx, yy, xy = (x * x).sum(1), (y * y).sum(1), (x * y).sum(1)
    strength = xx + yy
    share = strength / (strength + EDGE**2) / (strength + 1e-9)
    return F.avg_pool2d(torch.stack([(xx - yy) * share, 2 * xy * share], 1), 2)


@lru_cache(maxsize=512)
def poses(noun: str, turns: tuple[int, ...] = UPRIGHT, sizes: tuple[float, ...] = SIZES) -> Poses:
    """The poses of a noun, by degrees and sizes; mirrored ones, too, if it is seen from its side."""
    picture = cv2.resize(sprites.premultiplied(sprites.sprite(noun)), (2 * CROP,) * 2, interpolation=cv2.INTER_AREA)
    drawn, inside, known = [], [], []
    for mirrored in (False, True) if NOUNS[noun].faces == "left" else (False,):
        seen = cv2.flip(picture, 1) if mirrored else picture
        for angle in turns:
            for width in WIDTHS.get(noun, (1.0,)):
                for size in sizes:
                    pixels, scale, middle = _posed(seen.astype(np.float32) / 255, angle, width, size)
                    drawn.append(pixels[..., :3] + 0.5 * (1 - pixels[..., 3:]))
                    inside.append(cv2.dilate((pixels[..., 3] > 0.3).astype(np.float32), np.ones((5, 5))))
                    known.append((angle, scale, *middle))
    mask = F.avg_pool2d(torch.from_numpy(np.stack(inside))[:, None], 2)
    maps = edges(torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2)) * mask
    columns = np.array(known, np.float64)
    return Poses(maps, mask, maps.flatten(1).norm(dim=1), columns[:, 0], columns[:, 1], columns[:, 2:])


def _posed(picture: Pixels, angle: float, width: float, size: float) -> tuple[Pixels, float, tuple[float, float]]:
    """A premultiplied picture, narrowed, turned and fitted into a crop as things are; its scale and where its middle
    is, as in Poses."""
    side = picture.shape[0]
    turn = cv2.getRotationMatrix2D((side / 2 - 0.5, side / 2 - 0.5), -angle, 1.0) + [[0, 0, side / 2]] * 2
    turn[:, 2] += turn[:, 0] * (side / 2 - 0.5) * (1 - width)
    turn[:, 0] *= width
    large = cv2.warpAffine(picture, turn, (2 * side, 2 * side), flags=cv2.INTER_LINEAR)
    y, x = np.nonzero(large[..., 3] > 0.5)
    if not len(x):
        return np.zeros((CROP, CROP, 4), np.float32), 1.0, (0.0, 0.0)
    left, top, right, bottom = x.min(), y.min(), x.max() + 1, y.max() + 1
    scale = FILLS * size * CROP / max(right - left, bottom - top)
    shift = CROP / 2 - scale * np.array([left + right, top + bottom]) / 2
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    middle = (scale * side + shift) / CROP - 0.5
    fitted = cv2.warpAffine(large, matrix, (CROP, CROP), flags=cv2.INTER_AREA)
    return fitted, scale * side / CROP, (float(middle[0]), float(middle[1]))


def _compare(found: Tensor, known: Poses, reach: int) -> Tensor:
    """How like each pose, moved by up to ``reach`` cells, maps of edges (B, 2, GRID, GRID) are: (B, K, N, N)."""
    wide = F.pad(found, (reach,) * 4)
    places = F.unfold(wide, GRID)  # (B, 2 GRID GRID, N N): matrix products are faster than convolutions this large
    strength = F.unfold((wide * wide).sum(1, keepdim=True), GRID)
    there = (known.mask.flatten(1) @ strength).clamp_min(0).sqrt()
    own = known.strength.clamp_min(1e-6)[None, :, None]
    alike = known.maps.flatten(1) @ places / own / torch.maximum(there, FAINT * own)
    return alike.unflatten(2, (2 * reach + 1, -1))


def likeness(found: Tensor, noun: str, turned: bool = False) -> Tensor:
    """How like a noun crops are whose edges are ``found`` (B, 2, GRID, GRID): (B,), 1 is the same, 0 is not at all."""
    return _compare(found, poses(noun, TURNED if turned else UPRIGHT), REACH).flatten(1).amax(1)


def fit(found: Tensor, noun: str) -> Fit:
    """Lay a noun's picture over crops of successive frames whose edges are ``found`` (F, 2, GRID, GRID).

    It turns steadily: of courses of angles through all frames the one that is most alike is taken.
    """
    known = poses(noun, FINE_TURNS, FINE_SIZES)
    alike = _compare(found, known, FAR)
    best = alike.flatten(2).amax(2).numpy()
    angles = np.array(FINE_TURNS, np.float64)
    rows = [np.flatnonzero(known.turn == angle) for angle in angles]
    course = steadiest(np.stack([best[:, row].max(1) for row in rows], 1), angles)
    out = []
    for k, number in enumerate(course):
        pose = int(rows[number][best[k, rows[number]].argmax()])
        y, x = divmod(int(alike[k, pose].argmax()), 2 * FAR + 1)
        moved = known.middle[pose] + (np.array([x, y]) - FAR) / GRID
        out.append((known.scale[pose], *moved, best[k, pose]))
    scale, middle_x, middle_y, score = np.array(out).T
    turn = np.rad2deg(np.unwrap(np.deg2rad(angles[course])))
    return Fit(turn, scale, np.stack([middle_x, middle_y], 1), score)


def steadiest(scores: Floats, angles: Floats) -> list[int]:
    """The course through (F, A) scores of angles in degrees whose sum is largest, large turns between frames taken
    off: the number of an angle for every frame."""
    apart = np.abs((angles[:, None] - angles[None] + 180) % 360 - 180)
    cost = TURNING * np.maximum(apart - LIVELY, 0)
    total, came = scores[0].astype(np.float64), []
    for row in scores[1:]:
        both = total[None] - cost
        came.append(both.argmax(1))
        total = both.max(1) + row
    course = [int(total.argmax())]
    for before in reversed(came):
        course.append(int(before[course[-1]]))
    return course[::-1]
