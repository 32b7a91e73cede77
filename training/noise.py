# SPDX-License-Identifier: GPL-3.0-or-later
"""The mixed noise plan: which tokens of a training clip are known, and how noisy the others are.

One model learns text to video, images, extension, loops, connecting, keyframes and in-painting at once because
every one of them is a pattern of timesteps per latent position.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..models.flow import shift_timestep, token_shift

# Shares of clips: one timestep for all; some frames known; the rest: a timestep per latent frame. And of batches with
# known regions.
WHOLE, KNOWN, REGIONS = 0.70, 0.20, 0.10


def base_timestep(count: int, tokens: int, rng: np.random.Generator) -> Tensor:
    """Logit-normal timesteps, shifted for the clip's token count; a tenth of them uniform."""
    t = torch.from_numpy(rng.normal(0, 1, count)).sigmoid()
    t = shift_timestep(t, max(1.0, token_shift(tokens) / 1.5))
    uniform = torch.from_numpy(rng.random(count))
    return torch.where(torch.from_numpy(rng.random(count)) < 0.1, uniform, t).float()


def plan(count: int, frames: int, height: int, width: int, rng: np.random.Generator) -> Tensor:
    """Timesteps of a batch of latents; 0 where the clip is known.

    Most batches vary over time only and get (count, 1, frames, 1, 1), which costs the network one modulation a frame;
    a tenth have known regions and get (count, 1, frames, height, width).
    """
    t = base_timestep(count, frames * height * width // 4, rng).view(-1, 1, 1, 1, 1)
    if rng.random() < REGIONS:
        grid = t.repeat(1, 1, frames, height, width)
        for row in grid:
            if rng.random() > WHOLE:
                row[:, known_region(frames, height, width, rng)] = 0
        return grid
    grid = t.repeat(1, 1, frames, 1, 1)
    for row in grid:
        kind = rng.random() if frames > 1 else 0.0
        if kind > WHOLE + KNOWN:
            row.copy_(base_timestep(frames, frames * height * width // 4, rng).view_as(row))
        elif kind > WHOLE:
            row[:, known_frames(frames, rng)] = 0
    return grid


def known_frames(frames: int, rng: np.random.Generator) -> Tensor:
    """A random pattern of known latent frames (frames,) bool, never all of them."""
    mask = torch.zeros(frames, dtype=torch.bool)
    first = int(rng.integers(1, frames))
    match rng.choice(["start", "start", "end", "both", "some"]):
        case "start":
            mask[:first] = True
        case "end":
            mask[first:] = True
        case "both":
            mask[-1] = frames > 2
            mask[0] = True
        case "some":
            mask[torch.from_numpy(rng.permutation(frames)[: max(1, first // 2)])] = True
    return mask


def known_region(frames: int, height: int, width: int, rng: np.random.Generator) -> Tensor:
    """A random rectangle of whole tokens, or all but it, known in every frame: (frames, height, width) bool."""
    top, left = 2 * rng.integers(0, height // 2), 2 * rng.integers(0, width // 2)
    rows, columns = 2 * rng.integers(1, height // 2 + 1), 2 * rng.integers(1, width // 2 + 1)
    inside = torch.zeros(height, width, dtype=torch.bool)
    inside[top : top + rows, left : left + columns] = True
    if rng.random() < 0.5 or bool(inside.all()):
        inside = ~inside
    return inside.expand(frames, -1, -1)
