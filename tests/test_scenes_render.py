# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendered scenes: native composition, parallax, exact motion, and things that stay what and where they are."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

pytest.importorskip("cv2", reason="the scene world needs opencv: pip install '.[training]'")

from scene_kit import drawn_sprites

from comfyui_spacetime.training.scenes import places, sprites
from comfyui_spacetime.training.scenes.config import full
from comfyui_spacetime.training.scenes.draw import draw_scene
from comfyui_spacetime.training.scenes.render import render, split
from comfyui_spacetime.training.scenes.scene import LIGHTS, LOOKS, PLACES, WEATHERS, Actor, Scene, Shot

pytestmark = pytest.mark.usefixtures(drawn_sprites.__name__)


def shot(*motions: str, camera: tuple[str, ...] = ("still",), place: str = "meadow", **actor) -> Shot:
    return Shot(place, (Actor("dog", motions=motions or ("still",), **actor),), camera=camera)


def filmed(one: Shot, width: int = 128, height: int = 128, frames: int = 9, fps: float = 8.0):
    return render(Scene((one,)), width, height, frames, fps)


def test_the_same_scene_renders_the_same_clip():
    scene = draw_scene(3, full(), "any")
    first, second = render(scene, 96, 64, 5, 8.0)[0], render(scene, 96, 64, 5, 8.0)[0]
    assert np.array_equal(first, second)


@pytest.mark.parametrize("seed", range(6))
def test_any_scene_renders_at_any_shape(seed):
    scene = draw_scene(seed * 37, full(), "any")
    for width, height, frames in ((96, 64, 5), (64, 112, 2), (64, 64, 1)):
        clip, truth = render(scene, width, height, frames, 8.0)
        assert clip.shape == (frames, height, width, 3) and truth.cover.shape == (frames, height, width)


def test_a_size_that_cannot_be_rendered_is_named():
    with pytest.raises(ValueError, match="0 frames of 64 x 64"):
        filmed(shot(), 64, 64, 0)


@pytest.mark.parametrize("place", PLACES)
def test_a_portrait_is_composed_as_a_portrait(place):
    """It is no crop of the square: horizon and floor lie where they lie in any shape, and things keep their size."""
    one = replace(shot(place=place), variant=3)
    tall, truth = filmed(one, 96, 192, 1)
    square, other = filmed(one, 96, 96, 1)
    left, top, right, bottom = truth.shots[0].boxes[0, 0]
    assert left >= 0 and right <= 96
    assert bottom / 192 == pytest.approx(other.shots[0].boxes[0, 0, 3] / 96, abs=0.03)
    assert bottom - top == pytest.approx(other.shots[0].boxes[0, 0, 3] - other.shots[0].boxes[0, 0, 1], abs=2)
    shrunk = cv2.resize(tall[0], (96, 96), interpolation=cv2.INTER_AREA)
    for crop in (tall[0][:96], tall[0][48:144], tall[0][96:]):
        assert np.abs(crop.astype(float) - square[0]).mean() > 8
    sky = slice(0, 20)
    assert np.abs(shrunk[sky].astype(float) - square[0][sky]).mean() < 60


@pytest.mark.parametrize("place", PLACES)
def test_light_and_weather_change_a_place(place):
    pictures = [
        np.mean(
            filmed(replace(shot(place=place), light=light, weather=weather), 64, 64, 1)[0], dtype=np.float64, axis=0
        )
        for light, weather in [*((light, "clear") for light in LIGHTS), *(("day", w) for w in WEATHERS[1:])]
    ]
    for i, one in enumerate(pictures):
        for other in pictures[:i]:
            assert np.abs(one - other).mean() > 2


def test_nearer_layers_move_more_under_a_pan():
    _, truth = filmed(shot(camera=("pan right",), place="meadow"))
    shifts = [m[0, 0, 2] - m[-1, 0, 2] for m in truth.shots[0].layers.values()]
    assert len(shifts) >= 4 and shifts == sorted(shifts) and shifts[0] > 0 and shifts[-1] > 5 * shifts[0]


