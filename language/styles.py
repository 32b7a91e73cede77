# SPDX-License-Identifier: GPL-3.0-or-later
"""Target styles: in which form a model wants its prompts. Each is a data file in ``styles/``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from .world import World, world, world_of

FOLDER = Path(__file__).parent / "styles"
BUNDLED = Path(__file__).resolve().parent.parent / "weights" / "spacetime-nano.safetensors"
LENGTHS = ("short", "medium", "long")
LANGUAGES = {"as the prompt": "", "English": "en", "Chinese": "zh"}
SLOTS = {"short": 2, "medium": 4, "long": 99}  # how many things are added at most


@dataclass(frozen=True)
class Slot:
    """Something that a prompt of this style says: sentences by language, of which one is taken.

    It is left out where the prompt speaks of one of the kinds ``unless``; ``before`` puts it before the prompt.
    """

    sentences: Mapping[str, tuple[str, ...]]
    unless: frozenset[str] = frozenset()
    before: bool = False


@dataclass(frozen=True)
class Style:
    """A form of prompts. ``slots`` are in the order of their weight, ``said`` in the order of the text."""

    name: str
    label: str
    languages: tuple[str, ...]
    negative: bool
    negatives: Mapping[str, str]
    words: Mapping[str, int]
    about: str
    examples: Mapping[str, tuple[tuple[str, str], ...]]
    slots: tuple[str, ...] = ()
    said: Mapping[str, Slot] = field(default_factory=dict)
    worldly: bool = False

    def world(self, checkpoint: Path | None = None) -> World | None:
        """The world whose words this style uses, if it does: that of the checkpoint, by default the bundled one."""
        return world_of(checkpoint or BUNDLED) if self.worldly else None


@cache
def styles() -> dict[str, Style]:
    """All styles by name, in the order in which they are offered."""
    found = []
    for path in FOLDER.glob("*.toml"):
        with path.open("rb") as file:
            content = tomllib.load(file)
        found.append((content.get("order", 99), path.stem, _style(path.stem, content)))
    return {name: style for _, name, style in sorted(found, key=lambda item: item[:2])}


def style_named(name: str) -> Style:
    """The style of a name. Raises ValueError for one that there is not."""
    if name not in styles():
        raise ValueError(f"There is no style {name!r}: choose one of {', '.join(styles())}.")
    return styles()[name]


def _style(name: str, content: dict[str, Any]) -> Style:
    said = {
        slot: Slot(
            {language: tuple(entry[language]) for language in ("en", "zh") if language in entry},
            frozenset(entry.get("unless", ())),
            entry.get("before", False),
        )
        for slot, entry in content.get("say", {}).items()
    }
    examples = {
        language: tuple((example["prompt"], example["text"]) for example in several)
        for language, several in content["examples"].items()
    }
    return Style(
        name, content["label"], tuple(content["languages"]), content["negative"], content.get("negatives", {}),
        content["words"], " ".join(content["about"].split()), examples, tuple(content.get("slots", ())), said,
        "world" in content,
    )  # fmt: skip


__all__ = ["BUNDLED", "LANGUAGES", "LENGTHS", "SLOTS", "Slot", "Style", "style_named", "styles", "world"]
