# SPDX-License-Identifier: GPL-3.0-or-later
"""How well operations meet the videos they start from, against chaining on the last frame, which users do today.

    ./spacetime bench operations [--steps 20] [--clips FILE ...] [--seconds 60] [--checkpoint NAME|FILE] [--json FILE]

Each clip is extended by two seconds and looped by a bridge. "seam": the difference between the last original frame and
the first new one, over the largest difference between neighbouring frames of the clip itself (1: no larger than the
clip's own motion). "sharpness": detail of the first new frame over that of the last original one. "moved": the
difference from the first to the fourth new frame over that of four of the clip's own (0 would be a still). "Loop Video,
where it closes" is the jump from a loop's last frame to its first. A second table is that of ``bench drift`` at the
settings of Long Video's defaults, for a video of ``--seconds`` (0: none): what is left of its begin, memory and time.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..host.comfy import find_host
from ..host.runner import Runner
from ._cases import listed

INPUTS = Path(__file__).resolve().parent.parent / "workflows" / "inputs"
PROMPTS = {
    "panda_snow": "a red panda walks to the right in the forest in falling snow",
    "turtle_beach": "a turtle walks to the right on the beach",
    "balloon_meadow": "a balloon rises in a grassy meadow",
}
COLUMNS = ("kept exactly", "seam", "sharpness", "moved", "CPU s per new s")


def main() -> None:
    """Measure all ways on all clips and print a table of means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--clips", type=Path, nargs="+", default=sorted(INPUTS.glob("*.mp4")))
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the video that may drift; 0: none")
    parser.add_argument("--checkpoint", default="spacetime-nano.safetensors", help="a listed name, or a file")
    parser.add_argument("--json", type=Path, help="also write the figures of every clip to this file")
    options = parser.parse_args()
    Runner(find_host(), flags=["--verbose", "WARNING"])  # enters the host
    import torch

    with torch.inference_mode():
        rows = [measure(clip, options.steps, options.checkpoint) for clip in options.clips]
    print(
        f"{len(rows)} clips, {options.steps} steps\n\n| way | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 1)}"
    )
    for way in rows[0]:
        means = [np.mean([row[way][name] for row in rows]) for name in COLUMNS]
        print(f"| {way} | {' | '.join(f'{mean:.2f}' for mean in means)} |")
    report: dict[str, Any] = {clip.stem: row for clip, row in zip(options.clips, rows, strict=True)}
    if options.seconds:
        print()
        report["drift"] = drifted(options)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


def measure(path: Path, steps: int, checkpoint: str) -> dict[str, dict[str, float]]:
    """Figures of each way for one clip."""
    from comfy_api.latest import InputImpl

    from ..nodes import connect, extend, finish, folders, loader, sampler
    from ..video.reader import read_frames

    folders.register()
    model, clip, vae = loader.load(listed(checkpoint))
    positive, negative = (
        clip.encode_from_tokens_scheduled(clip.tokenize(text)) for text in (PROMPTS.get(path.stem, ""), "")
    )
    video, frames = InputImpl.VideoFromFile(str(path)), np.stack(list(read_frames(path)))

    def made(latent: dict[str, Any], **settings: Any) -> np.ndarray:
        done = sampler.sample(model, positive, negative, latent, 1, steps)
        return np.stack(list(finish.finish([done], vae, **settings)[0].frames()))

    def extended(context: float, fade: float) -> np.ndarray:
        return made(extend.extend(video, vae, "forward", 2.0, context)[0][0], fade=fade)

    def looped() -> np.ndarray:
        whole = made(connect.loop(video, vae, connect.BRIDGE, 2.0, 1.0)[0])
        return np.concatenate([whole[len(frames) - 1 :], whole[: len(frames)]])[::-1]  # its end, seen backwards

    ways: dict[str, tuple[Callable[[], np.ndarray], bool]] = {
        "Extend Video": (lambda: extended(2.0, 1.0), True),
        "Extend Video, no fade": (lambda: extended(2.0, 0.0), True),
        "chained on the last frame": (lambda: extended(0.0, 0.0), True),
        "Loop Video, where it closes": (looped, False),
    }
    rows = {}
    for way, (make, forward) in ways.items():
        began = time.process_time()
        result = make()
        seconds = time.process_time() - began
        source = frames if forward else frames[::-1]
        rows[way] = figures(source, result, seconds)
    return rows


def drifted(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Print the table of ``bench drift`` for Long Video's defaults and for chaining, and return its rows."""
    from . import drift

    return drift.compare(drift.read_options(
        ["--seconds", f"{options.seconds:g}", "--steps", str(options.steps), "--checkpoint", options.checkpoint]
    ))  # fmt: skip


def figures(original: np.ndarray, result: np.ndarray, seconds: float) -> dict[str, float]:
    """Compare a result with the original it begins with, both (F, H, W, 3) uint8."""
    count = len(original)
    kept, last, new = result[:count], original[-1].astype(float), result[count:].astype(float)
    own = np.abs(np.diff(original.astype(float), axis=0)).mean((1, 2, 3))
    far = np.abs(original[4:].astype(float) - original[:-4]).mean()
    return {
        "kept exactly": float((kept == original).mean()),
        "seam": float(np.abs(new[0] - last).mean() / own.max()),
        "sharpness": detail(new[0]) / detail(last),
        "moved": float(np.abs(new[4] - new[0]).mean() / far),
        "CPU s per new s": seconds / 2,
    }


def detail(frame: np.ndarray) -> float:
    """Mean difference between neighbouring pixels."""
    return float(np.abs(np.diff(frame, axis=0)).mean() + np.abs(np.diff(frame, axis=1)).mean())


if __name__ == "__main__":
    main()
