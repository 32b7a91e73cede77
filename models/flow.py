# SPDX-License-Identifier: GPL-3.0-or-later
"""Rectified flow: noising, the timestep shift, and a plain sampling loop that needs no host.

x_t = (1 - t) data + t noise, the network predicts v = noise - data (Liu et al., arXiv:2209.03003). The shift moves
the steps towards noise as a clip has more tokens (Esser et al., arXiv:2403.03206, section 5.3).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor

Denoiser = Callable[[Tensor, Tensor], Tensor]
"""Noisy latent (B, C, T, H, W) and timestep to velocity."""

BASE_TOKENS, BASE_SHIFT = 64, 4.0


def token_shift(tokens: int) -> float:
    """The shift for a clip of ``tokens`` tokens: 4 at 64, growing with the square root, at least 1, at most 12."""
    return min(12.0, max(1.0, BASE_SHIFT * math.sqrt(tokens / BASE_TOKENS)))


def shift_timestep(t: Tensor, shift: float | Tensor) -> Tensor:
    """Move timesteps 0..1 towards 1 by ``shift``."""
    return shift * t / (1 + (shift - 1) * t)


def schedule(steps: int, shift: float, start: float = 1.0) -> Tensor:
    """Noise levels (steps + 1,) from ``start`` down to 0."""
    return shift_timestep(torch.linspace(1, 0, steps + 1, dtype=torch.float64), shift).float() * start


def add_noise(data: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """Mix data and noise at noise level ``t``, broadcast over (B, C, T, H, W)."""
    return data + t * (noise - data)


def sample(
    denoise: Denoiser, noise: Tensor, sigmas: Tensor, known: Tensor | None = None, mask: Tensor | None = None
) -> Tensor:
    """Integrate from noise to data by Euler's method.

    noise (B, C, T, H, W); sigmas (S + 1,) falling to 0; ``known`` latents stay where ``mask`` (B, 1, T, H, W) is 0:
    they enter every call clean, with timestep 0, and leave bit-identical.
    """
    x = noise * sigmas[0] if known is None else add_noise(known, noise, sigmas[0])
    for now, after in itertools.pairwise(sigmas):
        if known is not None and mask is not None:
            x = torch.where(mask == 0, known, x)
            timestep = now * mask
        else:
            timestep = now.expand(len(x))
        x = x + (after - now) * denoise(x, timestep)
    return x if known is None or mask is None else torch.where(mask == 0, known, x)


def guided(
    denoise: Callable[[Tensor, Tensor, Tensor], Tensor], positive: Tensor, negative: Tensor, guidance: float
) -> Denoiser:
    """Classifier-free guidance (Ho & Salimans, arXiv:2207.12598) in one call of twice the batch."""
    if guidance == 1.0:
        return lambda x, t: denoise(x, t, positive)

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        both = denoise(torch.cat([x, x]), torch.cat([t, t]), torch.cat([positive, negative]))
        with_text, without = both.chunk(2)
        return without + guidance * (with_text - without)

    return velocity
