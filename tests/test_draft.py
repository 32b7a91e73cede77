# SPDX-License-Identifier: GPL-3.0-or-later
"""Draft, Then Final: a smaller clip first, then the full size that follows it; what is known stays at both sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from clip_kit import film, finished, frames_of, pixels
from node_kit import Kit, as_the_executor_does, make_kit, recorded  # noqa: F401

pytestmark = pytest.mark.host


def run(kit: Any, latent: Any, model: Any = None, final: bool = True, share: float = 0.5, vae: Any = None, **more: Any):
    from comfyui_spacetime.nodes.draft import DraftThenFinal

    settings = {"draft_steps": 2, "final_steps": 2, "change": 0.5, "schedule": "simple", **more}
    return DraftThenFinal.execute(
        model or kit.model, kit.positive, kit.negative, latent, 5, final, share, guidance=2.0, sampler="euler", vae=vae,
        **settings,
    )  # fmt: skip


def test_the_model_sees_the_small_clip_then_the_large_one(kit):
    model, calls = recorded(kit.model)
    result, draft = run(kit, kit.latent(side=8), model).result
    assert [call.x.shape[-1] for call in calls] == [4, 4, 8, 8]
    assert draft["samples"].shape[-2:] == (4, 4) and result["samples"].shape[-2:] == (8, 8)
    assert float(calls[0].timestep.max()) == 1000 and float(calls[2].timestep.max()) == pytest.approx(500, rel=0.01)


def test_the_draft_is_what_the_sampler_makes_at_that_size(kit):
    from comfyui_spacetime.nodes import sampler

    alone = sampler.sample(kit.model, kit.positive, kit.negative, kit.latent(side=4), 5, 2, 2.0, "euler", "simple")
    assert torch.equal(run(kit, kit.latent(side=8)).result[1]["samples"], alone["samples"])


def test_without_final_the_same_draft_is_all(kit):
    small, draft = run(kit, kit.latent(side=8), final=False).result
    assert torch.equal(small["samples"], draft["samples"])
    assert torch.equal(draft["samples"], run(kit, kit.latent(side=8)).result[1]["samples"])


def test_the_less_may_change_the_nearer_the_result_is_to_the_draft(kit):
    from comfyui_spacetime.nodes.draft import enlarge

    distances = []
    for change in (0.1, 0.5, 1.0):
        result, draft = run(kit, kit.latent(side=8), change=change, final_steps=4).result
        start = enlarge(draft["samples"], result["samples"])
        distances.append(float((result["samples"] - start).abs().mean()))
    assert distances[0] < distances[1] < distances[2]


@pytest.mark.parametrize("schedule", ["spacetime", "simple", "beta"])
def test_the_final_pass_starts_at_the_noise_level_that_is_asked_for(kit, schedule):
    from comfyui_spacetime.nodes.draft import levels_from

    levels = levels_from(kit.model, kit.latent(side=8)["samples"], schedule, 6, 0.4)
    assert levels[0] == pytest.approx(0.4, abs=0.01) and levels[-1] == 0 and len(levels) == 7
    assert (levels.diff() < 0).all()


def test_a_vae_enlarges_the_draft_as_pictures(kit):
    from comfyui_spacetime.nodes.draft import enlarge
    from comfyui_spacetime.nodes.vae_stream import decode_frames

    draft = torch.randn(2, kit.vae.latent_channels, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    large = enlarge(draft, torch.zeros(2, kit.vae.latent_channels, 3, 8, 8), kit.vae)
    assert large.shape == (2, kit.vae.latent_channels, 3, 8, 8) and not torch.equal(large[0], large[1])
    assert len(list(decode_frames(kit.vae, large[:1]))) == 9
    result = run(kit, kit.latent(side=8), vae=kit.vae)
    assert "64x64 pixels, then 128x128 pixels" in result.ui.as_dict()["text"][0]


def test_known_frames_are_known_at_both_sizes_and_stay(kit: Kit, tmp_path: Path):
    from comfyui_spacetime.nodes.extend import extend

    movie = film(tmp_path / "one.mp4", frames=17, size=(128, 128))
    ((latent,), _) = extend(movie, kit.vae, "forward", 1.0, 1.0)
    model, calls = recorded(kit.model)
    result, draft = run(kit, latent, model).result
    known = latent["noise_mask"][0, 0, :, 0, 0] == 0
    assert not calls[0].timestep[:, :, known].any() and calls[0].timestep[:, :, ~known].all()
    small = torch.nn.functional.interpolate(
        torch.from_numpy(pixels(tmp_path / "one.mp4")[-9:]).movedim(-1, 1).float() / 255, (64, 64), mode="area"
    )
    encoded = kit.vae.encode(small.movedim(1, -1))
    assert (draft["samples"][:, :, known] - encoded).abs().mean() < 0.03  # pixels are rounded to bytes in between
    assert torch.equal(result["samples"][:, :, known], latent["samples"][:, :, known])
    frames = frames_of(finished(kit, result))
    assert (frames[:17] == pixels(tmp_path / "one.mp4")).all() and len(frames) == 25
    assert frames_of(finished(kit, draft)).shape == frames.shape  # the draft shown at the video's size


def test_a_region_that_may_change_may_change_in_the_draft(kit: Kit, tmp_path: Path):
    from comfyui_spacetime.nodes.edit import edit

    movie = film(tmp_path / "one.mp4", frames=9, size=(128, 128))
    mask = torch.zeros(1, 128, 128)
    mask[:, :32, :32] = 1
    latent, _ = edit(movie, kit.vae, (1.0, 1.0), (0.0, 0.0), mask)
    result, draft = run(kit, latent).result
    assert draft["samples"].shape[-2:] == (4, 4)
    stays = (latent["noise_mask"] == 0).expand_as(result["samples"])
    assert torch.equal(result["samples"][stays], latent["samples"][stays])


@pytest.mark.parametrize("name", ["wan21", "wan22", "wan_i2v", "ltxv", "hunyuan", "hunyuan15"])
def test_other_families_draft_too(inprocess, tmp_path, name):
    import model_doubles

    from comfyui_spacetime.nodes.connect import loop

    family = model_doubles.double(name)
    movie = film(tmp_path / "one.mp4", frames=25, size=(128, 128))
    latent, _ = loop(movie, family.vae, "add a bridge", 1.0, 1.0)
    result, draft = run(family, latent).result
    assert draft["samples"].shape[-1] == latent["samples"].shape[-1] // 2
    stays = (latent["noise_mask"] == 0).expand_as(latent["samples"])
    assert torch.equal(result["samples"][stays], latent["samples"][stays])
    assert finished(family, result).get_frame_count() == 25 + 8


def test_a_picture_is_a_clip_of_one_frame(kit):
    channels = kit.vae.latent_channels
    assert run(kit, {"samples": torch.zeros(1, channels, 8, 8)}).result[0]["samples"].shape == (1, channels, 1, 8, 8)


def test_a_draft_that_is_no_smaller_is_refused(kit):
    with pytest.raises(ValueError, match=r"draft of 0.9 times .* as large as the clip, whose latent is 4x4"):
        run(kit, kit.latent(side=4), share=0.9)
