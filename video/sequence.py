# SPDX-License-Identifier: GPL-3.0-or-later
"""A video as a folder of numbered PNG pictures, with its sound beside them: whole, or not there."""

from __future__ import annotations

import os
import shutil
import wave
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from PIL import Image

from .errors import VideoError
from .frames import Frame, as_rate, check_frame
from .sink import hidden_name, plain_errors
from .sound import Audio, SoundStream, as_stream
from .tags import png_chunks
from .writer import Step, WrittenVideo, text_tags

SOUND_NAME = "sound.wav"
COMPRESSION = 4  # zlib's level: higher ones take much longer for little
PNG_HEAD = 8 + 25  # signature and first chunk
RATE_TAG = "frame_rate"


class SequenceWriter:
    """Writes pictures into a hidden folder beside the target; ``finish`` gives it its name. A context manager."""

    def __init__(
        self,
        target: str | os.PathLike[str],
        *,
        fps: float | Fraction,
        audio: Audio | SoundStream | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self._path = Path(target)
        if self._path.exists():
            raise VideoError(f"{self._path.name} cannot be written: something of that name is there.")
        self._temporary = hidden_name(self._path)
        self.fps = as_rate(fps)
        self._tags = png_chunks({RATE_TAG: str(self.fps), **text_tags(metadata)})
        self._sound = audio if audio is None or isinstance(audio, SoundStream) else as_stream(audio)
        self._shape: tuple[int, ...] | None = None
        self.count = 0

    def write(self, frame: Frame) -> None:
        """Append one picture, uint8 (height, width, 3)."""
        shape = check_frame(frame).shape
        if self._shape is None:
            self._shape = shape
        elif shape != self._shape:
            raise VideoError(
                f"Frame {self.count + 1} is {shape[1]}x{shape[0]} pixels, but the video is "
                f"{self._shape[1]}x{self._shape[0]}."
            )
        with plain_errors(self._path.name):
            self._temporary.mkdir(exist_ok=True)
            _write_png(self._temporary / picture_name(self.count), frame, self._tags)
        self.count += 1

    def finish(self, *steps: Step) -> WrittenVideo:
        """Write the sound, run ``steps`` on each picture, and give the folder its name."""
        if self._shape is None:
            raise VideoError(f"There are no frames to write to {self._path.name}.")
        with plain_errors(self._path.name):
            if self._sound is not None:
                _write_wave(self._temporary / SOUND_NAME, self._sound, self.count / self.fps)
            for index in range(self.count):
                for step in steps:
                    step(self._temporary / picture_name(index))
            os.rename(self._temporary, self._path)
        return WrittenVideo(self.count, self._shape[1], self._shape[0], self.fps, "png")

    def abort(self) -> None:
        """Remove what was written, unless it was finished."""
        shutil.rmtree(self._temporary, ignore_errors=True)

    def __enter__(self) -> SequenceWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()


def picture_name(index: int) -> str:
    """Return the name of picture ``index``, counted from 0; the names count from 1."""
    return f"{index + 1:06}.png"


def read_sequence(folder: Path) -> Iterator[Frame]:
    """Yield the pictures of a folder that ``SequenceWriter`` wrote. Raises VideoError for a damaged one."""
    for path in sorted(folder.glob("*.png")):
        try:
            with Image.open(path) as picture:
                yield np.asarray(picture.convert("RGB"))
        except (OSError, SyntaxError) as error:
            raise VideoError(f"{path.name} in {folder.name} is damaged: {error}.") from None


def _write_png(path: Path, frame: Frame, tags: bytes) -> None:
    with path.open("w+b") as file:
        Image.fromarray(frame).save(file, format="PNG", compress_level=COMPRESSION)
        if tags:
            file.seek(PNG_HEAD)
            rest = file.read()
            file.seek(PNG_HEAD)
            file.write(tags + rest)


def _write_wave(path: Path, sound: SoundStream, seconds: Fraction) -> None:
    with wave.open(str(path), "wb") as file:
        begun = False
        for piece in sound.cut(0.0, float(seconds)).pieces():
            if not begun:
                file.setnchannels(piece.shape[0])
                file.setsampwidth(2)
                file.setframerate(sound.rate)
                begun = True
            file.writeframesraw((np.clip(piece.T, -1, 1) * 32767).astype("<i2").tobytes())
        if not begun:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(sound.rate)
