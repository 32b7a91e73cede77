# SPDX-License-Identifier: GPL-3.0-or-later
"""A checkpoint that makes clips in plain PyTorch, without a host: for evaluations and measurements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..models.checkpoint import Checkpoint
from ..models.dit import SpacetimeDiT
from ..models.flow import guided, sample, schedule, token_shift
from ..models.text import TextEncoder, Tokenizer
from ..models.vae import VideoVAE, to_uint8


@dataclass
class Generator:
    """The networks of a checkpoint."""

    dit: SpacetimeDiT
    vae: VideoVAE
    tokenizer: Tokenizer
    text: TextEncoder

    @classmethod
    def of(cls, checkpoint: Checkpoint, dtype: torch.dtype = torch.bfloat16) -> Generator:
        """Build the networks of a checkpoint."""
        tokenizer, text = checkpoint.build_text(dtype)
        return cls(checkpoint.build_dit(dtype), checkpoint.build_vae(dtype), tokenizer, text)

    def states(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """What the text encoder says of prompts, read as the nodes read them, and of as many empty ones."""
        texts = [self.tokenizer.readable(prompt) for prompt in prompts]
        positive, negative = self.text(self.tokenizer.batch([*texts, *[""] * len(texts)])).chunk(2)
        return positive, negative

    @torch.inference_mode()
    def latents(
        self, prompts: list[str], shape: tuple[int, int, int], seed: int, steps: int, guidance: float, fps: float
    ) -> Tensor:
        """Sample latents (B, C, T, h, w) for prompts; ``shape`` is (T, h, w)."""
        positive, negative = self.states(prompts)
        frames, height, width = shape
        noise = torch.randn(
            len(prompts), self.vae.config.channels, *shape, generator=torch.Generator().manual_seed(seed)
        )

        def denoise(x: Tensor, t: Tensor, text: Tensor) -> Tensor:
            return self.dit(x, t, text, fps)

        sigmas = schedule(steps, token_shift(frames * height * width // 4))
        return sample(guided(denoise, positive, negative, guidance), noise, sigmas)

    @torch.inference_mode()
    def frames(self, latents: Tensor) -> list[NDArray[np.uint8]]:
        """Decode latents to clips (F, H, W, 3) uint8, one at a time."""
        return [to_uint8(self.vae.decode(z[None].to(torch.bfloat16))) for z in latents]
