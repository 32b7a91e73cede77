# SPDX-License-Identifier: GPL-3.0-or-later
"""What every training program shares: processes, the learning rate's schedule, log lines."""

from __future__ import annotations

import logging
from pathlib import Path

from .parallel import join

ROOT = Path(__file__).resolve().parent.parent

log = logging.getLogger("spacetime.training")


def start(threads: int = 1) -> tuple[int, int]:
    """Join the processes that torchrun started, if any; return this process's rank and their number."""
    here = join(threads)
    return here.rank, here.world


def learning_rate(progress: float, step: int, warmup: int = 100, cooldown: float = 0.4, floor: float = 0.02) -> float:
    """Warm up over ``warmup`` steps, hold, then fall linearly over the last ``cooldown`` of the run, if not 0."""
    left = (1 - progress) / cooldown if cooldown else 1.0
    return min(1.0, (step + 1) / warmup) * max(floor, min(1.0, left))
