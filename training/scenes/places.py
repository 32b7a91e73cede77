# SPDX-License-Identifier: GPL-3.0-or-later
"""The places of the scene world as parallax layers, composed natively for any width and height."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from .canvas import Layer
from .mood import Mood
from .places_country import beach, desert, farm, lake, meadow, mountains
from .places_indoors import kitchen, living_room
from .places_town import castle, city, forest, jungle, park, playground
from .scene import INDOORS, PLACES
from .stage import Stage

Painter = Callable[[Stage, np.random.Generator], None]

PAINTERS: dict[str, Painter] = {
    "meadow": meadow,
    "beach": beach,
    "desert": desert,
    "mountains": mountains,
    "forest": forest,
    "city": city,
    "farm": farm,
    "lake": lake,
    "jungle": jungle,
    "castle": castle,
    "park": park,
    "playground": playground,
    "kitchen": kitchen,
    "living room": living_room,
}
FLOORS = {"lake": 0.90, "kitchen": 0.89, "living room": 0.90}  # where feet stand, as a fraction of the height
FLOOR = 0.875
VARIANTS = 24


def floor(place: str) -> float:
    """The height at which actors stand in a place, as a fraction of the frame's height from above."""
    return FLOORS.get(place, FLOOR)


def mood(place: str, light: str, weather: str) -> Mood:
    """How actors look in a place; rooms keep the weather out."""
    return Mood(light, weather, place in INDOORS)


@lru_cache(maxsize=24)
def layers(place: str, light: str, weather: str, variant: int, width: int, height: int) -> tuple[Layer, ...]:
    """Paint a place from the farthest layer to the nearest; the same arguments give the same pictures."""
    stage = Stage(width, height, Mood(light, weather))
    PAINTERS[place](stage, np.random.default_rng([variant, PLACES.index(place)]))
    return stage.finish()
