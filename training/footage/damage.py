# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds damage that a player papers over: what is broken teaches a model its own repairs."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from ...video.animation import is_animation
from ...video.container import begin_of, open_container, stated_duration, stated_rate, video_stream
from ...video.errors import VideoError


def check_whole(path: Path) -> None:
    """Decode a file strictly, keeping no picture. Raises VideoError where it is damaged or ends too early."""
    if is_animation(path):
        return
    with open_container(path) as container:
        stream = video_stream(container, path)
        stream.thread_type = "AUTO"
        stream.codec_context.options = {"err_detect": "explode"}
        begin, rate, time = begin_of(stream), stated_rate(container, stream), Fraction(0)
        try:
            for picture in container.decode(stream):
                if picture.pts is not None and picture.time_base is not None:
                    time = max(time, Fraction(picture.pts * picture.time_base) - begin)
                if picture.is_corrupt:
                    raise VideoError(f"{path.name} is damaged at {float(time):.2f} s.")
        except av.FFmpegError as error:
            raise VideoError(f"{path.name} is damaged after {float(time):.2f} s: {error.strerror}.") from None
        stated = _stated(container, stream)
        if stated is not None and stated - time > max(4 / rate, stated / 20):
            raise VideoError(f"{path.name} is cut off: it ends after {float(time):.2f} s of {float(stated):.2f} s.")


def _stated(container: Any, stream: Any) -> Fraction | None:
    """Return how long the picture should last: sound may outlast it, so the whole file's length is the last resort."""
    if stream.duration:
        return Fraction(stream.duration * stream.time_base)
    hours, _, rest = stream.metadata.get("DURATION", "").partition(":")  # Matroska's tag: 00:00:04.000000000
    minutes, _, seconds = rest.partition(":")
    if hours.isdigit() and minutes.isdigit() and seconds.replace(".", "", 1).isdigit():
        return 3600 * int(hours) + 60 * int(minutes) + Fraction(seconds)
    return None if container.streams.audio else stated_duration(container, stream)
