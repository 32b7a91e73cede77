# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a long render keeps what is finished, so that it can go on after a crash.

The folder lies in the host's user folder: temp is emptied at every start, and what lies in output is meant to be seen.
Its name is a key that this pack made, never a name of a workflow. One process at a time works in a folder; finished
renders that nobody uses any more make room for newer ones.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import time
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import folder_paths

from .errors import InputError

KEPT = 2  # finished renders besides the running one
KEPT_DAYS = 30  # for what was never finished
LOCK, DONE = "lock", "done"
log = logging.getLogger(__name__)


def root() -> Path:
    """Return the folder of all long renders; the host's server gives what lies there to nobody."""
    return Path(os.path.abspath(folder_paths.get_user_directory())) / "__spacetime" / "long_video"


class WorkFolder:
    """The folder of one render, held as long as this object lives. Raises InputError where another process has it."""

    def __init__(self, key: str) -> None:
        if not key.isalnum():
            raise ValueError(f"{key!r} is no key")
        self.path = root() / key
        self.path.mkdir(parents=True, exist_ok=True)
        self._file = (self.path / LOCK).open("a+b")
        if not _lock(self._file):
            self._file.close()
            raise InputError(
                f"Another ComfyUI is making this very video (its work is in {self.path}): wait for it, or change the "
                "seed."
            )
        weakref.finalize(self, self._file.close)
        os.utime(self.path)

    def finished(self) -> None:
        """Note that all is done: from now on the folder may be removed when newer ones come."""
        (self.path / DONE).touch()

    def clear_remains(self, wanted: Iterable[Path]) -> None:
        """Remove what does not belong here: halves of files, and files that were damaged or come from elsewhere."""
        keep = {*(path.name for path in wanted), LOCK}
        for entry in self.path.iterdir():
            if entry.name not in keep:
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink(missing_ok=True)


_open: weakref.WeakValueDictionary[Path, WorkFolder] = weakref.WeakValueDictionary()


def work_folder(key: str) -> WorkFolder:
    """Return the folder for a key, this process's own if it already has it, and make room for it."""
    path = root() / key
    folder = _open.get(path)
    if folder is None:
        folder = _open[path] = WorkFolder(key)
    _make_room(folder.path)
    return folder


def _make_room(own: Path) -> None:
    others = sorted((path for path in root().iterdir() if path.is_dir() and path != own), key=_changed, reverse=True)
    done = [path for path in others if (path / DONE).exists()]
    old = [path for path in others if path not in done and _changed(path) < time.time() - KEPT_DAYS * 86400]
    for path in done[KEPT:] + old:
        if path in _open:
            continue
        with contextlib.suppress(OSError), (path / LOCK).open("a+b") as lock:
            if _lock(lock):
                log.info("Removing the work of a long video that was finished or given up: %s", path)
                shutil.rmtree(path, ignore_errors=True)


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _lock(file: Any) -> bool:
    """Take a file for this process, until it is closed or the process ends; False where another has it."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
