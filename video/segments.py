# SPDX-License-Identifier: GPL-3.0-or-later
"""A video in the making as a row of lossless files, written in a thread while the next frames are made.

Each segment is whole or not there, and its name tells its content (``models.chunk_files`` names its files the same
way), so that a later run knows which it can keep.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType

from .errors import VideoError
from .frames import Frame
from .reader import read_frames
from .writer import VideoWriter

WAITING = 64 << 20  # bytes of frames that may wait to be written
Name = Callable[[Path, int], str]  # the name of a segment, from its content and number; without a suffix


@dataclass(frozen=True)
class Segments:
    """Files in a row; ``counts`` holds the frames of each."""

    paths: tuple[Path, ...]
    counts: tuple[int, ...]

    def frames(self) -> Iterator[Frame]:
        """Yield all frames, bit for bit as they were made. Raises VideoError for a file that was damaged meanwhile."""
        for path, count in zip(self.paths, self.counts, strict=True):
            found = 0
            for frame in read_frames(path):
                yield frame
                found += 1
            if found != count:
                raise VideoError(f"{path.name} has {found} frames instead of {count}: queue the graph again.")


class SegmentWriter:
    """Writes frames to files of ``counts`` frames each, the first with the number ``first``; a context manager.

    Frames are taken at once and written in a thread; what goes wrong there is raised by the next ``write`` or by
    ``finish``. After an error or without ``finish`` the segments that were complete stay, and nothing else.
    """

    def __init__(self, folder: Path, rate: Fraction, counts: Sequence[int], first: int, name: Name) -> None:
        self._folder, self._rate, self._counts, self._first, self._name = folder, rate, counts, first, name
        self._queue: queue.Queue[Frame | None] | None = None
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None
        self.paths: list[Path] = []

    def write(self, frame: Frame) -> None:
        """Append one frame, uint8 (height, width, 3)."""
        if self._queue is None:
            self._queue = queue.Queue(max(2, WAITING // max(1, frame.nbytes)))
            self._thread = threading.Thread(target=self._work, name="spacetime-segments", daemon=True)
            self._thread.start()
        self._put(frame)

    def finish(self) -> list[Path]:
        """Wait until all is written and return the new files."""
        self._close()
        self._tell()
        return self.paths

    def __enter__(self) -> SegmentWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        """Let the thread write what it has been given, and end it."""
        if self._thread is not None and self._queue is not None:
            while self._thread.is_alive():
                with contextlib.suppress(queue.Full):
                    self._queue.put(None, timeout=0.2)
                    self._thread.join()

    def _put(self, frame: Frame) -> None:
        assert self._queue is not None
        while True:
            self._tell()
            with contextlib.suppress(queue.Full):
                self._queue.put(frame, timeout=0.2)
                return

    def _tell(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        try:
            for number, count in enumerate(self._counts, self._first):
                if not self._one(number, count):
                    return
        except Exception as error:  # noqa: BLE001  # raised again in the thread that makes the frames
            self._error = error

    def _one(self, number: int, count: int) -> bool:
        """Write a segment; return False, and leave nothing of it, where the frames end before."""
        assert self._queue is not None
        target = self._folder / f"segment-{number:05}.mkv"
        with VideoWriter(target, fps=self._rate, container="mkv", codec="lossless") as writer:
            for _ in range(count):
                frame = self._queue.get()
                if frame is None:
                    return False
                writer.write(frame)
            writer.finish()
        path = self._folder / f"{self._name(target, number)}.mkv"
        os.replace(target, path)
        self.paths.append(path)
        return True
