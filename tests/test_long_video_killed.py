# SPDX-License-Identifier: GPL-3.0-or-later
"""Long Video in a process that is killed: the next one goes on, to the bytes of a video that was never stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from graphs import api
from tiny import write_tiny_checkpoint

pytestmark = [pytest.mark.host, pytest.mark.slow]


def graph(fade: float) -> dict[str, Any]:
    """Eight seconds of 32x32 pixels in six chunks; ``fade`` changes nothing without originals, but is another graph."""
    clip = {"aspect": "custom", "width": 32, "height": 32, "size": 32, "seconds": 8.0, "fps": 8.0, "batch_size": 1}
    how = {"seed": 3, "steps": 1, "guidance": 2.0, "sampler": "euler", "schedule": "spacetime", "chunk": 2.0}
    how |= {"context": 0.5, "history_noise": 0.05, "hold_colour": 0.5, "fade": fade}
    links = {"model": ["p", 0], "positive": ["p", 1], "negative": ["n", 0], "latent": ["e", 0], "vae": ["m", 2]}
    save = {"filename_prefix": "long", "format": "apng", "quality": "good"}
    save |= {"crf": -1, "hardware": False, "credentials": False}
    text = "4 s: a cup\ncut 4 s: a panda"
    return {
        "m": api("SpacetimeLoadModel", checkpoint="tiny.safetensors"),
        "e": api("SpacetimeEmptyLatent", **clip),
        "p": api("SpacetimePromptSchedule", model=["m", 0], clip=["m", 1], vae=["m", 2], text=text),
        "n": api("CLIPTextEncode", clip=["m", 1], text=""),
        "l": api("SpacetimeLongVideo", **links, **how),
        "s": api("SpacetimeSaveVideo", video=["l", 0], **save),
    }


def run(base: Path, kill_after: int, *graphs: dict[str, Any]) -> tuple[int, list[bytes]]:
    """Run graphs in a process of their own; return its exit status and the files that it wrote."""
    program = str(Path(__file__).with_name("render_once.py"))
    command = [sys.executable, "-P", program, str(base), str(kill_after), *map(json.dumps, graphs)]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, [(base / "output" / name).read_bytes() for name in done.stdout.split()]


def test_the_next_process_goes_on_and_makes_the_same_file(comfy_host: Any, tmp_path: Path) -> None:
    write_tiny_checkpoint(tmp_path / "models" / "spacetime" / "tiny.safetensors")
    status, files = run(tmp_path, 3, graph(1.0))
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("user/__spacetime/long_video/*/latent-*")}
    assert status == -signal.SIGKILL and not files and len(kept) == 3
    status, files = run(tmp_path, -1, graph(1.0), graph(1.1))
    assert status == 0 and all(path.stat().st_mtime_ns == changed for path, changed in kept.items())
    assert len(list(tmp_path.glob("user/__spacetime/long_video/*/latent-*"))) == 12
    assert len(files) == 2 and files[0] == files[1] and len(files[0]) > 10_000
