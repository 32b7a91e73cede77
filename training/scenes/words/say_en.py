# SPDX-License-Identifier: GPL-3.0-or-later
"""English captions from sentence frames: agreement, order of clauses, who "it" is."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from ....language.english import article, gerund, plural, third_person
from ..scene import SCRIPTED, Actor, Event, Shot
from . import way, wordings
from .speaker import DIRECTED, SIDEWAYS, Speaker, indoors, same_character

INVERSE = {"left of": "right of", "right of": "left of", "above": "below", "behind": "in front of"}


def inflect(phrase: str, form: str) -> str:
    """Put the verbs of a phrase, marked by "*", in a form: "third", "base" or "ing"."""
    forms: dict[str, Callable[[str], str]] = {"third": third_person, "base": str, "ing": gerund}
    return re.sub(r"\*(\w+)", lambda found: forms[form](found[1]), phrase)


def tidy(text: str) -> str:
    """Close the gaps that empty slots leave."""
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r" ([,.;:!?])", r"\1", text)
    text = re.sub(r"([,;:])(?:[,;:])+", r"\1", text)
    text = re.sub(r"[,;:]+([.!?])", r"\1", text)
    return text.strip(" ,;:")


def capitals(text: str) -> str:
    """Begin every sentence with a capital letter and end the text with a full stop."""
    text = re.sub(r"(^|[.!?] )([a-z])", lambda found: found[1] + found[2].upper(), text)
    text = re.sub(r"\bi\b", "I", text)
    return text if text.endswith((".", "!", "?")) else text + "."


class English(Speaker):
    """One English caption."""

    language, stop, gap = "en", ".", " "

    def shot(self, shot: Shot, before: Shot | None) -> str:
        """One shot; ``before`` is the one that it follows."""
        first = shot.actors[0]
        others = list(self.others(shot))
        subject = self.same(first) if before and same_character(first, before.actors[0]) else self.noun_phrase(first)
        alone = subject
        if shot.event and (state := self.state(shot.event)):
            subject += f" {self.word('states', state).format(**self.amounts(shot.event))}"
        facing = self.facing(first, shot)
        if facing:
            subject += f" {self.word('facings', facing)}"
        elif len(others) == 1 and rests(others[0]) and others[0].relation and self.chance(0.4):
            # who rests beside it is said with it: "a dog in front of a chair"
            other = others.pop()
            where = self.word("relations", INVERSE[other.relation or ""])
            subject += " " + where.format(them=self.noun_phrase(other, first))
        verbs = self.predicates(first, shot)
        frame = self.frame(shot, verbs, before, subject == alone)
        if before and "{R} {V}" in frame and subject == alone and self.chance(0.9 if self.manner.terse else 0.4):
            subject = self.pronouns(first)[0]
        look = self.look() if before is None else None
        text = self.core(frame, subject, first, verbs, shot, before, look)
        for i, other in enumerate(others):
            text = self.beside(text, other, first, i)
        if look and "{A}" not in frame:
            seen = self.word("looks", look, "_in")
            front = self.chance(0.4) or ". " in text or len(self.scene.shots) > 1
            text = f"{seen}{',' if ':' in text else ':'} {text}" if front else _append(text, seen)
        return self.filmed(text, shot, first)

    def keywords(self) -> str:
        """The facts in a row: "two red cats, jump, then spin, forest, at night, zoom in"."""
        shots = self.scene.shots if self.says("shots") else self.scene.shots[:1]
        rows = []
        for before, shot in zip((None, *shots), shots, strict=False):
            first = shot.actors[0]
            again = before is not None and same_character(first, before.actors[0])
            who = self.same(first) if again else self.noun_phrase(first).removeprefix("a ").removeprefix("an ")
            verbs = self.predicates(first, shot)
            place = self.word("places", shot.place) if self.says("place") else ""
            words = [_place_noun(place) if self.chance(0.6) else place, self.time(shot, before)]
            if look := self.look() if before is None else None:
                words.append(self.word("looks", look, "_in"))
            if moves := self.moves(shot):
                words.append("camera: " + ", then ".join(self.word("cameras", m, "_noun") for m in moves))
            words = [words[i] for i in self.rng.permutation(len(words))]
            words.insert(0, f"{who}{self.pick((', ', ' '))}{self.sequence(verbs, 'ing')}")
            for other in self.others(shot):
                where = (
                    self.word("relations", other.relation).format(them=self.pronouns(first)[1])
                    if other.relation
                    else ""
                )
                done = [] if rests(other) or not self.says("motion") else [self.motion(m, other) for m in other.motions]
                words.append(f"{self.noun_phrase(other, first)} {where} {self.sequence(done, 'ing')}")
            rows.append(", ".join(w.strip(" ,") for w in words if w.strip(" ,")))
        return tidy(self.pick(("; next shot: ", ". cut to: ", "; then cut to: ")).join(rows))

    def frame(self, shot: Shot, verbs: list[str], before: Shot | None, bare: bool) -> str:
        """A sentence frame that suits what there is to say."""
        frames = list(self.frames(self.frame_kind(verbs, before)))
        if not self.says("place"):
            frames = [f for f in frames if "{P2}" not in f and not re.match(r"(look )?\{[PT]\}.*(we|there)", f)]
        if len(verbs) > 1 or any("," in v or " and " in v for v in verbs):
            # a place at the end would seem to belong to the last thing done alone
            frames = [f for f in frames if not re.search(r"\{V[a-z]*\}.*\{[PT]\}", f)]
        return self.pick(frames)

    def core(
        self,
        frame: str,
        subject: str,
        first: Actor,
        verbs: list[str],
        shot: Shot,
        before: Shot | None,
        look: str | None,
    ) -> str:
        """The main clause with place and time."""
        place = self.word("places", shot.place) if self.says("place") else ""
        slots = {
            "S": subject, "R": subject, "P": place, "P2": _place_noun(place), "T": self.time(shot, before),
            "A": self.medium(look if "{A}" in frame else None),
            "it": self.pronouns(first)[0], "it2": self.pronouns(first)[1], "is": self.is_are(subject, first),
            "V": self.sequence(verbs, self.form(first)), "Ving": self.sequence(verbs, "ing"),
            "Vbase": self.sequence(verbs, "base"),
        }  # fmt: skip
        if "they" in (subject, slots["it"] if "{it} {V}" in frame else ""):
            slots["V"] = self.sequence(verbs, "base")  # a single person is "they", too
        return tidy(frame.format(**slots))

    def noun_phrase(self, actor: Actor, other_than: Actor | None = None) -> str:
        """ "two red cars"; another one of the same noun is "another red car"."""
        noun = self.name(actor.noun)
        many = actor.count > 1
        noun = plural(noun) if many else noun
        if actor.colour and self.says("colour"):
            noun = f"{self.word('colours', actor.colour)} {noun}"
        if self.manner.style == "nice":
            noun = f"{self.word('frames', 'nice')} {noun}"
        if not self.says("count") and many:
            return f"{self.pick(('some', 'several'))} {noun}"
        if other_than is not None and other_than.noun == actor.noun:
            return f"{self.number(actor.count)} other {noun}" if many else f"another {noun}"
        number = self.word("counts", str(actor.count))
        return f"{article(noun)} {noun}" if number == "a" else f"{number} {noun}"

    def same(self, actor: Actor) -> str:
        """The character of the shot before: "the same dog", "the dogs"."""
        noun = self.name(actor.noun)
        noun = plural(noun) if actor.count > 1 else noun
        # "the camera" is the one that films
        phrase = "the same {n}" if actor.noun == "camera" else self.word("frames", "same")
        phrase = phrase.format(n=noun)
        return phrase.replace("that", "those") if actor.count > 1 else phrase

    def reference(self, actor: Actor) -> str:
        """The noun once more, as an object: "it", "them" or "the dog"."""
        noun = self.name(actor.noun)
        if actor.noun == "camera" or self.chance(0.8 if " " in noun else 0.5):
            return self.pronouns(actor)[1]
        return f"the {plural(noun) if actor.count > 1 else noun}"

    def pronouns(self, actor: Actor) -> tuple[str, str, str]:
        """ "it", "it" and "its"; people are "they", several of anything, too."""
        if actor.count > 1 or actor.kind.group == "people at work":
            return "they", "them", "their"
        return "it", "it", "its"

    def form(self, actor: Actor) -> str:
        """The verb form that agrees with the actor as a noun."""
        return "base" if actor.count > 1 else "third"

    def is_are(self, subject: str, actor: Actor) -> str:
        """ "is" or "are" before a subject."""
        return "is" if actor.count == 1 or subject.startswith("a ") else "are"

    def predicates(self, actor: Actor, shot: Shot) -> list[str]:
        """What it does, verbs marked, in order."""
        event = shot.event if actor is shot.actors[0] else None
        if event is not None and event.kind in SCRIPTED and not self.says("event"):
            return []
        if event is not None and self.says("event"):
            done = self.happening(event, actor)
            used = 2 if event.kind == "leaves and returns" else 0 if event.kind in SCRIPTED else 1
            rest = actor.motions[used:]
        else:
            done, rest = [], actor.motions or ("still",)
        if not self.says("motion"):
            return done
        return done + [self.motion(m, actor) for m in rest]

    def motion(self, motion: str, actor: Actor) -> str:
        """One motion as a verb phrase, without its direction when that is left open."""
        travel = wordings("verbs", way(actor.noun, actor.kind.gait), "en")
        if motion in DIRECTED and not self.says("direction"):
            return (
                "*roll along"
                if motion.startswith("roll")
                else f"*{self.pick(travel if motion in SIDEWAYS else ('move', 'go'))}"
            )
        airy = self.pick(travel if actor.kind.gait in ("fly", "swim") else ("go", "move", "float"))
        they, _, its = self.pronouns(actor)
        return self.word("motions", motion).format(
            go=self.pick(travel), rise=airy, its=its, it=they, **{"is": "are" if they == "they" else "is"}
        )

    def happening(self, event: Event, actor: Actor) -> list[str]:
        """The event of the shot as a verb phrase; the motion that belongs to it is in it."""
        first = actor.motions[0] if actor.motions else "right"
        _, them, its = self.pronouns(actor)
        return [
            self.word("events", event.kind).format(
                motion=self.motion(first, actor),
                go=self.pick(wordings("verbs", way(actor.noun, actor.kind.gait), "en")),
                on=self.word("sides", SIDEWAYS.get(first, "right")),
                way=self.word("headings", SIDEWAYS.get(first, "right")),
                prop=self.word("props", event.prop or "tree"),
                it=them,
                its=its,
                **self.amounts(event),
            )
        ]

    def amounts(self, event: Event) -> dict[str, str]:
        """ "three blue strokes" and "three bites"."""
        colour = f"{self.word('colours', event.colour)} " if event.colour and self.says("colour") else ""
        plural_s = "s" * (event.count > 1)
        return {
            "strokes": f"{self.number(event.count)} {colour}{self.pick(('stroke', 'brushstroke'))}{plural_s}",
            "bites": f"{self.number(event.count)} bite{plural_s}",
        }

    def number(self, count: int) -> str:
        """A number by itself, in words or digits."""
        return self.pick((("one", "two", "three", "four", "five")[count - 1], str(count)))

    def sequence(self, verbs: Sequence[str], form: str) -> str:
        """Verb phrases in the order in which they happen."""
        text = inflect(verbs[0], form) if verbs else ""
        for verb in verbs[1:]:
            text = self.pick(self.frames("order")).format(a=text, b=inflect(verb, form))
        return text

    def time(self, shot: Shot, before: Shot | None) -> str:
        """Light and weather in one phrase, or nothing."""
        light, weather = self.sky(shot, before)
        if not weather:
            return self.word("lights", light) if light else ""
        if (light or shot.light == "day") and not self.manner.held and self.chance(0.45):
            adjective = self.pick(wordings("weathers", weather, "en_adj"))
            noun = self.pick(wordings("lights", light or "day", "en_noun"))
            return f"on {article(adjective)} {adjective} {noun}"
        field = "_in" if indoors(shot) else ""
        sky = self.word("weathers", weather, field)
        if not light:
            return sky
        return f"{self.word('lights', light)} {sky}"

    def medium(self, look: str | None) -> str:
        """ "a clip", "a watercolour video"."""
        kind = "picture" if not self.says("motion") and not self.says("event") else "medium"
        name = self.word("frames", kind)
        return self.word("looks", look, "_of").format(m=name) if look else f"{article(name)} {name}"

    def beside(self, text: str, other: Actor, first: Actor, number: int) -> str:
        """Add another noun of the shot, where it is and what it does."""
        them = self.reference(first)
        who = self.noun_phrase(other, first)
        where = self.word("relations", other.relation).format(them=them) if other.relation else ""
        verbs = [] if not self.says("motion") else [self.motion(m, other) for m in other.motions or ("still",)]
        if not verbs or (rests(other) and (text[-1] in "!?" or self.chance(0.5))):
            link = "and" if number else "with"
            return _append(text, f"{link} {who} {where}")
        if text[-1] in ".!?" or self.chance(0.35):
            done = self.sequence(verbs, self.form(other))
            start = f"{where}, {who}" if where and self.chance(0.6) else f"{who} {where}"
            return f"{text.rstrip('.')}{'' if text[-1] in '!?' else '.'} {start} {done}"
        if self.chance(0.5):
            return f"{text} while {who} {where} {self.sequence(verbs, self.form(other))}"
        return f"{text}, and {who} {where} {self.sequence(verbs, self.form(other))}"

    def filmed(self, text: str, shot: Shot, first: Actor) -> str:
        """Add what the camera does."""
        moves = self.moves(shot)
        if not moves:
            return text
        if text[-1] == "?" or self.chance(0.7 if self.manner.terse else 0.35):
            named = ", then ".join(self.word("cameras", m, "_noun") for m in moves)
            if text[-1] == "?" or self.chance(0.3):
                return _append(text, f"camera: {named}")
            return f"{text.rstrip('.')}{'' if text[-1] in '!?' else '.'} {named}"
        verbs = [self.word("cameras", m).format(it=self.reference(first)) for m in moves]
        ways = ["{t}, the camera {v}", "{t}. The camera {v}", "{t}, with the camera {i}"]
        if text[-1] in ".!":
            ways = ["{t} the camera {v}."]
        elif " while " not in text:
            ways.append("{t} while the camera {v}")
        return self.pick(ways).format(t=text, v=self.sequence(verbs, "third"), i=self.sequence(verbs, "ing"))


def rests(actor: Actor) -> bool:
    """Whether it does nothing; that goes without saying."""
    return all(motion == "still" for motion in actor.motions)


def _append(text: str, phrase: str) -> str:
    """Hang a phrase on a sentence, before its end mark."""
    if text[-1] in ".!?":
        return f"{text[:-1]}, {phrase}{text[-1]}"
    return f"{text}, {phrase}"


def _place_noun(place: str) -> str:
    """The place without its preposition: "in front of a castle" gives "a castle"."""
    return re.sub(r"^(in front of|high in|deep in|inside|in|on|at|by|among|between|before) ", "", place)
