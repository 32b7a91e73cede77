# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of the scene world: complete, unambiguous, rightly inflected."""

from __future__ import annotations

import re

import caption_reader
import pytest

from comfyui_spacetime.language.english import article, gerund, plural, third_person
from comfyui_spacetime.models.text import WORDS, TextConfig, TextEncoder, Tokenizer
from comfyui_spacetime.training.scenes import nouns, scene
from comfyui_spacetime.training.scenes.words import emojibase, kinds, way, wordings
from comfyui_spacetime.training.scenes.words.vocabulary import vocabulary

CLASSES = {
    "nouns": tuple(nouns.NOUNS),
    "colours": nouns.COLOURS,
    "places": scene.PLACES,
    "lights": scene.LIGHTS,
    "weathers": scene.WEATHERS,
    "motions": scene.MOTIONS,
    "cameras": scene.CAMERAS,
    "events": scene.EVENTS,
    "props": scene.PROPS,
    "looks": scene.LOOKS,
}
HOMOGRAPHS = {"en": {"orange"}, "zh": set()}  # "an orange" is a fruit, "an orange fish" has a colour


@pytest.mark.parametrize("kind", CLASSES)
def test_every_class_has_words_in_both_languages_and_no_other_has(kind):
    assert set(kinds()[kind]) == set(CLASSES[kind])
    for key in CLASSES[kind]:
        for language in ("en", "zh"):
            names = {*wordings(kind, key, language), *wordings(kind, key, f"{language}_in")}
            assert names, f"{kind} {key} has no word in {language}"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_wording_in_any_form_belongs_to_two_classes(language):
    assert caption_reader.words(language).doubles == HOMOGRAPHS[language]
    assert caption_reader.words(language, held=True).doubles == HOMOGRAPHS[language]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_held_out_wordings_are_none_of_those_that_training_uses(language):
    for kind, classes in kinds().items():
        if kind in ("ways", "counts"):
            continue
        trained = {w for key in classes for w in wordings(kind, key, language)}
        held = {w for entry in classes.values() for w in entry.get(f"{language}_held", ())}
        assert not trained & held, f"{kind}: {trained & held}"


def test_held_out_phrases_are_made_of_words_that_training_uses():
    pieces, unknown = set(vocabulary()), []
    for kind, classes in kinds().items():
        for entry in classes.values() if kind not in ("ways", "nouns") else ():
            for phrase in (*entry.get("en_held", ()), *entry.get("zh_held", ())):
                unknown += [w for w in WORDS.findall(re.sub(r"\{\w+\}|\*", "", phrase).lower()) if w not in pieces]
    assert not unknown


def test_held_out_nouns_are_spelt_without_bytes():
    tokenizer = Tokenizer(TextConfig(vocabulary()))
    for key, entry in kinds()["nouns"].items():
        for name in (*entry.get("en_held", ()), *entry.get("zh_held", ())):
            assert min(tokenizer.encode(name)) > 256, f"{key}: {name}"


def test_every_noun_has_measure_words_and_a_known_way_of_moving():
    for name, noun in nouns.NOUNS.items():
        assert kinds()["nouns"][name]["measure"]
        assert way(name, noun.gait) in kinds()["verbs"]


def test_every_sentence_frame_has_a_place_for_everything():
    for kind in ("plain", "bare", "question", "imperative", "story", "next"):
        for language in ("en", "en_held", "zh", "zh_held"):
            for frame in kinds()["frames"][kind].get(language, ()):
                assert "{S}" in frame or "{R}" in frame, frame
                assert language.startswith("zh") or ("{P" in frame and "{T}" in frame), frame
                assert kind == "bare" or "{V" in frame, frame


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("fox", "foxes"), ("butterfly", "butterflies"), ("mouse", "mice"), ("fish", "fish"), ("policeman", "policemen"),
        ("slice of pizza", "slices of pizza"), ("bus", "buses"), ("key", "keys"), ("field mouse", "field mice"),
        ("billy goat", "billy goats"), ("fairy cake", "fairy cakes"), ("wrench", "wrenches"), ("sheep", "sheep"),
    ],
)  # fmt: skip
def test_plurals(word, expected):
    assert plural(word) == expected


@pytest.mark.parametrize(
    ("verb", "third", "ing"),
    [
        ("run", "runs", "running"), ("go", "goes", "going"), ("fly", "flies", "flying"), ("hop", "hops", "hopping"),
        ("stay", "stays", "staying"), ("move", "moves", "moving"), ("do", "does", "doing"),
        ("spin", "spins", "spinning"), ("stretch", "stretches", "stretching"), ("tilt", "tilts", "tilting"),
        ("rise", "rises", "rising"),
        ("topple", "topples", "toppling"), ("twirl", "twirls", "twirling"), ("roll", "rolls", "rolling"),
        ("quiver", "quivers", "quivering"), ("crash", "crashes", "crashing"), ("get", "gets", "getting"),
        ("leap", "leaps", "leaping"), ("float", "floats", "floating"), ("zoom", "zooms", "zooming"),
    ],
)  # fmt: skip
def test_verb_forms(verb, third, ing):
    assert (third_person(verb), gerund(verb)) == (third, ing)


def test_articles_follow_the_sound():
    assert [article(w) for w in ("owl", "dog", "umbrella", "8-bit clip", "suv", "hour", "orange fish")] == [
        *("an", "a", "an", "an", "an", "an", "an")
    ]


def test_the_vocabulary_fits_the_encoder_s_budget():
    pieces = vocabulary()
    assert len(set(pieces)) == len(pieces) <= 4000
    encoder = TextEncoder(TextConfig(pieces, length=80))
    assert sum(p.numel() for p in encoder.parameters()) * 2 < 3e6  # bytes in bf16


def test_a_word_that_is_not_the_name_data_s_is_noticed():
    names = {language: {} for language in emojibase.LANGUAGES}
    for noun, entry in kinds()["nouns"].items():
        for language in emojibase.LANGUAGES:
            names[language].setdefault(emojibase.code(nouns.NOUNS[noun].code), set()).update(entry.get(language, ()))
    assert emojibase.strangers(names) == []
    names["en"][emojibase.code(nouns.NOUNS["cat"].code)].remove("kitten")
    assert emojibase.strangers(names) == ["cat: kitten"]


def test_names_are_read_by_code_point():
    entries = [{"hexcode": "1F56F-FE0F", "label": "Candle", "tags": ["light"]}]
    assert emojibase.by_code(entries) == {"1f56f": {"candle", "light"}}
