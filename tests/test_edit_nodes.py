# SPDX-License-Identifier: GPL-3.0-or-later
"""Edit Video, Extend Canvas, Animate Image, Add Keyframe, Cinemagraph: what may change does, all else stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from clip_kit import film, finished, frames_of, image, known, pixels, sampled
from node_kit import Kit, as_the_executor_does, make_kit, recorded  # noqa: F401
from tiny import CHANNELS

pytestmark = pytest.mark.host


@pytest.fixture
def movie(tmp_path: Path) -> Any:
    return film(tmp_path / "one.mp4", frames=17, size=(64, 64))


def edit(
    kit: Kit, video: Any, strength: float = 0.5, at_end: float = -1.0, start: float = 0.0, end: float = 0.0, **more
):
    from comfyui_spacetime.nodes.edit import EditVideo

    return EditVideo.execute(video, kit.vae, strength, at_end, start, end, **more).result[0]


def left_half(frames: int = 1, side: int = 64) -> torch.Tensor:
    mask = torch.zeros(frames, side, side)
    mask[:, :, : side // 2] = 1
    return mask


# -- editing ---------------------------------------------------------------------------------------------------------


def test_a_clip_is_changed_by_a_strength_that_may_grow(kit, movie):
    assert known(edit(kit, movie, 0.5)) == [0.5] * 5
    assert known(edit(kit, movie, 0.2, 1.0)) == [0.8, 0.6, 0.4, 0.2, 0.0]


def test_frames_outside_the_time_range_stay(kit, movie, tmp_path):
    latent = edit(kit, movie, 1.0, start=0.5, end=1.0)
    assert known(latent) == [1, 0, 0, 1, 1]
    video = finished(kit, sampled(kit, latent))
    frames, original = frames_of(video), pixels(tmp_path / "one.mp4")
    assert (frames[:1] == original[:1]).all() and (frames[9:] == original[9:]).all() and len(frames) == 17
    assert not (frames[4] == original[4]).all()
    assert (video.get_audio()["waveform"] - 0.25).abs()[..., 500:-500].max() < 0.05


def test_pixels_outside_the_mask_stay(kit, movie, tmp_path):
    latent = edit(kit, movie, 1.0, mask=left_half())
    assert known(latent) == [0.5] * 5
    frames, original = frames_of(finished(kit, sampled(kit, latent))), pixels(tmp_path / "one.mp4")
    assert (frames[:, :, 32:] == original[:, :, 32:]).all() and not (frames[:, :, :32] == original[:, :, :32]).all()


def test_a_mask_may_have_a_frame_for_each_of_the_video(kit, movie):
    mask = left_half(17)
    mask[:9] = 0
    assert known(edit(kit, movie, 1.0, mask=mask)) == [1, 1, 1, 0.5, 0.5]
    with pytest.raises(ValueError, match="mask has 5 frames and the video 17"):
        edit(kit, movie, mask=left_half(5))


def test_the_frames_that_do_not_fill_a_latent_frame_are_changed_too(kit, tmp_path):
    video = film(tmp_path / "odd.mp4", frames=19, size=(64, 64))
    assert finished(kit, edit(kit, video)).get_frame_count() == 19


def test_the_less_may_change_the_nearer_the_result_is(kit, movie):
    source = edit(kit, movie)["samples"]
    distances = [
        float((sampled(kit, edit(kit, movie, strength), steps=6)["samples"] - source).abs().mean())
        for strength in (0.1, 0.5, 1.0)
    ]
    assert distances[0] < distances[1] < distances[2]


def test_a_strength_that_is_the_same_everywhere_is_a_lower_denoise(kit, movie):
    from comfyui_spacetime.nodes import sampler

    latent = edit(kit, movie, 0.5)
    plain = {**latent, "noise_mask": None}
    direct = sampler.sample(kit.model, kit.positive, kit.negative, plain, 5, steps=2, denoise=0.5)
    assert torch.allclose(sampled(kit, latent)["samples"], direct["samples"], atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"strength": 0.0}, "Nothing is to change"),
        ({"mask": torch.zeros(1, 64, 64)}, "Nothing is to change"),
        ({"start": 5.0}, r"time range from 5 s to 2\.12 s holds no frame of the video, which has 17 frames"),
    ],
)
def test_an_edit_of_nothing_is_refused(kit, movie, settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        edit(kit, movie, **settings)


# -- canvas ----------------------------------------------------------------------------------------------------------


def canvas(kit: Kit, video: Any, aspect: str = "16:9", place: str = "center", **size: int) -> Any:
    from comfyui_spacetime.nodes.edit import ExtendCanvas

    return ExtendCanvas.execute(video, kit.vae, aspect, place, **size).result[0]


def test_a_wider_picture_holds_the_old_one_untouched(kit, movie, tmp_path):
    latent = canvas(kit, movie)
    assert latent["samples"].shape == (1, CHANNELS, 5, 4, 8) and known(latent) == [0.5] * 5
    video = finished(kit, sampled(kit, latent))
    assert video.get_dimensions() == (128, 64)
    assert (frames_of(video)[:, :, 32:96] == pixels(tmp_path / "one.mp4")).all()


def test_the_old_picture_may_stand_at_any_side(kit, movie, tmp_path):
    frames = frames_of(finished(kit, canvas(kit, movie, "custom", "bottom", width=64, height=96)))
    assert frames.shape[1:3] == (96, 64) and (frames[:, 32:] == pixels(tmp_path / "one.mp4")).all()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"aspect": "1:1"}, "already is 64x64"),
        ({"aspect": "custom", "width": 32}, "32x64 does not hold the video, which is 64x64"),
        ({"place": "behind"}, "no place 'behind'"),
        ({"aspect": "7:5"}, "no aspect '7:5'"),
    ],
)
def test_a_canvas_that_adds_nothing_is_refused(kit, movie, settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        canvas(kit, movie, **settings)


# -- pictures --------------------------------------------------------------------------------------------------------


def animate(kit: Kit, picture: Any, seconds: float = 2.0, strength: float = 1.0, **more: Any) -> Any:
    from comfyui_spacetime.nodes.animate import AnimateImage

    return AnimateImage.execute(picture, kit.vae, seconds, 8.0, 64, strength, "crop", **more).result[0]


def keyframe(kit: Kit, latent: Any, picture: Any, time: float, strength: float = 1.0) -> Any:
    from comfyui_spacetime.nodes.animate import AddKeyframe

    return AddKeyframe.execute(latent, picture, kit.vae, time, strength, "crop").result[0]


def test_a_picture_is_the_first_frame_as_it_is(kit):
    latent = animate(kit, image(0.4))
    assert known(latent) == [1, 0, 0, 0, 0] and latent["frame_rate"] == 8.0
    torch.testing.assert_close(latent["samples"][:, :, :1], kit.vae.encode(image(0.4)), atol=1e-4, rtol=0)
    frames = frames_of(finished(kit, sampled(kit, latent)))
    assert len(frames) == 17 and (frames[0] == 102).all()


def test_first_and_last_frame(kit):
    latent = animate(kit, image(0.2), end_image=image(0.8))
    assert known(latent) == [1, 0, 0, 0, 1]
    frames = frames_of(finished(kit, sampled(kit, latent)))
    assert (frames[0] == 51).all() and (frames[13:] == 204).all()


def test_keyframes_stand_at_any_time_with_a_strength(kit):
    latent = keyframe(kit, animate(kit, image(0.2), 4.0), image(0.6), 2.0, strength=0.7)
    latent = keyframe(kit, latent, image(0.9), -1.0)
    assert known(latent) == [1, 0, 0, 0, 0.7, 0, 0, 0, 1]
    frames = frames_of(finished(kit, sampled(kit, latent)))
    assert len(frames) == 33 and (frames[29:] == 230).all()


def test_a_short_clip_is_a_keyframe_too(kit):
    latent = keyframe(kit, animate(kit, image(0.2), 4.0), image(0.6, frames=8), 2.0)
    assert known(latent) == [1, 0, 0, 0, 0, 1, 1, 0, 0]


def test_an_empty_latent_takes_keyframes(kit):
    assert known(keyframe(kit, kit.latent(frames=5), image(0.5), 0.0)) == [1, 0, 0, 0, 0]


def test_a_wide_picture_makes_a_wide_clip(kit):
    assert animate(kit, image(0.5, 160, 80))["samples"].shape[3:] == (2, 6)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda kit: animate(kit, image(0.5, 1, 1)), "The image is 1x1 pixels: that is too small"),
        (lambda kit: animate(kit, image(0.5), 0.0), "clip has no length"),
        (lambda kit: keyframe(kit, animate(kit, image(0.5)), image(0.5), 0.0), "already is a keyframe"),
        (lambda kit: keyframe(kit, animate(kit, image(0.5)), image(0.5, frames=9), 2.0), "goes beyond the clip"),
        (lambda kit: keyframe(kit, {"samples": torch.zeros(1, CHANNELS, 4, 4)}, image(0.5), 0.0), "is a picture"),
    ],
)
def test_a_keyframe_that_does_not_fit_is_refused(kit, call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call(kit)


def test_in_a_cinemagraph_only_the_region_moves_and_it_comes_back(kit):
    from comfyui_spacetime.nodes.animate import Cinemagraph

    picture = torch.from_numpy(np.random.default_rng(0).random((1, 64, 64, 3), np.float32))
    latent = Cinemagraph.execute(picture, left_half(), kit.vae, 2.0, 8.0, 64, True).result[0]
    assert known(latent) == [1, 0.5, 0.5, 0.5, 1]
    frames = frames_of(finished(kit, sampled(kit, latent)))
    assert len(frames) == 17 and (frames[:, :, 32:] == frames[0, :, 32:]).all()
    assert not (frames[6, :, :32] == frames[0, :, :32]).all() and (frames[13:] == frames[0]).all()
    with pytest.raises(ValueError, match="mask marks nothing"):
        Cinemagraph.execute(picture, torch.zeros(1, 64, 64), kit.vae, 2.0, 8.0, 64, True)


def test_a_long_cinemagraph_is_encoded_as_a_stream(kit, monkeypatch):
    from comfyui_spacetime.nodes import vae_stream
    from comfyui_spacetime.nodes.animate import Cinemagraph

    whole, original = [], vae_stream.encode_frames
    monkeypatch.setattr(
        vae_stream,
        "encode_frames",
        lambda vae, frames: whole.append(hasattr(frames, "__len__")) or original(vae, frames),
    )
    latent = Cinemagraph.execute(image(0.4), left_half(), kit.vae, 12.0, 8.0, 64, True).result[0]
    assert whole == [False] and latent["samples"].shape[2] == 25
    still = kit.vae.encode(image(0.4, frames=97))
    torch.testing.assert_close(latent["samples"], still, atol=1e-4, rtol=0)


# -- masks that hold for a while -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sigma", "share"), [(1.0, 1.0), (0.9, 2 / 3), (0.7, 0.5), (0.5, 1 / 3), (0.0, 0.0)])
def test_the_rest_of_the_schedule_is_counted_in_steps(inprocess, sigma, share):
    from comfyui_spacetime.nodes.strength import remaining

    assert remaining(sigma, torch.tensor([1.0, 0.9, 0.5, 0.0])) == pytest.approx(share)


def test_what_is_held_for_a_while_enters_as_noisy_as_the_network_is_told(kit):
    """At noise level s a held position is (1 - s) of itself and s of the noise, and its timestep is s."""
    latent = keyframe(kit, animate(kit, image(0.2)), image(0.9), -1.0, strength=0.5)
    model, calls = recorded(kit.model)
    import comfy.sample

    sampled(replace(kit, model=model), latent, steps=4)
    noise = comfy.sample.prepare_noise(latent["samples"], 5)
    last = latent["samples"][:, :, -1]
    for call in calls[:2]:
        level = float(call.timestep.max()) / 1000
        told = call.timestep[0, 0, :, 0, 0] / 1000
        assert told[0] == 0 and told[1:].tolist() == pytest.approx([level] * 4)
        expected = (1 - level) * last + level * noise[:, :, -1]
        torch.testing.assert_close(call.x[:1, :, -1], expected, atol=1e-3, rtol=0)
