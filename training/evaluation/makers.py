# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes clips for prompts: a checkpoint, the world itself, and what must not satisfy a judge.

A maker is anything that turns prompts into clips; all of them are asked and judged by the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...models.flow import guided, sample, schedule, token_shift
from ...models.vae import TIME, to_video
from ..generator import Generator
from ..scenes.config import WorldConfig
from ..scenes.nouns import NOUNS
from ..scenes.render import render, split
from ..scenes.scene import Scene
from ..scenes.sprites import Picture, blob, sprite
from ..scenes.take import SpriteMaker
from .prompts import Prompt

Frames = NDArray[np.uint8]
Change = Callable[[Scene, np.random.Generator, WorldConfig], Scene]


class Maker(Protocol):
    """Makes a clip (F, H, W, 3) uint8 for every prompt, in their order."""

    def __call__(self, prompts: Sequence[Prompt]) -> Iterator[Frames]:
        """Yield the clips."""


@dataclass
class Renders:
    """The scenes themselves: the ceiling of every row. ``make`` draws other pictures of the things."""

    make: SpriteMaker = sprite

    def __call__(self, prompts: Sequence[Prompt]) -> Iterator[Frames]:
        """Yield the clips."""
        for p in prompts:
            yield render(p.scene, p.width, p.height, p.frames, p.fps, self.make)[0]


