# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes and the config they are drawn from: closed words, held-out combinations, evenly spread chances."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("cv2", reason="the scene world needs opencv: pip install '.[training]'")

from comfyui_spacetime.training.scenes.config import WorldConfig, full, nano, simple
from comfyui_spacetime.training.scenes.draw import ABLE, draw_scene, held_out
from comfyui_spacetime.training.scenes.nouns import GROUPS, NOUNS
from comfyui_spacetime.training.scenes.scene import (
    CAMERAS,
    EVENTS,
    LIGHTS,
    LOOKS,
    MOTIONS,
    PLACES,
    SCRIPTED,
    TRAVELS,
    WEATHERS,
    Actor,
    Event,
    Scene,
    Shot,
)


def test_the_world_is_as_wide_as_it_says():
    assert len(NOUNS) >= 60 and {n.group for n in NOUNS.values()} == set(GROUPS)
    assert len(PLACES) >= 12 and len(MOTIONS) >= 12
    assert len({n.code for n in NOUNS.values()}) == len(NOUNS)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Actor("unicorn"), "noun 'unicorn'"),
        (lambda: Actor("dog", colour="plaid"), "colour 'plaid'"),
        (lambda: Actor("dog", count=6), "one to five times, not 6"),
        (lambda: Actor("dog", motions=("right", "left", "up")), "at most two motions"),
        (lambda: Event("melts"), "event 'melts'"),
        (lambda: Event("bites", 0.8, 0.2), "0 <= start <= end <= 1"),
        (lambda: Shot("moon", (Actor("dog"),)), "place 'moon'"),
        (lambda: Shot("park", ()), "at least one actor"),
        (lambda: Scene(()), "one to three shots, not 0"),
    ],
)
def test_a_word_outside_the_vocabulary_is_named(make, said):
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"nouns": ("dog", "unicorn")}, "nouns has no 'unicorn'"),
        ({"places": ()}, "places is empty"),
        ({"event": 1.5}, "event is a probability"),
        ({"size": (0.5, 0.9)}, "size is a range"),
    ],
)
def test_a_fault_in_a_config_names_its_field(change, said):
    with pytest.raises(ValueError, match=said):
        replace(nano(), **change)


def test_the_same_seed_draws_the_same_scene():
    assert draw_scene(5, full()) == draw_scene(5, full())
    assert draw_scene(5, full()) != draw_scene(6, full())


@pytest.mark.parametrize("config", [nano(), full()])
def test_held_out_combinations_never_reach_training_not_as_a_second_thing_or_motion_either(config):
    for seed in range(400):
        shots = draw_scene(seed, config, "train").shots
        done = [(a.noun, s.place, m) for s in shots for a in s.actors for m in a.motions]
        assert not any(held_out(*c) for c in done)
    for seed in range(40):
        assert all(held_out(*c) for c in draw_scene(seed, config, "held out").combinations)


@pytest.mark.parametrize("config", [nano(), full()])
def test_a_tenth_is_held_out_and_of_every_class_some_is(config):
    every = [(n, p, m) for n in config.nouns for p in config.places for m in config.motions]
    kept = [c for c in every if held_out(*c)]
    assert 0.07 < len(kept) / len(every) < 0.13
    for k, words in enumerate((config.nouns, config.places, config.motions)):
        shares = [sum(c[k] == word for c in kept) / sum(c[k] == word for c in every) for word in words]
        assert min(shares) > 0.02 and max(shares) < 0.25


def test_whatever_a_noun_does_it_does_somewhere_in_training_and_somewhere_held_out():
    for noun in NOUNS:
        for does in (*MOTIONS, *EVENTS):
            assert sum(held_out(noun, place, does) for place in PLACES) in (1, 2)


def test_every_word_of_a_config_is_drawn():
    config = full()
    scenes = [draw_scene(seed, config, "any") for seed in range(2500)]
    shots = [shot for scene in scenes for shot in scene.shots]
    actors = [actor for shot in shots for actor in shot.actors]
    assert {a.noun for a in actors} == set(NOUNS)
    assert {m for a in actors for m in a.motions} == set(MOTIONS)
    assert {c for s in shots for c in s.camera} == set(CAMERAS)
    assert {(s.place, s.light) for s in shots} == {(p, light) for p in PLACES for light in LIGHTS}
    assert {(s.place, s.weather) for s in shots} == {(p, w) for p in PLACES for w in WEATHERS}
    assert {s.event.kind for s in shots if s.event} == set(EVENTS)
    assert {scene.look for scene in scenes} == set(LOOKS)
    assert {len(scene.shots) for scene in scenes} == {1, 2, 3}
    assert {a.count for a in actors} == {1, 2, 3, 4, 5}
    assert {a.relation for a in actors} == {None, "left of", "right of", "above", "behind"}


def test_scenes_make_sense():
    for seed in range(1500):
        scene = draw_scene(seed, full(), "any")
        first = scene.shots[0].actors[0]
        for shot in scene.shots:
            actor = shot.actors[0]
            assert (actor.noun, actor.colour, actor.count) == (first.noun, first.colour, first.count)
            assert "follow" not in shot.camera or set(actor.motions) & set(TRAVELS)
            if shot.event:
                assert actor.noun in ABLE[shot.event.kind]
                assert (actor.motions == ()) == (shot.event.kind in SCRIPTED)
            else:
                assert actor.motions


def test_a_simple_world_has_one_actor_and_no_events():
    for seed in range(200):
        (shot,) = draw_scene(seed, simple(nano())).shots
        (actor,) = shot.actors
        assert shot.event is None and actor.count == 1 and len(actor.motions) == len(shot.camera) == 1


@pytest.mark.parametrize("by", ["noun", "motion", "facing"])
def test_what_is_random_is_spread_alike_in_every_class(by):
    """Nothing but the named property tells classes apart: size, start and variant have the same mean in all of them."""
    config = replace(simple(nano()), nouns=("dog", "cow", "car"), motions=("still", "right", "jump"))
    seen: dict[str, list[tuple[float, ...]]] = {}
    for seed in range(1500):
        shot = draw_scene(seed, config, "any").shots[0]
        actor = shot.actors[0]
        key = {"noun": actor.noun, "motion": actor.motions[0], "facing": actor.facing}[by]
        seen.setdefault(key, []).append(
            (actor.size * 10, *actor.start, shot.variant / 12, (actor.facing == "left") * (by != "facing"))
        )
    means = np.array([np.mean(v, 0) for v in seen.values()])
    assert (means.max(0) - means.min(0) < 0.16).all()
    counts = Counter({k: len(v) for k, v in seen.items()})
    assert max(counts.values()) < 1.3 * min(counts.values())


def test_a_config_without_scenes_for_a_split_says_so():
    free = next((n, p, m) for n in NOUNS for p in PLACES for m in ("still",) if not held_out(n, p, m))
    config = WorldConfig((free[0],), (free[1],), (free[2],), ("still",))
    with pytest.raises(ValueError, match="no scene for the split 'held out'"):
        draw_scene(1, config, "held out")
