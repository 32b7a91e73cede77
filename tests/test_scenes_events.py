# SPDX-License-Identifier: GPL-3.0-or-later
"""Events of the scene world: each is in the truth and in the pixels, and what has happened stays so."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("cv2", reason="the scene world needs opencv: pip install '.[training]'")

from scene_kit import drawn_sprites

from comfyui_spacetime.training.scenes.render import render
from comfyui_spacetime.training.scenes.scene import Actor, Event, Scene, Shot

pytestmark = pytest.mark.usefixtures(drawn_sprites.__name__)
SIZES = [(128, 128), (96, 160), (192, 108)]


def filmed(event: Event, noun: str, width: int = 128, height: int = 128, frames: int = 17, **actor):
    actor.setdefault("motions", ())
    clip, truth = render(Scene((Shot("park", (Actor(noun, **actor),), event=event),)), width, height, frames, 8.0)
    return clip.astype(int), truth.shots[0]


def changed(clip: np.ndarray, a: int, b: int) -> int:
    """How many pixels differ clearly between two frames."""
    return int((np.abs(clip[a] - clip[b]).max(-1) > 24).sum())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("prop", ["tree", "rock", "column"])
@pytest.mark.parametrize("way", ["right", "left"])
def test_what_passes_behind_is_hidden_and_comes_out_the_same(size, prop, way):
    _, truth = filmed(Event("passes behind", prop=prop), "dog", *size, motions=(way,), size=0.4)
    visible = truth.visible[0]
    assert visible[0] > 0.95 and visible[-1] > 0.95 and visible.min() < 0.03
    assert (truth.event.progress[visible < 0.02] > 0.85).all()
    first, last = truth.paths[0][[0, -1], 0]
    assert (last > first) == (way == "right")
    assert truth.mask(0)[0].sum() == pytest.approx(truth.mask(0)[-1].sum(), rel=0.1)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("motions", [("right", "left"), ("left", "right")])
def test_what_leaves_the_frame_comes_back_the_same(size, motions):
    _, truth = filmed(Event("leaves and returns", 0.38, 0.6), "dog", *size, motions=motions)
    visible = truth.visible[0]
    assert visible[0] > 0.95 and visible[-1] > 0.95 and (visible[7:10] == 0).all()
    assert truth.event.progress[8] == 1 and truth.event.progress[-1] == 0
    width = truth.boxes[0, :, 2] - truth.boxes[0, :, 0]
    assert np.ptp(width) < 0.12 * width.mean() + 1
    assert truth.paths[0, 0, 0] == pytest.approx(truth.paths[0, -1, 0], abs=3)


@pytest.mark.parametrize("size", SIZES)
def test_strokes_of_a_brush_stay_on_the_canvas(size):
    clip, truth = filmed(Event("strokes", 0.1, 0.7, colour="blue", count=3), "paintbrush", *size)
    canvas = next(p for p in truth.pieces if p.name == "canvas")
    where = truth.owner == truth.pieces.index(canvas) + 1
    blue = where & (clip[..., 2] - clip[..., 0] > 90)
    painted = blue.sum((1, 2))
    assert painted[0] == 0 and painted[-1] > 60
    seen = blue[:-1] & where[1:]
    assert (clip[1:][seen][:, 2] - clip[1:][seen][:, 0] > 60).mean() > 0.97  # all but the soft edge of the brush
    assert truth.event.progress[-1] == 1 and (np.diff(truth.event.progress) >= 0).all()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_what_is_bitten_off_stays_off(count):
    _, truth = filmed(Event("bites", 0.3, 0.7, count=count), "apple")
    areas = truth.mask(0).sum((1, 2))
    assert areas[-1] < (1 - 0.025 * count) * areas[0]
    assert truth.event.progress[0] == 0 and truth.event.progress[-1] == 1
    assert len(np.unique(truth.event.progress)) == count + 1
    assert truth.visible.min() > 0.98
    assert len(set(np.nonzero(np.diff(truth.event.progress))[0])) == count


@pytest.mark.parametrize(("kind", "burns"), [("goes out", (True, False)), ("is lit", (False, True))])
def test_a_candle_has_a_flame_only_while_it_burns(kind, burns):
    _, truth = filmed(Event(kind, 0.5, 0.5), "candle")
    tops = np.nanmin(truth.boxes[0, :, 1:2], 1)
    high = tops < (tops.min() + tops.max()) / 2
    assert high[:8].all() == burns[0] and high[:8].any() == burns[0]
    assert high[8:].all() == burns[1] and high[8:].any() == burns[1]
    assert truth.event.start == truth.event.end == 8


@pytest.mark.parametrize("size", SIZES)
def test_what_shatters_lies_in_pieces_from_then_on(size):
    clip, truth = filmed(Event("shatters", 0.2, 0.45), "glass", *size)
    pieces = [p for p in truth.pieces if p.instance == 0]
    shown = np.array([[p.state[k] >= 0 for p in pieces] for k in range(17)])
    assert (shown[: truth.event.end].sum(1) == 1).all()
    assert (shown[truth.event.end :].sum(1) == len(pieces) - 1).all() and len(pieces) > 6
    assert changed(clip, 13, 16) == 0
    assert truth.paths[0, -1, 1] > truth.paths[0, 0, 1] + 0.2 * min(size)
    assert truth.boxes[0, -1, 2] - truth.boxes[0, -1, 0] > 1.2 * (truth.boxes[0, 0, 2] - truth.boxes[0, 0, 0])
    assert truth.boxes[0, -1, 0] > -3 and truth.boxes[0, -1, 2] < size[0] + 3


@pytest.mark.parametrize(("way", "side"), [("right", 1), ("left", -1)])
def test_a_runner_on_a_treadmill_faces_the_way_he_runs_and_stays_there(way, side):
    clip, truth = filmed(Event("treadmill"), "dog", motions=(way,))
    assert np.ptp(truth.paths[0, :, 0]) < 4
    machine = truth.pieces.index(next(p for p in truth.pieces if p.name == "treadmill"))
    assert side * (np.nonzero(truth.owner[8] == machine + 1)[1].mean() - truth.paths[0, 8, 0]) > -20
    inside = truth.mask(0)[8]
    face = inside & (clip[8].min(-1) > 225)
    assert side * (np.nonzero(face)[1].mean() - np.nonzero(inside)[1].mean()) > 5
    belt = (truth.owner[3] == machine + 1) & (truth.owner[4] == machine + 1)
    assert (np.abs(clip[3] - clip[4]).max(-1)[belt] > 40).sum() > 10


@pytest.mark.parametrize("count", [3, 4, 5])
@pytest.mark.parametrize("size", SIZES)
def test_those_that_mingle_stay_as_many(count, size):
    _, truth = filmed(Event("mingles"), "dog", *size, frames=33, count=count)
    assert len(truth.instances) == count
    assert truth.visible.shape == (count, 33)
    assert (truth.visible > 0.15).mean() > 0.93
    for path in truth.paths[..., 0]:  # none jumps from one place to another
        assert np.abs(np.diff(path)).max() < 0.12 * size[0]
    order = np.argsort(truth.paths[..., 0], axis=0)
    assert (order[:, 0] != order[:, 16]).any()
    assert ((truth.boxes[..., 0] > -2) & (truth.boxes[..., 2] < size[0] + 2)).all()
