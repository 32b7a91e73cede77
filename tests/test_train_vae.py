# SPDX-License-Identifier: GPL-3.0-or-later
"""The VAE on the shared training loop: it goes on bit for bit, publishes, and encodes."""

from __future__ import annotations

import json

import pytest
import torch
from scene_kit import drawn_sprites
from tiny import CHANNELS

pytest.importorskip("cv2", reason="training needs opencv: pip install '.[training]'")

from comfyui_spacetime.training import latents, train_vae
from comfyui_spacetime.training.saves import RunError, facts, latest

pytestmark = pytest.mark.usefixtures(drawn_sprites.__name__)

TINY = """
[vae]
widths = [16, 24, 32]
encoder_blocks = [1, 1]
decoder_blocks = [1, 1, 1]

[train.vae]
steps = 4
log_every = 1
sample_every = 0
"""


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A tiny VAE and one small bucket; the validation is left out."""
    monkeypatch.setattr(train_vae, "BUCKETS", ((64, 64, 5, 2, 0, 1),))
    monkeypatch.setattr(train_vae, "validate", lambda vae: (0.0, 0.0))
    (tmp_path / "tiny.toml").write_text(TINY, encoding="utf-8")

    def train(out, *changes):
        words = ["--config", str(tmp_path / "tiny.toml"), "--out", str(tmp_path / out)]
        train_vae.main(words + [word for change in changes for word in ("--set", change)])
        lines = [json.loads(line) for line in (tmp_path / out / "log.jsonl").read_text().splitlines()]
        return [line["loss"] for line in lines if "loss" in line]

    return train


def test_a_stopped_run_goes_on_bit_for_bit(small, tmp_path):
    whole = small("whole")
    small("parts", "stop_at=2")
    assert small("parts") == whole and len(whole) == 4
    one, two = (latents.open_vae(tmp_path / out)[0].state_dict() for out in ("whole", "parts"))
    assert all(torch.equal(one[name], two[name]) for name in one), "the scale of the latents too"


def test_the_averaged_weights_of_a_run_encode(small, tmp_path):
    small("run")
    vae = latents.encoding_vae(tmp_path / "run")
    assert vae.config.widths == (16, 24, 32)
    assert vae.encode(torch.zeros(1, 3, 5, 64, 64, dtype=torch.bfloat16)).shape == (1, CHANNELS, 2, 4, 4)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(RunError, match="holds no saved step"):
        latents.encoding_vae(tmp_path / "nothing")


def test_without_a_run_of_ones_own_the_shipped_vae_encodes(small, tmp_path):
    small("run")
    assert latents.own_or_shipped(tmp_path / "run") == tmp_path / "run"
    shipped = latents.own_or_shipped(tmp_path / "nothing")
    vae, steps = latents.open_vae(shipped)
    assert shipped == latents.SHIPPED and vae.config.channels == CHANNELS and steps > 0


def test_a_frozen_encoder_stays(small, tmp_path):
    small("frozen", "freeze_encoder=true")
    trained, _ = latents.open_vae(tmp_path / "frozen")
    torch.manual_seed(0)
    begun, after = train_vae.VideoVAE(trained.config).encoder.state_dict(), trained.encoder.state_dict()
    assert all(torch.allclose(begun[name], after[name]) for name in begun)
    assert facts(latest(tmp_path / "frozen"))["freeze_encoder"] is True


def test_a_halved_clip_is_half_as_wide_and_high_and_as_bright():
    clip = torch.rand(2, 3, 3, 8, 12)
    half = train_vae.halved(clip)
    assert half.shape == (2, 3, 3, 4, 6) and half.mean() == pytest.approx(float(clip.mean()), abs=1e-5)
    assert half[1, 2, 0, 0, 0] == pytest.approx(float(clip[1, 2, 0, :2, :2].mean()))
