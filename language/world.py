# SPDX-License-Identifier: GPL-3.0-or-later
"""The worlds that checkpoints of this project were taught, as words: which things, places and moves they know.

A world is data: ``words/first.toml`` for the first bundled checkpoint, the scene world's own words for those trained on
it. Which one a checkpoint speaks is read from its vocabulary.
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
from .tokens import HAN, data

WORDS = re.compile(rf"[a-z0-9]+|[{HAN}]")
PIECES = re.compile(r"[a-z0-9]+|[^\sa-z0-9]")
LARGEST_HEADER = 1 << 26
NAMES = ("scenes", "nano", "first")
CALLED = {"full": "scenes", "nano": "nano", "first": "first"}  # as training calls them


@dataclass(frozen=True)
class World:
    """The words of a world by kind, class and field; ``length`` is how many pieces of text its encoder reads.

    ``sentences`` tells whether its captions are sentences with capitals and full stops.
    """

    name: str
    words: Mapping[str, Any]
    gaits: Mapping[str, str]
    indoors: frozenset[str]
    length: int
    sentences: bool
    drawn: Mapping[str, tuple[str, ...]]

    @property
    def one_thing(self) -> bool:
        """Whether its checkpoints were shown one thing at a time only."""
        return self.name != "scenes"

    def wordings(self, kind: str, key: str, field: str) -> tuple[str, ...]:
        """The wordings of a class, () where this world does not know it."""
        entry = self.words.get(kind, {}).get(key, {})
        return tuple(dict.fromkeys([*entry.get(field, ()), *entry.get(f"{field}_own", ())]))

    def pieces(self, text: str) -> int:
        """About how many pieces the models' text encoder takes a text for."""
        return len(PIECES.findall(text.lower()))

    def keys(self, kind: str) -> tuple[str, ...]:
        """The classes of a kind that its checkpoints were shown; others may be understood, too."""
        return self.drawn.get(kind, ()) if self.drawn else tuple(self.words.get(kind, {}))


@cache
def world(name: str) -> World:
    """A world by its name. Raises KeyError for one that there is not."""
    if name == "first":
        words = data("first")
        return World(name, words, _gaits(words["gaits"]), frozenset(), 48, False, {})
    if name not in NAMES:
        raise KeyError(f"there is no world {name!r}: it is one of {', '.join(NAMES)}")
    more = data("scenes")
    words = world_words()
    gaits = _gaits(more["gaits"]) | words["ways"]
    drawn = {kind: tuple(keys) for kind, keys in more["nano"].items()} if name == "nano" else {}
    return World(name, words, gaits, frozenset(more["indoors"]["places"]), 80, True, drawn)


def _gaits(lists: Mapping[str, list[str]]) -> dict[str, str]:
    return {noun: gait for gait, nouns in lists.items() for noun in nouns}


def world_of(checkpoint: Path) -> World:
    """The world that a checkpoint was taught: the one that it names, else the one whose words its vocabulary holds.

    A file that says nothing of its text counts as the first world's.
    """
    try:
        state = checkpoint.stat()
    except OSError:
        return world(NAMES[-1])
    return _world_of(checkpoint, state.st_mtime_ns)


@lru_cache(maxsize=8)
def _world_of(checkpoint: Path, changed: int) -> World:
    config = _config(checkpoint)
    named = CALLED.get(str((config.get("info") or {}).get("world")))
    if named is not None:
        return world(named)
    pieces, scenes = _pieces(config), world("scenes")
    known = all(piece in pieces for key in scenes.keys("nouns") for piece in _spelt(scenes, "nouns", key))
    return scenes if known else world(NAMES[-1])


def _spelt(candidate: World, kind: str, key: str) -> list[str]:
    return [piece for word in candidate.wordings(kind, key, "en") for piece in WORDS.findall(word.lower())]


def _pieces(config: Mapping[str, Any]) -> frozenset[str]:
    """The pieces of a checkpoint's text encoder; empty where it has none."""
    return frozenset((config.get("text") or {}).get("pieces", ()))


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
