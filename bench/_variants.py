# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways to train the transformer that are not the trainer's own: what ``./spacetime bench ablations`` compares."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..models import dit as transformer
from ..models.dit import DiTConfig
from ..models.flow import add_noise
from ..models.text import TextConfig
from ..training import noise as plans
from ..training.batches import Batches
from ..training.latents import Clips
from ..training.noise import Plan, base_timestep
from ..training.train_dit import DiTPart, Trained, flow_loss

MOVES = 0.02  # of a latent position that a thing sweeps over, as in the loss
NEAREST = 0.05  # least noise level, or least that is left of the clip, where a prediction is divided by it


class Measured(DiTPart):
    """The trainer's own way; its validation also says how wrong the velocity is where things are."""

    network: type[Trained] = Trained

    def validate(self, clips: int = 24) -> dict[str, float]:
        """The trainer's validation, and ``things``: the same on positions in which a thing moves."""
        things = self.errors(clips, lambda cover: (cover > MOVES).float())
        return {**super().validate(clips), "things": float(np.mean(list(things.values())))}


class Adam(Measured):
    """AdamW for everything, hidden matrices too."""

    adam_only = ("",)


def broadcast(t: Tensor) -> Tensor:
    """Timesteps (B, T) or (B, 1, T, h, w) as they go with latents (B, C, T, h, w)."""
    return t[:, None, :, None, None] if t.ndim == 2 else t


class PredictsClip(Trained):
    """The network's output is the clip; the loss stays that of the velocity, as in JiT (arXiv:2511.13720)."""

    def forward(self, x: Tensor, t: Tensor, ids: Tensor, fps: float) -> Tensor:
        """Predict the velocity."""
        return (x - super().forward(x, t, ids, fps)) / broadcast(t).clamp(min=NEAREST)


class PredictsNoise(Trained):
    """The network's output is the noise; the loss stays that of the velocity."""

    def forward(self, x: Tensor, t: Tensor, ids: Tensor, fps: float) -> Tensor:
        """Predict the velocity."""
        return (super().forward(x, t, ids, fps) - x) / (1 - broadcast(t)).clamp(min=NEAREST)


class Bounded(Measured):
    """Trains on noise levels of which none is so near an end that the velocity can't be told from the prediction."""

    low, high = 0.0, 1.0

    def loss(self, rng: np.random.Generator, progress: float) -> tuple[Tensor, int]:
        """Draw a batch and return its loss and its number of tokens."""
        batch = self.batches.draw(rng, progress)
        free, bounds = batch.plan.told > 0, (self.low, self.high)
        told, level = (torch.where(free, x.clamp(*bounds), x) for x in (batch.plan.told, batch.plan.level))
        return flow_loss(self.module, replace(batch, plan=Plan(told, level))), batch.tokens


class Clip(Bounded):
    """Predict the clip."""

    network, low = PredictsClip, NEAREST


class Noise(Bounded):
    """Predict the noise."""

    network, high = PredictsNoise, 1 - NEAREST


class Skipping(Trained):
    """The network's output is what is left when the best guess by the noisy latent alone is taken off the velocity.

    Of latents that are white noise of variance 1 the velocity is best told by (2t - 1) / (t^2 + (1 - t)^2) of them.
    """

    def forward(self, x: Tensor, t: Tensor, ids: Tensor, fps: float) -> Tensor:
        """Predict the velocity."""
        at = broadcast(t)
        return super().forward(x, t, ids, fps) + x * (2 * at - 1) / (at.square() + (1 - at).square())


class Skip(Measured):
    """The noisy latent goes past the network."""

    network = Skipping


@contextmanager
def replaced(module: Any, name: str, value: Any) -> Iterator[None]:
    """Let a module's attribute be another one for a while."""
    usual = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, usual)


def spread_evenly(count: int, tokens: int, rng: np.random.Generator, spread: float = 1.0, shift: float = 1.0) -> Tensor:
    """Timesteps as :func:`base_timestep` draws them, one from each of ``count`` equal parts of their distribution."""
    shares = torch.from_numpy((rng.permutation(count) + rng.random(count)) / count)
    return base_timestep(count, tokens, rng, spread, shift, torch.special.ndtri(shares))


class Even(Measured):
    """The timesteps of a batch are spread evenly."""

    def loss(self, rng: np.random.Generator, progress: float) -> tuple[Tensor, int]:
        """Draw a batch and return its loss and its number of tokens."""
        with replaced(plans, "base_timestep", spread_evenly):
            return super().loss(rng, progress)


class SmallTokens(Trained):
    """A token is one latent position, 16 pixels, not two by two; four times as many make a clip."""

    def __init__(self, dit: DiTConfig, text: TextConfig) -> None:
        with replaced(transformer, "PATCH", 1):
            super().__init__(dit, text)

    def forward(self, x: Tensor, t: Tensor, ids: Tensor, fps: float) -> Tensor:
        """Predict the velocity."""
        with replaced(transformer, "PATCH", 1):
            return super().forward(x, t, ids, fps)


