# SPDX-License-Identifier: GPL-3.0-or-later
"""Where rendered training clips come from: the first, small world (world.py), or scenes/, narrow or in full.

One function films a clip with its captions and one names the words; latents and training need no more of a world.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import captions as first_captions
from . import world as first
from .scenes import captions, config, draw, render
from .scenes.words.vocabulary import vocabulary

Texts = dict[str, list[str]]  # captions of the "clip" and, where there are any, of its first "image"
WORLDS = ("first", *config.CONFIGS)
CAPTIONS = 8  # of each clip; half as many of its first frame


@dataclass(frozen=True)
class Footage:
    """A clip (F, H, W, 3) uint8, where something moves in it (F, H, W) uint8, 0..255, and its captions."""

    video: NDArray[np.uint8]
    cover: NDArray[np.uint8]
    texts: Texts


def picture(
    world: str, seed: int, split: str, width: int, height: int, frames: int, fps: float
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A clip and where something moves in it, as :func:`film`, without captions."""
    if world == "first":
        return first.render(first.draw_scene(seed, split), width, height, frames, fps)
    drawn = draw.draw_scene(seed, config.CONFIGS[world](), split)
    video, truth = render.render(drawn, width, height, frames, fps)
    return video, truth.cover


def film(world: str, seed: int, split: str, width: int, height: int, frames: int, fps: float) -> Footage:
    """Render the scene of a seed; ``split`` is "train" or "held out", whose combinations are never trained."""
    rng = np.random.default_rng([seed, 3])
    if world == "first":
        scene = first.draw_scene(seed, split)
        clip = [first_captions.caption(scene, rng) for _ in range(CAPTIONS)]
        image = [first_captions.image_caption(scene, rng) for _ in range(CAPTIONS // 2)]
        return Footage(*first.render(scene, width, height, frames, fps), {"clip": clip, "image": image})
    drawn = draw.draw_scene(seed, config.CONFIGS[world](), split)
    video, truth = render.render(drawn, width, height, frames, fps)
    clip = [captions.caption(drawn, rng).text for _ in range(CAPTIONS)]
    languages = ["zh" if rng.random() < 0.25 else "en" for _ in range(CAPTIONS // 2)]
    image = [captions.image_caption(drawn, rng, language) for language in languages]
    return Footage(video, truth.cover, {"clip": clip, "image": image})


def words(world: str) -> tuple[str, ...]:
    """The pieces of a world's captions, for the text encoder."""
    return first_captions.vocabulary() if world == "first" else vocabulary()
