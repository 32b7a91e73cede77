# SPDX-License-Identifier: GPL-3.0-or-later
"""Latents of rendered scenes, made once and kept: what the transformer trains on.

``python -P host/entry.py training.latents --vae runs/vae/run.pt --out runs/latents`` writes shards, one shape each;
several processes may write into the same folder with different ``--part``. A causal latent's first frames are the
latent of the clip's first frames, so every shard also serves shorter clips and images.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..models.vae import TIME, VideoVAE
from .common import log, start
from .world import Scene, draw_scene, render

# (width, height, frames, share of the clips)
SHAPES = (
    (256, 256, 17, 8),
    (256, 256, 33, 4),
    (352, 192, 17, 1),
    (192, 352, 17, 1),
    (288, 224, 17, 1),
    (224, 288, 17, 1),
    (352, 192, 33, 1),
)
RATES = (8.0, 8.0, 8.0, 6.0, 12.0)
SHARD = 64


def average_vae(run: Path) -> VideoVAE:
    """The averaged weights of a VAE run, ready to encode."""
    vae = VideoVAE()
    vae.load_state_dict(torch.load(run, weights_only=True)["average"])
    return vae.to(torch.bfloat16).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]


@torch.inference_mode()
def encode_shard(vae: VideoVAE, seed: int, width: int, height: int, frames: int, split: str) -> dict[str, Tensor]:
    """Render and encode SHARD scenes; returns latents, coverage per latent position (0..1), seeds and frame rates."""
    latents, covers, rates = [], [], []
    for i in range(SHARD):
        rate = RATES[np.random.default_rng([seed, i]).integers(len(RATES))]
        video, cover = render(draw_scene(seed + i, split), width, height, frames, rate)
        x = torch.from_numpy(video).permute(3, 0, 1, 2)[None].float().div(127.5).sub(1).to(torch.bfloat16)
        latents.append(vae.encode(x))
        covers.append(latent_cover(torch.from_numpy(cover)))
        rates.append(rate)
    return {
        "latent": torch.cat(latents).contiguous(),
        "cover": torch.stack(covers),
        "seed": torch.arange(seed, seed + SHARD),
        "fps": torch.tensor(rates),
    }


def latent_cover(cover: Tensor) -> Tensor:
    """Average a sprite's coverage (F, H, W) uint8 over each latent position: (T, H/16, W/16) bf16 in 0..1."""
    x = cover[:, None].float() / 255
    x = F.avg_pool2d(x, 16)[:, 0]
    rest = x[1:].unflatten(0, (-1, TIME)).mean(1)
    return torch.cat([x[:1], rest]).to(torch.bfloat16)


@dataclass
class Shapes:
    """All shards of one shape, in memory."""

    latent: Tensor  # (N, C, T, h, w)
    cover: Tensor  # (N, T, h, w)
    scenes: list[Scene]
    fps: Tensor


def load_latents(folder: Path, split: str, rank: int = 0, world: int = 1) -> dict[tuple[int, int, int], Shapes]:
    """Load this process's share of the shards: {(frames of latent, height, width): clips}."""
    found: dict[tuple[int, int, int], list[dict[str, Tensor]]] = {}
    for path in sorted(folder.glob(f"{split.replace(' ', '-')}-*.safetensors"))[rank::world]:
        with safe_open(path, framework="pt") as file:
            shard = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        t, h, w = shard["latent"].shape[2:]
        found.setdefault((t, h, w), []).append(shard)
    out = {}
    for shape, shards in found.items():
        whole = {name: torch.cat([s[name] for s in shards]) for name in ("latent", "cover", "seed", "fps")}
        scenes = [draw_scene(int(seed), split) for seed in whole["seed"]]
        out[shape] = Shapes(whole["latent"], whole["cover"], scenes, whole["fps"])
    return out


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vae", type=Path, default=Path("runs/vae/run.pt"))
    parser.add_argument("--out", type=Path, default=Path("runs/latents"))
    parser.add_argument("--split", default="train")
    parser.add_argument("--first", type=int, default=0, help="number of the first shard")
    parser.add_argument("--shards", type=int, default=100)
    parser.add_argument("--part", default="0/1", help="which of several processes this is")
    args = parser.parse_args()
    start()
    cv2.setNumThreads(1)
    part, parts = map(int, args.part.split("/"))
    vae = average_vae(args.vae)
    args.out.mkdir(parents=True, exist_ok=True)
    odds = np.array([s[3] for s in SHAPES], float)
    base = 100_000_000 if args.split == "train" else 900_000_000
    for n in range(args.first + part, args.first + args.shards, parts):
        width, height, frames, _ = SHAPES[np.random.default_rng([n, 5]).choice(len(SHAPES), p=odds / odds.sum())]
        path = args.out / f"{args.split.replace(' ', '-')}-{n:05d}.safetensors"
        if path.exists():
            continue
        shard = encode_shard(vae, base + n * SHARD, width, height, frames, args.split)
        save_file(shard, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").rename(path)
        if n % 10 == 0:
            log.info("shard %d: %d x %d, %d frames", n, width, height, frames)


if __name__ == "__main__":
    main()
