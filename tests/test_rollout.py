# SPDX-License-Identifier: GPL-3.0-or-later
"""A long clip in chunks: which frames are made when, history that is a little noisy, colour that is held."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
import torch

from comfyui_spacetime.models.edits.rollout import FREE, KNOWN, MIXED, Chunk, chunks, corrupt, hold_colour, states
from comfyui_spacetime.models.edits.timeline import Timeline

LINE = Timeline(4)


def covered(found: list[Chunk], length: int) -> bool:
    """Every latent frame is made once."""
    return sorted(frame for chunk in found for frame in range(chunk.begin, chunk.end)) == list(range(length))


def test_each_chunk_sees_the_end_of_the_one_before_it():
    found = chunks([FREE] * 19, window=9, context=3, timeline=LINE)
    assert found == [
        Chunk(0, 9),
        Chunk(9, 14, before=3, lead=1, anchored=True),
        Chunk(14, 19, before=3, lead=1, anchored=True),
    ]
    assert found[1].places == [5, 6, 7, 8, 9, 10, 11, 12, 13]


@pytest.mark.parametrize("length", [1, 5, 9, 10, 11, 120, 121, 122])
@pytest.mark.parametrize("line", [LINE, Timeline(8, lone_first=False)])
def test_any_length_is_covered_by_windows_of_at_most_the_size(length, line):
    found = chunks([FREE] * length, 9, 3, line)
    assert covered(found, length)
    assert all(chunk.lead + chunk.before + chunk.count <= 9 for chunk in found)
    made = [chunk.count for chunk in found[1:]]
    assert not made or max(made) - min(made) <= 1  # no sliver at the end


def test_a_vae_whose_first_group_is_like_the_others_needs_no_lead():
    assert [chunk.lead for chunk in chunks([FREE] * 30, 9, 3, Timeline(8, lone_first=False))] == [0] * 5


def test_a_context_that_leaves_nothing_is_refused():
    with pytest.raises(ValueError, match="a context of 8 latent frames leaves nothing to make in a window of 9"):
        chunks([FREE] * 30, 9, 8, LINE)


def test_the_last_chunk_of_a_bridge_sees_where_it_leads():
    state = [KNOWN] * 3 + [FREE] * 20 + [KNOWN] * 3
    found = chunks(state, 9, 3, LINE)
    assert covered(found, 26)
    assert [chunk.after for chunk in found if FREE in state[chunk.begin : chunk.end]][-1] == 3 or found[-1].end > 23


def test_what_leads_to_a_known_end_from_nothing_is_made_from_its_end():
    found = chunks([FREE] * 20 + [KNOWN] * 3, 9, 3, LINE)
    assert covered(found, 23)
    backward = [chunk for chunk in found if chunk.backward]
    assert [chunk.begin for chunk in backward] == [15, 10, 5, 0] and all(chunk.after == 3 for chunk in backward)
    assert [chunk.lead for chunk in backward] == [1, 1, 1, 0] and not any(chunk.anchored for chunk in backward)


@pytest.mark.parametrize("line", [LINE, Timeline(8, lone_first=False)])
def test_what_a_chunk_sees_is_known_or_was_made_before_it(line):
    rng = random.Random(0)
    for _ in range(2000):
        length, window = rng.randint(2, 40), rng.randint(3, 12)
        context = rng.randint(0, window - 2)
        state = [FREE] * length
        for _ in range(rng.randint(0, 3)):
            at = rng.randrange(length)
            end = min(length, at + rng.randint(1, 4))
            state[at:end] = [KNOWN] * (end - at)
        cuts = sorted(rng.sample(range(1, length), min(length - 1, rng.randint(0, 2))))
        done = {frame for frame in range(length) if state[frame] == KNOWN}
        for chunk in chunks(state, window, context, line, cuts):
            seen = {*range(chunk.begin - chunk.before, chunk.begin), *range(chunk.end, chunk.end + chunk.after)}
            assert seen <= done, (state, window, context, cuts, chunk)
            done |= set(range(chunk.begin, chunk.end))
        assert done == set(range(length))


def test_a_known_end_within_the_first_window_needs_no_way_back():
    assert not any(chunk.backward for chunk in chunks([FREE] * 5 + [KNOWN] * 3 + [FREE] * 9, 9, 3, LINE))


def test_a_cut_begins_a_scene_that_sees_nothing_of_the_one_before():
    found = chunks([FREE] * 24, 9, 3, LINE, cuts=[11])
    assert covered(found, 24)
    opening = next(chunk for chunk in found if chunk.begin == 11)
    assert (opening.before, opening.lead, opening.anchored, opening.opens) == (0, 1, False, True)
    assert all(chunk.begin - chunk.before >= 11 for chunk in found if chunk.begin >= 11)
    following = next(chunk for chunk in found if chunk.begin > 11)
    assert following.before == 3 and following.anchored


def test_a_mask_says_which_frames_are_known():
    mask = torch.ones(1, 1, 3, 2, 2)
    mask[:, :, 0] = 0
    mask[:, :, 1, 0] = 0
    assert states(mask, 3) == [KNOWN, MIXED, FREE] and states(None, 2) == [FREE, FREE]
    assert states(torch.full((1, 1, 1, 1, 1), 0.5), 2) == [MIXED, MIXED]


def test_noisy_history_is_the_same_each_time_and_as_loud_as_asked():
    latent = torch.zeros(1, 8, 4, 16, 16)
    noisy = corrupt(latent, 0.1, 7)
    assert torch.equal(noisy, corrupt(latent, 0.1, 7)) and not torch.equal(noisy, corrupt(latent, 0.1, 8))
    assert noisy.std().item() == pytest.approx(0.1, rel=0.05) and corrupt(latent, 0, 7) is latent


def test_a_drifting_colour_is_pulled_back_without_an_edge():
    reference = torch.randn(1, 4, 5, 8, 8, generator=torch.Generator().manual_seed(1))
    made = reference * 1.1 + 0.3
    held = hold_colour(made, reference, 1.0)
    off = (held - reference).mean((0, 1, 3, 4))
    assert 0.2 < off[0] < 0.3 and abs(off[-1]) < 0.01 and all(a > b for a, b in pairwise(off))
    half = hold_colour(made, reference, 0.5)[:, :, -1] - reference[:, :, -1]
    assert half.mean().item() == pytest.approx(0.15, abs=0.02)
    assert hold_colour(made, reference, 0.0) is made


def test_another_picture_is_not_repainted_in_the_first_one_s_colours():
    reference = torch.randn(1, 4, 5, 8, 8, generator=torch.Generator().manual_seed(1))
    held = hold_colour(reference + 5, reference, 1.0)
    assert (held - reference).mean((0, 1, 3, 4))[-1].item() == pytest.approx(4.5, abs=0.1)


def test_a_bridge_is_held_in_its_middle_only():
    reference = torch.randn(1, 4, 5, 8, 8, generator=torch.Generator().manual_seed(1))
    off = (hold_colour(reference + 0.3, reference, 1.0, (True, True)) - reference).mean((0, 1, 3, 4))
    assert off.argmin() == 2 and off[0] > off[1] and off[4] > off[3]
