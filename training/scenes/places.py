# SPDX-License-Identifier: GPL-3.0-or-later
"""The places of the scene world as parallax layers, composed natively for any width and height."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
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
    return _trimmed(stage.finish(), width, height)


def _trimmed(painted: tuple[Layer, ...], width: int, height: int) -> tuple[Layer, ...]:
    """Cut off what nearer layers always hide, however the camera moves: it need not be drawn."""
    bottom, out = np.inf, []
    window: tuple[float, float, float] | None = None  # left, right and bottom of the holes in a wall
    for layer in reversed(painted):
        slack = (1 - layer.depth) * 0.18 * height + 0.025 * width + 4
        limit = bottom + slack
        if window is not None:
            reach = 0.24 * width
            limit = min(limit, window[2] + 0.2 * height)
            layer = _cut(layer, layer.top, limit, window[0] - reach, window[1] + reach)
        elif layer.depth <= 1:
            layer = _cut(layer, layer.top, limit, layer.left, layer.left + layer.image.shape[1])
        out.append(layer)
        if layer.depth <= 1 and not layer.opaque:
            bottom = min(bottom, layer.top + layer.solid)
        if layer.clips_weather:
            holes = np.nonzero(layer.image[..., 3] == 0)
            window = (layer.left + holes[1].min(), layer.left + holes[1].max(), layer.top + holes[0].max())
    return tuple(reversed(out))


def _cut(layer: Layer, top: float, bottom: float, left: float, right: float) -> Layer:
    """The part of a layer between these places of the frame."""
    rows = slice(max(0, int(top - layer.top)), max(1, int(min(bottom - layer.top, layer.image.shape[0]))))
    columns = slice(max(0, int(left - layer.left)), max(1, int(min(right - layer.left, layer.image.shape[1]))))
    image = np.ascontiguousarray(layer.image[rows, columns])
    solid = min(max(layer.solid - rows.start, 0), image.shape[0])
    return replace(layer, image=image, left=layer.left + columns.start, top=layer.top + rows.start, solid=solid)
