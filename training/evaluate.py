# SPDX-License-Identifier: GPL-3.0-or-later
"""Score a checkpoint by the world's own truth: ``python -P host/entry.py training.evaluate --samples 120``.

Prompts describe held-out combinations; the judge reads the generated clips. The judge itself is scored beside them on
real renders, on the VAE's reconstructions and on colour blobs, so that every figure has its floor and its ceiling.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ..models.checkpoint import Checkpoint, load_checkpoint
from ..models.dit import SpacetimeDiT
from ..models.flow import guided, sample, schedule, token_shift
from ..models.text import TextEncoder, Tokenizer
from ..models.vae import TIME, VideoVAE
from .assets import ROOT
from .captions import caption
from .common import log, start
from .judge import HEADS, Judge, accuracy, blob, frames_for_judge, load_judge, scene_batch
from .world import Scene, draw_scene, render

DIRECTIONS = ("right", "left", "up", "down")


@dataclass
class Generator:
    """A checkpoint ready to make clips in plain PyTorch."""

    dit: SpacetimeDiT
    vae: VideoVAE
    tokenizer: Tokenizer
    text: TextEncoder

    @classmethod
    def of(cls, checkpoint: Checkpoint, dtype: torch.dtype = torch.bfloat16) -> Generator:
        """Build the networks of a checkpoint."""
        tokenizer, text = checkpoint.build_text(dtype)
        return cls(checkpoint.build_dit(dtype), checkpoint.build_vae(dtype), tokenizer, text)

    @torch.inference_mode()
    def latents(
        self, prompts: list[str], shape: tuple[int, int, int], seed: int, steps: int, guidance: float, fps: float
    ) -> Tensor:
        """Sample latents (B, C, T, h, w) for prompts; ``shape`` is (T, h, w)."""
        texts = [self.tokenizer.readable(prompt) for prompt in prompts]  # as the nodes do
        states = self.text(self.tokenizer.batch([*texts, *[""] * len(texts)]))
        positive, negative = states.chunk(2)
        frames, height, width = shape
        noise = torch.randn(
            len(prompts), self.vae.config.channels, *shape, generator=torch.Generator().manual_seed(seed)
        )

        def denoise(x: Tensor, t: Tensor, text: Tensor) -> Tensor:
            return self.dit(x, t, text, fps)

        sigmas = schedule(steps, token_shift(frames * height * width // 4))
        return sample(guided(denoise, positive, negative, guidance), noise, sigmas)

    @torch.inference_mode()
    def frames(self, latents: Tensor) -> list[NDArray[np.uint8]]:
        """Decode latents to clips (F, H, W, 3) uint8, one at a time."""
        return [to_uint8(self.vae.decode(z[None].to(torch.bfloat16))) for z in latents]


def to_uint8(video: Tensor) -> NDArray[np.uint8]:
    """(1, 3, F, H, W) in -1..1 to (F, H, W, 3) uint8."""
    return np.asarray(((video[0].float().clamp(-1, 1) + 1) * 127.5 + 0.5).byte().permute(1, 2, 3, 0))


def held_out_scenes(count: int) -> list[Scene]:
    """Return the scenes whose prompts are asked for: combinations that training never saw."""
    return [draw_scene(80_000_000 + i, "held out") for i in range(count)]


def judge_references(judge: Judge, vae: VideoVAE, count: int) -> dict[str, dict[str, float]]:
    """What the judge reads off renders, off their reconstructions and off colour blobs."""
    scenes = held_out_scenes(count)
    real, rebuilt = [], []
    with torch.inference_mode():
        for scene in scenes:
            video, _ = render(scene, 256, 256, 17, 8.0)
            real.append(frames_for_judge(video))
            x = torch.from_numpy(video).permute(3, 0, 1, 2)[None].float().div(127.5).sub(1).to(torch.bfloat16)
            rebuilt.append(frames_for_judge(to_uint8(vae.decode(vae.encode(x)))))
    blobs, blob_scenes = scene_batch(80_000_000, count, "held out", draw=blob)
    return {
        "renders": accuracy(judge, torch.stack(real), scenes),
        "reconstructions": accuracy(judge, torch.stack(rebuilt), scenes),
        "colour blobs": accuracy(judge, blobs, blob_scenes),
    }


def generated(
    generator: Generator, judge: Judge, count: int, seconds: float, steps: int, guidance: float, sheet: Path | None
) -> dict[str, float]:
    """Generate held-out prompts, judge them and keep a picture of prompts and results."""
    scenes = held_out_scenes(count)
    rng = np.random.default_rng(3)
    prompts = [caption(s, rng, "en", vague=0) for s in scenes]
    shape = (round(seconds * 8) // TIME + 1, 16, 16)
    clips, pictures = [], []
    for first in range(0, count, 4):
        z = generator.latents(prompts[first : first + 4], shape, 1000 + first, steps, guidance, 8.0)
        for clip in generator.frames(z):
            clips.append(frames_for_judge(clip))
            pictures.append(clip)
    judged = torch.stack(clips)
    out = accuracy(judge, judged, scenes)
    directed = [i for i, s in enumerate(scenes) if s.motion in DIRECTIONS]
    if directed:
        out["direction"] = accuracy(judge, judged[directed], [scenes[i] for i in directed])["motion"]
        out["directed samples"] = float(len(directed))
    out["samples"] = float(count)
    if sheet:
        write_sheet(sheet, prompts[:24], pictures[:24])
    return out


def write_sheet(path: Path, prompts: list[str], clips: list[NDArray[np.uint8]], columns: int = 2) -> None:
    """A picture of prompts and results: four frames of each clip under its prompt."""
    side, label = 160, 26
    rows = -(-len(clips) // columns)
    sheet = np.full((rows * (side + label), columns * (side * 4 + 12), 3), 255, np.uint8)
    for i, (text, clip) in enumerate(zip(prompts, clips, strict=True)):
        y, x = i // columns * (side + label), i % columns * (side * 4 + 12)
        cv2.putText(sheet, text[:84], (x + 4, y + 17), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (20, 20, 20), 1, cv2.LINE_AA)
        for k, frame in enumerate(np.linspace(0, len(clip) - 1, 4).round().astype(int)):
            sheet[y + label : y + label + side, x + k * side : x + (k + 1) * side] = cv2.resize(
                clip[frame], (side, side), interpolation=cv2.INTER_AREA
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(path)


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=ROOT / "weights" / "spacetime-nano.safetensors")
    parser.add_argument("--judge", type=Path, default=ROOT / "training" / "judge.safetensors")
    parser.add_argument("--samples", type=int, default=120)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--guidance", type=float, default=4.0)
    parser.add_argument(
        "--references", action="store_true", help="score the judge on renders, reconstructions and blobs, too"
    )
    parser.add_argument("--sheet", type=Path, help="write a picture of prompts and results here")
    parser.add_argument("--out", type=Path, help="write the figures as JSON here")
    args = parser.parse_args()
    start(os.cpu_count() or 1)
    generator, judge = Generator.of(load_checkpoint(args.checkpoint)), load_judge(args.judge)
    began = time.monotonic()
    figures: dict[str, dict[str, float]] = {}
    if args.references:
        figures |= judge_references(judge, generator.vae, args.samples)
    figures["generated"] = generated(
        generator, judge, args.samples, args.seconds, args.steps, args.guidance, args.sheet
    )
    for name, row in figures.items():
        log.info("%-16s %s", name, "  ".join(f"{k} {v:.3g}" for k, v in row.items()))
    log.info("%d heads, %.0f s", len(HEADS), time.monotonic() - began)
    if args.out:
        args.out.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
