# SPDX-License-Identifier: GPL-3.0-or-later
"""Captions of the scene world: what they say is true, and dense ones say everything."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import caption_reader
import numpy as np
import pytest

from comfyui_spacetime.host import entry
from comfyui_spacetime.models.text import TextConfig, Tokenizer
from comfyui_spacetime.training.scenes import captions
from comfyui_spacetime.training.scenes.config import full
from comfyui_spacetime.training.scenes.draw import draw_scene
from comfyui_spacetime.training.scenes.scene import CAMERAS, MOTIONS, SCRIPTED, Actor, Event, Scene, Shot

CONFIG = full()
TOKENIZER = Tokenizer(TextConfig(captions.vocabulary(), length=captions.LENGTH))


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def drawn(seed: int) -> Scene:
    """A scene of the world; some are made busier than the world draws them."""
    scene = draw_scene(seed, CONFIG, "any")
    r = rng(seed)
    if seed % 4 == 0 and scene.shots[0].event is None:
        return replace(scene, shots=tuple(busier(shot, r) for shot in scene.shots))
    return scene


def busier(shot: Shot, r: np.random.Generator) -> Shot:
    """The shot with two motions, two camera moves and somebody beside it who does two things."""
    motions = [MOTIONS[i] for i in r.choice(len(MOTIONS), 4, replace=False)]
    moves = tuple(CAMERAS[i] for i in r.choice(len(CAMERAS), 2, replace=False))
    other = draw_scene(int(r.integers(1 << 30)), CONFIG, "any").shots[0].actors[0]
    relation = ("left of", "right of", "above", "behind")[int(r.integers(4))]
    beside = replace(other, motions=tuple(motions[2:]), relation=relation, count=int(r.integers(1, 6)))
    return replace(shot, actors=(replace(shot.actors[0], motions=tuple(motions[:2])), beside), camera=moves)


def truth(scene: Scene) -> list[tuple]:
    """What a dense caption has to say."""
    told = []
    for shot in scene.shots:
        event, actors = shot.event, []
        for i, actor in enumerate(shot.actors):
            motions = actor.motions
            if i == 0 and event:
                motions = () if event.kind in SCRIPTED else motions[:1]
            actors.append((actor.noun, str(actor.count), actor.colour, motions, actor.relation))
        count = str(event.count) if event and event.kind in ("strokes", "bites") else None
        happens = (event.kind, event.prop, count, event.colour) if event else (None,) * 4
        told.append((actors, shot.place, shot.light, shot.weather, shot.camera, happens))
    return told


def understood(text: str, language: str) -> tuple[list[tuple], str]:
    """What a caption says, read by the keyword table; light and weather hold on from shot to shot."""
    shots, look, unknown = caption_reader.read(text, language)
    assert not unknown, f"{unknown} in: {text}"
    told, light, weather = [], "day", "clear"
    for shot in shots:
        facts = shot.facts
        light, weather = facts.get("lights", light), facts.get("weathers", weather)
        happens = tuple(facts.get(k) for k in ("event", "prop", "event count", "event colour"))
        actors = []
        for i, actor in enumerate(shot.actors):
            idle = () if i == 0 and happens[0] else ("still",)
            actors.append((actor.noun, actor.count, actor.colour, tuple(actor.motions) or idle, actor.relation))
        told.append((actors, facts.get("place"), light, weather, tuple(shot.camera) or ("still",), happens))
    return told, look


@pytest.mark.parametrize("language", ["en", "zh"])
def test_dense_captions_say_all_that_is_true_and_nothing_else(language):
    for seed in range(500):
        scene = drawn(seed)
        text = captions.dense(scene, rng(seed), language)
        assert understood(text, language) == (truth(scene), scene.look), text


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "zh"])
def test_thousands_of_dense_captions_say_all_that_is_true_and_nothing_else(language):
    for seed in range(1000, 4000):
        scene = drawn(seed)
        text = captions.dense(scene, rng(seed), language)
        assert understood(text, language) == (truth(scene), scene.look), text


@pytest.mark.parametrize("language", ["en", "zh"])
def test_short_captions_say_noun_motion_and_place_of_the_first_shot(language):
    for seed in range(300):
        scene = drawn(seed)
        text = captions.short(scene, rng(seed), language)
        ((actors, place, *_, event),), _ = understood(text, language)
        first = truth(scene)[0]
        assert (actors[0][0], actors[0][3], place, event[0]) == (first[0][0][0], first[0][0][3], first[1], first[5][0])


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_free_wording_says_what_is_true(language, held):
    for seed in range(300):
        scene = draw_scene(seed, CONFIG, "any")
        made = captions.free(scene, rng(seed), language, held)
        if made.style == "no punctuation":  # phrases run into each other
            continue
        found, _ = caption_reader.matches(made.text, language, held)
        said = [fact for _, facts in found for fact in facts]
        shots = captions.shots_said(scene, made.facts)
        actors = [a for s in shots for a in (s.actors if "others" in made.facts else s.actors[:1])]
        happens = {s.event.kind for s in shots if s.event}
        for kind, values in {
            "noun": {a.noun for a in actors},
            "place": {s.place for s in shots},
            "lights": {s.light for s in shots},
            "weathers": {s.weather for s in shots},
            "motion": {m for a in actors for m in a.motions},
            "camera": {m for s in shots for m in s.camera},
            "event": happens,
            "look": {scene.look},
        }.items():
            mentioned = {value for name, value in said if name == kind} - {"orange"}
            assert mentioned <= values, made.text
            if kind in ("noun", "place", "event"):
                assert mentioned >= values - {"orange"}, made.text


def test_fewer_than_one_in_a_hundred_dense_captions_is_cut_by_the_encoder():
    for language in ("en", "zh"):
        texts = [captions.dense(draw_scene(s, CONFIG, "any"), rng(s), language) for s in range(500)]
        long = sum(captions.pieces(text) > captions.LENGTH for text in texts)
        assert long < 5


@pytest.mark.parametrize("language", ["en", "zh"])
def test_captions_of_known_words_need_no_spelling(language):
    known = set(TOKENIZER.ids)
    for seed in range(300):
        scene = drawn(seed)
        for text in (
            captions.dense(scene, rng(seed), language),
            captions.free(scene, rng(seed), language).text,
            captions.vague(scene, rng(seed), language).text,
            captions.image_caption(scene, rng(seed), language),
        ):
            missing = [w for w in captions.WORDS.findall(text.lower()) if w not in known]
            assert not missing, f"{missing} in: {text}"


def test_the_same_generator_gives_the_same_caption():
    scene = drawn(3)
    assert captions.caption(scene, rng(1)) == captions.caption(scene, rng(1))
    assert len({captions.caption(scene, rng(s)).text for s in range(50)}) > 40


def test_people_are_one_they_and_verbs_agree():
    scene = Scene((Shot("park", (Actor("cook", motions=("right",)),), camera=("follow",)),))
    texts = [captions.dense(scene, rng(s)) for s in range(300)]
    assert not [t for t in texts if " they walks" in t or " they goes" in t or "follows it" in t]
    several = replace(scene, shots=(replace(scene.shots[0], actors=(Actor("dog", count=3, motions=("jump",)),)),))
    texts = [captions.dense(several, rng(s)) for s in range(300)]
    assert not [t for t in texts if " dogs jumps" in t or " it " in t or " a dogs" in t]


@pytest.mark.parametrize(("side", "other"), [("left", "right"), ("right", "left")])
def test_a_direction_is_never_said_without_its_own_side(side, other):
    scene = Scene((Shot("park", (Actor("duck", motions=(side,)),)),))
    for seed in range(200):
        text = captions.dense(scene, rng(seed)).lower()
        assert side in text and (other not in text or f"from {other} to {side}" in text), text
        chinese = captions.dense(scene, rng(seed), "zh")
        here, there = ("左", "右") if side == "left" else ("右", "左")
        assert here in chinese and (there not in chinese or f"从{there}向{here}" in chinese), chinese


def test_an_event_that_is_left_out_does_not_leave_a_lie():
    scene = Scene((Shot("kitchen", (Actor("vase", motions=()),), event=Event("shatters")),))
    for seed in range(200):
        made = captions.vague(scene, rng(seed))
        if "event" not in made.facts:
            assert not [w for w in ("still.", "rest", "remain", "stay") if w in made.text], made.text


def test_a_still_picture_shows_the_state_before_and_after_an_event():
    candle = Scene((Shot("kitchen", (Actor("candle", motions=()),), event=Event("goes out", 0.4, 0.6)),))
    before = [captions.image_caption(candle, rng(s), phase=0.1) for s in range(20)]
    after = [captions.image_caption(candle, rng(s), phase=0.9) for s in range(20)]
    assert all("burning" in t or "with a flame" in t for t in before)
    assert all("not burning" in t or "without a flame" in t for t in after)


def test_free_wording_for_evaluation_uses_no_sentence_of_training():
    scene = drawn(5)
    for language in ("en", "zh"):
        trained = {captions.free(scene, rng(s), language).text for s in range(500)}
        held = {captions.free_wording(scene, rng(s), language).text for s in range(500)}
        assert len(held) > 100 and not trained & held


def test_vague_captions_leave_something_out():
    scene = drawn(4)
    for seed in range(100):
        made = captions.vague(scene, rng(seed))
        assert made.text and made.facts < captions.DENSE


def test_slips_never_make_another_word():
    words = set(captions.vocabulary())
    text = "a horse trots to the right in the forest"
    slips = {captions.misspell(text, rng(s)) for s in range(300)}
    assert len(slips) > 20
    for slip in slips - {text}:
        assert [w for w in slip.split() if w not in words], slip


def test_a_language_that_is_not_spoken_is_named():
    with pytest.raises(ValueError, match="'de'"):
        captions.dense(drawn(0), rng(0), "de")


SPOKEN = """
import entry, numpy
entry.load_package()
from comfyui_spacetime.training.scenes import captions, config, draw
for seed in range(8):
    scene = draw.draw_scene(seed, config.nano(), "any")
    for say in (captions.vague, captions.free, captions.free_wording, captions.caption):
        print(scene, say(scene, numpy.random.default_rng(seed)).text)
"""


def test_a_seed_gives_the_same_scenes_and_words_in_every_process():
    said = []
    for order in "0", "1":  # in which Python goes through sets of words
        environment = os.environ | {"PYTHONHASHSEED": order, "PYTHONPATH": str(entry.ROOT / "host")}
        command = [sys.executable, "-c", SPOKEN]
        said.append(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)
    assert said[0] == said[1] and said[0].count("Scene(") == 32
