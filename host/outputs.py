# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that a run made: finding them in what nodes report, delivering them, removing a half-written one."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .graph import WorkflowError

log = logging.getLogger(__name__)
VIDEO_SUFFIXES = frozenset({".mp4", ".mkv", ".webm", ".mov", ".avi"})


@dataclass(frozen=True)
class OutputFile:
    """A file as a node reports it: ``kind`` is "output" for what was saved, "temp" for a preview."""

    filename: str
    subfolder: str
    kind: str
    node: str


def reported_files(outputs: dict[str, dict[str, Any]]) -> list[OutputFile]:
    """List the files in what the nodes showed; saved ones, or the previews if nothing was saved."""
    found: dict[OutputFile, None] = {}
    for node, shown in outputs.items():
        for entries in shown.values():
            for entry in entries if isinstance(entries, (list, tuple)) else ():
                if isinstance(entry, dict) and entry.get("filename"):
                    file = OutputFile(
                        str(entry["filename"]), str(entry.get("subfolder") or ""), str(entry.get("type")), node
                    )
                    found.setdefault(file)
    saved = [file for file in found if file.kind == "output"]
    return saved or [file for file in found if file.kind == "temp"]


def inside(folder: Path, *parts: str) -> Path:
    """Join names onto a folder. Raises WorkflowError when the result would lie outside of it."""
    root = folder.resolve()
    path = root.joinpath(*parts).resolve()
    if path == root or root not in path.parents:
        raise WorkflowError(f'"{"/".join(parts)}" would lie outside of {folder}; use a name without "..".')
    return path


class Delivery:
    """Where the files of a run go: decides their final paths and puts each there in one step.

    ``out`` is what the user gave with ``--out``: a folder (existing, or ending in a slash, or without a suffix), or
    a file. With a file, further files get its name with -2, -3 ... and their own suffix. A named file is replaced;
    in a folder nothing is replaced, a number is added instead.
    """

    def __init__(self, out: str | Path) -> None:
        text = str(out)
        path = Path(text).expanduser()
        self.is_folder = path.is_dir() or text.endswith(("/", os.sep)) or not path.suffix
        self.path = path.absolute()
        self.count = 0
        self.folder = self.path if self.is_folder else self.path.parent
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkflowError(f"The folder {self.folder} cannot be made: {error.strerror}.") from None
        try:
            with partial_file(self.folder) as trial:  # before hours of rendering
                trial.touch()
        except OSError as error:
            raise WorkflowError(
                f"The folder {self.folder} cannot be written ({error.strerror}); give another place with --out."
            ) from None

    def target(self, name: str) -> Path:
        """Return the final path for a file that the host called ``name``."""
        self.count += 1
        plain = Path(name.replace("\\", "/")).name
        if not self.is_folder:
            suffix = Path(plain).suffix
            if self.count == 1 and suffix != self.path.suffix:
                log.warning("The workflow saves %s files; the name %s gets that suffix.", suffix, self.path.name)
            number = "" if self.count == 1 else f"-{self.count}"
            return self.path.with_name(f"{self.path.stem}{number}{suffix}")
        return free_name(self.path / plain)

    def place(self, source: Path, name: str, move: bool = True) -> Path:
        """Move (or copy) a finished file to its final path; a reader sees it whole or not at all.

        Raises WorkflowError where it cannot be written; the finished file stays where it is then.
        """
        target = self.target(name)
        if move:
            try:
                os.replace(source, target)
                return target
            except OSError:
                pass  # another file system: copy, then remove
        try:
            with partial_file(target.parent) as partial:
                shutil.copyfile(source, partial)
                os.replace(partial, target)
        except OSError as error:
            reason = error.strerror or str(error)
            raise WorkflowError(f"{target} cannot be written ({reason}); the result is kept as {source}.") from None
        if move:
            source.unlink()
        return target


@contextlib.contextmanager
def partial_file(folder: Path, suffix: str = ".part") -> Iterator[Path]:
    """Give a hidden name for a file in the making; what still has that name at the end is removed."""
    path = folder / f".spacetime-{uuid.uuid4().hex}{suffix}"
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def free_name(path: Path) -> Path:
    """Return the path, with a number added if something of that name exists."""
    candidate, number = path, 1
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return candidate


class HalfFiles:
    """Remembers which file the running node would write next, so that a failed or cancelled one can be removed.

    The host names a saved file from the node's ``filename_prefix`` and a counter. Before a node runs, the files that
    begin with the next such name are noted; after a failure those that were not there before are the half ones.
    """

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._stem = ""
        self._before: frozenset[str] = frozenset()

    def node_begins(self, folder: Path, stem: str) -> None:
        """Note that a node may now write files in ``folder`` whose names begin with ``stem``."""
        self._folder, self._stem = folder, stem
        self._before = frozenset(self._matching())

    def node_ended(self) -> None:
        """Note that what the node wrote is complete."""
        self._folder = None

    def remove(self) -> list[Path]:
        """Remove what the node began and did not finish; return what was removed."""
        if self._folder is None:
            return []
        gone = [self._folder / name for name in self._matching() if name not in self._before]
        for path in gone:
            path.unlink(missing_ok=True)
        self._folder = None
        return gone

    def _matching(self) -> Iterable[str]:
        if self._folder is None or not self._folder.is_dir():
            return []
        files = (entry.name for entry in os.scandir(self._folder) if entry.is_file())
        return [name for name in files if name.startswith(self._stem)]
