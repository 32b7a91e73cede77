# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of a video file, one at a time: however long the file, only a few frames are in memory.

Frames come the right way up (rotation applied), with square pixels, as uint8 arrays (height, width, 3) of RGB.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, cast

import av
import av.container
import numpy as np

from .errors import VideoError, name_of
from .frames import Frame, as_rate, fit_frame, resample

Source = str | os.PathLike[str] | BinaryIO


@dataclass(frozen=True)
class VideoInfo:
    """What a file says about its video: size in pixels as shown, frames per second, seconds."""

    width: int
    height: int
    fps: Fraction
    frame_count: int | None
    duration: float | None
    has_audio: bool


@dataclass(frozen=True)
class Audio:
    """Sound: ``samples`` float32 (channels, samples) in -1..1, ``rate`` samples per second."""

    samples: np.ndarray
    rate: int


def probe(source: Source) -> VideoInfo:
    """Return the facts of a video file, decoding one frame of it.

    Raises VideoError for a missing file, one that is no video or is cut off, and one without frames.
    """
    with _open(source) as container:
        stream = _video_stream(container, source)
        rate = _rate(stream)
        for _, frame in _timed_frames(container, source):
            height, width = frame.shape[:2]
            break
        else:
            raise VideoError(f"{name_of(source)} has no frames.")
        duration = _duration(container, stream)
        count = stream.frames or None
        if duration is None and count:
            duration = count / rate
        seconds = None if duration is None else float(duration)
        return VideoInfo(width, height, rate, count, seconds, bool(container.streams.audio))


def read_frames(
    source: Source,
    *,
    fps: float | Fraction | None = None,
    start: float = 0.0,
    duration: float | None = None,
    size: tuple[int, int] | None = None,
    fit: str = "crop",
) -> Iterator[Frame]:
    """Yield the frames of a file (a path or a seekable binary file object) one at a time.

    ``fps`` resamples to a constant rate (None: every frame as it is), ``start`` and ``duration`` (seconds, None or 0:
    to the end) trim, ``size`` = (width, height) resizes every frame by ``fit`` ("crop", "pad", "stretch").
    Raises VideoError for a missing, foreign, cut-off or damaged file and when no frame lies in the range.
    """
    rate = None if not fps else as_rate(fps)
    begin = Fraction(max(0.0, start)).limit_denominator(10**6)
    length = None if not duration else Fraction(duration).limit_denominator(10**6)
    if length is not None and length < 0:
        raise VideoError(f"A duration of {float(length):g} seconds is negative.")
    with _open(source) as container:
        source_rate = _rate(_video_stream(container, source))
        count = 0
        for frame in resample(_timed_frames(container, source, begin), source_rate, rate, begin, length):
            yield frame if size is None else fit_frame(frame, *size, fit)
            count += 1
    if not count:
        where = f" after {start:g} s" if start > 0 else ""
        raise VideoError(f"{name_of(source)} has no frames{where}.")


def read_audio(source: Source, *, start: float = 0.0, duration: float | None = None) -> Audio | None:
    """Return a file's sound from ``start`` for ``duration`` seconds (None or 0: to the end), None without sound.

    Raises VideoError like ``read_frames``.
    """
    with _open(source) as container:
        if not container.streams.audio:
            return None
        stream = container.streams.audio[0]
        rate = int(stream.rate)
        layout = "mono" if stream.channels == 1 else "stereo"
        resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate)
        parts: list[np.ndarray] = []
        begin: float | None = None
        try:
            for frame in container.decode(stream):
                if begin is None:
                    begin = float(frame.time or 0.0)
                parts += [part.to_ndarray() for part in resampler.resample(frame)]
            parts += [part.to_ndarray() for part in resampler.resample(None)]
        except av.FFmpegError as error:
            raise VideoError(f"The sound of {name_of(source)} is damaged: {error.strerror}.") from None
    if not parts:
        return None
    samples = np.concatenate(parts, axis=1)
    origin = max(0.0, begin or 0.0)  # sound that starts later than the picture stays in step with it
    samples = np.pad(samples, ((0, 0), (round(origin * rate), 0)))[:, round(max(0.0, start) * rate) :]
    if duration:
        samples = samples[:, : round(duration * rate)]
    return Audio(np.ascontiguousarray(samples, np.float32), rate) if samples.shape[1] else None


