# SPDX-License-Identifier: GPL-3.0-or-later
"""What a world understands of a prompt that it does not understand to the last word."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from .facts import OPPOSITE, Fact, facts
from .lexicon import Mention, scan
from .picture import SCENERY, Clause, Doing, Picture, Thing
from .tokens import is_chinese
from .world import World

SIDES = ("left", "right")


def gist(prompt: str, spoken: World) -> Picture | None:
    """The first thing of a prompt that the world knows, what is done, where, when and how it is filmed.

    What a prompt says twice in different ways is left out. None where nothing is understood.
    """
    said = facts(prompt)
    picture = Picture(camera=[key] if (key := _one(said, "camera")) else [])
    for kind in SCENERY:
        fact = _only(fact for fact in said if fact.kind == kind and fact.key in spoken.keys(f"{kind}s"))
        if fact is not None:
            setattr(picture, kind, fact.key)
            picture.words[kind] = fact.text.lower()
    named = next((fact for fact in said if fact.kind == "noun" and fact.key in spoken.keys("nouns")), None)
    if named is not None:
        thing = Thing(named.key, named.text.lower(), _count(said, named.key, spoken), _colour(said, named.key, spoken))
        picture.clauses = [Clause([thing], _doings(said, named.key, prompt))]
    return picture if picture.clauses or any(getattr(picture, kind) for kind in SCENERY) else None


def _only(found: Iterable[Fact]) -> Fact | None:
    """The fact, if all are the same."""
    facts_ = list(found)
    return facts_[0] if len({fact.key for fact in facts_}) == 1 else None


def _one(said: Iterable[Fact], kind: str) -> str:
    fact = _only(fact for fact in said if fact.kind == kind)
    return fact.key if fact is not None else ""


def _count(said: Iterable[Fact], noun: str, spoken: World) -> int | None:
    if spoken.one_thing:
        return None
    count = _only(fact for fact in said if fact.kind == "count" and noun in fact.of)
    return int(count.key) if count is not None and count.key.isdigit() else None


def _colour(said: Iterable[Fact], noun: str, spoken: World) -> str:
    colour = _only(fact for fact in said if fact.kind == "colour" and noun in fact.of)
    return colour.key if colour is not None and colour.key in spoken.keys("colours") else ""


def _doings(said: tuple[Fact, ...], noun: str, prompt: str) -> list[Doing]:
    """What is done, if it is one thing; a side without a way of going there may be where something is."""
    travel, act = _one(said, "travel"), _one(said, "act")
    courses = {fact.key for fact in said if fact.kind == "direction"}
    if any(OPPOSITE[course] in courses for course in courses):
        return []
    others = {fact.key for fact in said if fact.kind == "noun"} - {noun}
    course = _one([fact for fact in said if not fact.of & others], "direction")
    if course in SIDES and not travel and _stands(prompt):
        course = ""
    if course or travel:
        return [Doing(travel, course)]
    return [Doing(act=act)] if act else []


def _stands(prompt: str) -> bool:
    """Whether a side is a place: "on the left", "to the left of the house", 左边有."""
    mentions = [*scan(prompt), Mention("stop", "", "", 0, 0)]
    for side, following in pairwise(mentions):
        wording = side.text.lower()
        there = wording.startswith(("on ", "at ")) or (is_chinese(wording) and wording.endswith("边"))
        if side.key in SIDES and (there or following.text.lower() in ("of", "side")):
            return True
    return False
