# SPDX-License-Identifier: GPL-3.0-or-later
"""Storyboards: shots as text with times or lengths, a cast that is stated once, JSON in and out."""

from __future__ import annotations

import json

import pytest

from comfyui_spacetime.language.cast import with_cast
from comfyui_spacetime.language.expand import Request
from comfyui_spacetime.language.expand_storyboard import expand_storyboard
from comfyui_spacetime.language.rules import Rules
from comfyui_spacetime.language.storyboard import (
    Shot,
    Storyboard,
    StoryboardError,
    is_storyboard,
    parse_storyboard,
    read_storyboard,
)
from comfyui_spacetime.language.storyboard_text import read_text
from comfyui_spacetime.language.styles import style_named

FILM = """cast Mia: a small red panda with a blue scarf
# how it begins
0-3s: Mia walks to the right in the snow
3-5s: glide, Mia walks to the right at night
5-7.5s: cut, [beach.png] a penguin meets Mia on the beach"""


def test_a_line_is_a_shot_with_its_length_and_transition():
    text = "2 s: a dog runs\n\n# a note\nGlide 1.5: a dog: sleeping\ncontinue 3 seconds: 狗在雪地里\ncut .5s: end"
    assert read_storyboard(text) == [
        Shot(2.0, "a dog runs", "cut"),
        Shot(1.5, "a dog: sleeping", "glide"),
        Shot(3.0, "狗在雪地里", "continue"),
        Shot(0.5, "end", "cut"),
    ]


def test_a_shot_may_say_when_it_begins_and_ends():
    assert read_storyboard("0-4s: a dog runs\n4s - 9s: cut, close-up of a dog\n9–10.25: glide, night") == [
        Shot(4.0, "a dog runs", "cut"),
        Shot(5.0, "close-up of a dog", "cut"),
        Shot(1.25, "night", "glide"),
    ]
    assert [shot.seconds for shot in read_storyboard("0:00-0:58: sea\n0:58-1:04.5: continue, rain")] == [58.0, 6.5]


def test_a_whole_storyboard_fits_in_one_line():
    shots = read_storyboard("0-4s: a dog / a cat in the snow / 4-9s: cut, close-up / glide 2s: night")
    assert [shot.prompt for shot in shots] == ["a dog / a cat in the snow", "close-up", "night"]


def test_a_storyboard_may_be_chinese():
    text = "角色 小红：一只围着蓝围巾的小熊猫\n0-4秒：小红在雪地里走\n4-6秒：渐变，夜晚，小红和小红的影子\n切 2秒：企鹅"
    assert read_storyboard(text) == [
        Shot(4.0, "一只围着蓝围巾的小熊猫在雪地里走", "cut"),
        Shot(2.0, "夜晚，一只围着蓝围巾的小熊猫和那只围着蓝围巾的小熊猫的影子", "glide"),
        Shot(2.0, "企鹅", "cut"),
    ]


def test_the_first_shot_has_nothing_to_go_on_from():
    assert read_storyboard("continue 2 s: a dog")[0].transition == "cut"


def test_looks_are_stated_once_and_said_in_every_shot():
    looks = "a small red panda with a blue scarf"
    assert read_storyboard(FILM) == [
        Shot(3.0, f"{looks} walks to the right in the snow", "cut"),
        Shot(2.0, f"{looks} walks to the right at night", "glide"),
        Shot(2.5, f"a penguin meets {looks} on the beach", "cut", "beach.png"),
    ]


def test_a_name_is_a_whole_word_and_the_longest_one_counts():
    cast = {"Mia": "a panda", "Mia Lin": "an old dog"}
    assert with_cast("Mia Lin and Mia see Miami, mia and Mia Lin", cast) == (
        "an old dog and a panda see Miami, mia and the old dog"
    )


def test_it_is_written_as_it_is_read():
    board = parse_storyboard(FILM)
    assert parse_storyboard(board.to_text()) == board
    assert parse_storyboard(board.to_json()) == board
    assert board.seconds == 7.5
    assert board.to_text().splitlines()[3] == "5-7.5s: cut, [beach.png] a penguin meets Mia on the beach"


