# SPDX-License-Identifier: GPL-3.0-or-later
"""The mixed noise plan: which tokens of a training clip are known, and how noisy the others are.

One model learns text to video, images, extension, loops, connecting, keyframes and in-painting at once because
every one of them is a pattern of timesteps per latent position. A known position has timestep 0 and no loss.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..models.flow import shift_timestep, token_shift


@dataclass(frozen=True)
class Mix:
    """How often a clip gets which pattern; the shares of the first six need not add up to 1."""

    whole: float = 0.60  # one timestep for all: text to video
    prefix: float = 0.08  # the first frames are known: extension, animation of an image
    suffix: float = 0.04  # the last frames are known: extension backwards
    both: float = 0.04  # both ends are known: loops, connecting
    some: float = 0.04  # random frames are known: keyframes
    chunks: float = 0.20  # a timestep for each run of frames: roll-outs
    regions: float = 0.10  # share of batches in which half of the clips have a known region: in-painting
    corrupted: float = 0.33  # share of clips with known frames whose known part is noisy, though it is called known
    corruption: float = 0.15  # the largest noise level of a corrupted part
    spread: float = 1.0  # of the timesteps; wide teaches more of where things are (high noise) and of details (low)
    shift: float = 1.0  # towards noise, as a share of two thirds of the sampler's; less teaches more of shapes


@dataclass(frozen=True)
class Plan:
    """Timesteps that the network is told, and noise levels that the clips get, both 0..1.

    Of shape (B, 1, T, 1, 1), which costs the network one modulation a frame, or (B, 1, T, h, w). They differ where a
    known part is corrupted: when a clip is rolled out the past is called known, and yet has the faults of a generated
    one.
    """

    told: Tensor
    level: Tensor

    @property
    def unknown(self) -> Tensor:
        """1 where the network is to predict."""
        return (self.told > 0).float()


def base_timestep(
    count: int,
    tokens: int,
    rng: np.random.Generator,
    spread: float = 1.0,
    shift: float = 1.0,
    normal: Tensor | None = None,
) -> Tensor:
    """Logit-normal timesteps (count,), shifted for the clip's token count; a tenth of them uniform.

    ``normal`` (count,) are the normally distributed numbers that they are made of, drawn where there are none.
    """
    wide = torch.from_numpy(rng.normal(0, spread, count)) if normal is None else spread * normal
    t = shift_timestep(wide.sigmoid(), max(1.0, shift * token_shift(tokens) / 1.5))
    uniform = torch.from_numpy(rng.random(count))
    return torch.where(torch.from_numpy(rng.random(count)) < 0.1, uniform, t).float().clamp(min=1e-4)


def plan(count: int, frames: int, height: int, width: int, rng: np.random.Generator, mix: Mix | None = None) -> Plan:
    """Draw the timesteps of a batch of latents."""
    mix = mix or Mix()
    tokens = frames * height * width // 4
    told = base_timestep(count, tokens, rng, mix.spread, mix.shift).view(-1, 1, 1, 1, 1).repeat(1, 1, frames, 1, 1)
    level = told.clone()
    if rng.random() < mix.regions:
        told, level = (x.repeat(1, 1, 1, height, width) for x in (told, level))
        for i in range(count):
            if rng.random() < 0.5:
                _know(told[i, 0], level[i, 0], known_region(frames, height, width, rng), mix, rng)
        return Plan(told, level)
    names = ("whole", *KNOWN, "chunks")
    odds = np.array([getattr(mix, name) for name in names])
    for i in range(count):
        kind = str(rng.choice(names, p=odds / odds.sum())) if frames > 1 else "whole"
        if kind == "chunks":
            told[i, 0, :, 0, 0] = level[i, 0, :, 0, 0] = chunk_timesteps(frames, tokens, rng, mix.spread, mix.shift)
        elif kind != "whole":
            _know(told[i, 0], level[i, 0], KNOWN[kind](frames, rng), mix, rng)
    return Plan(told, level)


def _know(told: Tensor, level: Tensor, known: Tensor, mix: Mix, rng: np.random.Generator) -> None:
    """Mark a part of one clip as known, and corrupt it now and then."""
    told[known] = 0
    level[known] = rng.uniform(0, mix.corruption) if rng.random() < mix.corrupted else 0.0


def known_prefix(frames: int, rng: np.random.Generator) -> Tensor:
    """The first frames: (frames,) bool, never all of them; as the other patterns."""
    return torch.arange(frames) < int(rng.integers(1, frames))


def known_suffix(frames: int, rng: np.random.Generator) -> Tensor:
    """The last frames."""
    return torch.arange(frames) >= int(rng.integers(1, frames))


def known_ends(frames: int, rng: np.random.Generator) -> Tensor:
    """Some frames at both ends; of two frames, the first."""
    if frames < 3:
        return torch.arange(frames) == 0
    first = int(rng.integers(1, frames - 1))
    last = int(rng.integers(first + 1, frames))
    return (torch.arange(frames) < first) | (torch.arange(frames) >= last)


def known_some(frames: int, rng: np.random.Generator) -> Tensor:
    """A few frames anywhere, at most half of them."""
    mask = torch.zeros(frames, dtype=torch.bool)
    mask[torch.from_numpy(rng.permutation(frames)[: int(rng.integers(1, frames // 2 + 1))])] = True
    return mask


KNOWN: dict[str, Callable[[int, np.random.Generator], Tensor]] = {
    "prefix": known_prefix,
    "suffix": known_suffix,
    "both": known_ends,
    "some": known_some,
}


def known_region(frames: int, height: int, width: int, rng: np.random.Generator) -> Tensor:
    """A random rectangle of whole tokens, or all but it, known in every frame: (frames, height, width) bool."""
    top, left = 2 * rng.integers(0, height // 2), 2 * rng.integers(0, width // 2)
    rows, columns = 2 * rng.integers(1, height // 2 + 1), 2 * rng.integers(1, width // 2 + 1)
    inside = torch.zeros(height, width, dtype=torch.bool)
    inside[top : top + rows, left : left + columns] = True
    if rng.random() < 0.5 or bool(inside.all()):
        inside = ~inside
    return inside.expand(frames, -1, -1)


def chunk_timesteps(
    frames: int, tokens: int, rng: np.random.Generator, spread: float = 1.0, shift: float = 1.0
) -> Tensor:
    """A timestep for each run of 1 to frames / 2 latent frames (the first run may be shorter): (frames,).

    In half of the clips they rise with time, as in a roll-out, where the past is cleaner than the future.
    """
    size = int(rng.integers(1, frames // 2 + 1))
    chunk = (torch.arange(frames) + int(rng.integers(size))) // size
    t = base_timestep(int(chunk[-1]) + 1, tokens, rng, spread, shift)
    return (t.sort().values if rng.random() < 0.5 else t)[chunk]
