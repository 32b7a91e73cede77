# SPDX-License-Identifier: GPL-3.0-or-later
"""Add Keyframe behind the other operations, and on latents of stock nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from clip_kit import film, finished, frames_of, image, known, pixels, sampled
from node_kit import Kit, as_the_executor_does, make_kit  # noqa: F401
from tiny import CHANNELS

pytestmark = pytest.mark.host


@pytest.fixture
def movie(tmp_path: Path) -> Any:
    """Two and a half seconds of a size that no VAE takes: it is made at 64x64."""
    return film(tmp_path / "one.mp4", frames=20, size=(70, 50))


def keyframe(kit: Kit, latent: Any, picture: Any, time: float, strength: float = 1.0) -> Any:
    from comfyui_spacetime.nodes.animate import AddKeyframe

    return AddKeyframe.execute(latent, picture, kit.vae, time, strength, "crop").result[0]


def halves(width: int = 140, height: int = 100) -> torch.Tensor:
    """A black and white picture of the movie's shape, twice its size."""
    picture = torch.zeros(1, height, width, 3)
    picture[:, :, width // 2 :] = 1
    return picture


def extended(kit: Kit, movie: Any, direction: str = "forward") -> Any:
    from comfyui_spacetime.nodes.extend import extend

    return extend(movie, kit.vae, direction, 1.0, 1.0)[0][0]


def looped(kit: Kit, movie: Any, mode: str) -> Any:
    from comfyui_spacetime.nodes.connect import loop

    return loop(movie, kit.vae, mode, 1.0, 0.5)[0]


def connected(kit: Kit, movie: Any) -> Any:
    from comfyui_spacetime.nodes.connect import ConnectVideos

    return ConnectVideos.execute(movie, movie, kit.vae, "add a bridge", 1.0, 0.5, 0.85, "same size only").result[0]


def edited(kit: Kit, movie: Any) -> Any:
    from comfyui_spacetime.nodes.edit import EditVideo

    return EditVideo.execute(movie, kit.vae, 1.0, -1.0, 0.0, 0.0).result[0]


@pytest.mark.parametrize(
    ("make", "time", "shown"),
    [
        (lambda kit, movie: extended(kit, movie), -1.0, range(24, 28)),
        (lambda kit, movie: extended(kit, movie, "backward"), 0.0, range(1)),
        (lambda kit, movie: looped(kit, movie, "add a bridge"), 0.7, range(20, 24)),
        (lambda kit, movie: connected(kit, movie), 0.7, range(20, 24)),
        (lambda kit, movie: edited(kit, movie), 1.0, range(5, 9)),
        (lambda kit, movie: edited(kit, movie), -1.0, range(17, 20)),  # the video ends within the latent frame
    ],
)
def test_a_keyframe_in_an_operation_is_shown_at_the_size_of_the_video(kit, movie, make, time, shown):
    latent = make(kit, movie)
    count = finished(kit, latent).get_frame_count()
    video = finished(kit, keyframe(kit, latent, halves(), time))
    frames = frames_of(video)
    assert video.get_dimensions() == (70, 50) and len(frames) == count
    assert (frames[shown, :, :34] == 0).all() and (frames[shown, :, 36:] == 255).all()
    assert len(np.unique(frames[max(0, shown.start - 1)])) > 2 or shown.start == 0


def test_the_model_sees_the_keyframe_at_the_size_at_which_it_works(kit, movie):
    from comfyui_spacetime.nodes.guides import KEY

    latent = keyframe(kit, extended(kit, movie), halves(), -1.0)
    run = latent[KEY].runs[-1]
    assert latent["samples"].shape[3:] == (4, 4) and {frame.shape for frame in run.frames} == {(64, 64, 3)}
    assert (run.frames[0][:, :30] == 0).all() and (run.frames[0][:, 34:] == 255).all()


def test_the_sound_goes_on_under_a_keyframe(kit, tmp_path):
    """Turned ends keep the sound of the end that is made anew."""
    latent = looped(kit, film(tmp_path / "loud.mp4", frames=40, size=(64, 64)), "turn the ends")
    whole = finished(kit, latent).get_audio()["waveform"]
    split = finished(kit, keyframe(kit, latent, image(0.5), 0.7)).get_audio()["waveform"]
    assert whole.shape[-1] == 40_000 and torch.equal(split, whole)


def test_one_sound_gives_way_to_the_other_under_a_keyframe_as_without_it(kit, tmp_path):
    from fractions import Fraction

    from comfyui_spacetime.nodes.animate import _insert
    from comfyui_spacetime.nodes.originals import look_at, open_video
    from comfyui_spacetime.nodes.plan import Kept, Made
    from comfyui_spacetime.nodes.soundtrack import soundtrack

    videos = [film(tmp_path / f"{loud}.mp4", frames=24, size=(64, 64), loud=loud) for loud in (0.8, -0.4)]
    one, two = (Kept(look_at(open_video(video))[0], 1, 21) for video in videos)
    part = Made(1, 21, sound=one, sound_in=two)
    parts = _insert((part,), (np.zeros((64, 64, 3), np.uint8),) * 4, 9)
    assert [type(one).__name__ for one in parts] == ["Made", "Shown", "Made"]
    plain, split = (soundtrack(those, Fraction(8))["waveform"] for those in ((part,), parts))
    torch.testing.assert_close(split, plain, atol=1e-3, rtol=0)


def test_the_frames_of_the_video_still_pass_through_untouched(kit, movie, tmp_path):
    frames = frames_of(finished(kit, keyframe(kit, extended(kit, movie), halves(), -1.0)))
    assert (frames[:20] == pixels(tmp_path / "one.mp4")).all()


# -- latents of stock nodes --------------------------------------------------------------------------------------------


def test_every_clip_of_a_batch_gets_the_keyframe(kit):
    batch = keyframe(
        kit, {**kit.latent(frames=5, batch=3), "samples": torch.randn(3, CHANNELS, 5, 4, 4)}, image(0.4), 0
    )
    assert batch["samples"].shape[0] == 3 and known(batch) == [1, 0, 0, 0, 0]
    still = kit.vae.encode(image(0.4)).expand(3, -1, -1, -1, -1)
    torch.testing.assert_close(batch["samples"][:, :, :1], still, atol=1e-4, rtol=0)


def test_a_repeated_batch_takes_another_keyframe(kit):
    import nodes

    latent = keyframe(kit, kit.latent(frames=5), image(0.4), 0.0)
    batch = keyframe(kit, nodes.RepeatLatentBatch().repeat(latent, 2)[0], image(0.6), -1.0)
    assert batch["samples"].shape[0] == 2 and known(batch) == [1, 0, 0, 0, 1]
    out = sampled(kit, batch)["samples"]
    assert torch.equal(out[:, :, :1], batch["samples"][:, :, :1]) and not torch.equal(out[0, :, 2], out[1, :, 2])


def test_what_the_clips_of_a_batch_know_stays_in_each(kit):
    latent = {**kit.latent(frames=5), "samples": torch.randn(2, CHANNELS, 5, 4, 4)}
    latent["noise_mask"] = torch.ones(2, 1, 5, 4, 4)
    latent["noise_mask"][1, :, 2] = 0
    batch = keyframe(kit, latent, image(0.4), -1.0)
    assert torch.equal(batch["samples"][1, :, 2], latent["samples"][1, :, 2])
    assert batch["noise_mask"].mean((1, 3, 4)).tolist() == [[1, 1, 1, 1, 0], [1, 1, 0, 1, 0]]


@pytest.mark.parametrize("shape", [(1, 1, 64, 64), (1, 64, 64), (1, 1, 75, 51)])
def test_a_mask_of_pixels_is_taken(kit, shape):
    latent = {**kit.latent(frames=5), "noise_mask": torch.ones(shape)}
    assert known(keyframe(kit, latent, image(0.4), 0.0)) == [1, 0, 0, 0, 0]
