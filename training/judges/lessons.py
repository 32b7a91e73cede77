# SPDX-License-Identifier: GPL-3.0-or-later
"""What the judge learns from: renders of the world, and crops in which a single thing stands before a piece of it.

Pictures are blurred, noisy and of changed colours now and then, as a generated clip may be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..scenes.config import CONFIGS, WorldConfig, nano
from ..scenes.draw import draw_scene
from ..scenes.mood import Mood
from ..scenes.nouns import NOUNS
from ..scenes.render import render
from ..scenes.scene import LIGHTS, WEATHERS, Scene
from ..scenes.sprites import premultiplied, shrunk, sprite
from ..scenes.take import SpriteMaker
from .nets import CROP, FRAME, MASK, NAMES, SCENERY, THUMB

Pixels = NDArray[np.uint8]
SHOWN = 3  # frames of each render
SHARING = 2  # scenes in one place
WHOLE = 256  # side at which looks are made: their lines and papers are not those of a small picture
COMMON = nano().nouns  # seen more often than the other nouns
TURNING = ("spin", "sway", "roll right", "roll left", "fall over", "flip")  # seen more often than other motions
SOFTEST = 96  # the reduction of a sprite from which crops are made


@dataclass(frozen=True)
class Views:
    """Frames (B * SHOWN, 3, FRAME, FRAME) in 0..1 and where things are in them (B * SHOWN, 2, MASK, MASK): seen or
    not, and each thing's share of their number; the facts of the scenery by name (B,)."""

    frames: Tensor
    where: Tensor
    facts: dict[str, Tensor]
    pixels: Pixels


def config_of(world: str) -> WorldConfig:
    """A world's config, its rarer things somewhat more frequent."""
    config = CONFIGS[world]()
    more = tuple(m for m in TURNING if m in config.motions)
    config = replace(config, motions=(*config.motions, *more, *more))
    return replace(config, relation=0.2, several=0.25, event=0.5, look=0.3, cut=0.0)


def moved(scene: Scene, to: Scene) -> Scene:
    """The scene where and when another happens; its event, which may need another prop there, stays."""
    first, there = scene.shots[0], to.shots[0]
    if first.event is not None:
        return scene
    shot = replace(first, place=there.place, light=there.light, weather=there.weather, variant=there.variant)
    return replace(scene, shots=(shot, *scene.shots[1:]))


def views(rng: np.random.Generator, worlds: dict[str, float], clips: int, split: str = "any") -> Views:
    """Render SHOWN frames of each of some scenes."""
    names, odds = list(worlds), np.array(list(worlds.values()))
    videos, where = [], []
    scenes: list[Scene] = []
    for i in range(clips):
        if i % SHARING == 0:
            config = config_of(names[int(rng.choice(len(names), p=odds / odds.sum()))])
        scene = draw_scene(int(rng.integers(2**40)), config, split)
        if split == "any" and i % SHARING:  # painting a place takes longest: some scenes happen in the same
            scene = moved(scene, scenes[i - i % SHARING])
        side = FRAME if scene.look == "natural" else WHOLE
        video, truth = render(scene, side, side, SHOWN, 1.0)
        videos.append(np.stack([cv2.resize(f, (FRAME, FRAME), interpolation=cv2.INTER_AREA) for f in video]))
        scenes.append(scene)
        where.append(places_of_things(truth))
    pixels = np.stack(videos)
    frames = torch.from_numpy(pixels).flatten(0, 1).permute(0, 3, 1, 2).float() / 255
    return Views(frames, torch.from_numpy(np.concatenate(where)), facts_of(scenes), pixels)


