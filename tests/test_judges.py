# SPDX-License-Identifier: GPL-3.0-or-later
"""The judges: what they measure and see in renders, and that what must not satisfy them does not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from scene_kit import drawn_sprites

pytest.importorskip("cv2", reason="training needs opencv: pip install '.[training]'")

from comfyui_spacetime.training.evaluation import makers, questions
from comfyui_spacetime.training.evaluation.prompts import NEEDS, draw_prompts
from comfyui_spacetime.training.judges import lessons, motion, nets, sight, tracking, train
from comfyui_spacetime.training.run import Run
from comfyui_spacetime.training.saves import RunError
from comfyui_spacetime.training.scenes.config import nano
from comfyui_spacetime.training.scenes.render import render
from comfyui_spacetime.training.scenes.scene import Actor, Scene, Shot
from comfyui_spacetime.training.scenes.sprites import sprite_folder
from comfyui_spacetime.training.settings import Schedule

CAMERAS = [(camera,) for camera in nano().cameras]
MOTIONS = [(name,) for name in nano().motions]
drawn = pytest.mark.usefixtures(drawn_sprites.__name__)
trained = pytest.mark.skipif(
    not nets.WEIGHTS.is_file() or not any(sprite_folder().glob("*.webp")),
    reason="needs the judge's weights and the pictures that ./spacetime train sprites fetches",
)


def filmed(motions=("still",), camera=("still",), weather="clear", place="meadow", facing="left"):
    """A render and where its thing truly is, as coarse as the finder's map."""
    shot = Shot(place, (Actor("dog", motions=motions, facing=facing),), weather=weather, camera=camera)
    clip, truth = render(Scene((shot,)), 256, 256, 17, 8.0)
    side = (nets.MASK, nets.MASK)
    cover = np.stack([cv2.resize(c / 255, side, interpolation=cv2.INTER_AREA) for c in truth.cover])
    return clip, cover, truth


def measured(clip, cover):
    camera = tracking.camera_of(clip, cover)
    return camera, tracking.path_of(clip, cover).seen_by(camera)


@pytest.mark.parametrize("camera", CAMERAS)
@drawn
def test_a_camera_move_is_measured_from_pixels(camera):
    clip, cover, truth = filmed(camera=camera)
    found = tracking.camera_of(clip, cover)
    real = truth.shots[0].camera
    assert found.x[-1] == pytest.approx((real.x[-1] - real.x[0]) / 256, abs=0.03)
    assert found.zoom[-1] == pytest.approx(np.log(real.zoom[-1] / real.zoom[0]), abs=0.03)
    assert motion.name_camera(found, CAMERAS, 8.0) == camera


@pytest.mark.parametrize("motions", [m for m in MOTIONS if m != ("spin",)])  # the stand-in's checks look alike turned
@drawn
def test_a_motion_is_named_though_the_camera_moves(motions):
    clip, cover, _ = filmed(motions, camera=("pan right",))
    assert motion.name_motion([measured(clip, cover)[1]], MOTIONS, 8.0) == motions


@drawn
def test_falling_snow_moves_neither_the_camera_nor_the_thing():
    clip, cover, _ = filmed(weather="snow", place="desert")
    camera, path = measured(clip, cover)
    assert motion.name_camera(camera, CAMERAS, 8.0) == ("still",)
    assert motion.name_motion([path], MOTIONS, 8.0) == ("still",)


@drawn
def test_frames_in_a_random_order_are_no_motion_at_all():
    clip, cover, _ = filmed(("right",))
    order = np.random.default_rng(1).permutation(17)
    assert motion.name_motion([measured(clip[order], cover[order])[1]], MOTIONS, 8.0) == ()


@drawn
def test_what_is_mirrored_goes_the_other_way():
    clip, cover, _ = filmed(("right",))
    mirrored = measured(np.ascontiguousarray(clip[:, :, ::-1]), np.ascontiguousarray(cover[:, :, ::-1]))
    assert motion.name_motion([mirrored[1]], MOTIONS, 8.0) == ("left",)


@drawn
def test_two_motions_are_told_from_the_same_in_the_other_order():
    clip, cover, _ = filmed(("right", "jump"), facing="right")
    path = measured(clip, cover)[1]
    assert motion.misfit(path, ("right", "jump"), 8.0) < motion.misfit(path, ("jump", "right"), 8.0)


