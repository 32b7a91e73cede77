# SPDX-License-Identifier: GPL-3.0-or-later
"""Which prompt counts at which latent frame."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from comfyui_spacetime.language.schedule import Board, Turn, read_prompts
from comfyui_spacetime.language.storyboard import Shot, StoryboardError
from comfyui_spacetime.models.edits.timeline import Timeline


def board(text: str) -> Board:
    return Board(tuple(read_prompts(text)), Timeline(4), 8.0)


def test_each_shot_counts_in_its_seconds_and_the_last_one_holds():
    shares = board("1 s: a\ncontinue 1 s: b").shares(9, 8.0)
    assert shares.argmax(0).tolist() == [0, 0, 0, 1, 1, 1, 1, 1, 1] and set(shares.unique().tolist()) == {0, 1}


def test_another_frame_rate_is_another_number_of_frames():
    one = board("1 s: a\ncontinue 1 s: b")
    assert one.shares(13, 24.0).argmax(0).tolist() == [0] * 7 + [1] * 6
    assert torch.equal(one.shares(9, None), one.shares(9, 8.0))


def test_a_glide_takes_over_little_by_little():
    shares = board("1 s: a\nglide 2 s: b").shares(9, 8.0)
    second = shares[1].tolist()
    assert second[:3] == [0, 0, 0] and all(a < b for a, b in pairwise(second[2:8]))
    assert second[-1] == 1 or second[-1] > 0.9
    torch.testing.assert_close(shares.sum(0), torch.ones(9))


def test_a_cut_is_where_another_scene_begins():
    one = board("1 s: a\ncontinue 1 s: b\ncut 1 s: c")
    (cut,) = one.cuts(13, 8.0)
    assert one.shares(13, 8.0).argmax(0).tolist().index(2) == cut
    assert one.cuts(3, 8.0) == []  # beyond the clip's end


def test_text_without_times_is_one_prompt():
    assert read_prompts(" a red panda\n walks ") == [Shot(1.0, "a red panda walks")]
    assert board("a panda").shares(5, 8.0).tolist() == [[1.0] * 5]


def test_a_picture_has_no_place_in_a_schedule():
    with pytest.raises(StoryboardError, match=r"beach.png: a schedule holds prompts only"):
        read_prompts("2 s: [beach.png] a penguin")


def test_a_turn_is_one_scene_with_two_prompts():
    turn = Turn(lambda length: torch.linspace(0, 1, length))
    assert turn.shares(3, 8.0).tolist() == [[1, 0.5, 0], [0, 0.5, 1]] and turn.cuts(3, 8.0) == []
