# SPDX-License-Identifier: GPL-3.0-or-later
"""What is seen in a clip: things, their names and colours, the scenery, camera and paths; each is looked up once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from .lessons import SHOWN, grey, thumbs
from .motion import name_camera, name_motion
from .nets import CROP, FRAME, NAMES, Judge, counted
from .tracking import Camera, Path, camera_of, path_of

Frames = NDArray[np.uint8]
Floats = NDArray[np.float64]
FILLS = 0.8  # of a crop that a thing fills, as in the lessons
SMALLEST = 10  # cells of the map that a thing covers at least
READ = 7  # frames from which a name is read


@dataclass(frozen=True)
class Thing:
    """One thing in one frame: its box (left, top, right, bottom) in 0..1 and the cells that it covers (h, w)."""

    box: tuple[float, float, float, float]
    cells: NDArray[np.bool_]

    @property
    def middle(self) -> tuple[float, float]:
        """The middle of its box."""
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2


class Sight:
    """Looks at one clip (F, H, W, 3) uint8 of ``fps`` frames a second."""

    def __init__(self, judge: Judge, clip: Frames, fps: float) -> None:
        self.judge, self.clip, self.fps = judge, clip, fps
        self._known: dict[tuple[Any, ...], Any] = {}  # what was looked up

    @cached_property
    def _maps(self) -> Tensor:
        small = [cv2.resize(f, (FRAME, FRAME), interpolation=cv2.INTER_AREA) for f in self.clip]
        frames = torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2).float().div(255)
        with torch.inference_mode():
            return self.judge.finder(frames.contiguous(memory_format=torch.channels_last)).float()

    @cached_property
    def cover(self) -> Floats:
        """How surely a thing is seen, (F, h, w) in 0..1."""
        return np.asarray(self._maps[:, 0].sigmoid().numpy(), np.float64)

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """The number of things in every frame, (F,)."""
        return np.asarray(counted(self._maps).numpy(), np.int64)

    @cached_property
    def things(self) -> list[list[Thing]]:
        """The things of every frame, the largest first; what touches another is not told from it."""
        return [find_things(cover) for cover in self.cover]

    @cached_property
    def main(self) -> Floats:
        """Where the largest thing is in every frame, (F, h, w) in 0..1."""
        out = np.zeros_like(self.cover)
        for k, things in enumerate(self.things):
            if things:
                near = cv2.dilate(things[0].cells.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
                out[k][near] = self.cover[k][near]
        return out

    @cached_property
    def camera(self) -> Camera:
        """How the camera moves."""
        return camera_of(self.clip, self.cover)

    @cached_property
    def path(self) -> Path:
        """How the largest thing moves, the camera's own movement taken out."""
        return path_of(self.clip, self.main).seen_by(self.camera)

    def frames(self, first: int = 0, end: int | None = None, count: int = READ) -> list[int]:
        """Some frames of a part of the clip in which something is seen, spread evenly."""
        seen = [k for k in range(*slice(first, end).indices(len(self.clip))) if self.things[k]]
        chosen = np.linspace(0, len(seen) - 1, min(count, len(seen))).round().astype(int)
        return [seen[int(i)] for i in chosen]

    def motion(self, options: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
        """The one of several motions, or sequences of two, that the largest thing makes."""
        key = ("motion", tuple(options))
        if key not in self._known:
            self._known[key] = name_motion(self.path, options, self.fps)
        return tuple(self._known[key])

    def moves(self, options: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
        """The one of several camera moves, or sequences of two, that the camera makes."""
        key = ("moves", tuple(options))
        if key not in self._known:
            self._known[key] = name_camera(self.camera, options, self.fps)
        return tuple(self._known[key])

    def noun_scores(self, places: Sequence[tuple[int, Thing]]) -> Tensor:
        """The mean log-probability of every noun over things in frames (frame, thing): (nouns,)."""
        if not places:
            return torch.full((len(NAMES["noun"]),), -float(np.log(len(NAMES["noun"]))))
        crops = torch.stack([cut_out(self.clip[k], thing) for k, thing in places])
        with torch.inference_mode():
            return self.judge.namer(grey(crops)).float().log_softmax(-1).mean(0)

    def noun(self, options: Sequence[str], first: int = 0, end: int | None = None) -> str:
        """The noun among ``options`` that the largest thing of a part of the clip looks most like."""
        key = ("noun", first, end)
        if key not in self._known:
            self._known[key] = self.noun_scores([(k, self.things[k][0]) for k in self.frames(first, end)])
        return max(options, key=lambda noun: float(self._known[key][NAMES["noun"].index(noun)]))

    def colour(self, options: Sequence[str]) -> str:
        """The colour among ``options`` that the largest thing has."""
        places = [(k, self.things[k][0]) for k in self.frames()]
        if not places:
            return options[0]
        if ("colour",) not in self._known:
            crops = torch.stack([cut_out(self.clip[k], thing) for k, thing in places])
            with torch.inference_mode():
                answers = self.judge.tint(F.interpolate(crops, scale_factor=0.5, mode="area"))
            self._known[("colour",)] = answers["colour"].float().log_softmax(-1).mean(0)
        return max(options, key=lambda colour: float(self._known[("colour",)][NAMES["colour"].index(colour)]))

    def scenery(self, kind: str, options: Sequence[str], first: int = 0, end: int | None = None) -> str:
        """The place, light, weather or look among ``options`` of a part of the clip."""
        key = ("scenery", first, end)
        if key not in self._known:
            part = self.clip[slice(first, end)]
            chosen = np.linspace(0, len(part) - 1, SHOWN).round().astype(int)
            small = np.stack([cv2.resize(part[k], (FRAME, FRAME), interpolation=cv2.INTER_AREA) for k in chosen])
            with torch.inference_mode():
                pictures = thumbs(torch.from_numpy(small).permute(0, 3, 1, 2).float() / 255, 1)
                self._known[key] = self.judge.scenery(pictures)
        return max(options, key=lambda word: float(self._known[key][kind][0, NAMES[kind].index(word)]))


def find_things(cover: Floats) -> list[Thing]:
    """Connected regions of a map (h, w) that are surely covered, the largest first."""
    height, width = cover.shape
    count, labels, stats, _ = cv2.connectedComponentsWithStats((cover > 0.5).astype(np.uint8), connectivity=4)
    out = []
    for n in sorted(range(1, count), key=lambda n: -int(stats[n, cv2.CC_STAT_AREA])):
        left, top, wide, tall, area = (int(v) for v in stats[n])
        if area >= SMALLEST:
            box = (left / width, top / height, (left + wide) / width, (top + tall) / height)
            out.append(Thing(box, labels == n))
    return out


def cut_out(frame: Frames, thing: Thing) -> Tensor:
    """The square around a thing, (3, CROP, CROP) in 0..1; beyond the frame its edge goes on."""
    height, width = frame.shape[:2]
    left, top, right, bottom = thing.box
    side = max((right - left) * width, (bottom - top) * height) / FILLS
    x, y = (left + right) / 2 * width - side / 2, (top + bottom) / 2 * height - side / 2
    scale = CROP / side
    matrix = np.array([[scale, 0, -x * scale], [0, scale, -y * scale]])
    small = frame
    if scale < 0.75:  # soften first, so that no detail of the large picture shows up as noise
        small = cv2.GaussianBlur(frame, (0, 0), 0.4 / scale)
    cut = cv2.warpAffine(small, matrix, (CROP, CROP), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return torch.from_numpy(cut).permute(2, 0, 1).float() / 255
