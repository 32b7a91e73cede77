# SPDX-License-Identifier: GPL-3.0-or-later
"""The film strip shows the colours that the decoder gives."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from tiny import CHANNELS

from comfyui_spacetime.models.vae import VideoVAE

pytestmark = pytest.mark.host  # the package of nodes needs one


class CopyingVAE(VideoVAE):
    """A VAE whose first decoder stage holds the picture's colours: what a trained one has learnt."""

    def encode(self, video: torch.Tensor) -> torch.Tensor:
        frames = video[:, :, ::4].transpose(1, 2)
        pixels = F.pixel_unshuffle(F.avg_pool2d(frames.flatten(0, 1), 8), 2)
        return F.pad(pixels, (0, 0, 0, 0, 0, CHANNELS - pixels.shape[1])).unflatten(0, frames.shape[:2]).transpose(1, 2)


def test_colours_come_through(inprocess: object) -> None:
    from comfyui_spacetime.nodes.preview import DETAIL, FilmStrip, colour_fields

    vae = CopyingVAE()
    picture = colour_fields(1, 128)
    strip = FilmStrip(vae)(vae.encode(picture[:, :, None]).expand(1, CHANNELS, 2, 8, 8))
    assert strip.shape == (1, 3, 1, 8 * DETAIL, 2 * 8 * DETAIL)
    wanted = F.avg_pool2d(picture, 16)
    for frame in strip[:, :, 0].chunk(2, -1):
        assert (F.avg_pool2d(frame, DETAIL) - wanted).abs().mean() < 0.25 * wanted.abs().mean()
