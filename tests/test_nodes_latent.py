# SPDX-License-Identifier: GPL-3.0-or-later
"""Empty Spacetime Latent."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny import CHANNELS

pytestmark = pytest.mark.host


def make(inprocess: Any, **wishes: Any) -> tuple[dict[str, Any], str]:
    from comfyui_spacetime.nodes.latent import EmptySpacetimeLatent

    settings = {
        "aspect": "1:1",
        "size": 256,
        "width": 256,
        "height": 256,
        "seconds": 4.0,
        "fps": 8.0,
        "batch_size": 1,
        **wishes,
    }
    out = EmptySpacetimeLatent.execute(**settings)
    return out.result[0], out.ui.as_dict()["text"][0]


def foreign_vae(time: int, space: int, channels: int, dims: int = 3) -> Any:
    """What the node asks of another family's VAE."""
    return SimpleNamespace(
        first_stage_model=object(), latent_dim=dims, latent_channels=channels,
        spacial_compression_decode=lambda: space, temporal_compression_decode=lambda: time,
    )  # fmt: skip


def test_the_default_clip(inprocess: Any) -> None:
    latent, text = make(inprocess)
    assert latent["samples"].shape == (1, CHANNELS, 9, 16, 16)
    assert latent["frame_rate"] == 8.0
    assert torch.count_nonzero(latent["samples"]) == 0
    assert text == "256 x 256, 33 frames, 4.12 s at 8 fps, 576 tokens"


def test_zero_seconds_is_an_image(inprocess: Any) -> None:
    latent, text = make(inprocess, seconds=0.0)
    assert latent["samples"].shape == (1, CHANNELS, 1, 16, 16)
    assert "an image" in text


def test_a_preset_keeps_the_area_and_has_the_shape(inprocess: Any) -> None:
    for aspect, wanted in (("16:9", 16 / 9), ("9:16", 9 / 16), ("21:9", 21 / 9), ("4:3", 4 / 3)):
        _, _, _, height, width = make(inprocess, aspect=aspect, size=512)[0]["samples"].shape
        assert width / height == pytest.approx(wanted, rel=0.1)
        assert width * height == pytest.approx(32 * 32, rel=0.15)
        assert height % 2 == width % 2 == 0


def test_any_width_height_and_length_goes_to_the_nearest_that_is_legal(inprocess: Any) -> None:
    latent, text = make(inprocess, aspect="custom", width=300, height=200, seconds=1.3, fps=10.0, batch_size=2)
    assert latent["samples"].shape == (2, CHANNELS, 4, 12, 18)
    assert text.startswith("288 x 192, 13 frames")


@pytest.mark.parametrize(
    ("vae", "shape"),
    [
        (foreign_vae(4, 8, 16), (1, 16, 9, 32, 32)),  # Wan 2.1, HunyuanVideo
        (foreign_vae(4, 16, 48), (1, 48, 9, 16, 16)),  # Wan 2.2 5B
        (foreign_vae(8, 32, 128), (1, 128, 5, 8, 8)),  # LTX
    ],
)
def test_another_model_s_vae_gives_that_model_s_latent(inprocess: Any, vae: Any, shape: tuple[int, ...]) -> None:
    assert make(inprocess, vae=vae)[0]["samples"].shape == shape


def test_a_picture_vae_makes_pictures_only(inprocess: Any) -> None:
    vae = foreign_vae(1, 8, 4, dims=2)
    assert make(inprocess, vae=vae, seconds=0.0)[0]["samples"].shape == (1, 4, 32, 32)
    with pytest.raises(ValueError, match="set seconds to 0"):
        make(inprocess, vae=vae)


def test_what_is_no_picture_vae_is_refused(inprocess: Any) -> None:
    with pytest.raises(ValueError, match="holds no VAE"):
        make(inprocess, vae=foreign_vae(1, 1, 64, dims=1))


def test_an_unknown_aspect_is_refused(inprocess: Any) -> None:
    with pytest.raises(ValueError, match=r"5:1.*16:9"):
        make(inprocess, aspect="5:1")


def test_the_front_end_is_told_the_same_clip(inprocess: Any) -> None:
    from comfyui_spacetime.nodes.routes import describe

    wishes = {"aspect": "1:1", "size": "256", "width": "256", "height": "256", "seconds": "4", "fps": "8"}
    assert describe(wishes) == make(inprocess)[1]
    assert "more than 0" in describe({**wishes, "fps": "0"})
    assert "5:1" in describe({**wishes, "aspect": "5:1"})
    assert describe({"aspect": "1:1"}) == "size is missing"
    assert describe({**wishes, "seconds": "nonsense"})
