# SPDX-License-Identifier: GPL-3.0-or-later
"""Telling a thing by its shape: its known picture is found in a crop, and how it lies there."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from scene_kit import drawn_sprites

pytest.importorskip("cv2", reason="training needs opencv: pip install '.[training]'")

from comfyui_spacetime.training.judges import nets, shapes

drawn = pytest.mark.usefixtures(drawn_sprites.__name__)


def crop(angle: float, right: float = 0.0, blur: float = 0.0, negative: bool = False) -> torch.Tensor:
    """The drawn dog before a grey ground, turned and moved by a part of the crop's side."""
    picture, _, _ = shapes._posed(stand_in(), angle, 1.0, 1.0)
    pixels = picture[..., :3] + 0.4 * (1 - picture[..., 3:])
    moved = cv2.warpAffine(pixels, np.float32([[1, 0, right * nets.CROP], [0, 1, 0]]), (nets.CROP,) * 2,
                           borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
    soft = cv2.GaussianBlur(moved, (0, 0), blur) if blur else moved
    return torch.from_numpy(1 - soft if negative else soft).permute(2, 0, 1)[None].float()


def stand_in() -> np.ndarray:
    picture = shapes.sprites.premultiplied(shapes.sprites.sprite("dog"))
    return cv2.resize(picture, (2 * nets.CROP,) * 2, interpolation=cv2.INTER_AREA).astype(np.float32) / 255


@drawn
@pytest.mark.parametrize(("blur", "negative"), [(0.0, False), (1.0, False), (0.0, True)])
def test_a_picture_is_like_itself_even_soft_or_as_a_negative(blur, negative):
    assert float(shapes.likeness(shapes.edges(crop(-5, blur=blur, negative=negative)), "dog")) > 0.7


@drawn
def test_colour_alone_is_like_nothing():
    patch = shapes.likeness(shapes.edges(crop(-5, blur=12)), "dog")
    empty = shapes.likeness(shapes.edges(torch.full((1, 3, nets.CROP, nets.CROP), 0.5)), "dog")
    assert float(patch) < 0.45 and float(empty) == 0


@drawn
def test_the_turns_and_the_place_of_a_picture_are_found():
    found = shapes.fit(shapes.edges(torch.cat([crop(10.0 * k, right=0.03 * k) for k in range(3)])), "dog")
    assert np.abs(found.turn - found.turn[0] - [0, 10, 20]).max() <= 5
    assert found.middle[2, 0] - found.middle[0, 0] == pytest.approx(0.06, abs=0.035)
    assert found.alike.min() > 0.6


def test_the_course_of_angles_does_not_jump_about():
    angles = np.array([0.0, 90.0, 180.0, 270.0])
    scores = np.array([[0.9, 0, 0, 0], [0.5, 0, 0.6, 0], [0.9, 0, 0, 0]])
    assert shapes.steadiest(scores, angles) == [0, 0, 0]
