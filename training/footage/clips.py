# SPDX-License-Identifier: GPL-3.0-or-later
"""Videos become clips of legal length and size, one at a time, each judged by the filters.

A file is decoded three times: strictly to find damage, to find its cuts, and for its clips; so nothing of a damaged
file is used, and nothing but the clip being made is in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

from ...models.geometry import Compression
from ...video.cuts import Cut, find_cuts
from ...video.errors import VideoError
from ...video.frames import as_rate
from ...video.reader import read_frames
from ...video.timing import read_timing
from .damage import check_whole
from .filters import FILTERS, Finding, judge
from .hashes import NEAR, Index, Known, signature
from .listing import FootageError, Video
from .report import ClipLine, FileLine

Show = Callable[[FileLine, ClipLine, NDArray[np.uint8]], None]
LEGAL = Compression()
SMALLEST = 2 * LEGAL.step  # pixels of a clip's shorter side


@dataclass(frozen=True)
class Options:
    """How clips are made. ``most`` and ``least`` frames, ``pixels`` of a frame above which it is scaled down, ``fps``
    None: the file's own; ``allow``: filters that do not drop; ``caption_needed``: drop what nothing describes."""

    most: int = 33
    least: int = 17
    pixels: int = 512 * 512
    fps: float | None = None
    allow: tuple[str, ...] = ()
    caption_needed: bool = True

    def __post_init__(self) -> None:
        for name, frames in (("most", self.most), ("least", self.least)):
            if frames < 1 or (frames - 1) % LEGAL.time:
                low = max(1, (frames - 1) // LEGAL.time * LEGAL.time + 1)
                raise FootageError(f"{name} {frames} frames: clips have 4k + 1 frames, such as {low} or {low + 4}")
        if self.least > self.most:
            raise FootageError(f"least {self.least} frames is more than most, {self.most}")
        if self.pixels < SMALLEST**2:
            raise FootageError(f"{self.pixels} pixels is less than a clip of {SMALLEST} x {SMALLEST}")
        names = {chosen.name for chosen in FILTERS} | {"duplicate"}
        for name in self.allow:
            if name not in names:
                raise FootageError(f'"{name}" is no filter: {", ".join(sorted(names))}')


@dataclass
class Clip:
    """``frames`` uint8 (F, H, W, 3) RGB, F = 4k + 1, H and W multiples of 32; ``start`` is its first frame's number at
    ``fps``."""

    frames: NDArray[np.uint8]
    fps: float
    captions: list[str]
    video: Video
    start: int
    line: ClipLine = field(repr=False)


def windows(cuts: Sequence[Cut], count: int, options: Options) -> list[tuple[int, int]]:
    """Return (first frame, frames) of the clips between the cuts of ``count`` frames: the longest that are legal."""
    found = []
    begins, ends = [0, *(cut.stop for cut in cuts)], [*(cut.start for cut in cuts), count]
    for begin, end in zip(begins, ends, strict=True):
        while (length := min(options.most, (end - begin - 1) // LEGAL.time * LEGAL.time + 1)) >= options.least:
            found.append((begin, length))
            begin += length
    return found


def view(width: int, height: int, pixels: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the size to scale a frame to and the size to crop it to: native unless it has more than ``pixels``."""
    scale = min(1.0, sqrt(pixels / (width * height)))
    scaled = (round(width * scale), round(height * scale))
    return scaled, (scaled[0] // LEGAL.step * LEGAL.step, scaled[1] // LEGAL.step * LEGAL.step)


def cut_out(frame: NDArray[np.uint8], scaled: tuple[int, int], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Scale a frame to (width, height) ``scaled`` and crop its middle to ``size``."""
    if frame.shape[1::-1] != scaled:
        frame = cv2.resize(frame, scaled, interpolation=cv2.INTER_AREA)
    left, top = (scaled[0] - size[0]) // 2, (scaled[1] - size[1]) // 2
    return frame[top : top + size[1], left : left + size[0]]


def read_clips(
    video: Video, options: Options, index: Index, line: FileLine, show: Show | None = None
) -> Iterator[Clip]:
    """Yield the good clips of a video; what was found and dropped is noted in ``line``, damage too.

    ``show`` is called with every clip, once it is judged. The clip before is forgotten here before the next one is
    begun: a caller that does the same never has two.
    """
    if options.caption_needed and not video.captions:
        line.skip("no caption", f"{video.path.with_suffix('.txt').name} is missing, and no .jsonl names the video")
        return
    try:
        check_whole(video.path)
        timing = read_timing(video.path)
        rate = as_rate(options.fps) if options.fps else timing.rate
        line.fps, line.variable = float(rate), timing.variable
        cuts, line.frames = find_cuts(read_frames(video.path, fps=rate), float(rate))
    except VideoError as error:
        line.skip("unreadable", str(error))
        return
    line.cuts = [(cut.start, cut.stop) for cut in cuts]
    planned = windows(cuts, line.frames, options)
    line.left_over = line.frames - sum(length for _, length in planned)
    if not planned:
        line.skip("short", f"no shot has {options.least} frames")
        return
    filters = [chosen for chosen in FILTERS if chosen.name not in options.allow]
    for clip in _cut_windows(video, float(rate), planned, options, line):
        if options.caption_needed and not clip.captions:
            clip.line.dropped = "no caption"
        else:
            clip.line.note(judge(clip.frames, filters) or _copies(clip, options, index))
        if show is not None:
            show(line, clip.line, clip.frames)
        if clip.line.kept:
            yield clip
        del clip


def _cut_windows(
    video: Video, fps: float, chosen: list[tuple[int, int]], options: Options, line: FileLine
) -> Iterator[Clip]:
    frames, number = read_frames(video.path, fps=fps), -1
    for start, length in chosen:
        buffer: NDArray[np.uint8] | None = None
        while number < start + length - 1:
            try:
                frame = next(frames, None)
            except VideoError as error:
                frame = None
                line.skip("unreadable", str(error))
            number += 1
            if frame is None:  # it gave more frames a minute ago
                return
            if number < start:
                continue
            if buffer is None:
                line.size = frame.shape[1::-1]
                scaled, size = view(*line.size, options.pixels)
                if min(size) < SMALLEST:
                    line.skip("small", f"{line.size[0]} x {line.size[1]} pixels, at least {SMALLEST} x {SMALLEST}")
                    return
                buffer = np.empty((length, size[1], size[0], 3), np.uint8)
            buffer[number - start] = cut_out(frame, scaled, size)
        assert buffer is not None
        texts = video.captions_at((start + length / 2) / fps)
        note = ClipLine(start, length, (buffer.shape[2], buffer.shape[1]))
        line.clips.append(note)
        yield Clip(buffer, fps, texts, video, start, note)
        del buffer


def _copies(clip: Clip, options: Options, index: Index) -> list[Finding]:
    mark, known = signature(clip.frames), Known(str(clip.video.path.resolve()), clip.start)
    found = None if "duplicate" in options.allow else index.find(mark, known)
    if found is None:
        index.add(mark, known)
        return []
    return [Finding("duplicate", found[1], NEAR, False, f"of {found[0].file} frame {found[0].start}")]
