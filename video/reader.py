# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of a video file, one at a time: however long the file, only a few frames are in memory.

Frames come the right way up (rotation applied), with square pixels, as uint8 arrays (height, width, 3) of RGB.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from .animation import animation_frames, is_animation
from .container import (
    BLACK,
    Colour,
    Source,
    open_container,
    stated_duration,
    stated_rate,
    timed_frames,
    video_stream,
)
from .errors import VideoError, name_of
from .frames import Frame, as_rate, fit_frame, resample
from .sound import Audio, read_sound
from .timing import read_timing

__all__ = ["Audio", "Source", "VideoInfo", "probe", "read_audio", "read_frames"]


@dataclass(frozen=True)
class VideoInfo:
    """What a file says about its video: size in pixels as shown, frames per second, seconds.

    ``frame_count`` and ``duration`` are the header's; where it states neither they are counted.
    """

    width: int
    height: int
    fps: Fraction
    frame_count: int | None
    duration: float | None
    has_audio: bool


def probe(source: Source) -> VideoInfo:
    """Return the facts of a video file, decoding one frame of it.

    Raises VideoError for a missing file, one that is no video or is cut off, and one without frames.
    """
    if is_animation(source):
        _, frame = next(animation_frames(source))
        timing = read_timing(source)
        return VideoInfo(frame.shape[1], frame.shape[0], timing.rate, timing.count, float(timing.end), False)
    with open_container(source) as container:
        stream = video_stream(container, source)
        rate = stated_rate(container, stream)
        for _, frame in timed_frames(container, source):
            height, width = frame.shape[:2]
            break
        else:
            raise VideoError(f"{name_of(source)} has no frames.")
        duration, count = stated_duration(container, stream), stream.frames or None
        has_audio = bool(container.streams.audio)
    if duration is None and count:
        duration = count / rate
    if duration is None:  # a live recording, a raw stream
        timing = read_timing(source)
        rate, count, duration = timing.rate, timing.count, timing.end
    return VideoInfo(width, height, rate, count, float(duration), has_audio)


def read_frames(
    source: Source,
    *,
    fps: float | Fraction | None = None,
    start: float = 0.0,
    duration: float | None = None,
    size: tuple[int, int] | None = None,
    fit: str = "crop",
    background: Colour = BLACK,
    keep_whole: bool = False,
) -> Iterator[Frame]:
    """Yield the frames of a file (a path or a seekable binary file object) one at a time.

    ``fps`` resamples to a constant rate (None: every frame as it is), ``start`` and ``duration`` (seconds, None or 0:
    to the end) trim, ``size`` = (width, height) resizes every frame by ``fit`` ("crop", "pad", "stretch"). Transparent
    pictures are laid over ``background``; of a damaged file ``keep_whole`` gives what can be read.
    Raises VideoError for a missing, foreign, cut-off or damaged file and when no frame lies in the range.
    """
    rate = None if not fps else as_rate(fps)
    begin = Fraction(max(0.0, start)).limit_denominator(10**6)
    length = None if not duration else Fraction(duration).limit_denominator(10**6)
    if length is not None and length < 0:
        raise VideoError(f"A duration of {float(length):g} seconds is negative.")
    count = 0
    for frame in _resampled(source, rate, begin, length, background, keep_whole):
        yield frame if size is None else fit_frame(frame, *size, fit)
        count += 1
    if not count:
        where = f" after {start:g} s" if start > 0 else ""
        raise VideoError(f"{name_of(source)} has no frames{where}.")


def _resampled(
    source: Source,
    fps: Fraction | None,
    start: Fraction,
    duration: Fraction | None,
    background: Colour,
    keep_whole: bool,
) -> Iterator[Frame]:
    if is_animation(source):
        timing = read_timing(source)
        timed = animation_frames(source, background)
        yield from resample(timed, timing.rate, fps, start, duration, timing.end)
        return
    with open_container(source) as container:
        stream = video_stream(container, source)
        timed = timed_frames(container, source, start, background=background, keep_whole=keep_whole)
        if fps is None:
            yield from resample(timed, stated_rate(container, stream), None, start, duration)
            return
        timing = read_timing(source)  # where the rate varies, only the packets tell how long the last frame stands
        yield from resample(timed, timing.rate, fps, start, duration, timing.end)


def read_audio(source: Source, *, start: float = 0.0, duration: float | None = None) -> Audio | None:
    """Return a file's sound, mono or stereo, from ``start`` for ``duration`` seconds (None or 0: to the end).

    None without sound. Raises VideoError like ``read_frames``.
    """
    sound = read_sound(source, mix=True)
    if sound is None:
        return None
    pieces = list(sound.cut(max(0.0, start), duration or None).pieces())
    if not pieces:
        return None
    return Audio(np.ascontiguousarray(np.concatenate(pieces, axis=1), np.float32), sound.rate)
