# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the captions of the scene world back into facts, by a table of every wording and where it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from itertools import product

from comfyui_spacetime.language.english import article, plural
from comfyui_spacetime.models.text import WORDS
from comfyui_spacetime.training.scenes.words import kinds
from comfyui_spacetime.training.scenes.words.say_en import INVERSE, _place_noun, inflect

Fact = tuple[str, str]
Table = dict[tuple[str, ...], tuple[Fact, ...]]

FILLERS_EN = """
a an the video clip animation picture image of in which that shows we see there is are they them it its where with while
and then first after for camera shot next other same those cut to : , . ; ! ?
"""
FILLERS_ZH = "， 。 ： ； ？ ！ 在 有 里 中 的 画面中 可以看到 同时 镜头 然后 先 接着 再 之后 一段 视频 短片 动画 还是"
FILLERS = {"en": FILLERS_EN.split(), "zh": FILLERS_ZH.split()}
CUTS = {
    "en": [
        "cut to",
        "then cut to",
        "next shot",
        "in the next shot",
        "the next shot",
        "after a cut",
        "cut",
        "then a cut",
    ],
    "zh": ["切换到", "接着切到", "下一个镜头", "下一个镜头中", "然后画面切换", "切镜后"],
}
PRONOUNS = {"en": ["it", "they", "them", "the", "that", "those"], "zh": ["它", "它们", "他们"]}
NUMBERS_EN = ("one", "two", "three", "four", "five")
NUMBERS_ZH = ("一", "两", "三", "四", "五")
TURNED = {inverse: relation for relation, inverse in INVERSE.items() if inverse not in INVERSE}


def fill(phrase: str, **slots: list[str]) -> list[str]:
    """The phrase with every choice for its slots."""
    names = [n for n in slots if f"{{{n}}}" in phrase]
    return [phrase.format(**dict(zip(names, choice, strict=True))) for choice in product(*(slots[n] for n in names))]


def tokens(text: str, language: str) -> tuple[str, ...]:
    return tuple(WORDS.findall(text.lower())) if language == "en" else tuple(text)


@dataclass
class Words:
    """The table of a language while it is filled; a phrase of two meanings is noted."""

    language: str
    held: bool = False  # whether the held-out wordings are in it, too
    table: Table = field(default_factory=dict)
    doubles: set[str] = field(default_factory=set)

    def said(self, entry: dict, name: str) -> list[str]:
        """The wordings of a field."""
        return [
            *entry.get(name, ()),
            *entry.get(f"{name}_own", ()),
            *(entry.get(f"{name}_held", ()) if self.held else ()),
        ]

    def add(self, phrase: str, *facts: Fact) -> None:
        key = tokens(phrase.strip(" ，,"), self.language)
        if self.table.setdefault(key, facts) != facts:
            self.doubles.add(phrase)

    def add_verbs(self, phrase: str, *facts: Fact) -> None:
        forms = ("third", "base", "ing") if self.language == "en" else ("",)
        for form in forms:
            self.add(inflect(phrase, form) if form else phrase, *facts)


@cache
def words(language: str, held: bool = False) -> Words:
    """Every wording of a language and what it says; with ``held`` those of the evaluation, too."""
    made, data = Words(language, held), kinds()
    _things(made, data, language)
    _scenery(made, data, language)
    _doings(made, data, language)
    return made


def _things(made: Words, data: dict, language: str) -> None:
    for key, entry in data["nouns"].items():
        for name in made.said(entry, language):
            made.add(name, ("noun", key))
            if language == "en":
                made.add(plural(name), ("noun", key))
    for key, entry in data["colours"].items():
        for name in made.said(entry, language):
            made.add(name, ("colour", key))
    measures = sorted({m for entry in data["nouns"].values() for m in entry["measure"]})
    for key, entry in data["counts"].items():
        for number in dict.fromkeys(made.said(entry, language)):
            for measure in measures if language == "zh" else [""]:
                made.add(number + measure, ("count", key))
    if language == "en":
        made.add("an", ("count", "1"))
        made.add("another", ("count", "1"))
        made.add("the camera")
        made.add("camera:")
    else:
        for i, number in enumerate(NUMBERS_ZH, 1):
            for measure in measures:
                made.add(f"另外{number}{measure}", ("count", str(i)))
                for this in "这那":
                    made.add(f"{this}{number}{measure}", ("ref", ""))
                    made.add(f"{this}{measure}", ("ref", ""))
    for pronoun in PRONOUNS[language]:
        made.add(pronoun, ("ref", ""))
    for cut in CUTS[language]:
        made.add(cut, ("cut", ""))
    for key, entry in data["relations"].items():
        for phrase in made.said(entry, language):
            made.add(phrase.removeprefix("在").replace("{them}", ""), ("relation", key))


