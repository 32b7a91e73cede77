# SPDX-License-Identifier: GPL-3.0-or-later
"""The worlds that checkpoints of this project were taught, as words: which things, places and moves they know.

Their words are those of the scene world (training/scenes/words). A checkpoint names its world: all of it, or the small
one that a CPU can learn.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from .lexicon import world_words
from .tokens import data

PIECES = re.compile(r"[a-z0-9]+|[^\sa-z0-9]")
LARGEST_HEADER = 1 << 26
NAMES = ("scenes", "nano")
CALLED = {"full": "scenes", "nano": "nano"}  # as training calls them


@dataclass(frozen=True)
class World:
    """The words of a world by kind, class and field; ``length`` is how many pieces of text its encoder reads."""

    name: str
    words: Mapping[str, Any]
    gaits: Mapping[str, str]
    indoors: frozenset[str]
    length: int
    drawn: Mapping[str, tuple[str, ...]]

    def wordings(self, kind: str, key: str, field: str) -> tuple[str, ...]:
        """The wordings of a class, () where this world does not know it."""
        entry = self.words.get(kind, {}).get(key, {})
        return tuple(dict.fromkeys([*entry.get(field, ()), *entry.get(f"{field}_own", ())]))

    def pieces(self, text: str) -> int:
        """About how many pieces the models' text encoder takes a text for."""
        return len(PIECES.findall(text.lower()))

    def keys(self, kind: str) -> tuple[str, ...]:
        """The classes of a kind that its checkpoints were shown; others may be understood, too."""
        return self.drawn[kind] if kind in self.drawn else tuple(self.words.get(kind, {}))


@cache
def world(name: str) -> World:
    """A world by its name. Raises KeyError for one that there is not."""
    if name not in NAMES:
        raise KeyError(f"there is no world {name!r}: it is one of {', '.join(NAMES)}")
    more = data("scenes")
    words = world_words()
    gaits = _gaits(more["gaits"]) | words["ways"]
    drawn = {kind: tuple(keys) for kind, keys in more[name].items()}
    return World(name, words, gaits, frozenset(more["indoors"]["places"]), 80, drawn)


def _gaits(lists: Mapping[str, list[str]]) -> dict[str, str]:
    return {noun: gait for gait, nouns in lists.items() for noun in nouns}


def world_of(checkpoint: Path) -> World:
    """The world that a checkpoint was taught: the one that it names; the small one where it names none."""
    try:
        state = checkpoint.stat()
    except OSError:
        return world("nano")
    return _world_of(checkpoint, state.st_mtime_ns)


@lru_cache(maxsize=8)
def _world_of(checkpoint: Path, changed: int) -> World:
    return world(CALLED.get(str((_config(checkpoint).get("info") or {}).get("world")), "nano"))


def _config(checkpoint: Path) -> dict[str, Any]:
    """What a checkpoint says of itself in the header of its file; nothing where it cannot be read."""
    try:
        with checkpoint.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(min(length, LARGEST_HEADER)))
        found = json.loads(header["__metadata__"]["spacetime"])
    except (OSError, ValueError, KeyError, TypeError, struct.error):
        return {}
    return found if isinstance(found, dict) else {}
