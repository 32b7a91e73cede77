# SPDX-License-Identifier: GPL-3.0-or-later
"""Train transformer and text encoder on encoded scenes: ``python -P host/entry.py training.train_dit --minutes 60``.

A step takes clips of one shape (a bucket); short clips and images are the beginnings of longer ones. The run is
resumable and ends after the wall-clock time asked for. Several processes: ``torchrun --nproc-per-node 2 ...``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ..models.checkpoint import load_checkpoint
from ..models.dit import SpacetimeDiT
from ..models.flow import add_noise
from ..models.text import TextConfig, TextEncoder, Tokenizer
from .captions import caption, image_caption, misspell, vocabulary
from .common import Clock, learning_rate, load_run, log, save_run, start
from .latents import Shapes, load_latents
from .noise import plan
from .optim import Average, Optimisers

TOKENS = 4096  # in a batch of one process
# Latent frames of a step's clips and how often, at the start and at the end of the run.
LENGTHS = (1, 3, 5, 9)
ODDS = ((0.35, 0.25, 0.40, 0.0), (0.10, 0.10, 0.60, 0.20))
EMPHASIS = 3.0


class Trained(nn.Module):
    """What the run trains: transformer and text encoder together."""

    def __init__(self, pieces: tuple[str, ...]) -> None:
        super().__init__()
        self.dit = SpacetimeDiT().initialise()
        self.text = TextEncoder(TextConfig(pieces)).initialise()

    def forward(self, x: Tensor, t: Tensor, ids: Tensor, fps: float) -> Tensor:
        """Predict the velocity of noisy latents from piece ids."""
        return self.dit(x, t, self.text(ids), fps, attention=plain_attention)


def plain_attention(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Attention by two matrix products: on CPUs its backward pass is faster than the fused kernel's."""
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)


