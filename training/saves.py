# SPDX-License-Identifier: GPL-3.0-or-later
"""Saved steps of a run: ``runs/dit/step-00001000/`` holds torch's distributed checkpoint and ``run.json``.

A step is written beside its final name and renamed when it is whole, and older ones go only then: a folder called
``step-...`` is always complete. Any number of processes may write one and any other number read it.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException


class RunError(ValueError):
    """A run that cannot begin, go on or be saved; the message says why and what to do."""


def latest(folder: Path) -> Path | None:
    """The newest whole step of a run, or None."""
    steps = sorted(path for path in folder.glob("step-*") if path.suffix != ".tmp" and (path / "run.json").is_file())
    return steps[-1] if steps else None


def facts(step: Path) -> dict[str, Any]:
    """What ``run.json`` says of a saved step: counters, and the configs of the networks."""
    found: dict[str, Any] = json.loads((step / "run.json").read_text(encoding="utf-8"))
    return found


def save_step(folder: Path, number: int, tensors: dict[str, Tensor], about: dict[str, Any], keep: int = 2) -> Path:
    """Write a step; all processes call it together. Raises RunError when it cannot be written; older steps stay."""
    final = folder / f"step-{number:08d}"
    scratch = final.with_suffix(".tmp")
    first = not dist.is_initialized() or dist.get_rank() == 0
    try:
        if first:
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir(parents=True)
        _write(tensors, scratch)
        if first:
            (scratch / "run.json").write_text(json.dumps(about, ensure_ascii=False, indent=1), encoding="utf-8")
            shutil.rmtree(final, ignore_errors=True)
            os.replace(scratch, final)
    except (OSError, CheckpointException, RuntimeError) as error:
        shutil.rmtree(scratch, ignore_errors=True)
        kept = latest(folder)
        rest = f"the last whole one is {kept.name}: free some space and run the same command" if kept else "free some"
        raise RunError(f"step {number} could not be written to {folder} ({reason(error)}); {rest}") from error
    if first:
        for old in sorted(folder.glob("step-*"))[:-keep]:
            shutil.rmtree(old)
    return final


def load_step(step: Path, tensors: dict[str, Tensor]) -> None:
    """Read a saved step into tensors of the same names and shapes, sharded or not."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that there is only one process
            dcp.load(dict(tensors), checkpoint_id=step, no_dist=not dist.is_initialized())
    except (CheckpointException, OSError, RuntimeError, ValueError) as error:
        raise RunError(
            f"{step} does not fit this run ({reason(error)}); give another --out, or delete that folder to begin anew"
        ) from error


def load_average(run: Path, module: nn.Module) -> int:
    """Read the averaged weights of a run's last saved step into a module; returns the step. Raises RunError."""
    step = latest(run)
    if step is None:
        raise RunError(f"{run} holds no saved step: train one first, see ./spacetime train --help")
    load_step(step, {f"average.{name}": value for name, value in module.state_dict().items()})
    return int(facts(step)["step"])


def reason(error: BaseException) -> str:
    """The first cause of an error, in one line."""
    if isinstance(error, CheckpointException) and error.failures:
        error = next(iter(error.failures.values()))[0]
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _write(tensors: dict[str, Tensor], folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        dcp.save(dict(tensors), checkpoint_id=folder, no_dist=not dist.is_initialized())
