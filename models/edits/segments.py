# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames to latents where the frames are not a clip's beginning."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from .timeline import Timeline

Frames = NDArray[np.uint8]
Encode = Callable[[Frames], Tensor]
"""Frames (F, H, W, 3) of a whole clip to its latent (1, C, T, h, w)."""


def encode_segment(encode: Encode, frames: Frames, position: int, timeline: Timeline) -> Tensor:
    """Encode frames that stand at frame ``position`` of a clip whose other frames are not known yet.

    A causal VAE knows its past. At position 0 there is none, and the frames are encoded as they are. Elsewhere the
    past is unknown: the first frame is repeated in its place and the latent frame of the repetition is dropped, so
    that the rest are groups as they occur inside a clip.

    frames (F, H, W, 3) uint8, as many as :meth:`Timeline.run` allows there; returns (1, C, T, h, w). Raises
    ValueError for another number of frames, or a position at which no latent frame begins.
    """
    count, first = len(frames), position == 0
    if count < 1 or count != timeline.run(count, first):
        raise ValueError(
            f"{count} frames at frame {position} do not fill latent frames of {timeline.ratio}; "
            f"take {timeline.run(count, first)}"
        )
    if first:
        return encode(frames)
    if timeline.frames(timeline.latent_of(position)) != position:
        begin = timeline.frames(timeline.latent_of(position))
        raise ValueError(f"no latent frame begins at frame {position}; the nearest before it begins at {begin}")
    past = np.repeat(frames[:1], timeline.lead, axis=0)
    return encode(np.concatenate([past, frames]))[:, :, 1:]
