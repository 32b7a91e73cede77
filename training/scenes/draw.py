# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws scenes from a world's config. What a scene has besides its truth (sizes, places in the frame, variants, which
way something looks that stands still) is spread over its whole range in every class, so that nothing but the named
property tells two classes apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import TypeVar
from zlib import crc32

import numpy as np

from .config import WorldConfig
from .nouns import COLOURS, EDIBLE, FRAGILE, NOUNS, RUNNERS
from .places import VARIANTS
from .scene import INDOORS, PLACES, TRAVELS, Actor, Event, Scene, Shot

SPLITS = ("train", "held out", "any")
IN_PLACE = ("still", "jump", "spin", "sway", "stretch", "shake", "flip")  # keep left what is left
TRIES = 4000  # two or three shots that all show held-out combinations are one scene in a thousand
_T = TypeVar("_T")
# Which nouns an event can happen to; others happen to all.
ABLE: dict[str, tuple[str, ...]] = {
    "bites": EDIBLE,
    "shatters": FRAGILE,
    "strokes": ("paintbrush",),
    "goes out": ("candle",),
    "is lit": ("candle",),
    "treadmill": RUNNERS,
    "passes behind": tuple(n.name for n in NOUNS.values() if n.gait in ("walk", "ride")),
    "leaves and returns": tuple(n.name for n in NOUNS.values() if n.gait in ("walk", "ride")),
    "mingles": tuple(n.name for n in NOUNS.values() if n.gait == "walk"),
}