@drawn
def test_cuts_are_found_and_neither_snow_nor_what_moves_fast_is_one():
    first, second = (filmed(("right",), weather="snow", place=place)[0] for place in ("meadow", "beach"))
    assert motion.cuts(first) == [] == motion.cuts(filmed(("jump",), camera=("pan left",))[0])
    assert motion.cuts(np.concatenate([first, second])) == [len(first)]
    still = first[:1].repeat(17, 0)
    brighter, popped = still.copy(), still.copy()
    brighter[8:] = np.clip(brighter[8:].astype(int) + 1, 0, 255)
    popped[8:, :60, :60] = 255
    assert motion.cuts(still) == motion.cuts(brighter) == motion.cuts(popped) == []


def test_a_thing_that_is_never_seen_stays_where_it_is():
    path = tracking.path_of(np.zeros((5, 32, 32, 3), np.uint8), np.zeros((5, 48, 48)))
    assert (path.x == 0.5).all() and (path.turn == 0).all()


def test_things_apart_are_two_and_specks_are_none():
    cover = np.zeros((48, 48))
    cover[4:12, 4:12] = cover[20:40, 20:40] = 0.9
    cover[44, 44] = 0.9
    things = sight.find_things(cover)
    assert [int(t.cells.sum()) for t in things] == [400, 64]
    assert things[0].middle == (30 / 48, 30 / 48)


@drawn
def test_lessons_say_where_things_are_and_how_many():
    seen = lessons.views(np.random.default_rng(0), {"full": 1.0}, 8)
    assert seen.frames.shape == (24, 3, nets.FRAME, nets.FRAME) and seen.where.shape == (24, 2, nets.MASK, nets.MASK)
    counts = seen.where[:, 1].sum((1, 2))
    assert (counts - counts.round()).abs().max() < 1e-3
    assert set(seen.facts) == set(nets.SCENERY)


def test_grey_crops_carry_no_colour():
    colours = torch.rand(6, 3, 1, 1).expand(6, 3, 8, 8)
    for rng in (None, np.random.default_rng(0)):
        grey = lessons.grey(colours, rng)
        assert grey.shape == (6, 1, 8, 8) and grey.std((2, 3)).max() < 1e-6


@drawn
def test_the_judge_trains_on_the_shared_loop_and_is_read_back(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "CLIPS", 2)
    monkeypatch.setattr(train, "CROPS", 8)
    part = train.JudgePart(nets.Judge(), {"nano": 1.0})
    monkeypatch.setattr(part, "validate", dict)
    run = Run(part, Schedule(steps=2, log_every=1, average=0.5), tmp_path / "run")
    run.go()
    nets.save_judge(part.module.state_dict(), tmp_path / "judge.safetensors", "test")
    judge = nets.load_judge(tmp_path / "judge.safetensors")
    for name, value in part.module.state_dict().items():
        assert torch.allclose(judge.state_dict()[name].float(), value.float(), atol=2e-3, rtol=2e-3), name
    again = Run(train.JudgePart(nets.Judge(), {"nano": 1.0}), Schedule(steps=2), tmp_path / "run")
    again.resume()
    assert again.step == 2


def test_a_missing_judge_says_how_to_get_one(tmp_path):
    with pytest.raises(RunError, match="spacetime train judge"):
        nets.load_judge(tmp_path / "none.safetensors")


@trained
def test_the_judge_is_small():
    assert nets.WEIGHTS.stat().st_size < 3 * 2**20


@trained
@pytest.mark.slow
@pytest.mark.parametrize("row", [q.row for q in questions.QUESTIONS if q.wording == "English"])
def test_a_judge_reads_renders_and_not_its_control(row):
    world, judge = nano(), nets.load_judge()
    question = next(q for q in questions.QUESTIONS if q.row == row)
    prompts = draw_prompts(NEEDS[question.need], world, 16)

    def share(maker, chosen):
        right = [
            question.right(sight.Sight(judge, clip, p.fps), p.scene, world)
            for p, clip in zip(chosen, maker(chosen), strict=True)
        ]
        return np.mean(right)

    assert share(makers.Renders(), prompts) >= 14 / 16
    controlled = [p for p in prompts if question.controlled(p.scene)]
    assert share(question.control(world), controlled) <= question.chance(world) + 0.25
