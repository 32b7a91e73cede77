# SPDX-License-Identifier: GPL-3.0-or-later
"""Any VIDEO of the host as a stream of frames, without decoding it as a whole where that can be avoided."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from comfy_api.latest import InputImpl

from ..video.errors import VideoError
from ..video.frames import Frame, as_rate, fit_frame, resample, to_bytes
from ..video.reader import probe, read_audio, read_frames
from ..video.sound import SoundStream, as_stream, read_sound
from ..video.timing import read_timing
from .lazy_video import LazyVideo, from_audio, to_audio


class VideoStream:
    """The frames, size, rate and sound of a VIDEO: files are read, lazy videos made, others asked for images."""

    def __init__(self, video: Any) -> None:
        self._video = video
        self._file: Any = None
        self._images: Any = None
        self._audio: Any = None
        self._own_rate: Fraction | None = None
        if isinstance(video, LazyVideo):
            self.width, self.height = video.get_dimensions()
            self.rate, self.count = video.get_frame_rate(), video.get_frame_count()
        elif isinstance(video, InputImpl.VideoFromFile):
            self._open_file(video)
        else:
            parts = video.get_components()
            self._images, self._audio = parts.images, parts.audio
            self.rate = as_rate(parts.frame_rate)
            self.count, self.height, self.width = (int(n) for n in self._images.shape[:3])
        if not self.count:
            raise VideoError("The video has no frames.")

    def _open_file(self, video: Any) -> None:
        self._file = video.get_stream_source()
        window = getattr(video, "get_active_trim_window", None)  # not in 0.3.75
        self._start, self._length = (float(t) for t in (window() if window is not None else (0.0, 0.0)))
        info, timing = probe(self._file), read_timing(self._file)
        self.width, self.height, self.rate = info.width, info.height, timing.rate
        self._own_rate = timing.rate if timing.variable else None  # a VIDEO has one rate: its own
        self.count = timing.count_of(
            self._own_rate, *(Fraction(t).limit_denominator(10**6) for t in (self._start, self._length))
        )

    def frames(
        self, fps: Fraction | None = None, size: tuple[int, int] | None = None, fit: str = "crop"
    ) -> Iterator[Frame]:
        """Yield uint8 frames at ``fps`` (None: as they are) and ``size`` (width, height)."""
        if self._file is not None:
            yield from read_frames(
                self._file,
                fps=fps or self._own_rate,
                start=self._start,
                duration=self._length or None,
                size=size,
                fit=fit,
            )
            return
        plain = self._video.frames() if self._images is None else (to_bytes(image) for image in self._images)
        timed = ((Fraction(index) / self.rate, frame) for index, frame in enumerate(plain))
        for frame in resample(timed, self.rate, fps):
            yield frame if size is None else fit_frame(frame, *size, fit)

    def sound(self) -> SoundStream | None:
        """Return the sound, to be read piece by piece with all its channels, or None."""
        if self._file is None:
            if self._images is None:
                return self._video.sound()
            audio = to_audio(self._audio)
            return None if audio is None else as_stream(audio)
        sound = read_sound(self._file)
        return None if sound is None else sound.cut(self._start, self._length or None)

    def audio(self) -> dict[str, Any] | None:
        """Return the sound as the host's AUDIO, or None."""
        if self._file is not None:
            return from_audio(read_audio(self._file, start=self._start, duration=self._length or None))
        return self._audio if self._images is not None else self._video.get_audio()
