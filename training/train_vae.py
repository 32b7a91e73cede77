# SPDX-License-Identifier: GPL-3.0-or-later
"""Train the video VAE on the scene world: ``python -P host/entry.py training.train_vae --minutes 60``.

Loss: L1 and squared error, weighted towards the moving sprite, and L1 of the picture's gradients, which keeps edges.
Several processes on one machine: ``torchrun --nproc-per-node 2 host/entry.py training.train_vae ...``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..models.checkpoint import load_checkpoint
from ..models.vae import VAEConfig, VideoVAE
from .common import Clock, learning_rate, load_run, log, save_run, start
from .optim import Average, Optimisers
from .world import draw_scene, render

# (width, height, frames, clips in a batch of one process, side of the square cut around the sprite or 0, how often)
BUCKETS = (
    (256, 256, 9, 5, 160, 6),
    (256, 256, 17, 3, 160, 3),
    (256, 256, 9, 2, 0, 1),
    (352, 192, 9, 5, 160, 1),
    (192, 352, 9, 5, 160, 1),
    (256, 256, 1, 12, 160, 1),
    (128, 128, 17, 4, 0, 1),
)
LATENT_NOISE = 0.1


def batch(
    seed: int, width: int, height: int, frames: int, clips: int, crop: int = 0, split: str = "train"
) -> tuple[Tensor, Tensor]:
    """Render clips (B, F, 3, H, W) in -1..1 and the sprites' coverage (B, F, 1, H, W) in 0..1.

    The background is soon learnt: with ``crop`` only a square of that side around each sprite's path is kept.
    """
    rng = np.random.default_rng(seed)
    videos, covers = [], []
    for i in range(clips):
        video, cover = render(draw_scene(seed * 16 + i, split), width, height, frames, float(rng.choice([6, 8, 8, 12])))
        if crop:
            rows, columns = _around(cover, crop, rng)
            video, cover = video[:, rows, columns], cover[:, rows, columns]
        videos.append(torch.from_numpy(video))
        covers.append(torch.from_numpy(cover))
    video = torch.stack(videos).permute(0, 1, 4, 2, 3).contiguous().float().div_(127.5).sub_(1)
    return video, torch.stack(covers)[:, :, None].float() / 255


def _around(cover: NDArray[np.uint8], side: int, rng: np.random.Generator) -> tuple[slice, slice]:
    """A square of ``side`` pixels that contains most of the sprite's path, jittered."""
    seen = cover.max(0) > 0
    cuts = []
    for axis, length in ((1, seen.shape[0]), (0, seen.shape[1])):
        where = np.flatnonzero(seen.any(axis))
        middle = where.mean() if len(where) else length / 2
        first = int(np.clip(middle - side / 2 + rng.uniform(-30, 30), 0, length - side))
        cuts.append(slice(first, first + side))
    return cuts[0], cuts[1]


def reconstruction_loss(made: Tensor, real: Tensor, cover: Tensor, emphasis: float = 5.0) -> Tensor:
    """Weighted L1 + squared error + gradient L1 of (B, F, 3, H, W) clips."""
    weight = 1 + emphasis * (cover > 0)
    weight = (weight / weight.mean()).expand_as(real).contiguous()
    error = made - real
    loss = torch.dot(weight.flatten(), (error.abs() + 2 * error.square()).flatten())
    for dim in (3, 4):
        inner = weight.narrow(dim, 1, weight.shape[dim] - 1)
        loss = loss + (inner * error.diff(dim=dim).abs()).sum()
    return loss / error.numel()


