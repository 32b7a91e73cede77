# SPDX-License-Identifier: GPL-3.0-or-later
"""Film strips of what a transformer in training makes, for the log."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..models.checkpoint import load_checkpoint
from ..models.flow import guided, sample, schedule, token_shift
from ..models.text import Tokenizer

if TYPE_CHECKING:
    from .train_dit import Trained

SHAPE = (5, 16, 16)  # 17 frames of 256 x 256
STEPS, GUIDANCE, FPS = 20, 4.0, 8.0
SHOWN = 5  # frames of a clip


def film_strips(
    module: Trained, tokenizer: Tokenizer, prompts: list[str], checkpoint: Path, device: torch.device
) -> dict[str, Tensor]:
    """Sample a clip for each prompt: {prompt: (3, 256, 5 * 256) in 0..1}; empty where ``checkpoint`` has no VAE."""
    if not checkpoint.is_file():
        return {}
    vae = load_checkpoint(checkpoint).build_vae().to(device)
    ids = tokenizer.batch([*prompts, *[""] * len(prompts)]).to(device)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(len(prompts), vae.config.channels, *SHAPE, generator=generator).to(device)

    def denoise(x: Tensor, t: Tensor, which: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            return module(x, t, which, FPS).float()

    positive, negative = ids.chunk(2)
    sigmas = schedule(STEPS, token_shift(SHAPE[0] * SHAPE[1] * SHAPE[2] // 4))
    latents = sample(guided(denoise, positive, negative, GUIDANCE), noise, sigmas)
    return {prompt: strip(vae.decode(z[None])[0]) for prompt, z in zip(prompts, latents, strict=True)}


def strip(video: Tensor) -> Tensor:
    """Frames of a clip (3, F, H, W) in -1..1 side by side, evenly spaced: (3, H, SHOWN * W) in 0..1."""
    at = torch.linspace(0, video.shape[1] - 1, SHOWN).long()
    picture = (video[:, at].float().clamp(-1, 1) + 1) / 2
    return picture.permute(0, 2, 1, 3).flatten(2).cpu()
