# SPDX-License-Identifier: GPL-3.0-or-later
"""Training the captioner: what it learns from, and what is published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import tiny_vae, write_tiny_checkpoint

pytest.importorskip("cv2", reason="training needs opencv: pip install '.[training]'")

from comfyui_spacetime.models.captioner_file import load_captioner, probe_frames
from comfyui_spacetime.training import train_caption
from comfyui_spacetime.training.footage.encode import encode
from comfyui_spacetime.training.latents import write_shard
from comfyui_spacetime.training.train_caption import choose, cropped

TINY = """
[captioner]
dim = 20
depth = 1
writers = 1
heads = 2
widths = [8, 8]

[train.caption]
steps = 3
clips = 2
captions = 2
log_every = 1
save_every = 3
warmup = 1
"""
TEXTS = [
    "a dog runs to the left on the beach",
    "狗在海边向左走",
    "a puppy walks leftwards at the seaside, a static shot",
]


def write_latents(folder: Path, channels: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for split in ("train", "held-out"):
        latent = torch.randn(4, channels, 3, 4, 6).bfloat16()
        texts = [{"clip": TEXTS, "image": ["a dog on the beach"]}] * 4
        path = folder / f"{split}-00000.safetensors"
        write_shard(path, latent, torch.zeros(4, 3, 4, 6), torch.tensor([8.0, 8.0, 12.0, 12.0]), texts)
    return folder


def train(tmp_path: Path, channels: int) -> Path:
    config = tmp_path / "tiny.toml"
    config.write_text(TINY, encoding="utf-8")
    checkpoint = write_tiny_checkpoint(tmp_path / "tiny.safetensors")
    latents = write_latents(tmp_path / "latents", channels)
    out = tmp_path / "run"
    changes = [f"latents={latents.as_posix()}", f"checkpoint={checkpoint.as_posix()}"]
    train_caption.main(["--config", str(config), "--out", str(out), *(f"--set={change}" for change in changes)])
    return out


def test_a_run_publishes_a_captioner_that_knows_its_vae(tmp_path):
    vae = tiny_vae()
    out = train(tmp_path, vae.config.channels)
    trained = load_captioner(out / train_caption.FILE)
    trained.check_vae(encode(vae, probe_frames()))
    assert trained.info["steps"] == 3 and trained.info["world"] == "nano" and trained.info["vae"] == "tiny"
    assert train(tmp_path, vae.config.channels) == out, "a run that is over is published again"


def test_latents_of_another_vae_are_refused(tmp_path):
    with pytest.raises(SystemExit, match=r"holds latents with 3 channels, the VAE of .* set checkpoint="):
        train(tmp_path, 3)


def test_captions_are_drawn_in_one_language_and_the_dense_ones_where_asked_to():
    rng = np.random.default_rng(0)
    assert set(choose(TEXTS, 20, rng, chinese=1.0, dense=True)) == {TEXTS[1]}
    assert set(choose(TEXTS, 20, rng, chinese=0.0, dense=True)) == {TEXTS[2]}
    assert set(choose(TEXTS, 20, rng, chinese=0.0, dense=False)) == {TEXTS[0], TEXTS[2]}
    assert choose(TEXTS[:1], 2, rng, chinese=1.0, dense=True) == [TEXTS[0]] * 2


def test_a_crop_keeps_most_of_each_side():
    sizes = [cropped(torch.zeros(1, 2, 3, 10, 20), np.random.default_rng(i), 0.8).shape for i in range(20)]
    assert all(8 <= size[3] <= 10 and 16 <= size[4] <= 20 for size in sizes) and len(set(sizes)) > 5
