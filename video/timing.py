# SPDX-License-Identifier: GPL-3.0-or-later
"""When each picture of a file is shown, read from its packets without decoding one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import av
import numpy as np

from .animation import is_animation, picture_times
from .container import Source, begin_of, has_times, open_container, stated_duration, stated_rate, video_stream
from .errors import VideoError, name_of
from .frames import as_rate, resample

USUAL_RATES = [Fraction(n * 1000, 1001) for n in (24, 30, 48, 60, 120)] + [
    Fraction(n) for n in (5, 6, 8, 10, 12, 15, 16, 20, 24, 25, 30, 48, 50, 60, 90, 100, 120)
]
MOST_FPS = 120  # a burst of closer pictures is no frame rate


@dataclass(frozen=True)
class Timing:
    """The pictures' times: ``ticks`` (int64, sorted, the first near 0) of ``base`` seconds each.

    ``rate`` is the file's own rate in frames per second, of a variable one the rate of its motion; ``end`` when the
    last picture goes, in seconds; ``cut_off`` whether the header promises noticeably more than is there.
    """

    ticks: np.ndarray
    base: Fraction
    rate: Fraction
    variable: bool
    end: Fraction
    cut_off: bool

    @property
    def count(self) -> int:
        """Number of pictures."""
        return len(self.ticks)

    def times(self) -> Iterator[Fraction]:
        """Yield the time of each picture in seconds."""
        return (int(tick) * self.base for tick in self.ticks)

    def count_of(self, fps: Fraction | None, start: Fraction = Fraction(0), duration: Fraction | None = None) -> int:
        """Return how many frames ``resample`` gives of these pictures; a ``duration`` of 0 or None goes to the end."""
        timed = ((time, None) for time in self.times())
        duration = duration or None
        shown: Any = resample(cast(Any, timed), self.rate, fps, start, duration, self.end)
        return sum(1 for _ in shown)


def read_timing(source: Source) -> Timing:
    """Return when each picture of a file is shown, reading it once (files are remembered until they change).

    Raises VideoError for what is no video and for one without pictures.
    """
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        if path.is_file():
            state = path.stat()
            return _remembered(path.resolve(), state.st_mtime_ns, state.st_size)
    return _read(source)


@lru_cache(maxsize=32)
def _remembered(path: Path, changed: int, size: int) -> Timing:
    return _read(path)


def _read(source: Source) -> Timing:
    if is_animation(source):
        ends = picture_times(source)
        ticks = np.array([0, *ends[:-1]], np.int64)
        return _timing(ticks, Fraction(1, 1000), Fraction(ends[-1], 1000), Fraction(24), None)
    with open_container(source) as container:
        stream = video_stream(container, source)
        rate, stated = stated_rate(container, stream), stated_duration(container, stream)
        spans = list(_packets(container, stream))
        if not spans:
            raise VideoError(f"{name_of(source)} has no frames.")
        timed = [(begin, length) for begin, length in spans if begin is not None]
        if not has_times(container, stream) or len(timed) < len(spans):
            count = len(spans)
            return _timing(np.arange(count, dtype=np.int64), 1 / rate, count / rate, rate, None)
        base = Fraction(stream.time_base)
        origin = round(begin_of(stream) / base)
        ticks = np.sort(np.array([begin - origin for begin, _ in timed], np.int64))
        last = max(timed)[1]
        end = int(ticks[-1]) * base + (last * base if last else 1 / rate)
        return _timing(ticks, base, end, rate, stated if stream.duration else None)


def _packets(container: Any, stream: Any) -> Iterator[tuple[int | None, int]]:
    """Yield (time stamp, length) of every packet that holds a picture; a broken end just ends it."""
    try:
        for packet in container.demux(stream):
            if packet.size and not getattr(packet, "is_discard", False):
                yield packet.pts, packet.duration or 0
    except av.FFmpegError:
        return


def _timing(ticks: np.ndarray, base: Fraction, end: Fraction, rate: Fraction, stated: Fraction | None) -> Timing:
    steps = np.diff(ticks)
    steps = steps[steps > 0]
    variable = False
    if len(steps):
        middle = int(np.median(steps))
        variable = bool((np.abs(steps - middle) > max(2, middle * 0.3)).any())
        length = middle * base if variable else int(steps.sum()) * base / len(steps)
        rate = _rate_of(length, base, rate)
    cut_off = stated is not None and stated - end > max(3 / rate, stated / 20)
    return Timing(ticks, base, rate, variable, end, cut_off)


def _rate_of(length: Fraction, base: Fraction, stated: Fraction) -> Fraction:
    """Return the rate that pictures of ``length`` seconds mean: the stated or a usual one within rounding."""

    def miss(rate: Fraction) -> Fraction:
        return abs(1 / rate - length)

    if miss(stated) <= max(base / 4, length / 500):
        return stated
    nearest = min(USUAL_RATES, key=miss)
    if miss(nearest) <= base + length / 100:
        return nearest
    return min(Fraction(MOST_FPS), as_rate(1 / max(length, Fraction(1, 1000))))