def test_thirds_of_a_second_add_up():
    shots = tuple(Shot(1 / 3, f"shot {n}") for n in range(9))
    again = parse_storyboard(Storyboard(shots).to_text())
    assert [shot.seconds for shot in again.shots] == pytest.approx([1 / 3] * 9, abs=1e-5)


def test_json_may_be_a_bare_list_of_shots():
    text = json.dumps([{"seconds": 2, "prompt": "a dog"}, {"seconds": 1.5, "transition": "glide"}])
    assert parse_storyboard(text).shots == (Shot(2.0, "a dog"), Shot(1.5, "", "glide"))


def test_an_editor_knows_where_each_shot_stands():
    reading = read_text(FILM)
    assert [FILM[span.begin : span.end][:4] for span in reading.spans] == ["0-3s", "3-5s", "5-7."]
    line = "0-4s: one / 4-9s: two"
    assert [line[span.begin : span.end] for span in read_text(line).spans] == ["0-4s: one", "4-9s: two"]


def test_expansion_keeps_the_shots_and_the_looks_of_the_cast():
    board = parse_storyboard("cast Mia: a red panda\n0-3s: Mia walks to the right in the snow\n3-5s: glide, Mia jumps")
    dense, made = expand_storyboard(board, Request("", style_named("wan"), seed=3), [Rules()])
    assert [(shot.seconds, shot.transition) for shot in dense.shots] == [(3.0, "cut"), (2.0, "glide")]
    assert all("red panda" in shot.prompt and len(shot.prompt) > 60 for shot in dense.shots)
    assert "right" in dense.shots[0].prompt and len(made) == 2
    assert parse_storyboard(dense.to_text()) == dense


@pytest.mark.parametrize("text", ["2 s: a dog", "cast Mia: a dog\n0-1s: Mia", '{"shots": []}'])
def test_a_storyboard_is_told_from_a_prompt(text):
    assert is_storyboard(text) and not is_storyboard("a dog runs at 5 in the morning: slowly")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "There are no shots"),
        ("2 s: a dog\n  a cat", 'Line 2, column 3: "a cat" is no shot'),
        ("fade 2 s: a dog", 'Line 1, column 1: "fade" is no transition; use cut, continue, glide'),
        ("0 s: a dog", "Line 1, column 1: the shot has a length of 0 seconds"),
        ("0-4s: a dog\n4-3s: a cat", "Line 2, column 3: the shot has a length of -1 seconds"),
        ("0-4s: a dog / 5-6s: a cat", "Line 1, column 15: the shot begins at 5 s, but the one before ends at 4 s"),
        ("1-4s: a dog", "Line 1, column 1: the shot begins at 1 s, but the first one begins at 0"),
        ("0-1s: x\n\n1-2s: glide, [a.png] y", "Line 3, column 14: a picture begins a new scene"),
        ("cast Mia: a dog\ncast Mia: a cat\n1s: Mia", 'Line 2, column 6: "Mia" is in the cast twice'),
        ("cast Mia:\n1s: Mia", 'Line 1, column 10: say what "Mia" looks like'),
        ('{"shots": [\n{"seconds": }]}', "Line 2, column 13: this is no JSON"),
        ("[]", "The list of shots is empty"),
        ('{"scenes": 3}', "The JSON has no list of shots"),
        ('[{"seconds": true}]', "Shot 1 has True seconds"),
        ('[{"seconds": 1, "sound": 2}]', 'Shot 1 has "sound"'),
        ('[{"seconds": 1}, {"seconds": 1, "transition": "glide", "picture": "a.png"}]', "Shot 2 has a picture"),
    ],
)
def test_what_is_no_storyboard_gets_a_sentence_with_the_place(text, sentence):
    with pytest.raises(StoryboardError, match=sentence.replace("(", r"\(")):
        parse_storyboard(text)
