# SPDX-License-Identifier: GPL-3.0-or-later
"""Extend Video and Finish Video: originals untouched, the new frames joined to them, sound kept and padded."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from clip_kit import film, finished, frames_of, from_file, known, sampled
from node_kit import Kit, as_the_executor_does, make_kit  # noqa: F401

from comfyui_spacetime.video.reader import read_frames

pytestmark = pytest.mark.host


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    """Two and a half seconds at 8 frames per second, 70x50 pixels, with sound."""
    film(tmp_path / "movie.mp4")
    return tmp_path / "movie.mp4"


def extend(kit: Kit, video: Any, direction: str = "forward", seconds: float = 1.0, context: float = 1.0, **size: int):
    from comfyui_spacetime.nodes.extend import ExtendVideo

    return ExtendVideo.execute(video, kit.vae, direction, seconds, context, **size).result[0]


def test_the_end_is_known_as_a_clip_s_begin_and_what_follows_is_not(kit, movie):
    (latent,) = extend(kit, from_file(movie), seconds=1.0, context=1.0)
    assert known(latent) == [1, 1, 1, 0, 0] and latent["frame_rate"] == 8.0
    tail = torch.from_numpy(np.stack(list(read_frames(movie, size=(64, 64), fit="stretch")))[-9:]).float() / 255
    torch.testing.assert_close(latent["samples"][:, :, :3], kit.vae.encode(tail), atol=1e-4, rtol=0)


def test_backward_the_begin_is_known_with_an_unknown_past(kit, movie):
    (latent,) = extend(kit, from_file(movie), "backward")
    assert known(latent) == [0, 0, 0, 1, 1]
    head = torch.from_numpy(np.stack(list(read_frames(movie, size=(64, 64), fit="stretch")))[:8]).float() / 255
    own = kit.vae.encode(torch.cat([head[:1], head]))[:, :, 1:]
    torch.testing.assert_close(latent["samples"][:, :, 3:], own, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("direction", "count", "begin"), [("forward", 28, 0), ("backward", 29, 9), ("both", 37, 9)])
def test_every_original_frame_passes_through_bit_for_bit(kit, movie, direction, count, begin):
    done = [sampled(kit, latent) for latent in extend(kit, from_file(movie), direction)]
    video = finished(kit, *done)
    frames = frames_of(video)
    assert video.get_frame_count() == len(frames) == count and video.get_dimensions() == (70, 50)
    assert video.get_frame_rate() == Fraction(8)
    assert (frames[begin : begin + 20] == np.stack(list(read_frames(movie)))).all()


def test_the_sound_is_kept_in_its_place_and_padded_with_silence(kit, movie):
    done = [sampled(kit, latent) for latent in extend(kit, from_file(movie), "both")]
    audio = finished(kit, *done).get_audio()
    wave, rate = audio["waveform"][0, 0], audio["sample_rate"]
    assert rate == 8000 and len(wave) == 37 * 1000
    assert not wave[:9000].any() and not wave[29200:].any() and (wave[10000:28000] - 0.25).abs().max() < 0.05


def test_known_latents_survive_both_samplers_bit_for_bit(kit, movie):
    (latent,) = extend(kit, from_file(movie))
    assert torch.equal(sampled(kit, latent)["samples"][:, :, :3], latent["samples"][:, :, :3])
    stock = kit.stock_sample(kit.model, latent)
    assert torch.equal(stock[:, :, :3], latent["samples"][:, :, :3])
    assert not torch.equal(stock[:, :, 3], latent["samples"][:, :, 3])


def test_the_plan_travels_through_the_stock_sampler(kit, movie):
    import nodes

    (latent,) = extend(kit, from_file(movie))
    out = nodes.common_ksampler(kit.model, 5, 2, 3.0, "euler", "simple", kit.positive, kit.negative, latent)[0]
    assert finished(kit, out).get_frame_count() == 28


def test_what_the_vae_loses_fades_from_the_first_new_frames(kit, movie):
    """A VAE that knows mean colours only, and new frames that go on with the last one's: its detail goes on, too."""
    import vae_doubles

    from comfyui_spacetime.nodes.extend import ExtendVideo

    vae = vae_doubles.plain(time=4)
    (latent,) = ExtendVideo.execute(from_file(movie), vae, "forward", 2.0, 1.0).result[0]
    last = np.stack(list(read_frames(movie)))[-1].astype(int)
    plain, helped = (frames_of(finished(kit, latent, vae=vae, fade=fade)).astype(int) for fade in (0.0, 1.0))
    jumps = [[np.abs(frames[20 + k] - last).mean() for k in (0, 4, 12)] for frames in (plain, helped)]
    assert jumps[1][0] < 0.2 * jumps[0][0] and jumps[1][0] < jumps[1][1] < jumps[1][2] == jumps[0][2]
    assert (plain[:20] == helped[:20]).all()


def test_the_originals_may_be_shown_as_the_model_saw_them(kit, movie):
    (latent,) = extend(kit, from_file(movie))
    assert finished(kit, latent, originals=False).get_frame_count() == 17


