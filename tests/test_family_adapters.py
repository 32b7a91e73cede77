# SPDX-License-Identifier: GPL-3.0-or-later
"""How each family is shown what is known: by its own stock nodes where it has some, else by the mask, as it says."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from clip_kit import film, finished, image, sampled
from node_kit import as_the_executor_does, recorded  # noqa: F401

pytestmark = pytest.mark.host
SIDE = 64


def double(name: str) -> Any:
    import model_doubles

    return model_doubles.double(name)


@pytest.fixture
def movie(tmp_path: Path) -> Any:
    return film(tmp_path / "one.mp4", frames=33, size=(SIDE, SIDE))


def bridge(family: Any, movie: Any) -> Any:
    """A loop: known at both ends, 1 s each, 1 s unknown between."""
    from comfyui_spacetime.nodes.connect import loop

    return loop(movie, family.vae, "add a bridge", 1.0, 1.0)[0]


def adapted(family: Any, latent: Any, positive: Any = None) -> Any:
    """The job of a latent and what is said of it."""
    from comfyui_spacetime.nodes.families.choose import adapt
    from comfyui_spacetime.nodes.families.job import Job
    from comfyui_spacetime.nodes.guides import KEY

    prompts = positive or family.positive, family.negative
    return adapt(Job(family.model, *prompts, latent["samples"], latent["noise_mask"], latent.get(KEY)))


def in_windows(model: Any, length: int) -> Any:
    """The model in the host's context windows over time."""
    import inspect

    import nodes

    node = nodes.NODE_CLASS_MAPPINGS["ContextWindowsManual"]
    later = {"freenoise": False} if "freenoise" in inspect.signature(node.execute).parameters else {}
    return node.execute(model, length, 1, "standard_static", 1, False, "pyramid", 2, **later).result[0]


def network_calls(family: Any, latent: Any, steps: int = 2) -> Any:
    """The finished latent and what the network saw at each call, the prompt's half of the batch first."""
    family.model, calls = recorded(family.model)
    return sampled(family, latent, steps), calls


# -- Wan image to video ----------------------------------------------------------------------------------------------


def test_a_wan_image_model_gets_what_the_stock_node_for_both_ends_gives(inprocess, movie):
    import nodes

    family = double("wan_i2v")
    latent = bridge(family, movie)
    job, said = adapted(family, latent)
    before, after = (run.images((SIDE, SIDE)) for run in latent["spacetime_guides"].runs)
    stock = nodes.NODE_CLASS_MAPPINGS["WanFirstLastFrameToVideo"].execute(
        family.positive, family.negative, family.vae, SIDE, SIDE, 9 + 8 + 8, 1, start_image=before, end_image=after
    )
    for mine, theirs in zip((job.positive, job.negative), stock.result, strict=False):
        for key in ("concat_latent_image", "concat_mask"):
            torch.testing.assert_close(mine[0][1][key], theirs[0][1][key], atol=1e-6, rtol=0)
    assert "2 known parts are shown" in said


def test_a_wan_image_model_sees_the_first_picture_and_its_mask_beside_the_noise(inprocess):
    from comfyui_spacetime.nodes.animate import add_keyframe, animate

    family = double("wan_i2v")
    latent = add_keyframe(animate(image(0.2), family.vae, 1.0, 8.0, SIDE)[0], image(0.2), family.vae, 0.0, 1.0)
    out, calls = network_calls(family, latent)
    x = calls[0].x[:1]
    assert x.shape[1] == 36 and x[:, 16:20, 0].eq(1).all() and not x[:, 16:20, 1:].any()
    shown = family.model.model.process_latent_in(latent["samples"].clone())
    torch.testing.assert_close(x[:, 20:, 0], shown[:, :, 0], atol=1e-4, rtol=0)
    assert torch.equal(out["samples"][:, :, 0], latent["samples"][:, :, 0])


def test_a_wan_image_model_is_shown_a_keyframe_between_too(inprocess):
    from comfyui_spacetime.nodes.animate import add_keyframe, animate

    family = double("wan_i2v")
    latent = add_keyframe(animate(image(0.2), family.vae, 3.0, 8.0, SIDE)[0], image(0.7), family.vae, 1.5, 1.0)
    mask = adapted(family, latent)[0].positive[0][1]["concat_mask"]
    assert (1 - mask[0, :, :, 0, 0]).sum(0).tolist() == [0, 0, 0, 4, 0, 0, 0]


