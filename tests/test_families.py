# SPDX-License-Identifier: GPL-3.0-or-later
"""Every operation with the host's other video models: known latents exact, ratios and channels right, frames kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from clip_kit import film, finished, frames_of, image, known, pixels, sampled
from node_kit import as_the_executor_does  # noqa: F401

pytestmark = pytest.mark.host
NAMES = ("wan21", "wan22", "wan_i2v", "ltxv", "hunyuan", "hunyuan15")
SIDE = 64


@pytest.fixture(params=NAMES)
def family(request: Any, inprocess: Any) -> Any:
    """A small random model of each family with its VAE."""
    import model_doubles

    return model_doubles.double(request.param)


@pytest.fixture
def movie(tmp_path: Path) -> Any:
    return film(tmp_path / "one.mp4", frames=33, size=(SIDE, SIDE))


def held(family: Any, latent: dict[str, Any]) -> dict[str, Any]:
    """Sample, check that known positions have not changed by a bit and the others have, and return the result."""
    out = sampled(family, latent)
    stays = (latent["noise_mask"] == 0).expand_as(latent["samples"])
    assert torch.equal(out["samples"][stays], latent["samples"][stays])
    assert not torch.equal(out["samples"], latent["samples"])
    return out


@pytest.mark.parametrize(("direction", "begin"), [("forward", False), ("backward", True)])
def test_extend(family, movie, tmp_path, direction, begin):
    from comfyui_spacetime.nodes.extend import extend

    ((latent,), _) = extend(movie, family.vae, direction, 1.0, 2.0)
    ratio = family.vae.temporal_compression_decode()
    added = ratio * round(8 / ratio) + (1 if begin else 0)
    frames = frames_of(finished(family, held(family, latent)))
    assert len(frames) == 33 + added
    assert (frames[added if begin else 0 :][:33] == pixels(tmp_path / "one.mp4")).all()


def test_loop_connect_and_melt(family, movie, tmp_path):
    from comfyui_spacetime.nodes.connect import connect, fitting_pair, loop, melt_videos

    circle, _ = loop(movie, family.vae, "turn the ends", 1.0, 1.0)
    assert finished(family, held(family, circle)).get_frame_count() == 33
    pair = fitting_pair(movie, film(tmp_path / "two.mp4", frames=33, size=(SIDE, SIDE), level=50), "same size only")
    bridged, _ = connect(*pair, family.vae, 1.0, 1.0)
    assert finished(family, held(family, bridged)).get_frame_count() == 33 + 8 + 33
    melted, _ = melt_videos(*pair, family.vae, 0.9)
    assert finished(family, held(family, melted)).get_frame_count() == 33


def test_edit_inpaint_and_outpaint(family, movie, tmp_path):
    from comfyui_spacetime.nodes.edit import edit, extend_canvas

    whole, _ = edit(movie, family.vae, (0.4, 0.9), (0.0, 0.0))
    assert finished(family, sampled(family, whole)).get_frame_count() == 33
    mask = torch.zeros(1, SIDE, SIDE)
    mask[:, :, : SIDE // 2] = 1
    region, _ = edit(movie, family.vae, (1.0, 1.0), (0.0, 0.0), mask)
    frames = frames_of(finished(family, held(family, region)))
    assert (frames[:, :, SIDE // 2 :] == pixels(tmp_path / "one.mp4")[:, :, SIDE // 2 :]).all()
    wide, _ = extend_canvas(movie, family.vae, "custom", "left", 2 * SIDE, SIDE)
    frames = frames_of(finished(family, held(family, wide)))
    assert frames.shape[2] == 2 * SIDE and (frames[:, :, :SIDE] == pixels(tmp_path / "one.mp4")).all()


def test_animate_with_keyframes(family):
    from comfyui_spacetime.nodes.animate import add_keyframe, animate

    latent, _ = animate(image(0.2), family.vae, 4.0, 8.0, SIDE)
    for level, time, strength in ((0.2, 0.0, 1.0), (0.5, 2.0, 0.6), (0.8, -1.0, 1.0)):
        latent = add_keyframe(latent, image(level), family.vae, time, strength)
    assert known(latent)[0] == known(latent)[-1] == 1 and 0.6 in known(latent)
    frames = frames_of(finished(family, held(family, latent)))
    assert len(frames) == 33 and (frames[0] == 51).all() and (frames[-1] == 204).all()


def test_shots_that_go_on_glide_and_are_cut(family):
    from comfyui_spacetime.nodes.shots import Shots

    board = "1 s: a cup\nglide 1 s: a red cup\ncut 1 s: a panda"
    scenes = Shots.execute(
        family.model, family.clip, family.vae, board, "", "1:1", SIDE, 8.0, 0.5, True, 3, 1, 2.0, "euler", "simple"
    ).result[0]
    ratio = family.vae.temporal_compression_decode()
    assert [scene["samples"].shape[2] for scene in scenes] == [1 + 16 // ratio, 2 + 8 // ratio]
    assert all(torch.isfinite(scene["samples"]).all() for scene in scenes)
    assert finished(family, *scenes).get_frame_count() == 17 + 8


@pytest.mark.parametrize("name", ["wan21"])
def test_the_stock_sampler_takes_the_latents_too(inprocess, movie, name):
    import model_doubles
    import nodes

    from comfyui_spacetime.nodes.extend import extend

    family = model_doubles.double(name)
    ((latent,), _) = extend(movie, family.vae, "forward", 1.0, 1.0)
    out = nodes.common_ksampler(family.model, 5, 2, 3.0, "euler", "simple", family.positive, family.negative, latent)[0]
    stays = (latent["noise_mask"] == 0).expand_as(latent["samples"])
    torch.testing.assert_close(out["samples"][stays], latent["samples"][stays], atol=1e-5, rtol=0)
    assert finished(family, out).get_frame_count() == 41