def _scenery(made: Words, data: dict, language: str) -> None:
    for key, entry in data["places"].items():
        for phrase in made.said(entry, language):
            made.add(phrase, ("place", key))
            made.add(_place_noun(phrase) if language == "en" else phrase.removeprefix("在"), ("place", key))
    for kind in ("lights", "weathers"):
        for key, entry in data[kind].items():
            for phrase in [*made.said(entry, language), *made.said(entry, f"{language}_in")]:
                made.add(phrase, (kind, key))
    for (sky, weather), (light, hour) in product(data["weathers"].items(), data["lights"].items()):
        for adjective, noun in product(weather[f"{language}_adj"], hour[f"{language}_noun"]):
            phrase = f"on {article(adjective)} {adjective} {noun}" if language == "en" else adjective + noun
            made.add(phrase, ("weathers", sky), ("lights", light))
    media = [m for kind in ("medium", "picture") for m in made.said(data["frames"][kind], language)]
    for key, entry in data["looks"].items():
        for phrase in made.said(entry, f"{language}_in"):
            made.add(phrase, ("look", key))
        for phrase in made.said(entry, f"{language}_of"):
            for medium in media:
                made.add(phrase.format(m=medium), ("look", key))
    for key, entry in data["facings"].items():
        for phrase in made.said(entry, language):
            made.add(phrase, ("facing", key))
    for key, entry in data["cameras"].items():
        for phrase in made.said(entry, language):
            made.add_verbs(phrase.replace("{it}", ""), ("camera", key))
        for phrase in made.said(entry, f"{language}_noun"):
            made.add(phrase, ("camera", key))


def _doings(made: Words, data: dict, language: str) -> None:
    verbs = sorted({v for entry in data["verbs"].values() for v in made.said(entry, language)} | {"float"})
    slots = {"go": verbs, "rise": verbs, "it": ["it"], "is": ["is"], "its": ["its"]}
    many = slots | {"it": ["they"], "is": ["are"], "its": ["their"]}
    for key, entry in data["motions"].items():
        for phrase in made.said(entry, language):
            for filled in {*fill(phrase, **slots), *fill(phrase, **many)}:
                made.add_verbs(filled, ("motion", key))
    colours = {c: k for k, entry in data["colours"].items() for c in made.said(entry, language)}
    props = {p: k for k, entry in data["props"].items() for p in made.said(entry, language)}
    sides = {s: k for k, entry in data["sides"].items() for s in made.said(entry, language)}
    headings = {s: k for k, entry in data["headings"].items() for s in made.said(entry, language)}
    strokes, bites = _amounts(language, colours)
    for key, entry in data["events"].items():
        for phrase in made.said(entry, language):
            phrase = phrase.replace("{motion}", "").strip(" ，,")
            choices = slots | {"it": ["it", "them"], "prop": list(props), "on": list(sides), "way": list(headings)}
            choices |= {"strokes": list(strokes), "bites": list(bites), "its": ["its", "their"]}
            names = [n for n in choices if f"{{{n}}}" in phrase]
            for choice in product(*(choices[n] for n in names)):
                given = dict(zip(names, choice, strict=True))
                more = [("prop", props[given["prop"]])] if "prop" in given else []
                more += [("motion", sides[given["on"]])] if "on" in given else []
                more += [("motion", headings[given["way"]])] if "way" in given else []
                more += strokes.get(given.get("strokes", ""), []) + bites.get(given.get("bites", ""), [])
                made.add_verbs(phrase.format(**given), ("event", key), *more)


def _amounts(language: str, colours: dict[str, str]) -> tuple[dict[str, list[Fact]], dict[str, list[Fact]]]:
    """ "two blue strokes" and "two bites" with their facts."""
    strokes: dict[str, list[Fact]] = {}
    bites: dict[str, list[Fact]] = {}
    for n in range(1, 6):
        for number in ((NUMBERS_EN if language == "en" else NUMBERS_ZH)[n - 1], str(n)):
            plural_s = "s" * (n > 1)
            if language == "en":
                bites[f"{number} bite{plural_s}"] = [("event count", str(n))]
            else:
                bites[f"{number}口"] = [("event count", str(n))]
            bare = [("event count", str(n))]  # where the colour is left out
            names = (f"{number} stroke{plural_s}", f"{number} brushstroke{plural_s}", f"{number}笔", f"{number}道笔触")
            strokes |= dict.fromkeys(names[:2] if language == "en" else names[2:], bare)
            for colour in colours:
                facts = [("event count", str(n)), ("event colour", colours[colour])]
                if language == "en":
                    for stroke in ("stroke", "brushstroke"):
                        strokes[f"{number} {colour} {stroke}{plural_s}"] = facts
                else:
                    strokes[f"{number}道{colour}笔触"] = strokes[f"{number}笔{colour}"] = facts
    return strokes, bites


