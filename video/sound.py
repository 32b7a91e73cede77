# SPDX-License-Identifier: GPL-3.0-or-later
"""Sound as a stream: read and written piece by piece, in step with the picture, with as many channels as it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import av
import numpy as np

from .container import Source, begin_of, open_container
from .errors import VideoError, name_of

PIECE = 4096  # samples to encode at once
PREROLL = 0.25  # seconds to decode before a cut: codecs need some past
LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
AAC_RATES = (48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)


@dataclass(frozen=True)
class Audio:
    """Sound: ``samples`` float32 (channels, samples) in -1..1, ``rate`` samples per second."""

    samples: np.ndarray
    rate: int


@dataclass(frozen=True)
class SoundStream:
    """Sound that is read while it is used: ``read(start, duration)`` yields float32 (channels, samples) pieces.

    Times are in seconds, a ``duration`` of None goes to the end; ``layout`` is libav's name of the channels.
    """

    rate: int
    layout: str
    read: Callable[[float, float | None], Iterator[np.ndarray]]
    start: float = 0.0
    duration: float | None = None

    def pieces(self) -> Iterator[np.ndarray]:
        """Yield the sound of this range."""
        return self.read(self.start, self.duration)

    def cut(self, start: float, duration: float | None = None) -> SoundStream:
        """Return the part from ``start`` for ``duration`` seconds (None: to the end) of this one."""
        left = None if self.duration is None else max(0.0, self.duration - start)
        length = left if duration is None else duration if left is None else min(left, duration)
        return replace(self, start=self.start + start, duration=length)


def as_stream(audio: Audio) -> SoundStream:
    """Return sound that lies in memory as a stream."""
    samples = np.nan_to_num(np.atleast_2d(np.asarray(audio.samples, np.float32)))
    if samples.ndim != 2 or audio.rate <= 0:
        raise VideoError(f"Sound must be (channels, samples) at a positive rate, not {samples.shape} at {audio.rate}.")
    if samples.shape[0] not in LAYOUTS:
        samples = samples.mean(0, keepdims=True)
    rate = int(audio.rate)

    def read(start: float, duration: float | None) -> Iterator[np.ndarray]:
        begin = round(start * rate)
        stop = samples.shape[1] if duration is None else min(samples.shape[1], begin + round(duration * rate))
        for at in range(begin, stop, PIECE):
            yield samples[:, at : min(stop, at + PIECE)]

    return SoundStream(rate, LAYOUTS[samples.shape[0]], read)


def read_sound(source: Source, *, mix: bool = False) -> SoundStream | None:
    """Return the sound of a file (a path or a file object), in step with its picture; None without sound.

    ``mix`` brings more than two channels down to stereo. Raises VideoError for what is no video, and while the stream
    is read for damaged sound.
    """
    with open_container(source) as container:
        if not container.streams.audio:
            return None
        stream: Any = container.streams.audio[0]
        rate, channels, layout = int(stream.rate), int(stream.channels), str(stream.layout.name)
    if channels == 1:
        layout = "mono"
    elif mix or channels == 2 or layout not in LAYOUTS.values():
        layout = "stereo" if mix or channels == 2 or channels not in LAYOUTS else LAYOUTS[channels]

    def read(start: float, duration: float | None) -> Iterator[np.ndarray]:
        return _read(source, rate, layout, start, duration)

    return SoundStream(rate, layout, read)


def _read(source: Source, rate: int, layout: str, start: float, duration: float | None) -> Iterator[np.ndarray]:
    begin = round(max(0.0, start) * rate)
    end = None if duration is None else begin + round(duration * rate)
    at: int | None = None  # the sample, counted from the picture's begin, where the next piece belongs
    for piece in _decode(source, rate, layout, start):
        if isinstance(piece, int):
            at = piece
            if at > begin:  # sound that starts later than the picture stays in step with it
                yield np.zeros((_channels(layout), (at if end is None else min(at, end)) - begin), np.float32)
            continue
        first = max(0, begin - (at or 0))
        stop = piece.shape[1] if end is None else min(piece.shape[1], end - (at or 0))
        if stop > first:
            yield piece[:, first:stop]
        at = (at or 0) + piece.shape[1]
        if end is not None and at >= end:
            return


def _decode(source: Source, rate: int, layout: str, start: float) -> Iterator[Any]:
    """Yield first the number of the first sample, then the decoded pieces, from a little before ``start`` on."""
    with open_container(source) as container:
        stream: Any = container.streams.audio[0]
        pictures: Any = container.streams.video
        origin = begin_of(pictures[0]) if pictures else begin_of(stream)
        wanted = Fraction(max(0.0, start - PREROLL)).limit_denominator(rate)
        if wanted > 0 and stream.start_time is not None:
            try:
                container.seek(int((wanted + origin) / stream.time_base), stream=stream)
            except av.FFmpegError:
                container.seek(0)
        mixing = int(stream.channels) > _channels(layout)
        # libav weighs whole numbers so that a mix cannot clip, floats not
        resampler = av.AudioResampler(format="s32" if mixing else "flt", layout=layout, rate=rate)
        told = False
        try:
            for frame in container.decode(stream):
                if not told:
                    time = Fraction(frame.pts * frame.time_base) - origin if frame.pts is not None else Fraction(0)
                    yield round(time * rate)
                    told = True
                yield from map(_floats, resampler.resample(frame))
            if told:
                yield from map(_floats, resampler.resample(None))
        except av.FFmpegError as error:
            raise VideoError(f"The sound of {name_of(source)} is damaged: {error.strerror}.") from None


def _floats(frame: av.AudioFrame) -> np.ndarray:
    """Return (channels, samples) of a frame in a packed format: PyAV miscounts the planes of eight channels."""
    samples = frame.to_ndarray().reshape(-1, len(frame.layout.channels)).T
    return samples if samples.dtype == np.float32 else samples.astype(np.float32) / 2**31


def _channels(layout: str) -> int:
    return len(av.AudioLayout(layout).channels)


class SoundWriter:
    """Encodes sound step by step, in time with the picture."""

    def __init__(self, audio: Audio | SoundStream, codec: str, bits_per_channel: int = 0) -> None:
        self._sound = audio if isinstance(audio, SoundStream) else as_stream(audio)
        self._codec, self._bits = codec, bits_per_channel
        rate = self._sound.rate
        self._out_rate = 48000 if codec == "libopus" or (codec == "aac" and rate not in AAC_RATES) else rate
        self._pieces: Iterator[np.ndarray] | None = None
        self._held: np.ndarray | None = None
        self._done = 0
        self._stream: Any = None

    def add_to(self, container: Any) -> None:
        """Give ``container`` a stream for this sound, in stereo where the codec lacks its layout."""
        layout = self._sound.layout
        if not _takes(self._codec, self._out_rate, layout):
            layout = "stereo"
        self._stream = container.add_stream(self._codec, rate=self._out_rate, layout=layout)
        if self._bits:
            self._stream.bit_rate = self._bits * _channels(layout)
        self._pieces = self._sound.pieces()

    def write(self, container: Any, until: Fraction) -> None:
        """Encode up to ``until`` seconds."""
        stop = int(until * self._sound.rate)
        while self._done < stop:
            piece = self._next()
            if piece is None:
                return
            room = stop - self._done
            self._encode(container, piece[:, :room])
            self._held = piece[:, room:] if piece.shape[1] > room else None

    def finish(self, container: Any) -> None:
        """Encode what the codec still holds."""
        container.mux(self._stream.encode(None))
        self.close()

    def close(self) -> None:
        """Let go of what is being read."""
        close = getattr(self._pieces, "close", None)
        if close is not None:
            close()

    def _next(self) -> np.ndarray | None:
        if self._held is not None:
            return self._held
        return None if self._pieces is None else next(self._pieces, None)

    def _encode(self, container: Any, samples: np.ndarray) -> None:
        for at in range(0, samples.shape[1], PIECE):
            piece = np.clip(samples[:, at : at + PIECE], -1, 1).astype(np.float32, copy=False)
            packed = np.ascontiguousarray(piece.T).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=self._sound.layout)
            rate = self._sound.rate
            frame.sample_rate, frame.pts, frame.time_base = rate, self._done, Fraction(1, rate)
            container.mux(self._stream.encode(frame))  # resamples to the stream's format and rate
            self._done += piece.shape[1]


def _takes(codec: str, rate: int, layout: str) -> bool:
    """Whether an encoder opens with this layout."""
    try:
        context: Any = av.CodecContext.create(codec, "w")
        context.sample_rate, context.layout = rate, layout
        context.format = context.codec.audio_formats[0]
        context.open()
    except (av.FFmpegError, ValueError, TypeError):
        return False
    return True
