# SPDX-License-Identifier: GPL-3.0-or-later
"""The judge: a small network that reads object, place, motion and camera off a clip.

The object is read from grey frames whose contrast, sign and sharpness vary in training, so that shape tells it and
colour cannot. Train it with ``python -P host/entry.py training.judge --minutes 15``; it is scored on real renders, on
the VAE's reconstructions and on colour blobs (sprites blurred until only colours are left).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..models.int8 import pack, unpack
from .common import Clock, learning_rate, load_run, log, save_run, start
from .optim import Average, Optimisers
from .places import PLACES
from .world import CAMERAS, MOTIONS, OBJECTS, Scene, SpriteMaker, blob, draw_scene, render

FRAMES, SIDE = 9, 128
HEADS: dict[str, tuple[str, ...]] = {"object": OBJECTS, "place": tuple(PLACES), "motion": MOTIONS, "camera": CAMERAS}


class Judge(nn.Module):
    """Clips (B, FRAMES, 3, SIDE, SIDE) in 0..1 to logits for every name in HEADS."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(_conv(1, 32, 2), _conv(32, 48, 2), _conv(48, 64, 1), _conv(64, 96, 2))
        self.object = nn.Sequential(_conv(96, 128, 1), _conv(128, 128, 2), _conv(128, 128, 1))
        self.object_out = nn.Linear(128, len(OBJECTS))
        self.squeeze = nn.Conv2d(96, 20, 1)
        self.path = nn.Sequential(_conv(20 * FRAMES, 128, 1), _conv(128, 96, 2), _conv(96, 96, 2))
        self.path_out = nn.Linear(96 * 16, len(MOTIONS) + len(CAMERAS))
        self.place = nn.Sequential(_conv(3, 24, 2), _conv(24, 48, 2), _conv(48, 64, 2))
        self.place_out = nn.Linear(64 * 16, len(PLACES))

    def forward(self, clip: Tensor) -> dict[str, Tensor]:
        """Return the logits by head."""
        maps = self.look(clip)
        path = self.path(self.squeeze(maps).reshape(len(clip), -1, *maps.shape[2:])).flatten(1)
        motion, camera = self.path_out(path).split([len(MOTIONS), len(CAMERAS)], -1)
        place = self.place(F.adaptive_avg_pool2d(clip.mean(1), 32)).flatten(1)
        shape = self.name_object(maps, len(clip))
        return {"object": shape, "place": self.place_out(place), "motion": motion, "camera": camera}

    def look(self, clip: Tensor) -> Tensor:
        """Features (B * F, 96, SIDE/8, SIDE/8) of grey frames, brightness and contrast taken out; any F."""
        grey = clip.mean(2, keepdim=True).flatten(0, 1)
        grey = grey - grey.mean((1, 2, 3), keepdim=True)
        return self.stem(grey / (grey.std((1, 2, 3), keepdim=True) + 0.05))

    def name_object(self, maps: Tensor, batch: int) -> Tensor:
        """Logits of the object (B, objects), averaged over the frames of ``maps``."""
        return self.object_out(self.object(maps).amax((2, 3))).view(batch, -1, len(OBJECTS)).mean(1)


