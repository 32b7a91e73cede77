# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks between 0 and 1: how much of each place may change, as the point of the schedule from which it is free.

A mask that is blended in as it is ends as a double exposure. So at every step it is made binary (Levin & Fried,
differential diffusion, arXiv:2306.00950): a place is held until the rest of the schedule is its share of the whole.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor


def is_graded(mask: Tensor | None) -> bool:
    """Whether a mask has values between 0 and 1."""
    return mask is not None and bool(((mask > 0) & (mask < 1)).any())


def with_graded_mask(model: Any) -> Any:
    """Return a clone of MODEL that frees the places of a graded mask one after the other.

    A model whose user has already chosen how (stock Differential Diffusion) is returned as it is.
    """
    if "denoise_mask_function" in model.model_options:
        return model
    model = model.clone()
    model.set_model_denoise_mask_function(free_places)
    return model


def free_places(sigma: Tensor, mask: Tensor, extra_options: dict[str, Any]) -> Tensor:
    """Return 1 where ``mask`` is at least the share of the schedule that is still to come at ``sigma``, else 0."""
    return (mask >= remaining(float(sigma.flatten()[0]), extra_options["sigmas"]) - 1e-4).to(mask.dtype)


def remaining(sigma: float, sigmas: Tensor) -> float:
    """The share of the schedule (S + 1,) that is left at noise level ``sigma``: 1 at its first, 0 at its last."""
    levels = sigmas.detach().float().cpu()
    steps = len(levels) - 1
    if steps < 1 or sigma >= float(levels[0]):
        return 1.0
    after = int((levels > sigma).sum())  # the first level that is not above it
    high, low = float(levels[after - 1]), float(levels[min(after, steps)])
    part = 0.0 if high <= low else (high - sigma) / (high - low)
    return 1.0 - min(1.0, (after - 1 + part) / steps)


def first_free(mask: Tensor, denoise: float) -> tuple[Tensor, float]:
    """Leave out the steps in which everything is held: (mask, denoise) with the mask's largest value 1.

    The result is the same with as many steps in the rest of the schedule.
    """
    peak = float(mask.max())
    return (mask, denoise) if not 0 < peak < 1 else (mask / peak, denoise * peak)
