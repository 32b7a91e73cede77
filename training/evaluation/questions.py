# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows that ask whether a clip shows what its prompt says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np

from ..judges.motion import jumps, misfit
from ..judges.nets import NAMES
from ..judges.sight import Sight
from ..scenes.config import WorldConfig
from ..scenes.draw import ABLE
from ..scenes.nouns import NOUNS
from ..scenes.render import split
from ..scenes.scene import Scene
from . import makers
from .prompts import DIRECTIONS, LASTING, MEASURED

SAME_COLOURS = 16.0  # distance of mean colours (CIELAB) up to which a thing is the same
AWAY, HIDDEN = 0.25, 0.6  # of its usual area that is seen of a thing when it is away, or behind something
CHANGED = 14.0  # grey levels by which an event changes what it happens to
KEPT = 0.6  # of that change that is still seen at the end


@dataclass(frozen=True)
class Question:
    """A row. ``right`` tells how much of what it asks about (0..1) a clip shows of a scene.

    ``control`` makes what must not satisfy it, for scenes that are ``controlled``; guessing is right with ``chance``.
    """

    row: str
    need: str
    right: Callable[[Sight, Scene, WorldConfig], float]
    chance: Callable[[WorldConfig], float]
    control: Callable[[WorldConfig], makers.Maker]
    controlled: Callable[[Scene], bool] = lambda scene: True
    wording: str = "English"
    note: str = ""


def _noun(sight: Sight, scene: Scene, world: WorldConfig) -> float:
    return float(sight.noun(world.nouns) == scene.shots[0].actors[0].noun)


def _colour(sight: Sight, scene: Scene, world: WorldConfig) -> float:
    colour = scene.shots[0].actors[0].colour
    return float(colour is not None and sight.colour(NAMES["colour"]) == colour)


def _count(sight: Sight, scene: Scene, world: WorldConfig) -> float:
    return float(int(np.median(sight.counts)) == scene.shots[0].actors[0].count)


def _scenery(kind: str, field: str) -> Callable[[Sight, Scene, WorldConfig], float]:
    def right(sight: Sight, scene: Scene, world: WorldConfig) -> float:
        return float(sight.scenery(kind, getattr(world, field)) == getattr(scene.shots[0], kind))

    return right


def _look(sight: Sight, scene: Scene, world: WorldConfig) -> float:
    return float(sight.scenery("look", world.looks) == scene.look)


def _motion(sight: Sight, scene: Scene, world: WorldConfig) -> float:
    return float(sight.motion([(m,) for m in world.motions]) == scene.shots[0].actors[0].motions)


def _direction(sight: Sight, scene: Scene, world: WorldConfig) -> float:
    return float(sight.motion([(m,) for m in world.motions if m in DIRECTIONS]) == scene.shots[0].actors[0].motions)


def measured_cameras(world: WorldConfig) -> tuple[str, ...]:
    """The camera moves that can be told from pixels alone."""
    return tuple(c for c in world.cameras if c in MEASURED)


def _camera(sight: Sight, scene: Scene, world: WorldConfig) -> float:
    return float(sight.moves([(c,) for c in measured_cameras(world)]) == scene.shots[0].camera)


def _order(sight: Sight, scene: Scene, world: WorldConfig) -> float:
    motions = scene.shots[0].actors[0].motions
    return float(misfit(sight.path, motions, sight.fps) < misfit(sight.path, motions[::-1], sight.fps))


def _camera_order(sight: Sight, scene: Scene, world: WorldConfig) -> float:
    moves = scene.shots[0].camera
    return float(sight.moves([moves, moves[::-1]]) == moves)


def _relation(sight: Sight, scene: Scene, world: WorldConfig) -> float:
    """Whether the second actor is on its side of the first: the names of what is seen left and right say so."""
    first, second = scene.shots[0].actors[0].noun, scene.shots[0].actors[-1].noun
    left, right = [], []
    for k in sight.frames():
        pair = sorted(sight.things[k][:2], key=lambda thing: thing.middle[0])
        if len(pair) == 2:
            left.append((k, pair[0]))
            right.append((k, pair[1]))
    if not left:
        return 0.0
    at = [NAMES["noun"].index(n) for n in (first, second)]
    scores = (sight.noun_scores(left) - sight.noun_scores(right))[at]
    told = "left of" if float(scores[1] - scores[0]) > 0 else "right of"
    return float(told == scene.shots[0].actors[-1].relation)