def _conv(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


def frames_for_judge(video: NDArray[np.uint8]) -> Tensor:
    """FRAMES frames spread over a clip (F, H, W, 3) uint8, as (FRAMES, 3, SIDE, SIDE) in 0..1."""
    chosen = np.linspace(0, len(video) - 1, FRAMES).round().astype(int)
    small = np.stack([cv2.resize(video[i], (SIDE, SIDE), interpolation=cv2.INTER_AREA) for i in chosen])
    return torch.from_numpy(small).permute(0, 3, 1, 2).float() / 255


def scene_batch(
    seed: int, count: int, split: str = "any", draw: SpriteMaker | None = None
) -> tuple[Tensor, list[Scene]]:
    """Renders for the judge, at its own size."""
    clips, scenes = [], []
    for i in range(count):
        scene = draw_scene(seed * 64 + i, split)
        rate = (4.0, 2.0, 3.0, 4.0)[np.random.default_rng([seed, i]).integers(4)]
        video, _ = render(scene, SIDE, SIDE, FRAMES, rate, draw)
        clips.append(frames_for_judge(video))
        scenes.append(scene)
    return torch.stack(clips), scenes


def disturb(clip: Tensor, rng: np.random.Generator) -> Tensor:
    """Blur, noise and recolour clips, as a generated video may be: colours are mixed at random, sometimes inverted."""
    out = clip
    if rng.random() < 0.6:  # soft pictures
        side = int(rng.integers(40, SIDE))
        flat = F.interpolate(clip.flatten(0, 1), size=(side, side), mode="area")
        out = F.interpolate(flat, size=(SIDE, SIDE), mode="bilinear").view_as(clip)
    out = out + float(rng.uniform(0, 0.06)) * torch.randn_like(out)
    return out.clamp(0, 1)


def recolour(clip: Tensor, rng: np.random.Generator) -> Tensor:
    """Mix the channels with random weights and a random tone curve; grey values carry no colour after it."""
    weights = torch.from_numpy(rng.dirichlet((1.0, 1.0, 1.0), (3,))).float()
    mixed = torch.einsum("ij,btjhw->btihw", weights, clip).clamp(1e-3, 1) ** float(rng.uniform(0.6, 1.7))
    return 1 - mixed if rng.random() < 0.3 else mixed


def truth(scenes: list[Scene]) -> dict[str, Tensor]:
    """Return the right answers as class numbers by head."""
    return {name: torch.tensor([names.index(getattr(s, name)) for s in scenes]) for name, names in HEADS.items()}


@torch.no_grad()
def accuracy(judge: Judge, clips: Tensor, scenes: list[Scene]) -> dict[str, float]:
    """Share of clips that the judge reads right, per head."""
    judge.eval()
    answers = [judge(part) for part in clips.split(16)]
    right = truth(scenes)
    return {
        name: float((torch.cat([a[name] for a in answers]).argmax(-1) == right[name]).float().mean()) for name in HEADS
    }


def load_judge(path: Path) -> Judge:
    """The trained judge from its safetensors file."""
    judge = Judge()
    judge.load_state_dict(unpack(load_file(path)))
    return judge.eval()


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--out", type=Path, default=Path("runs/judge"))
    args = parser.parse_args()
    start()
    cv2.setNumThreads(1)
    torch.manual_seed(0)
    judge = Judge().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average, optimisers = Average(judge, 0.99), Optimisers(judge, ("_out", "stem.0"), muon_lr=0.02, adam_lr=2e-3)
    step, clock, saved, losses = 0, Clock(args.minutes), load_run(args.out / "run.pt"), []
    if saved:
        judge.load_state_dict(saved["model"])
        average.values, average.count, step, clock.spent = (
            saved["average"],
            saved["count"],
            saved["step"],
            saved["spent"],
        )
    while (progress := clock.progress) < 1:
        judge.train()
        clips, scenes = scene_batch(50_000_000 + step, 16)
        rng = np.random.default_rng(step)
        right = truth(scenes)
        with torch.autocast("cpu", torch.bfloat16):
            answers = judge(disturb(clips, rng))
            some = recolour(disturb(clips[:, :: FRAMES // 2], rng), rng)
            shape = judge.name_object(judge.look(some), len(some))
        loss = sum(
            (F.cross_entropy(answers[name].float(), right[name]) for name in ("place", "motion", "camera")),
            torch.zeros(()),
        )
        loss = loss + F.cross_entropy(shape.float(), right["object"])
        loss.backward()  # type: ignore[no-untyped-call]
        optimisers.step(learning_rate(progress, step))
        average.update(judge)
        losses.append(loss.item())
        step += 1
        if step % 100 == 0:
            shadow = Judge()
            shadow.load_state_dict(average.values)
            test, answers_to = scene_batch(70_000_000, 64, "held out")
            log.info(
                "judge step %d  %3.0f%%  loss %.3f  held out %s",
                step,
                100 * progress,
                np.mean(losses),
                accuracy(shadow, test, answers_to),
            )
            losses = []
            save_run(
                args.out / "run.pt",
                model=judge.state_dict(),
                average=average.values,
                count=average.count,
                step=step,
                spent=clock.seconds,
            )
    shadow = Judge()
    shadow.load_state_dict(average.values)
    weights = {name: value.contiguous() for name, value in pack(average.values, torch.float16).items()}
    save_file(weights, args.out / "judge.safetensors")
    test, scenes = scene_batch(70_000_000, 256, "held out")
    log.info("renders %s", accuracy(shadow, test, scenes))
    blobs, scenes = scene_batch(70_000_000, 256, "held out", draw=blob)
    log.info("colour blobs %s", accuracy(shadow, blobs, scenes))


if __name__ == "__main__":
    main()