@dataclass
class ReadActor:
    noun: str
    count: str
    colour: str | None = None
    motions: list[str] = field(default_factory=list)
    relation: str | None = None
    facing: str | None = None


@dataclass
class ReadShot:
    actors: list[ReadActor] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    camera: list[str] = field(default_factory=list)


@cache
def known(language: str, held: bool) -> tuple[Table, set[tuple[str, ...]], int]:
    """The table, the words that say nothing, and the length of the longest phrase."""
    table = words(language, held).table
    return table, {tokens(f, language) for f in FILLERS[language]}, max(map(len, table))


def matches(text: str, language: str, held: bool = False) -> tuple[list[tuple[str, tuple[Fact, ...]]], list[str]]:
    """The text as phrases with their facts, longest first from left to right; and the words that nothing explains."""
    table, fillers, longest = known(language, held)
    row, found, unknown = tokens(text, language), [], []
    at = 0
    while at < len(row):
        for size in range(min(longest, len(row) - at), 0, -1):
            key = row[at : at + size]
            if key in table or key in fillers:
                found.append(((" " if language == "en" else "").join(key), table.get(key, ())))
                break
        else:
            size = 1
            unknown.append(row[at])
        at += size
    return found, unknown


def read(text: str, language: str) -> tuple[list[ReadShot], str, list[str]]:
    """The shots and the look that a caption tells of, and the words that say nothing known."""
    found, unknown = matches(text, language)
    reader = Reader()
    flat = [(phrase, fact) for phrase, facts in found for fact in (facts or (("", phrase),))]
    for i, (phrase, fact) in enumerate(flat):
        following = [f[0] for _, f in flat[i + 1 : i + 3]]
        reader.take(phrase, fact, following)
    return reader.shots, reader.look, unknown


class Reader:
    """Goes through a caption phrase by phrase and keeps who is spoken of."""

    def __init__(self) -> None:
        self.shots, self.look = [ReadShot()], "natural"
        self.count: str | None = None
        self.colour: str | None = None
        self.facing: str | None = None
        self.relation: str | None = None  # said, and not yet of anybody
        self.actor: ReadActor | None = None
        self.just_named = False
        self.turned = False  # the relation is that of the first noun to the one named next

    def take(self, phrase: str, fact: Fact, following: list[str]) -> None:
        kind, value = fact
        shot = self.shots[-1]
        named = False
        if phrase == "orange" and following[:1] == ["noun"]:
            kind, value = "colour", "orange"
        if kind == "cut":
            self.shots.append(ReadShot())
            self.actor = self.relation = self.count = self.colour = self.facing = None
        elif kind == "count":
            self.count = value
        elif kind == "colour":
            self.colour = value
        elif kind == "noun":
            named = self.name(value, shot)
        elif kind == "ref":
            self.count = self.colour = None
            if not shot.actors and "noun" not in following and len(self.shots) > 1:
                self.again(shot)
        elif kind == "relation":
            self.relation = value
            if self.just_named and self.actor is not None and len(shot.actors) > 1:
                self.actor.relation, self.relation = value, None
            self.turned = self.just_named and len(shot.actors) == 1 and following[:1] in (["count"], ["colour"])
        elif kind == "motion":
            assert self.actor is not None, f"{phrase}: of whom?"
            self.actor.motions.append(value)
        elif kind == "facing":
            if self.just_named and self.actor is not None:
                self.actor.facing = value
            else:
                self.facing = value
        elif kind == "camera":
            shot.camera.append(value)
        elif kind == "look":
            self.look = value
        elif kind:
            shot.facts[kind] = value
        if kind or phrase in ",.;:，。；：":
            self.just_named = named or (self.just_named and kind in ("ref", "facing"))

    def again(self, shot: ReadShot) -> None:
        """The character of the shot before."""
        old = self.shots[-2].actors[0]
        self.actor = ReadActor(old.noun, old.count, old.colour)
        shot.actors.append(self.actor)

    def name(self, noun: str, shot: ReadShot) -> bool:
        """A new noun with its count, or one known already; tells whether it is spoken of from now on."""
        if self.count is None:
            if not shot.actors and len(self.shots) > 1:
                assert self.shots[-2].actors[0].noun == noun
                self.again(shot)
                return True
            return self.just_named
        new = ReadActor(noun, self.count, self.colour, facing=self.facing)
        beside = self.relation
        self.count = self.colour = self.facing = self.relation = None
        if beside is not None and self.turned:  # "a dog in front of a chair": the relation turned round is the chair's
            self.turned = False
            new.relation = TURNED.get(beside) or INVERSE[beside]
            shot.actors.append(new)
            return False
        new.relation = beside
        shot.actors.append(new)
        self.actor = new
        return True
