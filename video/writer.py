# SPDX-License-Identifier: GPL-3.0-or-later
"""A video file from a stream of frames: one frame in memory, and either a whole file or none.

The file is written under another name in the same folder and renamed when it is complete; after an error or a
cancel nothing is left. What can be written, and how, stands in the data files of ``formats``.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import av
import numpy as np
from av.video.reformatter import Colorspace

from .encoders import give_up, pick_encoder
from .errors import VideoError, name_of
from .formats import DEFAULT_LEVEL, Encoder, Format, find_pair, settings_of
from .frames import Frame, as_rate, check_frame
from .sink import Sink, plain_errors
from .sound import Audio, SoundStream, SoundWriter
from .tags import write_tags

BT709 = 1  # ISO/IEC 23091-2 number, the same for primaries, transfer and matrix
Step = Callable[[Path], None]


@dataclass(frozen=True)
class WrittenVideo:
    """What was written: number of frames, size in the file, frames per second, and libav's encoder."""

    frames: int
    width: int
    height: int
    fps: Fraction
    encoder: str

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return float(self.frames / self.fps)


def text_tags(metadata: Mapping[str, Any] | None) -> dict[str, str]:
    """Return metadata as tags: values that are no strings as JSON."""
    return {str(key): value if isinstance(value, str) else json.dumps(value) for key, value in (metadata or {}).items()}


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
    writer = VideoWriter(target, fps=fps, audio=audio, metadata=metadata, crf=crf, container=container, codec=codec)
    return write_all(writer, frames)


def write_all(writer: Any, frames: Iterable[Frame], *steps: Step) -> WrittenVideo:
    """Write ``frames`` with a writer and finish it with ``steps``; in any trouble nothing is left behind."""
    with writer:
        source = iter(frames)
        try:
            for frame in source:
                writer.write(frame)
        finally:
            close = getattr(source, "close", None)  # ends a generator now, so that what it holds is released
            if close is not None:
                close()
        written: WrittenVideo = writer.finish(*steps)
        return written


