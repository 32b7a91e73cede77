# SPDX-License-Identifier: GPL-3.0-or-later
"""Loop Video and Connect Videos: known at both ends, every original frame kept, no jump where they meet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from clip_kit import film, finished, frames_of, known, pixels, sampled
from node_kit import Kit, as_the_executor_does, make_kit  # noqa: F401

pytestmark = pytest.mark.host


@pytest.fixture
def movie(tmp_path: Path) -> Any:
    return film(tmp_path / "one.mp4")


@pytest.fixture
def other(tmp_path: Path) -> Any:
    return film(tmp_path / "two.mp4", frames=16, level=60, loud=0.5)


def loop(kit: Kit, video: Any, mode: str = "add a bridge", seconds: float = 1.0, context: float = 0.5) -> Any:
    from comfyui_spacetime.nodes.connect import LoopVideo

    return LoopVideo.execute(video, kit.vae, mode, seconds, context).result[0]


def connect(kit: Kit, first: Any, second: Any, mode: str = "add a bridge", vae: Any = None, **settings: Any) -> Any:
    from comfyui_spacetime.nodes.connect import ConnectVideos

    settings = {"seconds": 1.0, "context": 0.5, "strength": 0.9, "fit": "same size only", **settings}
    return ConnectVideos.execute(first, second, vae or kit.vae, mode, **settings).result[0]


def test_a_bridge_leads_from_the_end_to_the_begin(kit, movie, tmp_path):
    latent = loop(kit, movie)
    assert known(latent) == [1, 1, 0, 0, 1]
    frames = pixels(tmp_path / "one.mp4")
    video = finished(kit, sampled(kit, latent))
    assert video.get_frame_count() == 28 and (frames_of(video)[:20] == frames).all()


def test_turned_ends_keep_the_length_and_the_frames_before(kit, movie, tmp_path):
    latent = loop(kit, movie, "turn the ends")
    assert known(latent) == [1, 1, 0, 0, 1]
    video = finished(kit, sampled(kit, latent))
    assert video.get_frame_count() == 20 and (frames_of(video)[:12] == pixels(tmp_path / "one.mp4")[:12]).all()
    assert (video.get_audio()["waveform"][0, 0, 14000:19000] - 0.25).abs().max() < 0.05  # the sound goes on


def test_the_loop_closes_without_a_jump(kit, tmp_path):
    """With a VAE of mean colours and new frames that hold what is next to them, both seams keep all detail."""
    import vae_doubles

    from comfyui_spacetime.nodes.connect import LoopVideo

    video = film(tmp_path / "still.mp4", frames=20, size=(64, 48))
    vae = vae_doubles.plain(time=4)
    latent = LoopVideo.execute(video, vae, "add a bridge", 1.0, 0.5).result[0]
    frames = frames_of(finished(kit, latent, vae=vae)).astype(int)
    own = np.abs(np.diff(frames[:20], axis=0)).mean((1, 2, 3)).max()
    assert np.abs(frames[20] - frames[19]).mean() < 1.5 * own and np.abs(frames[-1] - frames[0]).mean() < 1.5 * own


def test_a_bridge_between_two_clips_keeps_all_of_both(kit, movie, other, tmp_path):
    latent = connect(kit, movie, other)
    assert known(latent) == [1, 1, 0, 0, 1]
    video = finished(kit, sampled(kit, latent))
    frames = frames_of(video)
    assert len(frames) == video.get_frame_count() == 20 + 8 + 16
    assert (frames[:20] == pixels(tmp_path / "one.mp4")).all() and (frames[28:] == pixels(tmp_path / "two.mp4")).all()
    wave = video.get_audio()["waveform"][0, 0]
    assert len(wave) == 44000
    assert wave[18000] > 0.2 and not wave[20500:28000].any() and wave[30000] > 0.45


def test_the_second_clip_takes_the_first_one_s_rate_and_size(kit, movie, tmp_path):
    other = film(tmp_path / "two.mp4", frames=48, size=(96, 96), fps=24)
    with pytest.raises(ValueError, match=r"first video is 70x50 and the second 96x96: choose .*crop, pad, stretch"):
        connect(kit, movie, other)
    video = finished(kit, connect(kit, movie, other, fit="crop"))
    assert video.get_dimensions() == (70, 50) and video.get_frame_count() == 20 + 8 + 16


def test_two_clips_melt_over_the_length_of_the_shorter(kit, movie, other, tmp_path):
    latent = connect(kit, movie, other, "melt")
    held = known(latent)
    assert len(held) == 4 and held[0] == held[-1] == 1 and 0 < held[1] < 0.5  # 13 frames
    video = finished(kit, sampled(kit, latent, steps=4))
    frames = frames_of(video)
    assert len(frames) == 13
    assert (frames[0] == pixels(tmp_path / "one.mp4")[0]).all()
    assert (frames[9:] == pixels(tmp_path / "two.mp4")[9:13]).all()
    wave = video.get_audio()["waveform"][0, 0]
    assert wave[3000] < wave[6000] < wave[10000]  # the sound glides, too


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"seconds": 0.0}, "The bridge has no frames"),
        ({"context": 9.0}, "The video has 20 frames .* the context takes 73"),
        ({"mode": "jump"}, "no mode 'jump': choose add a bridge or melt"),
    ],
)
def test_what_cannot_be_connected_is_said_before_sampling(kit, movie, other, settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        connect(kit, movie, other, **settings)


def test_what_cannot_be_looped_is_said_before_sampling(kit, movie, tmp_path):
    with pytest.raises(ValueError, match="The bridge has no frames"):
        loop(kit, movie, seconds=0.0)
    with pytest.raises(ValueError, match="context and the new end together takes 29 frames"):
        loop(kit, movie, "turn the ends", seconds=3.0)
    with pytest.raises(ValueError, match="shorter video has 8 frames: to melt into another it takes at least 13"):
        connect(kit, movie, film(tmp_path / "short.mp4", frames=8), "melt")


def test_a_still_that_melts_keeps_its_known_ends_through_the_sampler(kit, movie, other):
    latent = connect(kit, movie, other, "melt")
    out = sampled(kit, latent, steps=4)["samples"]
    assert torch.equal(out[:, :, 0], latent["samples"][:, :, 0])
    assert torch.equal(out[:, :, -1], latent["samples"][:, :, -1])
    assert not torch.allclose(out[:, :, 1], latent["samples"][:, :, 1], atol=1e-3)
