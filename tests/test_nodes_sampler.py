# SPDX-License-Identifier: GPL-3.0-or-later
"""Spacetime Sampler."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from node_kit import Kit, as_the_executor_does, make_kit, recorded  # noqa: F401
from tiny import CHANNELS

pytestmark = pytest.mark.host


def sample(kit: Kit, latent: dict[str, Any], model: Any = None, **settings: Any) -> dict[str, Any]:
    from comfyui_spacetime.nodes import sampler

    settings = {"seed": 5, "steps": 3, "guidance": 3.0, **settings}
    return sampler.sample(model or kit.model, kit.positive, kit.negative, latent, **settings)


@pytest.mark.parametrize("name", ["euler", "dpmpp_2m", "uni_pc", "dpmpp_2m_sde"])
@pytest.mark.parametrize("scheduler", ["simple", "normal", "beta"])
def test_it_gives_what_the_stock_ksampler_gives(kit: Kit, name: str, scheduler: str) -> None:
    latent = kit.latent(batch=2)
    assert torch.equal(
        sample(kit, latent, sampler=name, schedule=scheduler)["samples"],
        kit.stock_sample(kit.model, latent, name, scheduler),
    )


def test_it_gives_what_the_stock_ksampler_gives_at_half_denoise_with_known_frames(kit: Kit) -> None:
    import nodes

    latent = kit.clip_with_known()
    stock = nodes.common_ksampler(
        kit.model, 5, 4, 3.0, "euler", "normal", kit.positive, kit.negative, latent, denoise=0.5
    )[0]["samples"]
    assert torch.equal(sample(kit, latent, steps=4, schedule="normal", denoise=0.5)["samples"], stock)


def test_its_own_schedule_shifts_more_for_more_tokens(kit: Kit) -> None:
    from comfyui_spacetime.nodes.sampler import count_tokens, own_sigmas

    small, large = torch.zeros(1, CHANNELS, 1, 16, 16), torch.zeros(1, CHANNELS, 9, 16, 16)
    assert (count_tokens(kit.model, small), count_tokens(kit.model, large)) == (64, 576)
    few, many = own_sigmas(kit.model, small, 10, 1.0), own_sigmas(kit.model, large, 10, 1.0)
    assert few[0] == many[0] == 1 and few[-1] == many[-1] == 0
    assert (many[1:-1] > few[1:-1]).all()


def test_its_own_schedule_equals_the_stock_path_with_that_shift(kit: Kit) -> None:
    import comfy_extras.nodes_model_advanced as advanced

    from comfyui_spacetime.models.flow import token_shift

    latent = kit.latent(frames=3, side=16)
    shifted = advanced.ModelSamplingSD3().patch(kit.model, token_shift(192))[0]
    stock = kit.stock_sample(shifted, latent, scheduler="simple", steps=4)
    assert torch.allclose(sample(kit, latent, steps=4)["samples"], stock, atol=2e-3)


def test_the_latent_s_frame_rate_reaches_the_network(kit: Kit) -> None:
    model, calls = recorded(kit.model)
    sample(kit, {**kit.latent(), "frame_rate": 24.0}, model)
    assert {call.conds["frame_rate"] for call in calls} == {24.0}


def test_the_result_is_all_known_and_keeps_what_travels_with_the_latent(kit: Kit) -> None:
    latent = {**kit.clip_with_known(), "audio": "a sound"}
    out = sample(kit, latent)
    assert "noise_mask" not in out
    assert (out["frame_rate"], out["audio"]) == (8.0, "a sound")
    assert torch.equal(out["samples"][:, :, 0], latent["samples"][:, :, 0])
    assert "noise_mask" in latent


def test_a_picture_s_latent_becomes_a_clip_of_one_frame(kit: Kit) -> None:
    assert sample(kit, {"samples": torch.zeros(2, CHANNELS, 4, 4)})["samples"].shape == (2, CHANNELS, 1, 4, 4)


def test_nothing_happens_at_denoise_zero(kit: Kit) -> None:
    latent = kit.clip_with_known()
    assert torch.equal(sample(kit, latent, denoise=0.0)["samples"], latent["samples"])


def test_it_stops_within_a_model_call_when_cancelled(kit: Kit) -> None:
    import comfy.model_management as mm
    import comfy.patcher_extension
    import nodes

    calls = []

    def cancel(executor: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        calls.append(1)
        nodes.interrupt_processing(True)
        return executor(*args, **kwargs)

    model = kit.model.clone()
    model.add_wrapper_with_key(comfy.patcher_extension.WrappersMP.DIFFUSION_MODEL, "test.cancel", cancel)
    try:
        with pytest.raises(mm.InterruptProcessingException):
            sample(kit, kit.latent(), model, steps=50)
    finally:
        nodes.interrupt_processing(False)
    assert len(calls) <= 2


def test_it_samples_another_family_s_model_and_keeps_its_known_frames(kit: Kit) -> None:
    import comfy.model_management as mm
    import comfy.model_patcher
    import comfy.supported_models

    config = comfy.supported_models.WAN21_T2V(
        {
            "image_model": "wan2.1", "model_type": "t2v", "patch_size": (1, 2, 2), "freq_dim": 32, "dim": 48,
            "ffn_dim": 64, "num_heads": 2, "num_layers": 1, "text_dim": 32, "text_len": 16, "window_size": (-1, -1),
            "qk_norm": True, "cross_attn_norm": True, "eps": 1e-6, "in_dim": 16, "out_dim": 16,
        }
    )  # fmt: skip
    config.set_inference_dtype(torch.float32, None)
    wan = config.get_model({}, "", device=torch.device("cpu"))
    for value in wan.diffusion_model.parameters():
        torch.nn.init.normal_(value, std=0.02)
    model = comfy.model_patcher.ModelPatcher(
        wan, load_device=mm.get_torch_device(), offload_device=mm.unet_offload_device()
    )
    samples, mask = torch.randn(1, 16, 3, 4, 4), torch.ones(1, 1, 3, 1, 1)
    mask[:, :, 0] = 0
    prompt = [[torch.randn(1, 6, 32), {}]]
    from comfyui_spacetime.nodes import sampler

    out = sampler.sample(model, prompt, prompt, {"samples": samples, "noise_mask": mask}, 1, 2, 3.0, "uni_pc")
    assert torch.equal(out["samples"][:, :, 0], samples[:, :, 0])
    assert not torch.allclose(out["samples"][:, :, 1], samples[:, :, 1])


@pytest.mark.parametrize(
    ("samples", "sentence"),
    [
        (torch.zeros(1, 48, 3, 4, 4), f"has 48 channels, but this model takes {CHANNELS}.*another model's latent"),
        (torch.zeros(1, 4, 64, 64), f"has 4 channels, but this model takes {CHANNELS}"),
        (torch.zeros(1, CHANNELS, 0, 4, 4), "no frames"),
        (torch.full((1, CHANNELS, 2, 4, 4), float("nan")), "no numbers"),
        (torch.zeros(1, CHANNELS), "5 dimensions"),
        (None, "holds no latent"),
    ],
)
def test_a_latent_that_cannot_be_sampled_is_refused_with_a_sentence(kit: Kit, samples: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        sample(kit, {"samples": samples})


def test_names_that_this_host_does_not_have_are_refused(kit: Kit) -> None:
    with pytest.raises(ValueError, match=r"no sampler 'magic'.*euler"):
        sample(kit, kit.latent(), sampler="magic")
    with pytest.raises(ValueError, match=r"no schedule 'magic'.*spacetime"):
        sample(kit, kit.latent(), schedule="magic")


def test_a_missing_prompt_is_named(kit: Kit) -> None:
    from comfyui_spacetime.nodes import sampler

    with pytest.raises(ValueError, match="negative prompt"):
        sampler.sample(kit.model, kit.positive, [], kit.latent(), 1)