def _areas(sight: Sight) -> Any:
    return np.array([float(t[0].cells.sum()) if t else 0.0 for t in sight.things])


def _same(sight: Sight, scene: Scene, world: WorldConfig, parts: list[tuple[int, int]]) -> bool:
    """Whether in all parts of the clip the same noun, the scene's, is seen in the same colours."""
    asked = scene.shots[0].actors[0].noun
    alike = [n for n in world.nouns if NOUNS[n].gait == NOUNS[asked].gait]
    means = [mean_colour(sight, *part) for part in parts]
    steady = all(m is not None and np.linalg.norm(m - means[0]) < SAME_COLOURS for m in means)
    return steady and all(sight.noun(alike, *part) == asked for part in parts)


def mean_colour(sight: Sight, first: int, end: int) -> Any:
    """The mean colour (CIELAB) of the largest thing in a part of the clip, or None where there is none."""
    found = []
    for k in sight.frames(first, end):
        cells = sight.things[k][0].cells
        small = cv2.resize(sight.clip[k], cells.shape[::-1], interpolation=cv2.INTER_AREA)
        found.append(cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[cells].mean(0))
    return np.mean(found, 0) if found else None


def _occlusion(sight: Sight, scene: Scene, world: WorldConfig) -> float:
    """It goes behind something (less of it is seen) and comes out on the other side the same."""
    count, areas = len(sight.clip), _areas(sight)
    part = max(2, count // 5)
    usual = (np.median(areas[:part]) + np.median(areas[-part:])) / 2
    if areas[part:-part].min() > HIDDEN * usual:
        return 0.0
    went = sight.path.x[-part:].mean() - sight.path.x[:part].mean()
    right_way = went > 0.1 if "right" in scene.shots[0].actors[0].motions else went < -0.1
    return float(right_way and _same(sight, scene, world, [(0, part), (count - part, count)]))


def _leaving(sight: Sight, scene: Scene, world: WorldConfig) -> float:
    """It goes out of the frame, is away, and comes back the same."""
    count, areas = len(sight.clip), _areas(sight)
    part = max(2, count // 5)
    usual = np.median(areas[:part])
    if areas[part:-part].min() > AWAY * usual or np.median(areas[-2:]) < AWAY * usual:
        return 0.0
    return float(_same(sight, scene, world, [(0, part), (count - part // 2, count)]))


def _lasting(sight: Sight, scene: Scene, world: WorldConfig) -> float:
    """Something changes about the thing that was asked for, the right way, and at the end it is still so."""
    soft = [cv2.GaussianBlur(cv2.resize(f, (64, 64), interpolation=cv2.INTER_AREA), (0, 0), 1.0) for f in sight.clip]
    pictures = np.stack(soft).astype(np.float32)
    first, last = np.median(pictures[:3], 0), np.median(pictures[-3:], 0)
    differing = np.abs(last - first).max(-1)
    small = np.sort(differing.ravel())[-40]  # what changes is small
    change = differing[differing >= small].mean()
    late = np.abs(pictures[-max(3, len(pictures) // 5) :] - last).max(-1).reshape(-1, differing.size)
    steady = np.sort(late, 1)[:, -40:].mean()
    actor, event = scene.shots[0].actors[0], scene.shots[0].event
    able = [n for n in world.nouns if any(n in ABLE[kind] for kind in LASTING)]
    named = sight.noun(able, 0, len(pictures) // 3) == actor.noun
    brighter = float((last - first)[differing >= small].mean()) > 0
    flame = {"goes out": not brighter, "is lit": brighter}.get(event.kind if event else "", True)
    return float(named and flame and change > CHANGED and steady < (1 - KEPT) * change)


def _shots(sight: Sight, scene: Scene, world: WorldConfig) -> float:
    """As many cuts as asked for, and the same character in every shot."""
    count, asked = len(sight.clip), len(scene.shots) - 1
    steps = jumps(sight.clip)
    cuts = [int(k) + 1 for k in np.flatnonzero(steps > 4 * np.median(steps) + 4)]
    edges = [0, *cuts, count] if len(cuts) == asked else [a for a, _ in split(scene, count)] + [count]
    noun = scene.shots[0].actors[0].noun
    alike = [n for n in world.nouns if NOUNS[n].gait == NOUNS[noun].gait]
    same = all(sight.noun(alike, first, end) == noun for first, end in pairwise(edges))
    return float(len(cuts) == asked and same)


def facts(sight: Sight, scene: Scene, world: WorldConfig) -> float:
    """The share of object, place and motion that is right."""
    place = _scenery("place", "places")
    return (_noun(sight, scene, world) + place(sight, scene, world) + _motion(sight, scene, world)) / 3


def _one_of(field: str) -> Callable[[WorldConfig], float]:
    return lambda world: 1 / max(1, len(getattr(world, field)))


def _chance_of_facts(world: WorldConfig) -> float:
    return float(np.mean([1 / len(world.nouns), 1 / len(world.places), 1 / len(world.motions)]))


def _shuffled(world: WorldConfig) -> makers.Maker:
    return makers.Shuffled(makers.Renders())


def _other(change: makers.Change) -> Callable[[WorldConfig], makers.Maker]:
    return lambda world: makers.Changed(change, world)


def _moves(scene: Scene) -> bool:
    return scene.shots[0].actors[0].motions != ("still",)


def _filmed_moving(scene: Scene) -> bool:
    return scene.shots[0].camera != ("still",)


def _half(world: WorldConfig) -> float:
    return 0.5


def _never(world: WorldConfig) -> float:
    return 0.0


QUESTIONS: tuple[Question, ...] = (
    Question("object", "plain", _noun, _one_of("nouns"), lambda world: makers.blobs()),
    Question("colour", "colour", _colour, lambda world: 1 / 11, _other(makers.other_colour)),
    Question("count", "count", _count, _one_of("counts"), _other(makers.other_count)),
    Question("place", "plain", _scenery("place", "places"), _one_of("places"), _other(makers.other("place"))),
    Question("light", "plain", _scenery("light", "lights"), _one_of("lights"), _other(makers.other("light"))),
    Question("weather", "plain", _scenery("weather", "weathers"), _one_of("weathers"), _other(makers.other("weather"))),
    Question("look", "look", _look, _one_of("looks"), _other(makers.other_look)),
    Question("motion", "clear", _motion, _one_of("motions"), _shuffled, _moves),
    Question("direction", "directed", _direction, lambda world: 0.25, _shuffled),
    Question("left/right relation", "relation", _relation, _half, lambda world: makers.Mirrored(makers.Renders())),
    Question(
        *("camera", "camera", _camera, lambda world: 1 / len(measured_cameras(world)), _shuffled, _filmed_moving),
        note="pans, tilts, zooms and a still camera",
    ),
    Question("sequence order", "sequence", _order, _half, _shuffled),
    Question("camera sequence order", "camera sequence", _camera_order, _half, _shuffled),
    Question("permanence after occlusion", "occlusion", _occlusion, _never, makers.Exchanged),
    Question("permanence after leaving the frame", "leaving", _leaving, _never, makers.Exchanged),
    Question("event persistence", "lasting", _lasting, _never, lambda world: makers.Undone(makers.Renders())),
    Question("multi-shot identity", "shots", _shots, _never, makers.Exchanged),
    Question("English prompts", "clear", facts, _chance_of_facts, lambda world: makers.Others()),
    Question(
        *("Chinese prompts", "clear", facts, _chance_of_facts, lambda world: makers.Others()),
        wording="Chinese",
    ),
    Question(
        *("free wording", "clear", facts, _chance_of_facts, lambda world: makers.Others()),
        wording="free",
    ),
)
