# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows that ask whether a clip shows what its prompt says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..judges.motion import cuts, misfit
from ..judges.nets import NAMES
from ..judges.sight import COMPARED, Sight, Spot
from ..scenes.config import WorldConfig
from ..scenes.nouns import NOUNS
from ..scenes.render import split
from ..scenes.scene import Scene
from . import makers
from .prompts import DIRECTIONS, MEASURED

SAME_COLOURS = 16.0  # distance of mean colours (CIELAB) up to which a thing is the same
AWAY, HIDDEN = 0.7, 0.7  # of its usual likeness at most that is seen of a thing when it is away, or behind something
WHILE = 3  # frames at least for which it is not seen: a flicker is no absence
BORDER = 0.2  # of the frame's width: how near the side it is last and first seen that it leaves and enters by
SOUGHT = 6  # frames of a part in which a thing is looked for
CHANGED = 14.0  # grey levels by which an event changes what it happens to
KEPT = 0.6  # of that change that is still seen at the end
ABOUT = 0.5  # of a thing's size: how far beyond its box what happens to it may reach
STAYS = 0.06  # of the frame: what something happens to in its place does not go further than this
IN_PLACE = ("bites", "goes out", "is lit")


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
    at_left, at_right = (sight.shapes(side) for side in (left, right))
    order = sum(sign * (at_left.likeness(noun) - at_right.likeness(noun)) for sign, noun in ((1, second), (-1, first)))
    told = "left of" if order > 0 else "right of"
    return float(told == scene.shots[0].actors[-1].relation)


def _alike(noun: str, world: WorldConfig) -> list[str]:
    """The nouns that a thing may be mistaken for where another one takes its place."""
    return [n for n in world.nouns if NOUNS[n].gait == NOUNS[noun].gait]


def _is_seen(sight: Sight, noun: str, world: WorldConfig, first: int, end: int) -> list[Spot]:
    """Where a noun is seen best in a part of the clip; empty if what is most like it there is another."""
    every = sorted(sight.spotted(noun, first, end, SOUGHT), key=lambda spot: -spot.alike)
    spots = sorted(every[:COMPARED], key=lambda spot: spot.frame)
    named = sight.shapes([(s.frame, s.thing) for s in spots]).noun(_alike(noun, world))
    return spots if named == noun else []


def mean_colour(sight: Sight, spots: Sequence[Spot]) -> Any:
    """The mean colour (CIELAB) of a thing."""
    found = []
    for spot in spots:
        cells = spot.thing.cells
        small = cv2.resize(sight.clip[spot.frame], cells.shape[::-1], interpolation=cv2.INTER_AREA)
        found.append(cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[cells].mean(0))
    return np.mean(found, 0)


@dataclass(frozen=True)
class Absence:
    """A thing that comes back: where it is seen in the first and the last part, and next to the time between in which
    it is not seen."""

    first: list[Spot]
    last: list[Spot]
    leaves: Spot
    returns: Spot


