# SPDX-License-Identifier: GPL-3.0-or-later
"""What each choice in training the transformer is worth: short runs from nothing that differ in one thing.

    ./spacetime bench ablations [--only NAME ...] [--steps 300] [--latents runs/latents] [--out runs/ablations]

All see about as many tokens (those with another batch take more or fewer steps), on one core each, as many at a time as
there are cores; learning rates are not tuned to each. The figures are the mean squared error of the velocity on whole
held-out clips, at five fixed noise levels: everywhere, and where a thing moves. A run goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ..training.evaluation.work import fingerprint
from ..training.latents import SHIPPED
from ..training.run import Run
from ..training.scenes.words.vocabulary import vocabulary
from ..training.settings import load_settings
from ..training.train_dit import published
from ._cases import add_json, side_by_side, write_json
from ._variants import Adam, Clip, Even, Fine, Measured, Noise, SelfFlow, Skip

SIZE = ("dit.dim=224", "dit.depth=4", "dit.heads=4", "tokens=4096", "freeze_text=true", "cooldown=0.5", "warmup=30")
ALL_SIZES = 'stages=[{at = 0.0, side = 512.0, frames = {"1" = 0.3, "5" = 0.575, "9" = 0.125}}]'
NO_IMAGES = (
    'stages=[{at = 0.0, side = 256.0, frames = {"5" = 1.0}}, {at = 1.0, side = 512.0, frames = {"5" = 0.7, "9" = 0.3}}]'
)


@dataclass(frozen=True)
class Variant:
    """What differs from the first one."""

    about: str
    changes: tuple[str, ...] = ()
    part: type[Measured] = Measured
    longer: float = 1.0  # steps, in those of the first


VARIANTS = {
    "base": Variant("velocity, the noise plan of nano, Muon, the shipped text encoder as it is"),
    "seed": Variant("the same with another seed", ("seed=1",)),
    "seed-2": Variant("and another", ("seed=2",)),
    "clip": Variant("the network predicts the clip", part=Clip),
    "noise": Variant("the network predicts the noise", part=Noise),
    "one-level": Variant("one noise level for a whole clip, nothing known", tuple(
        f"noise.{name}=0.0" for name in ("prefix", "suffix", "both", "some", "chunks", "regions")
    )),
    "many-levels": Variant("the trainer's default plan: half of the clips with known or differently noisy frames", (
        "noise.whole=0.6", "noise.prefix=0.08", "noise.suffix=0.04", "noise.both=0.04", "noise.some=0.04",
        "noise.chunks=0.2", "noise.regions=0.1",
    )),
    "narrow": Variant("timesteps less spread (logit-normal of 1.0, not 1.4)", ("noise.spread=1.0",)),
    "cleaner": Variant("timesteps shifted half as far towards noise", ("noise.shift=0.5",)),
    "even": Variant("timesteps of a batch spread evenly over their distribution", part=Even),
    "skip": Variant("the noisy latent, scaled by what it tells of the velocity, goes past the network", part=Skip),
    "all-sizes": Variant("all sizes and lengths from the first step on", (ALL_SIZES,)),
    "no-images": Variant("no images in the mix", (NO_IMAGES,)),
    "adam": Variant("AdamW for all matrices", part=Adam),
    "small-batch": Variant("half the tokens a step, twice the steps", ("tokens=2048",), longer=2),
    "large-batch": Variant("twice the tokens a step, half the steps", ("tokens=8192",), longer=0.5),
    "wide": Variant("320 wide, 2 deep", ("dit.dim=320", "dit.depth=2")),
    "deep": Variant("160 wide, 8 deep", ("dit.dim=160", "dit.depth=8")),
    "fine": Variant("tokens of 16 pixels, not 32; a fourth of the clips a step", ("tokens=1024",), part=Fine),
    "text": Variant("the text encoder learns along, from nothing", ("freeze_text=false",)),
    "close": Variant("half of the batches are close-ups of 160 pixels around what moves", ("close=0.5",)),
    "plain-loss": Variant("no further weight where a thing moves", ("emphasis=0.0",)),
    "self-flow": Variant("Self-Flow: features foretell those of the averaged network", part=SelfFlow),
}  # fmt: skip


def train(name: str, steps: int, latents: Path, out: Path) -> dict[str, Any]:
    """Train one variant in this process; returns its row."""
    variant = VARIANTS[name]
    length = f"steps={round(steps * variant.longer)}"
    always = (f"latents={latents}", length, "sample_every=0", "log_every=20", "save_every=1000000")
    settings = load_settings("nano", "dit", [*SIZE, *variant.changes, *always])
    options = settings.train.dit
    torch.manual_seed(options.seed)
    taught = published(SHIPPED).text
    text = taught.config if options.freeze_text else replace(settings.text, pieces=vocabulary())
    module = variant.part.network(settings.dit, text)
    if options.freeze_text:
        module.text.load_state_dict(taught.state_dict())
        module.text.requires_grad_(False)
    run = Run(variant.part(options, module), options, out / f"{name}-{options.steps}-{fingerprint(settings)}")
    run.go()
    found = run.validate()
    errors = {"validation": round(found["validation"], 4), "things": round(found["things"], 4)}
    return {
        "name": name,
        "steps": run.step,
        **errors,
        "minutes": round(time.process_time() / 60, 1),
        "what": variant.about,
    }


def main() -> None:
    """Train the variants and print their table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="NAME")
    parser.add_argument("--steps", type=int, default=300, help="of 4096 tokens")
    parser.add_argument("--latents", type=Path, default=Path("runs/latents"))
    parser.add_argument("--out", type=Path, default=Path("runs/ablations"))
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--one", choices=VARIANTS, help=argparse.SUPPRESS)
    add_json(parser)
    options = parser.parse_args()
    if options.one:
        torch.set_num_threads(1)
        print(json.dumps(train(options.one, options.steps, options.latents, options.out)))
        return
    same = ["--steps", str(options.steps), "--latents", str(options.latents), "--out", str(options.out)]
    rows = []
    print("| name | what differs | steps | validation | things | minutes |\n|---|---|---|---|---|---|", flush=True)
    cases = {name: ["--one", name, *same] for name in options.only}
    for row in side_by_side("ablations", cases, options.processes):
        print("| {name} | {what} | {steps} | {validation:.4f} | {things:.4f} | {minutes} |".format(**row), flush=True)
        rows.append(row)
    write_json(options.json, "ablations", {"steps": options.steps}, rows)


if __name__ == "__main__":
    main()
