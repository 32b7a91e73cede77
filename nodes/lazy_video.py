# SPDX-License-Identifier: GPL-3.0-or-later
"""A VIDEO whose frames are made while somebody reads them, so that no node ever holds a whole clip of pixels.

The first reader that goes through to the end leaves an exact copy in the host's temp folder; later readers get that
copy instead of a second decode. Whatever goes wrong while decoding surfaces in the node that reads, so every error
names the node that made the video.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import logging
import os
import secrets
import shutil
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard

import comfy.model_management as mm
import folder_paths
import numpy as np
import torch
from comfy_api.latest import Input, Types

from ..video.errors import VideoError
from ..video.frames import Frame, as_rate, to_floats
from ..video.reader import Audio, read_frames
from ..video.sound import SoundStream, as_stream
from ..video.writer import VideoWriter, write_video
from .vae_stream import is_out_of_memory

log = logging.getLogger(__name__)


class LazyVideo(Input.Video):
    """A VIDEO of ``count`` frames that ``make_frames()`` yields as uint8 (height, width, 3) each time it is called.

    ``rate`` is in frames per second; ``audio`` a host AUDIO or None, ``sound`` one that is read while it is used;
    ``made_by`` names the node, for error messages. Without ``keep_copy`` every reader makes the frames anew.
    """

    def __init__(
        self,
        make_frames: Callable[[], Iterable[Frame]],
        width: int,
        height: int,
        count: int,
        rate: float | Fraction,
        *,
        audio: dict[str, Any] | None = None,
        sound: SoundStream | None = None,
        made_by: str = "an earlier node",
        keep_copy: bool = True,
    ) -> None:
        self._rate = as_rate(rate)
        self._size = (int(width), int(height))
        self._source = _Source(make_frames, int(count), self._rate, self._size, made_by, keep_copy)
        self._begin, self._end = 0, int(count)
        self._audio, self._sound = audio, sound

    # -- what stock nodes ask; each answered without a frame

    def get_dimensions(self) -> tuple[int, int]:
        """Return (width, height) in pixels."""
        return self._size

    def get_frame_count(self) -> int:
        """Return the number of frames."""
        return self._end - self._begin

    def get_frame_rate(self) -> Fraction:
        """Return the frames per second."""
        return self._rate

    def get_duration(self) -> float:
        """Return the length in seconds."""
        return float(self.get_frame_count() / self._rate)

    def get_container_format(self) -> str:
        """Return libav's name of the format that ``save_to`` writes by default."""
        return "mov,mp4,m4a,3gp,3g2,mj2"

    def get_bit_depth(self) -> int:
        """Return 8: frames are bytes."""
        return 8

    def get_color_space(self) -> str:
        """Return "sRGB"."""
        return "sRGB"

    # -- pixels

    def frames(self) -> Iterator[Frame]:
        """Yield the frames, uint8 (height, width, 3), one at a time."""
        source = self._source.read()
        try:
            yield from itertools.islice(source, self._begin, self._end)
        finally:
            source.close()

    def get_audio(self) -> dict[str, Any] | None:
        """Return the sound as the host's AUDIO, or None."""
        return self._audio

    def sound(self) -> SoundStream | None:
        """Return the sound, to be read piece by piece, or None."""
        audio = to_audio(self._audio)
        return as_stream(audio) if audio is not None else self._sound

    def get_components(self) -> Types.VideoComponents:
        """Return all frames at once as IMAGE (frames, height, width, 3): the one call that takes memory for all."""
        width, height = self._size
        images = torch.empty(self.get_frame_count(), height, width, 3)
        for index, frame in enumerate(self.frames()):
            images[index] = to_floats(frame)
        return Types.VideoComponents(images=images, audio=self.get_audio(), frame_rate=self._rate)

    def as_trimmed(
        self, start_time: float | None = None, duration: float | None = None, strict_duration: bool = False
    ) -> LazyVideo | None:
        """Return the part from ``start_time`` (negative: from the end) for ``duration`` seconds (0: to the end).

        None when nothing is left, or less than ``duration`` with ``strict_duration``.
        """
        start = start_time or 0.0
        if start < 0:
            start = max(0.0, self.get_duration() + start)
        wanted = round((duration or 0.0) * self._rate)
        count = self.get_frame_count()
        begin = min(count, round(start * self._rate))
        end = min(count, begin + wanted) if wanted else count
        if end <= begin or (strict_duration and end - begin < wanted):
            return None
        part = copy.copy(self)
        part._begin, part._end = self._begin + begin, self._begin + end
        part._audio = _cut_audio(self._audio, begin / self._rate, end / self._rate)
        if self._sound is not None:
            part._sound = self._sound.cut(float(begin / self._rate), float((end - begin) / self._rate))
        return part

    def save_to(
        self,
        path: str | os.PathLike[str] | BinaryIO,
        format: Any = "auto",
        codec: Any = "auto",
        metadata: dict[str, Any] | None = None,
        bit_depth: int | None = None,
        crf: float | None = None,
        color_space: str | None = None,
        **_: Any,
    ) -> None:
        """Write the video frame by frame to a path or file object; nothing is left after an error or a cancel.

        ``format`` auto, mp4, mkv or webm; ``codec`` auto, h264 or av1; ``metadata`` becomes tags; ``crf`` is
        the quality. Raises VideoError for what cannot be written: another format, HDR, more than 8 bits, a full disk.
        """
        container, wanted = (str(getattr(value, "value", value)) for value in (format, codec))
        container = "mp4" if container == "auto" else container
        if wanted == "auto":
            wanted = "av1" if container == "webm" else "h264"
        if wanted == "lossless":
            raise VideoError('Videos are saved as h264 or av1, not "lossless".')
        if color_space not in (None, "auto", "sRGB"):
            raise VideoError(f'The frames are 8-bit sRGB and cannot be saved as "{color_space}": choose auto or sRGB.')
        if bit_depth not in (None, 8):
            raise VideoError(f"This video has 8-bit frames and cannot be saved with {bit_depth} bits: choose 8.")
        write_video(
            path,
            self.frames(),
            fps=self._rate,
            audio=self.sound(),
            metadata=metadata,
            crf=crf,
            container=container,
            codec=wanted,
        )