class Batches:
    """Random batches of one bucket at a time; all processes draw the same bucket, each its own clips."""

    def __init__(self, shapes: dict[tuple[int, int, int], Shapes], tokenizer: Tokenizer, seed: int) -> None:
        self.shapes, self.tokenizer, self.seed = shapes, tokenizer, seed

    def draw(self, step: int, progress: float) -> tuple[Tensor, Tensor, Tensor, Tensor, float]:
        """Latents (B, C, T, h, w), loss weights (B, 1, T, h, w), timesteps as :func:`plan` gives, ids (B, L), fps."""
        shared = np.random.default_rng([step, 1])
        odds = (1 - progress) * np.array(ODDS[0]) + progress * np.array(ODDS[1])
        frames = int(shared.choice(LENGTHS, p=odds))
        shapes = [s for s in sorted(self.shapes) if s[0] >= frames]
        counts = np.array([len(self.shapes[s].scenes) for s in shapes], float)
        shape = shapes[shared.choice(len(shapes), p=counts / counts.sum())]
        clips = self.shapes[shape]
        rng = np.random.default_rng([step, 2, self.seed])
        size = max(2, TOKENS // (frames * shape[1] * shape[2] // 4))
        fps = float(clips.fps[int(rng.integers(len(clips.fps)))])
        same = torch.nonzero(clips.fps == fps)[:, 0].numpy()
        chosen = rng.choice(same, size)
        x = clips.latent[chosen, :, :frames].float()
        weight = 1 + EMPHASIS * (clips.cover[chosen, None, :frames].float() > 0.02)
        texts = [self.words(clips, int(i), frames, rng) for i in chosen]
        t = plan(size, frames, *shape[1:], rng)
        return x, weight / weight.mean(), t, self.tokenizer.batch(texts), fps

    def words(self, clips: Shapes, index: int, frames: int, rng: np.random.Generator) -> str:
        """A caption, dropped in a tenth of cases; now and then a word is misspelt so that letters are learnt."""
        if rng.random() < 0.1:
            return ""
        describe = image_caption if frames == 1 else caption
        return misspell(describe(clips.scenes[index], rng), rng, 0.1)


def flow_loss(model: nn.Module, x: Tensor, weight: Tensor, t: Tensor, ids: Tensor, fps: float) -> Tensor:
    """Weighted squared error of the velocity over the positions that are not known."""
    noise = torch.randn_like(x)
    with torch.autocast("cpu", torch.bfloat16):
        v = model(add_noise(x, noise, t), t if t.shape[-1] > 1 else t[:, 0, :, 0, 0], ids, fps)
    unknown = (t > 0) * weight
    error = (v.float() - (noise - x)).square().mean(1, keepdim=True)
    return (error * unknown).sum() / unknown.sum().clamp(min=1)


@torch.no_grad()
def validate(model: Trained, batches: Batches, clips: int = 24) -> float:
    """Mean squared error of the velocity on held-out scenes of 17 frames, at fixed timesteps and noises."""
    shape = next(s for s in sorted(batches.shapes) if s[0] == 5)
    data = batches.shapes[shape]
    total = 0.0
    state = torch.get_rng_state()
    for k, level in enumerate((0.1, 0.3, 0.5, 0.7, 0.9)):
        torch.manual_seed(k)
        rng = np.random.default_rng(k)
        chosen = [i for i in range(len(data.scenes)) if data.fps[i] == 8.0][:clips]
        x = data.latent[chosen].float()
        ids = batches.tokenizer.batch([caption(data.scenes[i], rng, "en") for i in chosen])
        t = torch.full((len(x), 1, x.shape[2], 1, 1), level)
        total += float(flow_loss(model, x, torch.ones_like(x[:, :1]), t, ids, 8.0)) / 5
    torch.set_rng_state(state)
    return total


def published(path: Path) -> Trained:
    """The networks of a published checkpoint, to train on; the optimisers' state is not in it."""
    checkpoint = load_checkpoint(path)
    if checkpoint.text_config is None or checkpoint.text is None:
        raise SystemExit(f"{path} holds no text encoder: start from a complete checkpoint")
    model = Trained(checkpoint.text_config.pieces)
    model.dit.load_state_dict(checkpoint.dit)
    model.text.load_state_dict(checkpoint.text)
    return model


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--latents", type=Path, default=Path("runs/latents"))
    parser.add_argument("--out", type=Path, default=Path("runs/dit"))
    parser.add_argument("--start-from", type=Path, help="begin with a published checkpoint's weights")
    parser.add_argument("--text", type=Path, help="begin with the text encoder that train text wrote")
    args = parser.parse_args()
    rank, world = start()
    torch.manual_seed(rank)
    model = Trained(vocabulary()) if args.start_from is None else published(args.start_from)
    if args.text is not None:
        model.text.load_state_dict(load_file(args.text))
    average = Average(model, 0.998)
    optimisers = Optimisers(model, ("embed", "head", "pieces", "places", "where", "condition", "modulate_block"))
    step, clock, saved = 0, Clock(args.minutes), load_run(args.out / "run.pt")
    if saved:
        model.load_state_dict(saved["model"])
        average.values, average.count = saved["average"], saved["count"]
        optimisers.load_state_dict(saved["optimisers"])
        step, clock.spent = saved["step"], saved["spent"]
    tokenizer = Tokenizer(model.text.config)
    batches = Batches(load_latents(args.latents, "train", rank, world), tokenizer, rank)
    held_out = Batches(load_latents(args.latents, "held out"), tokenizer, 0)
    began, samples, losses, refreshed = time.monotonic(), 0, [], time.monotonic()
    while (progress := clock.progress) < 1:
        x, weight, t, ids, fps = batches.draw(step, progress)
        loss = flow_loss(model, x, weight, t, ids, fps)
        loss.backward()  # type: ignore[no-untyped-call]
        optimisers.step(learning_rate(progress, step))
        average.update(model)
        losses.append(loss.item())
        step, samples = step + 1, samples + len(x) * world
        if step % 50 == 0 and rank == 0:
            speed = samples / (time.monotonic() - began)
            log.info(
                "dit step %d  %3.0f%%  loss %.4f  %.1f clips/s  skipped %d",
                step,
                100 * progress,
                np.mean(losses),
                speed,
                optimisers.skipped,
            )
            losses = []
        if step % 250 == 0:
            _save(args.out, model, average, optimisers, step, clock, held_out, rank)
            if time.monotonic() - refreshed > 300:  # shards may still be arriving
                batches.shapes, refreshed = load_latents(args.latents, "train", rank, world), time.monotonic()
    _save(args.out, model, average, optimisers, step, clock, held_out, rank)


def _save(
    out: Path,
    model: Trained,
    average: Average,
    optimisers: Optimisers,
    step: int,
    clock: Clock,
    held_out: Batches,
    rank: int,
) -> None:
    if rank:
        return
    save_run(
        out / "run.pt",
        model=model.state_dict(),
        average=average.values,
        count=average.count,
        step=step,
        optimisers=optimisers.state_dict(),
        spent=clock.seconds,
        pieces=list(model.text.config.pieces),
    )
    shadow = Trained(model.text.config.pieces)
    shadow.load_state_dict(average.values)
    log.info("dit step %d  validation %.4f", step, validate(shadow, held_out))


if __name__ == "__main__":
    main()
