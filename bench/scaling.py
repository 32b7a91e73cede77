# SPDX-License-Identifier: GPL-3.0-or-later
"""Validation loss against compute, and the same prompt and seed at every point: the figure of the Sora report.

    ./spacetime bench scaling [--points 1 4 16 64] [--steps 150] [--latents runs/latents] [--out runs/scaling]

Transformers of growing width and depth are trained from nothing on the same latents and captions, read by the shipped
text encoder, the larger ones for longer: each point has about that many times the compute of the first. A run goes on
where it was stopped. Loss is the mean squared error of the velocity on held-out clips at five fixed timesteps; compute
is counted as ``train dit --dry-run`` does, as if every batch held clips of 17 frames at 256 pixels. The line is
L = a C^-b, fitted in logarithms. The picture ends with the checkpoint itself.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from safetensors.torch import save_file

from ..host.entry import ROOT
from ..language.styles import BUNDLED
from ..models.checkpoint import load_checkpoint
from ..training.batches import clips_in
from ..training.budget import dit_cost
from ..training.generator import Generator
from ..training.publish import generator
from ..training.saves import facts, latest
from ..training.settings import Settings, load_settings
from ..training.train_dit import published
from ._cases import add_json, write_json
from ._figure import Series, write_svg
from ._sheet import write_sheet

SIZES = ((96, 3, 2), (160, 4, 2), (256, 5, 4), (320, 6, 4))  # width, depth, heads of the points' transformers
PROMPTS = (
    "A red panda walks to the right in the meadow.",
    "A red bus drives to the left in the city.",
    "An elephant stands in the desert while the camera zooms in.",
)
SHAPE = (5, 16, 16)  # of the latents that are sampled: 17 frames of 256 x 256
FROZEN = "freeze_text=true"
STEPS, GUIDANCE, FPS, SEED = 20, 4.0, 8.0, 1


@dataclass(frozen=True)
class Point:
    """A transformer and how long it is trained."""

    name: str
    settings: Settings
    steps: int
    flops: float

    @property
    def changes(self) -> list[str]:
        """What differs from the config, for the command line."""
        dit = self.settings.dit
        sizes = [f"dit.dim={dit.dim}", f"dit.depth={dit.depth}", f"dit.heads={dit.heads}"]
        sizes += [f"steps={self.steps}", f"warmup={round(self.steps / 10)}"]
        return [word for change in sizes for word in ("--set", change)]


def points(factors: list[float], first_steps: int, batches: int) -> list[Point]:
    """Points of ``factors`` times the compute of the smallest, which is trained for ``first_steps`` steps."""
    out: list[Point] = []
    for number, factor in enumerate(factors):
        dim, depth, heads = SIZES[min(number, len(SIZES) - 1)]
        settings = load_settings("nano", "dit", [FROZEN])
        settings = replace(settings, dit=replace(settings.dit, dim=dim, depth=depth, heads=heads))
        clips = clips_in(settings.train.dit.tokens, SHAPE, dim)
        step = dit_cost(settings, SHAPE, clips, False).flops * batches
        steps = first_steps if not out else round(factor / factors[0] * out[0].flops / step)
        out.append(Point(f"x{factor:g}-{steps}", settings, steps, step * steps))
    return out


def text_file(options: argparse.Namespace) -> Path:
    """The checkpoint's text encoder in a file of its own, as ``train dit --text`` takes it."""
    path: Path = options.out / "text.safetensors"
    if not path.is_file():
        options.out.mkdir(parents=True, exist_ok=True)
        save_file(published(options.checkpoint).text.state_dict(), path)
    return path


def train(point: Point, options: argparse.Namespace) -> float:
    """Train a point, or go on with it; returns its validation loss."""
    folder = options.out / point.name
    program = [
        sys.executable,
        "-P",
        str(ROOT / "host" / "entry.py"),
        "host",
        "train",
        "--processes",
        str(options.processes),
    ]
    words = ["dit", "--config", "nano", "--out", str(folder), *point.changes, "--set", FROZEN, *options.more]
    words += ["--text", str(text_file(options))]
    done = latest(folder)
    if done is None or facts(done)["step"] < point.steps:
        subprocess.run([*program, *words, "--set", f"latents={options.latents}", "--set", "sample_every=0"], check=True)
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return float([line["validation"] for line in lines if "validation" in line][-1])


def fitted(compute: list[float], loss: list[float]) -> tuple[float, float]:
    """``a`` and ``b`` of L = a C^-b."""
    slope, offset = np.polyfit(np.log(compute), np.log(loss), 1)
    return float(np.exp(offset)), float(-slope)


def sampled(model: Generator) -> list[np.ndarray]:
    """Clips of PROMPTS."""
    return model.frames(model.latents(list(PROMPTS), SHAPE, SEED, STEPS, GUIDANCE, FPS))


def main() -> None:
    """Train the points, print the table, and write the figure and the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=float, nargs="+", default=[1, 4, 16, 64], help="compute of each, in firsts'")
    parser.add_argument("--steps", type=int, default=150, help="of the first")
    parser.add_argument("--latents", type=Path, default=Path("runs/latents"))
    parser.add_argument("--out", type=Path, default=Path("runs/scaling"))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--checkpoint", type=Path, default=BUNDLED, help="whose VAE made the latents")
    parser.add_argument("--figure", type=Path, default=Path("docs/images/scaling.svg"))
    parser.add_argument("--picture", type=Path, default=Path("docs/images/scaling.jpg"))
    parser.add_argument("--more", nargs=argparse.REMAINDER, default=[], help="further words for train dit, last of all")
    add_json(parser)
    options = parser.parse_args()
    options.out, options.latents = options.out.absolute(), options.latents.absolute()  # train runs in its own folder
    chosen = points(options.points, options.steps, options.processes)
    rows, losses = [], []
    for point in chosen:
        losses.append(train(point, options))
        dit = point.settings.dit
        rows.append(
            {"compute": f"{point.flops:.2e}", "width": dit.dim, "depth": dit.depth, "steps": point.steps}
            | {"validation": round(losses[-1], 4)}
        )
        print("  ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    compute = [point.flops for point in chosen]
    a, b = fitted(compute, losses)
    print(f"L = {a:.3g} C^-{b:.4f}")
    line = [a * c**-b for c in compute]
    write_svg(
        options.figure, "training compute (FLOPs)", "validation loss",
        [Series("trained", compute, losses, True), Series(f"{a:.3g} C^-{b:.4f}", compute, line, False)],
    )  # fmt: skip
    models = {point.name: generator(options.out / point.name, options.checkpoint) for point in chosen}
    models[options.checkpoint.stem] = Generator.of(load_checkpoint(options.checkpoint))
    made = {name: sampled(model) for name, model in models.items()}
    texts = [f"{name}: {prompt}" for prompt in PROMPTS for name in made]
    clips = [made[name][number] for number in range(len(PROMPTS)) for name in made]
    write_sheet(options.picture, texts, clips, columns=len(made))
    settings = {"points": options.points, "steps": options.steps, "fit": {"a": a, "b": b}}
    write_json(options.json, "scaling", settings, rows)


if __name__ == "__main__":
    main()
