# SPDX-License-Identifier: GPL-3.0-or-later
"""Captions of the own captioner against the truth: facts right on renders, and from prompt to video to caption."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..language.caption_own import Own, load_captioner
from ..language.styles import BUNDLED as CHECKPOINT
from ..models.captioner_file import BUNDLED
from ..models.checkpoint import load_checkpoint
from ..training.evaluation.makers import Model
from ..training.evaluation.prompts import DIRECTIONS, Prompt
from ..training.facts import READ, right, truth
from ..training.footage.encode import encode
from ..training.generator import Generator
from ..training.latents import encoding_vae
from ..training.scenes.captions import dense
from ..training.scenes.config import nano, simple
from ..training.scenes.draw import draw_scene
from ..training.scenes.render import render
from ..training.scenes.scene import Scene
from ._cases import add_json, write_json
from ._sheet import write_sheet

Frames = NDArray[np.uint8]
SEED = 81_000_000  # of the first scene: other ones than any training or evaluation draws
FPS = 8.0


def held_out(count: int, first: int = SEED) -> list[Scene]:
    """Simple scenes whose combinations of thing, place and motion were never trained."""
    return [draw_scene(first + i, simple(nano()), "held out") for i in range(count)]


def score(way: str, scenes: Sequence[Scene], texts: Sequence[str]) -> dict[str, Any]:
    """Shares of facts that the captions state as they are."""
    facts = [truth(scene) for scene in scenes]
    hits = [right(text, known) for known, text in zip(facts, texts, strict=True)]
    row: dict[str, Any] = {"way": way, "samples": len(scenes)}
    for name in READ:
        row[name] = round(float(np.mean([hit[name] for hit in hits])), 3)
    directed = [hit["motion"] for hit, known in zip(hits, facts, strict=True) if known["motion"] in DIRECTIONS]
    moved = [hit["camera"] for hit, known in zip(hits, facts, strict=True) if known["camera"] != "still"]
    row["direction"] = f"{np.mean(directed):.3f} of {len(directed)}" if directed else "-"
    row["camera that moves"] = f"{np.mean(moved):.3f} of {len(moved)}" if moved else "-"
    row["all of them"] = round(float(np.mean([all(hit.values()) for hit in hits])), 3)
    return row


def renders(scenes: Sequence[Scene], size: tuple[int, int], frames: int) -> Iterator[Frames]:
    """The scenes as rendered."""
    for scene in scenes:
        yield render(scene, *size, frames, FPS)[0]


def generated(checkpoint: Path, scenes: Sequence[Scene], steps: int, guidance: float) -> Iterator[Frames]:
    """What the transformer makes of the scenes' captions."""
    model = Model(Generator.of(load_checkpoint(checkpoint)), steps, guidance)
    yield from model([Prompt(dense(scene, np.random.default_rng(scene.seed)), scene, scene.seed) for scene in scenes])


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    parser.add_argument("--captioner", type=Path, default=BUNDLED)
    parser.add_argument("--samples", type=int, default=200, help="renders for each size")
    parser.add_argument("--cycle", type=int, default=24, help="prompts that go to a video and back to a caption")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=4.0)
    parser.add_argument("--sheet", type=Path, help="write a picture of videos and captions here")
    add_json(parser)
    args = parser.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)
    vae = encoding_vae(args.checkpoint)
    trained = load_captioner(args.captioner)
    tellers = {code: Own(trained, lambda frames: encode(vae, frames), language=code) for code in ("en", "zh")}
    rows = []

    def measure(way: str, scenes: Sequence[Scene], clips: Iterator[Frames], code: str = "en") -> None:
        kept, texts = [], []
        for clip in clips:
            texts.append(tellers[code].tell(clip, FPS, lambda text: None))
            kept.append(clip)
        rows.append(score(way, scenes, texts))
        if args.sheet:
            write_sheet(args.sheet.with_stem(f"{args.sheet.stem}-{len(rows)}"), texts[:24], kept[:24])

    scenes = held_out(args.samples)
    measure("renders, 256 x 256, 17 frames", scenes, renders(scenes, (256, 256), 17))
    few = scenes[: max(1, args.samples // 4)]
    measure("renders, 352 x 192, 33 frames", few, renders(few, (352, 192), 33))
    measure("renders, in Chinese", few, renders(few, (256, 256), 17), "zh")
    if args.cycle:
        asked = held_out(args.cycle, 80_000_000)
        measure("prompt, video, caption", asked, generated(args.checkpoint, asked, args.steps, args.guidance))
    print("| " + " | ".join(rows[0]) + " |")
    print("|" + "---|" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(str(value) for value in row.values()) + " |")
    settings = {"samples": args.samples, "cycle": args.cycle, "steps": args.steps, "guidance": args.guidance}
    write_json(args.json, "captions", settings, rows)


if __name__ == "__main__":
    main()
