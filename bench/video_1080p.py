# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory and time of decoding and writing 1080p, by length: Load and Save Video against stock nodes.

    ./spacetime bench video_1080p [--seconds 2 60] [--stock-seconds 2] [--cases NAME ...] [--json FILE]

Every case runs in a process of its own, through the host's executor. "file": a 1080p film with sound is read,
decoded and written anew as h264. "latent": a random latent is decoded by the bundled VAE and written (slow on a CPU).
Stock nodes hold every frame as floats (25 MB each), so they get a length of their own that they survive. "peak" is the
process's largest resident set, "above idle" what came on top of the loaded host and model.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ._cases import add_json, own_process, peak_rss, write_json

WIDTH, HEIGHT, FPS = 1920, 1080, 24
LATENT_HEIGHT = 1088  # the VAE takes multiples of 32
LOAD = {"start": 0.0, "duration": 0.0, "fps": 0.0, "width": 0, "height": 0, "fit": "crop", "background": "black",
        "if_damaged": "stop"}  # fmt: skip
SAVE = {"quality": "good", "crf": -1.0, "hardware": False, "credentials": True, "format": "h264 mp4"}
OURS, STOCK = "Load Video + Save Video", "stock Load, Get Components, Create, Save"
LATENT_OURS, LATENT_STOCK = "Decode Video + Save Video", "stock VAEDecode, Create, Save"
CASES = (OURS, STOCK, LATENT_OURS, LATENT_STOCK)


