# SPDX-License-Identifier: GPL-3.0-or-later
"""What a clip looks like while it is sampled: all its latent frames as a film strip, small and quick.

Single latent channels say little about colour, the decoder's first stage does: a linear map from there to a few pixels
for each latent position is fitted, once, to clips of moving random colours that the VAE has encoded.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ..models.vae import TIME, VideoVAE

DETAIL = 4  # preview pixels along one side of a latent position
IDENTITY = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]


class FilmStrip:
    """Turns latents (B, C, T, H, W) into one picture (1, 3, 1, height, width) in about -1..1 of the first clip."""

    def __init__(self, vae: VideoVAE) -> None:
        self._vae = vae.float().eval()
        self._map: Tensor | None = None

    @torch.no_grad()
    def __call__(self, latent: Tensor) -> Tensor:
        """Draw the film strip."""
        device = latent.device
        if self._map is None:
            self._map = self._fit()
        self._vae.decoder.to(device)
        features = self._features(latent[0].transpose(0, 1).float())
        pixels = torch.einsum("tfhw,fp->tphw", features, self._map.to(device))
        frames = F.pixel_shuffle(pixels, DETAIL)
        return lay_out(frames.transpose(0, 1)[None])

    def _features(self, latent: Tensor) -> Tensor:
        """The decoder's first stage for latent frames (T, C, H, W), each taken alone, and a constant."""
        decoder = self._vae.decoder
        features = decoder.coarse(decoder.project(latent), len(latent), None, [])
        return torch.cat([features, torch.ones_like(features[:, :1])], 1)

    def _fit(self) -> Tensor:
        """Fit features to the colours of the pictures they came from: (features, 3 * DETAIL ** 2)."""
        self._vae.to("cpu")
        clips = moving_fields(6, 160)
        latent = self._vae.encode(clips).transpose(1, 2).flatten(0, 1)
        shown = clips[:, :, ::TIME].transpose(1, 2).flatten(0, 1)  # the last frame of each latent frame
        small = F.avg_pool2d(shown, self._vae.config.space // DETAIL)
        targets = F.pixel_unshuffle(small, DETAIL).movedim(1, -1).flatten(0, 2)
        inputs = self._features(latent).movedim(1, -1).flatten(0, 2)
        ridge = 0.01 * len(inputs) * torch.eye(inputs.shape[1])
        return torch.linalg.solve(inputs.T @ inputs + ridge, inputs.T @ targets)


def moving_fields(count: int, side: int) -> Tensor:
    """Clips (count, 3, TIME + 1, side, side) of the same, each moving its own way."""
    reach = side // 32  # pixels a frame, at most
    pictures = colour_fields(count, side + 2 * TIME * reach)
    clips = []
    for number, picture in enumerate(pictures):
        angle = 2 * math.pi * number / count
        speed = reach * number / count
        starts = [
            (TIME * reach + round(speed * t * math.sin(angle)), TIME * reach + round(speed * t * math.cos(angle)))
            for t in range(TIME + 1)
        ]
        clips.append(torch.stack([picture[:, y : y + side, x : x + side] for y, x in starts], 1))
    return torch.stack(clips)


def colour_fields(count: int, side: int) -> Tensor:
    """Pictures (count, 3, side, side) in -1..1 of random colours, coarse and fine; always the same ones."""
    generator = torch.Generator().manual_seed(0)
    pictures = torch.zeros(count, 3, side, side)
    for cells, strength in ((2, 0.5), (4, 0.4), (8, 0.3), (16, 0.2), (64, 0.15)):
        field = torch.randn(count, 3, cells, cells, generator=generator)
        pictures += strength * F.interpolate(field, (side, side), mode="bicubic")
    return pictures.clamp(-1, 1)


def lay_out(frames: Tensor) -> Tensor:
    """Lay (B, C, T, H, W) out side by side, in rows where there are many: (B, C, 1, rows * H, columns * W)."""
    batch, channels, count, height, width = frames.shape
    rows = math.ceil(math.sqrt(count / 4))
    columns = math.ceil(count / rows)
    frames = F.pad(frames, (0, 0, 0, 0, 0, rows * columns - count))
    grid = frames.view(batch, channels, rows, columns, height, width).permute(0, 1, 2, 4, 3, 5)
    return grid.reshape(batch, channels, 1, rows * height, columns * width)