def test_an_orbit_keeps_the_actor_and_moves_far_and_near_against_each_other():
    _, truth = filmed(shot(camera=("orbit right",)))
    shift = {name: m[-1, 0, 2] - m[0, 0, 2] for name, m in truth.shots[0].layers.items()}
    assert shift["sky"] > 10 and abs(shift["grass"]) < 1e-6 and shift["near grass"] < -5
    assert np.ptp(truth.shots[0].paths[0, :, 0]) < 1e-6


def test_a_following_camera_keeps_the_actor_where_it_is():
    _, truth = filmed(shot("right", camera=("follow",)))
    assert np.ptp(truth.shots[0].paths[0, :, 0]) < 3
    grass = truth.shots[0].layers["grass"]
    assert grass[-1, 0, 2] - grass[0, 0, 2] < -30


def test_two_camera_moves_follow_each_other():
    _, truth = filmed(shot(camera=("pan right", "zoom in")), frames=17)
    path = truth.shots[0].camera
    assert path.zoom[8] == pytest.approx(path.zoom[0]) and path.zoom[-1] > 1.2 * path.zoom[8]
    assert path.x[8] > path.x[0] + 10 and path.x[-1] == pytest.approx(path.x[8])


@pytest.mark.parametrize(("motion", "axis", "sign"), [("right", 0, 1), ("left", 0, -1), ("up", 1, -1), ("down", 1, 1)])
def test_a_moving_actor_goes_where_its_truth_says(motion, axis, sign):
    _, truth = filmed(shot(motion))
    seen = [np.mean(np.nonzero(m), 1)[::-1] for m in truth.shots[0].mask(0)]
    assert sign * (seen[-1] - seen[0])[axis] > 25
    assert np.abs(np.array(seen) - truth.shots[0].paths[0]).max() < 4


def test_two_motions_follow_each_other():
    _, truth = filmed(shot("right", "up", size=0.3), frames=17)
    path = truth.shots[0].paths[0]
    assert path[8, 0] - path[0, 0] > 25 and abs(path[16, 0] - path[8, 0]) < 3
    assert abs(path[8, 1] - path[0, 1]) < 6 and path[16, 1] < path[8, 1] - 20


@pytest.mark.parametrize(("motion", "side"), [("right", 1), ("left", -1)])
def test_an_actor_faces_the_way_it_goes(motion, side):
    clip, truth = filmed(shot(motion))
    inside = truth.shots[0].mask(0)[4]
    face = inside & (clip[4].min(-1) > 225)
    assert side * (np.nonzero(face)[1].mean() - np.nonzero(inside)[1].mean()) > 5


@pytest.mark.parametrize("camera", [("still",), ("pan left",), ("zoom in",), ("orbit left",), ("handheld",)])
@pytest.mark.parametrize("motion", ["right", "jump", "closer", "spin"])
def test_the_motion_truth_reproduces_a_frame_from_an_earlier_one(camera, motion):
    clip, truth = filmed(shot(motion, camera=camera, size=0.5), 160, 160, 9)
    now, before = 6, 2
    flow, seen = truth.flow(now, before)
    y, x = np.mgrid[0:160, 0:160].astype(np.float32)
    rebuilt = cv2.remap(clip[before], x + flow[0], y + flow[1], cv2.INTER_LINEAR)
    error = np.abs(rebuilt.astype(float) - clip[now]).mean(-1)
    inner = seen & (cv2.erode(truth.cover[now], np.ones((7, 7))) > 0)
    assert inner.sum() > 400
    assert error[inner].mean() < 7
    assert error[seen].mean() < 0.75 * np.abs(clip[before].astype(float) - clip[now]).mean(-1)[seen].mean() + 2


def test_the_motion_truth_of_one_frame_is_none():
    _, truth = filmed(shot("right"))
    flow, seen = truth.flow(3, 3)
    assert np.abs(flow).max() < 1e-3 and seen[truth.cover[3] > 0].all()


