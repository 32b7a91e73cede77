# SPDX-License-Identifier: GPL-3.0-or-later
"""Two models for one clip: each step at the expert of its noise level, with known frames and the other nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from clip_kit import film, finished, frames_of, pixels
from node_kit import as_the_executor_does  # noqa: F401

pytestmark = pytest.mark.host
SIDE = 32


def with_log(model: Any, name: str, log: list[tuple[str, float]]) -> Any:
    """A clone of MODEL that notes its name and the noise level at each call."""

    def note(t: torch.Tensor) -> None:
        log.append((name, float(t.max()) / 1000))

    model = model.clone()
    model.add_wrapper_with_key("diffusion_model", "log", lambda run, x, t, *a, **k: note(t) or run(x, t, *a, **k))
    return model


def shaken(model: Any) -> None:
    """Give a model other weights."""
    generator = torch.Generator().manual_seed(9)
    for parameter in model.model.diffusion_model.parameters():
        parameter.data += 0.02 * torch.randn(parameter.shape, generator=generator)


@pytest.fixture(params=["wan21", "wan_i2v"])
def pair(request: Any, inprocess: Any) -> Any:
    """Two small Wan 14B experts of other weights with their VAE, and what they were called for."""
    import model_doubles

    first, second = model_doubles.double(request.param), model_doubles.double(request.param)
    shaken(second.model)
    log: list[tuple[str, float]] = []
    first.high, first.low = with_log(first.model, "high", log), with_log(second.model, "low", log)
    first.log = log
    return first


def join(*given: Any) -> Any:
    from comfyui_spacetime.nodes.experts import join

    return join(*given)


def run(pair: Any, model: Any, latent: dict[str, Any], sampler: str = "euler", **more: Any) -> torch.Tensor:
    from comfyui_spacetime.nodes.sampler import sample

    more = {"steps": 4, "guidance": 2.0, "schedule": "simple", **more}
    return sample(model, pair.positive, pair.negative, latent, 5, sampler=sampler, **more)["samples"]


def empty() -> dict[str, Any]:
    return {"samples": torch.zeros(1, 16, 3, 4, 4)}


def test_each_noise_level_goes_to_its_expert(pair):
    run(pair, join(pair.high, pair.low, 0.9), empty())
    assert {name for name, level in pair.log if level >= 0.9} == {"high"}
    assert {name for name, level in pair.log if level < 0.9} == {"low"}


@pytest.mark.parametrize("sampler", ["euler", "uni_pc", "dpmpp_2m", "heun"])
def test_an_expert_and_itself_are_as_one_model(pair, sampler):
    alone = run(pair, pair.high, empty(), sampler)
    assert torch.equal(run(pair, join(pair.high, pair.high.clone(), 0.9), empty(), sampler), alone)
    assert torch.equal(run(pair, join(pair.high, pair.low, 0.0), empty(), sampler), alone)
    assert not torch.equal(run(pair, join(pair.high, pair.low, 0.9), empty(), sampler), alone)


def test_two_samplers_one_after_the_other_give_the_same(pair):
    """Stock workflows hand the half-finished clip from one sampler to the next."""
    import nodes

    settings = (4, 2.0, "euler", "simple", pair.positive, pair.negative)
    nodes_advanced = nodes.KSamplerAdvanced().sample
    half = nodes_advanced(pair.high, "enable", 5, *settings, empty(), 0, 2, "enable")[0]
    whole = nodes_advanced(pair.low, "disable", 5, *settings, half, 2, 10000, "disable")[0]["samples"]
    levels = sorted({level for _, level in pair.log}, reverse=True)
    joined = join(pair.high, pair.low, (levels[1] + levels[2]) / 2)
    torch.testing.assert_close(run(pair, joined, empty()), whole, atol=2e-5, rtol=1e-4)


def test_operations_keep_every_original_frame(pair, tmp_path: Path):
    from comfyui_spacetime.nodes.extend import extend

    movie = film(tmp_path / "one.mp4", frames=17, size=(SIDE, SIDE))
    ((latent,), _) = extend(movie, pair.vae, "forward", 1.0, 1.0)
    for mask in (latent["noise_mask"], latent["noise_mask"].clamp(min=0.4)):  # the second frees what is known halfway
        out = run(pair, join(pair.high, pair.low, 0.9), {**latent, "noise_mask": mask})
        stays = (mask == 0).expand_as(out)
        assert torch.equal(out[stays], latent["samples"][stays]) and torch.isfinite(out).all()
        assert {name for name, _ in pair.log} == {"high", "low"}
    frames = frames_of(finished(pair, {**latent, "samples": out}))
    assert len(frames) == 25 and (frames[:17] == pixels(tmp_path / "one.mp4")).all()


def test_prompts_and_windows_that_are_set_behind_the_join_count_for_both(pair):
    from comfy_extras.nodes_context_windows import WanContextWindowsManualNode as Windows

    model = join(pair.high, pair.low, 0.9)
    more = {part.id: False for part in Windows.define_schema().inputs if part.id == "freenoise"}  # 0.33 has it
    windowed = Windows.execute(model, 9, 5, "standard_static", 1, False, "pyramid", **more).result[0]
    run(pair, windowed, {"samples": torch.zeros(1, 16, 7, 4, 4)})
    calls = [name for name, _ in pair.log]
    assert calls.count("high") > 2 and calls.count("low") > 2  # a call for each window


def test_what_was_set_on_one_expert_stays_with_it():
    from comfyui_spacetime.nodes.experts import transferred

    a, b, c, d = (object() for _ in range(4))
    before = {"cfg": a, "transformer_options": {"patches": {"attn": [a]}, "wrappers": {"model": {"x": [a]}}}}
    own = {"cfg": b, "transformer_options": {"patches": {"attn": [b]}, "wrappers": {"model": {"y": [b]}}}}
    running = {
        "cfg": a, "later": c,
        "transformer_options": {"patches": {"attn": [a, c]}, "wrappers": {"model": {"x": [a]}, "out": {"z": [d]}}},
    }  # fmt: skip
    assert transferred(running, before, own) == {
        "cfg": b, "later": c,
        "transformer_options": {
            "patches": {"attn": [b, c]}, "wrappers": {"model": {"x": [], "y": [b]}, "out": {"z": [d]}},
        },
    }  # fmt: skip


def test_models_that_are_no_pair_are_refused(inprocess):
    import model_doubles

    from comfyui_spacetime.nodes.errors import InputError

    text, image = model_doubles.double("wan21").model, model_doubles.double("wan_i2v").model
    with pytest.raises(
        InputError, match="no pair: high_noise is WAN21 with 16 input channels, low_noise is WAN21 with 36"
    ):
        join(text, image, 0.9)
    with pytest.raises(InputError, match="low_noise is two experts already"):
        join(text, join(text, text, 0.9), 0.9)
