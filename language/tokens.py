# SPDX-License-Identifier: GPL-3.0-or-later
"""A prompt cut into words: English words with their stems, Chinese characters, emoji, signs and quoted texts."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

HAN = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
EMOJI = (
    r"[\U0001F000-\U0001FAFF\u2190-\u21ff\u2300-\u23ff\u2600-\u27bf\u2b00-\u2bff]"
    r"(?:[\ufe0f\u20e3\U0001F3FB-\U0001F3FF]|\u200d[\U0001F000-\U0001FAFF\u2600-\u27bf])*"
)
# An apostrophe opens a quotation only where no letter stands before it, and closes it only where none follows.
MARKS = ('""', "“”", "„“", "„”", "«»", "「」", "『』", "《》")
QUOTES = "|".join(f"{pair[0]}[^{pair}]+{pair[1]}" for pair in MARKS)
SINGLE = r"(?<![A-Za-z0-9])['‘][^'‘’]+['’](?![A-Za-z0-9])"
TOKEN = re.compile(
    rf"(?P<quote>{QUOTES}|{SINGLE})|(?P<emoji>{EMOJI})|(?P<han>[{HAN}])|(?P<word>[^\W\d_{HAN}]+(?:['’][^\W\d_{HAN}]+)*)"
    rf"|(?P<number>\d+(?:[.,:]\d+)*)|(?P<sign>\S)"
)
FOLDER = Path(__file__).parent / "words"


@dataclass(frozen=True)
class Token:
    """A piece of a text: ``kind`` is quote, emoji, han, word, number or sign; ``stem`` is what it is matched by."""

    text: str
    kind: str
    start: int
    end: int
    stem: str


def tokenize(text: str) -> list[Token]:
    """Cut a text; what stands in quotation marks is one token with its marks."""
    tokens = []
    for found in TOKEN.finditer(text):
        kind = found.lastgroup or "sign"
        piece = found[0]
        form = stem(piece) if kind == "word" else piece.replace("\ufe0f", "") if kind == "emoji" else piece
        form = _simplified().get(piece, piece) if kind == "han" else form
        tokens.append(Token(piece, kind, found.start(), found.end(), form))
    return tokens


@cache
def data(name: str) -> dict[str, Any]:
    """One of the data files in ``words/``."""
    with (FOLDER / f"{name}.toml").open("rb") as file:
        return tomllib.load(file)


@cache
def _forms() -> tuple[dict[str, str], frozenset[str]]:
    irregular = {form: base for base, forms in data("forms")["irregular"].items() for form in forms.split()}
    return irregular, frozenset(data("forms")["whole"]["words"].split())


@cache
def irregular_verbs() -> frozenset[str]:
    """Verbs with forms that no rule gives, in all their forms; some nouns among them."""
    irregular, _ = _forms()
    return frozenset(irregular) | frozenset(irregular.values())


@cache
def _simplified() -> dict[str, str]:
    """Traditional Chinese characters and the simplified ones that the words are written in."""
    return {pair[0]: pair[1] for pair in data("traditional")["pairs"].split()}


@cache
def stem(word: str) -> str:
    """Return what a word's forms have in common: "walks", "walking" and "walked" all give "walk"."""
    irregular, whole = _forms()
    word = word.lower().replace("’", "'").removesuffix("'s")
    word = irregular.get(word, word)
    if word in whole or len(word) < 4:
        return word
    if word.endswith(("ies", "ied")) and len(word) > 4:
        return word[:-3] + "y"
    for ending in ("ing", "ed"):
        rest = word.removesuffix(ending)
        if rest != word and len(rest) > 1 and re.search("[aeiouy]", rest):
            return _short(rest[:-1] if len(rest) > 3 and rest[-1] == rest[-2] and rest[-1] not in "lsze" else rest)
    if re.search(r"(?:[sxz]|ch|sh|o)es$", word) and not word.endswith(("shoes", "toes")):
        return _short(word[:-2])
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return _short(word[:-1])
    return _short(word)


def _short(word: str) -> str:
    """Without a final silent e, so that "drive" and "driving" agree."""
    return word[:-1] if len(word) > 3 and word.endswith("e") and not word.endswith(("ee", "oe", "ye")) else word


def is_chinese(text: str) -> bool:
    """Whether a text is more Chinese than anything else."""
    kinds = [token.kind for token in tokenize(text)]
    return kinds.count("han") > 2 * kinds.count("word")