@pytest.mark.parametrize("count", [2, 3, 4, 5])
@pytest.mark.parametrize("size", [(128, 128), (96, 160), (192, 96)])
def test_as_many_as_are_named_are_seen_in_every_frame(count, size):
    _, truth = filmed(shot("jump", count=count), *size)
    assert truth.shots[0].visible.shape[0] == count
    assert truth.shots[0].visible.min() > 0.25


@pytest.mark.parametrize("relation", ["left of", "right of", "above", "behind"])
def test_a_relation_holds_in_every_frame(relation):
    one = Shot("park", (Actor("dog", size=0.34), Actor("cow", size=0.34, motions=("jump",), relation=relation)))
    _, truth = filmed(one)
    first, second = (truth.shots[0].instances.index((k, 0)) for k in (0, 1))
    a, b = truth.shots[0].paths[first], truth.shots[0].paths[second]
    if relation == "left of":
        assert (b[:, 0] < a[:, 0] - 20).all()
    elif relation == "right of":
        assert (b[:, 0] > a[:, 0] + 20).all()
    elif relation == "above":
        assert (b[:, 1] < a[:, 1] - 20).all()
    else:
        visible = truth.shots[0].visible
        assert visible[first].min() > 0.9 and 0.2 < visible[second].min() < 0.95


def test_a_cut_shows_the_same_character_elsewhere_and_no_motion_leads_across_it():
    one, two = shot("right"), shot("jump", place="city")
    clip, truth = render(Scene((one, replace(two, share=2.0))), 96, 96, 12, 8.0)
    assert split(truth.scene, 12) == [(0, 4), (4, 8)] and truth.cuts == (4,)
    jump = np.abs(np.diff(clip.astype(float), axis=0)).mean((1, 2, 3))
    assert jump.argmax() == 3 and jump[3] > 2 * np.median(jump)
    assert not truth.flow(5, 2)[1].any() and truth.flow(6, 5)[1].any()


@pytest.mark.parametrize("look", LOOKS[1:])
def test_a_look_changes_the_picture_and_stands_still_where_the_scene_does(look):
    one = shot()
    plain, _ = render(Scene((one,)), 96, 96, 3, 8.0)
    clip, _ = render(Scene((one,), look), 96, 96, 3, 8.0)
    assert np.abs(clip.astype(float) - plain).mean() > 4
    assert np.array_equal(clip[0], clip[2])


def test_black_and_white_film_has_no_colour():
    clip, _ = render(Scene((shot(),), "black-and-white film"), 64, 64, 1, 8.0)
    assert np.ptp(clip.astype(int), axis=-1).max() == 0


def test_rain_falls_outdoors_everywhere_and_indoors_behind_the_window_only():
    outside = filmed(replace(shot(), weather="rain"), frames=3)[0]
    inside = filmed(replace(shot(place="kitchen"), weather="rain"), frames=3)[0]
    moved = [(np.abs(np.diff(c.astype(int), axis=0)).max((0, 3)) > 20) for c in (outside, inside)]
    assert moved[0][96:].any() and not moved[1][96:].any() and moved[1][:64].any()


def test_every_place_has_several_compositions():
    for place in PLACES:
        one, other = (places.layers(place, "day", "clear", v, 96, 96) for v in (0, 1))
        assert any(
            a.image.shape != b.image.shape or (a.image != b.image).any() for a, b in zip(one, other, strict=True)
        )


def test_a_blob_has_the_colours_of_its_thing_in_another_outline_always_the_same():
    thing, blob = sprites.sprite("dog").astype(float), sprites.blob("dog").astype(float)
    assert np.array_equal(blob, sprites.blob("dog")) and not np.array_equal(blob, sprites.blob("cow"))
    solid = [picture[picture[..., 3] > 250][:, :3] for picture in (thing, blob)]
    assert np.abs(solid[0].mean(0) - solid[1].mean(0)).max() < 25
    differs = (thing[..., 3] > 128) != (blob[..., 3] > 128)
    assert 0.05 < differs.mean() < 0.4