def main() -> None:
    """Run the cases and print a table; with ``--case`` run that one and print its figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, nargs="+", default=[2.0, 60.0], help="lengths of the clips")
    parser.add_argument("--stock-seconds", type=float, nargs="+", default=[2.0], help="lengths for the stock nodes")
    parser.add_argument("--cases", nargs="+", choices=("file", "latent"), default=["file"], help="what is decoded")
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--frames", type=int, help=argparse.SUPPRESS)
    add_json(parser)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(options.case, options.frames, options.folder)))
        return
    print(f"{WIDTH}x{HEIGHT}, {FPS} frames per second\n")
    print("| way | clip | frames | peak MiB | above idle MiB | CPU s | wall s | peak against shortest |")
    print("|---|---|---|---|---|---|---|---|")
    rows = []
    for kind in options.cases:
        for case, lengths in zip(
            CASES[:2] if kind == "file" else CASES[2:], (options.seconds, options.stock_seconds), strict=True
        ):
            first = 0.0
            for seconds in lengths:
                row = run_case(case, kind, seconds)
                first = first or row["peak"]
                rows.append({"case": case, "seconds": seconds, **row})
                print(
                    f"| {case} | {seconds:g} s | {row['frames']} | {row['peak']:.0f} | {row['peak'] - row['idle']:.0f} "
                    f"| {row['cpu']:.1f} | {row['wall']:.1f} | {row['peak'] / first:.2f} |",
                    flush=True,
                )
    write_json(options.json, "video_1080p", {"width": WIDTH, "height": HEIGHT, "fps": FPS}, rows)


def run_case(case: str, kind: str, seconds: float) -> dict[str, Any]:
    """Make the clip here, so that this takes none of the measured memory, and measure a case in a new process."""
    write = write_latent if kind == "latent" else write_film
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder) / "input"
        inputs.mkdir()
        frames = write(inputs, seconds)
        write(inputs, 1 / FPS, "warm")
        arguments = ["--case", case, "--folder", folder, "--frames", str(frames)]
        return own_process("video_1080p", arguments, f"{case}, {seconds:g} s")


def measure(case: str, frames: int, folder: Path) -> dict[str, Any]:
    """Decode and save the clip in ``folder`` in this process; sizes in MiB, times in seconds."""
    from ..host.comfy import find_host
    from ..host.runner import Runner
    from ..host.workflow import Prompt
    from ..video.reader import read_audio
    from ..video.timing import read_timing

    runner = Runner(find_host(), folder, ["--verbose", "ERROR"])
    runner.run(Prompt(graph(case, "warm")))  # loads everything that a run needs
    idle, begin, cpu = peak_rss(), time.monotonic(), time.process_time()
    result = runner.run(Prompt(graph(case, "clip")))
    cpu, wall = time.process_time() - cpu, time.monotonic() - begin
    path = folder / "output" / result.files[0].filename
    if read_timing(path).count != frames:
        raise SystemExit(f"{read_timing(path).count} frames were written, not {frames}")
    if case in (OURS, STOCK) and read_audio(path) is None:
        raise SystemExit("the sound was lost")
    return {"frames": frames, "idle": idle, "peak": peak_rss(), "cpu": cpu, "wall": wall}


def graph(case: str, name: str) -> dict[str, dict[str, Any]]:
    """Return the nodes of a case for the input file ``name``."""
    ours = {"class_type": "SpacetimeSaveVideo", "inputs": {"video": ["v", 0], "filename_prefix": name, **SAVE}}
    stock = {"class_type": "SaveVideo",
             "inputs": {"video": ["v", 0], "filename_prefix": name, "format": "mp4", "codec": "h264"}}  # fmt: skip
    if case == OURS:
        load = {"class_type": "SpacetimeLoadVideo", "inputs": {"file": f"{name}.mp4", **LOAD}}
        return {"v": load, "s": ours}
    if case == STOCK:
        return {
            "l": {"class_type": "LoadVideo", "inputs": {"file": f"{name}.mp4"}},
            "c": {"class_type": "GetVideoComponents", "inputs": {"video": ["l", 0]}},
            "v": {"class_type": "CreateVideo", "inputs": {"images": ["c", 0], "audio": ["c", 1], "fps": float(FPS)}},
            "s": stock,
        }
    nodes: dict[str, dict[str, Any]] = {
        "m": {"class_type": "SpacetimeLoadModel", "inputs": {"checkpoint": "spacetime-nano.safetensors"}},
        "l": {"class_type": "LoadLatent", "inputs": {"latent": f"{name}.latent"}},
    }
    if case == LATENT_OURS:
        decode = {"samples": ["l", 0], "vae": ["m", 2], "fps": float(FPS)}
        return {**nodes, "v": {"class_type": "SpacetimeDecodeVideo", "inputs": decode}, "s": ours}
    nodes["p"] = {"class_type": "VAEDecode", "inputs": {"samples": ["l", 0], "vae": ["m", 2]}}
    create = {"class_type": "CreateVideo", "inputs": {"images": ["p", 0], "fps": float(FPS)}}
    return {**nodes, "v": create, "s": stock}


def write_film(folder: Path, seconds: float, name: str = "clip") -> int:
    """Write a film with sound: a moving ramp with grain, as hard to compress as a camera's; return its frames."""
    from ..video.sound import Audio
    from ..video.writer import VideoWriter, write_all

    count = max(1, round(seconds * FPS))
    samples = np.sin(np.arange(round(48000 * max(seconds, 0.5))) / 17)[None].repeat(2, 0).astype(np.float32) * 0.3
    writer = VideoWriter(folder / f"{name}.mp4", fps=FPS, audio=Audio(samples, 48000), quality="good")
    return write_all(writer, _frames(count)).frames


def _frames(count: int) -> Iterator[np.ndarray]:
    random = np.random.default_rng(0)
    grain = random.integers(0, 12, (HEIGHT + 64, WIDTH + 64, 1), np.uint8)
    ramp = (np.arange(WIDTH)[None, :, None] // 10 + np.arange(HEIGHT)[:, None, None] // 9).astype(np.uint8)
    ramp = ramp // 2 + np.array([20, 40, 60], np.uint8)
    for index in range(count):
        top, left = random.integers(0, 64, 2)
        yield np.roll(ramp, 4 * index, 1) + grain[top : top + HEIGHT, left : left + WIDTH]


def write_latent(folder: Path, seconds: float, name: str = "clip") -> int:
    """Write a random latent of 1080p as stock LoadLatent reads it; return the frames it decodes to."""
    import torch
    from safetensors.torch import save_file

    from ..models.geometry import Compression, legal_frames

    compression = Compression()
    frames = legal_frames(max(1.0, seconds * FPS), compression)
    sides = LATENT_HEIGHT // compression.space, WIDTH // compression.space
    shape = (1, compression.channels, (frames - 1) // compression.time + 1, *sides)
    latent = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    save_file({"latent_tensor": latent, "latent_format_version_0": torch.tensor([])}, folder / f"{name}.latent")
    return frames


if __name__ == "__main__":
    main()
