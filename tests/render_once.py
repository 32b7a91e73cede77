# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs API graphs in a process of its own: BASE FOLDER, after how many chunks it is killed (-1: never), GRAPH ...

A program, not a test; ``test_long_video_killed`` starts it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Run the graphs."""
    entry = Path(__file__).resolve().parent.parent / "host" / "entry.py"
    spec = importlib.util.spec_from_file_location("spacetime_entry", entry)
    assert spec is not None and spec.loader is not None
    loader = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loader)
    loader.extend_path()
    loader.load_package()
    from comfyui_spacetime.host.comfy import find_host
    from comfyui_spacetime.host.runner import Runner
    from comfyui_spacetime.host.workflow import Prompt

    base, chunks, graphs = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    runner = Runner(find_host(), base, ["--verbose", "WARNING", "--disable-metadata"])
    if chunks >= 0:
        kill_after(chunks)
    names = [runner.run(Prompt(json.loads(graph))).files[0].filename for graph in graphs]
    print(*names)


def kill_after(chunks: int) -> None:
    """End this process without a warning when the sampler is asked for one more chunk."""
    pack = next(module for name, module in sys.modules.items() if name.endswith(".nodes.rollout"))
    original, done = pack.sample, []

    def sample(*given: Any, **named: Any) -> Any:
        if len(done) == chunks:
            os.kill(os.getpid(), signal.SIGKILL)
        done.append(1)
        return original(*given, **named)

    pack.sample = sample


if __name__ == "__main__":
    main()
