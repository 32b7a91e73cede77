# SPDX-License-Identifier: GPL-3.0-or-later
"""The measures that footage is judged by: scene cuts, filters, letters over the picture, signatures of clips."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip("cv2", reason="training needs opencv: pip install '.[training]'")

from footage_kit import FPS, dissolve, shot, subtitle

from comfyui_spacetime.training.footage.filters import FILTERS, judge
from comfyui_spacetime.training.footage.hashes import NEAR, distance, signature
from comfyui_spacetime.training.footage.overlay import overlaid_letters
from comfyui_spacetime.video.cuts import Cut, find_cuts


def cuts(*parts):
    return find_cuts(np.concatenate(parts), FPS)[0]


def names(clip):
    return [finding.filter for finding in judge(clip)]


def test_hard_cuts_are_found_to_the_frame():
    assert cuts(shot(1, 20), shot(2, 9), shot(3, 20)) == [Cut(20, 20), Cut(29, 29)]


def test_motion_is_no_cut():
    assert cuts(shot(1, 60)) == []


@pytest.mark.parametrize("length", [1, 3])
def test_a_flash_is_no_cut(length):
    clip = shot(1, 40)
    clip[20 : 20 + length] = clip[20 : 20 + length] // 4 + 190
    assert cuts(clip) == []


def test_a_change_of_light_is_no_cut():
    clip = shot(1, 50)
    gain = np.interp(np.arange(50), [20, 30], [1.0, 0.4])[:, None, None, None]
    assert cuts((clip * gain).astype(np.uint8)) == []


def test_a_dissolve_is_cut_out():
    (cut,) = cuts(dissolve(shot(1, 40), shot(2, 40), 12))
    assert not cut.is_hard and abs(cut.start - 28) <= 3 and abs(cut.stop - 40) <= 3


def test_a_fade_through_black_parts_two_scenes():
    down = np.linspace(1, 0, 12)[:, None, None, None]
    a, b = shot(1, 40), shot(2, 40)
    a[-12:], b[:12] = (a[-12:] * down).astype(np.uint8), (b[:12] * down[::-1]).astype(np.uint8)
    found = cuts(a, b)
    assert found and found[0].start >= 25 and found[-1].stop <= 55


def test_a_good_clip_passes_every_filter():
    assert all(names(shot(seed, 17)) == [] for seed in range(6))


def test_spoilt_clips_are_dropped_for_what_is_wrong_with_them():
    clip, rng = shot(1, 17, 320, 192), np.random.default_rng(0)
    still = np.repeat(clip[:1], 17, 0)
    hung = clip.copy()
    hung[6:] = clip[6]
    spoilt = {
        "static": np.clip(still + rng.normal(0, 2, still.shape), 0, 255).astype(np.uint8),
        "black": (clip * 0.06).astype(np.uint8),
        "plain": np.clip(rng.normal(240, 2, clip.shape), 0, 255).astype(np.uint8),
        "frozen": hung,
        "blurred": np.stack([cv2.GaussianBlur(frame, (0, 0), 6) for frame in clip]),
        "text": subtitle(clip),
    }
    assert {name: names(bad) for name, bad in spoilt.items()} == {name: [name] for name in spoilt}
    assert set(spoilt) == {chosen.name for chosen in FILTERS}


def test_a_night_with_lights_is_not_black():
    clip = (shot(1, 17) * 0.05).astype(np.uint8)
    for i, frame in enumerate(clip):
        cv2.circle(frame, (20 + 3 * i, 40), 9, (250, 240, 200), -1)
    assert "black" not in names(clip)


def test_a_sharp_face_before_a_soft_background_is_sharp():
    clip = np.stack([cv2.GaussianBlur(frame, (0, 0), 6) for frame in shot(1, 17, 320, 192)])
    rng = np.random.default_rng(1)
    clip[:, 60:130, 100:200] = cv2.resize(rng.integers(0, 256, (14, 20, 3), np.uint8), (100, 70), interpolation=0)
    assert "blurred" not in names(clip)


def test_a_subtitle_counts_also_when_it_stands_for_half_of_the_clip_only():
    clip = shot(1, 33, 320, 192)
    half = clip.copy()
    half[17:] = subtitle(clip)[17:]
    assert overlaid_letters(clip) == 0 and overlaid_letters(half) > 4


def test_windows_of_a_house_and_signs_that_pass_by_are_no_letters():
    house = shot(1, 17)
    house[:, 30:60, 10:150] = (60, 50, 50)
    for x in range(14, 146, 12):
        house[:, 38:52, x : x + 7] = (240, 230, 160)
    moving = shot(2, 17)
    for i, frame in enumerate(moving):
        cv2.putText(frame, "BUS STOP", (5 + 4 * i, 60), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    assert overlaid_letters(house) == 0 and overlaid_letters(moving) == 0


def test_a_copy_in_another_size_light_and_quality_has_a_near_signature():
    clip = shot(4, 17, 320, 192)
    copy = np.stack([cv2.resize(frame, (160, 96), interpolation=cv2.INTER_AREA) for frame in clip]) // 2 + 40
    assert distance(signature(clip), signature(copy)) < NEAR


def test_other_shots_and_other_moments_of_a_shot_have_far_signatures():
    long = shot(5, 80)
    marks = [signature(clip) for clip in (shot(1, 17), shot(2, 17), long[:33], long[40:73])]
    assert all(distance(a, b) > NEAR for i, a in enumerate(marks) for b in marks[:i])
