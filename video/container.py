# SPDX-License-Identifier: GPL-3.0-or-later
"""What libav gives of a file, made even: pictures in RGB, upright, with square pixels and one size, and their times."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, cast

import av
import av.container
import numpy as np
from av.video.reformatter import Colorspace

from .errors import VideoError, name_of
from .frames import Frame, as_rate, fit_frame

Source = str | os.PathLike[str] | BinaryIO
Colour = tuple[int, int, int]
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
BLACK: Colour = (0, 0, 0)
UNSPECIFIED = 2  # colour matrix that a file does not name
HD_HEIGHT = 720  # from here on an unnamed matrix is BT.709, below BT.601, as players take it
UNTIMED_FORMATS = {"avi"}  # constant rate by definition; its time stamps are those of decoding order
TIMED_FORMATS = {"apng"}  # each picture has its length, though the header states none
SEEK_LEADS = (0, 2, 20, 10**9)  # seconds before the wanted time to try, the last from the file's begin
VP9_WITH_ALPHA = "libvpx-vp9"  # libav's own VP9 decoder drops the second layer


@contextmanager
def open_container(source: Source) -> Iterator[av.container.InputContainer]:
    """Open a path or a seekable binary file object for reading; raises VideoError with a sentence."""
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
        target = rewound(source)
    try:
        # libav looks for the mark of a moving PNG in the file's first bytes only
        container = av.open(target, mode="r", format="apng" if _is_moving_png(target) else None, options=options)
    except PermissionError:
        raise VideoError(f"{name} may not be read: check the permissions of the file.") from None
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{name} is not a video, or it is cut off ({error.strerror}).") from None
    try:
        yield cast(av.container.InputContainer, container)
    finally:
        container.close()


def rewound(file: BinaryIO) -> BinaryIO:
    """Return a file object at its begin; of one in memory another, since several read it at once (sound, pictures)."""
    if isinstance(file, io.BytesIO):
        return io.BytesIO(file.getvalue())  # shares the bytes, not the position
    file.seek(0)
    return file


def _is_moving_png(source: Source) -> bool:
    """Whether a PNG announces further pictures, however much text or signature stands before that."""
    if isinstance(source, (str, os.PathLike)):
        with Path(source).open("rb") as file:
            return _announces_more(file)
    found = _announces_more(source)
    source.seek(0)
    return found


def _announces_more(file: BinaryIO) -> bool:
    if file.read(8) != PNG_SIGNATURE:
        return False
    while len(head := file.read(8)) == 8 and head[4:] != b"IDAT":
        if head[4:] == b"acTL":
            return True
        file.seek(int.from_bytes(head[:4], "big") + 4, os.SEEK_CUR)
    return False


def video_stream(container: av.container.InputContainer, source: Source) -> Any:
    """Return the first picture track; raises VideoError where there is none."""
    if not container.streams.video:
        raise VideoError(f"{name_of(source)} has no picture track (is it a sound file?).")
    return container.streams.video[0]


def has_times(container: av.container.InputContainer, stream: Any) -> bool:
    """Whether the track's time stamps say when a picture is shown (raw streams have none)."""
    name = container.format.name
    stated = stream.start_time is not None or stream.duration is not None or container.duration is not None
    return name in TIMED_FORMATS or (stated and name not in UNTIMED_FORMATS)


def stated_rate(container: av.container.InputContainer, stream: Any) -> Fraction:
    """Return the frames per second that the file states, 24 where it states none."""
    rates = [stream.average_rate, stream.guessed_rate, stream.base_rate]
    if not has_times(container, stream) and container.format.name not in UNTIMED_FORMATS:
        rates[:2] = rates[1::-1]  # of a raw stream libav averages over what it has assumed itself
    for rate in rates:
        if rate and 0 < rate <= 1000:
            return as_rate(rate)
    return Fraction(24)


def stated_duration(container: av.container.InputContainer, stream: Any) -> Fraction | None:
    """Return the seconds that the header states, or None."""
    if stream.duration:
        return Fraction(stream.duration * stream.time_base)
    return Fraction(container.duration, av.time_base) if container.duration else None


def begin_of(stream: Any) -> Fraction:
    """Return when the track begins, in seconds of the file's own clock."""
    return Fraction((stream.start_time or 0) * stream.time_base)


