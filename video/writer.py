# SPDX-License-Identifier: GPL-3.0-or-later
"""A video file from a stream of frames: one frame in memory, and either a whole file or none.

The file is written under another name in the same folder and renamed when it is complete; after an error or a
cancel nothing is left.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import av
import numpy as np
from av.video.reformatter import Colorspace

from .errors import VideoError, name_of
from .frames import Frame, as_rate, check_frame
from .sound import Audio, SoundStream, SoundWriter

# Codecs as data. container: (libav's muxer, its audio codec, the video codecs it takes)
CONTAINERS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "mp4": ("mp4", "aac", ("h264", "av1")),
    "mkv": ("matroska", "aac", ("h264", "av1", "lossless")),
    "webm": ("webm", "libopus", ("av1",)),
}
# codec: (libav's encoder, pixel format, quality option, options)
CODECS: dict[str, tuple[str, str, str, dict[str, str]]] = {
    "h264": ("libx264", "yuv420p", "crf", {"preset": "medium"}),
    "av1": ("libsvtav1", "yuv420p", "crf", {"preset": "8"}),
    "lossless": ("libx264rgb", "rgb24", "qp", {"preset": "ultrafast"}),  # exact RGB, for spooling
}
DEFAULT_CRF = {"h264": 18.0, "av1": 28.0, "lossless": 0.0}
LEAST_FREE_BYTES = 8 << 20
BT709 = 1  # ISO/IEC 23091-2 number, the same for primaries, transfer and matrix


@dataclass(frozen=True)
class WrittenVideo:
    """What was written: number of frames, size in the file (even numbers), frames per second."""

    frames: int
    width: int
    height: int
    fps: Fraction

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return float(self.frames / self.fps)


def write_video(
    target: str | os.PathLike[str] | BinaryIO,
    frames: Iterable[Frame],
    *,
    fps: float | Fraction,
    audio: Audio | SoundStream | None = None,
    metadata: Mapping[str, Any] | None = None,
    crf: float | None = None,
    container: str = "mp4",
    codec: str = "h264",
) -> WrittenVideo:
    """Write ``frames`` (uint8 (height, width, 3), all of one size) to a path or a seekable binary file object.

    ``audio`` is cut to the length of the picture; ``metadata`` becomes tags (values that are no strings as JSON);
    ``crf`` is the quality (lower is better, None: the codec's default). Raises VideoError for no frames, frames of
    different sizes, a full disk and an unknown container or codec; what ``frames`` raises passes through. In each case
    nothing is left behind.
    """
    with VideoWriter(
        target, fps=fps, audio=audio, metadata=metadata, crf=crf, container=container, codec=codec
    ) as writer:
        source = iter(frames)
        try:
            for frame in source:
                writer.write(frame)
        finally:
            close = getattr(source, "close", None)  # ends a generator now, so that what it holds is released
            if close is not None:
                close()
        return writer.finish()


class VideoWriter:
    """Writes a video frame by frame; a context manager that leaves no file unless ``finish`` was reached."""

    def __init__(
        self,
        target: str | os.PathLike[str] | BinaryIO,
        *,
        fps: float | Fraction,
        audio: Audio | SoundStream | None = None,
        metadata: Mapping[str, Any] | None = None,
        crf: float | None = None,
        container: str = "mp4",
        codec: str = "h264",
    ) -> None:
        if container not in CONTAINERS:
            raise VideoError(f'Videos cannot be written as "{container}": use one of {", ".join(CONTAINERS)}.')
        if codec not in CONTAINERS[container][2]:
            raise VideoError(f'{container} files take {" or ".join(CONTAINERS[container][2])}, not "{codec}".')
        self.fps = as_rate(fps)
        self._kind, self._codec = container, codec
        self._crf = DEFAULT_CRF[codec] if crf is None else float(crf)
        self._tags = {str(k): v if isinstance(v, str) else json.dumps(v) for k, v in (metadata or {}).items()}
        self._sound = None if audio is None else SoundWriter(audio, CONTAINERS[container][1])
        self._sink = _Sink(target)
        self._name = name_of(target)
        self._container: Any = None
        self._stream: Any = None
        self._shape: tuple[int, ...] | None = None
        self.count = 0

    def write(self, frame: Frame) -> None:
        """Append one frame, uint8 (height, width, 3). Odd sizes get their last row or column twice."""
        shape = check_frame(frame).shape
        with _plain_errors(self._name):
            if self._shape is None:
                self._start(shape)
            elif shape != self._shape:
                raise VideoError(
                    f"Frame {self.count + 1} is {shape[1]}x{shape[0]} pixels, but the video is "
                    f"{self._shape[1]}x{self._shape[0]}."
                )
            height, width = shape[:2]
            even = (
                np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), "edge") if height % 2 or width % 2 else frame
            )
            self._container.mux(self._stream.encode(self._picture(even)))
            self.count += 1
            if self._sound is not None:  # sound follows the picture, else the muxer would hold back all of it
                self._sound.write(self._container, self.count / self.fps)

    def finish(self) -> WrittenVideo:
        """Complete the file and give it its name. Raises VideoError when there was no frame."""
        if self._shape is None:
            raise VideoError(f"There are no frames to write to {self._name}.")
        with _plain_errors(self._name):
            self._container.mux(self._stream.encode(None))
            if self._sound is not None:
                self._sound.finish(self._container)
            self._container.close()
            self._container = None
            self._sink.keep()
        return WrittenVideo(self.count, self._stream.width, self._stream.height, self.fps)

    def abort(self) -> None:
        """Stop and remove what was written so far. Does nothing after ``finish``."""
        if self._container is not None:
            with contextlib.suppress(av.FFmpegError, OSError):  # a full disk fails again here; the first error counts
                self._container.close()
            self._container = None
        self._sink.discard()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()

    def _start(self, shape: tuple[int, ...]) -> None:
        muxer = CONTAINERS[self._kind][0]
        encoder, pixels, quality, options = CODECS[self._codec]
        flags = {"movflags": "use_metadata_tags"} if muxer == "mp4" else {}  # else mp4 drops tags it does not know
        self._container = av.open(self._sink.open(), mode="w", format=muxer, options=flags)
        self._container.metadata.update(self._tags)
        stream = self._container.add_stream(encoder, rate=self.fps)
        stream.width, stream.height = shape[1] + shape[1] % 2, shape[0] + shape[0] % 2
        stream.pix_fmt = pixels
        key_frames = str(max(1, round(2 * self.fps)))  # one every two seconds: players can seek
        stream.options = {**options, quality: f"{self._crf:g}", "g": key_frames}
        if pixels.startswith("yuv"):
            context = stream.codec_context
            context.color_primaries = context.color_trc = context.colorspace = BT709
            context.color_range = 1
        if self._sound is not None:
            self._sound.add_to(self._container)
        self._stream, self._shape = stream, shape

    def _picture(self, frame: Frame) -> av.VideoFrame:
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        if self._stream.pix_fmt.startswith("yuv"):
            picture = picture.reformat(format=self._stream.pix_fmt, dst_colorspace=Colorspace.ITU709)
        picture.pts, picture.time_base = self.count, 1 / self.fps
        return picture


class _Sink:
    """Where the bytes go: a hidden file beside the target, or the given file object from its position on."""

    def __init__(self, target: str | os.PathLike[str] | BinaryIO) -> None:
        self._path: Path | None = None
        self._temporary: Path | None = None
        self._file: Any = None
        if not isinstance(target, (str, os.PathLike)):
            self._file, self._begin = target, target.tell()
            return
        self._path = Path(target)
        folder = self._path.parent
        if not folder.is_dir():
            raise VideoError(f"{self._path.name} cannot be written: there is no folder {folder}.")
        if self._path.is_dir():
            raise VideoError(f"{self._path.name} cannot be written: there is a folder of that name.")
        if shutil.disk_usage(folder).free < LEAST_FREE_BYTES:
            raise VideoError(f"{self._path.name} cannot be written: {folder} is full. Make room and try again.")
        self._temporary = folder / f".{self._path.stem}-{secrets.token_hex(4)}.part"

    def open(self) -> Any:
        if self._temporary is not None:
            self._file = self._temporary.open("wb")
        return self._file

    def keep(self) -> None:
        if self._path is not None and self._temporary is not None:
            self._file.close()
            os.replace(self._temporary, self._path)
            self._temporary = None
        self._file = None

    def discard(self) -> None:
        if self._file is None:
            return
        if self._temporary is None:
            self._file.seek(self._begin)
            self._file.truncate()
        else:
            with contextlib.suppress(OSError):  # buffered bytes that a full disk cannot take
                self._file.close()
            self._temporary.unlink(missing_ok=True)
        self._file = None


@contextmanager
def _plain_errors(name: str) -> Iterator[None]:
    """Turn what the encoder and the disk raise into one sentence."""
    try:
        yield
    except (av.FFmpegError, OSError) as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            message = f"{name} cannot be written: the disk is full. Make room and try again."
        else:
            message = f"{name} cannot be written: {error.strerror or error}."
        raise VideoError(message) from error
