# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks between 0 and 1 for models that have a timestep for each frame or token (Wan 2.2 5B, LTX-Video).

Such a place is held until a point of the schedule and free from then on. The host would tell the network a share of
the timestep all the while, and give it the place clean while it is held, which is neither. So the place gets the whole
timestep throughout, and is as noisy as that while it is held. Seen in ``comfy.model_base`` of ComfyUI 0.3.75 and
0.33.0, whose ``process_timestep`` and ``scale_latent_inpaint`` these are.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import comfy.model_base
import torch
from torch import Tensor

from ..strength import is_graded
from .job import Job


def told_the_truth(job: Job) -> Job:
    """Return the job with a model that knows masks between 0 and 1; the same where there is no such value."""
    if not is_graded(job.mask):
        return job
    model, host = job.model.clone(), job.model.model
    model.add_object_patch("process_timestep", partial(_timestep, partial(type(host).process_timestep, host)))
    noised = partial(comfy.model_base.BaseModel.scale_latent_inpaint, host)
    model.add_object_patch("scale_latent_inpaint", partial(_held, noised, job.mask > 0))
    return replace(job, model=model)


def _timestep(host: Any, timestep: Tensor, x: Tensor, denoise_mask: Tensor | None = None, **named: Any) -> Tensor:
    if denoise_mask is not None:
        denoise_mask = (denoise_mask > 0).to(denoise_mask)
    return host(timestep, x, denoise_mask=denoise_mask, **named)


def _held(noised: Any, free: Tensor, sigma: Tensor, noise: Tensor, latent_image: Tensor, **named: Any) -> Tensor:
    """What a held place is for the network: clean where it is known for good, else at the step's noise level."""
    noisy = noised(sigma=sigma, noise=noise, latent_image=latent_image, **named)
    return torch.where(free.to(latent_image.device), noisy, latent_image)
