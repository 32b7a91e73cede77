# SPDX-License-Identifier: GPL-3.0-or-later
"""The free wordings of ``wordings.toml``: prompts with their truth, checked against the nano world."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

from ..training.scenes.config import nano

FILE = Path(__file__).with_name("wordings.toml")
REQUIRED = ("text", "noun", "place", "motion")


@dataclass(frozen=True)
class Wording:
    """A prompt and what a reader takes it to say, in the words of ``nano()``; empty: the prompt does not say.

    ``keep`` is a detail that the world cannot show and the reader wants kept, ``filler`` says nothing about what is
    seen; both are verbatim parts of ``text``.
    """

    text: str
    noun: str
    place: str
    motion: str
    light: str = ""
    weather: str = ""
    camera: str = ""
    keep: str = ""
    filler: str = ""

    @property
    def chinese(self) -> bool:
        """Whether the prompt is Chinese (else English)."""
        return any("\u4e00" <= letter <= "\u9fff" for letter in self.text)


def load(path: Path = FILE) -> tuple[Wording, ...]:
    """Return all prompts of ``path``, in its order; ValueError names the entry with a wrong key, word or repetition."""
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("prompt", [])
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path.name} is no valid TOML: {error}") from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(f"{path.name}: each prompt is a table of its own; write [[prompt]] above it")
    wordings: dict[str, Wording] = {}
    for number, entry in enumerate(entries, 1):
        wording = _checked(f"{path.name}, prompt {number} ({str(entry.get('text', ''))[:40]!r})", entry)
        if wording.text in wordings:
            raise ValueError(f"{path.name}, prompt {number}: {wording.text!r} is there twice; remove one")
        wordings[wording.text] = wording
    return tuple(wordings.values())


def _checked(where: str, entry: dict[str, object]) -> Wording:
    known = [field.name for field in fields(Wording)]
    for key, value in entry.items():
        if key not in known:
            raise ValueError(f"{where} has an unknown key {key!r}; it takes: {', '.join(known)}")
        if not isinstance(value, str) or not value.strip():
            raise ValueError(f"{where}: {key} is a text that is not empty, not {value!r}; leave it out instead")
    for key in REQUIRED:
        if key not in entry:
            raise ValueError(f"{where} lacks {key!r}; every prompt has: {', '.join(REQUIRED)}")
    wording = Wording(**{key: str(value) for key, value in entry.items()})
    world = nano()
    for key in ("noun", "place", "motion", "light", "weather", "camera"):
        value, words = getattr(wording, key), getattr(world, f"{key}s")
        if value and value not in words:
            raise ValueError(f"{where}: {key} {value!r} is not in the nano world; it has: {', '.join(words)}")
    for key in ("keep", "filler"):
        if getattr(wording, key) not in wording.text:
            raise ValueError(f"{where}: {key} {getattr(wording, key)!r} is not a part of its text; copy it from there")
    return wording
