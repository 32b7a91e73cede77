# SPDX-License-Identifier: GPL-3.0-or-later
"""A file of the host's folders as a lazy VIDEO: trimmed, resampled and scaled while somebody reads it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from comfy_api.latest import io, ui

from ..video.container import BLACK, Colour
from ..video.errors import VideoError
from ..video.frames import FITS, Frame, as_rate
from ..video.reader import probe, read_audio, read_frames
from ..video.sound import read_sound
from ..video.timing import read_timing
from .errors import InputError
from .file_names import find_file, list_videos
from .lazy_video import LazyVideo, from_audio
from .schema import CATEGORY, inp, pixels, schema

log = logging.getLogger(__name__)
BACKGROUNDS: dict[str, Colour] = {
    "black": BLACK,
    "white": (255, 255, 255),
    "grey": (128, 128, 128),
    "green": (0, 177, 64),
}
STOP, KEEP = "stop", "use what is whole"
FEW_MISSING = 0.03  # share of the frames that a codec may leave out without the file being damaged


@dataclass(frozen=True)
class Reading:
    """How a file is read; times in seconds, 0 meaning all, 0 fps and None for size meaning the file's own."""

    path: Path
    fps: Fraction | None = None
    start: float = 0.0
    duration: float = 0.0
    size: tuple[int, int] | None = None
    fit: str = "crop"
    background: Colour = BLACK
    keep_whole: bool = False

    def frames(self) -> Iterator[Frame]:
        """Yield the frames, uint8 (height, width, 3). Raises VideoError for a damaged file."""
        return read_frames(
            self.path,
            fps=self.fps,
            start=self.start,
            duration=self.duration or None,
            size=self.size,
            fit=self.fit,
            background=self.background,
            keep_whole=self.keep_whole,
        )


class FileVideo(LazyVideo):
    """A VIDEO that is read from a file each time; nothing of it is kept in memory or copied."""

    path: Path

    def get_audio(self) -> dict[str, Any] | None:
        """Return the sound of this range, mono or stereo, as the host's AUDIO; None without sound."""
        sound = self._sound
        if sound is None:
            return None
        return from_audio(read_audio(self.path, start=sound.start, duration=sound.duration))


def open_file(reading: Reading, made_by: str = "Load Video") -> FileVideo:
    """Return the VIDEO of a file. Raises VideoError for one that cannot be read or has nothing in the range."""
    info, timing = probe(reading.path), read_timing(reading.path)
    rate = reading.fps or timing.rate
    if reading.fps is None and timing.variable:  # a VIDEO has one rate
        reading = replace(reading, fps=rate)
    start, duration = (Fraction(t).limit_denominator(10**6) for t in (reading.start, reading.duration))
    if reading.keep_whole:  # nobody knows but the decoder
        count = sum(1 for _ in reading.frames())
    else:
        count = timing.count_of(reading.fps, start, duration)
    if not count:
        raise VideoError(
            f"{reading.path.name} has no frames after {reading.start:g} s: it is {float(timing.end):.2f} s long."
        )
    sound = read_sound(reading.path)
    if sound is not None:
        sound = sound.cut(reading.start, float(count / rate))
    size = reading.size or (info.width, info.height)
    video = FileVideo(
        lambda: _filled(reading, count), *size, count, rate, sound=sound, made_by=made_by, keep_copy=False
    )
    video.path = reading.path
    return video


def _filled(reading: Reading, count: int) -> Iterator[Frame]:
    """Yield ``count`` frames; where the codec leaves out a few at the end, the last one stands."""
    done, last = 0, None
    source = reading.frames()
    try:
        for last in source:
            yield last
            done += 1
    finally:
        source.close()  # type: ignore[attr-defined]
    if last is not None and 0 < count - done <= max(2, FEW_MISSING * count):
        log.warning(
            "%s: %d frames could not be decoded; the last one stands for them.", reading.path.name, count - done
        )
        for _ in range(count - done):
            yield last


