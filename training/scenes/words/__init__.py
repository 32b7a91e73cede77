# SPDX-License-Identifier: GPL-3.0-or-later
"""The words for what the scene world shows, in English and Chinese: data files and how they are read.

A *kind* ("places", "motions", ...) holds classes ("forest", "right", ...), a class its wordings by field: "en", "zh"
and their variants. Fields that end in "_own" are added to those without; fields that end in "_held" are kept out of
training and used by the evaluation alone.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
NOUN_FILES = ("animals", "vehicles", "food", "things", "people")
FILES = ("scenery", "doing", "seen", "frames")


@cache
def kinds() -> dict[str, dict[str, dict[str, Any]]]:
    """Everything in the data files: kind, class, field."""
    found: dict[str, dict[str, dict[str, Any]]] = {"nouns": {}}
    for name in NOUN_FILES:
        found["nouns"] |= _read(name)
    for name in FILES:
        found |= _read(name)
    return found


def _read(name: str) -> dict[str, Any]:
    with (FOLDER / f"{name}.toml").open("rb") as file:
        return tomllib.load(file)


@cache
def wordings(kind: str, key: str, field: str, held: bool = False) -> tuple[str, ...]:
    """The wordings of a class, such as ("places", "forest", "en"); with ``held`` the held-out ones where there are any.

    Raises KeyError when the data know no such kind or class.
    """
    entry = kinds()[kind][key]
    if held and entry.get(f"{field}_held"):
        return tuple(entry[f"{field}_held"])
    return tuple(entry.get(field, ())) + tuple(entry.get(f"{field}_own", ()))


@cache
def way(noun: str, gait: str) -> str:
    """The name of the verbs for how a noun gets about: its own way, or that of its gait."""
    return str(kinds()["ways"].get(noun, gait))