@cache
def _kept_places(noun: str, does: str) -> tuple[str, ...]:
    """Where this noun never does this in training: one place or two, spread evenly over all."""
    number = crc32(f"{noun}: {does}".encode())
    first, second = number % len(PLACES), (number // 97) % len(PLACES)
    return (PLACES[first], PLACES[second]) if (number // 9973) % 10 < 4 else (PLACES[first],)


def held_out(noun: str, place: str, does: str) -> bool:
    """Whether this combination is kept out of training: a tenth of all, and of whatever a noun does at least in one
    place. ``does`` is the first motion, or the event that takes its place."""
    return place in _kept_places(noun, does)


def draw_scene(seed: int, config: WorldConfig, split: str = "train") -> Scene:
    """Draw the scene of a seed; ``split`` is "train", "held out" or "any".

    In "train" nobody in any shot shows a held-out combination, be it with a second motion; in "held out" the first
    actor of every shot does. Raises ValueError if the config has no scene for the split.
    """
    if split not in SPLITS:
        raise ValueError(f"no split {split!r}; it is one of: {', '.join(SPLITS)}")
    rng = np.random.default_rng(seed)
    for _ in range(TRIES):
        shots = _shots(rng, config)
        scene = Scene(shots, "natural", seed)
        if split == "any" or _belongs(scene, split):
            return replace(scene, look=_look(rng, config))
    raise ValueError(f"the world's config has no scene for the split {split!r}: give it more nouns, places or motions")


def _belongs(scene: Scene, split: str) -> bool:
    if split == "held out":
        return all(held_out(*c) for c in scene.combinations)
    return not any(held_out(*c) for c in scene.shown)


def _pick(rng: np.random.Generator, options: Sequence[_T]) -> _T:
    return options[int(rng.integers(len(options)))]


def _look(rng: np.random.Generator, config: WorldConfig) -> str:
    others = [look for look in config.looks if look != "natural"]
    return _pick(rng, others) if others and rng.random() < config.look else config.looks[0]


def _start(rng: np.random.Generator) -> tuple[float, float]:
    return float(rng.uniform(-1, 1)), float(rng.uniform(-1, 1))


def _place(rng: np.random.Generator, config: WorldConfig) -> tuple[str, str, str]:
    """Place, light and weather."""
    light = "day" if "day" in config.lights and rng.random() < config.plain_light else _pick(rng, config.lights)
    clear = "clear" in config.weathers and rng.random() < config.plain_weather
    return _pick(rng, config.places), light, "clear" if clear else _pick(rng, config.weathers)


def _camera(rng: np.random.Generator, config: WorldConfig, travels: bool) -> tuple[str, ...]:
    """One camera move or two different ones; a camera follows only what goes somewhere."""
    moves = [c for c in config.cameras if c != "still" and (c != "follow" or travels)]
    if not moves or rng.random() >= config.moving_camera:
        return ("still",)
    first = _pick(rng, moves)
    steady = [c for c in moves if c not in ("follow", "handheld", first)]
    if first in ("follow", "handheld") or not steady or rng.random() >= config.two_moves:
        return (first,)
    return first, _pick(rng, steady)


def _shots(rng: np.random.Generator, config: WorldConfig) -> tuple[Shot, ...]:
    first = _event_shot(rng, config) if config.events and rng.random() < config.event else None
    if first is not None:
        return (first,)
    first = _shot(rng, config)
    if rng.random() >= config.cut or len(first.actors) > 1:
        return (first,)
    hero = first.actors[0]
    count = int(rng.integers(2, 4))
    others = [_shot(rng, config, hero, first) for _ in range(count - 1)]
    shares = rng.uniform(0.8, 1.2, count)
    shots = (first, *others)
    return tuple(replace(s, share=float(share)) for s, share in zip(shots, shares, strict=True))


def _motions(rng: np.random.Generator, config: WorldConfig, options: Sequence[str]) -> tuple[str, ...]:
    first = _pick(rng, options)
    if rng.random() >= config.two_motions:
        return (first,)
    others = [m for m in options if m not in (first, "still")]
    return (first, _pick(rng, others)) if others and first != "fall over" else (first,)


def _actor(rng: np.random.Generator, config: WorldConfig, options: Sequence[str] | None = None) -> Actor:
    noun = _pick(rng, options or config.nouns)
    colours = NOUNS[noun].colours
    colour = _pick(rng, colours) if colours and rng.random() < config.colour else None
    facing = _pick(rng, ("left", "right"))
    return Actor(noun, colour, 1, float(rng.uniform(*config.size)), ("still",), None, facing, _start(rng))


def _shot(rng: np.random.Generator, config: WorldConfig, hero: Actor | None = None, before: Shot | None = None) -> Shot:
    """A shot without an event; with ``hero`` another one of the same character."""
    place, light, weather = _place(rng, config)
    if before is not None and rng.random() < 0.4:
        place, light, weather = before.place, before.light, before.weather
    first = hero or _actor(rng, config)
    actors: tuple[Actor, ...]
    pair = hero is None and rng.random() < config.relation
    several = [n for n in config.counts if n > 1]
    if pair:
        actors = _pair(rng, config, first)
    else:
        count = _pick(rng, several) if hero is None and several and rng.random() < config.several else first.count
        motions = _motions(rng, config, config.motions)
        facing = _pick(rng, ("left", "right"))
        actors = (replace(first, count=count, motions=motions, facing=facing, start=_start(rng)),)
    camera = _camera(rng, config, bool(set(actors[0].motions) & set(TRAVELS)))
    return Shot(place, actors, light, weather, camera, None, 1.0, int(rng.integers(VARIANTS)))


def _pair(rng: np.random.Generator, config: WorldConfig, first: Actor) -> tuple[Actor, Actor]:
    """Two actors in a relation that holds through the whole shot."""
    relation = _pick(rng, ("left of", "right of", "above", "behind"))
    calm = [m for m in config.motions if m in IN_PLACE] or list(config.motions)
    other = _actor(rng, config, [n for n in config.nouns if n != first.noun])
    low, high = (0.28, 0.34) if relation == "above" else (0.34, 0.42)
    if relation == "above":
        calm = [m for m in calm if m not in ("jump", "flip")] or ["still"]
    elif relation in ("left of", "right of") and "right" in config.motions and rng.random() < 0.3:
        both = (_pick(rng, ("right", "left")),)
        return (
            replace(first, size=float(rng.uniform(0.26, 0.34)), motions=both),
            replace(other, size=float(rng.uniform(0.26, 0.34)), motions=both, relation=relation),
        )
    return (
        replace(first, size=float(rng.uniform(low, high)), motions=(_pick(rng, calm),)),
        replace(other, size=float(rng.uniform(low, high)), motions=(_pick(rng, calm),), relation=relation),
    )


def _event_shot(rng: np.random.Generator, config: WorldConfig) -> Shot | None:
    """A shot with an event, or nothing if no noun of the config can take part in the one that was drawn."""
    kind = _pick(rng, config.events)
    options = [n for n in config.nouns if n in ABLE[kind]]
    if not options:
        return None
    place, light, weather = _place(rng, config)
    actor = _actor(rng, config, options)
    way = _pick(rng, ("right", "left"))
    motions: tuple[str, ...] = ()
    count, colour, prop = 1, None, None
    camera: tuple[str, ...] = ("still",)
    start = float(rng.uniform(0.2, 0.4))
    end = start + float(rng.uniform(0.2, 0.35))
    match kind:
        case "passes behind":
            motions, prop = (way,), "column" if place in INDOORS else _pick(rng, ("tree", "rock", "column"))
        case "leaves and returns":
            motions = ("right", "left") if way == "right" else ("left", "right")
            start, end = float(rng.uniform(0.34, 0.42)), float(rng.uniform(0.54, 0.66))
        case "treadmill":
            motions, camera = (way,), _camera(rng, config, False)
        case "strokes":
            count, colour = int(rng.integers(1, 4)), _pick(rng, [c for c in COLOURS if c not in ("white", "grey")])
            start, end = 0.1, float(rng.uniform(0.6, 0.8))
        case "bites":
            count, end = int(rng.integers(1, 4)), float(rng.uniform(0.6, 0.8))
        case "mingles":
            many = [n for n in config.counts if n >= 3] or [3]
            actor = replace(actor, count=_pick(rng, many))
        case "goes out" | "is lit":
            start = float(rng.uniform(0.3, 0.6))
            end = start
    if kind == "bites":
        actor = replace(actor, colour=None)
    actor = replace(actor, motions=motions, facing=way)
    event = Event(kind, start, end, colour, count, prop)
    return Shot(place, (actor,), light, weather, camera, event, 1.0, int(rng.integers(VARIANTS)))
