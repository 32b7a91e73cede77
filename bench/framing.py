# SPDX-License-Identifier: GPL-3.0-or-later
"""Training at native shapes against square crops, and what that does to the framing of what is generated.

    ./spacetime bench framing [--steps 300] [--samples 32] [--latents runs/latents] [--out runs/framing]

The shipped transformer is trained on twice for as many tokens: on wide and tall clips as they are, and on the squares
in their middles. Then both make clips of one thing that stands still, in squares, wide and tall ones, and the judge's
finder looks whether the thing lies wholly in the picture, without touching its border. Beside it: the same question of
rendered clips, whole and cut to the square. The finding that this repeats is the Sora report's.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..training.evaluation.prompts import FIRST_SEED, PLAIN
from ..training.generator import Generator
from ..training.judges.nets import Judge, load_judge
from ..training.judges.sight import Sight
from ..training.latents import SHIPPED
from ..training.publish import generator
from ..training.run import Run
from ..training.scenes.captions import dense
from ..training.scenes.config import nano
from ..training.scenes.draw import draw_scene
from ..training.scenes.render import render
from ..training.scenes.scene import Scene
from ..training.settings import load_settings
from ..training.train_dit import published
from ._cases import add_json, side_by_side, write_json
from ._variants import Measured, Square

Frames = NDArray[np.uint8]


class Native(Measured):
    """Train on clips that are no squares."""

    def __init__(self, *args, **kwargs) -> None:  # type: ignore[no-untyped-def]
        super().__init__(*args, **kwargs)
        self.batches.open({shape: clips for shape, clips in self.batches.clips.items() if shape[1] != shape[2]})


class Cropped(Native, Square):
    """Train on the squares in their middles."""


RENDERS = ("renders", "renders, cut to squares")
WAYS: dict[str, type[Measured]] = {"native shapes": Native, "square crops": Cropped}
SHAPES = {"square": (256, 256), "wide": (352, 192), "tall": (192, 352)}  # width, height
CHANGES = ("freeze_text=true", "muon_lr=0.01", "adam_lr=0.001", "cooldown=0.5", "sample_every=0", "save_every=1000000")
FRAMES, FPS, EDGE, GUIDANCE = 17, 8.0, 0.02, 4.0


def scenes(count: int) -> list[Scene]:
    """Held-out scenes of one thing that stands still before a camera that does not move."""
    world = replace(nano(), motions=("still",), **{**PLAIN, "moving_camera": 0.0})
    return [draw_scene(FIRST_SEED + 500_000 + number, world, "held out") for number in range(count)]


def whole(clip: Frames, judge: Judge) -> bool:
    """Whether the largest thing of a clip (F, H, W, 3) uint8 is seen in its middle frame and touches no border."""
    things = Sight(judge, clip, FPS).things[len(clip) // 2]
    return bool(things) and min(things[0].box[:2]) > EDGE and max(things[0].box[2:]) < 1 - EDGE


def squared(clip: Frames) -> Frames:
    """The square in the middle of a clip."""
    height, width = clip.shape[1:3]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return clip[:, top : top + side, left : left + side]


def train(way: str, steps: int, latents: Path, out: Path) -> Generator:
    """Train the shipped transformer on, unless that was done; returns it with the shipped VAE."""
    folder = out / f"{way.replace(' ', '-')}-{steps}"
    options = load_settings("nano", "dit", [*CHANGES, f"latents={latents}", f"steps={steps}"]).train.dit
    module = published(SHIPPED)
    module.text.requires_grad_(False)
    Run(WAYS[way](options, module), options, folder).go()
    return generator(folder, SHIPPED)


def generated(model: Generator, wanted: Sequence[Scene], size: tuple[int, int], steps: int) -> list[Frames]:
    """A clip of each scene at a size (width, height)."""
    clips: list[Frames] = []
    shape = ((FRAMES - 1) // 4 + 1, size[1] // 16, size[0] // 16)
    for number, scene in enumerate(wanted):
        text = dense(scene, np.random.default_rng(number), "en")
        clips += model.frames(model.latents([text], shape, number, steps, GUIDANCE, FPS))
    return clips


def measured(way: str, options: argparse.Namespace) -> dict[str, Any]:
    """The share of clips with the thing wholly in the picture, in percent, by shape."""
    judge, wanted = load_judge(), scenes(options.samples)
    model = train(way, options.steps, options.latents, options.out) if way in WAYS else None
    row: dict[str, Any] = {"clips": way}
    for name, (width, height) in SHAPES.items():
        if model is not None:
            clips = generated(model, wanted, (width, height), options.sampler_steps)
        else:
            clips = [render(scene, width, height, FRAMES, FPS)[0] for scene in wanted]
            clips = [squared(clip) for clip in clips] if way == RENDERS[1] else clips
        row[name] = round(100 * float(np.mean([whole(clip, judge) for clip in clips])))
    return row


def main() -> None:
    """Train both ways, measure them and the renders, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300, help="of training, of 4096 tokens each")
    parser.add_argument("--samples", type=int, default=32, help="clips of a shape")
    parser.add_argument("--sampler-steps", type=int, default=8)
    parser.add_argument("--latents", type=Path, default=Path("runs/latents"))
    parser.add_argument("--out", type=Path, default=Path("runs/framing"))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    add_json(parser)
    options = parser.parse_args()
    if options.one:
        torch.set_num_threads(1)
        print(json.dumps(measured(options.one, options)))
        return
    same = ["--steps", str(options.steps), "--samples", str(options.samples), "--latents", str(options.latents)]
    same += ["--sampler-steps", str(options.sampler_steps), "--out", str(options.out)]
    cases = {way: ["--one", way, *same] for way in (*WAYS, *RENDERS)}
    rows = list(side_by_side("framing", cases, os.cpu_count() or 1))
    print(f"| clips | {' | '.join(SHAPES)} |\n|---|{'---|' * len(SHAPES)}")
    for row in rows:
        print(f"| {row['clips']} | {' | '.join(f'{row[name]}%' for name in SHAPES)} |")
    write_json(options.json, "framing", {"steps": options.steps, "samples": options.samples}, rows)


if __name__ == "__main__":
    main()
