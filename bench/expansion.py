# SPDX-License-Identifier: GPL-3.0-or-later
"""What expansion gains in the video: freely worded prompts, as they are and expanded by rules, read by the judge.

The wordings below are none of the training's captions and are not to be tuned on: what the rules do not understand
counts against them.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..language.expand import Request, expand
from ..language.rules import Rules
from ..language.styles import BUNDLED, style_named
from ..models.checkpoint import load_checkpoint
from ..training.evaluate import DIRECTIONS, Generator, write_sheet
from ..training.judge import accuracy, frames_for_judge, load_judge
from ..training.world import Scene, draw_scene
from ._cases import add_json, write_json

SEED = 83_000_000  # of the first scene
THINGS = {"rabbit": "hare", "car": "motorcar", "bus": "omnibus", "dog": "hound", "helicopter": "chopper"}
PLACES = {
    "meadow": "a grassy field",
    "beach": "the seashore",
    "desert": "the sandy wasteland",
    "snow": "a snow-covered place",
    "forest": "a dense wood",
    "city": "downtown",
    "night": "the middle of the night",
}
MOTIONS = {
    "still": "which just stays there",
    "right": "heading rightward",
    "left": "heading leftward",
    "up": "ascending",
    "down": "descending",
    "jump": "leaping",
    "closer": "getting nearer and nearer",
    "away": "leaving us behind",
    "spin": "twirling",
    "sway": "swaying",
}
FRAMES = (
    "could you show me {a} {thing} {motion}? it should be set in {place}, please",
    "{place}. {a} {thing} {motion}.",
    "i'd love to see {place} with {a} {thing} {motion}",
    "my kid wants {a} {thing}, {motion}, and the background is {place}",
)


def freely(scene: Scene, number: int) -> str:
    """Word a scene as someone might who has never seen a caption."""
    thing = THINGS.get(scene.object, scene.object)
    article = "an" if thing[0] in "aeiou" else "a"
    frame = FRAMES[number % len(FRAMES)]
    return frame.format(a=article, thing=thing, motion=MOTIONS[scene.motion], place=PLACES[scene.place])


def expanded(prompt: str, seed: int) -> str:
    """The text that Expand Prompt gives for the bundled model."""
    return expand(Request(prompt, style_named("spacetime"), seed=seed), [Rules()]).text


def score(
    way: str, generator: Generator, prompts: Sequence[str], scenes: Sequence[Scene], options: argparse.Namespace
) -> tuple[dict[str, Any], list[Any]]:
    """A row of the table, and the clips."""
    clips = []
    for first in range(0, len(prompts), 4):
        latents = generator.latents(
            list(prompts[first : first + 4]), (5, 16, 16), 3000 + first, options.steps, options.guidance, 8.0
        )
        clips += generator.frames(latents)
    judge, seen = load_judge(options.judge), torch.stack([frames_for_judge(clip) for clip in clips])
    read = accuracy(judge, seen, list(scenes))
    row = {"way": way, "samples": len(scenes), **{k: round(read[k], 3) for k in ("object", "place", "motion")}}
    directed = [i for i, scene in enumerate(scenes) if scene.motion in DIRECTIONS]
    right = accuracy(judge, seen[directed], [scenes[i] for i in directed])["motion"] if directed else float("nan")
    return row | {"direction": f"{right:.3f} of {len(directed)}"}, clips


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=BUNDLED)
    parser.add_argument("--judge", type=Path, default=BUNDLED.parent.parent / "training" / "judge.safetensors")
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=4.0)
    parser.add_argument("--sheet", type=Path, help="write a picture of the expanded prompts and their videos here")
    parser.add_argument("--show", action="store_true", help="print every prompt with its expansion")
    add_json(parser)
    args = parser.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)
    scenes = [draw_scene(SEED + i, "held out") for i in range(args.samples)]
    plain = [freely(scene, number) for number, scene in enumerate(scenes)]
    dense = [expanded(prompt, number) for number, prompt in enumerate(plain)]
    if args.show:
        for before, after in zip(plain, dense, strict=True):
            print(f"{before}\n    {after}")
    generator = Generator.of(load_checkpoint(args.checkpoint))
    rows = []
    for way, prompts in (("as worded", plain), ("expanded by rules", dense)):
        row, clips = score(way, generator, prompts, scenes, args)
        rows.append(row)
        print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    if args.sheet:
        write_sheet(args.sheet, dense[:24], [np.asarray(clip) for clip in clips[:24]])
    write_json(args.json, "expansion", {"steps": args.steps, "guidance": args.guidance}, rows)


if __name__ == "__main__":
    main()
