# SPDX-License-Identifier: GPL-3.0-or-later
"""The words that prompts use: no wording means two things, and what people say is understood as it is meant."""

from __future__ import annotations

from collections import defaultdict

import pytest

from comfyui_spacetime.language.facts import facts
from comfyui_spacetime.language.lexicon import KINDS, SYNONYMS, lexicon, passed_over, scan, synonyms, world_words
from comfyui_spacetime.language.picture import read
from comfyui_spacetime.language.tokens import data, tokenize


def meant(prompt):
    """What a prompt mentions, without the words that only ask, fill or join."""
    filling = ("stop", "asking", "manner", "sign", "same", "join")
    return [(m.kind, m.key) for m in scan(prompt) if m.kind not in filling]


def row(phrase):
    return tuple(token.stem for token in tokenize(phrase) if not passed_over(token))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_synonym_means_two_things(language):
    meanings = defaultdict(set)
    for name, kind in KINDS.items():
        for key, entry in synonyms().get(name, {}).items():
            for phrase in entry.get(language, ()):
                meanings[row(phrase)].add((kind, key))
    assert not {phrase: found for phrase, found in meanings.items() if len(found) > 1}
    table = lexicon(language).table
    assert not [phrase for phrase, found in meanings.items() if phrase in table and table[phrase][0] not in found]


def test_synonyms_are_of_what_the_world_or_its_styles_know():
    for name, kind in KINDS.items():
        if kind == "noun":
            assert set(synonyms()[name]) <= set(world_words()["nouns"])
    assert all(data(f"synonyms_{name}") for name in SYNONYMS)


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("could we have three bunnies hopping about on the seashore?",
         [("count", "3"), ("noun", "rabbit"), ("act", "jump"), ("place", "beach")]),
        ("I'd love to see a stallion galloping leftwards at midnight",
         [("noun", "horse"), ("travel", "run"), ("direction", "left"), ("light", "night")]),
        ("the scene is set in a rainforest; a chopper takes to the air",
         [("place", "jungle"), ("noun", "helicopter"), ("direction", "up")]),
        ("a close-up of a tortoise, filmed with a handheld camera",
         [("camera", "close-up"), ("noun", "turtle"), ("camera", "handheld")]),
        ("snow is falling on a lorry", [("weather", "snow"), ("noun", "truck")]),
        ("a coach comes in from the left", [("noun", "bus"), ("travel", "move"), ("direction", "right")]),
        ("我希望看到一匹骏马在夜幕下飞奔",
         [("noun", "horse"), ("light", "night"), ("travel", "run")]),
        ("三輛計程車在城市街道上，鏡頭緩緩推進",
         [("count", "3"), ("noun", "taxi"), ("place", "city"), ("camera", "zoom in")]),
        ("一只橙色的狗转个不停", [("colour", "orange"), ("noun", "dog"), ("act", "spin")]),
        ("一匹马上下跳动", [("noun", "horse"), ("act", "jump")]),
        ("一只狗马上跳起来", [("noun", "dog"), ("act", "jump")]),
    ],
)  # fmt: skip
def test_what_people_say_is_understood(prompt, found):
    assert meant(prompt) == found


@pytest.mark.parametrize(
    ("prompt", "wrong"),
    [
        ("take care of it", "noun"), ("our plans for Mars", "noun"), ("on a stage", "noun"),
        ("a musical note", "negation"),
        ("a red rose", "direction"), ("a parked van", "place"), ("a deserted house", "place"),
        ("a fishing boat", "noun"),
        ("it looks at the camera", "direction"), ("fallen leaves", "direction"), ("a good dessert", "place"),
        ("a salmon and a printer", "noun"), ("牛奶", "noun"), ("银行", "travel"),
    ],
)  # fmt: skip
def test_words_that_only_look_like_others_are_not_taken_for_them(prompt, wrong):
    assert wrong not in {mention.kind for mention in scan(prompt)}


def test_a_colour_in_the_name_of_a_place_does_not_colour_who_is_there():
    picture = read("a dog in a green meadow under a blue sky")
    assert picture is not None and picture.clauses[0].things[0].colour == "" and picture.light == "day"


def test_a_colour_in_the_name_of_a_thing_is_still_a_fact():
    assert [(fact.kind, fact.key) for fact in facts("a black swan")] == [("colour", "black"), ("noun", "swan")]


@pytest.mark.parametrize(
    "prompt",
    [
        "the bus driver waves", "duck tape on a table", "a dinosaur skeleton in a museum", "a duck-billed platypus",
        "a horse-drawn carriage", "Turtle Beach headphones", "a shop called Penguin Books", "a horse race",
        "公交车司机挥手", "恐龙化石",
    ],
)  # fmt: skip
def test_a_thing_in_a_name_or_a_compound_is_not_there(prompt):
    assert "noun" not in {mention.kind for mention in scan(prompt)}


@pytest.mark.parametrize(
    ("prompt", "noun"),
    [
        ("a dog barks", "dog"), ("A Dog Runs On The Beach", "dog"), ("a Dog runs", "dog"), ("a dog asleep", "dog"),
        ("the cow ate it", "cow"), ("dogs bark", "dog"), ("Penguin dances. Penguin sings.", "penguin"),
        ("斑马叫", "zebra"), ("my dog Max", "dog"),
    ],
)  # fmt: skip
def test_a_thing_that_does_something_unknown_is_still_there(prompt, noun):
    assert {mention.key for mention in scan(prompt) if mention.kind == "noun"} == {noun}


@pytest.mark.parametrize(
    "prompt",
    [
        "a horse that does not walk to the left", "a horse, not in the city", "neither a dog nor a cow",
        "一匹马没有向左走", "一只狗不在海滩上跑", "instead of a dog",
    ],
)  # fmt: skip
def test_what_is_denied_is_not_said(prompt):
    assert {fact.kind for fact in facts(prompt) if not fact.kind.startswith("no ")} <= {"noun"}
    assert any(fact.kind.startswith("no ") for fact in facts(prompt))


def test_a_black_and_white_cow_is_no_film_without_colours():
    assert "look" not in {kind for kind, _ in meant("a black and white cow")}
    assert ("look", "black-and-white film") in meant("a cow in black and white")