class LoadVideo(io.ComfyNode):
    """A file name to a lazy VIDEO."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node to the host."""
        return schema(
            node_id="SpacetimeLoadVideo",
            display_name="Load Video (Spacetime)",
            category=f"{CATEGORY}/video",
            description="Read a video file while it is used, so that its length costs no memory: only a part of it, at "
            "another rate and size. Uneven frame rates become even, turned phone clips stand upright, transparent "
            "pictures lie over a colour, all sound channels are kept.",
            search_aliases=["open video", "import video", "video from file", "trim video", "resample video"],
            inputs=[
                inp(
                    io.Combo.Input,
                    "file",
                    options=list_videos(),
                    upload=io.UploadType.video,
                    tooltip="A video in ComfyUI's input folder or a folder in it. Animated GIF, WebP and PNG work too.",
                ),
                inp(
                    io.Float.Input,
                    "start",
                    default=0.0,
                    min=0.0,
                    max=360000.0,
                    step=0.01,
                    tooltip="Where to begin, in seconds.",
                ),
                inp(
                    io.Float.Input,
                    "duration",
                    default=0.0,
                    min=0.0,
                    max=360000.0,
                    step=0.01,
                    tooltip="How much to take, in seconds. 0: everything to the end.",
                ),
                inp(
                    io.Float.Input,
                    "fps",
                    default=0.0,
                    min=0.0,
                    max=240.0,
                    step=0.01,
                    tooltip="Frames per second; motion keeps its speed. 0: the file's own (an uneven rate made even).",
                ),
                pixels("width", "Width in pixels. 0: the file's own (or by the height, keeping the shape)."),
                pixels("height", "Height in pixels. 0: the file's own (or by the width, keeping the shape)."),
                inp(
                    io.Combo.Input,
                    "fit",
                    options=list(FITS),
                    default="crop",
                    tooltip="How the picture meets another shape: crop cuts edges, pad adds bars, stretch distorts.",
                ),
                inp(
                    io.Combo.Input,
                    "background",
                    options=list(BACKGROUNDS),
                    default="black",
                    tooltip="The colour behind transparent pictures.",
                ),
                inp(
                    io.Combo.Input,
                    "if_damaged",
                    options=[STOP, KEEP],
                    default=STOP,
                    tooltip="What to do with a damaged or cut-off file: stop with a message, or use what is whole (the "
                    "file is then decoded once to see how far it goes).",
                ),
            ],
            outputs=[io.Video.Output(display_name="video", tooltip="The video, read while it is used.")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(cls, file: str | None = None) -> bool | str:
        """Check the file's name before anything runs; the list may have changed since the workflow was saved.

        A name that comes over a link (None) is known when the node runs.
        """
        try:
            if file is not None:
                find_file(file)
        except InputError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, file: str | None = None, **_: Any) -> str | float:
        """Run again when the file has changed; always where its name comes over a link."""
        if file is None:
            return float("nan")
        state = find_file(file).stat()
        return f"{state.st_mtime_ns} {state.st_size}"

    @classmethod
    def execute(
        cls,
        file: str,
        start: float = 0.0,
        duration: float = 0.0,
        fps: float = 0.0,
        width: int = 0,
        height: int = 0,
        fit: str = "crop",
        background: str = "black",
        if_damaged: str = STOP,
    ) -> io.NodeOutput:
        """Open the file; see the schema."""
        path = find_file(file)
        for value, known, what in ((fit, FITS, "fit"), (background, BACKGROUNDS, "background")):
            if value not in known:
                raise InputError(f'"{value}" is no {what}: choose one of {", ".join(known)}.')
        info, timing = probe(path), read_timing(path)
        size = _size(info.width, info.height, width, height)
        node = getattr(cls.hidden, "unique_id", None)
        made_by = f"Load Video (node {node})" if node else "Load Video"
        rate = as_rate(fps) if fps else None
        keep_whole = if_damaged == KEEP
        if timing.cut_off and not keep_whole:
            raise VideoError(
                f"{path.name} is cut off: {float(timing.end):.2f} s of it are there. Copy it again, or set if_damaged "
                f'to "{KEEP}".'
            )
        video = open_file(Reading(path, rate, start, duration, size, fit, BACKGROUNDS[background], keep_whole), made_by)
        return io.NodeOutput(video, ui=ui.PreviewText(_describe(video, timing.variable and not fps)))


def _size(own_width: int, own_height: int, width: int, height: int) -> tuple[int, int] | None:
    if not width and not height:
        return None
    return (
        width or max(1, round(own_width * height / own_height)),
        height or max(1, round(own_height * width / own_width)),
    )


def _describe(video: FileVideo, evened: bool) -> str:
    width, height = video.get_dimensions()
    rate, seconds = float(video.get_frame_rate()), video.get_duration()
    parts = [f"{video.get_frame_count()} frames", f"{width}x{height}", f"{rate:g} fps", f"{seconds:.2f} s"]
    sound = video.sound()
    parts.append("no sound" if sound is None else f"sound {sound.layout}, {sound.rate} Hz")
    if evened:
        parts.append("uneven frame rate made even")
    return ", ".join(parts)


NODES = [LoadVideo]