def to_audio(audio: dict[str, Any] | None) -> Audio | None:
    """Return a host AUDIO (waveform (batch, channels, samples)) as ``Audio`` of its first item; None without any."""
    if not has_samples(audio):
        return None
    waveform = torch.as_tensor(audio["waveform"]).detach().float().cpu()
    return Audio(waveform.reshape(-1, *waveform.shape[-2:])[0].numpy(), int(audio["sample_rate"]))


def has_samples(audio: dict[str, Any] | None) -> TypeGuard[dict[str, Any]]:
    """Whether a host AUDIO holds any sound; some nodes give one of no length."""
    return audio is not None and torch.as_tensor(audio["waveform"]).numel() > 0


def from_audio(audio: Audio | None) -> dict[str, Any] | None:
    """Return ``Audio`` as the host's AUDIO."""
    if audio is None:
        return None
    return {"waveform": torch.from_numpy(np.ascontiguousarray(audio.samples))[None], "sample_rate": audio.rate}


def _cut_audio(audio: dict[str, Any] | None, begin: Fraction, end: Fraction) -> dict[str, Any] | None:
    if audio is None:
        return None
    rate = int(audio["sample_rate"])
    part = {**audio, "waveform": audio["waveform"][..., round(begin * rate) : round(end * rate)]}
    return part if has_samples(part) else None  # the sound may end before the picture


class _Source:
    """The frames of a lazy video and of everything cut from it: made once, then read from the spooled copy."""

    def __init__(
        self,
        make_frames: Callable[[], Iterable[Frame]],
        count: int,
        rate: Fraction,
        size: tuple[int, int],
        made_by: str,
        keep_copy: bool,
    ) -> None:
        self._keep_copy = keep_copy
        self._make, self._count, self._rate, self._size = make_frames, count, rate, size
        self._made_by = made_by
        self._spooled: Path | None = None

    def read(self) -> Generator[Frame, None, None]:
        """Yield every frame; the generator's close ends the decoding."""
        spooled = self._spooled
        return self._replay(spooled) if spooled is not None and spooled.is_file() else self._record()

    def _replay(self, path: Path) -> Generator[Frame, None, None]:
        width, height = self._size
        for frame in read_frames(path):
            mm.throw_exception_if_processing_interrupted()
            yield frame[:height, :width]  # the file's sizes are even

    def _record(self) -> Generator[Frame, None, None]:
        """Yield the frames as they are made and keep a copy, if the last one is reached and the disk has room."""
        with contextlib.ExitStack() as stack:
            writer: VideoWriter | None = None
            path = self._spool_path() if self._keep_copy else None
            if path is not None:
                writer = stack.enter_context(VideoWriter(path, fps=self._rate, container="mkv", codec="lossless"))
            for count, frame in enumerate(self._checked(stack), 1):
                writer = self._copy(writer, frame)
                if count == self._count and writer is not None:
                    self._keep(writer, path)  # before the last frame leaves: the reader may stop right after it
                yield frame

    def _checked(self, stack: contextlib.ExitStack) -> Iterator[Frame]:
        """Yield what ``make_frames`` gives; its errors say which node they come from."""
        try:
            frames = iter(self._make())
            stack.callback(getattr(frames, "close", lambda: None))
            count = 0
            for frame in itertools.islice(frames, self._count):
                mm.throw_exception_if_processing_interrupted()
                yield frame
                count += 1
            if count < self._count:
                raise VideoError(f"it ended after {count} of {self._count} frames.")
        except mm.InterruptProcessingException:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise  # the host frees memory and says so
            raise VideoError(f"The video made by {self._made_by} cannot be decoded: {error}") from error

    def _copy(self, writer: VideoWriter | None, frame: Frame) -> VideoWriter | None:
        if writer is None:
            return None
        try:
            writer.write(frame)
        except VideoError as error:  # the reader still gets its frames; a second one costs a second decode
            log.warning("No copy of the video made by %s is kept: %s", self._made_by, error)
            writer.abort()
            return None
        return writer

    def _keep(self, writer: VideoWriter, path: Path | None) -> None:
        try:
            writer.finish()
        except VideoError as error:
            log.warning("No copy of the video made by %s is kept: %s", self._made_by, error)
            return
        self._spooled = path
        if path is not None:
            weakref.finalize(self, path.unlink, missing_ok=True)

    def _spool_path(self) -> Path | None:
        folder = Path(folder_paths.get_temp_directory())
        folder.mkdir(parents=True, exist_ok=True)
        raw = self._count * self._size[0] * self._size[1] * 3
        if raw > shutil.disk_usage(folder).free // 2:  # compressed it is smaller, but the result needs room too
            log.warning("No copy of the video made by %s is kept: %s is nearly full.", self._made_by, folder)
            return None
        return folder / f"spacetime-{secrets.token_hex(8)}.mkv"
