# SPDX-License-Identifier: GPL-3.0-or-later
"""The one training loop. A part (the transformer, the VAE, ...) brings its network, its loss and its validation;
the run brings the schedule, the optimisers, the average, saved steps, several processes and the log.

A step is ``batches`` batches, dealt out to the processes. Every batch has random numbers of its own, made from (seed,
step, batch): a run that was stopped, or goes on with another number of processes, draws what it would have drawn.
"""

from __future__ import annotations

import functools
import json
import signal
import time
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .board import Board
from .common import learning_rate, log
from .optim import Average, Optimisers
from .parallel import Processes, layers, share_changes, spread, total, wants_shards
from .saves import RunError, facts, latest, load_step, save_step
from .settings import Schedule

TOO_MANY = 50  # steps in a row that were not finite


class Part(Protocol):
    """What is trained."""

    name: str
    unit: str  # what the speed counts: "clips", "tokens", "frames"
    module: nn.Module
    adam_only: tuple[str, ...]  # parts of parameter names that Muon leaves alone

    def loss(self, rng: np.random.Generator, progress: float) -> tuple[Tensor, int]:
        """Draw a batch and return its mean loss and the number of units in it; torch's generator is seeded too."""

    def validate(self) -> dict[str, float]:
        """Score the module, which holds the averaged weights meanwhile, on held-out data; the same in each process."""

    def strips(self) -> dict[str, Tensor]:
        """Film strips (3, H, W) in 0..1 by prompt, of the averaged weights; may be empty."""

    def about(self) -> dict[str, Any]:
        """The networks' configs, as saved with every step."""

    def goes_on_from(self, about: dict[str, Any], out: Path) -> None:
        """Compare with what the last saved step in ``out`` says of itself. Raises RunError where it is another run."""
        for name, now in self.about().items():
            if about.get(name) != json.loads(json.dumps(now)):  # as it was written
                raise RunError(f"{out} was trained with another {name} config; give another --out or its config")