def timed_frames(
    container: av.container.InputContainer,
    source: Source,
    start: Fraction = Fraction(0),
    *,
    background: Colour = BLACK,
    keep_whole: bool = False,
) -> Iterator[tuple[Fraction, Frame]]:
    """Yield (seconds since the track's begin, frame), from the key frame before ``start`` on.

    Transparent pictures are laid over ``background``. Of a damaged or cut-off file ``keep_whole`` yields what can be
    read; without it VideoError is raised where the damage begins.
    """
    stream = video_stream(container, source)
    stream.thread_type = "AUTO"
    rate, name, origin = stated_rate(container, stream), name_of(source), begin_of(stream)
    timed = has_times(container, stream)
    time, shown_until = Fraction(0), Fraction(0)
    size: tuple[int, int] | None = None
    try:
        pictures = _decode_from(container, stream, start) if start > 0 and timed else _decode(container, stream)
        for index, picture in enumerate(pictures):
            stamped = timed and picture.pts is not None
            time = Fraction(picture.pts * picture.time_base) - origin if stamped else index / rate
            length = getattr(picture, "duration", None)
            shown_until = max(shown_until, time + (Fraction(length * picture.time_base) if length else 1 / rate))
            frame = _upright(picture, stream, background)
            size = size or (frame.shape[1], frame.shape[0])
            yield time, fit_frame(frame, *size, "pad")  # some streams change their size on the way
    except av.FFmpegError as error:
        if not keep_whole:
            raise VideoError(f"{name} is damaged after {float(time):.2f} s: {error.strerror}.") from None
    if not keep_whole and start == 0:
        _check_whole(stream, name, rate, shown_until)


def _check_whole(stream: Any, name: str, rate: Fraction, shown_until: Fraction) -> None:
    """A file whose end is missing just stops; only streams that state their own length can tell."""
    if stream.duration:
        stated = Fraction(stream.duration * stream.time_base)
        if stated - shown_until > max(3 / rate, stated / 20):
            raise VideoError(
                f"{name} is cut off: it ends after {float(shown_until):.2f} s of {float(stated):.2f} s. Copy it again."
            )


def _decode(container: av.container.InputContainer, stream: Any) -> Iterator[Any]:
    """Yield the decoded pictures, with their transparency where the codec hides it in a second layer."""
    if stream.metadata.get("alpha_mode") != "1" or VP9_WITH_ALPHA not in av.codecs_available:
        yield from container.decode(stream)
        return
    decoder = cast(Any, av.CodecContext.create(VP9_WITH_ALPHA, "r"))
    for packet in container.demux(stream):
        yield from decoder.decode(packet if packet.size else None)


def _decode_from(container: av.container.InputContainer, stream: Any, start: Fraction) -> Iterator[Any]:
    """Yield the pictures from a key frame before ``start`` on; some containers seek too far, or cannot seek."""
    origin = begin_of(stream)
    for lead in SEEK_LEADS:
        try:
            container.seek(int((max(Fraction(0), start - lead) + origin) / stream.time_base), stream=stream)
        except av.FFmpegError:  # then everything before is decoded and dropped
            container.seek(0)
        pictures = _decode(container, stream)
        first = next(pictures, None)
        if first is not None and (first.pts is None or first.pts * first.time_base - origin <= start):
            break
        if start <= lead:
            break
    if first is not None:
        yield first
        yield from pictures


def _upright(picture: Any, stream: Any, background: Colour) -> Frame:
    """Return a decoded picture as RGB with square pixels, turned as its display matrix says."""
    aspect = stream.sample_aspect_ratio
    width = picture.width if not aspect or aspect == 1 else max(1, round(picture.width * aspect))
    transparent = any(part.is_alpha for part in picture.format.components) or picture.format.name == "pal8"
    options: dict[str, Any] = {"width": width, "height": picture.height, "format": "rgba" if transparent else "rgb24"}
    if int(picture.colorspace) == UNSPECIFIED and picture.height >= HD_HEIGHT:
        options["src_colorspace"] = Colorspace.ITU709
    frame = picture.reformat(**options).to_ndarray()
    if transparent:
        frame = over(frame, background)
    turns = round((getattr(picture, "rotation", 0) or 0) / 90) % 4  # counter-clockwise
    return np.ascontiguousarray(np.rot90(frame, turns)) if turns else frame


def over(picture: np.ndarray, background: Colour) -> Frame:
    """Lay a uint8 (height, width, 4) picture with straight alpha over a colour."""
    alpha = picture[..., 3:].astype(np.uint16)
    if alpha.min() == 255:
        return np.ascontiguousarray(picture[..., :3])
    behind = np.asarray(background, np.uint16) * (255 - alpha)
    return ((picture[..., :3] * alpha + behind + 127) // 255).astype(np.uint8)
