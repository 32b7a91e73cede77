# SPDX-License-Identifier: GPL-3.0-or-later
"""Edits of (samples, mask): which latents are known, where, and how strongly; no host needed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import tiny_vae

from comfyui_spacetime.models.edits.clip import blank, bridge, change, curve, fill_gaps, lay, melt
from comfyui_spacetime.models.edits.masks import latent_mask
from comfyui_spacetime.models.edits.seam import Residual, blur, fade, fill_region, to_picture
from comfyui_spacetime.models.edits.segments import encode_segment
from comfyui_spacetime.models.edits.timeline import Timeline

CAUSAL, EIGHT, PLAIN = Timeline(4), Timeline(8), Timeline(4, lone_first=False)


def known(edit) -> list[float]:
    """How much is known of each latent frame."""
    return [round(1 - float(value), 3) for value in edit.mask.mean((0, 1, 3, 4))]


def run(length: int, value: float) -> torch.Tensor:
    return torch.full((1, 3, length, 2, 2), value)


# -- counting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("line", "counts"), [(CAUSAL, [0, 1, 5, 9]), (EIGHT, [0, 1, 9, 17]), (PLAIN, [0, 4, 8, 12])])
def test_latent_frames_hold_groups_of_frames(line, counts):
    assert [line.frames(n) for n in range(4)] == counts
    assert [line.latents(n) for n in counts] == [0, 1, 2, 3]


@pytest.mark.parametrize(("frame", "latent"), [(0, 0), (1, 1), (4, 1), (5, 2), (8, 2), (9, 3)])
def test_every_frame_lies_in_one_latent_frame(frame, latent):
    assert CAUSAL.latent_of(frame) == latent


@pytest.mark.parametrize(
    ("wanted", "at_the_begin", "inside"), [(0, 1, 4), (1, 1, 4), (6, 5, 8), (8, 9, 8), (16, 17, 16)]
)
def test_lengths_go_to_whole_latent_frames(wanted, at_the_begin, inside):
    assert (CAUSAL.run(wanted, True), CAUSAL.run(wanted, False)) == (at_the_begin, inside)


# -- segments --------------------------------------------------------------------------------------------------------


def pixels(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (count, 32, 32, 3), np.uint8)


@torch.inference_mode()
def encode(frames: np.ndarray) -> torch.Tensor:
    return tiny_vae().encode(torch.from_numpy(frames).movedim(-1, 0)[None].float() / 127.5 - 1)


def test_a_segment_at_the_begin_is_encoded_as_it_is():
    frames = pixels(9)
    assert torch.equal(encode_segment(encode, frames, 0, CAUSAL), encode(frames))


def test_a_segment_with_an_unknown_past_has_its_first_frame_in_its_place():
    frames = pixels(8)
    latent = encode_segment(encode, frames, 5, CAUSAL)
    assert latent.shape[2] == 2
    assert torch.equal(latent, encode(np.concatenate([frames[:1], frames]))[:, :, 1:])


def test_where_the_first_frame_is_not_alone_a_whole_group_is_repeated():
    seen = []
    encode_segment(lambda f: seen.append(f) or torch.zeros(1, 3, len(f) // 4, 1, 1), pixels(8), 4, PLAIN)
    assert len(seen[0]) == 12 and (seen[0][:4] == seen[0][4]).all()


def test_frames_that_do_not_fill_latent_frames_are_refused_with_the_next_number():
    with pytest.raises(ValueError, match=r"7 frames at frame 0 .* take 9"):
        encode_segment(encode, pixels(7), 0, CAUSAL)
    with pytest.raises(ValueError, match=r"9 frames at frame 5 .* take 8"):
        encode_segment(encode, pixels(9), 5, CAUSAL)
    with pytest.raises(ValueError, match="no latent frame begins at frame 3; the nearest before it begins at 1"):
        encode_segment(encode, pixels(8), 3, CAUSAL)


# -- known parts -----------------------------------------------------------------------------------------------------


def test_a_bridge_knows_both_sides_and_nothing_between():
    edit = bridge(run(3, 1.0), 4, run(2, 2.0))
    assert known(edit) == [1, 1, 1, 0, 0, 0, 0, 1, 1]
    assert edit.samples[0, 0, :, 0, 0].tolist() == [1] * 5 + [2] * 4  # gaps take the nearest known frame


def test_an_extension_is_a_bridge_with_one_side():
    assert known(bridge(run(2, 1.0), 2, None)) == [1, 1, 0, 0]
    assert known(bridge(None, 2, run(2, 1.0))) == [0, 0, 1, 1]


def test_a_bridge_of_nothing_or_from_nothing_is_refused():
    with pytest.raises(ValueError, match="0 latent frames cannot be generated"):
        bridge(run(1, 0.0), 0, None)
    with pytest.raises(ValueError, match="nothing is known"):
        bridge(None, 1, None)


def test_a_keyframe_s_strength_says_how_long_it_is_held():
    edit = lay(lay(blank(3, 4, 2, 2), run(1, 1.0), 0), run(1, 2.0), 3, strength=0.7)
    assert known(edit) == [1, 0, 0, 0.7]


def test_a_keyframe_outside_the_clip_or_of_another_size_is_refused():
    with pytest.raises(ValueError, match="latent frames 3 to 4 do not lie in a clip of 4"):
        lay(blank(3, 4, 2, 2), run(2, 1.0), 3)
    with pytest.raises(ValueError, match="does not fit"):
        lay(blank(3, 4, 2, 4), run(2, 1.0), 0)


def test_a_clip_of_which_nothing_is_known_has_no_gaps_to_fill():
    edit = blank(3, 2, 2, 2)
    assert fill_gaps(edit) is edit


def test_a_strength_may_change_over_time_and_stay_in_a_region():
    region = torch.zeros(1, 2, 2)
    region[:, 0] = 1
    edit = change(run(5, 1.0), curve([0.0, 1.0], 5), region)
    assert edit.mask[0, 0, :, 0, 0].tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert not edit.mask[0, 0, :, 1].any()


@pytest.mark.parametrize(
    ("points", "length", "values"),
    [([0.5], 3, [0.5] * 3), ([0.0, 1.0, 0.0], 5, [0, 0.5, 1, 0.5, 0]), ([0.2, 0.9], 1, [0.2])],
)
def test_a_curve_is_linear_between_its_points(points, length, values):
    assert curve(points, length).tolist() == pytest.approx(values)


def test_two_clips_melt_from_the_one_into_the_other():
    edit = melt(run(5, 0.0), run(5, 1.0), strength=0.8)
    assert edit.samples[0, 0, :, 0, 0].tolist() == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    freedom = edit.mask[0, 0, :, 0, 0]
    assert freedom[0] == freedom[4] == 0 and freedom[2] == pytest.approx(0.8) and (freedom[1:4] > 0.5).all()
    with pytest.raises(ValueError, match="differ"):
        melt(run(5, 0.0), run(4, 0.0), 1.0)
    with pytest.raises(ValueError, match="no middle"):
        melt(run(2, 0.0), run(2, 0.0), 1.0)


# -- masks -----------------------------------------------------------------------------------------------------------


def test_one_marked_pixel_makes_its_position_unknown_in_every_frame():
    mask = torch.zeros(1, 32, 64)
    mask[0, 20, 40] = 1
    cells = latent_mask(mask, 3, 2, 4, CAUSAL)
    assert cells.shape == (3, 2, 4)
    assert [tuple(place) for place in cells[0].nonzero().tolist()] == [(1, 2)] and (cells == cells[0]).all()


def test_a_moving_mask_counts_in_the_latent_frame_of_its_frame():
    mask = torch.zeros(9, 16, 16)
    mask[3] = 1
    assert latent_mask(mask, 3, 1, 1, CAUSAL).flatten().tolist() == [0, 1, 0]


def test_a_token_is_known_as_a_whole_or_not_at_all():
    mask = torch.zeros(1, 48, 48)
    mask[0, 0, 0] = 1
    assert latent_mask(mask, 1, 3, 3, CAUSAL, patch=2)[0].tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]


def test_a_mask_of_another_length_is_refused():
    with pytest.raises(ValueError, match="mask has 8 frames; it takes 1 or 9"):
        latent_mask(torch.zeros(8, 16, 16), 3, 1, 1, CAUSAL)


# -- seams -----------------------------------------------------------------------------------------------------------


def test_a_residual_fades_smoothly_to_nothing():
    weights = [fade(distance, 4) for distance in range(7)]
    assert weights[0] == 1 and weights == sorted(weights, reverse=True) and weights[5:] == [0, 0]


def test_a_blur_keeps_what_is_even():
    assert np.allclose(blur(np.full((5, 7, 3), 9, np.float32), 2), 9)
    spot = np.zeros((9, 9), np.float32)
    spot[4, 4] = 9
    assert np.allclose(blur(spot, 1)[3:6, 3:6], 1) and blur(spot, 1).sum() == pytest.approx(9)


def test_what_decoding_lost_returns_where_the_picture_is_the_same_and_not_where_it_has_changed():
    original = np.random.default_rng(0).integers(90, 110, (32, 64, 3), dtype=np.uint8)
    decoded = np.full_like(original, 100)
    following = decoded.copy()
    following[:, 32:] = 220  # something has come into the right half
    frame = following.astype(np.float32)
    first = to_picture(following, Residual(original, decoded, 8).share(frame, 0))
    assert (first[:, :24] == original[:, :24]).all() and (first[:, 40:] == 220).all()
    assert (to_picture(following, Residual(original, decoded, 8).share(frame, 9)) == following).all()


def test_lost_detail_of_what_moves_does_not_stand_still():
    """A spot that the decoder loses: one that was there before stays for a while, one that has just come does not."""
    original, decoded = (np.full((32, 64, 3), 100, np.uint8) for _ in range(2))
    before = original.copy()
    original[16, 16] = original[16, 48] = 255
    before[16, 16] = before[16, 44] = 255  # the right one was elsewhere
    residual = Residual(original, decoded, 8, before)
    near, later = (to_picture(decoded, residual.share(decoded.astype(np.float32), d))[16, :, 0] for d in (1, 2))
    assert near[16] > 240 and 100 < near[48] < 200
    assert later[16] > 200 and later[48] == 100


def test_a_region_is_filled_and_every_pixel_around_it_stays():
    original = np.full((64, 64, 3), 100, np.uint8)
    decoded = np.full((64, 64, 3), 90, np.uint8)
    region = np.zeros((64, 64), bool)
    region[16:48, 16:48] = True
    out = fill_region(original, decoded, region, 4)
    assert (out[~region] == 100).all()
    assert (out[16, 16:48] >= 97).all() and (out[30:34, 30:34] == 90).all()