def test_a_latent_without_a_plan_is_simply_decoded(kit):
    video = finished(kit, kit.latent(), kit.latent())
    assert video.get_frame_count() == 18 and video.get_dimensions() == (64, 64)


def loud(level: float, clips: int = 1, seconds: float = 4.0) -> dict[str, Any]:
    levels = torch.tensor([level + n / 8 for n in range(clips)])
    return {"waveform": levels[:, None, None].expand(-1, 2, round(8000 * seconds)), "sample_rate": 8000}


def test_a_latent_s_own_sound_is_kept_as_decode_video_does(kit):
    audio = finished(kit, {**kit.latent(), "audio": loud(0.25)}).get_audio()
    assert audio["sample_rate"] == 8000 and audio["waveform"].shape == (1, 2, 9000)
    assert (audio["waveform"] == 0.25).all()
    parts = finished(kit, {**kit.latent(), "audio": loud(0.25, seconds=0.5)}, {**kit.latent(), "audio": loud(0.75)})
    wave = parts.get_audio()["waveform"][0, 0]
    assert len(wave) == 18000 and (wave[:4000] == 0.25).all() and not wave[4000:9000].any()
    assert (wave[9000:] == 0.75).all()


def test_each_clip_of_a_batch_keeps_its_own_sound(kit):
    from comfyui_spacetime.nodes.finish import finish as finish_all

    videos = finish_all([{**kit.latent(batch=2), "audio": loud(0.25, clips=2)}], kit.vae)
    assert [float(video.get_audio()["waveform"].mean()) for video in videos] == [0.25, 0.375]


def test_a_latent_s_own_sound_goes_on_under_a_keyframe(kit):
    from clip_kit import image

    from comfyui_spacetime.nodes.animate import add_keyframe

    latent = add_keyframe({**kit.latent(frames=5), "audio": loud(0.25)}, image(0.5), kit.vae, 1.0, 1.0)
    wave = finished(kit, latent).get_audio()["waveform"]
    assert wave.shape[-1] == 17_000 and (wave == 0.25).all()


def test_the_originals_sound_comes_before_a_latent_s_own(kit, movie):
    (latent,) = extend(kit, from_file(movie))
    with_own = finished(kit, {**latent, "audio": loud(0.75)}).get_audio()["waveform"]
    assert torch.equal(with_own, finished(kit, latent).get_audio()["waveform"])


def test_a_batch_gives_one_video_for_each_variation(kit, movie):
    from comfyui_spacetime.nodes.finish import finish as finish_all

    (latent,) = extend(kit, from_file(movie))
    many = {**latent, "samples": latent["samples"].repeat(2, 1, 1, 1, 1)}
    assert len(finish_all([many], kit.vae)) == 2


def test_another_size_to_generate_at_leaves_the_video_s_own(kit, movie):
    (latent,) = extend(kit, from_file(movie), width=32)
    assert latent["samples"].shape[3:] == (2, 2)
    assert finished(kit, latent).get_dimensions() == (70, 50)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"context": 4.0}, r"video has 20 frames \(2.50 s\), but the context takes 33 frames \(4.12 s\)"),
        ({"seconds": 0.0}, "Nothing is to be added"),
        ({"direction": "sideways"}, "no direction 'sideways': choose forward, backward, both"),
    ],
)
def test_what_cannot_be_extended_is_said_before_sampling(kit, movie, settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        extend(kit, from_file(movie), **settings)


def test_a_video_without_frames_or_of_one_pixel_is_refused(kit):
    from comfy_api.latest import InputImpl, Types

    def video(frames: int, side: int) -> Any:
        parts = Types.VideoComponents(images=torch.zeros(frames, side, side, 3), audio=None, frame_rate=Fraction(8))
        return InputImpl.VideoFromComponents(parts)

    with pytest.raises(ValueError, match="The video has no frames"):
        extend(kit, video(0, 64))
    with pytest.raises(ValueError, match="The video is 1x1 pixels: that is too small"):
        extend(kit, video(9, 1))


def test_a_vae_of_pictures_is_refused(kit, movie):
    import vae_doubles

    from comfyui_spacetime.nodes.extend import ExtendVideo

    with pytest.raises(ValueError, match="knows pictures only"):
        ExtendVideo.execute(from_file(movie), vae_doubles.picture(), "forward", 1.0, 1.0)


def test_parts_of_different_sizes_are_refused(kit, movie):
    (latent,) = extend(kit, from_file(movie))
    with pytest.raises(ValueError, match="The parts differ: 70x50 at 8 fps and 64x64 at 8 fps"):
        finished(kit, latent, kit.latent())


def test_a_latent_that_was_cut_on_its_way_is_refused(kit, movie):
    (latent,) = extend(kit, from_file(movie))
    with pytest.raises(ValueError, match="has 9 frames, but its operation needs 17"):
        finished(kit, {**latent, "samples": latent["samples"][:, :, :3]})
