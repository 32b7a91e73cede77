# SPDX-License-Identifier: GPL-3.0-or-later
"""What captions say, as classes: the text encoder is taught to tell these facts, whichever world they are of."""

from __future__ import annotations

import numpy as np

from . import captions as first_captions
from . import world as first
from .judge import HEADS
from .scenes import captions, config, draw
from .scenes.nouns import COLOURS, NOUNS
from .scenes.scene import CAMERAS, EVENTS, LIGHTS, LOOKS, MOTIONS, PLACES, RELATIONS, WEATHERS, Scene
from .scenes.words.speaker import DIRECTED

NONE = "none"
_SCENES: dict[str, tuple[str, ...]] = {
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


def facts_of(world: str) -> dict[str, tuple[str, ...]]:
    """The facts of a world, and what each can be."""
    return HEADS if world == "first" else _SCENES


def told(world: str, seed: int, split: str, rng: np.random.Generator) -> tuple[str, dict[str, str]]:
    """A caption of the scene of a seed, and the facts that it says; what it leaves open is left out."""
    if world == "first":
        scene = first.draw_scene(seed, split)
        text = first_captions.caption(scene, rng, vague=0)
        text = first_captions.misspell(text, rng, 0.1 if split == "train" else 0.0)
        return text, {name: getattr(scene, name) for name in HEADS}
    drawn = draw.draw_scene(seed, config.CONFIGS[world](), split)
    caption = captions.caption(drawn, rng)
    return caption.text, _said(drawn, caption.facts)


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
