# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene world and its captions: exact truth, the same picture for the same seed, native composition."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("cv2", reason="the scene world needs opencv: pip install '.[training]'")

from comfyui_spacetime.models.text import BYTES, FIRST, TextConfig, Tokenizer
from comfyui_spacetime.training import captions, world
from comfyui_spacetime.training.world import MOTIONS, OBJECTS, Scene


@pytest.fixture(autouse=True)
def square_sprites(monkeypatch):
    """Every sprite is a magenta square that looks left by a white edge: the pictures come from a package otherwise."""
    sprite = np.zeros((256, 256, 4), np.uint8)
    sprite[48:208, 48:208] = (255, 0, 255, 255)
    sprite[48:208, 48:80] = (255, 255, 255, 255)
    monkeypatch.setattr(world, "load_sprite", lambda name: sprite)
    world._sprite.cache_clear()
    yield
    world._sprite.cache_clear()


def scene(motion: str = "still", camera: str = "still", place: str = "meadow") -> Scene:
    return Scene("dog", place, motion, camera, 0.5, (0.0, 0.0), 0, 0)


def middle(cover: np.ndarray) -> tuple[float, float]:
    y, x = np.nonzero(cover > 128)
    return float(x.mean()), float(y.mean())


def test_the_same_seed_draws_and_renders_the_same_clip():
    first, second = world.draw_scene(7), world.draw_scene(7)
    assert first == second
    assert np.array_equal(world.render(first, 64, 64, 5, 8)[0], world.render(second, 64, 64, 5, 8)[0])


def test_held_out_combinations_never_reach_training():
    drawn = [world.draw_scene(seed, "train").combination for seed in range(400)]
    assert not any(world.held_out(*c) for c in drawn)
    kept = [world.draw_scene(seed, "held out").combination for seed in range(50)]
    assert all(world.held_out(*c) for c in kept)


def test_every_class_is_seen_in_training_and_held_out():
    for split in ("train", "held out"):
        drawn = [world.draw_scene(seed, split) for seed in range(1500)]
        assert {s.object for s in drawn} == set(OBJECTS)
        assert {s.motion for s in drawn} == set(MOTIONS)


@pytest.mark.parametrize(("motion", "axis", "sign"), [("right", 0, 1), ("left", 0, -1), ("up", 1, -1), ("down", 1, 1)])
def test_a_moving_object_goes_where_its_truth_says(motion, axis, sign):
    _, cover = world.render(scene(motion), 128, 96, 9, 8)
    assert sign * (middle(cover[-1])[axis] - middle(cover[0])[axis]) > 20


def test_an_object_that_walks_right_faces_right():
    clip, cover = world.render(scene("right"), 128, 128, 3, 8)
    white = (clip[1].min(-1) > 240) & (cover[1] > 200)
    assert np.nonzero(white)[1].mean() > middle(cover[1])[0]


def test_a_camera_pan_leaves_the_object_behind():
    _, cover = world.render(scene(camera="pan right"), 128, 128, 9, 8)
    assert middle(cover[-1])[0] < middle(cover[0])[0] - 10


def test_zooming_in_enlarges_the_object():
    _, cover = world.render(scene(camera="zoom in"), 128, 128, 9, 8)
    assert (cover[-1] > 128).sum() > 1.2 * (cover[0] > 128).sum()


@pytest.mark.parametrize("size", [(96, 96), (160, 64), (64, 160)])
def test_every_aspect_ratio_is_composed_natively(size):
    clip, cover = world.render(scene(), *size, 1, 8)
    assert clip.shape == (1, size[1], size[0], 3)
    y, x = np.nonzero(cover[0] > 128)
    assert x.min() > 0 and x.max() < size[0] - 1 and y.min() > 0 and y.max() < size[1] - 1


def test_snow_falls():
    clip, _ = world.render(scene(place="snow"), 96, 96, 2, 4)
    assert (clip[0] != clip[1]).any()


def test_captions_name_object_place_and_direction():
    rng = np.random.default_rng(0)
    text = [captions.caption(scene("right"), rng, "en") for _ in range(200)]
    assert all("dog" in t or "puppy" in t for t in text)
    assert sum("right" in t for t in text) > 150
    assert not any("left to" not in t and " left" in t for t in text if "from left" not in t)
    assert "狗" in captions.caption(scene(), rng, "zh")


def test_the_vocabulary_spells_nothing_in_bytes_that_captions_say():
    tokenizer = Tokenizer(TextConfig(captions.vocabulary()))
    rng = np.random.default_rng(1)
    for seed in range(300):
        ids = tokenizer.encode(captions.caption(world.draw_scene(seed), rng))
        assert ids and not any(BYTES <= i < FIRST for i in ids)