class Run:
    """One part's training from its first step, or from its last saved one, to its end."""

    def __init__(self, part: Part, schedule: Schedule, out: Path, processes: Processes | None = None) -> None:
        """Raises RunError where the settings do not fit the number of processes."""
        self.part, self.schedule, self.out = part, schedule, out
        self.processes = processes or Processes()
        self.batches = schedule.batches or self.processes.world
        if self.batches % self.processes.world:
            raise RunError(
                f"batches = {self.batches} cannot be dealt out to {self.processes.world} processes; take a multiple"
            )
        self.parameters = sum(p.numel() for p in part.module.parameters())
        self.sharded = wants_shards(schedule.shard, self.parameters, self.processes)
        spread(part.module, self.sharded, self.processes)
        if schedule.recompute:
            for block in layers(part.module):
                block.forward = functools.partial(checkpoint, block.forward, use_reentrant=False)
        self.average = Average(part.module, schedule.average)
        self.optimisers = Optimisers(part.module, part.adam_only, schedule.muon_lr, schedule.adam_lr)
        self.step, self.spent, self.since = 0, 0.0, time.monotonic()
        self.saved = 0  # the step that was saved last
        self.stopping, self.bad = False, 0

    @property
    def seconds(self) -> float:
        """Seconds spent in this run, interruptions left out."""
        return self.spent + time.monotonic() - self.since

    @property
    def progress(self) -> float:
        """Share of the run that is over, 0..1: by steps where their number is set, else by the clock."""
        if self.schedule.steps:
            return min(1.0, self.step / self.schedule.steps)
        return min(1.0, self.seconds / (60 * self.schedule.minutes))

    def go(self) -> None:
        """Train until the end, or until Ctrl-C, which saves. Raises RunError when a step cannot be saved or is lost."""
        self.resume()
        if self.processes.rank == 0:
            kind = "shards" if self.sharded else "whole copies" if self.processes.world > 1 else "whole"
            log.info(
                "%s: %.1f M parameters on %d x %s, %s; a step has %d batches",
                *(self.part.name, self.parameters / 1e6, self.processes.world, self.processes.device.type, kind),
                self.batches,
            )
        board = Board(self.out, self.part.name, self.processes.rank == 0)
        stop_at = self.schedule.stop_at or float("inf")
        asked = {s: signal.signal(s, self._stop) for s in (signal.SIGINT, signal.SIGTERM)}
        progress, stop = self._agree(0.0, 0.0)[2:]
        begun = progress
        try:
            while progress < 1 and not stop and self.step < stop_at:
                factor = learning_rate(progress, self.step, self.schedule.warmup, self.schedule.cooldown)
                loss, units = self.train(progress, factor)
                loss, units, progress, stop = self._agree(loss, units)
                board.step(loss, units)
                if self.step % self.schedule.log_every == 0:
                    board.line(self.step, progress, begun, self.part.unit, self.optimisers.skipped, factor)
                if self.step % self.schedule.save_every == 0:
                    self.save()
                    board.numbers(self.step, self.validate())
                if self.schedule.sample_every and self.step % self.schedule.sample_every == 0:
                    board.strips(self.step, self.sample())
            if self.step != self.saved:
                self.save()
                board.numbers(self.step, self.validate())
        finally:
            board.close()
            for number, handler in asked.items():
                signal.signal(number, handler)

    def train(self, progress: float, factor: float) -> tuple[float, float]:
        """One step on this process's batches; returns its share of the step's mean loss, and its units."""
        mine = range(self.processes.rank, self.batches, self.processes.world)
        buffers = list(self.part.module.buffers())
        before = [buffer.clone() for buffer in buffers]
        mean, units = 0.0, 0
        for batch in mine:
            if self.sharded:
                self.part.module.set_requires_gradient_sync(batch == mine[-1])  # type: ignore[operator]
            numbers = np.random.default_rng([self.schedule.seed, self.step, batch])
            torch.manual_seed(int(numbers.integers(2**62)))
            loss, count = self.part.loss(numbers, progress)
            (loss / len(mine)).backward()  # type: ignore[no-untyped-call]
            mean, units = mean + float(loss.detach()) / self.batches, units + count
        finite = self.optimisers.step(factor, self.schedule.clip)
        if finite:
            share_changes(buffers, before, self.processes)
            self.average.update(self.part.module)
        else:  # BatchNorm's statistics are spoilt by then, though no weight is
            for buffer, value in zip(buffers, before, strict=True):
                buffer.copy_(value)
        self.bad = 0 if finite else self.bad + 1
        if self.bad >= TOO_MANY:
            raise RunError(
                f"{TOO_MANY} steps in a row were not finite; go on from the last saved step with a lower learning rate"
            )
        self.step += 1
        return mean, float(units)

    def validate(self) -> dict[str, float]:
        """Score the averaged weights on held-out data and say it."""
        with torch.no_grad(), self.average.within(self.part.module):
            scores = self.part.validate()
        if self.processes.rank == 0 and scores:
            found = ", ".join(f"{name} {value:.4f}" for name, value in scores.items())
            log.info("%s step %d  %s", self.part.name, self.step, found)
        return scores

    def sample(self) -> dict[str, Tensor]:
        """Film strips of the averaged weights."""
        with torch.no_grad(), self.average.within(self.part.module):
            return self.part.strips()

    def tensors(self) -> dict[str, Tensor]:
        """All that a step saves, by name: weights, their average, the optimisers' state."""
        model = {f"model.{k}": v for k, v in self.part.module.state_dict().items()}
        average = {f"average.{k}": v for k, v in self.average.values.items()}
        return {**model, **average, **self.optimisers.tensors()}

    def save(self) -> None:
        """Write this step; an older one is lost only when this one is whole."""
        about = {
            "step": self.step,
            "spent": self.seconds,
            "count": self.average.count,
            "skipped": self.optimisers.skipped,
            **self.part.about(),
        }
        save_step(self.out, self.step, self.tensors(), about, self.schedule.keep)
        self.saved = self.step

    def resume(self) -> None:
        """Go on from the last saved step, if there is one. Raises RunError when it is of other networks or latents."""
        step = latest(self.out)
        if step is None:
            return
        about = facts(step)
        self.part.goes_on_from(about, self.out)
        load_step(step, self.tensors())
        self.step, self.spent, self.average.count = about["step"], about["spent"], about["count"]
        self.optimisers.skipped, self.saved = about["skipped"], self.step
        if self.processes.rank == 0:
            log.info("%s goes on from %s", self.part.name, step)

    def _agree(self, loss: float, units: float) -> tuple[float, float, float, float]:
        """The step's loss and units over all processes, the first one's progress, and whether any is asked to stop."""
        progress = self.progress if self.processes.rank == 0 else 0.0
        loss, units, progress, stop = total([loss, units, progress, float(self.stopping)])
        return loss, units, progress, stop

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self.stopping:
            raise KeyboardInterrupt
        log.info("%s stops after this step and saves; once more to stop at once", self.part.name)
        self.stopping = True
