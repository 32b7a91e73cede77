# SPDX-License-Identifier: GPL-3.0-or-later
"""Known words that mean something else beside their neighbours.

Things in names and compounds ("Turtle Beach", "bus driver"), what goes "up the hill", "a black and white cow", and 不.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from .tokens import data, irregular_verbs, is_chinese

if TYPE_CHECKING:
    from .lexicon import Mention

DETERMINER = r"an?|the|one|this|that|my|your|his|her|its|our|their|some|any|each|every|another|no"
SINGLE = re.compile(rf"\b(?:{DETERMINER})\s+(?:[a-z'-]+\s+){{0,2}}$", re.IGNORECASE)
BEGIN = re.compile(r"(?:^|[.!?:;\n\"“(])\s*$")
NAMED = 0.5  # a text of which more words than this share are capitalised has them everywhere
UPHILL = re.compile(r" up$")
ACTING = ("ing", "in", "ed", "ly")
DENIABLE = frozenset({"travel", "act", "direction", "place", "colour", "camera"})


def set_apart(mentions: list[Mention], text: str) -> list[Mention]:
    """The mentions of a text, with those that are not meant as what they look like as words of their own.

    A Chinese 不 before something that it denies becomes a negation.
    """
    titled = _is_titled(text)
    followers = [*mentions, None][1:]
    return [_read_again(mention, after, text, titled) for mention, after in zip(mentions, followers, strict=True)]


def _read_again(mention: Mention, after: Mention | None, text: str, titled: bool) -> Mention:
    if is_chinese(mention.text):
        beside = after is not None and after.start == mention.end
        if mention.text == "不" and beside and after is not None and after.kind in DENIABLE:
            return replace(mention, kind="negation")
        part = mention.kind == "noun" and text.startswith(_heads(), mention.end)
    elif mention.kind in ("noun", "place") and mention.text[:1].isalpha():
        named = not titled and _in_a_name(mention, after, text)
        part = named or (mention.kind == "noun" and after is not None and _modifies(mention, after, text))
    elif mention.kind == "direction" and UPHILL.search(mention.text.lower()):
        part = after is not None and after.kind in ("place", "noun") and _with_article(mention, after, text)
    elif mention.kind == "look" and mention.text.lower().startswith("black"):
        part = after is not None and after.kind == "noun"  # "a black and white cow"
    else:
        part = False
    return replace(mention, kind="word", key=mention.text.lower(), word=mention.text, fixed=False) if part else mention


def _modifies(noun: Mention, after: Mention, text: str) -> bool:
    """Whether a noun only says which kind of thing the next word is: "a dinosaur skeleton", "horse-drawn"."""
    between = text[noun.end : after.start]
    if noun.many or between.strip() not in ("", "-"):
        return False
    if "-" in between:
        return between == "-"
    if after.kind == "place":
        return " " not in after.text and SINGLE.search(text[: noun.start]) is not None  # "a horse farm"
    if after.text[0].isupper() and noun.text[0].islower():
        return False  # "my dog Max"
    return after.kind == "noun" or (after.kind == "word" and not _may_follow(after.text.lower()))


def _with_article(mention: Mention, after: Mention, text: str) -> bool:
    """Whether only an article stands between: what goes "up the hill" does not rise into the air."""
    return text[mention.end : after.start].strip().lower() in ("a", "an", "the")


def _may_follow(word: str) -> bool:
    """Whether a word may say what the thing before it does or is: "barks", "wagging", "ate", "asleep"."""
    if len(word) < 3 or not word.isalpha() or (word.endswith(ACTING) and not word.endswith("eed")):
        return True
    if word.endswith("s") and not word.endswith("ss"):
        return True
    return word in irregular_verbs() or word in data("forms")["behind"]["words"].split()


def _in_a_name(mention: Mention, after: Mention | None, text: str) -> bool:
    """Whether a capital letter makes a word a name; one that begins a sentence tells nothing by itself."""
    if not mention.text[0].isupper():
        return False
    beside = after is not None and text[mention.end : after.start] == " " and after.text[:1].isupper()
    if beside:
        return True
    return not BEGIN.search(text[: mention.start]) and not SINGLE.search(text[: mention.start])


def _is_titled(text: str) -> bool:
    """Whether a text has capital letters everywhere: "A Dog Runs on the Beach"."""
    words = re.findall(r"[A-Za-z]+", text)[1:]
    return sum(word[0].isupper() for word in words) > NAMED * len(words)


@cache
def _heads() -> tuple[str, ...]:
    """What makes a compound of the Chinese noun before it: 公交车司机 is no bus."""
    return tuple(data("common")["zh"]["heads"].split())
