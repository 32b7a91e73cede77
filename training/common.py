# SPDX-License-Identifier: GPL-3.0-or-later
"""What every training loop shares: processes, wall-clock schedules, checkpoints of a run, log lines."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from .parallel import join

log = logging.getLogger("spacetime.training")


def start(threads: int = 1) -> tuple[int, int]:
    """Join the processes that torchrun started, if any; return this process's rank and their number."""
    here = join(threads)
    return here.rank, here.world


@dataclass
class Clock:
    """A run's wall clock: the schedule follows the time spent, so that a run ends when it was asked to."""

    minutes: float
    spent: float = 0.0
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Return the seconds spent in this run, interruptions left out."""
        return self.spent + time.monotonic() - self.began

    @property
    def progress(self) -> float:
        """Share of the run that is over, 0..1, the same in every process."""
        value = torch.tensor(min(1.0, self.seconds / (60 * self.minutes)))
        if dist.is_initialized():
            dist.broadcast(value, 0)
        return float(value)


def learning_rate(progress: float, step: int, warmup: int = 100, cooldown: float = 0.4, floor: float = 0.02) -> float:
    """Warm up over ``warmup`` steps, hold, then fall linearly over the last ``cooldown`` of the run."""
    return min(1.0, (step + 1) / warmup) * max(floor, min(1.0, (1 - progress) / cooldown))


def save_run(path: Path, **state: Any) -> None:
    """Write a run's state so that an interruption leaves the old file or the new one, never half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".tmp")
    torch.save(state, scratch)
    os.replace(scratch, path)


def load_run(path: Path) -> dict[str, Any] | None:
    """Read a run's own state, or None when the run begins."""
    return torch.load(path, weights_only=True) if path.exists() else None