def _comes_back(sight: Sight, scene: Scene, world: WorldConfig, gone: float) -> Absence | None:
    """The absence of the scene's thing, which comes back in the same colours; None if it is another one, or if it is
    never for WHILE frames that no more than ``gone`` of its likeness is seen."""
    count, noun = len(sight.clip), scene.shots[0].actors[0].noun
    part = max(2, count // 5)
    first, last = (_is_seen(sight, noun, world, *ends) for ends in ((0, part), (count - part, count)))
    if not first or not last:
        return None
    usual = float(np.mean([s.alike for s in (*first, *last)]))
    apart = float(np.linalg.norm(mean_colour(sight, first) - mean_colour(sight, last)))
    seen = {s.frame: s for s in sight.spotted(noun, 0, count, count)}
    there = sorted(k for k, spot in seen.items() if spot.alike >= gone * usual)
    leaves, returns = max(pairwise(there), key=lambda two: two[1] - two[0], default=(0, 0))
    if returns - leaves <= WHILE or apart >= SAME_COLOURS:
        return None
    return Absence(first, last, seen[leaves], seen[returns])


def _occlusion(sight: Sight, scene: Scene, world: WorldConfig) -> float:
    """It goes behind something (less of it is seen) and comes out on the other side the same."""
    absence = _comes_back(sight, scene, world, HIDDEN)
    if absence is None:
        return 0.0
    begin, end = (float(np.mean([s.thing.middle[0] for s in spots])) for spots in (absence.first, absence.last))
    right_way = end > begin + 0.1 if "right" in scene.shots[0].actors[0].motions else end < begin - 0.1
    return float(right_way)


def _leaving(sight: Sight, scene: Scene, world: WorldConfig) -> float:
    """It goes out of the frame by its side, is away, and comes back there the same."""
    absence = _comes_back(sight, scene, world, AWAY)
    if absence is None:
        return 0.0
    right = scene.shots[0].actors[0].motions[:1] == ("right",)
    boxes = absence.leaves.thing.box, absence.returns.thing.box
    return float(all(box[2] > 1 - BORDER if right else box[0] < BORDER for box in boxes))


def _lasting(sight: Sight, scene: Scene, world: WorldConfig) -> float:
    """Something changes about the thing that was asked for, the right way, and at the end it is still so."""
    soft = [cv2.GaussianBlur(cv2.resize(f, (64, 64), interpolation=cv2.INTER_AREA), (0, 0), 1.0) for f in sight.clip]
    pictures = np.stack(soft).astype(np.float32)
    first, last = np.median(pictures[:3], 0), np.median(pictures[-3:], 0)
    differing = np.abs(last - first).max(-1)
    there = differing >= np.sort(differing.ravel())[-40]  # what changes is small
    change = differing[there].mean()
    unsteady = np.abs(pictures[-max(3, len(pictures) // 5) :] - last).max(-1)[:, there].mean()
    actor, event = scene.shots[0].actors[0], scene.shots[0].event
    kind = event.kind if event else ""
    spots = _is_seen(sight, actor.noun, world, 0, len(pictures) // 3)
    if not spots or (kind in IN_PLACE and not _stays(sight, spots, there)):
        return 0.0
    red, _, blue = (last - first)[there].mean(0)  # a flame is darker than the sky, but always warmer
    flame = {"goes out": red < blue, "is lit": red > blue}.get(kind, True)
    return float(flame and change > CHANGED and unsteady < (1 - KEPT) * change)


def _stays(sight: Sight, spots: Sequence[Spot], changed: NDArray[np.bool_]) -> bool:
    """Whether most of what ``changed`` (64, 64) lies about the thing that is seen at ``spots``, and at the end there is
    still something in its place."""
    left, top, right, bottom = np.median([s.thing.box for s in spots], 0)
    wide, tall = ABOUT * (right - left), ABOUT * (bottom - top)
    y, x = (np.argwhere(changed) + 0.5).T / 64
    about = (x > left - wide) & (x < right + wide) & (y > top - tall) & (y < bottom + tall)
    middle = np.array([(left + right) / 2, (top + bottom) / 2])
    part = sight.things[-max(1, len(sight.things) // 5) :]
    near = [min((np.abs(np.array(t.middle) - middle).max() for t in things), default=1.0) for things in part]
    return bool(about.mean() > 0.5 and np.median(near) < max(STAYS, 0.25 * (bottom - top)))


def _shots(sight: Sight, scene: Scene, world: WorldConfig) -> float:
    """As many cuts as asked for, and the same character in every shot."""
    count, asked = len(sight.clip), len(scene.shots) - 1
    found = cuts(sight.clip)
    edges = [0, *found, count] if len(found) == asked else [a for a, _ in split(scene, count)] + [count]
    noun = scene.shots[0].actors[0].noun
    same = all(_is_seen(sight, noun, world, first, end) for first, end in pairwise(edges))
    return float(len(found) == asked and same)


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


def _out_of_order(world: WorldConfig) -> makers.Maker:
    """What moves in a random order of frames; of what stands, the empty place."""
    shuffled, empty = makers.Shuffled(makers.Renders()), makers.Renders(makers.nothing)
    return makers.Chosen(lambda p: empty if p.scene.shots[0].actors[0].motions == ("still",) else shuffled)


def _not_the_same(world: WorldConfig) -> makers.Maker:
    """Another thing comes back; or it never goes, but is missing in one frame."""
    return makers.in_turn(makers.Exchanged(world), makers.Flickering())


def _not_lasting(world: WorldConfig) -> makers.Maker:
    """It is undone; or instead of it the thing vanishes, or is suddenly in another spot."""
    return makers.in_turn(makers.Undone(makers.Renders()), makers.Vanishing(), makers.Elsewhere())


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
    Question("motion", "clear", _motion, _one_of("motions"), _out_of_order),
    Question("direction", "directed", _direction, lambda world: 0.25, _shuffled),
    Question("left/right relation", "relation", _relation, _half, lambda world: makers.Mirrored(makers.Renders())),
    Question(
        *("camera", "camera", _camera, lambda world: 1 / len(measured_cameras(world)), _shuffled, _filmed_moving),
        note="pans, tilts, zooms and a still camera",
    ),
    Question("sequence order", "sequence", _order, _half, _shuffled),
    Question("camera sequence order", "camera sequence", _camera_order, _never, _shuffled),
    Question("permanence after occlusion", "occlusion", _occlusion, _never, _not_the_same),
    Question("permanence after leaving the frame", "leaving", _leaving, _never, _not_the_same),
    Question("event persistence", "lasting", _lasting, _never, _not_lasting),
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
