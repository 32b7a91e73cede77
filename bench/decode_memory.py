# SPDX-License-Identifier: GPL-3.0-or-later
"""How much memory decoding takes, by the length of the clip: Decode Video against stock VAEDecode + CreateVideo.

    ./spacetime bench decode_memory [--size 256] [--fps 8] [--seconds 5 60] [--json FILE]

Every case runs in a process of its own, on the same random latent, through the host's executor, and ends with stock
SaveVideo. "peak" is the process's largest resident set, "above idle" what came on top of the loaded host and model.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from ._cases import add_json, own_process, peak_rss, write_json

GRAPHS: dict[str, dict[str, dict[str, Any]]] = {
    "Decode Video": {
        "d": {"class_type": "SpacetimeDecodeVideo", "inputs": {"samples": ["l", 0], "vae": ["m", 2]}},
    },
    "VAEDecode + CreateVideo": {
        "p": {"class_type": "VAEDecode", "inputs": {"samples": ["l", 0], "vae": ["m", 2]}},
        "d": {"class_type": "CreateVideo", "inputs": {"images": ["p", 0]}},
    },
}


def main() -> None:
    """Run all cases and print a table; with ``--case`` run that one and print its figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256, help="width and height in pixels")
    parser.add_argument("--fps", type=float, default=8.0, help="frames per second")
    parser.add_argument("--seconds", type=float, nargs="+", default=[5.0, 60.0], help="lengths of the clips")
    parser.add_argument("--case", choices=GRAPHS, help=argparse.SUPPRESS)
    add_json(parser)
    options = parser.parse_args()
    if options.case:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measure(options.case, options.size, options.fps, options.seconds[0], Path(folder))))
        return
    print(f"{options.size}x{options.size}, {options.fps:g} frames per second\n")
    print("| way | clip | frames | peak MiB | above idle MiB | CPU s | peak against shortest |")
    print("|---|---|---|---|---|---|---|")
    rows = []
    for case in GRAPHS:
        first = 0.0
        for seconds in options.seconds:
            arguments = ["--case", case, "--size", str(options.size), "--fps", str(options.fps)]
            row = own_process("decode_memory", [*arguments, "--seconds", str(seconds)], f"{case}, {seconds:g} s")
            first = first or row["peak"]
            rows.append({"case": case, "seconds": seconds, **row})
            print(
                f"| {case} | {seconds:g} s | {row['frames']} | {row['peak']:.0f} | {row['peak'] - row['idle']:.0f} "
                f"| {row['cpu']:.1f} | {row['peak'] / first:.2f} |",
                flush=True,
            )
    write_json(options.json, "decode_memory", {"size": options.size, "fps": options.fps}, rows)


def measure(case: str, size: int, fps: float, seconds: float, folder: Path) -> dict[str, Any]:
    """Decode and save a random clip in this process; sizes in MiB, processor time in seconds."""
    from ..host.comfy import find_host
    from ..host.runner import Runner
    from ..host.workflow import Prompt
    from ..models.geometry import Compression, legal_frames
    from ..video.reader import probe

    compression = Compression()
    frames = legal_frames(seconds * fps, compression)
    runner = Runner(find_host(), folder, ["--verbose", "ERROR"])
    write_latent(folder / "input" / "clip.latent", compression, frames, size)
    load = {
        "m": {"class_type": "SpacetimeLoadModel", "inputs": {"checkpoint": "spacetime-nano.safetensors"}},
        "l": {"class_type": "LoadLatent", "inputs": {"latent": "clip.latent"}},
    }
    side = {"aspect": "custom", "width": 32, "height": 32, "size": 32}
    small = {"class_type": "SpacetimeEmptyLatent", "inputs": {**side, "seconds": 0.0, "fps": fps, "batch_size": 1}}
    runner.run(Prompt({**graph(case, fps, "idle"), **load, "l": small}))  # loads everything that a run needs
    idle = peak_rss()
    begin = time.process_time()
    result = runner.run(Prompt({**graph(case, fps, "clip"), **load}))
    took = time.process_time() - begin
    written = probe(folder / "output" / result.files[0].filename).frame_count
    if written != frames:
        raise SystemExit(f"{written} frames were written, not {frames}")
    return {"frames": frames, "idle": idle, "peak": peak_rss(), "cpu": took}


def graph(case: str, fps: float, prefix: str) -> dict[str, dict[str, Any]]:
    """Return the nodes of a case, from the latent "l" and the model "m" to a saved file."""
    nodes = {name: {**node, "inputs": dict(node["inputs"])} for name, node in GRAPHS[case].items()}
    nodes["d"]["inputs"]["fps"] = fps
    save = {"video": ["d", 0], "filename_prefix": prefix, "format": "mp4", "codec": "h264"}
    return {**nodes, "s": {"class_type": "SaveVideo", "inputs": save}}


def write_latent(path: Path, compression: Any, frames: int, size: int) -> None:
    """Write a random latent as stock LoadLatent reads it."""
    import torch
    from safetensors.torch import save_file

    shape = (1, compression.channels, (frames - 1) // compression.time + 1, *[size // compression.space] * 2)
    latent = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"latent_tensor": latent, "latent_format_version_0": torch.tensor([])}, path)


if __name__ == "__main__":
    main()
