# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of the README: prompts of what the bundled model knows, and what it makes of each at the first try.

    ./spacetime bench showcase [--seed 1] [--steps 8] [--picture docs/images/results.jpg] [--checkpoint FILE]

The prompts are chosen by hand, the clips are not: all have the same seed. What becomes of prompts that nobody chose is
in docs/gallery (``./spacetime bench gallery``).
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import torch

from ..language.styles import BUNDLED
from ..models.checkpoint import load_checkpoint
from ..training.generator import Generator
from ._sheet import write_sheet

PROMPTS = (
    "One penguin walks to the right on the beach.",
    "A red panda walks to the left in the meadow.",
    "An elephant walks to the right in the desert.",
    "A duck walks to the left on a farm while the camera zooms in.",
    "A turtle walks to the right in the forest as snow falls.",
    "A doughnut is bitten into on the beach.",
    "A candle starts to burn in the mountains at night.",
    "A red balloon flies upwards in the meadow on a fine day.",
    "A bus drives to the left in the city on a fine day.",
    "Two apples stand in the desert.",
    "As a pencil sketch: a turtle stands on the beach.",
    "一头大象在海滩上向左走。",
)
SHAPE, FPS, GUIDANCE = (5, 16, 16), 8.0, 4.0  # two seconds of 256 x 256


def main() -> None:
    """Make the clips and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, default=BUNDLED)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--picture", type=Path, default=Path("docs/images/results.jpg"))
    options = parser.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)
    model = Generator.of(load_checkpoint(options.checkpoint))
    clips = []
    for prompt in PROMPTS:
        clips += model.frames(model.latents([prompt], SHAPE, options.seed, options.steps, GUIDANCE, FPS))
    write_sheet(options.picture, PROMPTS, clips)


if __name__ == "__main__":
    main()
