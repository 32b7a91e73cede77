# SPDX-License-Identifier: GPL-3.0-or-later
"""Our MODEL under the host's stock samplers, patches and context windows."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from node_kit import Kit, as_the_executor_does, make_kit, recorded  # noqa: F401
from tiny import CHANNELS

pytestmark = pytest.mark.host


def test_the_stock_ksampler_agrees_with_the_plain_sampling_loop(kit: Kit) -> None:
    import comfy.sample
    import comfy.samplers

    from comfyui_spacetime.models import checkpoint, flow

    latent = kit.latent(frames=3, side=6)
    stock = kit.stock_sample(kit.model, latent, steps=6)
    network = checkpoint.load_checkpoint(kit.path).build_dit()
    velocity = flow.guided(lambda x, t, text: network(x, t, text, fps=8.0), kit.positive[0][0], kit.negative[0][0], 3.0)
    sigmas = comfy.samplers.calculate_sigmas(kit.model.get_model_object("model_sampling"), "simple", 6)
    plain = flow.sample(velocity, comfy.sample.prepare_noise(latent["samples"], 5), sigmas)
    assert torch.allclose(stock, plain, atol=1e-5), (stock - plain).abs().max()


def test_the_plain_loop_agrees_where_frames_are_known(kit: Kit) -> None:
    import comfy.sample
    import comfy.samplers

    from comfyui_spacetime.models import checkpoint, flow

    latent = kit.clip_with_known()
    stock = kit.stock_sample(kit.model, latent, steps=4)
    network = checkpoint.load_checkpoint(kit.path).build_dit()
    velocity = flow.guided(lambda x, t, text: network(x, t, text, fps=8.0), kit.positive[0][0], kit.negative[0][0], 3.0)
    sigmas = comfy.samplers.calculate_sigmas(kit.model.get_model_object("model_sampling"), "simple", 4)
    noise = comfy.sample.prepare_noise(latent["samples"], 5)
    mask = latent["noise_mask"].expand(1, 1, 3, 4, 4)
    plain = flow.sample(velocity, noise, sigmas, known=latent["samples"], mask=mask)
    assert torch.allclose(stock, plain, atol=1e-5), (stock - plain).abs().max()


def test_sampler_custom_advanced_gives_what_ksampler_gives(kit: Kit) -> None:
    import comfy.samplers
    import comfy_extras.nodes_custom_sampler as custom

    latent = kit.latent()
    guider = comfy.samplers.CFGGuider(kit.model)
    guider.set_conds(kit.positive, kit.negative)
    guider.set_cfg(3.0)
    sigmas = comfy.samplers.calculate_sigmas(kit.model.get_model_object("model_sampling"), "simple", 3)
    noise = custom.Noise_RandomNoise(5).generate_noise(latent)
    out = guider.sample(noise, latent["samples"], comfy.samplers.sampler_object("euler"), sigmas, seed=5)
    assert torch.equal(out, kit.stock_sample(kit.model, latent))


def sampler_names() -> list[str]:
    """Samplers of both host versions; the test passes over those that the running one lacks."""
    return [
        "euler", "euler_cfg_pp", "euler_ancestral", "euler_ancestral_cfg_pp", "heun", "heunpp2",
        "exp_heun_2_x0", "exp_heun_2_x0_sde", "dpm_2", "dpm_2_ancestral", "lms", "dpm_fast", "dpm_adaptive",
        "dpmpp_2s_ancestral", "dpmpp_2s_ancestral_cfg_pp", "dpmpp_sde", "dpmpp_2m", "dpmpp_2m_cfg_pp",
        "dpmpp_2m_sde", "dpmpp_2m_sde_heun", "dpmpp_3m_sde", "ddpm", "lcm", "ipndm", "ipndm_v", "deis",
        "res_multistep", "res_multistep_cfg_pp", "res_multistep_ancestral", "res_multistep_ancestral_cfg_pp",
        "gradient_estimation", "gradient_estimation_cfg_pp", "er_sde", "seeds_2", "seeds_3", "sa_solver",
        "sa_solver_pece", "ddim", "uni_pc", "uni_pc_bh2",
    ]  # fmt: skip


@pytest.mark.parametrize("sampler", sampler_names())
def test_known_frames_enter_clean_at_timestep_zero_and_leave_bit_identical(kit: Kit, sampler: str) -> None:
    import comfy.samplers

    if sampler not in comfy.samplers.KSampler.SAMPLERS:
        pytest.skip("not in this host")
    latent = kit.clip_with_known()
    model, calls = recorded(kit.model)
    out = kit.stock_sample(model, latent, sampler)
    known = latent["samples"][:, :, 0]
    assert torch.equal(out[:, :, 0], known)
    assert not torch.equal(out[:, :, 1], latent["samples"][:, :, 1])
    assert calls
    for call in calls:
        assert (call.timestep[:, :, 0] == 0).all()
        assert (call.x[:, :, 0] == known).all()
        assert (call.timestep[:, :, 1:] > 0).all()


def test_no_sampler_of_the_host_is_left_out_above(inprocess: Any) -> None:
    import comfy.samplers

    extra = {name for name in comfy.samplers.KSampler.SAMPLERS if name not in sampler_names()}
    assert extra <= {"dpmpp_2m_sde_gpu", "dpmpp_2m_sde_heun_gpu", "dpmpp_3m_sde_gpu", "dpmpp_sde_gpu"}, extra


def test_a_known_region_leaves_bit_identical_also_where_it_cuts_a_token(kit: Kit) -> None:
    latent = kit.clip_with_known(side=6)
    mask = torch.zeros(1, 1, 3, 6, 6)
    mask[..., 2:5] = 1  # tokens are 2 x 2: columns 4 and 5 are one, half known
    latent["noise_mask"] = mask
    model, calls = recorded(kit.model)
    out = kit.stock_sample(model, latent, steps=2)
    assert torch.equal(out[..., :2], latent["samples"][..., :2])
    assert torch.equal(out[..., 5], latent["samples"][..., 5])
    first = calls[0]
    assert (first.x[..., :2] == latent["samples"][..., :2]).all()
    assert not torch.allclose(first.x[0, ..., 5], latent["samples"][0, ..., 5])  # as noisy as the rest of its token


def test_a_fractional_mask_is_no_double_exposure(kit: Kit) -> None:
    latent = kit.clip_with_known()
    binary = kit.stock_sample(kit.model, latent)
    latent["noise_mask"] = latent["noise_mask"] * 0.6 + 0.2
    assert torch.equal(kit.stock_sample(kit.model, latent), binary)


def test_the_frame_rate_of_the_conditioning_reaches_the_network(kit: Kit) -> None:
    import node_helpers

    def at(fps: float) -> torch.Tensor:
        prompts = [node_helpers.conditioning_set_values(p, {"frame_rate": fps}) for p in (kit.positive, kit.negative)]
        import nodes

        return nodes.common_ksampler(kit.model, 5, 2, 3.0, "euler", "simple", *prompts, kit.latent())[0]["samples"]

    assert torch.equal(at(8.0), kit.stock_sample(kit.model, kit.latent(), steps=2))
    assert not torch.allclose(at(24.0), at(8.0))


def test_both_prompts_run_as_one_batch(kit: Kit) -> None:
    model, calls = recorded(kit.model)
    kit.stock_sample(model, kit.latent(), steps=2)
    assert [len(call.x) for call in calls] == [2, 2]


def test_context_windows_see_their_part_of_the_mask_and_their_place_in_time(kit: Kit) -> None:
    import comfy.context_windows as windows
    import comfy.model_management as mm

    latent = kit.clip_with_known(frames=8)
    model, calls = recorded(kit.model)
    model.model_options["context_handler"] = windows.IndexListContextHandler(
        windows.get_matching_context_schedule("standard_static"),
        windows.get_matching_fuse_method("pyramid"),
        context_length=4, context_overlap=2, dim=2,
    )  # fmt: skip
    windows.create_prepare_sampling_wrapper(model)
    out = kit.stock_sample(model, latent, steps=2)
    mm.soft_empty_cache()
    assert torch.equal(out[:, :, 0], latent["samples"][:, :, 0])
    assert all(call.timestep.shape[2] == call.x.shape[2] < 8 for call in calls)
    assert (calls[0].timestep[:, :, 0] == 0).all()
    assert (calls[-1].timestep[:, :, -1] > 0).all()


def test_model_sampling_sd3_changes_the_shift(kit: Kit) -> None:
    import comfy_extras.nodes_model_advanced as advanced

    node = advanced.ModelSamplingSD3()
    shifted = node.patch(kit.model, 9.0)[0]
    assert not torch.allclose(kit.stock_sample(shifted, kit.latent()), kit.stock_sample(kit.model, kit.latent()))


def test_a_lora_adds_exactly_its_product_and_comes_off_again(kit: Kit, host_base: Any) -> None:
    import nodes
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(0)
    down, up = torch.randn(4, 64, generator=generator), torch.randn(192, 4, generator=generator)
    key = "diffusion_model.blocks.0.attend.qkv"
    path = host_base / "models" / "loras" / "tiny-lora.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({f"{key}.lora_A.weight": down, f"{key}.lora_B.weight": up}, path)
    plain = kit.stock_sample(kit.model, kit.latent())
    weight = kit.model.model.diffusion_model.blocks[0].attend.qkv.weight
    before = weight.clone()
    patched = nodes.LoraLoaderModelOnly().load_lora_model_only(kit.model, path.name, 1.0)[0]
    assert not torch.allclose(kit.stock_sample(patched, kit.latent()), plain)
    assert torch.allclose(patched.model.diffusion_model.blocks[0].attend.qkv.weight, before + up @ down, atol=1e-6)
    assert torch.equal(kit.stock_sample(kit.model, kit.latent()), plain)


def test_a_latent_of_odd_size_is_sampled(kit: Kit) -> None:
    samples = torch.zeros(1, CHANNELS, 2, 5, 7)
    assert kit.stock_sample(kit.model, {"samples": samples}, steps=2).shape == samples.shape


def test_the_preview_shows_every_latent_frame(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    import latent_preview
    from comfy.cli_args import LatentPreviewMethod

    monkeypatch.setattr(latent_preview.args, "preview_method", LatentPreviewMethod.Latent2RGB)
    previewer = latent_preview.get_previewer(torch.device("cpu"), kit.model.model.latent_format)
    x = torch.zeros(1, CHANNELS, 3, 4, 6)
    x[:, :, 2] = torch.randn(1, CHANNELS, 4, 6)
    picture = previewer.decode_latent_to_preview(x)
    assert picture.size == (72, 16)
    first, second, third = (picture.crop((24 * i, 0, 24 * (i + 1), 16)).tobytes() for i in range(3))
    assert first == second != third


def test_a_long_clip_s_film_strip_has_rows(inprocess: Any) -> None:
    from comfyui_spacetime.nodes.preview import lay_out

    frames = torch.arange(9.0).view(1, 1, 9, 1, 1).expand(1, 2, 9, 4, 6)
    strip = lay_out(frames)
    assert strip.shape == (1, 2, 1, 2 * 4, 5 * 6)
    assert strip[0, 0, 0, ::4, ::6].tolist() == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 0]]
    assert lay_out(frames[:, :, :1]).shape == (1, 2, 1, 4, 6)


def test_a_window_of_a_clip_is_told_where_it_lies(kit: Kit) -> None:
    from types import SimpleNamespace

    net = kit.model.model.diffusion_model
    x, text = torch.randn(1, CHANNELS, 3, 4, 4), kit.positive[0][0]

    def velocity(*indices: int, anchor: int = -1) -> torch.Tensor:
        window = SimpleNamespace(index_list=list(indices), causal_anchor_index=anchor)
        return net(x, torch.tensor([500.0]), text, transformer_options={"context_window": window})

    whole = net(x, torch.tensor([500.0]), text)
    assert torch.allclose(velocity(0, 1, 2), whole, atol=1e-6)
    assert not torch.allclose(velocity(5, 6, 7), whole, atol=1e-4)
    assert torch.equal(velocity(6, 7, anchor=5), velocity(5, 6, 7))


def test_another_model_s_prompt_is_refused_with_a_sentence(kit: Kit) -> None:
    import nodes

    foreign = [[torch.zeros(1, 77, 768), {"pooled_output": torch.zeros(1, 768)}]]
    with pytest.raises(ValueError, match=r"768 values a token.*Load Spacetime Model"):
        nodes.common_ksampler(kit.model, 1, 2, 3.0, "euler", "simple", foreign, foreign, kit.latent())


def test_the_model_runs_in_bfloat16_near_the_float32_result(kit: Kit) -> None:
    from comfyui_spacetime.models.checkpoint import load_checkpoint
    from comfyui_spacetime.nodes.model_adapter import make_model

    half = make_model(load_checkpoint(kit.path), dtype=torch.bfloat16)
    assert torch.allclose(kit.stock_sample(half, kit.latent()), kit.stock_sample(kit.model, kit.latent()), atol=0.1)