class VideoWriter:
    """Writes a video frame by frame; a context manager that leaves no file unless ``finish`` was reached.

    ``quality`` is one of ``formats.LEVELS``; a ``crf`` on the codec's own scale goes before it. With ``hardware`` an
    encoder in hardware is taken where there is one that works.
    """

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
        quality: str = DEFAULT_LEVEL,
        hardware: bool = False,
    ) -> None:
        self._format: Format = find_pair(container, codec)
        self.fps = as_rate(fps)
        self._level, self._crf, self._hardware = quality, crf, hardware
        self._tags = text_tags(metadata)
        kind = self._format.container
        self._sound = None if audio is None or not kind.sound else SoundWriter(audio, kind.sound, kind.sound_bits)
        self._sink = Sink(target)
        self._name = name_of(target)
        self._container: Any = None
        self._stream: Any = None
        self._encoder: Encoder | None = None
        self._palette: _Palette | None = None
        self._shape: tuple[int, ...] | None = None
        self.count = 0

    def write(self, frame: Frame) -> None:
        """Append one frame, uint8 (height, width, 3). Where a codec takes even sizes only, edges are repeated."""
        shape = check_frame(frame).shape
        with plain_errors(self._name):
            if self._shape is None:
                self._start(shape)
            elif shape != self._shape:
                raise VideoError(
                    f"Frame {self.count + 1} is {shape[1]}x{shape[0]} pixels, but the video is "
                    f"{self._shape[1]}x{self._shape[0]}."
                )
            extra = self._stream.height - shape[0], self._stream.width - shape[1]
            whole = np.pad(frame, ((0, extra[0]), (0, extra[1]), (0, 0)), "edge") if any(extra) else frame
            for picture in self._pictures(whole):
                self._container.mux(self._stream.encode(picture))
            self.count += 1
            if self._sound is not None:  # sound follows the picture, else the muxer would hold back all of it
                self._sound.write(self._container, self.count / self.fps)

    def finish(self, *steps: Step) -> WrittenVideo:
        """Complete the file, run ``steps`` on it, and give it its name. Raises VideoError when there was no frame."""
        if self._shape is None or self._encoder is None:
            raise VideoError(f"There are no frames to write to {self._name}.")
        with plain_errors(self._name):
            for picture in self._palette.rest() if self._palette is not None else ():
                self._container.mux(self._stream.encode(picture))
            self._container.mux(self._stream.encode(None))
            if self._sound is not None:
                self._sound.finish(self._container)
            written = WrittenVideo(self.count, self._stream.width, self._stream.height, self.fps, self._encoder.name)
            self._container.close()
            self._container = None
            self._sink.keep(lambda path: write_tags(path, self._format.container.tags, self._tags), *steps)
        return written

    def abort(self) -> None:
        """Stop and remove what was written so far. Does nothing after ``finish``."""
        if self._sound is not None:
            self._sound.close()
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
        codec = self._format.codec
        height, width = (side + side % 2 if codec.even else side for side in shape[:2])
        file, hardware = self._sink.open(), self._hardware
        while self._encoder is None:
            encoder = pick_encoder(codec, (width, height), self.fps, self._level, hardware)
            try:
                self._stream = self._open(file, encoder, width, height)
                self._encoder = encoder
            except av.FFmpegError as error:  # it has worked before: another program may hold all of its sessions now
                if not encoder.hardware:
                    raise
                give_up(encoder, error.strerror or str(error))
                hardware = False
        if self._encoder.palette:
            self._palette = _Palette(width, height, self.fps, int(codec.levels[self._level]))
        if self._sound is not None:
            self._sound.add_to(self._container)
        self._shape = shape

    def _open(self, file: Any, encoder: Encoder, width: int, height: int) -> Any:
        """Begin a file with a picture track; an encoder in hardware is opened at once, nothing being written yet."""
        codec, kind = self._format.codec, self._format.container
        self._container = av.open(file, mode="w", format=kind.muxer, options=dict(kind.options))
        if kind.tags == "header":
            self._container.metadata.update(self._tags)
        stream = self._container.add_stream(encoder.name, rate=self.fps)
        stream.width, stream.height, stream.pix_fmt = width, height, encoder.pixels
        stream.options = settings_of(codec, encoder, self.fps, self._level, self._crf)
        if codec.tag and kind.muxer in ("mp4", "mov"):
            stream.codec_context.codec_tag = codec.tag
        if encoder.matrix == "bt709":
            context = stream.codec_context
            context.color_primaries = context.color_trc = context.colorspace = BT709
            context.color_range = 1
        if encoder.hardware:
            stream.codec_context.open()
        return stream

    def _pictures(self, frame: Frame) -> Iterator[av.VideoFrame]:
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        assert self._encoder is not None
        if self._palette is None and self._encoder.pixels != "rgb24":
            matrix = {"bt709": Colorspace.ITU709, "bt601": Colorspace.ITU601}[self._encoder.matrix]
            picture = picture.reformat(format=self._encoder.pixels, dst_colorspace=matrix)
        picture.pts, picture.time_base = self.count, 1 / self.fps
        if self._palette is None:
            yield picture
        else:
            yield from self._palette.of(picture)


class _Palette:
    """Brings every picture to a palette of its own, dithered."""

    def __init__(self, width: int, height: int, rate: Fraction, colours: int) -> None:
        graph: Any = av.filter.Graph()
        source = graph.add_buffer(width=width, height=height, format="rgb24", time_base=1 / rate)
        split = graph.add("split")
        palette = graph.add("palettegen", f"stats_mode=single:max_colors={colours}:reserve_transparent=0")
        use = graph.add("paletteuse", "new=1:dither=sierra2_4a")
        sink = graph.add("buffersink")
        source.link_to(split)
        split.link_to(palette, 0, 0)
        split.link_to(use, 1, 0)
        palette.link_to(use, 0, 1)
        use.link_to(sink)
        graph.configure()
        self._graph = graph

    def of(self, picture: av.VideoFrame) -> Iterator[av.VideoFrame]:
        """Yield what is ready once ``picture`` has come."""
        self._graph.push(picture)
        yield from self._ready()

    def rest(self) -> Iterator[av.VideoFrame]:
        """Yield what is still held back."""
        self._graph.push(None)
        yield from self._ready()

    def _ready(self) -> Iterator[av.VideoFrame]:
        while True:
            try:
                yield self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