@dataclass
class Model:
    """A checkpoint: it sees the prompts' texts and nothing else."""

    generator: Generator
    steps: int = 8
    guidance: float = 4.0
    batch: int = 4

    def __call__(self, prompts: Sequence[Prompt]) -> Iterator[Frames]:
        """Yield the clips."""
        for (width, height, frames, fps), group in groupby(prompts, lambda p: (p.width, p.height, p.frames, p.fps)):
            same = list(group)
            space = self.generator.vae.config.space
            shape = ((frames - 1) // TIME + 1, height // space, width // space)
            for first in range(0, len(same), self.batch):
                part = same[first : first + self.batch]
                texts = [p.text for p in part]
                latents = self.generator.latents(texts, shape, part[0].seed, self.steps, self.guidance, fps)
                yield from self.generator.frames(latents)

    def encode(self, frames: Frames) -> Tensor:
        """The latent (1, C, T, h, w) of frames (F, H, W, 3) uint8."""
        vae = self.generator.vae
        return vae.encode(to_video(frames).to(next(vae.parameters()).dtype)).float()

    @torch.inference_mode()
    def fill(
        self, prompts: Sequence[Prompt], known: Tensor, mask: Tensor, turn: int = 0, guidance: float | None = None
    ) -> Tensor:
        """Latents (B, C, T, h, w) that are ``known`` where ``mask`` (B, 1, T, h, w) is 0, and made for prompts of one
        frame rate elsewhere; ``turn`` gives other noise to the next part of a clip, ``guidance`` is another one."""
        own, fps = self.generator, prompts[0].fps
        positive, negative = own.states([p.text for p in prompts])
        seeds = [torch.Generator().manual_seed(p.seed + turn) for p in prompts]
        noise = torch.cat([torch.randn(1, *known.shape[1:], generator=seed) for seed in seeds])

        def denoise(x: Tensor, t: Tensor, text: Tensor) -> Tensor:
            return own.dit(x, t, text, fps)

        sigmas = schedule(self.steps, token_shift(known[0, 0].numel() // 4))
        velocity = guided(denoise, positive, negative, self.guidance if guidance is None else guidance)
        return sample(velocity, noise, sigmas, known, mask)


@dataclass
class Others:
    """Renders of other prompts' scenes."""

    def __call__(self, prompts: Sequence[Prompt]) -> Iterator[Frames]:
        """Yield the clips."""
        for p, after in zip(prompts, [*prompts[1:], *prompts[:1]], strict=True):
            yield render(after.scene, p.width, p.height, p.frames, p.fps)[0]


@dataclass
class Shuffled:
    """Clips with their frames in a random order."""

    maker: Maker

    def __call__(self, prompts: Sequence[Prompt]) -> Iterator[Frames]:
        """Yield the clips."""
        for prompt, clip in zip(prompts, self.maker(prompts), strict=True):
            yield clip[np.random.default_rng(prompt.seed).permutation(len(clip))]


@dataclass
class Mirrored:
    """Clips with left and right exchanged."""

    maker: Maker

    def __call__(self, prompts: Sequence[Prompt]) -> Iterator[Frames]:
        """Yield the clips."""
        for clip in self.maker(prompts):
            yield np.ascontiguousarray(clip[:, :, ::-1])


@dataclass
class Undone:
    """Clips that are played forwards at double speed, and then backwards."""

    maker: Maker

    def __call__(self, prompts: Sequence[Prompt]) -> Iterator[Frames]:
        """Yield the clips."""
        for clip in self.maker(prompts):
            there = list(range(0, len(clip), 2))
            yield clip[[*there, *there[-2::-1]][: len(clip)]]


def nothing(noun: str, colour: str | None = None) -> Picture:
    """The picture of a thing that is not there."""
    return np.zeros_like(sprite(noun, colour))


def uneventful(scene: Scene) -> Scene:
    """The scene without its event: what stood stands, what went on its way goes it."""
    shot = scene.shots[0]
    actor = shot.actors[0]
    first = replace(actor, motions=actor.motions[:1] or ("still",))
    return replace(scene, shots=(replace(shot, actors=(first, *shot.actors[1:]), event=None), *scene.shots[1:]))


@dataclass
class Flickering:
    """Renders without the event in which the thing is missing in the middle frame."""

    def __call__(self, prompts: Sequence[Prompt]) -> Iterator[Frames]:
        """Yield the clips."""
        for p in prompts:
            clip, empty = _with_and_without(p)
            middle = p.frames // 2
            yield np.concatenate([clip[:middle], empty[middle : middle + 1], clip[middle + 1 :]])


@dataclass
class Vanishing:
    """Renders without the event in which the thing is gone from the middle on."""

    def __call__(self, prompts: Sequence[Prompt]) -> Iterator[Frames]:
        """Yield the clips."""
        for p in prompts:
            clip, empty = _with_and_without(p)
            yield np.concatenate([clip[: p.frames // 2], empty[p.frames // 2 :]])


def _with_and_without(p: Prompt) -> tuple[Frames, Frames]:
    """A prompt's clip without its event, and the same without the thing."""
    scene = uneventful(p.scene)
    one, two = (render(scene, p.width, p.height, p.frames, p.fps, make)[0] for make in (sprite, nothing))
    return one, two


@dataclass
class Elsewhere:
    """Renders without the event in which the thing stands on the other side from the middle on."""

    def __call__(self, prompts: Sequence[Prompt]) -> Iterator[Frames]:
        """Yield the clips."""
        for p in prompts:
            scene, clips = uneventful(p.scene), []
            for x in (-0.7, 0.7):
                actor = replace(scene.shots[0].actors[0], start=(x, 0.0))
                shot = replace(scene.shots[0], actors=(actor, *scene.shots[0].actors[1:]))
                moved = replace(scene, shots=(shot, *scene.shots[1:]))
                clips.append(render(moved, p.width, p.height, p.frames, p.fps)[0])
            yield np.concatenate([clips[0][: p.frames // 2], clips[1][p.frames // 2 :]])


@dataclass
class Chosen:
    """Clips by a maker that is chosen for each prompt."""

    choose: Callable[[Prompt], Maker]

    def __call__(self, prompts: Sequence[Prompt]) -> Iterator[Frames]:
        """Yield the clips."""
        for p in prompts:
            yield from self.choose(p)([p])


def in_turn(*makers: Maker) -> Chosen:
    """One of several makers for each prompt, by its seed."""
    return Chosen(lambda p: makers[p.seed % len(makers)])


@dataclass
class Changed:
    """Renders of scenes in which one thing is not as the prompt says."""

    change: Change
    world: WorldConfig

    def __call__(self, prompts: Sequence[Prompt]) -> Iterator[Frames]:
        """Yield the clips."""
        for p in prompts:
            other = self.change(p.scene, np.random.default_rng(p.seed), self.world)
            yield render(other, p.width, p.height, p.frames, p.fps)[0]


@dataclass
class Exchanged:
    """Renders in which another thing is seen from the middle, or the second shot, on."""

    world: WorldConfig

    def __call__(self, prompts: Sequence[Prompt]) -> Iterator[Frames]:
        """Yield the clips."""
        for p in prompts:
            other = other_noun(p.scene, np.random.default_rng(p.seed), self.world)
            shots = split(p.scene, p.frames)
            begin = shots[1][0] if len(shots) > 1 else p.frames // 2
            one, two = (render(s, p.width, p.height, p.frames, p.fps)[0] for s in (p.scene, other))
            yield np.concatenate([one[:begin], two[begin:]])


def blobs() -> Renders:
    """Renders whose things are blurred until only their colours are left."""
    return Renders(blob)


def _another(rng: np.random.Generator, options: Sequence[str], now: str) -> str:
    others = [o for o in options if o != now]
    return others[int(rng.integers(len(others)))]


def other_noun(scene: Scene, rng: np.random.Generator, world: WorldConfig) -> Scene:
    """The scene with another noun of the same way of getting about."""
    now = scene.shots[0].actors[0].noun
    alike = [n for n in world.nouns if NOUNS[n].gait == NOUNS[now].gait] if len(world.nouns) > 1 else []
    noun = _another(rng, alike if len(alike) > 1 else world.nouns, now)
    shots = tuple(replace(s, actors=(replace(s.actors[0], noun=noun, colour=None), *s.actors[1:])) for s in scene.shots)
    return replace(scene, shots=shots)


def other(kind: str) -> Change:
    """A change of a shot's place, light or weather."""

    def change(scene: Scene, rng: np.random.Generator, world: WorldConfig) -> Scene:
        options = getattr(world, {"place": "places", "light": "lights", "weather": "weathers"}[kind])
        word: dict[str, Any] = {kind: _another(rng, options, getattr(scene.shots[0], kind))}
        return replace(scene, shots=tuple(replace(s, **word) for s in scene.shots))

    return change


def other_look(scene: Scene, rng: np.random.Generator, world: WorldConfig) -> Scene:
    """The scene in another look."""
    return replace(scene, look=_another(rng, world.looks, scene.look))


def other_colour(scene: Scene, rng: np.random.Generator, world: WorldConfig) -> Scene:
    """The scene with its thing in another colour."""
    actor = scene.shots[0].actors[0]
    colour = _another(rng, actor.kind.colours, actor.colour or "")
    shot = replace(scene.shots[0], actors=(replace(actor, colour=colour), *scene.shots[0].actors[1:]))
    return replace(scene, shots=(shot, *scene.shots[1:]))


def other_count(scene: Scene, rng: np.random.Generator, world: WorldConfig) -> Scene:
    """The scene with another number of its thing."""
    actor = scene.shots[0].actors[0]
    others = [n for n in world.counts if n != actor.count]
    actor = replace(actor, count=others[int(rng.integers(len(others)))])
    shot = replace(scene.shots[0], actors=(actor, *scene.shots[0].actors[1:]))
    return replace(scene, shots=(shot, *scene.shots[1:]))
