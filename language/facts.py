# SPDX-License-Identifier: GPL-3.0-or-later
"""What a prompt demands and whether a text keeps it: things, numbers, colours, directions, quotations, denials.

A fact is bound to what it is said of: "a red cube and a blue ball" demands another picture than "a blue cube and a red
ball", and a camera that pans left is not a dog that walks left.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache

from .lexicon import Mention, scan
from .tokens import is_chinese

PLAIN = frozenset({"noun", "place", "light", "weather", "look", "act", "travel", "word", "emoji"})
DENIED = frozenset(
    {"noun", "word", "travel", "act", "direction", "place", "colour", "weather", "light", "look", "camera"}
)  # after "no"
OPPOSITE = {"left": "right", "right": "left", "up": "down", "down": "up", "closer": "away", "away": "closer",
            "pan left": "pan right", "pan right": "pan left", "tilt up": "tilt down", "tilt down": "tilt up",
            "zoom in": "zoom out", "zoom out": "zoom in", "orbit left": "orbit right",
            "orbit right": "orbit left"}  # fmt: skip
FILMED = {"left": "pan left", "right": "pan right", "up": "tilt up", "down": "tilt down", "closer": "zoom in",
          "away": "zoom out"}  # fmt: skip
HIGHEST_ARTICLE = 1  # "one dog" asks for no more than "a dog"


@dataclass(frozen=True)
class Fact:
    """Something a text says. ``of`` is what it is said of (keys of nouns, stems of words), ``text`` is its wording.

    ``head`` is what was named last before it, ``start`` where the wording stands; neither makes another fact of it.
    """

    kind: str
    key: str
    of: frozenset[str] = frozenset()
    text: str = field(default="", compare=False)
    head: frozenset[str] = field(default=frozenset(), compare=False)
    start: int = field(default=-1, compare=False)

    @property
    def end(self) -> int:
        """Where the wording ends."""
        return self.start + len(self.text)

    def __str__(self) -> str:
        return self.text or self.key


@dataclass(frozen=True)
class Verdict:
    """How a text stands to a prompt: facts it lost, facts it turned round, and words that could not be compared."""

    lost: tuple[Fact, ...] = ()
    turned: tuple[Fact, ...] = ()
    unchecked: tuple[str, ...] = ()
    demanded: int = 0

    @property
    def faithful(self) -> bool:
        """Whether nothing is lost and nothing turned round."""
        return not self.lost and not self.turned

    def __str__(self) -> str:
        parts = []
        if self.lost:
            parts.append("lost " + ", ".join(f'"{fact}"' for fact in self.lost))
        if self.turned:
            parts.append("says " + ", ".join(f'"{fact}"' for fact in self.turned) + " against the prompt")
        return " and ".join(parts) or "nothing is lost"


@lru_cache(maxsize=256)
def facts(text: str) -> tuple[Fact, ...]:
    """Return what a text says, in order."""
    return tuple(_Finder(scan(text)).find())


class _Finder:
    """Goes through the mentions and binds what belongs together."""

    def __init__(self, mentions: list[Mention]) -> None:
        self.mentions = mentions
        self.found: list[Fact] = []
        self.pending: list[Mention] = []  # numbers and colours that wait for what they are said of
        self.head: frozenset[str] = frozenset()  # what was named last
        self.filming = False  # whether the camera is spoken of
        self.turn = ""  # a camera verb that waits for its direction
        self.denied = False
        self.was_denied = False  # whether the thing before was: "or" goes on with it
        self.stays = False  # whether a way of going was denied, or where: so is the rest of it

    def find(self) -> list[Fact]:
        """Return all facts."""
        at = 0
        while at < len(self.mentions):
            mention = self.mentions[at]
            if mention.kind in ("noun", "word", "emoji"):
                at += self._name(at)
                continue
            self._take(mention)
            at += 1
        self._settle(self.head)
        return self.found

    def _name(self, at: int) -> int:
        """A run of words and nouns: what waits is said of them. Returns how many mentions it takes."""
        run = [self.mentions[at]]
        while at + len(run) < len(self.mentions):
            following = self.mentions[at + len(run)]
            if following.kind not in ("noun", "word", "emoji") or run[-1].kind == "noun":
                break
            run.append(following)
        self.head = frozenset(mention.key for mention in run)
        self._settle(self.head)
        denied = self.denied
        for mention in run:
            self.denied = denied
            if mention.kind != "word" or not _is_manner(mention):
                self._add(mention.kind if mention.kind != "emoji" else "word", mention.key, mention)
        self.denied = denied
        self.filming, self.turn, self.was_denied, self.denied = False, "", self.denied, False
        return len(run)

    def _take(self, mention: Mention) -> None:
        kind, key = mention.kind, mention.key
        self.stays = self.stays and kind in ("travel", "direction", "manner", "stop")
        self.denied = self.denied or (self.stays and kind in ("travel", "direction"))
        if kind in ("count", "colour"):
            if self.denied and kind == "colour":
                self._add("colour", key, mention)
                return
            self.pending.append(mention)
        elif kind == "quote":
            self.found.append(Fact("quote", mention.text[1:-1].strip(), text=mention.text))
        elif kind == "the camera":
            self._settle(self.head)
            self.filming, self.turn = True, ""
        elif kind == "turn":
            self.turn, self.filming = key, True
        elif kind == "camera":
            self.filming = True
            self._add("camera", key, mention)
        elif kind == "direction":
            self._add(*self._course(key), mention)
        elif kind == "negation" or (mention.text.lower() in ("or", "nor", "或") and self.was_denied):
            self._settle(self.head)
            self.denied = True
        elif kind in ("travel", "act"):
            self._settle(self.head)
            if not self.filming:
                self._add(kind, key, mention)
        elif kind in PLAIN:
            self._settle(self.head)
            self._add(kind, key, mention)
        elif kind in ("sign", "cut") and mention.text not in ",'，、":
            self._settle(self.head)
            self.filming, self.turn, self.denied = False, "", False

    def _course(self, key: str) -> tuple[str, str]:
        """A direction is the camera's where the camera is spoken of."""
        if not self.filming:
            return "direction", key
        if self.turn == "orbit" and key in ("left", "right"):
            return "camera", f"orbit {key}"
        return "camera", FILMED[key]

    def _add(self, kind: str, key: str, mention: Mention) -> None:
        denied = self.denied and kind in DENIED
        of = self.head if kind == "direction" else frozenset()
        fact = Fact(f"no {kind}" if denied else kind, key, of, mention.text, self.head, mention.start)
        self.found.append(fact)
        if denied and kind not in ("noun", "word", "colour"):
            self.denied = False
            self.stays = kind in ("travel", "act", "direction", "place")

    def _settle(self, head: frozenset[str]) -> None:
        """Bind what waits."""
        for mention in self.pending:
            if mention.kind == "count" and mention.key == str(HIGHEST_ARTICLE):
                continue
            self.found.append(Fact(mention.kind, _number(mention.key), head, mention.text, head, mention.start))
        self.pending = []


