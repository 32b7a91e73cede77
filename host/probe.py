# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``doctor`` asks of the Python that runs ComfyUI, in a process of its own; the answer is a JSON file.

``python -P host/entry.py host.probe torch|nodes ANSWER.json``
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.machinery
import importlib.metadata
import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

from . import shims
from .comfy import PACK, enter, find_host

PREFIX = "Spacetime"  # every node id of this pack begins with it


def probe_torch() -> dict[str, Any]:
    """Return what torch is and what it can compute on."""
    start = time.monotonic()
    import torch

    answer: dict[str, Any] = {
        "version": torch.__version__,
        "seconds": round(time.monotonic() - start, 1),
        "threads": torch.get_num_threads(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "devices": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
        "mps": torch.backends.mps.is_available(),
        "torchvision": None,
        "credentials": version_of("c2pa-python") if version_of("cryptography") else None,
        "encoders": probe_encoders() if version_of("av") else None,
    }
    spec = importlib.machinery.PathFinder.find_spec("torchvision")
    if spec is not None and spec.origin:
        answer["torchvision"] = importlib.metadata.version("torchvision")
        answer["torchvision_ops"] = shims.torchvision_ops_load(Path(spec.origin).parent)
    return answer


def probe_encoders() -> dict[str, str]:
    """Try the video encoders in hardware; return what is wrong with each, nothing for one that works."""
    from ..video.encoders import survey

    logging.getLogger("libav").setLevel(logging.CRITICAL)  # it tells at length what the answer says in a word
    return survey()


def version_of(package: str) -> str | None:
    """Return the version of an installed package, None where there is none."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


class _Warnings(logging.Handler):
    """Keeps the host's log lines that speak of this pack."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the last line of a message that names the pack's folder."""
        if PACK in record.getMessage():
            self.lines.append(record.getMessage().strip().splitlines()[-1])


def probe_nodes() -> dict[str, Any]:
    """Load ComfyUI with all its nodes; return this pack's node ids and what the host said about it."""
    host = find_host()
    start = time.monotonic()
    enter(host, [*host.flags(), "--verbose", "WARNING"])
    warnings = _Warnings()
    logging.getLogger().addHandler(warnings)
    nodes: Any = importlib.import_module("nodes")
    server: Any = importlib.import_module("server")
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    server.PromptServer(loop)  # packs ask for its instance while they are imported
    loop.run_until_complete(nodes.init_extra_nodes(init_custom_nodes=True, init_api_nodes=False))
    ids = sorted(nodes.NODE_CLASS_MAPPINGS)
    return {
        "seconds": round(time.monotonic() - start, 1),
        "count": len(ids),
        "ours": [name for name in ids if name.startswith(PREFIX)],
        "warnings": warnings.lines,
    }


def main() -> None:
    """Write the answer to the question in the first argument to the file in the second."""
    question, target = sys.argv[1:3]
    answer = {"torch": probe_torch, "nodes": probe_nodes}[question]()
    Path(target).write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main()
