# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of a folder: a line for every file with its cuts, its clips and what was dropped and why.

``footage.jsonl`` is for programs (and tells a later run what is done), ``footage.txt`` is the same as a table.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .filters import Finding
from .listing import FootageError

NAME = "footage.jsonl"
VERSION = 1


@dataclass
class ClipLine:
    """A clip: first frame and number of frames at the file's rate, (width, height), and why it was dropped, if so."""

    start: int
    frames: int
    size: tuple[int, int]
    dropped: str = ""  # the filter's name
    value: float | None = None
    threshold: float | None = None
    detail: str = ""
    shard: str = ""
    row: int | None = None

    @property
    def kept(self) -> bool:
        """Whether nothing was found against it."""
        return not self.dropped

    def note(self, findings: Iterable[Finding]) -> None:
        """Write down what the filters found."""
        for finding in findings:
            self.dropped, self.threshold = finding.filter, finding.threshold
            self.value, self.detail = round(finding.value, 4), str(finding)


@dataclass
class FileLine:
    """A file. ``skipped`` names why nothing of it is used (unreadable, no caption, small, short), ``reason`` says it
    in words; ``cuts`` are [first frame, first frame of the new scene]; ``state`` tells whether the file changed."""

    file: str
    split: str = "train"
    skipped: str = ""
    reason: str = ""
    size: tuple[int, int] = (0, 0)
    fps: float = 0.0
    variable: bool = False
    frames: int = 0
    left_over: int = 0
    cuts: list[tuple[int, int]] = field(default_factory=list)
    clips: list[ClipLine] = field(default_factory=list)
    state: tuple[int, int] = (0, 0)  # bytes, time of change

    def skip(self, why: str, reason: str) -> None:
        """Use no more of this file."""
        self.skipped, self.reason = why, reason

    @property
    def kept(self) -> int:
        """Number of clips that are used."""
        return sum(clip.kept for clip in self.clips)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> FileLine:
        """Read what ``asdict`` wrote."""
        clips = [ClipLine(**{**clip, "size": tuple(clip["size"])}) for clip in values["clips"]]
        cuts = [tuple(cut) for cut in values["cuts"]]
        pairs = {name: tuple(values[name]) for name in ("size", "state")}
        return cls(**{**values, **pairs, "clips": clips, "cuts": cuts})


class Report:
    """The report of an output folder; every finished file is on disk before the next one is begun."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        """Go on with the report that is there, if it was made with the same settings; else raises FootageError."""
        self.path, self.files = folder / NAME, list[FileLine]()
        header = json.loads(json.dumps({"footage": VERSION, **settings}))  # as it reads back: lists, no tuples
        if not self.path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            self._append(header)
            return
        lines = self.path.read_text(encoding="utf-8").splitlines()
        written = _parse(lines[0]) if lines else None
        if written != header:
            other = [key for key in header if (written or {}).get(key) != header[key]]
            raise FootageError(
                f"{folder} was made with other settings ({', '.join(other)}): choose another --out, or delete it"
            )
        for line in lines[1:]:
            values = _parse(line)
            if values is not None:
                self.files.append(FileLine.from_dict(values))
        if lines and not _parse(lines[-1]):  # torn by an interruption: begin a new line
            with self.path.open("a", encoding="utf-8") as file:
                file.write("\n")

    def done(self, name: str, state: tuple[int, int]) -> bool:
        """Whether this file was finished and has not changed since."""
        return any(line.file == name and line.state == state for line in self.files)

    def add(self, line: FileLine) -> None:
        """Write down a finished file."""
        self.files = [known for known in self.files if known.file != line.file] + [line]
        self._append(asdict(line))

    def _append(self, values: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(values, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def table(self, faults: Iterable[str] = ()) -> str:
        """All files as a table, then what was dropped in sum, then captions that could not be used."""
        rows: list[tuple[str, ...]] = [("file", "size", "fps", "seconds", "cuts", "clips", "kept", "what was dropped")]
        for line in sorted(self.files, key=lambda line: line.file):
            rows.append(_row(line))
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
        text = ["  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[-1]]) for row in rows]
        return "\n".join([*text, "", *self.summary(), *(f"captions: {fault}" for fault in faults)])

    def summary(self) -> list[str]:
        """Sentences on what was kept and dropped."""
        clips = [clip for line in self.files for clip in line.clips]
        kept = [(clip, line.fps) for line in self.files for clip in line.clips if clip.kept]
        seconds = sum(clip.frames / fps for clip, fps in kept)
        total = sum(line.frames / line.fps for line in self.files if line.fps)
        skipped = Counter(line.skipped for line in self.files if line.skipped)
        dropped = Counter(clip.dropped for clip in clips if clip.dropped)
        held = sum(line.kept for line in self.files if line.split != "train")
        return [
            f"{len(self.files)} files, {total:.1f} s: {len(kept)} of {len(clips)} clips kept ({seconds:.1f} s), "
            f"{held} of them held out",
            f"files not used: {_counted(skipped)}",
            f"clips dropped: {_counted(dropped)}",
            f"frames between clips and at cuts: {sum(line.left_over for line in self.files)}",
        ]


def _parse(line: str) -> dict[str, Any] | None:
    try:
        values = json.loads(line)
    except json.JSONDecodeError:
        return None
    return values if isinstance(values, dict) else None


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {n}" for name, n in counts.most_common()) or "none"


def _row(line: FileLine) -> tuple[str, ...]:
    if line.skipped and not line.clips:
        return (line.file, "", "", "", "", "", "0", f"{line.skipped}: {line.reason}")
    reasons = Counter(clip.detail or clip.dropped for clip in line.clips if clip.dropped)
    what = [text if n == 1 else f"{text} (x{n})" for text, n in reasons.items()]
    if line.skipped:
        what.append(f"{line.skipped}: {line.reason}")
    rate = f"{line.fps:.4g}" + ("~" if line.variable else "")
    seconds = line.frames / line.fps if line.fps else 0.0
    cells = (f"{line.size[0]}x{line.size[1]}", rate, f"{seconds:.1f}", str(len(line.cuts)))
    return (line.file, *cells, str(len(line.clips)), str(line.kept), "; ".join(what))
