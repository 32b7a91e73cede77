# SPDX-License-Identifier: GPL-3.0-or-later
"""Light and weather as a change of colours: what a painted colour becomes at sunset, at night, in rain, snow or fog."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Colour = tuple[float, float, float]  # red, green, blue in 0..1
Picture = NDArray[np.uint8]  # (H, W, 4) RGBA

# Sky from top to horizon, by weather and light; the middle stop is at half of the way down.
SKIES: dict[str, dict[str, tuple[Colour, Colour, Colour]]] = {
    "clear": {
        "day": ((0.30, 0.60, 0.95), (0.52, 0.77, 0.98), (0.84, 0.94, 1.0)),
        "sunset": ((0.36, 0.27, 0.55), (0.92, 0.46, 0.40), (1.0, 0.80, 0.42)),
        "night": ((0.02, 0.03, 0.13), (0.06, 0.08, 0.24), (0.16, 0.19, 0.40)),
    },
    "rain": {
        "day": ((0.40, 0.45, 0.52), (0.54, 0.59, 0.65), (0.70, 0.74, 0.78)),
        "sunset": ((0.32, 0.26, 0.38), (0.66, 0.40, 0.38), (0.90, 0.62, 0.42)),
        "night": ((0.03, 0.04, 0.09), (0.07, 0.08, 0.15), (0.14, 0.16, 0.24)),
    },
    "snow": {
        "day": ((0.60, 0.67, 0.77), (0.73, 0.79, 0.86), (0.87, 0.90, 0.94)),
        "sunset": ((0.48, 0.38, 0.58), (0.90, 0.58, 0.52), (1.0, 0.82, 0.60)),
        "night": ((0.06, 0.08, 0.18), (0.12, 0.15, 0.28), (0.24, 0.28, 0.42)),
    },
    "fog": {
        "day": ((0.74, 0.77, 0.80), (0.81, 0.83, 0.85), (0.87, 0.88, 0.89)),
        "sunset": ((0.66, 0.54, 0.56), (0.88, 0.66, 0.54), (0.98, 0.80, 0.62)),
        "night": ((0.10, 0.12, 0.17), (0.17, 0.19, 0.25), (0.25, 0.28, 0.34)),
    },
}
FOG: dict[str, Colour] = {"day": (0.86, 0.88, 0.89), "sunset": (0.96, 0.77, 0.60), "night": (0.24, 0.27, 0.33)}
SNOW: Colour = (0.94, 0.96, 1.0)
# Light: factors and offsets of scenery, and of actors, which stay easier to see.
_LIGHT: dict[str, tuple[Colour, Colour]] = {
    "day": ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0)),
    "sunset": ((0.86, 0.66, 0.58), (0.10, 0.03, 0.02)),
    "night": ((0.27, 0.31, 0.46), (0.01, 0.02, 0.06)),
}
_ACTOR_LIGHT: dict[str, tuple[Colour, Colour]] = {
    "day": ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0)),
    "sunset": ((0.97, 0.86, 0.76), (0.03, 0.0, 0.0)),
    "night": ((0.58, 0.61, 0.74), (0.0, 0.0, 0.03)),
}
# Rooms are lit by lamps, and the weather stays outside.
_ROOM_LIGHT: dict[str, tuple[Colour, Colour]] = {
    "day": ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0)),
    "sunset": ((0.98, 0.80, 0.66), (0.04, 0.01, 0.0)),
    "night": ((0.56, 0.50, 0.50), (0.02, 0.01, 0.02)),
}
_GREYING = {"clear": 0.0, "rain": 0.35, "snow": 0.20, "fog": 0.30}
_DIMMING = {"clear": 1.0, "rain": 0.80, "snow": 0.97, "fog": 1.0}


@dataclass(frozen=True)
class Mood:
    """The light and the weather of a shot."""

    light: str
    weather: str
    indoors: bool = False

    @property
    def sky(self) -> tuple[Colour, Colour, Colour]:
        """The sky's colours from the top to the horizon."""
        return SKIES[self.weather][self.light]

    @property
    def fog(self) -> Colour:
        """What distance fades into in fog."""
        return FOG[self.light]

    def veil(self, depth: float) -> float:
        """How much of a thing at ``depth`` (1 is the actors' plane) fog hides."""
        return float(np.clip(0.97 - 0.78 * depth, 0.04, 0.95)) if self.weather == "fog" else 0.0

    def matrix(self, depth: float, actor: bool = False, snowed: float = 0.0) -> NDArray[np.float32]:
        """What happens to colours as (3, 4): rgb in 0..1 with a 1 appended to rgb.

        ``snowed`` is how much of it lies under snow when it snows.
        """
        return _matrix(self, depth, actor, snowed)

    def tone(self, colour: Colour, depth: float, snowed: float = 0.0) -> Colour:
        """What a painted colour becomes."""
        r, g, b = (self.matrix(depth, snowed=snowed) @ np.array((*colour, 1.0))).tolist()
        return min(max(r, 0.0), 1.0), min(max(g, 0.0), 1.0), min(max(b, 0.0), 1.0)

    def tint(
        self, pixels: NDArray[np.uint8], depth: float, actor: bool = False, snowed: float = 0.0
    ) -> NDArray[np.uint8]:
        """Return a picture of premultiplied alpha (H, W, 4) with its colours changed."""
        if actor and self.light == "day" and (self.weather == "clear" or self.indoors):
            return pixels
        matrix = np.concatenate([self.matrix(depth, actor, snowed), [[0, 0, 0, 1]]]).astype(np.float32)
        return np.asarray(cv2.transform(pixels, matrix), np.uint8)


@lru_cache(maxsize=1024)
def _matrix(mood: Mood, depth: float, actor: bool, snowed: float) -> NDArray[np.float32]:
    gain, lift = (_ACTOR_LIGHT if actor else _ROOM_LIGHT if mood.indoors else _LIGHT)[mood.light]
    if mood.indoors:
        return np.concatenate([np.diag(gain), np.asarray(lift)[:, None]], 1).astype(np.float32)
    grey = _GREYING[mood.weather] * (0.3 if actor else 1.0)
    colour = np.zeros((4, 4))
    colour[:3, :3] = (1 - grey) * np.eye(3) + grey * np.array([[0.3, 0.59, 0.11]] * 3)
    colour[:3, :3] *= 1.0 if actor else _DIMMING[mood.weather]
    colour[3, 3] = 1
    white = snowed if mood.weather == "snow" else 0.0
    cover = np.eye(4)
    cover[:3, :3] *= 1 - white
    cover[:3, 3] = white * np.asarray(SNOW)
    lit = np.eye(4)
    lit[:3, :3] = np.diag(gain)
    lit[:3, 3] = lift
    haze = np.eye(4)
    veil = mood.veil(depth) * (0.5 if actor else 1.0)
    haze[:3, :3] *= 1 - veil
    haze[:3, 3] = veil * np.asarray(mood.fog)
    return np.ascontiguousarray((haze @ lit @ cover @ colour)[:3], np.float32)
