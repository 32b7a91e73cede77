# SPDX-License-Identifier: GPL-3.0-or-later
"""Storyboards: one line a shot."""

from __future__ import annotations

import pytest

from comfyui_spacetime.language.storyboard import Shot, StoryboardError, read_storyboard


def test_a_line_is_a_shot_with_its_length_and_transition():
    text = "2 s: a dog runs\n\n# a note\nGlide 1.5: a dog: sleeping\ncontinue 3 seconds: 狗在雪地里\ncut .5s: end"
    assert read_storyboard(text) == [
        Shot(2.0, "a dog runs", "cut"),
        Shot(1.5, "a dog: sleeping", "glide"),
        Shot(3.0, "狗在雪地里", "continue"),
        Shot(0.5, "end", "cut"),
    ]


def test_the_first_shot_has_nothing_to_go_on_from():
    assert read_storyboard("continue 2 s: a dog")[0].transition == "cut"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "There are no shots"),
        ("2 s: a dog\na cat", 'Line 2 is no shot: "a cat"'),
        ("fade 2 s: a dog", 'Line 1 begins with "fade"; use cut, continue, glide'),
        ("0 s: a dog", "length of 0 seconds"),
    ],
)
def test_what_is_no_storyboard_gets_a_sentence_with_the_line(text, sentence):
    with pytest.raises(StoryboardError, match=sentence):
        read_storyboard(text)
