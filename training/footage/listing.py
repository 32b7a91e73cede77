# SPDX-License-Identifier: GPL-3.0-or-later
"""The videos of a folder and their captions: ``clip.txt`` beside ``clip.mp4``, or lines of any ``*.jsonl`` in it.

A text file holds one caption a line, all of them for the whole video. A JSON line is an object with the video's name
relative to the JSON file ("file" or "file_name"), its caption ("caption" or "text") or a list of them ("captions"), and
optionally "start" and "stop", the seconds that it describes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv", ".flv", ".3gp"}
    | {".ogv", ".gif"}
)
FILE_KEYS = ("file", "file_name")
TEXT_KEYS = ("caption", "text", "captions")


class FootageError(ValueError):
    """A folder, a caption file or an option cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Caption:
    """A text and the seconds that it describes, ``stop`` None: to the end."""

    text: str
    start: float = 0.0
    stop: float | None = None

    def covers(self, seconds: float) -> bool:
        """Whether it describes this moment."""
        return self.start <= seconds and (self.stop is None or seconds < self.stop)


@dataclass(frozen=True)
class Video:
    """A video file, its name in the folder (with forward slashes) and its captions."""

    path: Path
    name: str
    captions: tuple[Caption, ...] = ()

    def captions_at(self, seconds: float) -> list[str]:
        """Return the texts that describe a moment."""
        return [caption.text for caption in self.captions if caption.covers(seconds)]


@dataclass(frozen=True)
class Listing:
    """What a folder holds: videos in the order of their names, and sentences on captions that cannot be used."""

    videos: tuple[Video, ...]
    faults: tuple[str, ...]


def list_folder(folder: Path, caption: str | None = None) -> Listing:
    """Find the videos of a folder and its subfolders; ``caption`` is for those that have none of their own.

    Hidden files are left out. Raises FootageError for what is no folder, and for one without videos.
    """
    if not folder.is_dir():
        raise FootageError(f"{folder} is not a folder: name the one that holds the videos")
    files = sorted(path for path in folder.rglob("*") if not _hidden(path.relative_to(folder)) and path.is_file())
    videos = {path.resolve(): path for path in files if path.suffix.lower() in SUFFIXES}
    if not videos:
        raise FootageError(f"{folder} holds no videos ({', '.join(sorted(SUFFIXES))})")
    captions: dict[Path, list[Caption]] = {}
    faults: list[str] = []
    for path in files:
        if path.suffix.lower() == ".jsonl":
            for key, value in _read_lines(path, folder, set(videos), faults):
                captions.setdefault(key, []).append(value)
    found = []
    for key, path in videos.items():
        texts = captions.get(key, []) + [Caption(line) for line in _read_text(path, folder, faults)]
        if not texts and caption:
            texts = [Caption(caption)]
        found.append(Video(path, path.relative_to(folder).as_posix(), tuple(dict.fromkeys(texts))))
    return Listing(tuple(found), tuple(faults))


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _read_text(video: Path, folder: Path, faults: list[str]) -> list[str]:
    """Return the captions of the text file beside a video: one a line."""
    for path in (video.with_suffix(".txt"), video.with_name(video.name + ".txt")):
        if path.is_file():
            try:
                lines = path.read_text(encoding="utf-8-sig").splitlines()
            except UnicodeDecodeError:
                faults.append(f"{path.relative_to(folder).as_posix()} is not UTF-8 text: save it as UTF-8")
                return []
            return [line.strip() for line in lines if line.strip()]
    return []


def _read_lines(path: Path, folder: Path, videos: set[Path], faults: list[str]) -> Iterator[tuple[Path, Caption]]:
    """Yield (video, caption) of a JSON lines file; what cannot be used goes to ``faults``, by line."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        faults.append(f"{path.relative_to(folder).as_posix()} is not UTF-8 text: save it as UTF-8")
        return
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path.relative_to(folder).as_posix()} line {number}"
        try:
            name, captions = _entry(json.loads(line))
        except json.JSONDecodeError as error:
            faults.append(f"{where} is not JSON: {error.msg}")
            continue
        except FootageError as error:
            faults.append(f"{where} {error}")
            continue
        video = (path.parent / name).resolve()
        if video in videos:
            yield from ((video, caption) for caption in captions)
        else:
            faults.append(f"{where} names {name}, and there is no such video in the folder")


def _entry(entry: Any) -> tuple[str, list[Caption]]:
    """Return the video's name and the captions of one JSON object; raises FootageError."""
    if not isinstance(entry, dict):
        raise FootageError('is not an object like {"file": "clip.mp4", "caption": "..."}')
    name = next((entry[key] for key in FILE_KEYS if key in entry), None)
    if not isinstance(name, str) or not name:
        raise FootageError(f"names no video: it needs {' or '.join(FILE_KEYS)}")
    texts = next((entry[key] for key in TEXT_KEYS if key in entry), None)
    texts = [texts] if isinstance(texts, str) else texts
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise FootageError(f"has no caption: it needs {', '.join(TEXT_KEYS[:-1])} or a list {TEXT_KEYS[-1]}")
    start, stop = entry.get("start", 0.0), entry.get("stop", entry.get("end"))
    if not isinstance(start, (int, float)) or not (stop is None or (isinstance(stop, (int, float)) and stop > start)):
        raise FootageError(f"has start {start!r} and stop {stop!r}: give seconds, the stop after the start")
    seconds = None if stop is None else float(stop)
    return name, [Caption(text.strip(), float(start), seconds) for text in texts if text.strip()]
