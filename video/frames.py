# SPDX-License-Identifier: GPL-3.0-or-later
"""Small conversions on frames: a frame is a uint8 array (height, width, 3) of RGB values 0..255."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
import torch
from av.video.reformatter import Interpolation

from .errors import VideoError

Frame = np.ndarray
FITS = ("crop", "pad", "stretch")


def as_rate(fps: float | Fraction | str) -> Fraction:
    """Return frames per second as an exact fraction (29.97 becomes 30000/1001).

    Raises VideoError unless it lies between 1/1000 and 1000.
    """
    try:
        rate = Fraction(fps)
    except (ValueError, TypeError, OverflowError, ZeroDivisionError):
        raise VideoError(f"{fps!r} is not a frame rate: give a number of frames per second.") from None
    if not Fraction(1, 1000) <= rate <= 1000:
        raise VideoError(f"{float(rate):g} is not a usable frame rate: give 0.001 to 1000 frames per second.")
    ntsc = Fraction(round(rate * 1001 / 1000) * 1000, 1001)
    if rate.denominator > 1001 and ntsc and abs(rate - ntsc) < Fraction(1, 1000):
        return ntsc
    return rate.limit_denominator(1001)


def check_frame(frame: Any) -> Frame:
    """Return ``frame`` if it is a uint8 array (height, width, 3), else raise VideoError saying what it is."""
    if not isinstance(frame, np.ndarray) or frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
        got = f"{frame.dtype} {frame.shape}" if isinstance(frame, np.ndarray) else type(frame).__name__
        raise VideoError(f"A frame must be a uint8 array of shape (height, width, 3), but this one is {got}.")
    if min(frame.shape[:2]) < 1:
        raise VideoError(f"A frame of {frame.shape[1]}x{frame.shape[0]} pixels is empty.")
    return frame


def fit_frame(frame: Frame, width: int, height: int, fit: str = "crop") -> Frame:
    """Return ``frame`` at ``width`` x ``height``: "crop" cuts to the new aspect ratio around the centre,
    "pad" adds black borders, "stretch" does neither. Raises VideoError for another ``fit``."""
    if fit not in FITS:
        raise VideoError(f'"{fit}" is not a way to fit a frame: use one of {", ".join(FITS)}.')
    old_height, old_width = frame.shape[:2]
    if (old_width, old_height) == (width, height):
        return frame
    if fit == "crop":
        keep_width = max(1, min(old_width, round(old_height * width / height)))
        keep_height = max(1, min(old_height, round(old_width * height / width)))
        left, top = (old_width - keep_width) // 2, (old_height - keep_height) // 2
        return _scale(frame[top : top + keep_height, left : left + keep_width], width, height)
    if fit == "stretch":
        return _scale(frame, width, height)
    scale = min(width / old_width, height / old_height)
    inner_width, inner_height = (
        max(1, min(n, round(o * scale))) for n, o in ((width, old_width), (height, old_height))
    )
    left, top = (width - inner_width) // 2, (height - inner_height) // 2
    padded = np.zeros((height, width, 3), np.uint8)
    padded[top : top + inner_height, left : left + inner_width] = _scale(frame, inner_width, inner_height)
    return padded


def _scale(frame: Frame, width: int, height: int) -> Frame:
    if (frame.shape[1], frame.shape[0]) == (width, height):
        return np.ascontiguousarray(frame)
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
    return picture.reformat(
        width=width, height=height, format="rgb24", interpolation=Interpolation.BICUBIC
    ).to_ndarray()


def legal_size(width: int, height: int, multiple: int) -> tuple[int, int]:
    """Return the nearest width and height that are multiples of ``multiple`` (at least one of it)."""
    return (
        max(multiple, (width + multiple // 2) // multiple * multiple),
        max(multiple, (height + multiple // 2) // multiple * multiple),
    )


def resample(
    timed: Iterable[tuple[Fraction, Frame]],
    source_rate: Fraction,
    fps: Fraction | None = None,
    start: Fraction = Fraction(0),
    duration: Fraction | None = None,
    gone: Fraction | None = None,
) -> Iterator[Frame]:
    """Yield the frames shown from ``start`` for ``duration`` seconds (None: to the end), one at a time.

    ``timed`` yields (time in seconds, frame) in order. With ``fps`` the output is at that constant rate, each output
    frame being the one on show at its time; without, every source frame comes once. ``gone`` is when the last frame
    goes, if it does not stand for one frame's time.
    """
    slack = Fraction(1, 4) / source_rate  # containers round time stamps: less than this is no difference
    end = None if duration is None else start + duration
    if fps is None:
        for time, frame in timed:
            if end is not None and time >= end - slack:
                return
            if time >= start - slack:
                yield frame
        return
    slack = min(slack, Fraction(1, 4) / fps)
    held: tuple[Fraction, Frame] | None = None
    count = 0
    for time, frame in timed:
        while held is not None and (due := start + count / fps) < time - slack:
            if end is not None and due >= end - slack:
                return
            yield held[1]
            count += 1
        held = (time, frame)
    if held is not None:
        last = held[0] + 1 / source_rate if gone is None or gone <= held[0] else gone
        end = last if end is None else min(end, last)
        while start + count / fps < end - slack:
            yield held[1]
            count += 1


def chunked(frames: Iterable[Frame], first: int, rest: int) -> Iterator[np.ndarray]:
    """Yield arrays (frames, height, width, 3): the first of ``first`` frames, the others of ``rest``.

    The last one may be shorter. Raises VideoError when a frame's size differs from the first one's.
    """
    held: list[Frame] = []
    wanted, shape = first, None
    for frame in frames:
        if shape is not None and frame.shape != shape:
            raise VideoError(
                f"The frames differ in size: {shape[1]}x{shape[0]} at first, then {frame.shape[1]}x{frame.shape[0]}."
            )
        shape = frame.shape
        held.append(frame)
        if len(held) == wanted:
            yield np.stack(held)
            held, wanted = [], rest
    if held:
        yield np.stack(held)


def to_floats(frames: np.ndarray) -> torch.Tensor:
    """uint8 (..., height, width, 3) to a float32 tensor of the same shape, values 0..1."""
    return torch.from_numpy(frames).to(torch.float32).div_(255)


def to_bytes(images: torch.Tensor) -> np.ndarray:
    """Float tensor (..., height, width, channels >= 3), values 0..1 (clamped), to uint8 (..., height, width, 3)."""
    rgb = images.detach()[..., :3].to(dtype=torch.float32, device="cpu")
    return rgb.clamp(0, 1).mul(255).round_().to(torch.uint8).contiguous().numpy()
