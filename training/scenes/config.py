# SPDX-License-Identifier: GPL-3.0-or-later
"""How wide the world is: a CPU-sized and a GPU-sized one, and anything between."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from .nouns import NOUNS
from .scene import CAMERAS, EVENTS, LIGHTS, LOOKS, MOTIONS, PLACES, WEATHERS

LESS_USUAL = ("two_moves", "two_motions", "relation", "several", "event", "look", "cut")


@dataclass(frozen=True)
class WorldConfig:
    """Which words scenes are drawn from, and how often the less usual happens (odds in 0..1 of a scene or a shot).

    A scene is drawn with an event at odds ``event``; otherwise with two actors at odds ``relation``, or with two to
    five of one noun at odds ``several``. ``moving_camera`` are the odds that a camera does not stand still.
    """

    nouns: tuple[str, ...]
    places: tuple[str, ...]
    motions: tuple[str, ...]
    cameras: tuple[str, ...]
    lights: tuple[str, ...] = ("day",)
    weathers: tuple[str, ...] = ("clear",)
    looks: tuple[str, ...] = ("natural",)
    events: tuple[str, ...] = ()
    counts: tuple[int, ...] = (1,)
    moving_camera: float = 0.5
    two_moves: float = 0.0  # of moving cameras
    two_motions: float = 0.0
    relation: float = 0.0
    several: float = 0.0
    event: float = 0.0
    colour: float = 0.0  # of actors whose noun has colours
    look: float = 0.0  # other than natural
    plain_light: float = 0.4  # by day for sure
    plain_weather: float = 0.5  # clear for sure
    cut: float = 0.0  # two or three shots
    size: tuple[float, float] = (0.40, 0.54)  # of one actor alone, of the shorter side

    def __post_init__(self) -> None:
        allowed = {
            "nouns": tuple(NOUNS),
            "places": PLACES,
            "motions": MOTIONS,
            "cameras": CAMERAS,
            "lights": LIGHTS,
            "weathers": WEATHERS,
            "looks": LOOKS,
            "events": EVENTS,
            "counts": (1, 2, 3, 4, 5),
        }
        for name, words in allowed.items():
            values = getattr(self, name)
            unknown = [str(v) for v in values if v not in words]
            if unknown:
                known = ", ".join(str(w) for w in words)
                raise ValueError(f"world config: {name} has no {unknown[0]!r}; it takes: {known}")
            if not values and name != "events":
                raise ValueError(f"world config: {name} is empty; name at least one")
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float) and not 0 <= value <= 1:
                raise ValueError(f"world config: {field.name} is a probability in 0..1, not {value}")
        if not 0.1 <= self.size[0] <= self.size[1] <= 0.7:
            raise ValueError(f"world config: size is a range within 0.1..0.7, not {self.size}")


def nano() -> WorldConfig:
    """A world that a CPU can learn, with a little of all that there is: nothing that is measured is missing in it."""
    return WorldConfig(
        nouns=(
            *("red panda", "dog", "horse", "cow", "elephant", "giraffe", "rabbit", "turtle", "duck", "penguin"),
            *("dinosaur", "butterfly", "car", "bus", "helicopter", "balloon", "apple", "doughnut", "candle"),
        ),
        places=("meadow", "beach", "desert", "mountains", "forest", "city", "farm"),
        motions=("still", "right", "left", "up", "down", "jump", "closer", "away", "spin", "sway"),
        cameras=("still", "pan right", "pan left", "zoom in", "zoom out"),
        lights=("day", "night"),
        weathers=("clear", "snow"),
        looks=("natural", "black-and-white film", "pencil", "neon"),
        events=("passes behind", "leaves and returns", "bites", "is lit"),
        counts=(1, 2, 3),
        plain_light=0.5,
        plain_weather=0.6,
        two_moves=0.15,
        two_motions=0.2,
        relation=0.12,
        several=0.15,
        event=0.2,
        colour=0.5,
        look=0.15,
        cut=0.1,
    )


def full() -> WorldConfig:
    """All that there is."""
    return WorldConfig(
        nouns=tuple(NOUNS),
        places=PLACES,
        motions=MOTIONS,
        cameras=CAMERAS,
        lights=LIGHTS,
        weathers=WEATHERS,
        looks=LOOKS,
        events=EVENTS,
        counts=(1, 2, 3, 4, 5),
        two_moves=0.25,
        two_motions=0.25,
        relation=0.15,
        several=0.18,
        event=0.22,
        colour=0.6,
        look=0.25,
        cut=0.12,
    )


def simple(config: WorldConfig) -> WorldConfig:
    """A config without all that is less usual: one thing, one motion, one camera move, and nothing happens."""
    return replace(config, **dict.fromkeys(LESS_USUAL, 0.0))  # type: ignore[arg-type]


CONFIGS = {"nano": nano, "full": full}
