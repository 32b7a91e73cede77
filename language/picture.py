# SPDX-License-Identifier: GPL-3.0-or-later
"""A prompt read as a picture: who is there, what they do, where, when, and how it is filmed.

Only what is understood to the last word is read; for anything else :func:`read` gives None, and the prompt keeps its
own words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .facts import FILMED, OPPOSITE
from .lexicon import PREPOSITION, Mention, scan
from .tokens import is_chinese

SCENERY = ("place", "light", "weather", "look")
DETERMINED = re.compile(r"\b(?:an?|the|one|two|three|four|five|six|seven|eight|nine|ten|some|\d+)\s+$", re.IGNORECASE)
LOOSE = frozenset({"to", "in", "on", "at", "of", "for", "by", "is", "are", "be", "that", "which", "it", "its", "there",
                   "this", "these", "those", "的", "了", "着", "是", "有", "在", "地"})  # fmt: skip
PLACED = frozenset({"in", "on", "at", "into", "onto", "through", "over", "under", "behind", "near", "beside", "between",
                    "around", "across", "along", "above", "below", "from", "to", "toward", "towards", "by", "before",
                    "of", "for", "about", "against", "like", "inside", "outside", "after", "as",
                    "past", "beyond", "beneath", "underneath", "upon", "amid", "despite", "except",
                    "在", "向", "往", "朝", "从", "把", "被", "对", "给", "于", "让", "使"})  # fmt: skip


@dataclass
class Thing:
    """Who or what is there: a noun of the world by its key, or a word as it was written (``key`` empty)."""

    key: str
    word: str
    count: int | None = None  # None: not said; 0: several
    colour: str = ""
    adjectives: list[str] = field(default_factory=list)
    link: str = "and"  # how it hangs on to the one before: "and" or "with"


@dataclass
class Doing:
    """What is done: a way of getting about with or without its direction, or an act of another kind."""

    travel: str = ""
    direction: str = ""
    act: str = ""
    word: str = ""


@dataclass
class Clause:
    """Some things and what they do, in this order."""

    things: list[Thing]
    doings: list[Doing] = field(default_factory=list)


@dataclass
class Picture:
    """All that a prompt says. ``still`` tells that a picture was asked for, nothing that moves."""

    clauses: list[Clause] = field(default_factory=list)
    place: str = ""
    light: str = ""
    weather: str = ""
    look: str = ""
    camera: list[str] = field(default_factory=list)
    words: dict[str, str] = field(default_factory=dict)  # of place, light, weather, look: the wording that was read
    still: bool = False


class _Stranger(Exception):
    """Something that cannot be placed."""


def read(prompt: str) -> Picture | None:
    """Read a prompt, or return None where a word of it has no place in a picture of the world."""
    reader = _Reader(prompt)
    try:
        return reader.read()
    except _Stranger:
        return None


class _Reader:
    def __init__(self, prompt: str) -> None:
        self.prompt = prompt
        self.mentions = scan(prompt)
        self.chinese = is_chinese(prompt)
        self.picture = Picture()
        self.count: int | None = None
        self.colour = ""
        self.adjectives: list[str] = []
        self.link = ""
        self.filming = False
        self.turn = ""
        self.placed = False  # whether what is named next is only where something is: "behind a red car"

    def read(self) -> Picture:
        for i, mention in enumerate(self.mentions):
            following = self.mentions[i + 1] if i + 1 < len(self.mentions) else None
            self._take(mention, following)
        self._end_of_clause()
        doings = [doing for clause in self.picture.clauses for doing in clause.doings]
        if any(doing.direction in ("left", "right") and not doing.travel for doing in doings):
            raise _Stranger  # "a cat on the left": where it is, not where it goes
        return self.picture

    def _take(self, mention: Mention, following: Mention | None) -> None:
        kind = mention.kind
        self.placed = self.placed and kind in ("stop", "colour", "count", "noun", "word", "manner")
        if kind in ("asking", "manner", "same", "then"):
            return
        if kind in ("quote", "emoji", "cut", "negation"):
            raise _Stranger
        if kind == "picture":
            self.picture.still = True
        elif kind == "stop":
            if mention.text.lower() not in LOOSE | PLACED and following is not None and following.kind == "word":
                raise _Stranger
            if mention.text.lower() in PLACED:
                self.placed = not self._asked(mention)
        elif kind == "join":
            self.link = "with" if mention.key == "with" else "and"
        elif kind in ("noun", "word"):
            self._name(mention, following)
        elif kind in ("count", "colour"):
            self._attribute(mention)
        elif kind in ("the camera", "turn", "camera") or self.filming:
            self._film(mention)
        elif kind in ("travel", "act", "direction"):
            self._do(mention)
        elif kind == "sign":
            self._end_of_clause() if mention.text in ".!?;。！？；" else None
        else:
            self._scenery(mention)

    def _attribute(self, mention: Mention) -> None:
        if mention.kind == "colour":
            if self.colour:
                raise _Stranger
            self.colour = mention.key
        elif self.count is not None or not mention.key.isdigit():
            raise _Stranger
        else:
            self.count = int(mention.key)

    def _name(self, mention: Mention, following: Mention | None) -> None:
        if mention.kind == "word" and following is not None and following.kind in ("noun", "colour"):
            if len(self.adjectives) > 1 or mention.text.lower().endswith("ly"):
                raise _Stranger
            self.adjectives.append(mention.text)
            return
        if self.placed:
            raise _Stranger
        bare = following is not None and following.kind in SCENERY and not PREPOSITION.match(following.text.lower())
        if mention.kind == "word" and bare:
            raise _Stranger  # "an empty road"
        acts = following is not None and following.kind in ("travel", "act", "direction")
        if mention.kind == "word" and (self.chinese or self.picture.clauses or not acts):
            raise _Stranger
        if mention.kind == "word" and not DETERMINED.search(self.prompt[: mention.start]):
            raise _Stranger
        if mention.kind == "noun" and following is not None and following.kind in ("noun", "word"):
            raise _Stranger  # "a toy car garage"
        count = self.count if self.count is not None or not mention.many else 0
        key = mention.key if mention.kind == "noun" else ""
        thing = Thing(key, mention.word or mention.text, count, self.colour, self.adjectives, self.link or "and")
        self.count, self.colour, self.adjectives, self.filming = None, "", [], False
        clauses = self.picture.clauses
        if clauses and not clauses[-1].doings and self.link:
            clauses[-1].things.append(thing)
        elif clauses and key and any(t.key == key and thing.count is None for t in clauses[-1].things):
            pass  # "the dog", once more
        else:
            clauses.append(Clause([thing]))
        self.link = ""

    def _asked(self, stop: Mention) -> bool:
        """Whether "of" belongs to "a video of"."""
        at = self.mentions.index(stop)
        return at > 0 and self.mentions[at - 1].kind in ("asking", "picture")

    def _do(self, mention: Mention) -> None:
        if not self.picture.clauses:
            raise _Stranger
        doings = self.picture.clauses[-1].doings
        last = doings[-1] if doings else None
        if mention.kind == "act":
            if last is None or last.act != mention.key:
                doings.append(Doing(act=mention.key, word=mention.word))
        elif mention.kind == "travel":
            if last is not None and last.direction and not last.travel and not last.act and self.chinese:
                last.travel, last.word = mention.key, mention.word
            else:
                doings.append(Doing(travel=mention.key, word=mention.word))
        elif last is not None and last.travel and not last.direction:
            last.direction = mention.key
        elif last is not None and last.travel and last.direction != mention.key:
            doings.append(Doing(last.travel, mention.key, word=last.word))  # "left, then right"
        elif last is None or last.direction != mention.key:
            doings.append(Doing(direction=mention.key, word=mention.word))

    def _film(self, mention: Mention) -> None:
        camera = self.picture.camera
        if mention.kind == "the camera":
            self._end_of_clause()
            self.filming, self.turn = True, ""
        elif mention.kind == "turn":
            self.filming, self.turn = True, mention.key
        elif mention.kind == "camera":
            self.filming = True
            camera.append(mention.key)
        elif mention.kind == "direction":
            orbits = self.turn == "orbit" and mention.key in ("left", "right")
            camera.append(f"orbit {mention.key}" if orbits else FILMED[mention.key])
        elif mention.kind == "act" and mention.key == "still":
            camera.append("still")
        elif mention.kind == "sign":
            self._end_of_clause() if mention.text in ".!?;。！？；" else None
        elif mention.kind != "travel":
            self.filming = False
            self._scenery(mention)
        if len(camera) > 1 and OPPOSITE.get(camera[-1]) in camera[:-1]:
            raise _Stranger

    def _scenery(self, mention: Mention) -> None:
        kind = mention.kind
        if kind not in SCENERY:
            raise _Stranger
        if getattr(self.picture, kind) not in ("", mention.key):
            raise _Stranger
        setattr(self.picture, kind, mention.key)
        self.picture.words.setdefault(kind, mention.word)

    def _end_of_clause(self) -> None:
        """What was said of nothing yet is said of what was named last: "the car is red"."""
        self.filming, self.turn = False, ""
        if self.adjectives or self.count is not None:
            raise _Stranger
        if self.colour:
            things = self.picture.clauses[-1].things if self.picture.clauses else []
            if not things or things[-1].colour:
                raise _Stranger
            things[-1].colour, self.colour = self.colour, ""


def part_negatives(prompt: str) -> tuple[str, list[str]]:
    """Part a prompt into what shall be seen and what shall not: "a beach without people" gives "a beach", ["people"].

    Only plain denials of things are parted ("no", "without", 没有 ...); "does not" stays where it is.
    """
    mentions, negatives, kept, at = scan(prompt), [], [], 0
    last = 0
    while at < len(mentions):
        mention = mentions[at]
        at += 1
        if mention.kind != "negation" or mention.key not in PARTED:
            continue
        run: list[Mention] = []
        while at < len(mentions) and (mentions[at].kind in ("noun", "word", "colour") or _goes_on(mentions, at, run)):
            run.append(mentions[at])
            at += 1
        if not run:
            continue
        things = [m for m in run if m.kind not in BETWEEN]
        negatives += _phrases(run, prompt) if things else []
        kept.append(prompt[last : mention.start])
        last = run[-1].end
    text = "".join([*kept, prompt[last:]])
    text = re.sub(r"\b(?:there (?:is|are)|and|but|with|,)\s*(?=[,.;]|$)", "", re.sub(r"\s+", " ", text), flags=re.I)
    text = re.sub(r"\s+(?=[,.;!?])", "", re.sub(r"(?<=[,，;；])\s*[,，;；.。]+", "", text))
    return text.strip(" ,，;；:："), negatives


PARTED = frozenset({"no", "neither", "without", "with no", "instead of", "rather than", "free of", "avoid", "exclude",
                    "not any", "no more", "没有", "不要", "无", "不带", "不出现", "避免", "不含", "不能有",
                    "不能出现"})  # fmt: skip


BETWEEN = ("join", "stop", "sign", "negation")  # the things of a denial


def _goes_on(mentions: list[Mention], at: int, run: list[Mention]) -> bool:
    """Whether "or", "and" or 或 goes on with what shall not be."""
    mention = mentions[at]
    joins = mention.text.lower() in ("or", "nor", "或", "和", "、")
    return joins and bool(run) and at + 1 < len(mentions) and mentions[at + 1].kind in ("noun", "word")


def _phrases(run: list[Mention], prompt: str) -> list[str]:
    """The things of a run, each with the words before it."""
    phrases: list[list[Mention]] = [[]]
    for mention in run:
        if mention.kind in BETWEEN:
            phrases.append([])
        else:
            phrases[-1].append(mention)
    return [prompt[phrase[0].start : phrase[-1].end] for phrase in phrases if phrase]
