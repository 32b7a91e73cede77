# SPDX-License-Identifier: GPL-3.0-or-later
"""What a sampler is about to run: the one thing that an adapter changes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import node_helpers
import torch
from torch import Tensor

from ..guides import Guides

SHOWN = "concat_latent_image"  # in a CONDITIONING: the user has given the model its picture already


@dataclass(frozen=True)
class Job:
    """MODEL, prompts, samples (B, C, T, h, w), their mask (1 or B, 1, T, h, w) and what stands behind it.

    mask: 0 known, 1 to be made. An adapter may add latent frames after the last one: the sampler takes them off.
    """

    model: Any
    positive: Any
    negative: Any
    samples: Tensor
    mask: Tensor
    guides: Guides | None = None

    @property
    def length(self) -> int:
        """Return the number of latent frames."""
        return self.samples.shape[2]

    @property
    def known(self) -> Tensor:
        """Return where the samples are known, or held for most of the steps in which any is free: (B, 1, T, h, w)."""
        known = self.mask < 0.5 * self.mask.max()
        return known.to(self.samples).expand(self.samples.shape[0], 1, *self.samples.shape[2:])

    def tell(self, **values: Any) -> Job:
        """Return the job with values in both prompts."""
        positive, negative = (
            node_helpers.conditioning_set_values(prompt, values) for prompt in (self.positive, self.negative)
        )
        return replace(self, positive=positive, negative=negative)

    def has(self, key: str) -> bool:
        """Tell whether the prompt holds a value of that name."""
        return any(key in entry[1] for entry in self.positive)


def lineage(model: Any) -> list[str]:
    """Return the names of a MODEL's class in the host and of those it derives from, the closest first."""
    return [kind.__name__ for kind in type(model.model).__mro__]


def in_windows(model: Any) -> bool:
    """Tell whether a MODEL is sampled in context windows."""
    return model.model_options.get("context_handler") is not None


def unknown_as_mean(job: Job) -> Tensor:
    """Return the samples where they are known, and elsewhere what is 0 for the network."""
    mean = job.model.get_model_object("latent_format").process_out(torch.zeros_like(job.samples))
    return torch.where(job.known > 0, job.samples, mean)
