# SPDX-License-Identifier: GPL-3.0-or-later
"""Known parts of a latent leave the sampler as they entered it, bit for bit, whatever the sampler and the model."""

from __future__ import annotations

from typing import Any

import comfy.patcher_extension
import comfy.utils
import torch
from torch import Tensor

KEY = "spacetime.known"


def keep_known(
    executor: Any,
    noise: Tensor,
    latent: Tensor,
    sampler: Any,
    sigmas: Tensor,
    mask: Tensor | None = None,
    *rest: Any,
    **named: Any,
) -> Tensor:
    """Wrap the host's OUTER_SAMPLE: run it with a binary mask, then put back what the mask (0 there) calls known.

    Samplers that end above noise level 0, or that extrapolate, move the known parts a little or a lot; and a
    fractional mask would end as a double exposure. Differential diffusion turns a graded mask into a binary one at
    every step, so there the mask stays as it is.
    """
    if mask is None or noise.ndim != 5:
        return executor(noise, latent, sampler, sigmas, mask, *rest, **named)
    mask = comfy.utils.reshape_mask(mask.to(torch.float32), noise.shape)[:, :1]
    if "denoise_mask_function" not in executor.class_obj.model_options:
        mask = (mask >= 0.5).to(mask)
    out = executor(noise, latent, sampler, sigmas, mask, *rest, **named)
    return torch.where(mask.to(out.device) == 0, latent.to(out), out)


def with_known_kept(model: Any) -> Any:
    """Return the MODEL, or a clone of it, with :func:`keep_known` in place."""
    kind = comfy.patcher_extension.WrappersMP.OUTER_SAMPLE
    if model.get_wrappers(kind, KEY):
        return model
    model = model.clone()
    model.add_wrapper_with_key(kind, KEY, keep_known)
    return model


def mixed_positions(mask: Tensor, patch: int) -> Tensor:
    """Known positions (mask 0) whose token holds an unknown one too, as a boolean (B, 1, T, H, W).

    A token has one timestep, its noisiest position's: these positions have to be as noisy as the rest of it.
    """
    spread = torch.nn.functional.max_pool3d(mask, (1, patch, patch), ceil_mode=True)
    spread = spread.repeat_interleave(patch, 3).repeat_interleave(patch, 4)[..., : mask.shape[3], : mask.shape[4]]
    return (mask == 0) & (spread > 0)
