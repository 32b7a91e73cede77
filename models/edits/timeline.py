# SPDX-License-Identifier: GPL-3.0-or-later
"""How a video VAE counts: which frames a latent frame holds, and which lengths are whole numbers of them."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Timeline:
    """``ratio`` frames make a latent frame; where ``lone_first``, a clip's first frame is a latent frame of its own."""

    ratio: int = 4
    lone_first: bool = True

    @property
    def lead(self) -> int:
        """Frames in a clip's first latent frame."""
        return 1 if self.lone_first else self.ratio

    def frames(self, latents: int) -> int:
        """Frames that the first ``latents`` latent frames of a clip hold; so, too, where the next one begins."""
        return 0 if latents <= 0 else self.lead + (latents - 1) * self.ratio

    def latents(self, frames: int) -> int:
        """Latent frames that hold the first ``frames`` frames of a clip, the last one perhaps not filled."""
        return 0 if frames <= 0 else 1 + max(0, -(-(frames - self.lead) // self.ratio))

    def latent_of(self, frame: int) -> int:
        """Return the latent frame that holds frame ``frame``."""
        return self.latents(frame + 1) - 1

    def run(self, frames: float, first: bool) -> int:
        """The length nearest to ``frames`` that fills latent frames, at least one; ``first``: at a clip's begin."""
        lead = self.lead if first else self.ratio
        return lead + max(0, math.floor((frames - lead) / self.ratio + 0.5)) * self.ratio

    def run_latents(self, frames: int, first: bool) -> int:
        """Latent frames of a run of that length (see :meth:`run`)."""
        return self.latents(frames) if first else frames // self.ratio