class Fine(Measured):
    """Tokens of 16 pixels."""

    network = SmallTokens


class SquareBatches(Batches):
    """Batches whose clips are cut to the square in their middle."""

    def read(self, clips: Clips, chosen: np.ndarray, frames: int) -> tuple[Tensor, Tensor]:
        """Latents and loss weights, cut."""
        x, weight = super().read(clips, chosen, frames)
        side = min(x.shape[-2:])
        top, left = ((size - side) // 4 * 2 for size in x.shape[-2:])  # by whole tokens
        return tuple(z[..., top : top + side, left : left + side] for z in (x, weight))  # type: ignore[return-value]

    def size(self, shape: tuple[int, int, int]) -> int:
        """Clips in a batch: as much work as with whole ones."""
        side = min(shape[1:])
        return super().size((shape[0], side, side))


class Square(Measured):
    """Train on square crops of clips of any shape."""

    def __init__(self, *args, **kwargs) -> None:  # type: ignore[no-untyped-def]
        super().__init__(*args, **kwargs)
        self.batches.__class__ = SquareBatches


class Aligned(Trained):
    """Two features of the network beside each other: one in a third of its depth, foretelling one in two thirds."""

    def __init__(self, dit: DiTConfig, text: TextConfig) -> None:
        super().__init__(dit, text)
        self.foretell = nn.Sequential(nn.Linear(dit.dim, dit.dim), nn.SiLU(), nn.Linear(dit.dim, dit.dim))

    def features(self, x: Tensor, t: Tensor, ids: Tensor, fps: float, block: int) -> tuple[Tensor, Tensor]:
        """The velocity, and what a block gave out."""
        kept: list[Tensor] = []
        hook = self.dit.blocks[block].register_forward_hook(lambda module, inputs, output: kept.append(output))
        try:
            return self(x, t, ids, fps), kept[0]
        finally:
            hook.remove()


class SelfFlow(Measured):
    """Self-Flow (arXiv:2603.06507): some tokens have another noise level than the rest, and what an early layer makes
    of them is to foretell what a late layer of the averaged network makes of the clip at the lower of the two levels.
    The averaged network is not saved: a run that goes on begins another.
    """

    network = Aligned
    share, weight = 0.25, 0.8
    teacher: Aligned | None = None
    steps = 0

    def loss(self, rng: np.random.Generator, progress: float) -> tuple[Tensor, int]:
        """Draw a batch and return its loss and its number of tokens."""
        batch, student, mix = self.batches.draw(rng, progress), self.module, self.options.noise
        assert isinstance(student, Aligned)
        x, (told, level) = batch.x, (batch.plan.told, batch.plan.level)
        other = base_timestep(len(x), batch.tokens // len(x), rng, mix.spread, mix.shift).view(-1, 1, 1, 1, 1)
        tokens = torch.from_numpy(rng.random((len(x), 1, x.shape[2], x.shape[3] // 2, x.shape[4] // 2)) < self.share)
        chosen = tokens.repeat_interleave(2, 3).repeat_interleave(2, 4) & (told > 0)
        mixed, noisy = torch.where(chosen, other, told), torch.where(chosen, other, level)
        cleaner = torch.minimum(told, other).expand_as(told)
        noise = torch.randn_like(x)
        third = len(student.dit.blocks) / 3
        with torch.autocast("cpu", torch.bfloat16):
            v, early = student.features(add_noise(x, noise, noisy), mixed, batch.ids, batch.fps, round(third) - 1)
            with torch.no_grad():
                seen = add_noise(x, noise, torch.minimum(level, other))
                step = cleaner if cleaner.shape[-1] > 1 else cleaner[:, 0, :, 0, 0]
                late = self._averaged(student).features(seen, step, batch.ids, batch.fps, round(2 * third) - 1)[1]
            apart = 1 - F.cosine_similarity(student.foretell(early).float(), late.float(), -1).mean()
        error = (v.float() - (noise - x)).square().mean(1, keepdim=True)
        weight = ((mixed > 0).float() * batch.weight).expand_as(error)
        return (error * weight).sum() / weight.sum().clamp(min=1) + self.weight * apart, batch.tokens

    @torch.no_grad()
    def _averaged(self, student: Aligned) -> Aligned:
        if self.teacher is None:
            self.teacher = copy.deepcopy(student).requires_grad_(False)
        self.steps += 1
        for mine, its in zip(self.teacher.parameters(), student.parameters(), strict=True):
            mine.lerp_(its, 10 / (self.steps + 10))  # as the trainer averages in its first steps
        return self.teacher
