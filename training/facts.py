# SPDX-License-Identifier: GPL-3.0-or-later
"""What captions say: as classes, which the text encoder is taught to tell, and read back from any caption's words.

Captions of simple scenes (one thing, one motion and one camera move) are read back to score a captioner.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

import numpy as np

from ..language import facts as language
from .scenes import captions
from .scenes.nouns import COLOURS, NOUNS
from .scenes.scene import CAMERAS, EVENTS, LIGHTS, LOOKS, MOTIONS, PLACES, RELATIONS, WEATHERS, Scene
from .scenes.words import wordings
from .scenes.words.speaker import DIRECTED
from .worlds import scene_of

NONE = "none"
FACTS: dict[str, tuple[str, ...]] = {
    "noun": tuple(NOUNS),
    "count": ("1", "2", "3", "4", "5"),
    "colour": (NONE, *COLOURS),
    "motion": (NONE, *MOTIONS),
    "then": (NONE, *MOTIONS),
    "event": (NONE, *EVENTS),
    "place": PLACES,
    "light": LIGHTS,
    "weather": WEATHERS,
    "camera": CAMERAS,
    "camera then": (NONE, *CAMERAS),
    "look": LOOKS,
    "other": (NONE, *NOUNS),
    "relation": (NONE, *RELATIONS),
    "shots": ("1", "2", "3"),
}


def told(world: str, seed: int, split: str, rng: np.random.Generator) -> tuple[str, dict[str, str]]:
    """A caption of the scene of a seed, and the facts that it says; what it leaves open is left out."""
    scene = scene_of(world, seed, split)
    caption = captions.caption(scene, rng)
    return caption.text, _said(scene, caption.facts)


def _said(scene: Scene, facts: frozenset[str]) -> dict[str, str]:
    shot = scene.shots[0]
    actor, event = shot.actors[0], shot.event
    says: dict[str, str] = {}
    if "noun" in facts:
        says["noun"] = actor.noun
    if "count" in facts:
        says["count"] = str(actor.count)
    if "colour" in facts:
        says["colour"] = actor.colour or NONE
    if "motion" in facts and ("direction" in facts or not DIRECTED & set(actor.motions)):
        first_motion, second_motion, *_ = (*actor.motions, NONE, NONE)
        says |= {"motion": first_motion, "then": second_motion}
    if "event" in facts:
        says["event"] = event.kind if event else NONE
    for name in ("place", "light", "weather"):
        if name in facts:
            says[name] = getattr(shot, name)
    if "camera" in facts:
        says |= {"camera": shot.camera[0], "camera then": (*shot.camera, NONE)[1]}
    if "look" in facts:
        says["look"] = scene.look
    if "others" in facts:
        other = shot.actors[1] if len(shot.actors) > 1 else None
        says["other"] = other.noun if other else NONE
        says["relation"] = (other.relation if other else None) or NONE
    if "shots" in facts:
        says["shots"] = str(len(scene.shots))
    return says


READ = ("noun", "place", "light", "weather", "motion", "camera")  # facts that are read back from words
USUAL = {"light": "day", "weather": "clear", "motion": "still", "camera": "still"}  # goes without saying
KINDS = {"direction": "motion", "act": "motion"}  # as language/facts.py calls them
FACING = re.compile(
    "|".join(
        rf"\b{re.escape(phrase)}\b" if phrase.isascii() else re.escape(phrase)
        for way in ("left", "right")
        for language in ("en", "zh")
        for phrase in sorted(wordings("facings", way, language), key=len, reverse=True)
    )
)  # where something looks, which is not where it goes


def truth(scene: Scene) -> dict[str, str]:
    """The facts READ of a simple scene."""
    shot = scene.shots[0]
    actor = shot.actors[0]
    return {
        "noun": actor.noun, "place": shot.place, "light": shot.light, "weather": shot.weather,
        "motion": actor.motions[0], "camera": shot.camera[0],
    }  # fmt: skip


def read(text: str) -> dict[str, str]:
    """The facts READ that a caption states, English or Chinese; what it leaves open is left out.

    A fact that is stated twice in different ways is "contradiction".
    """
    found: dict[str, str] = {}
    for fact in language.facts(FACING.sub("", text.lower())):
        name = KINDS.get(fact.kind, fact.kind)
        if name in READ:
            found[name] = fact.key if found.get(name, fact.key) == fact.key else "contradiction"
    return found


def agreed(texts: Iterable[str]) -> dict[str, str]:
    """The facts READ of one clip, as most of its captions that say anything of them have them; else what is usual."""
    votes: dict[str, Counter[str]] = {name: Counter() for name in READ}
    for text in texts:
        for name, value in read(text).items():
            votes[name][value] += 1
    return USUAL | {name: count.most_common(1)[0][0] for name, count in votes.items() if count}


def right(text: str, clip: dict[str, str]) -> dict[str, bool]:
    """Which of a clip's facts a caption states as they are; what is usual goes without saying."""
    said = USUAL | read(text)
    return {name: said.get(name) == value for name, value in clip.items()}
