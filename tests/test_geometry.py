# SPDX-License-Identifier: GPL-3.0-or-later
"""Clip arithmetic."""

from __future__ import annotations

import pytest
from tiny import CHANNELS

from comfyui_spacetime.models.geometry import ASPECTS, Compression, aspect_size, latent_frames, legal_frames, snap

OURS = Compression()


def test_the_default_clip() -> None:
    clip = snap(256, 256, 4.0, 8.0, OURS)
    assert clip.latent_shape == (CHANNELS, 9, 16, 16)
    assert (clip.frames, clip.tokens) == (33, 576)
    assert str(clip) == "256 x 256, 33 frames, 4.12 s at 8 fps, 576 tokens"


@pytest.mark.parametrize(("seconds", "frames"), [(0, 1), (0.1, 1), (0.5, 5), (1, 9), (4, 33), (60, 481)])
def test_lengths_go_to_the_nearest_legal_number_of_frames(seconds: float, frames: int) -> None:
    assert snap(64, 64, seconds, 8.0, OURS).frames == frames


def test_every_snapped_clip_is_legal_for_every_compression() -> None:
    for compression in (OURS, Compression(4, 8, 2, 16), Compression(8, 32, 1, 128), Compression(1, 8, 1, 4)):
        for width, height, seconds, fps in ((1, 1, 0, 1), (1000, 333, 3.3, 23.976), (511, 4097, 61, 60)):
            clip = snap(width, height, seconds, fps, compression)
            assert clip.width % compression.step == clip.height % compression.step == 0
            assert (clip.frames - 1) % compression.time == 0
            assert latent_frames(clip.frames, compression) == (clip.frames - 1) // compression.time + 1
            assert min(clip.latent_shape) >= 1 and clip.tokens >= 1


def test_snapping_moves_no_further_than_half_a_step() -> None:
    for side in range(32, 600, 7):
        clip = snap(side, side, 1, 8, OURS)
        assert abs(clip.width - side) <= OURS.step / 2
    for frames in range(1, 200):
        assert abs(legal_frames(frames, OURS) - frames) <= OURS.time / 2


def test_what_is_legal_stays_as_it_is() -> None:
    clip = snap(352, 192, 33 / 8, 8, OURS)
    assert (clip.width, clip.height, clip.frames) == (352, 192, 33)


@pytest.mark.parametrize("aspect", ASPECTS)
@pytest.mark.parametrize("size", [256, 512, 720])
def test_presets_have_their_shape_and_about_the_area(aspect: str, size: int) -> None:
    width, height = aspect_size(aspect, size, OURS)
    across, down = ASPECTS[aspect]
    assert width % 32 == height % 32 == 0
    assert width / height == pytest.approx(across / down, rel=0.15)
    assert width * height == pytest.approx(size * size, rel=0.25)


def test_upright_presets_mirror_the_lying_ones() -> None:
    for lying, upright in (("16:9", "9:16"), ("4:3", "3:4"), ("3:2", "2:3"), ("21:9", "9:21")):
        assert aspect_size(lying, 512, OURS) == aspect_size(upright, 512, OURS)[::-1]


@pytest.mark.parametrize(
    ("arguments", "name"),
    [((0, 64, 1, 8), "width"), ((64, -5, 1, 8), "height"), ((64, 64, -1, 8), "seconds"), ((64, 64, 1, 0), "fps"),
     ((64, 64, float("nan"), 8), "seconds"), ((64, 64, float("inf"), 8), "seconds")],
)  # fmt: skip
def test_what_cannot_be_a_clip_is_refused_by_name(arguments: tuple[float, ...], name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is"):
        snap(*arguments, OURS)  # type: ignore[arg-type]


def test_an_unknown_aspect_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'5:1' is not known; choose one of 1:1, 16:9"):
        aspect_size("5:1", 256, OURS)
    with pytest.raises(ValueError, match="size is 0"):
        aspect_size("1:1", 0, OURS)
