# SPDX-License-Identifier: GPL-3.0-or-later
"""Shots and Glide Prompts: scenes one after the other, shared context, prompts that change over a clip."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from clip_kit import finished
from node_kit import Kit, as_the_executor_does, make_kit, recorded  # noqa: F401

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


def test_a_kept_subject_is_shown_to_a_later_scene_but_not_in_it(kit):
    model, calls = recorded(kit.model)
    scenes = shoot(kit, "1 s: a cup\ncut 1 s: a panda", model, keep_subject=True)
    assert scenes[1]["samples"].shape[2] == 4 and not calls[-1].timestep[:, :, 0].any()
    assert finished(kit, *scenes).get_frame_count() == 9 + 8


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
