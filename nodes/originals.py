# SPDX-License-Identifier: GPL-3.0-or-later
"""The videos that an operation starts from: counted, their ends in memory, the rest streamed when it is needed."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

import comfy.model_management as mm
import numpy as np
from torch import Tensor

from ..models.edits.segments import Frames, encode_segment
from ..models.edits.timeline import Timeline
from ..video.errors import VideoError
from ..video.frames import Frame, fit_frame, legal_size
from . import vae_stream
from .errors import InputError
from .video import check_vae
from .video_input import VideoStream

LEAST_SIDE = 16  # pixels; smaller pictures show nothing


class Fitted:
    """A video read at another rate (None: its own) and size (width, height)."""

    def __init__(self, stream: VideoStream, rate: Fraction | None, size: tuple[int, int], fit: str) -> None:
        self._stream, self._size, self._fit = stream, size, fit
        self._rate = None if rate == stream.rate else rate
        self.width, self.height = size
        self.rate = rate or stream.rate

    def frames(self) -> Iterator[Frame]:
        """Yield its frames."""
        return self._stream.frames(self._rate, self._size, self._fit)

    def audio(self) -> dict[str, Any] | None:
        """Return its sound as the host's AUDIO, or None."""
        return self._stream.audio()


class OwnSound:
    """The sound that a LATENT brings along, as that of a video without pictures at ``rate``."""

    width = height = 0

    def __init__(self, audio: dict[str, Any], rate: Fraction) -> None:
        self._audio, self.rate = audio, rate

    def frames(self) -> Iterator[Frame]:
        """Yield nothing."""
        return iter(())

    def audio(self) -> dict[str, Any] | None:
        """Return the sound as the host's AUDIO."""
        return self._audio


Stream = VideoStream | Fitted | OwnSound


@dataclass(frozen=True)
class Original:
    """A VIDEO with its exact number of frames; ``stream`` reads it as often as it is asked to."""

    stream: Stream
    count: int

    @property
    def size(self) -> tuple[int, int]:
        """Return (width, height) in pixels."""
        return self.stream.width, self.stream.height

    @property
    def rate(self) -> Fraction:
        """Return the frames per second."""
        return self.stream.rate

    def frames(self, begin: int = 0, end: int | None = None) -> Iterator[Frame]:
        """Yield frames ``begin`` up to ``end``, uint8 (height, width, 3), untouched."""
        source = self.stream.frames()
        try:
            yield from itertools.islice(source, begin, self.count if end is None else end)
        finally:
            close = getattr(source, "close", None)
            if close is not None:
                close()

    def seconds(self, frames: int) -> str:
        """Say how long ``frames`` frames are."""
        return f"{frames} frames ({float(frames / self.rate):.2f} s)"


def open_video(video: Any) -> VideoStream:
    """Open a VIDEO. Raises VideoError for one that cannot be read, InputError for one whose picture is too small."""
    stream = VideoStream(video)
    check_side(stream.width, stream.height, "video")
    return stream


def look_at(stream: Stream, head: int = 0, tail: int = 0) -> tuple[Original, list[Frame], list[Frame]]:
    """Read a video once: count its frames, and return its first ``head`` and last ``tail`` frames, if it has as many.

    Raises VideoError for a video without frames.
    """
    first: list[Frame] = []
    last: deque[Frame] = deque(maxlen=tail)
    count = 0
    for frame in stream.frames():
        mm.throw_exception_if_processing_interrupted()
        if count < head:
            first.append(frame)
        last.append(frame)
        count += 1
    if not count:
        raise VideoError("The video has no frames.")
    return Original(stream, count), first, list(last)


def check_context(original: Original, frames: int, what: str = "context") -> None:
    """Raise InputError where an operation has to see more frames than there are."""
    if frames > original.count:
        raise InputError(
            f"The video has {original.seconds(original.count)}, but the {what} takes {original.seconds(frames)}: set a "
            f"shorter {what}, or connect a longer video."
        )


def check_side(width: int, height: int, what: str) -> None:
    """Raise InputError for a picture that is too small to show anything."""
    if min(width, height) < LEAST_SIDE:
        raise InputError(
            f"The {what} is {width}x{height} pixels: that is too small to work with. Connect one of at least "
            f"{LEAST_SIDE}x{LEAST_SIDE}."
        )


def timeline_of(vae: Any) -> Timeline:
    """Return how a video VAE counts frames. Raises InputError for a VAE of pictures, VideoError for one of sound."""
    check_vae(vae)
    if vae_stream.is_image_vae(vae):
        raise InputError("This VAE knows pictures only: connect the VAE of the video model that will generate.")
    return Timeline(int(vae.temporal_compression_decode() or 1), vae_stream.frame_count(vae, 1) == 1)


def working_size(vae: Any, size: tuple[int, int], width: int = 0, height: int = 0) -> tuple[int, int]:
    """The legal size to generate at: ``width`` x ``height``, where 0 follows ``size``."""
    if not width:
        width = round(size[0] * height / size[1]) if height else size[0]
    if not height:
        height = round(size[1] * width / size[0])
    return legal_size(width, height, vae_stream.size_multiple(vae))


def encode_at(vae: Any, frames: list[Frame], position: int, timeline: Timeline, size: tuple[int, int]) -> Tensor:
    """Encode frames, stretched to ``size``, that stand at frame ``position`` of a clip: (1, C, T, h, w)."""
    fitted: Frames = np.stack([fit_frame(frame, *size, "stretch") for frame in frames])
    return encode_segment(partial(vae_stream.encode_frames, vae), fitted, position, timeline)


def encode_all(vae: Any, frames: Iterable[Frame], count: int, size: tuple[int, int]) -> Tensor:
    """Encode the first ``count`` frames of a stream, stretched to ``size``; the last is repeated where they lack."""

    def fitted() -> Iterator[Frame]:
        done = 0
        for frame in itertools.islice(frames, count):
            mm.throw_exception_if_processing_interrupted()
            last = fit_frame(frame, *size, "stretch")
            yield last
            done += 1
        yield from itertools.repeat(last, count - done if done else 0)

    return vae_stream.encode_frames(vae, fitted())