@contextmanager
def _open(source: Source) -> Iterator[av.container.InputContainer]:
    name = name_of(source)
    target: Any = source
    options: dict[str, str] = {}
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        if path.is_dir():
            raise VideoError(f"{name} is a folder, not a video file.")
        if not path.is_file():
            raise VideoError(f"There is no file {path}.")
        target = str(path.resolve())
        options = {"protocol_whitelist": "file"}  # a playlist must not make this machine open addresses
    else:
        source.seek(0)
    try:
        container = av.open(target, mode="r", options=options)
    except PermissionError:
        raise VideoError(f"{name} may not be read: check the permissions of the file.") from None
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{name} is not a video, or it is cut off ({error.strerror}).") from None
    try:
        yield cast(av.container.InputContainer, container)
    finally:
        container.close()


def _video_stream(container: av.container.InputContainer, source: Source) -> Any:
    if not container.streams.video:
        raise VideoError(f"{name_of(source)} has no picture track (is it a sound file?).")
    return container.streams.video[0]


def _rate(stream: Any) -> Fraction:
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate and 0 < rate <= 1000:
            return as_rate(rate)
    return Fraction(24)


def _duration(container: av.container.InputContainer, stream: Any) -> Fraction | None:
    if stream.duration and stream.time_base:
        return Fraction(stream.duration * stream.time_base)
    return Fraction(container.duration, av.time_base) if container.duration else None


def _timed_frames(
    container: av.container.InputContainer, source: Source, start: Fraction = Fraction(0)
) -> Iterator[tuple[Fraction, Frame]]:
    """Yield (seconds since the stream's begin, frame), from the key frame before ``start`` on."""
    stream = _video_stream(container, source)
    stream.thread_type = "AUTO"
    rate, name = _rate(stream), name_of(source)
    origin = Fraction((stream.start_time or 0) * stream.time_base)
    if start > 0:
        try:
            container.seek(int((start + origin) / stream.time_base), stream=stream)
        except av.FFmpegError:  # not every container can seek: then everything before is decoded and dropped
            container.seek(0)
    time, shown_until = Fraction(0), Fraction(0)
    try:
        for index, frame in enumerate(container.decode(stream)):
            time = Fraction(frame.pts * frame.time_base) - origin if frame.pts is not None else index / rate
            length = Fraction(frame.duration * frame.time_base) if getattr(frame, "duration", None) else 1 / rate
            shown_until = max(shown_until, time + length)
            yield time, _upright(frame, stream)
    except av.FFmpegError as error:
        raise VideoError(f"{name} is damaged after {float(time):.2f} s: {error.strerror}.") from None
    # A file whose end is missing just stops; only streams that state their own length can tell.
    if stream.duration and start == 0:
        stated = Fraction(stream.duration * stream.time_base)
        if stated - shown_until > max(3 / rate, stated / 20):
            raise VideoError(
                f"{name} is cut off: it ends after {float(shown_until):.2f} s of {float(stated):.2f} s. Copy it again."
            )


def _upright(frame: Any, stream: Any) -> Frame:
    """Return a decoded frame as RGB with square pixels, turned as its display matrix says."""
    aspect = stream.sample_aspect_ratio
    width = frame.width if not aspect or aspect == 1 else max(1, round(frame.width * aspect))
    picture = frame.reformat(width=width, height=frame.height, format="rgb24").to_ndarray()
    turns = round((getattr(frame, "rotation", 0) or 0) / 90) % 4  # counter-clockwise
    return np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture
