# SPDX-License-Identifier: GPL-3.0-or-later
"""Shots and Glide Prompts: scenes one after the other, shared context, prompts that change over a clip."""

from __future__ import annotations

import json
import weakref
from typing import Any

import numpy as np
import pytest
import torch
from clip_kit import finished, frames_of
from node_kit import Kit, as_the_executor_does, make_kit, recorded  # noqa: F401
from PIL import Image

pytestmark = pytest.mark.host


def shoot(kit: Kit, text: str, model: Any = None, keep_subject: bool = False, context: float = 0.5) -> Any:
    from comfyui_spacetime.nodes.shots import Shots

    return Shots.execute(
        model or kit.model, kit.clip, kit.vae, text, "", "1:1", 64, 8.0, context, keep_subject, 3, 2, 2.0, "euler",
        "spacetime",
    ).result[0]  # fmt: skip


def words(kit: Kit, text: str) -> Any:
    return kit.clip.encode_from_tokens_scheduled(kit.clip.tokenize(text))


def test_a_scene_goes_on_in_the_same_latent_and_a_cut_begins_another(kit):
    scenes = shoot(kit, "1 s: a cup\ncontinue 1 s: a red cup\ncut 1 s: a panda")
    assert [scene["samples"].shape[2] for scene in scenes] == [5, 3]
    video = finished(kit, *scenes)
    assert video.get_frame_count() == 17 + 9 and len(list(video.frames())) == 26


def test_what_goes_on_sees_the_end_of_what_was(kit):
    """The known frames of the second shot are the decoded end of the first."""
    model, calls = recorded(kit.model)
    scenes = shoot(kit, "1 s: a cup\ncontinue 1 s: a red cup", model)
    last = calls[-1]
    assert last.x.shape[2] == 2 + 2 and not last.timestep[:, :, :2].any() and last.timestep[:, :, 2:].all()
    frames = kit.vae.decode(scenes[0]["samples"][:, :, :3])[0][-5:].clamp(0, 1)
    seen = kit.vae.encode((frames * 255).round() / 255)
    torch.testing.assert_close(last.x[:1, :, :2].float(), seen, atol=2e-2, rtol=0)


def test_of_a_long_scene_only_the_end_is_in_memory(kit, monkeypatch):
    from comfyui_spacetime.nodes import vae_stream

    alive, most, original = set(), [0], vae_stream.decode_frames

    def watched(*args: Any) -> Any:
        for number, frame in enumerate(original(*args)):
            own = frame.copy()
            alive.add((id(own), number))
            weakref.finalize(own, alive.discard, (id(own), number))
            most[0] = max(most[0], len(alive))
            yield own

    monkeypatch.setattr(vae_stream, "decode_frames", watched)
    scenes = shoot(kit, "8 s: a cup\ncontinue 1 s: a red cup\ncut 1 s: a panda", keep_subject=True)
    assert scenes[0]["samples"].shape[2] == 19 and most[0] <= 5 + 5  # what the model sees, and a frame of each shot


def test_a_kept_subject_is_shown_to_a_later_scene_but_not_in_it(kit):
    model, calls = recorded(kit.model)
    scenes = shoot(kit, "1 s: a cup\ncut 1 s: a panda", model, keep_subject=True)
    assert scenes[1]["samples"].shape[2] == 4 and not calls[-1].timestep[:, :, 0].any()
    assert finished(kit, *scenes).get_frame_count() == 9 + 8


def test_a_shot_may_begin_with_a_picture(kit, host_base):
    """It is shown as it is, the model sees it, and the kept subject is not needed there."""
    picture = np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8)
    (host_base / "input").mkdir(exist_ok=True)
    Image.fromarray(picture).save(host_base / "input" / "begin.png")
    model, calls = recorded(kit.model)
    scenes = shoot(kit, "1 s: a cup\ncut 1 s: [begin.png] a panda\ncontinue 1 s: it runs", model, keep_subject=True)
    assert [scene["samples"].shape[2] for scene in scenes] == [3, 5]
    frames = frames_of(finished(kit, *scenes))
    assert len(frames) == 9 + 17 and np.array_equal(frames[9], picture) and not np.array_equal(frames[10], picture)
    assert not calls[2].timestep[:, :, 0].any() and calls[2].timestep[:, :, 1:].all()


@pytest.mark.parametrize("name", ["absent.png", "../secret.png"])
def test_a_picture_that_cannot_be_used_is_named_before_anything_is_sampled(kit, name):
    model, calls = recorded(kit.model)
    with pytest.raises(ValueError, match=rf"The picture \[{name}\] of the shot \"a panda\" cannot be used"):
        shoot(kit, f"1 s: a cup\n1 s: [{name}] a panda", model)
    assert not calls


def test_the_front_end_gets_the_frame_that_each_shot_begins_with(kit, host_base):
    from comfyui_spacetime.nodes.shots import Shots

    output = Shots.execute(
        kit.model, kit.clip, kit.vae, "1 s: a cup\ncontinue 1 s: a red cup\ncut 1 s: a panda", "", "1:1", 64, 8.0, 0.5,
        False, 3, 1, 2.0, "euler", "spacetime",
    )  # fmt: skip
    assert output.ui["text"] == ("3 shots in 2 scenes, 26 frames",)
    saved = [host_base / "temp" / frame["filename"] for frame in output.ui["shot_frames"]]
    assert [Image.open(path).size for path in saved] == [(96, 96)] * 3


def test_shots_refuses_a_storyboard_that_cannot_be_read_before_it_runs(inprocess):
    from comfyui_spacetime.nodes.shots import Shots

    assert Shots.validate_inputs("1 s: a cup") is True and Shots.validate_inputs(None) is True
    assert "Line 1, column 1" in Shots.validate_inputs("a cup")


@pytest.mark.parametrize(
    "text",
    ["1 s: [told.png] a cup\ncut 1 s: a panda", '[{"seconds": 1, "prompt": "a cup", "picture": "told.png"}]'],
)
def test_a_changed_picture_makes_shots_and_storyboard_run_again(inprocess, host_base, text):
    from comfyui_spacetime.nodes.shots import Shots
    from comfyui_spacetime.nodes.storyboard import StoryboardNode

    (host_base / "input").mkdir(exist_ok=True)
    path = host_base / "input" / "told.png"
    path.unlink(missing_ok=True)
    marks = []
    for size in (None, 32, 48):
        if size:
            Image.new("RGB", (size, size)).save(path)
        mark = Shots.fingerprint_inputs(shots=text, seed=1, model=None)
        assert mark == Shots.fingerprint_inputs(text) == StoryboardNode.fingerprint_inputs(storyboard=text)
        marks.append(mark)
    assert len(set(marks)) == 3


def test_a_storyboard_over_a_link_or_with_a_fault_has_no_pictures_to_look_at(inprocess):
    from comfyui_spacetime.nodes.shots import Shots

    assert Shots.fingerprint_inputs(shots=None) == Shots.fingerprint_inputs("a cup") == ""


def test_storyboard_gives_its_cast_to_every_shot_and_itself_as_json(inprocess):
    from comfyui_spacetime.nodes.storyboard import StoryboardNode

    output = StoryboardNode.execute("cast Mia: a red panda\n0-2s: Mia runs\n2-3.5s: glide, Mia sleeps")
    shots, data, seconds = output.result
    assert shots == "0-2s: a red panda runs\n2-3.5s: glide, a red panda sleeps" and seconds == 3.5
    assert json.loads(data)["cast"] == {"Mia": "a red panda"}
    assert StoryboardNode.execute(data).result == (shots, data, seconds)


def test_the_timeline_gets_the_shots_with_their_places(inprocess):
    from comfyui_spacetime.nodes.routes import read_for_editor

    text = "# 🐼\n0-2s: a panda / 2-3s: glide, night"
    answer = read_for_editor(text)
    assert [text[shot["begin"] : shot["end"]] for shot in answer["shots"]] == ["0-2s: a panda", "2-3s: glide, night"]
    assert read_for_editor('[{"seconds": 1, "prompt": "a cup"}]')["text"] == "0-1s: a cup"
    wrong = read_for_editor("0-2s: a\n3-4s: b")
    assert (wrong["line"], wrong["column"]) == (2, 1) and wrong["error"].endswith("leave no gap and no overlap.")


def test_the_same_seed_makes_the_same_video(kit):
    first, second = (shoot(kit, "1 s: a cup")[0]["samples"] for _ in range(2))
    assert torch.equal(first, second)


def test_prompts_glide_from_the_first_to_the_second(kit):
    """Where only one prompt counts, the prediction is that prompt's own."""
    from comfyui_spacetime.nodes import sampler
    from comfyui_spacetime.nodes.glide import GlidePrompts

    latent, first, second = kit.latent(frames=5), words(kit, "a red cup"), words(kit, "snow snow snow snow panda")

    def sample(model: Any, positive: Any) -> torch.Tensor:
        return sampler.sample(model, positive, kit.negative, latent, 5, steps=1, guidance=3.0)["samples"]

    early, late = sample(kit.model, first), sample(kit.model, second)
    both = sample(*GlidePrompts.execute(kit.model, first, second, 0.25, 0.75).result)
    torch.testing.assert_close(both[:, :, :2], early[:, :, :2], atol=1e-4, rtol=0)
    torch.testing.assert_close(both[:, :, 3:], late[:, :, 3:], atol=1e-4, rtol=0)
    torch.testing.assert_close(both[:, :, 2], (early + late)[:, :, 2] / 2, atol=1e-4, rtol=0)
    assert not torch.allclose(early, late, atol=1e-3)


def test_a_glide_ends_with_the_new_prompt(kit):
    scenes = shoot(kit, "1 s: a cup\nglide 1 s: a red panda")
    assert scenes[0]["samples"].shape[2] == 5 and torch.isfinite(scenes[0]["samples"]).all()


def test_an_empty_prompt_cannot_glide(kit):
    from comfyui_spacetime.nodes.glide import GlidePrompts

    with pytest.raises(ValueError, match="A prompt to glide between is empty"):
        GlidePrompts.execute(kit.model, kit.positive, [], 0.0, 1.0)
