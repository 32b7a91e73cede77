# SPDX-License-Identifier: GPL-3.0-or-later
"""What a caption says and what it leaves out, alike in every language."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..nouns import NOUNS
from ..scene import INDOORS, Actor, Event, Scene, Shot
from . import wordings

FACTS = (
    *("noun", "count", "colour", "facing", "motion", "direction", "event", "place", "light", "weather", "camera"),
    *("look", "others", "shots"),
)
DENSE = frozenset(FACTS)
SHORT = frozenset({"noun", "count", "motion", "direction", "event", "place"})
DIRECTED = {"right", "left", "up", "down", "roll right", "roll left"}
STEADY = {"still", "jump", "up", "down", "closer", "away", "sway", "shake", "stretch"}  # facing as in the beginning
SIDEWAYS = {"right": "right", "left": "left"}
# What is seen before and after an event.
STATES = {
    "goes out": ("burning", "unlit"),
    "is lit": ("unlit", "burning"),
    "bites": ("", "bitten"),
    "shatters": ("", "broken"),
    "strokes": ("", "painting"),
}


ENDS = ".!?。！？"


@dataclass(frozen=True)
class Manner:
    """How a caption is put: which facts it says, whether in held-out words, how sparing it is of words.

    ``terse`` is how many more wordings are drawn for the shortest to be taken; ``usual`` is how often that is said
    which goes without saying (day, clear weather, a still camera, a natural look).
    """

    facts: frozenset[str] = DENSE
    held: bool = False
    usual: float = 0.25
    terse: int = 0
    style: str = "plain"


class Speaker(ABC):
    """The choices of one caption: the same noun keeps its name throughout it.

    A language brings its name, what ends a sentence and what stands between two, and its grammar.
    """

    language, stop, gap = "", "", ""

    def __init__(self, scene: Scene, rng: np.random.Generator, manner: Manner) -> None:
        self.scene, self.rng, self.manner = scene, rng, manner
        self.names: dict[str, str] = {}
        self.phase: float | None = None  # when in its shot a still picture is taken

    def full(self) -> str:
        """All that is to be said of all shots, in sentences."""
        shots = self.scene.shots if self.says("shots") else self.scene.shots[:1]
        text = self.shot(shots[0], None)
        for before, shot in pairwise(shots):
            text += ("" if text[-1] in ENDS else self.stop) + self.gap + self.shot(shot, before)
        return text

    @abstractmethod
    def shot(self, shot: Shot, before: Shot | None) -> str:
        """One shot; ``before`` is the one that it follows."""

    @abstractmethod
    def keywords(self) -> str:
        """All that is to be said, in a row of keywords."""

    def pick(self, options: Sequence[str]) -> str:
        """One of the options; the shortest of several when words are to be spared."""
        drawn = self.rng.integers(len(options), size=1 + self.manner.terse)
        return min((options[int(i)] for i in drawn), key=len)

    def word(self, kind: str, key: str, suffix: str = "") -> str:
        """A wording of a class in this language, held out where the manner asks for it."""
        return self.pick(wordings(kind, key, self.language + suffix, self.manner.held))

    def frames(self, key: str) -> tuple[str, ...]:
        """The sentence frames of a kind, held out where the manner asks for it."""
        return wordings("frames", key, self.language, self.manner.held)

    def says(self, fact: str) -> bool:
        """Whether the caption says this fact at all."""
        return fact in self.manner.facts

    def chance(self, share: float) -> bool:
        """True in a share of cases."""
        return bool(self.rng.random() < share)

    def name(self, noun: str) -> str:
        """The name of a noun, chosen once for the whole caption; what it is where the noun stays open."""
        if noun not in self.names:
            known = self.says("noun")
            self.names[noun] = self.word("nouns", noun) if known else self.word("hypernyms", NOUNS[noun].group)
        return self.names[noun]

    def sky(self, shot: Shot, before: Shot | None) -> tuple[str | None, str | None]:
        """Light and weather as far as they are said. They hold on until a later shot says otherwise."""
        changed = before is not None and (shot.light, shot.weather) != (before.light, before.weather)
        light, weather = shot.light != "day", shot.weather != "clear"
        if before is not None:
            light = shot.light != before.light or (changed and light)
            weather = shot.weather != before.weather or (changed and weather)
        if not self.manner.terse:
            light, weather = light or self.chance(self.manner.usual), weather or self.chance(self.manner.usual * 0.6)
        return (
            shot.light if light and self.says("light") else None,
            shot.weather if weather and self.says("weather") else None,
        )

    def moves(self, shot: Shot) -> tuple[str, ...]:
        """The camera moves that are said: a still camera goes without saying."""
        if not self.says("camera"):
            return ()
        if shot.camera == ("still",) and (self.manner.terse or not self.chance(self.manner.usual)):
            return ()
        return shot.camera

    def look(self) -> str | None:
        """The look if it is said: a natural one goes without saying."""
        if not self.says("look"):
            return None
        natural = self.scene.look == "natural"
        return None if natural and (self.manner.terse or not self.chance(self.manner.usual / 2)) else self.scene.look

    def facing(self, actor: Actor, shot: Shot) -> str | None:
        """Where it looks, when that is said: what goes right or left looks that way."""
        if not (self.says("facing") and actor.seen_from_side) or self.manner.terse or len(self.scene.shots) > 1:
            return None
        if self.phase is not None:
            settled = set(actor.motions) <= STEADY and shot.event is None
            return actor.facing if settled else None
        scripted = actor is shot.actors[0] and shot.event is not None
        still_first = not actor.motions or actor.motions[0] in STEADY
        return actor.facing if still_first and not scripted else None

    def frame_kind(self, verbs: Sequence[str], before: Shot | None) -> str:
        """Which sentence frames serve: those of the style, of a later shot, or of one where nothing is done."""
        if not verbs:
            return "bare"
        if before is not None:
            return "next"
        return self.manner.style if self.manner.style in ("question", "imperative", "story") else "plain"

    def state(self, event: Event | None) -> str | None:
        """What a still picture shows of an event: "burning", "broken", ..., or nothing in the midst of it."""
        if self.phase is None or event is None or not self.says("noun"):
            return None
        before, after = STATES.get(event.kind, ("", ""))
        return (before if self.phase < event.start else after if self.phase > event.end else "") or None

    def others(self, shot: Shot) -> tuple[Actor, ...]:
        """Who is there beside the first actor, as far as it is said."""
        return shot.actors[1:] if self.says("others") else ()


def indoors(shot: Shot) -> bool:
    """Whether light and weather are seen through a window."""
    return shot.place in INDOORS


def same_character(a: Actor, b: Actor) -> bool:
    """Whether two shots show the same character, so that the second may say "the same"."""
    return (a.noun, a.colour, a.count) == (b.noun, b.colour, b.count)