def _number(key: str) -> str:
    return key.replace(",", "") if re.fullmatch(r"\d{1,3}(,\d{3})+", key) else key


def _is_manner(mention: Mention) -> bool:
    return mention.text.lower().endswith("ly") and len(mention.text) > 4


def check(prompt: str, text: str, negative: str = "") -> Verdict:
    """Compare a text, and the negative prompt beside it, with the prompt it was made of."""
    demanded = list(dict.fromkeys(facts(prompt)))
    said, avoided = set(facts(text)), {fact.key for fact in facts(negative)}
    wording, foreign = _plain(text), is_chinese(prompt) != is_chinese(text)
    lost, unchecked = [], []
    courses = {fact.key for fact in demanded if fact.kind == "direction"}
    for fact in demanded:
        if fact.kind == "direction" and OPPOSITE[fact.key] not in courses:
            fact = replace(fact, of=frozenset())  # one thing goes one way: no matter after which word it is said
        if _kept(fact, said, avoided, wording):
            continue
        if foreign and fact.kind.endswith("word") and not fact.text.isdigit() and _translatable(fact.text, prompt):
            unchecked.append(fact.text)
        else:
            lost.append(fact)
    turned = [fact for fact in said if _turned(fact, demanded)]
    return Verdict(tuple(lost), tuple(sorted(turned, key=str)), tuple(unchecked), len(demanded))


def _translatable(word: str, prompt: str) -> bool:
    """Whether a word is in the prompt's own language, so that another language has another word for it."""
    return is_chinese(word) or not is_chinese(prompt)


def _plain(text: str) -> str:
    return " ".join(text.lower().replace("’", "'").split())


def _kept(fact: Fact, said: set[Fact], avoided: set[str], wording: str) -> bool:
    if fact.kind == "quote":
        return _plain(fact.key) in wording
    if fact.kind.startswith("no "):
        plain = replace(fact, kind=fact.kind.removeprefix("no "))
        affirmed = any((other.kind, other.key) == (plain.kind, plain.key) for other in said)
        denied = any((other.kind, other.key) == (fact.kind, fact.key) for other in said)
        return denied or (fact.key in avoided and not affirmed)
    same = [other for other in said if (other.kind, other.key) == (fact.kind, fact.key)]
    if fact.kind in ("count", "colour", "direction"):
        return any(not fact.of or not other.of or fact.of & other.of for other in same)
    if same:
        return True
    if fact.kind == "travel":
        moving = {other.key for other in said if other.kind in ("travel", "direction")}
        return bool(moving) and fact.key == "move"
    if fact.kind == "noun":
        return any(other.kind == "word" and other.key == fact.key for other in said) or _written(fact.text, wording)
    return fact.kind in PLAIN and _written(fact.text, wording)


def _written(word: str, wording: str) -> bool:
    """Whether a word stands in a text as it is."""
    word = _plain(word)
    if is_chinese(word):
        return word in wording
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", wording) is not None


def _turned(fact: Fact, demanded: Iterable[Fact]) -> bool:
    """Whether a fact is against one that is demanded: another number of a thing, the other direction."""
    if fact.kind == "count" and fact.of:
        asked = {other.key for other in demanded if other.kind == "count" and fact.of & other.of}
        return bool(asked) and fact.key not in asked
    if fact.kind not in ("direction", "camera") or fact.key not in OPPOSITE:
        return False
    asked = {other.key for other in demanded if other.kind == fact.kind}
    return OPPOSITE[fact.key] in asked and fact.key not in asked
