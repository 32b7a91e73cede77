# SPDX-License-Identifier: GPL-3.0-or-later
"""What a world understands of a prompt that it does not understand to the last word."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

from .facts import OPPOSITE, Fact, facts
from .lexicon import Mention, scan
from .picture import SCENERY, Clause, Doing, Picture, Thing
from .tokens import is_chinese
from .world import World

SIDES = ("left", "right")
DONE = ("travel", "act", "direction")
RIDING = ("ride", "drive")
BARE = re.compile("to the |left|right", re.IGNORECASE)
ALONG = re.compile(r"\b(with|in|on|under|of|beside|near|[a-z]+ing)\s+(?:[a-z-]+\s+){0,3}$", re.IGNORECASE)
WATCHING = ("watching", "seeing", "hearing", "filming", "following")
CARRIED = re.compile(r"\b(?:holding|carrying|wearing|pushing|pulling)\s+(?:[a-z-]+\s+){0,3}$", re.IGNORECASE)
EACH = re.compile(r"\b(?:one|first|other)\b.+\b(?:one|other|another|second)\b|一.+另一", re.IGNORECASE)
IS = re.compile(r"\W*(?:is|are|in|是)?\W*")
MOVING = ("ing", "in", "ed", "s", "ly")


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
        thing = Thing(
            named.key, named.text.lower(), _count(said, named.key, spoken), _colour(said, named, prompt, spoken)
        )
        picture.clauses = [Clause([thing], _doings(said, named, prompt, spoken))]
    return picture if picture.clauses or any(getattr(picture, kind) for kind in SCENERY) else None


def _only(found: Iterable[Fact]) -> Fact | None:
    """The fact, if all are the same."""
    facts_ = list(found)
    return facts_[0] if len({fact.key for fact in facts_}) == 1 else None


def _one(said: Iterable[Fact], kind: str) -> str:
    fact = _only(fact for fact in said if fact.kind == kind)
    return fact.key if fact is not None else ""


def _count(said: Iterable[Fact], noun: str, spoken: World) -> int | None:
    count = _only(fact for fact in said if fact.kind == "count" and noun in fact.of)
    return int(count.key) if count is not None and count.key in spoken.keys("counts") else None


def _colour(said: Iterable[Fact], named: Fact, prompt: str, spoken: World) -> str:
    """The colour before a thing, or of "the car is red"; in "two cats: the black one jumps" it is of one of them."""
    own = [fact for fact in said if fact.kind == "colour" and named.key in fact.of]
    colour = _only(fact for fact in own if fact.start < named.start or IS.fullmatch(prompt[named.end : fact.start]))
    return colour.key if colour is not None and colour.key in spoken.keys("colours") else ""


def _doings(said: tuple[Fact, ...], named: Fact, prompt: str, spoken: World) -> list[Doing]:
    """What a thing does, if it is one thing; a side without a way of going there may be where something is."""
    courses = {fact.key for fact in said if fact.kind == "direction"}
    if any(OPPOSITE[course] in courses for course in courses) or EACH.search(prompt):
        return []
    if CARRIED.search(prompt[: named.start]):
        return []  # what follows is of who carries it
    nouns = [fact for fact in said if fact.kind == "noun" and fact.key != named.key]
    others = [fact for fact in nouns if not _goes_along(fact, prompt)]
    its = [fact for fact in said if fact.kind in DONE and _is_its(fact, named, others, prompt)]
    travel, act, course = (_one(its, kind) for kind in ("travel", "act", "direction"))
    if travel in RIDING and spoken.gaits.get(named.key) != "ride":
        travel = ""  # of who sits on it or in it
    if course in SIDES and not travel and (_stands(prompt) or not all(_is_a_way(fact, named, prompt) for fact in its)):
        course = ""
    if course or travel:
        return [Doing(travel, course)]
    return [Doing(act=act)] if act in spoken.keys("motions") else []


def _is_its(done: Fact, named: Fact, others: list[Fact], prompt: str) -> bool:
    """Whether it is the thing that does this: "a woman walks past a car" lets no car walk."""
    if done.start < named.start:
        between = prompt[done.end : named.start].strip(" 的").lower()
        attribute = not between or (between in ("a", "an", "the") and done.kind == "travel")
        return not done.head or attribute  # "a running dog", "there crawls a turtle"
    return not any(other.key in done.head and other.start < done.start for other in others)


def _is_a_way(done: Fact, named: Fact, prompt: str) -> bool:
    """Whether a side is a way to go: not in "turns its head to the left"."""
    if done.key not in SIDES or not BARE.match(done.text):
        return True
    before = re.search(r"([A-Za-z]+)\W*$", prompt[named.end : done.start])
    return before is None or before[1].lower().endswith(MOVING)


def _goes_along(other: Fact, prompt: str) -> bool:
    """Whether something is only with a thing, so that what follows is still said of that: "a dog in a hat runs"."""
    before = ALONG.search(prompt[: other.start])
    return before is not None and before[1].lower() not in WATCHING


def _stands(prompt: str) -> bool:
    """Whether a side is a place: "on the left", "to the left of the house", 左边有."""
    mentions = [*scan(prompt), Mention("stop", "", "", 0, 0)]
    for side, following in pairwise(mentions):
        wording = side.text.lower()
        there = wording.startswith(("on ", "at ")) or (is_chinese(wording) and wording.endswith("边"))
        if side.key in SIDES and (there or following.text.lower() in ("of", "side")):
            return True
    return False
