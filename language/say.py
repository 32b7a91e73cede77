# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture said in the words of a world, as its captions say it; what is left open is drawn from the seed."""

from __future__ import annotations

import re
from dataclasses import replace
from random import Random

from .english import article, gerund, plural, third_person
from .lexicon import synonyms
from .picture import Clause, Doing, Picture, Thing
from .world import World

NUMBERS = ("", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
NUMBERS_ZH = ("", "一", "两", "三", "四", "五", "六", "七", "八", "九", "十")
GAIT_MOTIONS = {"none": ("still", "sway", "spin"), "roll": ("roll right", "roll left", "jump"),
                "fly": ("right", "left", "up", "closer")}  # fmt: skip
COURSES = {"left": "to the left", "right": "to the right", "up": "upwards", "down": "downwards",
           "closer": "towards us", "away": "away"}  # fmt: skip
AIRY = ("fly", "float", "drift", "flutter")  # verbs that also go up and down
LITTLE = frozenset({"to", "the", "in", "into", "from", "of", "and"})
COURSES_ZH = {"left": "向左", "right": "向右", "up": "向上", "down": "向下", "closer": "朝我们", "away": "向远处"}


class Said:
    """One picture in one language.

    ``draw`` says how much of what is open is drawn from the seed: 0 nothing, 1 who, what and where, 2 light and camera,
    too.
    """

    def __init__(self, spoken: World, picture: Picture, seed: str, language: str, draw: int = 2) -> None:
        self.world, self.picture, self.seed, self.language, self.draw = spoken, picture, seed, language, draw

    def rng(self, slot: str) -> Random:
        """A generator for one decision, so that none depends on how many were made before it."""
        return Random(f"{self.seed} {slot}")

    def text(self) -> str:
        """The caption."""
        self.picture = self._completed() if self.draw else self.picture
        return self._english() if self.language == "en" else self._chinese()

    # what is left open

    def _completed(self) -> Picture:
        picture, spoken = replace(self.picture), self.world
        if not picture.clauses and not picture.place:
            noun = self.rng("noun").choice(spoken.keys("nouns"))
            picture.clauses = [Clause([Thing(noun, "")])]
        if not picture.still:
            picture.clauses = [self._moving(clause, i) for i, clause in enumerate(picture.clauses)]
            if not picture.camera and self.draw > 1:
                sideways = any(d.direction in ("left", "right") for c in picture.clauses for d in c.doings)
                # a pan would hide which way something goes
                wrong = ("pan", "orbit", "follow", "handheld") if sideways else ("follow", "handheld")
                moves = [move for move in spoken.keys("cameras") if not move.startswith(wrong)]
                camera = self.rng("camera").choice(["still"] * (len(moves) - 1) + moves)
                picture.camera = [camera]
        if not picture.light and self.draw > 1:
            lights = spoken.keys("lights")
            picture.light = self.rng("light").choice([*["day"] * len(lights), *lights])
        if not picture.place:
            picture.place = self.rng("place").choice(spoken.keys("places"))
        return picture

    def _moving(self, clause: Clause, number: int) -> Clause:
        """A clause in which something is done, if the world knows who does it."""
        rng = self.rng(f"motion {number}")
        if not clause.doings and clause.things[0].key in self.world.words["nouns"]:
            gait = self.world.gaits.get(clause.things[0].key, "walk")
            motions = GAIT_MOTIONS.get(gait, ("right", "left", "right", "left", "jump", "closer"))
            motion = rng.choice([m for m in motions if m in self.world.keys("motions")])
            return Clause(clause.things, [_as_doing(motion)])
        doings = [
            replace(doing, direction=rng.choice(("right", "left"))) if doing.travel and not doing.direction else doing
            for doing in clause.doings
        ]
        return Clause(clause.things, doings)

    # English

    def _english(self) -> str:
        picture = self.picture
        place, sky = self._where("en"), self._sky("en")
        parts = []
        for i, clause in enumerate(picture.clauses):
            things = self._things_en(clause)
            doings = ", then ".join(self._do_en(doing, clause, "third") for doing in clause.doings)
            here = f"{place} {sky}" if i == 0 else ""
            late = len(clause.doings) > 1 or not clause.doings
            parts.append(f"{things} {here} {doings}" if late else f"{things} {doings} {here}")
        text = ", and ".join(parts) or f"{place} {sky}"
        if picture.look:
            plain = f"in {picture.words.get('look', picture.look)} style".replace("style style", "style")
            text += f", {self._kept('look', self.world.wordings('looks', picture.look, 'en_in') or (plain,))}"
        filmed = ", then ".join(self._filmed_en(move, i) for i, move in enumerate(picture.camera))
        text = _tidy(f"{text}, {filmed}" if filmed else text)
        return text[:1].upper() + text[1:] + "."

    def _things_en(self, clause: Clause) -> str:
        text = ""
        for i, thing in enumerate(clause.things):
            text += f" {thing.link} " * bool(i) + self._thing_en(thing)
        return text

    def _thing_en(self, thing: Thing) -> str:
        names = self.world.wordings("nouns", thing.key, "en")
        name = thing.word if thing.word in names or not names else names[0]
        colours = self.world.wordings("colours", thing.colour, "en") or (thing.colour,)
        words = [*thing.adjectives, colours[0]]
        many = thing.count is not None and thing.count != 1
        phrase = " ".join(word for word in [*words, plural(name) if many else name] if word)
        if thing.count is None or thing.count == 1:
            return f"{article(phrase)} {phrase}"
        number = NUMBERS[thing.count] if thing.count < len(NUMBERS) else str(thing.count)
        return f"{number} {phrase}".strip()

    def _do_en(self, doing: Doing, clause: Clause, form: str) -> str:
        """What is done as a verb that agrees with who does it."""
        subjects = [thing for thing in clause.things if thing.link == "and"] or clause.things
        many = len(subjects) > 1 or subjects[0].count not in (None, 1)
        phrase = self._phrase_en(doing, clause.things[0])
        they, its = ("they", "their") if many else ("it", "its")
        phrase = phrase.format(it=they, its=its, **{"is": "are" if many else "is"})
        verbs = re.sub(r"\*(\w+)", lambda found: found[1] if many else third_person(found[1]), phrase)
        return re.sub(r"\*(\w+)", lambda found: gerund(found[1]), verbs) if form == "ing" else verbs

    def _phrase_en(self, doing: Doing, thing: Thing) -> str:
        """The wording of a doing, its verb marked with a star."""
        rng = self.rng(f"words {doing}")
        own = self._verbs(thing, "en")
        go = own[0] if not doing.travel or doing.travel == "move" else doing.travel
        if doing.travel and doing.direction:
            options = [p for p in self.world.wordings("motions", doing.direction, "en") if "{go}" in p]
            phrase = options[0] if options else "*{go} " + COURSES[doing.direction]
            return phrase.replace("{go}", go)
        if doing.travel:
            return f"*{go}"
        key = doing.direction or doing.act
        options = list(self.world.wordings("motions", key, "en"))
        if not options:
            first, _, rest = doing.word.partition(" ")
            verb = first if doing.word.isascii() else key
            return f"*{verb} {rest}".strip()
        one = options[0] if key in COURSES and "{go}" in options[0] else rng.choice(options[:2])
        airy = go if go in AIRY else "move"
        return (_named(options, doing.word) or one).replace("{go}", go).replace("{rise}", airy)

    def _verbs(self, thing: Thing, language: str) -> tuple[str, ...]:
        """How a thing gets about; what the world does not know walks."""
        return self.world.wordings("verbs", self.world.gaits.get(thing.key, "walk"), language)

    def _filmed_en(self, move: str, number: int) -> str:
        verbs = self.world.wordings("cameras", move, "en")
        if not verbs:
            return f"{article(move)} {move}" if " " in move or "-" in move else f"{move} shot"
        verb = self.rng(f"camera words {number}").choice(verbs[:2]).replace("{it}", "it")
        return ("" if number else "the camera ") + re.sub(r"\*(\w+)", lambda found: third_person(found[1]), verb)

    # Chinese

    def _chinese(self) -> str:
        picture = self.picture
        place, sky = self._where("zh"), self._sky("zh")
        parts = []
        for i, clause in enumerate(picture.clauses):
            things = "和".join(self._thing_zh(thing) for thing in clause.things)
            doings = "，然后".join(self._phrase_zh(doing, clause.things[0]) for doing in clause.doings)
            here = place if i == 0 else ""
            parts.append(f"{things}{here}{doings}" if doings or not here else f"{here.removeprefix('在')}有{things}")
        said = [sky, *(parts or [place.removeprefix("在")])]
        text = "，".join(part for part in said if part)
        if picture.look:
            text += "，" + self._kept("look", self.world.wordings("looks", picture.look, "zh_in") or (picture.look,))
        filmed = "，然后".join(self._filmed_zh(move) for move in picture.camera)
        text = f"{text}，{filmed}" if filmed and text else text or filmed
        return text + "。"

    def _thing_zh(self, thing: Thing) -> str:
        names = self.world.wordings("nouns", thing.key, "zh")
        name = thing.word if thing.word in names or not names else names[0]
        other = synonyms()["colours"].get(thing.colour, {}).get("zh", [thing.colour]) if thing.colour else ()
        colours = self.world.wordings("colours", thing.colour, "zh") or other
        colour = f"{colours[0]}的" if colours else ""
        adjectives = "".join(f"{word}的" for word in thing.adjectives)
        measure = (*self.world.wordings("nouns", thing.key, "measure"), "个")[0]
        if thing.count == 0:
            return f"一些{adjectives}{colour}{name}"
        count = thing.count or 1
        return f"{_zh_number(count)}{measure}{adjectives}{colour}{name}"

    def _phrase_zh(self, doing: Doing, thing: Thing) -> str:
        rng = self.rng(f"words {doing}")
        own = self._verbs(thing, "zh")
        spoken = synonyms()["travel"].get(doing.travel, {}).get("zh", own)
        go = own[0] if not doing.travel or doing.travel == "move" else spoken[0]
        if doing.travel and doing.direction:
            options = [p for p in self.world.wordings("motions", doing.direction, "zh") if p.endswith("{go}")]
            return options[0].format(go=go) if options else COURSES_ZH[doing.direction] + go
        if doing.travel:
            return go
        key = doing.direction or doing.act
        options = list(self.world.wordings("motions", key, "zh"))
        if options:
            return (options[0] if key in COURSES else rng.choice(options[:2])).replace("{go}", go)
        return synonyms()["acts"].get(key, {}).get("zh", [doing.word])[0]

    def _filmed_zh(self, move: str) -> str:
        wordings = self.world.wordings("cameras", move, "zh") or tuple(
            synonyms()["cameras"].get(move, {}).get("zh", (move,))
        )
        first = wordings[0]
        return first if re.search("镜头|拍|景|写|角", first) else f"镜头{first}"

    # both

    def _where(self, language: str) -> str:
        place = self.picture.place
        if not place:
            return ""
        return self._kept("place", self.world.wordings("places", place, language) or (place,))

    def _sky(self, language: str) -> str:
        """Light and weather."""
        said = []
        for kind in ("light", "weather"):
            key = getattr(self.picture, kind)
            if not key:
                continue
            inside = kind == "weather" and self.picture.place in self.world.indoors
            field = f"{language}_in" if inside else language
            said.append(self._kept(kind, self.world.wordings(f"{kind}s", key, field) or (key,)))
        return (" " if language == "en" else "，").join(said)

    def _kept(self, kind: str, options: tuple[str, ...]) -> str:
        """The wording that the prompt has, or one with its main word, if the world has it; else one of the seed."""
        word = self.picture.words.get(kind, "")
        main = word.split()[-1] if word.isascii() and word else word.removeprefix("在")
        near = [option for option in options if main and re.search(rf"(?<![a-z]){re.escape(main)}", option)]
        if word in options or near:
            return word if word in options else near[0]
        return self.rng(f"{kind} words").choice(options[:3] if self.draw else options[:1])


def _named(options: list[str], word: str) -> str:
    """The wording that a prompt has, or the one that shares most words with it; "" where none does."""
    said = set(word.split()) - LITTLE
    own = [phrase for phrase in options if word and phrase.startswith("*" + word)]
    near = sorted(options, key=lambda phrase: -len(said & set(phrase.removeprefix("*").split())))
    return own[0] if own else near[0] if said & set(near[0].removeprefix("*").split()) else ""


def _as_doing(motion: str) -> Doing:
    return Doing(direction=motion) if motion in COURSES else Doing(act=motion)


def _zh_number(count: int) -> str:
    return NUMBERS_ZH[count] if count < len(NUMBERS_ZH) else str(count)


def _tidy(text: str) -> str:
    return re.sub(r"\s+([,.])", r"\1", re.sub(r"\s+", " ", text)).strip(" ,")