def places_of_things(truth: object) -> NDArray[np.float32]:
    """(F, 2, MASK, MASK): how much of each cell things cover, and each thing's share of their number there."""
    out = []
    for shot in truth.shots:  # type: ignore[attr-defined]
        cells = np.zeros((shot.frames, 2, MASK, MASK), np.float32)
        for n in range(len(shot.instances)):
            mask = _reduced(shot.mask(n).astype(np.float32))
            area = mask.sum((1, 2), keepdims=True)
            cells[:, 0] = np.maximum(cells[:, 0], mask)
            cells[:, 1] += np.where(area > 6, mask / np.maximum(area, 1e-6), 0)
        out.append(cells)
    return np.concatenate(out)


def _reduced(mask: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.stack([cv2.resize(m, (MASK, MASK), interpolation=cv2.INTER_AREA) for m in mask])


def facts_of(scenes: Sequence[Scene]) -> dict[str, Tensor]:
    """The scenery's class numbers by name (B,)."""
    values = [
        {"place": s.shots[0].place, "light": s.shots[0].light, "weather": s.shots[0].weather, "look": s.look}
        for s in scenes
    ]
    return {name: torch.tensor([NAMES[name].index(v[name]) for v in values]) for name in SCENERY}


def thumbs(frames: Tensor, clips: int) -> Tensor:
    """The mean picture of each clip, (B * F, 3, H, W) to (B, 3, THUMB, THUMB)."""
    mean = frames.unflatten(0, (clips, -1)).mean(1)
    return F.interpolate(mean, size=(THUMB, THUMB), mode="area")


@lru_cache(maxsize=1024)
def _small_sprite(noun: str, colour: str | None, make: SpriteMaker) -> Pixels:
    """A sprite of SOFTEST pixels' side, premultiplied."""
    return shrunk(premultiplied(make(noun, colour)), SOFTEST)


@dataclass(frozen=True)
class Crops:
    """Crops (B, 3, CROP, CROP) in 0..1 of one thing each, its noun and its colour (B,), -1 for its own."""

    pixels: Tensor
    noun: Tensor
    colour: Tensor


def crops(rng: np.random.Generator, backgrounds: Pixels, count: int, make: SpriteMaker = sprite) -> Crops:
    """Put things before pieces of rendered frames, ``backgrounds`` (N, F, H, W, 3)."""
    out = np.empty((count, CROP, CROP, 3), np.uint8)
    nouns, colours = [], []
    for i in range(count):
        options = COMMON if rng.random() < 0.6 else NAMES["noun"]
        noun = options[int(rng.integers(len(options)))]
        kinds = NOUNS[noun].colours
        colour = kinds[int(rng.integers(len(kinds)))] if kinds and rng.random() < 0.6 else None
        mood = Mood(LIGHTS[int(rng.integers(3))], WEATHERS[int(rng.integers(4))])
        thing = mood.tint(_small_sprite(noun, colour, make), 1.0, actor=True)
        out[i] = _background(rng, backgrounds)
        _put(out[i], thing, _pose(rng, NOUNS[noun].faces == "left", noun == "butterfly"))
        _let_fall(rng, out[i])
        nouns.append(NAMES["noun"].index(noun))
        colours.append(-1 if colour is None else NAMES["colour"].index(colour))
    pixels = torch.from_numpy(out).permute(0, 3, 1, 2).float() / 255
    return Crops(pixels, torch.tensor(nouns), torch.tensor(colours))


def _background(rng: np.random.Generator, frames: Pixels) -> Pixels:
    """A piece of a frame."""
    frame = frames[int(rng.integers(len(frames))), int(rng.integers(frames.shape[1]))]
    side = int(rng.integers(36, FRAME))
    y, x = (int(v) for v in rng.integers(0, FRAME - side + 1, 2))
    return cv2.resize(frame[y : y + side, x : x + side], (CROP, CROP), interpolation=cv2.INTER_LINEAR)


def _pose(rng: np.random.Generator, mirrors: bool, flaps: bool) -> NDArray[np.float64]:
    """From pixels of the small sprite to the crop: (2, 3)."""
    angle = np.deg2rad(rng.uniform(-180, 180) if rng.random() < 0.3 else rng.normal(0, 7))
    size = rng.uniform(0.62, 1.02) * CROP / SOFTEST
    wide = size * (rng.uniform(0.4, 1.0) if flaps else rng.uniform(0.92, 1.08))
    flip = -1.0 if mirrors and rng.random() < 0.5 else 1.0
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[c * wide * flip, -s * size], [s * wide * flip, c * size]])
    middle = CROP / 2 + rng.normal(0, 0.045, 2) * CROP
    return np.concatenate([turn, (middle - turn @ [SOFTEST / 2, SOFTEST / 2])[:, None]], 1)


