# SPDX-License-Identifier: GPL-3.0-or-later
"""The description of a scene: typed, complete and closed, so that pictures, captions and truth agree.

A :class:`Scene` holds one to three shots; a :class:`Shot` says where, in which light and weather, with which camera
and who is there; an :class:`Actor` is one noun, one to five of it, and what it does. Everything a renderer draws and
a caption says is in here, and every word is from a closed vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

from .nouns import COLOURS, NOUNS, Noun

PLACES = (
    *("meadow", "beach", "desert", "mountains", "forest", "city", "farm", "lake", "jungle", "castle", "park"),
    *("playground", "kitchen", "living room"),
)
INDOORS = ("kitchen", "living room")  # light and weather are seen through a window there
LIGHTS = ("day", "sunset", "night")
WEATHERS = ("clear", "rain", "snow", "fog")
MOTIONS = (
    *("still", "right", "left", "up", "down", "jump", "closer", "away", "spin", "sway"),
    *("circle", "back and forth", "roll right", "roll left", "fall over", "stretch", "shake", "flip"),
)
TRAVELS = ("right", "left", "up", "down", "roll right", "roll left")  # motions that a camera can follow
CAMERAS = (
    *("still", "pan right", "pan left", "tilt up", "tilt down", "zoom in", "zoom out"),
    *("follow", "orbit right", "orbit left", "handheld"),
)
RELATIONS = ("left of", "right of", "above", "behind")
LOOKS = ("natural", "watercolour", "pencil", "pixel art", "neon", "black-and-white film", "paper cut")

# What happens beside moving; the first actor of the shot takes part.
EVENTS = (
    "passes behind",  # it goes right or left behind Event.prop ("tree", "rock", "column") and comes out the same
    "leaves and returns",  # motions ("right", "left"): out on the right and back again; or ("left", "right")
    "strokes",  # a paintbrush leaves Event.count strokes of Event.colour on a canvas, and they stay
    "bites",  # Event.count bites are taken of a food, and stay
    "goes out",  # a candle burns, is blown out and has no flame from then on
    "is lit",  # a candle without flame is lit and burns from then on
    "shatters",  # a fragile thing falls and lies in pieces from then on
    "treadmill",  # it runs right or left in place on a treadmill, facing the way it runs
    "mingles",  # three to five of a noun wander among each other; as many at the end as in the beginning
)
# Events that move the first actor themselves: its motions are empty then.
SCRIPTED = ("strokes", "bites", "goes out", "is lit", "shatters", "mingles")
PROPS = ("tree", "rock", "column")  # what something passes behind


def _check(kind: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"a scene has no {kind} {value!r}; it is one of: {', '.join(allowed)}")


@dataclass(frozen=True)
class Actor:
    """One to five of a noun, and what they do.

    ``size`` is the height as a fraction of the frame's shorter side, ``motions`` are one or two in sequence (none in
    a scripted event), ``relation`` is to the shot's first actor, ``facing`` is where a noun seen from its side looks
    at first, ``start`` in -1..1 says where in the range that is free to it the path lies.
    """

    noun: str
    colour: str | None = None
    count: int = 1
    size: float = 0.45
    motions: tuple[str, ...] = ("still",)
    relation: str | None = None
    facing: str = "left"
    start: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        _check("noun", self.noun, tuple(NOUNS))
        _check("facing", self.facing, ("left", "right"))
        if self.colour is not None:
            _check("colour", self.colour, COLOURS)
        if self.relation is not None:
            _check("relation", self.relation, RELATIONS)
        for motion in self.motions:
            _check("motion", motion, MOTIONS)
        if not 1 <= self.count <= 5:
            raise ValueError(f"an actor is there one to five times, not {self.count}")
        if len(self.motions) > 2:
            raise ValueError(f"an actor makes at most two motions in a shot, not {len(self.motions)}")

    @property
    def kind(self) -> Noun:
        """The noun with its picture and what is natural for it."""
        return NOUNS[self.noun]

    @property
    def seen_from_side(self) -> bool:
        """Whether one sees which way it faces."""
        return self.kind.faces == "left"


@dataclass(frozen=True)
class Event:
    """Something that happens once and stays so. ``start`` and ``end`` are phases (0..1) of the shot."""

    kind: str
    start: float = 0.3
    end: float = 0.6
    colour: str | None = None  # of strokes
    count: int = 1  # of strokes or bites
    prop: str | None = None  # what it passes behind

    def __post_init__(self) -> None:
        _check("event", self.kind, EVENTS)
        if self.colour is not None:
            _check("colour", self.colour, COLOURS)
        if self.prop is not None:
            _check("prop", self.prop, PROPS)
        if not 0 <= self.start <= self.end <= 1:
            raise ValueError(f"an event lies within its shot: 0 <= start <= end <= 1, not {self.start}, {self.end}")


@dataclass(frozen=True)
class Shot:
    """An unbroken take. ``share`` is its part of the clip's length, ``variant`` numbers the place's composition."""

    place: str
    actors: tuple[Actor, ...]
    light: str = "day"
    weather: str = "clear"
    camera: tuple[str, ...] = ("still",)
    event: Event | None = None
    share: float = 1.0
    variant: int = 0

    def __post_init__(self) -> None:
        _check("place", self.place, PLACES)
        _check("light", self.light, LIGHTS)
        _check("weather", self.weather, WEATHERS)
        for move in self.camera:
            _check("camera move", move, CAMERAS)
        if not 1 <= len(self.camera) <= 2:
            raise ValueError(f"a shot has one or two camera moves, not {len(self.camera)}")
        if not self.actors:
            raise ValueError("a shot has at least one actor")


@dataclass(frozen=True)
class Scene:
    """What a clip shows: one to three shots of one character, in one look."""

    shots: tuple[Shot, ...]
    look: str = "natural"
    seed: int = 0

    def __post_init__(self) -> None:
        _check("look", self.look, LOOKS)
        if not 1 <= len(self.shots) <= 3:
            raise ValueError(f"a scene has one to three shots, not {len(self.shots)}")

    @property
    def combinations(self) -> tuple[tuple[str, str, str], ...]:
        """What is held out together, for every shot: its first noun, its place and its first motion (or event)."""
        return tuple(
            (a.noun, s.place, a.motions[0] if a.motions else s.event.kind if s.event else "still")
            for s in self.shots
            for a in s.actors[:1]
        )

    @property
    def shown(self) -> frozenset[tuple[str, str, str]]:
        """Every noun with its place and each of its motions (or the event), of all actors in all shots."""
        return frozenset(
            (a.noun, s.place, does)
            for s in self.shots
            for a in s.actors
            for does in a.motions or (s.event.kind if s.event else "still",)
        )
