# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a file is written: beside its target under a hidden name, and renamed when it is whole."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import av

from .errors import VideoError

LEAST_FREE_BYTES = 8 << 20


def hidden_name(path: Path) -> Path:
    """Return a name beside ``path`` for what is not whole yet; raises VideoError where nothing can be written."""
    folder = path.parent
    if not folder.is_dir():
        raise VideoError(f"{path.name} cannot be written: there is no folder {folder}.")
    if shutil.disk_usage(folder).free < LEAST_FREE_BYTES:
        raise VideoError(f"{path.name} cannot be written: {folder} is full. Make room and try again.")
    return folder / f".{path.stem}-{secrets.token_hex(4)}.part"


class Sink:
    """Where the bytes go: a hidden file beside the target, or the given file object from its position on."""

    def __init__(self, target: str | os.PathLike[str] | BinaryIO) -> None:
        self._path: Path | None = None
        self._temporary: Path | None = None
        self._file: Any = None
        if not isinstance(target, (str, os.PathLike)):
            self._file, self._begin = target, target.tell()
            return
        self._path = Path(target)
        if self._path.is_dir():
            raise VideoError(f"{self._path.name} cannot be written: there is a folder of that name.")
        self._temporary = hidden_name(self._path)

    def open(self) -> Any:
        """Return the file object to write to."""
        if self._temporary is not None:
            self._file = self._temporary.open("wb")
        return self._file

    def keep(self, *steps: Callable[[Path], None]) -> None:
        """Run ``steps`` on the whole but still hidden file, then give it its name. File objects take no steps."""
        if self._path is not None and self._temporary is not None:
            self._file.close()
            for step in steps:
                step(self._temporary)
            os.replace(self._temporary, self._path)
            self._temporary = None
        self._file = None

    def discard(self) -> None:
        """Remove what was written, unless it was kept."""
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
def plain_errors(name: str) -> Iterator[None]:
    """Turn what the encoder and the disk raise into one sentence."""
    try:
        yield
    except (av.FFmpegError, OSError) as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            message = f"{name} cannot be written: the disk is full. Make room and try again."
        else:
            message = f"{name} cannot be written: {error.strerror or error}."
        raise VideoError(message) from error