def _put(picture: Pixels, thing: Pixels, matrix: NDArray[np.float64]) -> None:
    """Draw a premultiplied picture into another."""
    drawn = cv2.warpAffine(thing, matrix, (CROP, CROP), flags=cv2.INTER_AREA)
    rest = (255 - drawn[..., 3:]).astype(np.uint16)
    picture[:] = np.minimum(drawn[..., :3] + (picture * rest + 127) // 255, 255).astype(np.uint8)


def _let_fall(rng: np.random.Generator, picture: Pixels) -> None:
    """Snow or rain before the thing, now and then."""
    kind, bright = rng.random(), float(rng.uniform(0.7, 1.0))
    if kind > 0.4:
        return
    for x, y in (rng.random((int(rng.integers(6, 18)), 2)) * CROP * 16).astype(int).tolist():
        if kind < 0.28:
            shade = int(255 * bright)
            radius = int(rng.uniform(0.6, 1.8) * 16)
            cv2.circle(picture, (x, y), radius, (shade, shade, shade), -1, cv2.LINE_AA, 4)
        else:
            down = int(rng.uniform(5, 12) * 16)
            cv2.line(picture, (x, y), (x - down // 5, y + down), (int(205 * bright),) * 3, 1, cv2.LINE_AA, 4)


def disturb(pictures: Tensor, rng: np.random.Generator) -> Tensor:
    """Soften and add noise, all of a batch alike."""
    out = pictures
    if rng.random() < 0.6:
        side = int(rng.integers(max(14, pictures.shape[-1] * 2 // 5), pictures.shape[-1]))
        small = F.interpolate(pictures, size=(side, side), mode="area")
        out = F.interpolate(small, size=pictures.shape[-2:], mode="bilinear")
    return (out + float(rng.uniform(0, 0.05)) * torch.randn_like(out)).clamp(0, 1)


def recolour(pictures: Tensor, rng: np.random.Generator, strength: float) -> Tensor:
    """Mix each picture's channels a little at random and bend its tones."""
    count = len(pictures)
    mixed = torch.from_numpy(rng.dirichlet((1.0, 1.0, 1.0), (count, 3))).float()
    weights = torch.lerp(torch.eye(3).expand(count, 3, 3), mixed, strength)
    bend = torch.from_numpy(np.exp(rng.uniform(-0.5, 0.5, (count, 1, 1, 1)) * strength)).float()
    return torch.einsum("bij,bjhw->bihw", weights, pictures).clamp(1e-3, 1) ** bend


def grey(pictures: Tensor, rng: np.random.Generator | None = None) -> Tensor:
    """One channel; with ``rng`` of randomly weighted colours, some of them negatives."""
    if rng is None:
        return pictures.mean(1, keepdim=True)
    count = len(pictures)
    weights = torch.from_numpy(rng.dirichlet((1.0, 1.0, 1.0), count)).float()
    out = torch.einsum("bj,bjhw->bhw", weights, pictures)[:, None]
    bend = torch.from_numpy(np.exp(rng.uniform(-0.6, 0.6, (count, 1, 1, 1)))).float()
    out = out.clamp(1e-3, 1) ** bend
    negative = torch.from_numpy(rng.random((count, 1, 1, 1)) < 0.3)
    return torch.where(negative, 1 - out, out)
