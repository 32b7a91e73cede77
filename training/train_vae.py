# SPDX-License-Identifier: GPL-3.0-or-later
"""Train the video VAE on the scene world: ``./spacetime train vae --minutes 60``.

Loss: L1 and squared error, weighted towards what moves, and L1 of the picture's gradients, which keeps edges.
The loop itself is in run.py. ``--start-from CHECKPOINT`` goes on from a published VAE, of this size or smaller. Train
the decoder alone, so that latents stay as they are, in a run of its own: ``--start-from CHECKPOINT --set
freeze_encoder=true --out runs/vae-decoder``.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..models.checkpoint import load_checkpoint
from ..models.vae import VideoVAE
from .command import Command, run_command
from .grow import grow
from .parallel import Processes
from .run import Part
from .samples import strip
from .scenes.render import render
from .settings import TrainVAE
from .worlds import scene_of

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
SEEDS = 600_000  # of training batches; those of the validation lie far above


def batch(
    seed: int,
    width: int,
    height: int,
    frames: int,
    clips: int,
    crop: int = 0,
    split: str = "train",
    worlds: dict[str, float] | None = None,
) -> tuple[Tensor, Tensor]:
    """Render clips (B, F, 3, H, W) in -1..1 and the sprites' coverage (B, F, 1, H, W) in 0..1.

    ``worlds`` are the odds of each world (else nano alone). The background is soon learnt: with ``crop`` only a
    square of that side around each sprite's path is kept.
    """
    rng = np.random.default_rng(seed)
    names, odds = zip(*(worlds or {"nano": 1.0}).items(), strict=True)
    videos, covers = [], []
    for i in range(clips):
        fps = float(rng.choice([6, 8, 8, 12]))
        world = str(rng.choice(names, p=np.array(odds) / sum(odds)))
        video, truth = render(scene_of(world, seed * 16 + i, split), width, height, frames, fps)
        cover = truth.cover
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
    loss = torch.dot(weight.flatten(), (error.abs() + 6 * error.square()).flatten())
    for dim in (3, 4):
        inner = weight.narrow(dim, 1, weight.shape[dim] - 1)
        loss = loss + (inner * error.diff(dim=dim).abs()).sum()
    return loss / error.numel()


def halved(x: Tensor) -> Tensor:
    """A clip or latent (B, ., ., H, W) at half its size."""
    return F.avg_pool2d(x.flatten(0, 2)[:, None], 2)[:, 0].unflatten(0, x.shape[:3])


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


class VAEPart(Part):
    """The VAE as a part of a run."""

    name, unit = "vae", "frames"
    adam_only = ("patchify", "unpatchify", "project")

    def __init__(self, options: TrainVAE, module: VideoVAE, processes: Processes) -> None:
        self.options, self.module, self.device = options, module, processes.device
        module.encoder.requires_grad_(not options.freeze_encoder)

    def loss(self, rng: np.random.Generator, progress: float) -> tuple[Tensor, int]:
        """Render a batch of one bucket; the loss of its reconstruction from noisy latents, and its frames."""
        odds = np.array([b[5] for b in BUCKETS], float)
        width, height, frames, clips, crop, _ = BUCKETS[rng.choice(len(BUCKETS), p=odds / odds.sum())]
        video, cover = batch(int(rng.integers(SEEDS)), width, height, frames, clips, crop, worlds=self.options.worlds)
        video, cover = video.to(self.device), cover.to(self.device)
        self.module.train()
        with torch.autocast(self.device.type, torch.bfloat16):
            if self.options.freeze_encoder:
                self.module.scale.eval()
            z = self.module.encode(video.transpose(1, 2))
            if not self.options.freeze_encoder and rng.random() < self.options.halved:
                z, video, cover = halved(z), halved(video), halved(cover)
            noise = self.options.latent_noise * torch.rand(clips, 1, 1, 1, 1).to(z.device)
            made = self.module.decode(z + noise * torch.randn_like(z))
        made = made.transpose(1, 2).float().contiguous()
        return reconstruction_loss(made, video, cover, self.options.emphasis), clips * frames

    def validate(self) -> dict[str, float]:
        """PSNR in dB on held-out scenes: of whole frames, and on the sprites."""
        whole, moving = validate(self.module)
        return {"PSNR": whole, "PSNR on the sprites": moving}

    def strips(self) -> dict[str, Tensor]:
        """A held-out scene above its reconstruction."""
        video = batch(10_000_000, 256, 256, 17, 1, split="held out")[0].transpose(1, 2).to(self.device)
        self.module.eval()
        made = self.module.decode(self.module.encode(video))
        return {"scene": strip(video[0]), "reconstruction": strip(made[0])}

    def about(self) -> dict[str, Any]:
        """The network's config and whether latents may change."""
        return {"vae": self.module.config.to_dict(), "freeze_encoder": self.options.freeze_encoder}


def main(arguments: list[str] | None = None) -> None:
    """Read the options and run."""
    run_command("vae", __doc__, _prepare, arguments)


def _prepare(command: Command) -> VAEPart:
    cv2.setNumThreads(1)
    options = command.settings.train.vae
    torch.manual_seed(options.seed)
    vae = VideoVAE(command.settings.vae)
    if command.start_from is not None:
        published = load_checkpoint(command.start_from).build_vae()
        grow(vae, published.state_dict(), command.start_from.name)
    return VAEPart(options, vae.to(memory_format=torch.channels_last), command.processes)  # type: ignore[call-overload]


if __name__ == "__main__":
    main()
