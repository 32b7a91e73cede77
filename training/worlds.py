# SPDX-License-Identifier: GPL-3.0-or-later
"""Where rendered training clips come from: the scene world, a little of everything ("nano") or all ("full").

One function films a clip with its captions; latents and training need no more of a world.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .scenes import captions
from .scenes.config import CONFIGS
from .scenes.draw import draw_scene
from .scenes.render import render
from .scenes.scene import Scene
from .settings import SettingError

Texts = dict[str, list[str]]  # captions of the "clip" and, where there are any, of its first "image"
WORLDS = tuple(CONFIGS)
CAPTIONS = 8  # of each clip; half as many of its first frame


@dataclass(frozen=True)
class Footage:
    """A clip (F, H, W, 3) uint8, where something moves in it (F, H, W) uint8, 0..255, and its captions."""

    video: NDArray[np.uint8]
    cover: NDArray[np.uint8]
    texts: Texts


def scene_of(world: str, seed: int, split: str) -> Scene:
    """The scene of a seed; ``split`` is "train", "held out", whose combinations are never trained, or "any"."""
    return draw_scene(seed, CONFIGS[world](), split)


def film(world: str, seed: int, split: str, width: int, height: int, frames: int, fps: float) -> Footage:
    """Render the scene of a seed with its captions; ``split`` as for :func:`scene_of`."""
    rng, scene = np.random.default_rng([seed, 3]), scene_of(world, seed, split)
    video, truth = render(scene, width, height, frames, fps)
    clip = [captions.caption(scene, rng).text for _ in range(CAPTIONS)]
    languages = ["zh" if rng.random() < captions.CHINESE else "en" for _ in range(CAPTIONS // 2)]
    image = [captions.image_caption(scene, rng, language) for language in languages]
    return Footage(video, truth.cover, {"clip": clip, "image": image})


def check_world(name: str, where: str) -> None:
    """Raise SettingError if the setting ``where`` names no world."""
    if name not in WORLDS:
        raise SettingError(f"{where} = {name!r}: must be one of {', '.join(WORLDS)}")
