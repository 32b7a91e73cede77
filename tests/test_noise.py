# SPDX-License-Identifier: GPL-3.0-or-later
"""The noise plan: every pattern, and how often each is drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("cv2", reason="training needs opencv: pip install '.[training]'")

from comfyui_spacetime.training import noise
from comfyui_spacetime.training.noise import Mix, plan

ONLY = {"whole": 0.0, "prefix": 0.0, "suffix": 0.0, "both": 0.0, "some": 0.0, "chunks": 0.0, "regions": 0.0}


def draw(name, frames=6, clips=300, **more):
    """Plans of one pattern only: told and level, each (clips, frames)."""
    made = plan(clips, frames, 4, 4, np.random.default_rng(0), Mix(**{**ONLY, name: 1.0, "corrupted": 0.0, **more}))
    return made.told.flatten(1), made.level.flatten(1)


def test_whole_clips_have_one_timestep_each():
    told, level = draw("whole")
    assert (told == told[:, :1]).all() and torch.equal(told, level)
    assert told.min() > 0 and told.max() <= 1 and told[:, 0].unique().numel() > 250


def test_a_wider_spread_gives_more_clean_and_more_noisy_clips():
    narrow, wide = (draw("whole", clips=2000, spread=s)[1][:, 0] for s in (1.0, 1.6))
    assert wide.std() > 1.1 * narrow.std()


def test_timesteps_of_given_normal_numbers_are_those_that_are_drawn():
    drawn, rng = noise.base_timestep(50, 300, np.random.default_rng(0), 1.4, 0.5), np.random.default_rng(0)
    given = torch.from_numpy(rng.normal(0, 1.4, 50)) / 1.4
    torch.testing.assert_close(noise.base_timestep(50, 300, rng, 1.4, 0.5, given), drawn)


def test_a_smaller_shift_gives_cleaner_clips():
    usual, cleaner = (draw("whole", clips=2000, frames=20, shift=s)[1][:, 0] for s in (1.0, 0.5))
    assert cleaner.median() < usual.median() - 0.05


def runs(known):
    """Known frames as text: "##...." is a prefix of two."""
    return {"".join("#" if k else "." for k in row) for row in known}


def test_a_prefix_of_one_to_all_but_one_frame_is_known():
    told, _ = draw("prefix")
    assert runs(told == 0) == {"#" * n + "." * (6 - n) for n in range(1, 6)}


def test_a_suffix_is_known():
    told, _ = draw("suffix")
    assert runs(told == 0) == {"." * n + "#" * (6 - n) for n in range(1, 6)}


def test_both_ends_are_known_and_something_between_them_is_not():
    found = runs(draw("both")[0] == 0)
    assert all(text[0] == text[-1] == "#" and "." in text for text in found)
    assert {"#....#", "##...#", "#...##"} <= found


def test_of_two_frames_both_ends_means_the_first():
    assert runs(draw("both", frames=2)[0] == 0) == {"#."}


def test_random_frames_are_known_at_most_half_of_them():
    found = runs(draw("some")[0] == 0)
    assert max(text.count("#") for text in found) == 3 and min(text.count("#") for text in found) == 1
    assert "..#..." in found


@pytest.mark.parametrize("name", noise.KNOWN)
def test_unknown_frames_share_one_timestep(name):
    told, level = draw(name)
    for row in told:
        assert row[row > 0].unique().numel() == 1
    assert torch.equal(told, level), "nothing is corrupted"


def test_chunks_have_a_timestep_each_and_rise_with_time_in_half_of_the_clips():
    told, _ = draw("chunks", frames=8)
    changes = (told.diff(dim=1) != 0).sum(1)
    assert changes.min() >= 1 and changes.max() == 7
    rising = (told.diff(dim=1) >= 0).all(1).float().mean()
    assert 0.5 < rising < 0.8  # few chunks rise by chance, too


def test_regions_are_whole_tokens_known_in_every_frame():
    rng = np.random.default_rng(0)
    for _ in range(100):
        mask = noise.known_region(3, 6, 8, rng)
        tokens = mask.reshape(3, 3, 2, 4, 2)
        assert (tokens == tokens[:, :, :1, :, :1]).all() and not mask.all()
    made = plan(64, 3, 6, 8, rng, Mix(regions=1.0))
    assert made.told.shape == (64, 1, 3, 6, 8)
    assert 0.3 < (made.told == 0).flatten(1).any(1).float().mean() < 0.6


def test_a_corrupted_past_is_a_little_noisy_though_it_is_called_known():
    told, level = draw("prefix", corrupted=1.0, corruption=0.15)
    known = told == 0
    assert level[known].max() < 0.15 and level[known].min() >= 0 and level[known].mean() > 0.05
    assert torch.equal(told[~known], level[~known])
    one_level = torch.stack([row[k].max() - row[k].min() for row, k in zip(level, known, strict=True)])
    assert (one_level == 0).all()


def test_a_third_of_known_parts_are_corrupted_by_default():
    told, level = draw("prefix", corrupted=Mix().corrupted)
    share = ((told == 0) & (level > 0)).any(1).float().mean()
    assert 0.25 < share < 0.42


def test_the_default_mix_has_the_shares_it_names():
    rng = np.random.default_rng(0)
    flat = torch.cat([m.told.flatten(1) for m in (plan(8, 5, 8, 8, rng) for _ in range(80)) if m.told.shape[-1] == 1])
    whole = (flat == flat[:, :1]).all(1).float().mean()
    known = (flat == 0).any(1).float().mean()
    assert 0.5 < whole < 0.7 and 0.13 < known < 0.27
    assert (flat > 0).any(1).all(), "a clip that is wholly known teaches nothing"


def test_images_are_never_partly_known_over_time():
    made = plan(32, 1, 4, 4, np.random.default_rng(0), Mix(**{**ONLY, "prefix": 1.0}))
    assert (made.told > 0).all()
