# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures behind the known parts of a LATENT, for models that have to be shown them in a way of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor

from ..video.frames import Frame, fit_frame, to_floats

KEY = "spacetime_guides"  # in a LATENT


@dataclass(frozen=True)
class Run:
    """Known frames, uint8 (H, W, 3) of any size, that stand in a clip from frame ``begin`` on."""

    begin: int
    frames: tuple[Frame, ...]
    strength: float = 1.0

    @property
    def end(self) -> int:
        """Return the frame after the last one."""
        return self.begin + len(self.frames)

    def images(self, size: tuple[int, int], skip: int = 0) -> Tensor:
        """Return the frames, without the first ``skip``, as the host's IMAGE at ``size`` (width, height)."""
        return to_floats(np.stack([fit_frame(frame, *size, "stretch") for frame in self.frames[skip:]]))


@dataclass(frozen=True)
class Guides:
    """Every known run of a clip, and the VAE it was encoded with."""

    vae: Any
    runs: tuple[Run, ...]

    def and_run(self, run: Run) -> Guides:
        """Return these guides with one more run, in the order of time."""
        return replace(self, runs=tuple(sorted([*self.runs, run], key=lambda one: one.begin)))

    def strong(self) -> Guides:
        """Return the runs that are held for at least half of the steps."""
        return replace(self, runs=tuple(run for run in self.runs if run.strength >= 0.5))


def guides_of(vae: Any, *runs: tuple[int, list[Frame]]) -> Guides:
    """Return guides of runs given as (begin, frames)."""
    return Guides(vae, tuple(Run(begin, tuple(frames)) for begin, frames in runs))