def test_a_wan_image_model_is_shown_a_known_region(inprocess, movie):
    from comfyui_spacetime.nodes.edit import extend_canvas

    family = double("wan_i2v")
    latent, _ = extend_canvas(movie, family.vae, "custom", "left", 2 * SIDE, SIDE)
    job, said = adapted(family, latent)
    shown, mask = (job.positive[0][1][key] for key in ("concat_latent_image", "concat_mask"))
    half = SIDE // 8
    assert torch.equal(shown[..., :half], latent["samples"][..., :half])
    assert not mask[..., :half].any() and mask[..., half:].all() and "region is shown" in said


def test_a_picture_that_the_user_has_given_to_the_prompt_stays(inprocess, movie):
    import node_helpers

    family = double("wan_i2v")
    given = node_helpers.conditioning_set_values(family.positive, {"concat_latent_image": torch.ones(1, 16, 7, 8, 8)})
    job, said = adapted(family, bridge(family, movie), given)
    assert job.positive is given and "already holds its picture" in said


def test_a_wan_text_model_gets_nothing_more(inprocess, movie):
    family = double("wan21")
    job, said = adapted(family, bridge(family, movie))
    assert job.positive is family.positive and "was not trained to go on from frames" in said


# -- LTX-Video -------------------------------------------------------------------------------------------------------


def test_ltx_sees_later_frames_as_guides_which_are_cut_off_at_the_end(inprocess, movie):
    family = double("ltxv")
    latent = bridge(family, movie)  # 9 frames, 8 unknown, 8 frames: latent frames 0 and 1, 2, 3
    out, calls = network_calls(family, latent)
    assert latent["samples"].shape[2] == 4 and calls[0].x.shape[2] == 5
    assert torch.equal(calls[0].x[:1, :, 3].float(), latent["samples"][:, :, 3])
    assert float(adapted(family, latent)[0].positive[0][1]["keyframe_idxs"][0, 0].min()) == 24  # its last frame's time
    assert out["samples"].shape == latent["samples"].shape
    stays = (latent["noise_mask"] == 0).expand_as(out["samples"])
    assert torch.equal(out["samples"][stays], latent["samples"][stays])


def test_ltx_takes_a_first_frame_in_its_place_alone(inprocess, movie):
    from comfyui_spacetime.nodes.extend import extend

    family = double("ltxv")
    job, said = adapted(family, extend(movie, family.vae, "forward", 1.0, 1.0)[0][0])
    assert job.length == 3 and "guides" not in said


def test_a_guide_of_several_groups_stands_where_its_frames_do(inprocess, movie):
    """In 0.3.75 a guide's first frame ends a group, whose index 8 divides; later hosts take whole groups."""
    import nodes

    from comfyui_spacetime.nodes.extend import extend

    family = double("ltxv")
    ((latent,), _) = extend(movie, family.vae, "backward", 1.0, 2.0)  # 9 frames, then 16 of the video
    seen = latent["spacetime_guides"].runs[0].images((SIDE, SIDE))
    node = nodes.NODE_CLASS_MAPPINGS["LTXVAddGuide"]
    images, begin = (seen[7:], 16) if hasattr(node, "NUM_PREFIX_FRAMES") else (seen, 9)
    empty = {"samples": latent["samples"]}
    stock = node.execute(family.positive, family.negative, family.vae, empty, images, begin, 1.0)
    job, _ = adapted(family, latent)
    assert job.length == 4 + 2
    torch.testing.assert_close(job.samples[:, :, 4:], stock.result[2]["samples"][:, :, 4:])
    torch.testing.assert_close(job.samples[:, :, 5], latent["samples"][:, :, 3])
    assert torch.equal(job.positive[0][1]["keyframe_idxs"], stock.result[0][0][1]["keyframe_idxs"])
    assert torch.equal(job.samples[:, :, :4], latent["samples"]) and not job.mask[:, :, 2:].any()


