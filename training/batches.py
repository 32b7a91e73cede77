# SPDX-License-Identifier: GPL-3.0-or-later
"""Batches for the transformer: clips of one shape and frame rate at a time (a bucket), about equally much work each.

Sizes and lengths follow the run's stages, small and short first; images (one frame), and clips of a length that none
has, are the beginnings of longer ones. Native sizes: each shape has buckets of its own, nothing is cropped or padded
but for close-ups, if they are asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..models.text import Tokenizer
from .latents import Clips, Texts
from .noise import Plan, plan
from .scenes.captions import misspell
from .settings import Stage, TrainDiT

PIXELS = 16  # along one side of a latent position
CLOSE = 10  # latent positions along one side of a close-up
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Batch:
    """Latents (B, C, T, h, w) of one shape and what goes with them; ``weight`` (B, 1, T, h, w) has mean 1."""

    x: Tensor
    weight: Tensor
    plan: Plan
    ids: Tensor
    fps: float

    @property
    def tokens(self) -> int:
        """Tokens of the transformer."""
        return self.x[:, 0].numel() // 4

    def to(self, device: torch.device) -> Batch:
        """Bring everything to a device."""
        noise = Plan(self.plan.told.to(device), self.plan.level.to(device))
        return Batch(self.x.to(device), self.weight.to(device), noise, self.ids.to(device), self.fps)


def stage_at(stages: tuple[Stage, ...], progress: float) -> Stage:
    """The stage at a moment of the run, interpolated between the two around it."""
    after = next((i for i, s in enumerate(stages) if s.at >= progress), len(stages) - 1)
    a, b = stages[max(0, after - 1)], stages[after]
    share = min(1.0, max(0.0, (progress - a.at) / (b.at - a.at))) if b.at > a.at else 1.0
    names = dict.fromkeys([*a.frames, *b.frames])
    frames = {n: (1 - share) * a.frames.get(n, 0.0) + share * b.frames.get(n, 0.0) for n in names}
    return Stage(progress, (1 - share) * a.side + share * b.side, frames)


def clips_in(tokens: int, shape: Shape, dim: int) -> int:
    """How many clips of a shape make a batch of ``tokens``; fewer where long clips make attention dear."""
    each = shape[0] * shape[1] * shape[2] // 4
    return max(1, round(tokens / (each * (1 + each / (6 * dim)))))


def close_ups(x: Tensor, weight: Tensor, side: int = CLOSE) -> tuple[Tensor, Tensor]:
    """Cut latents (B, C, T, h, w) and loss weights (B, 1, T, h, w) to the square around what weighs more in a clip.

    The square has ``side`` positions, even, and begins with a whole token; around the middle where nothing weighs more.
    """
    both = torch.cat([x, weight], 1)
    moves = (weight > weight.amin((1, 2, 3, 4), keepdim=True)).float().sum((1, 2)) + 1e-3
    cut = []
    for clip, rows, columns in zip(both, moves.sum(2), moves.sum(1), strict=True):
        top, left = (_first(weights, side) for weights in (rows, columns))
        cut.append(clip[..., top : top + side, left : left + side])
    near = torch.stack(cut)
    return near[:, :-1], near[:, -1:] / near[:, -1:].mean()


def _first(weights: Tensor, side: int) -> int:
    """Where a stretch of ``side`` of some positions begins whose middle is theirs, an even number."""
    middle = float((weights * torch.arange(len(weights))).sum() / weights.sum())
    return 2 * round(min(max(0.0, middle - (side - 1) / 2), len(weights) - side) / 2)


def how_often(texts: Texts, focus: Mapping[str, float]) -> float:
    """How often a clip is drawn: as the largest weight says among the words that one of its captions has, or 1."""
    return max((weight for word, weight in focus.items() if has_word(texts, word)), default=1.0)


def has_word(texts: Texts, word: str) -> bool:
    """Whether one of a clip's captions has a whole word, or several in their order, in capitals or not."""
    captions = (caption for kind in texts.values() for caption in kind)
    return any(re.search(rf"\b{re.escape(word)}\b", caption, re.IGNORECASE) for caption in captions)