@torch.no_grad()
def validate(vae: VideoVAE, clips: int = 24) -> tuple[float, float]:
    """PSNR in dB on held-out scenes: of whole frames, and of the sprites' pixels in scenes that move."""
    vae.eval()
    whole, moving, pixels = 0.0, 0.0, 0.0
    for i in range(clips):
        video, cover = batch(10_000_000 + i, 256, 256, 17, 1, split="held out")
        with torch.autocast("cpu", torch.bfloat16):
            made = vae.decode(vae.encode(video.transpose(1, 2))).float().clamp(-1, 1).transpose(1, 2)
        error = ((made - video) / 2).square()
        whole += float(error.mean()) / clips
        inside = (cover > 0.5).float()
        moving += float((error * inside).sum()) / 3
        pixels += float(inside.sum())
    vae.train()
    return -10 * float(np.log10(whole)), -10 * float(np.log10(moving / pixels))


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--out", type=Path, default=Path("runs/vae"))
    parser.add_argument(
        "--freeze-encoder", action="store_true", help="train the decoder only, latents stay as they are"
    )
    parser.add_argument("--start-from", type=Path, help="begin with a published checkpoint's weights")
    args = parser.parse_args()
    rank, world = start()
    cv2.setNumThreads(1)
    torch.manual_seed(rank)
    vae = VideoVAE(VAEConfig()).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    step, clock, saved = 0, Clock(args.minutes), load_run(args.out / "run.pt")
    if args.start_from is not None:
        vae.load_state_dict(load_checkpoint(args.start_from).build_vae().state_dict())
    average = Average(vae)
    if saved:
        vae.load_state_dict(saved["model"])
        average.values, average.count = saved["average"], saved["count"]
    if args.freeze_encoder:
        vae.encoder.requires_grad_(False)
    optimisers = Optimisers(vae, ("patchify", "unpatchify", "project"))
    if saved:
        step = saved["step"]
        if saved["frozen"] == args.freeze_encoder:
            clock.spent = saved["spent"]
            optimisers.load_state_dict(saved["optimisers"])
    odds = np.array([b[5] for b in BUCKETS], float)
    began, losses, done = time.monotonic(), [], 0
    first = step
    while (progress := clock.progress) < 1:
        width, height, frames, clips, crop, _ = BUCKETS[
            np.random.default_rng(step).choice(len(BUCKETS), p=odds / odds.sum())
        ]
        video, cover = batch(step * world + rank, width, height, frames, clips, crop)
        with torch.autocast("cpu", torch.bfloat16):
            if args.freeze_encoder:
                vae.scale.eval()
            z = vae.encode(video.transpose(1, 2))
            z = z + LATENT_NOISE * torch.rand(clips, 1, 1, 1, 1) * torch.randn_like(z)
            made = vae.decode(z)
        loss = reconstruction_loss(made.transpose(1, 2).float().contiguous(), video, cover)
        loss.backward()  # type: ignore[no-untyped-call]
        optimisers.step(learning_rate(progress, step - first))
        average.update(vae)
        losses.append(loss.item())
        step, done = step + 1, done + clips * frames * world
        if step % 50 == 0 and rank == 0:
            speed = done / (time.monotonic() - began)
            log.info(
                "vae step %d  %3.0f%%  loss %.4f  %.0f frames/s  skipped %d",
                step,
                100 * progress,
                np.mean(losses),
                speed,
                optimisers.skipped,
            )
            losses = []
        if step % 500 == 0:
            _save(args, vae, average, optimisers, step, clock, rank)
    _save(args, vae, average, optimisers, step, clock, rank)


def _save(
    args: argparse.Namespace,
    vae: VideoVAE,
    average: Average,
    optimisers: Optimisers,
    step: int,
    clock: Clock,
    rank: int,
) -> None:
    """Write the run's state and say how well the averaged weights do on held-out scenes."""
    if rank:
        return
    save_run(
        args.out / "run.pt",
        model=vae.state_dict(),
        average=average.values,
        count=average.count,
        step=step,
        optimisers=optimisers.state_dict(),
        spent=clock.seconds,
        frozen=args.freeze_encoder,
    )
    shadow = VideoVAE(vae.config)
    shadow.load_state_dict(average.values)
    whole, moving = validate(shadow)
    log.info("vae step %d  held-out PSNR %.2f dB, on the sprites %.2f dB", step, whole, moving)


if __name__ == "__main__":
    main()