def test_the_guide_of_a_keyframe_is_as_strong_as_the_keyframe(inprocess):
    from comfyui_spacetime.nodes.animate import add_keyframe, animate

    family = double("ltxv")
    latent = add_keyframe(animate(image(0.2), family.vae, 3.0, 8.0, SIDE)[0], image(0.7), family.vae, -1.0, 0.6)
    job, _ = adapted(family, latent)
    assert job.mask[0, 0, :, 0, 0].tolist() == pytest.approx([1, 1, 1, 0.4, 0.4])


def test_guides_go_with_a_batch(inprocess, movie):
    family = double("ltxv")
    latent = bridge(family, movie)
    latent["samples"] = latent["samples"].repeat(2, 1, 1, 1, 1)
    assert sampled(family, latent)["samples"].shape == latent["samples"].shape


# -- HunyuanVideo ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["hunyuan", "hunyuan15"])
def test_known_frames_of_hunyuan_are_as_noisy_as_the_network_is_told(inprocess, movie, name):
    import comfy.sample

    family = double(name)
    latent = bridge(family, movie)
    out, calls = network_calls(family, latent, steps=3)
    noise = comfy.sample.prepare_noise(latent["samples"], 5)
    clean = family.model.model.process_latent_in(latent["samples"].clone())
    level = float(calls[1].timestep.max()) / 1000
    expected = (1 - level) * clean[:, :, 0] + level * noise[:, :, 0]
    channels = latent["samples"].shape[1]
    torch.testing.assert_close(calls[1].x[:1, :channels, 0].float(), expected, atol=2e-3, rtol=0)
    assert torch.equal(out["samples"][:, :, 0], latent["samples"][:, :, 0])


def test_hunyuan_15_sees_known_frames_and_their_mask_beside_the_noise(inprocess, movie):
    family = double("hunyuan15")
    latent = bridge(family, movie)
    _, calls = network_calls(family, latent)
    x, known = calls[0].x[:1], latent["noise_mask"][0, 0, :, 0, 0] == 0
    assert torch.equal(x[0, 64].amax((1, 2)) == 1, known) and x.shape[1] == 65
    shown = family.model.model.process_latent_in(latent["samples"].clone())
    torch.testing.assert_close(x[:, 32:64, known], shown[:, :, known], atol=1e-4, rtol=0)
    assert not x[:, 32:64, ~known].any()


def test_hunyuan_s_image_model_takes_its_first_frame_clean_where_the_prompt_says_so(inprocess, movie):
    import node_helpers

    family = double("hunyuan")
    family.positive = node_helpers.conditioning_set_values(family.positive, {"guiding_frame_index": 0})
    job, said = adapted(family, bridge(family, movie))
    assert job.model is family.model and "enters every step clean" in said


# -- strengths -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["wan_i2v", "hunyuan15"])
def test_a_clip_that_may_change_as_a_whole_is_not_shown_as_known(inprocess, movie, name):
    from comfyui_spacetime.nodes.edit import edit

    family = double(name)
    job, said = adapted(family, edit(movie, family.vae, (0.4, 0.4), (0.0, 0.0))[0])
    assert job.positive[0][1]["concat_mask"].all() and "no part is known for good" in said


@pytest.mark.parametrize("name", ["wan22", "ltxv"])
def test_what_is_held_for_a_while_is_as_noisy_as_the_network_is_told(inprocess, movie, name):
    import comfy.sample

    from comfyui_spacetime.nodes.edit import edit

    family = double(name)
    latent, _ = edit(movie, family.vae, (0.3, 1.0), (0.0, 2.0))  # the last second is known for good
    _, calls = network_calls(family, latent, steps=4)
    noise = comfy.sample.prepare_noise(latent["samples"], 5)
    clean = family.model.model.process_latent_in(latent["samples"].clone())
    free = latent["noise_mask"][0, 0, :, 0, 0] > 0
    for call in calls:
        told = call.timestep[0].view(len(free), -1)
        assert not told[~free].any() and (told[free] == call.timestep.max()).all()
        torch.testing.assert_close(call.x[:1, :, ~free].float(), clean[:, :, ~free], atol=1e-3, rtol=0)
    level = float(calls[1].timestep.max()) / (1000 if name == "wan22" else 1)
    held = (1 - level) * clean[:, :, 0] + level * noise[:, :, 0]
    torch.testing.assert_close(calls[1].x[:1, :, 0].float(), held, atol=2e-3, rtol=0)


