# SPDX-License-Identifier: GPL-3.0-or-later
"""What a caption of the first world says, read back by the table of all its wordings: to score a captioner."""

from __future__ import annotations

import re
from functools import cache

from . import captions as words
from .captions import Words
from .world import Scene

FACTS = ("object", "place", "motion", "camera")
UNSAID = {"camera": "still"}  # what it means that a caption says nothing of it
DIRECTIONS = ("right", "left", "up", "down")


def said_by(text: str) -> dict[str, str]:
    """The facts that a caption states, English or Chinese; what it leaves open is left out, but for UNSAID.

    A fact that is stated twice in different ways is "contradiction".
    """
    table, pattern = _table()
    found = dict(UNSAID)
    seen: dict[str, str] = {}
    for match in pattern.finditer(text.lower()):
        kind, value = table[match[0]]
        seen[kind] = value if seen.get(kind, value) == value else "contradiction"
    return found | seen


def truth(scene: Scene) -> dict[str, str]:
    """The facts of a scene."""
    return {name: str(getattr(scene, name)) for name in FACTS}


def right(text: str, facts: dict[str, str]) -> dict[str, bool]:
    """Which of some facts a caption states as they are."""
    said = said_by(text)
    return {name: said.get(name) == value for name, value in facts.items()}


@cache
def _table() -> tuple[dict[str, tuple[str, str]], re.Pattern[str]]:
    """Each wording with its fact, and a pattern that finds them, long ones first."""
    table: dict[str, tuple[str, str]] = {}
    tables: tuple[tuple[str, Words], ...] = (
        ("object", words.NOUNS), ("object", words.NOUNS_ZH), ("place", words.PLACES), ("place", words.PLACES_ZH),
        ("camera", words.CAMERAS), ("camera", words.CAMERAS_ZH), ("motion", words.MOTIONS),
        ("motion", words.MOTIONS_ZH),
    )  # fmt: skip
    verbs = dict.fromkeys([*words.WALKS, *words.RIDES, *words.FLIES, *"走飞开"])
    for kind, options in tables:
        for value, phrases in options.items():
            for phrase in phrases:
                for wording in [phrase.replace("{go}", verb) for verb in verbs] if "{go}" in phrase else [phrase]:
                    if wording:
                        table[wording.lower()] = (kind, value)
    ends = [rf"\b{re.escape(w)}\b" if w.isascii() else re.escape(w) for w in sorted(table, key=len, reverse=True)]
    return table, re.compile("|".join(ends))
