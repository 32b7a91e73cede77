# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run tells while it goes: a progress line, ``log.jsonl``, and TensorBoard where it is installed."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from torch import Tensor

from .common import log


class Board:
    """Numbers and pictures of one run; only the first process has one that writes."""

    def __init__(self, folder: Path, name: str, active: bool = True) -> None:
        self.folder, self.name, self.active = folder, name, active
        self.losses: list[float] = []
        self.units, self.elapsed, self.began = 0.0, 0.0, time.monotonic()
        self.writer: Any = None
        if active:
            folder.mkdir(parents=True, exist_ok=True)
            self.writer = tensorboard(folder)

    def step(self, loss: float, units: float) -> None:
        """Count a step; a loss that is not finite is only counted."""
        if math.isfinite(loss):
            self.losses.append(loss)
        self.units += units

    def line(self, step: int, progress: float, begun: float, unit: str, skipped: int, factor: float) -> None:
        """Log the mean loss since the last line, the speed, and when the run will be over at this pace.

        ``begun`` is the progress at which this sitting started.
        """
        seconds = time.monotonic() - self.began
        self.elapsed += seconds
        left = self.elapsed * (1 - progress) / max(1e-9, progress - begun)
        mean, speed = float(np.mean(self.losses or [0.0])), self.units / max(1e-9, seconds)
        if self.active:
            log.info(
                "%s step %d  %3.0f%%  loss %.4f  %.0f %s/s  skipped %d  %s left",
                *(self.name, step, 100 * progress, mean, speed, unit, skipped, clock(left)),
            )
        self.numbers(step, {"loss": mean, f"{unit}/s": speed, "learning rate": factor, "skipped": skipped})
        self.losses, self.units, self.began = [], 0.0, time.monotonic()

    def numbers(self, step: int, values: dict[str, float]) -> None:
        """Write numbers to log.jsonl and TensorBoard."""
        if not self.active:
            return
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        if self.writer is not None:
            for name, value in values.items():
                self.writer.add_scalar(name, value, step)

    def strips(self, step: int, pictures: dict[str, Tensor]) -> None:
        """Write film strips (3, H, W) in 0..1 by prompt, as samples/*.png and to TensorBoard."""
        if not self.active or not pictures:
            return
        folder = self.folder / "samples"
        folder.mkdir(exist_ok=True)
        sheet = np.concatenate([np.asarray((p * 255).byte().permute(1, 2, 0)) for p in pictures.values()])
        cv2.imwrite(str(folder / f"step-{step:08d}.png"), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
        if self.writer is not None:
            for name, picture in pictures.items():
                self.writer.add_image(name, picture, step)

    def close(self) -> None:
        """Write out what is buffered."""
        if self.writer is not None:
            self.writer.close()


def tensorboard(folder: Path) -> Any:
    """A writer of TensorBoard's event files, or None, which is said once, where the package is missing."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        log.info("the package tensorboard is not installed: numbers go to %s only", folder / "log.jsonl")
        return None
    return SummaryWriter(str(folder / "tensorboard"))


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss."""
    whole = int(min(seconds, 3.6e8))
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
