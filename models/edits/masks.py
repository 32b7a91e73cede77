# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks of pixels to masks of latent positions: a position is to be made anew where any of its pixels is."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor

from .timeline import Timeline


def latent_mask(mask: Tensor, length: int, height: int, width: int, timeline: Timeline, patch: int = 1) -> Tensor:
    """Reduce a mask of pixels to (length, height, width) latent positions, each 0 or 1.

    mask (1, H, W), a still for the whole clip, or (F, H, W) with F the frames of ``length`` latent frames; values of
    0.5 and more are to be made anew. ``patch`` positions to a token's side: a token is known as a whole or not at
    all. Raises ValueError for another number of frames.
    """
    frames = timeline.frames(length)
    if mask.shape[0] not in (1, frames):
        raise ValueError(f"the mask has {mask.shape[0]} frames; it takes 1 or {frames}")
    hard = (mask >= 0.5).float()
    if mask.shape[0] > 1:
        begins = [timeline.frames(k) for k in range(length + 1)]
        hard = torch.stack([hard[a:b].amax(0) for a, b in itertools.pairwise(begins)])
    cells = F.adaptive_max_pool2d(hard[:, None], (height, width))[:, 0]
    if patch > 1:
        tokens = F.max_pool2d(cells[:, None], patch, ceil_mode=True)
        cells = tokens.repeat_interleave(patch, 2).repeat_interleave(patch, 3)[:, 0, :height, :width]
    return cells.expand(length, -1, -1).contiguous()