class Batches:
    """Random batches from opened latents."""

    def __init__(self, clips: dict[Shape, Clips], tokenizer: Tokenizer, options: TrainDiT, dim: int) -> None:
        """``dim`` is the transformer's width: it tells how much attention weighs in a clip's work."""
        self.tokenizer, self.options, self.dim = tokenizer, options, dim
        self.open(clips)

    def open(self, clips: dict[Shape, Clips]) -> None:
        """Draw from these clips from now on."""
        self.clips = clips
        focus = self.options.focus
        self.odds = {shape: np.array([how_often(t, focus) for t in c.texts]) for shape, c in clips.items()}

    def unknown_focus(self) -> list[str]:
        """The words of focus that no caption has."""
        texts = [t for clips in self.clips.values() for t in clips.texts]
        return [word for word in self.options.focus if not any(has_word(t, word) for t in texts)]

    def draw(self, rng: np.random.Generator, progress: float) -> Batch:
        """A batch for this moment of the run."""
        shape, frames = self.bucket(rng, progress)
        clips = self.clips[shape]
        fps = float(clips.fps[rng.integers(len(clips))])
        same = np.flatnonzero(clips.fps == fps)
        near = self.options.close > 0 and min(shape[1:]) > CLOSE and rng.random() < self.options.close
        odds = self.odds[shape][same]
        size = self.size((frames, CLOSE, CLOSE) if near else (frames, *shape[1:]))
        chosen = rng.choice(same, size, p=odds / odds.sum())
        x, weight = self.read(clips, chosen, frames)
        if near:
            x, weight = close_ups(x, weight)
        noise = plan(len(x), frames, x.shape[3], x.shape[4], rng, self.options.noise)
        ids = self.tokenizer.batch([self.words(clips, int(i), frames, rng) for i in chosen])
        return Batch(x, weight, noise, ids, fps)

    def bucket(self, rng: np.random.Generator, progress: float) -> tuple[Shape, int]:
        """The shape of the clips to draw from, and how many of their latent frames to take."""
        stage = stage_at(self.options.stages, progress)
        longest = max(s[0] for s in self.clips)
        odds = {int(n): share for n, share in stage.frames.items() if int(n) <= longest and share > 0} or {1: 1.0}
        frames = int(rng.choice(list(odds), p=np.array(list(odds.values())) / sum(odds.values())))
        shapes = [s for s in sorted(self.clips) if s[0] >= frames]
        if frames > 1:  # of what happens in a longer clip, its beginning may show half
            length = min(s[0] for s in shapes)
            shapes = [s for s in shapes if s[0] == length]
        smallest = min(h * w for _, h, w in shapes)
        limit = max((stage.side / PIXELS) ** 2, smallest)
        shapes = [s for s in shapes if s[1] * s[2] <= limit]
        counts = np.array([len(self.clips[s]) for s in shapes], float)
        return shapes[int(rng.choice(len(shapes), p=counts / counts.sum()))], frames

    def size(self, shape: Shape) -> int:
        """Clips in a batch."""
        return clips_in(self.options.tokens, shape, self.dim)

    def read(self, clips: Clips, chosen: NDArray[np.int64], frames: int) -> tuple[Tensor, Tensor]:
        """Latents (B, C, T, h, w) and loss weights (B, 1, T, h, w) of mean 1, larger where something moves."""
        pairs = [clips.read(int(i), frames) for i in chosen]
        x = torch.stack([latent for latent, _ in pairs]).float()
        cover = torch.stack([c for _, c in pairs])[:, None].float()
        weight = 1 + self.options.emphasis * (cover > 0.02)
        return x, weight / weight.mean()

    def words(self, clips: Clips, index: int, frames: int, rng: np.random.Generator) -> str:
        """A caption, now and then none; now and then a word is misspelt so that letters are learnt."""
        if rng.random() < self.options.dropped_text:
            return ""
        texts = clips.texts[index]
        short = self.options.short > 0 and rng.random() < self.options.short
        options = (texts.get("image") if frames == 1 or short else None) or texts["clip"]
        if short and "image" not in texts:
            options = [min(options, key=len)]
        return misspell(options[int(rng.integers(len(options)))], rng, self.options.misspelt)
