# SPDX-License-Identifier: GPL-3.0-or-later
"""What measurements share: every case in a process of its own, and a table of the figures."""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ..host.entry import ROOT

MIB = 1024


def own_process(module: str, arguments: Sequence[str], title: str) -> dict[str, Any]:
    """Return the figures that ``bench.MODULE`` prints as its last line (JSON) when run with ``arguments``."""
    command = [sys.executable, "-P", str(ROOT / "host" / "entry.py"), f"bench.{module}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{title} failed:\n{done.stderr[-3000:]}")
    figures: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def side_by_side(module: str, cases: Mapping[str, Sequence[str]], at_once: int) -> Iterator[dict[str, Any]]:
    """The figures of several cases (title: arguments) in their order, ``at_once`` of them measured at a time."""
    with ThreadPoolExecutor(at_once) as pool:
        yield from pool.map(lambda case: own_process(module, case[1], case[0]), cases.items())


def listed(checkpoint: str) -> str:
    """Return the name by which nodes load a checkpoint; the folder of a file is made known first. Needs the host."""
    path = Path(checkpoint)
    if path.is_file():
        import folder_paths

        folder_paths.add_model_folder_path("spacetime", str(path.parent.absolute()), is_default=True)
        return path.name
    return checkpoint


def peak_rss() -> float:
    """Largest resident set of this process so far, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # what getrusage says begins with the peak of the process that started this one
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / MIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB


def add_json(parser: argparse.ArgumentParser) -> None:
    """Give a measurement the option that ``./spacetime bench`` hands on."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file, too")


def write_json(path: Path | None, name: str, settings: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """Write the rows of a measurement with its settings and where it ran, if a file was asked for."""
    if path is not None:
        where = {"python": platform.python_version(), "machine": platform.machine(), "system": platform.system()}
        content = {"bench": name, "settings": settings, "where": where, "rows": rows}
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
