# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark's free wordings load, cover the small world evenly, and mistakes in the file are named."""

from __future__ import annotations

import importlib
from collections import Counter

import pytest

from comfyui_spacetime.training.scenes.config import nano

wordings = importlib.import_module("comfyui_spacetime.bench._wordings")


def test_there_are_enough_prompts_in_both_languages():
    loaded = wordings.load()
    assert len(loaded) >= 160
    assert sum(w.chinese for w in loaded) >= 40 and sum(not w.chinese for w in loaded) >= 120


@pytest.mark.parametrize("key", ["noun", "place", "motion"])
def test_every_word_of_the_world_is_asked_for_often_enough(key):
    counts = Counter(getattr(w, key) for w in wordings.load())
    assert not {word: counts[word] for word in getattr(nano(), f"{key}s") if counts[word] < 8}


def test_many_prompts_say_more_than_the_world_can_show():
    loaded = wordings.load()
    assert sum(bool(w.keep) for w in loaded) >= len(loaded) / 5
    assert sum(bool(w.filler) for w in loaded) >= len(loaded) / 4


GOOD = '[[prompt]]\ntext = "a dog, turning, on a farm"\nnoun = "dog"\nplace = "farm"\nmotion = "spin"\n'


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        (GOOD.replace('"dog"', '"cat"'), r"prompt 1 \('a dog, turning.*noun 'cat' is not in the nano world.*rabbit"),
        (GOOD + 'mood = "sad"\n', "unknown key 'mood'"),
        (GOOD + "camera = 3\n", "camera is a text"),
        (GOOD + 'keep = "a hat"\n', "keep 'a hat' is not a part of its text"),
        (GOOD.replace('motion = "spin"\n', ""), "lacks 'motion'"),
        (GOOD + GOOD, "prompt 2.*twice"),
        (GOOD.replace("[[prompt]]", "[prompt]"), "table of its own"),
        ("[[prompt", "no valid TOML"),
    ],
)
def test_a_mistake_is_named_with_its_entry(toml, said, tmp_path):
    (tmp_path / "w.toml").write_text(toml, encoding="utf-8")
    with pytest.raises(ValueError, match=said):
        wordings.load(tmp_path / "w.toml")
