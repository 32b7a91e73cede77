# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory and time of Long Video by length: a minute against ten seconds.

    ./spacetime bench long_video [--seconds 10 60] [--steps 2] [--size 256] [--fps 8] [--checkpoint NAME] [--json FILE]

Every case runs in a process of its own through the host's executor, from the prompt to the file that stock SaveVideo
writes. "peak" is the process's largest resident set, "above idle" what came on top of the loaded host and model after
a video of one chunk. Few steps are enough: memory does not depend on them, and each chunk takes as many as the others.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from ._cases import add_json, own_process, peak_rss, write_json

PROMPT = "a red panda walks to the right in the snow"
CHUNK = 4.0  # seconds
COLUMNS = ("clip", "frames", "peak MiB", "above idle MiB", "CPU s per s of video", "peak, ratio", "CPU, ratio")


def main() -> None:
    """Run all cases and print a table; with ``--case`` run one length and print its figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, nargs="+", default=[10.0, 60.0], help="lengths of the videos")
    parser.add_argument("--steps", type=int, default=2, help="model calls for each chunk")
    parser.add_argument("--size", type=int, default=256, help="width and height in pixels")
    parser.add_argument("--fps", type=float, default=8.0, help="frames per second")
    parser.add_argument("--checkpoint", default="spacetime-nano.safetensors", help="a checkpoint of models/spacetime")
    parser.add_argument("--case", action="store_true", help=argparse.SUPPRESS)
    add_json(parser)
    options = parser.parse_args()
    settings = {name: getattr(options, name) for name in ("steps", "size", "fps", "checkpoint")}
    if options.case:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measure(Path(folder), options.seconds[0], **settings)))
        return
    print(
        f"{options.checkpoint}, {options.size}x{options.size}, {options.fps:g} frames per second, {options.steps} steps"
    )
    print(f"\n| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    rows: list[dict[str, Any]] = []
    for seconds in options.seconds:
        arguments = [part for name, value in settings.items() for part in (f"--{name}", str(value))]
        row = own_process("long_video", ["--case", "--seconds", str(seconds), *arguments], f"{seconds:g} s")
        rows.append({"seconds": seconds, **row})
        first = rows[0]
        print(
            f"| {seconds:g} s | {row['frames']} | {row['peak']:.0f} | {row['peak'] - row['idle']:.0f} "
            f"| {row['cpu']:.2f} | {row['peak'] / first['peak']:.2f} | {row['cpu'] / first['cpu']:.2f} |",
            flush=True,
        )
    write_json(options.json, "long_video", settings, rows)


def measure(folder: Path, seconds: float, steps: int, size: int, fps: float, checkpoint: str) -> dict[str, Any]:
    """Make and save a video in this process; sizes in MiB, processor time in seconds per second of video."""
    from ..host.comfy import find_host
    from ..host.runner import Runner
    from ..host.workflow import Prompt
    from ..video.reader import probe

    runner = Runner(find_host(), folder, ["--verbose", "ERROR"])
    runner.run(Prompt(graph("idle", CHUNK, steps, size, fps, checkpoint)))  # loads everything that a run needs
    idle = peak_rss()
    begin = time.process_time()
    result = runner.run(Prompt(graph("clip", seconds, steps, size, fps, checkpoint)))
    took = time.process_time() - begin
    info = probe(folder / "output" / result.files[0].filename)
    if info.frame_count is None or abs(info.frame_count / fps - seconds) > 1:
        raise SystemExit(f"{info.frame_count} frames were written")
    return {"frames": info.frame_count, "idle": idle, "peak": peak_rss(), "cpu": took * fps / info.frame_count}


def graph(prefix: str, seconds: float, steps: int, size: int, fps: float, checkpoint: str) -> dict[str, dict[str, Any]]:
    """Return the nodes from the checkpoint to a saved file."""

    def text(words: str) -> dict[str, Any]:
        return {"class_type": "CLIPTextEncode", "inputs": {"clip": ["m", 1], "text": words}}

    clip = {"aspect": "1:1", "size": size, "width": size, "height": size, "batch_size": 1}
    how = {"seed": 1, "steps": steps, "guidance": 4.0, "sampler": "euler", "schedule": "spacetime", "chunk": CHUNK}
    how |= {"context": 1.5, "history_noise": 0.05, "hold_colour": 0.5, "fade": 1.0}
    links = {"model": ["m", 0], "positive": ["p", 0], "negative": ["n", 0], "latent": ["e", 0], "vae": ["m", 2]}
    save = {"video": ["l", 0], "filename_prefix": prefix, "format": "mp4", "codec": "h264"}
    return {
        "m": {"class_type": "SpacetimeLoadModel", "inputs": {"checkpoint": checkpoint}},
        "e": {"class_type": "SpacetimeEmptyLatent", "inputs": {**clip, "seconds": seconds, "fps": fps}},
        "p": text(PROMPT),
        "n": text(""),
        "l": {"class_type": "SpacetimeLongVideo", "inputs": {**links, **how}},
        "s": {"class_type": "SaveVideo", "inputs": save},
    }


if __name__ == "__main__":
    main()
