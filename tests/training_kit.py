# SPDX-License-Identifier: GPL-3.0-or-later
"""A tiny model and made-up latents, so that the training programs run in seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import torch
from tiny import CHANNELS

from comfyui_spacetime.training import latents
from comfyui_spacetime.training.origins import Origin

ROOT = Path(__file__).resolve().parent.parent
TINY = """
[dit]
dim = 64
depth = 2
heads = 2
text_dim = 32

[text]
dim = 32
depth = 1
heads = 2

[train.dit]
tokens = 128
warmup = 2
log_every = 1
save_every = 3
sample_every = 0
shard = "no"
"""


def write_tiny_config(folder: Path) -> Path:
    path = folder / "tiny.toml"
    path.write_text(TINY, encoding="utf-8")
    return path


def write_made_up_latents(folder: Path, clips: int = 6, vae: str = "") -> Path:
    """Shards of three shapes and two frame rates, with captions."""
    folder.mkdir(parents=True, exist_ok=True)
    for n, (frames, height, width) in enumerate([(3, 4, 4), (5, 6, 4), (5, 8, 8)]):
        torch.manual_seed(n)
        texts = [{"clip": [f"a red panda walks to the {d}"], "image": ["a red panda"]} for d in ["left", "right"] * 3]
        for split in ("train", "held-out"):
            latents.write_shard(
                folder / f"{split}-{n:05d}.safetensors",
                torch.randn(clips, CHANNELS, frames, height, width).bfloat16(),
                torch.rand(clips, frames, height, width).bfloat16(),
                torch.tensor([8.0, 12.0] * (clips // 2)),
                texts[:clips],
                Origin(vae),
            )
    return folder


def train(
    folder: Path, out: str, *changes: str, processes: int = 1, options: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run ``train dit`` on the tiny config in new processes."""
    config = folder / "tiny.toml"
    if not config.exists():
        write_tiny_config(folder)
        write_made_up_latents(folder / "latents")
    sets = [f"latents={folder / 'latents'}", *changes]
    program = [
        str(ROOT / "host" / "entry.py"),
        "training.train_dit",
        "--config",
        str(config),
        "--out",
        str(folder / out),
    ]
    program += [word for change in sets for word in ("--set", change)] + list(options)
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [sys.executable, *(launcher if processes > 1 else ["-P"]), *program]
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(command, capture_output=True, text=True, env=environ, timeout=300, check=False)


def losses(folder: Path) -> list[tuple[int, float]]:
    """The logged losses by step."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return [(line["step"], line["loss"]) for line in lines if "loss" in line]
