# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures many things by several processes, and goes on where it was stopped.

What is to be measured is a list of tasks. Each has a name and a folder, its store, in which its result is kept; a store
belongs to one judge, world and checkpoint, or to one VAE (see :func:`fingerprint`), so a result in it is never measured
again. Every process writes a file of its own, one line for each result, and claims a task by a file that nobody else
can make.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from torch import Tensor

from ..common import log

TOLD = 30.0  # seconds between two lines of progress


@dataclass(frozen=True)
class Task:
    """Something to measure: ``measure`` returns what JSON can hold."""

    store: Path
    name: str
    measure: Callable[[], Any]


def fingerprint(*parts: object) -> str:
    """A short name for all that a result depends on; of a path the file's content counts, of a tensor its values."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(_content(part))
        digest.update(b"\0")
    return digest.hexdigest()[:12]


def _content(part: object) -> bytes:
    if isinstance(part, Tensor):
        return part.float().numpy().tobytes()
    return part.read_bytes() if isinstance(part, Path) else repr(part).encode()


def results(store: Path) -> dict[str, Any]:
    """What was measured so far, by the tasks' names; a line that a stopped process left unfinished is none."""
    found: dict[str, Any] = {}
    for path in sorted(store.glob("part-*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            found[entry["task"]] = entry["result"]
    return found


def work(tasks: Sequence[Task], part: int, told: str = "") -> None:
    """Measure the tasks that nobody has measured or claimed; with ``told`` say how far all of them are."""
    done = {store: set(results(store)) for store in _stores(tasks)}
    left = [t for t in tasks if t.name not in done[t.store]]
    began = said = time.monotonic()
    for task in left:
        if not _claim(task):
            continue
        entry = {"task": task.name, "result": task.measure()}
        with (task.store / f"part-{part}.jsonl").open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps(entry, ensure_ascii=False))
        if told and time.monotonic() - said > TOLD:
            said = time.monotonic()
            still = sum(len({t.name for t in left if t.store == store} - set(results(store))) for store in done)
            minutes = (said - began) / 60 * still / max(1, len(left) - still)
            log.info("%s: %d of %d, %.0f more minutes", told, len(tasks) - still, len(tasks), minutes)


def _stores(tasks: Iterable[Task]) -> list[Path]:
    return list(dict.fromkeys(t.store for t in tasks))


def _claim(task: Task) -> bool:
    claim = task.store / "claims" / quote(task.name, safe="")
    claim.parent.mkdir(parents=True, exist_ok=True)
    try:
        claim.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def work_together(tasks: Sequence[Task], helpers: Sequence[Sequence[str]], told: str) -> dict[Path, dict[str, Any]]:
    """Measure all tasks, together with processes that are started by ``helpers``, command lines of programs that call
    :func:`work` with the same tasks. Returns the results by store and name.

    What a process leaves that failed is measured here.
    """
    _unclaim(tasks)
    done = {store: results(store) for store in _stores(tasks)}
    missing = any(t.name not in done[t.store] for t in tasks)
    running = [subprocess.Popen(list(words)) for words in helpers] if missing else []
    try:
        work(tasks, 0, told)
    finally:
        for process in running:
            process.wait()
    _unclaim(tasks)
    work(tasks, 0)
    return {store: results(store) for store in _stores(tasks)}


def _unclaim(tasks: Sequence[Task]) -> None:
    for store in _stores(tasks):
        shutil.rmtree(store / "claims", ignore_errors=True)
        (store / "claims").mkdir(parents=True)
