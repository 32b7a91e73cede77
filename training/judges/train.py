# SPDX-License-Identifier: GPL-3.0-or-later
"""Train the judge that reads clips for the evaluation: ``./spacetime train judge --minutes 15``.

It goes on from the last saved step of ``--out``; the weights are written to ``judge.safetensors`` there, and the
evaluation reads those that lie beside this file.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..common import log
from ..parallel import join, leave
from ..run import Part, Run
from ..saves import RunError
from ..scenes.config import CONFIGS
from ..scenes.sprites import blob
from ..settings import Schedule, SettingError
from . import lessons
from .nets import NAMES, PER_CELL, SCENERY, Judge, counted, load_judge, save_judge

WORLDS = {"nano": 0.8, "full": 0.2}
CLIPS, CROPS = 16, 128  # in a batch
NETWORKS = ("finder", "namer", "scenery", "tint")


class JudgePart(Part):
    """The networks that see, as a part of a run."""

    name, unit = "judge", "pictures"
    adam_only = ("out.", "first.", "body.0.0")

    def __init__(self, module: Judge, worlds: dict[str, float], only: Collection[str] = NETWORKS) -> None:
        """``only`` some of the networks learn; the others stay as they are."""
        self.module, self.worlds = module.to(memory_format=torch.channels_last), worlds  # type: ignore[call-overload]
        self.only = frozenset(only)
        for name, network in module.named_children():
            network.requires_grad_(name in self.only)
        self.held: tuple[lessons.Views, lessons.Crops, lessons.Crops] | None = None

    def loss(self, rng: np.random.Generator, progress: float) -> tuple[Tensor, int]:
        """Render scenes and crops; the sum of what each network gets wrong."""
        for name, network in self.module.named_children():
            network.train(name in self.only)
        looks = bool(self.only & {"finder", "scenery"})
        seen = lessons.views(rng, self.worlds, CLIPS if looks else CLIPS // 4)  # crops want few backgrounds
        count, total = 0, torch.zeros(())
        with torch.autocast("cpu", torch.bfloat16):
            if "finder" in self.only:
                frames = lessons.disturb(lessons.recolour(seen.frames, rng, 0.35), rng)
                maps = self.module.finder(frames.contiguous(memory_format=torch.channels_last)).float()
                total, count = total + finding_loss(maps, seen.where), count + len(frames)
            if "scenery" in self.only:
                answers = self.module.scenery(lessons.thumbs(lessons.disturb(seen.frames, rng), CLIPS))
                for name in SCENERY:
                    total = total + 0.5 * F.cross_entropy(answers[name].float(), seen.facts[name])
                count += CLIPS
            if self.only & {"namer", "tint"}:
                things = lessons.crops(rng, seen.pixels, CROPS)
                close = lessons.disturb(things.pixels, rng)
                named = self.module.namer(lessons.grey(close, rng)).float()
                small = F.interpolate(close, scale_factor=0.5, mode="area")
                tint = self.module.tint(small)["colour"].float()
                total = total + F.cross_entropy(named, things.noun)
                total = total + F.cross_entropy(tint, things.colour, ignore_index=-1)
                blurred = lessons.crops(rng, seen.pixels, CROPS // 8, blob)
                nothing = self.module.namer(lessons.grey(lessons.disturb(blurred.pixels, rng), rng)).float()
                total = total - 0.2 * nothing.log_softmax(-1).mean()  # colours alone are no thing
                count += CROPS
        return total, count

    def validate(self) -> dict[str, float]:
        """Shares read right on held-out scenes and on crops; nouns also on blobs of their colours alone."""
        if self.held is None:
            rng = np.random.default_rng(77_000_000)
            seen = lessons.views(rng, self.worlds, 64, "held out")
            things = lessons.crops(rng, seen.pixels, 256)
            self.held = seen, things, lessons.crops(rng, seen.pixels, 128, blob)
        seen, things, blobs = self.held
        self.module.eval()
        where = self.module.finder(seen.frames)
        found, real = where[:, 0] > 0, seen.where[:, 0] > 0.5
        scores = {
            "found": float((found & real).sum() / (found | real).sum()),
            "counted": float((counted(where) == seen.where[:, 1].sum((1, 2)).round()).float().mean()),
            "noun": share(self.module.namer(lessons.grey(things.pixels)), things.noun),
            "noun of blobs": share(self.module.namer(lessons.grey(blobs.pixels)), blobs.noun),
        }
        small = F.interpolate(things.pixels, scale_factor=0.5, mode="area")
        own = things.colour >= 0
        scores["colour"] = share(self.module.tint(small)["colour"][own], things.colour[own])
        answers = self.module.scenery(lessons.thumbs(seen.frames, 64))
        return scores | {name: share(answers[name], seen.facts[name]) for name in SCENERY}

    def strips(self) -> dict[str, Tensor]:
        """There is nothing to see."""
        return {}

    def about(self) -> dict[str, Any]:
        """The classes."""
        return {"names": {name: list(words) for name, words in NAMES.items()}}


def finding_loss(maps: Tensor, where: Tensor) -> Tensor:
    """How wrong the maps of where things are (B, 2, MASK, MASK) are, and the numbers of things in them."""
    seen = F.binary_cross_entropy_with_logits(maps[:, 0], where[:, 0], pos_weight=torch.tensor(2.0))
    numbers = F.smooth_l1_loss(F.relu(maps[:, 1]).sum((1, 2)) * PER_CELL, where[:, 1].sum((1, 2)))
    spread = F.l1_loss(maps[:, 1] * PER_CELL, where[:, 1]) * 20
    return 3 * seen + 0.3 * (numbers + spread)


def share(logits: Tensor, right: Tensor) -> float:
    """The share of rows whose largest logit is the right one."""
    return float((logits.argmax(-1) == right).float().mean()) if len(right) else 0.0


def main(arguments: list[str] | None = None) -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(prog="./spacetime train judge", description=__doc__)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--steps", type=int, default=0, help="train for so many steps instead")
    parser.add_argument("--out", type=Path, default=Path("runs/judge"))
    parser.add_argument("--world", choices=(*CONFIGS, "mixed"), default="mixed", help="whose scenes it sees")
    parser.add_argument("--start-from", type=Path, help="begin with a trained judge's weights")
    parser.add_argument("--only", nargs="+", choices=NETWORKS, default=NETWORKS, help="networks that learn (all)")
    options = parser.parse_args(arguments)
    worlds = WORLDS if options.world == "mixed" else {options.world: 1.0}
    cv2.setNumThreads(1)
    try:
        processes = join()
        torch.manual_seed(0)
        schedule = Schedule(
            minutes=options.minutes, steps=options.steps, muon_lr=0.02, adam_lr=3e-3, average=0.98, warmup=20,
            cooldown=0.5, clip=5.0, log_every=10, save_every=50, sample_every=0, shard="no",
        )  # fmt: skip
        judge = Judge() if options.start_from is None else load_judge(options.start_from)
        run = Run(JudgePart(judge, worlds, options.only), schedule, options.out, processes)
        run.go()
        if processes.rank == 0:
            with run.average.within(run.part.module):
                path = options.out / "judge.safetensors"
                save_judge(run.part.module.state_dict(), path, f"{run.step} steps, {'+'.join(worlds)}")
            log.info("%s: %.1f MiB", path, path.stat().st_size / 2**20)
    except (RunError, SettingError) as error:
        sys.exit(f"spacetime: {error}")
    finally:
        leave()


if __name__ == "__main__":
    main()