# -- any model -------------------------------------------------------------------------------------------------------


def test_a_model_nobody_has_heard_of_is_held_by_the_mask_and_the_node_says_so(inprocess, movie):
    from comfyui_spacetime.nodes.families.choose import adapter_of
    from comfyui_spacetime.nodes.families.job import Job

    family = double("wan21")
    latent = bridge(family, movie)
    stranger = SimpleNamespace(model=SimpleNamespace())
    job = Job(stranger, family.positive, family.negative, latent["samples"], latent["noise_mask"])
    same, said = adapter_of(stranger)(job)
    assert same is job and said.startswith("SimpleNamespace:") and "held by the latent's mask alone" in said


@pytest.mark.parametrize("name", ["wan22", "ltxv"])
def test_the_sampler_says_how_the_model_was_shown_what_is_known(inprocess, movie, name):
    from comfyui_spacetime.nodes.sampler import SpacetimeSampler

    family = double(name)
    for latent, words in ((bridge(family, movie), "enters every step clean"), ({"samples": None}, None)):
        if words is None:
            latent = {"samples": torch.zeros(1, family.vae.latent_channels, 2, 2, 2)}
        out = SpacetimeSampler.execute(
            family.model, family.positive, family.negative, latent, 1, 1, 1.0, "euler", "simple", 1.0
        )
        assert (words in out.ui.as_dict()["text"][0]) if words else out.ui is None


def test_noise_levels_of_another_node_take_the_place_of_the_schedule(inprocess):
    import comfy_extras.nodes_lt

    from comfyui_spacetime.nodes.sampler import sample_and_tell

    family = double("ltxv")
    levels = comfy_extras.nodes_lt.LTXVScheduler.execute(3, 2.05, 0.95, True, 0.1).result[0]
    family.model, calls = recorded(family.model)
    latent = {"samples": torch.zeros(1, 128, 2, 2, 2)}
    sample_and_tell(family.model, family.positive, family.negative, latent, 1, guidance=1.0, sigmas=levels)
    assert [float(call.timestep.max()) for call in calls] == pytest.approx(levels[:-1].tolist(), rel=1e-3)


# -- context windows -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["wan21", "wan22", "wan_i2v", "ltxv", "hunyuan", "hunyuan15"])
def test_a_context_window_is_told_of_its_own_frames_only(inprocess, name):
    family = double(name)
    channels = family.vae.latent_channels
    family.model = in_windows(family.model, 4)
    mask = torch.ones(1, 1, 10, 1, 1)
    mask[:, :, 5:8] = 0
    samples = torch.randn(1, channels, 10, 4, 4, generator=torch.Generator().manual_seed(1))
    latent = {"samples": samples, "noise_mask": mask}
    out, calls = network_calls(family, latent)
    assert torch.equal(out["samples"][:, :, 5:8], samples[:, :, 5:8])
    assert {call.x.shape[2] for call in calls} <= {4, 5}  # hosts from 0.33 on put a frame before a window
    if name in ("wan22", "ltxv"):
        told = [(call.timestep[0].view(call.x.shape[2], -1)[:, 0] == 0).tolist()[-4:] for call in calls]
        begins = [tuple(index in (5, 6, 7) for index in range(b, b + 4)) for b in (0, 3, 6)]
        assert {tuple(one) for one in told} == set(begins)


def test_the_user_s_own_model_keeps_its_handler(inprocess):
    from comfyui_spacetime.nodes.families.windows import with_cut_conditions

    family = double("wan22")
    model = in_windows(family.model, 4)
    handler = model.model_options["context_handler"]
    cutting = with_cut_conditions(model)
    assert model.model_options["context_handler"] is handler and cutting is not model
    assert with_cut_conditions(cutting) is cutting and with_cut_conditions(family.model) is family.model


def test_guides_are_left_out_in_context_windows(inprocess, movie):
    family = double("ltxv")
    latent = bridge(family, movie)
    family.model = in_windows(family.model, 3)
    job, said = adapted(family, latent)
    assert job.length == 4 and "left out" in said
    assert finished(family, sampled(family, latent)).get_frame_count() == 33 + 8
