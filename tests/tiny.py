# SPDX-License-Identifier: GPL-3.0-or-later
"""A small random model, so that tests need no trained weights."""

from __future__ import annotations

from pathlib import Path

import torch

from comfyui_spacetime.models.checkpoint import save_checkpoint
from comfyui_spacetime.models.dit import DiTConfig, SpacetimeDiT
from comfyui_spacetime.models.text import TextConfig, TextEncoder
from comfyui_spacetime.models.vae import VAEConfig, VideoVAE

CHANNELS = VAEConfig().channels  # of our latents
PIECES = ("a", "red", "panda", "walks", "left", "right", "to", "snow", "cup", "#s", "#ing", "雪", "猫")


def tiny_dit() -> SpacetimeDiT:
    torch.manual_seed(1)
    return SpacetimeDiT(DiTConfig(dim=64, depth=2, heads=2, text_dim=32)).eval()


def tiny_vae() -> VideoVAE:
    torch.manual_seed(2)
    vae = VideoVAE(VAEConfig(widths=(16, 24, 32), encoder_blocks=(1, 2), decoder_blocks=(2, 1, 1))).eval()
    with torch.no_grad():
        for name, value in vae.named_parameters():
            if name.endswith("conv2.weight"):  # zero at the start of training: the blocks would do nothing
                value.normal_(std=0.1)
    return vae


def tiny_text() -> TextEncoder:
    torch.manual_seed(3)
    return TextEncoder(TextConfig(pieces=PIECES, dim=32, depth=1, heads=2)).eval()


def write_tiny_checkpoint(path: Path, dtype: torch.dtype = torch.float32) -> Path:
    """Write the small model as a checkpoint file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_checkpoint(path, tiny_dit(), tiny_vae(), tiny_text(), {"name": "tiny"}, dtype)
    return path
