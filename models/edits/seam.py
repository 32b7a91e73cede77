# SPDX-License-Identifier: GPL-3.0-or-later
"""Where original pixels meet decoded ones: what the VAE lost there is added to the decoded side and fades away.

Arrays are float32 (H, W, 3) in 0..255 unless said otherwise.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

Picture = NDArray[np.float32]
Bytes = NDArray[np.uint8]
SAME = 12.0  # a difference up to this is the same thing seen again; from three times it on it is another
MOVING = 1  # frames over which the lost detail of moving things fades
REACH = 4  # pixels on each side over which frames are compared


def fade(distance: int, length: int) -> float:
    """Weight of a residual ``distance`` frames from its frame: 1 at 0, falling smoothly to 0 after ``length``."""
    if distance > length:
        return 0.0
    return 0.5 + 0.5 * math.cos(math.pi * distance / (length + 1))


def blur(picture: Picture, reach: int) -> Picture:
    """Mean over squares of ``2 * reach + 1`` pixels' side, of (H, W) or (H, W, C); the border is continued."""
    out = picture
    for axis in (0, 1):
        size = out.shape[axis]
        margin = [(0, 0)] * out.ndim
        margin[axis] = (reach + 1, reach)
        sums = np.cumsum(np.pad(out, margin, "edge"), axis=axis, dtype=np.float64)
        upper = np.take(sums, np.arange(2 * reach + 1, size + 2 * reach + 1), axis=axis)
        lower = np.take(sums, np.arange(size), axis=axis)
        out = ((upper - lower) / (2 * reach + 1)).astype(np.float32)
    return out


def likeness(one: Picture, other: Picture) -> Picture:
    """Where two frames show the same thing: (H, W, 1), 1 the same, 0 another."""
    difference = blur(np.abs(one - other), REACH).max(-1, keepdims=True)
    return np.clip((3 * SAME - difference) / (2 * SAME), 0, 1).astype(np.float32)


def steadiness(one: Bytes, other: Bytes) -> Picture:
    """Where within ``REACH`` pixels nothing differs in neighbouring originals: (H, W, 1), 1 still, 0 moving."""
    difference = torch.from_numpy(np.abs(one.astype(np.float32) - other.astype(np.float32)).max(-1))
    widest = F.max_pool2d(difference[None, None], 2 * REACH + 1, stride=1, padding=REACH)[0, 0, :, :, None].numpy()
    return np.clip((3 * SAME - widest) / (2 * SAME), 0, 1).astype(np.float32)


class Residual:
    """What decoding lost of one frame, to be given back to the frames next to it where they show the same thing.

    ``beyond`` is the original's frame on the far side: what differs from it moves, and a lost detail that moves must
    not stand still, so there it is gone after a frame.
    """

    def __init__(self, original: Bytes, decoded: Bytes, length: int, beyond: Bytes | None = None) -> None:
        self._decoded = decoded.astype(np.float32)
        self._lost = original.astype(np.float32) - self._decoded
        self.length = length
        self._steady: Picture | float = 1.0
        if beyond is not None:
            self._steady = steadiness(original, beyond)

    def share(self, frame: Picture, distance: int) -> Picture:
        """Return what to add to a decoded ``frame`` that lies ``distance`` frames away."""
        slow, fast = fade(distance, self.length), fade(distance, min(MOVING, self.length))
        if slow == 0.0:
            return np.zeros_like(frame)
        weight = np.float32(fast) + np.float32(slow - fast) * self._steady
        return (self._lost * likeness(frame, self._decoded) * weight).astype(np.float32)


def to_picture(frame: Bytes, *shares: Picture) -> Bytes:
    """Add shares to a decoded frame and return it as bytes."""
    total = frame.astype(np.float32)
    for part in shares:
        total = total + part
    return np.clip(np.rint(total), 0, 255).astype(np.uint8)


def fill_region(original: Bytes, decoded: Bytes, region: NDArray[np.bool_], reach: int) -> Bytes:
    """Put the decoded ``region`` (H, W) into the original; outside of it every original pixel stays.

    What decoding lost along the border goes on into the region and fades over about ``reach`` pixels.
    """
    lost = np.where(region[..., None], np.float32(0), original.astype(np.float32) - decoded)
    outside = (~region).astype(np.float32)
    near = blur(blur(outside, reach), reach)[..., None]
    spread = blur(blur(lost, reach), reach) / np.maximum(near, np.float32(1e-3))
    made = to_picture(decoded, (spread * np.clip(2 * near, 0, 1)).astype(np.float32))
    return np.where(region[..., None], made, original)
