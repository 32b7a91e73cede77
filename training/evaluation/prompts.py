# SPDX-License-Identifier: GPL-3.0-or-later
"""Prompts for the evaluation: scenes that training never shows, drawn so that each row has what it asks about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import numpy as np

from ..scenes.captions import dense, free_wording
from ..scenes.config import LESS_USUAL, WorldConfig
from ..scenes.draw import draw_scene
from ..scenes.nouns import NOUNS
from ..scenes.scene import Scene

FIRST_SEED = 80_000_000  # far above those of training
SIDE, FRAMES, LONGER, FPS = 256, 17, 33, 8.0
DIRECTIONS = ("right", "left", "up", "down")
MEASURED = ("still", "pan right", "pan left", "tilt up", "tilt down", "zoom in", "zoom out")  # camera moves
LASTING = ("strokes", "bites", "goes out", "is lit", "shatters")
# Nothing but the first actor, its motion, the place and the camera; every class about as often as any other.
PLAIN: dict[str, Any] = {
    **dict.fromkeys(LESS_USUAL, 0.0),
    **{"plain_light": 0.0, "plain_weather": 0.0, "moving_camera": 0.8},
}


@dataclass(frozen=True)
class Prompt:
    """What is asked of a model: a text and the shape of the clip. ``scene`` is what the text describes; a model does
    not see it."""

    text: str
    scene: Scene
    seed: int
    width: int = SIDE
    height: int = SIDE
    frames: int = FRAMES
    fps: float = FPS


@dataclass(frozen=True)
class Need:
    """Which scenes a row asks for: ``changes`` of the world's config, and which of the scenes drawn from it.

    ``lacks`` says what a world's config lacks for it, or nothing; ``kind`` what should be there equally often, and
    ``kinds`` how many of them a config has.
    """

    changes: Mapping[str, Any] = field(default_factory=dict)
    wanted: Callable[[Scene], bool] = lambda scene: True
    lacks: Callable[[WorldConfig], str] = lambda config: ""
    frames: int = FRAMES
    kind: Callable[[Scene], str] = lambda scene: ""
    kinds: Callable[[WorldConfig], int] = lambda config: 1
    shared: bool = False  # its scenes show one thing, one motion and one camera move, and serve other such rows, too

    def config(self, world: WorldConfig) -> WorldConfig:
        """The config to draw from."""
        made = {k: v(world) if callable(v) else v for k, v in {**PLAIN, **self.changes}.items()}
        return replace(world, **made)


@dataclass
class Pool:
    """Scenes that were drawn already, in English; whoever needs such a scene takes it, so that one clip serves many
    rows."""

    scenes: list[Scene] = field(default_factory=list)


def draw_scenes(need: Need, world: WorldConfig, count: int, pool: Pool | None = None) -> list[Scene]:
    """Scenes whose first thing does in its place what training never shows; of the need's kinds about as many each."""
    config, out = need.config(world), []
    many = Counter[str]()
    drawn = (draw_scene(seed, config, "held out") for seed in range(FIRST_SEED, FIRST_SEED + 60 * count))
    for scene in chain(pool.scenes if pool else (), drawn):
        if not (need.wanted(scene) and fits(scene, config)) or scene in out:
            continue
        kind = need.kind(scene)
        if many[kind] < -(-count // max(1, need.kinds(config))):
            many[kind] += 1
            out.append(scene)
        if len(out) == count:
            break
    if pool is not None and need.shared:
        pool.scenes += [scene for scene in out if scene not in pool.scenes]
    return out


def fits(scene: Scene, config: WorldConfig) -> bool:
    """Whether all words of a scene are a config's."""
    return all(
        {a.noun for a in s.actors} <= set(config.nouns)
        and {m for a in s.actors for m in a.motions} <= {*config.motions, "right", "left"}
        and set(s.camera) <= {*config.cameras, "still"}
        and s.place in config.places
        and s.light in config.lights
        and s.weather in config.weathers
        for s in scene.shots
    )


def draw_prompts(
    need: Need, world: WorldConfig, count: int, wording: str = "English", limit: int = 80, pool: Pool | None = None
) -> list[Prompt]:
    """Prompts for scenes, in texts of at most ``limit`` pieces where that can be: "English", "Chinese" or "free"."""
    out = []
    for scene in draw_scenes(need, world, count, pool if need.shared else None):
        rng = np.random.default_rng([scene.seed, 5])
        if wording == "free":
            text = free_wording(scene, rng, "zh" if rng.random() < 0.25 else "en").text
        else:
            text = dense(scene, rng, "zh" if wording == "Chinese" else "en", limit)
        out.append(Prompt(text, scene, scene.seed % 2**31, frames=need.frames))
    return out


def _without(kind: str, missing: str) -> Callable[[WorldConfig], str]:
    """A test that a config's field has more than one value."""
    return lambda world: "" if len(getattr(world, kind)) > 1 else f"this world has {missing}"


def _coloured(world: WorldConfig) -> tuple[str, ...]:
    return tuple(n for n in world.nouns if len(NOUNS[n].colours) > 1) or world.nouns


def _events(*kinds: str) -> Need:
    return Need(
        {"event": 1.0, "events": lambda world: tuple(e for e in world.events if e in kinds)},
        lambda scene: scene.shots[0].event is not None,
        lambda world: "" if set(kinds) & set(world.events) else "nothing of the kind happens in this world",
        LONGER,
        kind=lambda scene: scene.shots[0].event.kind if scene.shots[0].event else "",
        kinds=lambda config: len(config.events),
    )


# By day and in clear weather: what moves is measured against the ground, of which little is seen at night or in snow.
CLEAR: dict[str, Any] = {"lights": ("day",), "weathers": ("clear",)}


def _motion(scene: Scene) -> str:
    return scene.shots[0].actors[0].motions[0]


NEEDS: dict[str, Need] = {
    "plain": Need(
        kind=lambda scene: f"{scene.shots[0].light} {scene.shots[0].weather}",
        kinds=lambda config: len(config.lights) * len(config.weathers),
        shared=True,
    ),
    "clear": Need(CLEAR, kind=_motion, kinds=lambda config: len(config.motions), shared=True),
    "directed": Need(
        {**CLEAR, "motions": lambda world: tuple(m for m in world.motions if m in DIRECTIONS)},
        kind=_motion,
        kinds=lambda config: len(config.motions),
        shared=True,
    ),
    "camera": Need(
        {**CLEAR, "cameras": lambda world: tuple(c for c in world.cameras if c in MEASURED)},
        kind=lambda scene: scene.shots[0].camera[0],
        kinds=lambda config: len(config.cameras),
        shared=True,
    ),
    "look": Need(
        {"look": lambda world: 1 - 1 / len(world.looks)},
        lacks=_without("looks", "one look only"),
        kind=lambda scene: scene.look,
        kinds=lambda config: len(config.looks),
    ),
    "colour": Need(
        {"colour": 1.0, "nouns": _coloured},
        lambda scene: scene.shots[0].actors[0].colour is not None,
        lambda world: "" if world.colour else "things of this world have their own colours only",
    ),
    "count": Need(
        {"several": lambda world: 1 - 1 / len(world.counts)},
        lacks=_without("counts", "one of each thing only"),
        kind=lambda scene: str(scene.shots[0].actors[0].count),
        kinds=lambda config: len(config.counts),
    ),
    "relation": Need(
        {"relation": 1.0},
        lambda scene: scene.shots[0].actors[-1].relation in ("left of", "right of"),
        lambda world: "" if world.relation else "this world has one thing at a time",
    ),
    "sequence": Need(
        {**CLEAR, "two_motions": 1.0},
        lambda scene: len(scene.shots[0].actors[0].motions) == 2,
        lambda world: "" if world.two_motions else "this world has one motion at a time",
        LONGER,
    ),
    "camera sequence": Need(
        {**CLEAR, "two_moves": 1.0, "moving_camera": 1.0},
        lambda scene: len(scene.shots[0].camera) == 2,
        lambda world: "" if world.two_moves else "this world has one camera move at a time",
        LONGER,
    ),
    "occlusion": _events("passes behind"),
    "leaving": _events("leaves and returns"),
    "lasting": _events(*LASTING),
    "shots": Need(
        {"cut": 1.0},
        lambda scene: len(scene.shots) > 1,
        lambda world: "" if world.cut else "this world has no cuts",
        LONGER,
    ),
}
