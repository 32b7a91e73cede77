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
from .shapes import FILLS, edges, fit, likeness
from .tracking import Camera, Path, camera_of, path_of

Frames = NDArray[np.uint8]
Floats = NDArray[np.float64]
SMALLEST = 10  # cells of the map that a thing covers at least
READ = 7  # frames from which a name is read
COMPARED = 3  # of them whose shapes are compared
NEAREST = 3  # things of a frame among which one is looked for
HINT = 0.04  # what the namer's log-probability counts beside the likeness of shapes
ALIKE, SURE = 0.35, 0.5  # likeness from which on a thing is one of the nouns, and needs not be turned about for it
LIKELY, TURNED = 24, 6  # nouns that are compared, the namer's first choices, and that are turned about


@dataclass(frozen=True)
class Thing:
    """One thing in one frame: its box (left, top, right, bottom) in 0..1 and the cells that it covers (h, w)."""

    box: tuple[float, float, float, float]
    cells: NDArray[np.bool_]

    @property
    def middle(self) -> tuple[float, float]:
        """The middle of its box."""
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2


@dataclass(frozen=True)
class Spot:
    """A thing in frame ``frame``, and how like a noun it is, 0..1."""

    frame: int
    thing: Thing
    alike: float


class Shapes:
    """What tells the noun of one thing by its crops (3, CROP, CROP): a network's hint, and how alike shapes are."""

    def __init__(self, judge: Judge, crops: Sequence[Tensor]) -> None:
        self._judge, self._crops = judge, crops
        self._known: dict[tuple[str, bool], float] = {}

    @cached_property
    def hints(self) -> Floats:
        """The namer's mean log-probability of every noun, (nouns,)."""
        with torch.inference_mode():
            found = self._judge.namer(grey(torch.stack(list(self._crops)))).float().log_softmax(-1).mean(0)
        return np.asarray(found.numpy(), np.float64)

    @cached_property
    def _edges(self) -> Tensor:
        chosen = np.linspace(0, len(self._crops) - 1, min(COMPARED, len(self._crops))).round().astype(int)
        return edges(torch.stack([self._crops[int(k)] for k in chosen]))

    def alike(self, noun: str, turned: bool = False) -> float:
        """How like a noun the crops are, 0..1."""
        if (noun, turned) not in self._known:
            self._known[noun, turned] = float(likeness(self._edges, noun, turned).mean())
        return self._known[noun, turned]

    def likeness(self, noun: str) -> float:
        """How like a noun the thing is, by its shape and the namer's hint; only the order of two means something."""
        return self.alike(noun) + HINT * float(self.hints[NAMES["noun"].index(noun)])

    def scores(self, options: Sequence[str]) -> dict[str, float]:
        """How like each of the likelier nouns among ``options`` the thing is; empty if it is like none of them."""
        if not self._crops or not options:
            return {}
        hint = {noun: HINT * float(self.hints[NAMES["noun"].index(noun)]) for noun in options}
        likely = sorted(options, key=lambda noun: -hint[noun])[:LIKELY]
        found = {noun: self.alike(noun) for noun in likely}
        if max(found.values()) < SURE:  # it may lie on its side
            for noun in likely[:TURNED]:
                found[noun] = max(found[noun], self.alike(noun, True))
        known = max(likely, key=lambda noun: found[noun] + hint[noun])
        return {noun: found[noun] + hint[noun] for noun in likely} if found[known] > ALIKE else {}

    def noun(self, options: Sequence[str]) -> str:
        """The noun among ``options`` that it looks most like, "" if it is like none."""
        found = self.scores(options)
        return max(found, key=lambda noun: found[noun]) if found else ""


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

    @cached_property
    def fitted(self) -> Path | None:
        """How the largest thing moves, the picture of its noun laid over it in every frame; None if it has no noun."""
        seen = [k for k, things in enumerate(self.things) if things]
        noun = self.noun(NAMES["noun"])
        if not noun:
            return None
        found = fit(edges(torch.stack([cut_out(self.clip[k], self.things[k][0]) for k in seen])), noun)
        corners = np.array([square(self.clip[k], self.things[k][0]) for k in seen])
        middle = corners[:, :2] + (found.middle + 0.5) * corners[:, 2:]
        columns = [*middle.T, np.log(found.scale * corners[:, 2]), found.turn]
        every = np.arange(len(self.clip))
        x, y, size, turn = (np.interp(every, seen, column) for column in columns)
        return Path(x, y, size, turn, np.zeros(len(every))).seen_by(self.camera)

    def frames(self, first: int = 0, end: int | None = None, count: int = READ) -> list[int]:
        """Some frames of a part of the clip in which something is seen, spread evenly."""
        seen = [k for k in range(*slice(first, end).indices(len(self.clip))) if self.things[k]]
        chosen = np.linspace(0, len(seen) - 1, min(count, len(seen))).round().astype(int)
        return [seen[int(i)] for i in chosen]

    def motion(self, options: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
        """The one of several motions, or sequences of two, of the largest thing; none where mostly nothing is seen."""
        if 2 * sum(bool(things) for things in self.things) < len(self.things):
            return ()
        key = ("motion", tuple(options))
        if key not in self._known:
            self._known[key] = name_motion([p for p in (self.path, self.fitted) if p], options, self.fps)
        return tuple(self._known[key])

    def moves(self, options: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
        """The one of several camera moves, or sequences of two, that the camera makes."""
        key = ("moves", tuple(options))
        if key not in self._known:
            self._known[key] = name_camera(self.camera, options, self.fps)
        return tuple(self._known[key])

    def part(self, first: int = 0, end: int | None = None) -> Shapes:
        """The shapes of the largest thing in a part of the clip."""
        key = ("shapes", first, end)
        if key not in self._known:
            self._known[key] = self.shapes([(k, self.things[k][0]) for k in self.frames(first, end)])
        return self._known[key]  # type: ignore[no-any-return]

    def spotted(self, noun: str, first: int = 0, end: int | None = None, count: int = COMPARED) -> list[Spot]:
        """In some frames of a part of the clip, spread evenly, whichever of the things is most like a noun."""
        out = []
        for k in self.frames(first, end, count):
            if (k, noun) not in self._known:
                seen = [Spot(k, t, self.shapes([(k, t)]).alike(noun)) for t in self.things[k][:NEAREST]]
                self._known[k, noun] = max(seen, key=lambda spot: spot.alike)
            out.append(self._known[k, noun])
        return out

    def shapes(self, places: Sequence[tuple[int, Thing]]) -> Shapes:
        """What tells one thing's noun, seen in several frames (frame, thing)."""
        return Shapes(self.judge, [cut_out(self.clip[k], thing) for k, thing in places])

    def noun(self, options: Sequence[str], first: int = 0, end: int | None = None) -> str:
        """The noun among ``options`` that the largest thing of a part of the clip looks most like, "" if like none."""
        return self.part(first, end).noun(options)

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
    x, y, side = square(frame, thing)
    height, width = frame.shape[:2]
    scale = CROP / (side * width)
    matrix = np.array([[scale, 0, -x * width * scale], [0, scale, -y * height * scale]])
    small = frame
    if scale < 0.75:  # soften first, so that no detail of the large picture shows up as noise
        small = cv2.GaussianBlur(frame, (0, 0), 0.4 / scale)
    cut = cv2.warpAffine(small, matrix, (CROP, CROP), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return torch.from_numpy(cut).permute(2, 0, 1).float() / 255


def square(frame: Frames, thing: Thing) -> tuple[float, float, float]:
    """The square around a thing: its left and upper edge in frame widths and heights, its side in frame widths."""
    height, width = frame.shape[:2]
    left, top, right, bottom = thing.box
    side = max((right - left) * width, (bottom - top) * height) / FILLS
    return (left + right) / 2 - side / 2 / width, (top + bottom) / 2 - side / 2 / height, side / width
