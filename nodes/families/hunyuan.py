# SPDX-License-Identifier: GPL-3.0-or-later
"""HunyuanVideo 1.0 and 1.5, which have one timestep for all frames.

The host puts known frames in clean, which only the 1.0 image-to-video model of the kind "v2 (replace)" was trained on;
its prompt says so with ``guiding_frame_index`` (stock HunyuanImageToVideo). For every other one what is known has the
noise level of the rest. 1.5, and the 1.0 models of the kind "v1 (concat)", see known frames as extra channels: there
the adapter puts what HunyuanVideo15ImageToVideo puts, the known latents and a mask, and nothing where they are not
known. Seen in ``comfy.model_base`` and ``comfy_extras.nodes_hunyuan`` of ComfyUI 0.3.75 and 0.33.0.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import comfy.model_base
import torch

from .job import SHOWN, Job, lineage

REPLACES = "guiding_frame_index"


def hunyuan(job: Job) -> tuple[Job, str]:
    """Hold what is known at the noise level of each step, and show it to a model that has channels for it."""
    if job.has(REPLACES):
        return job, "HunyuanVideo: the known first frame enters every step clean, as the prompt says."
    job = noised_with_the_rest(job)
    if not takes_images(job):
        return job, (
            "HunyuanVideo text to video: what is known is held at the noise level of each step; this model was not "
            "trained to go on from frames."
        )
    if job.has(SHOWN):
        return job.tell(concat_mask=1 - job.known), "HunyuanVideo: the prompt already holds its picture."
    shown = torch.where(job.known > 0, job.samples, torch.zeros_like(job.samples))
    job = job.tell(**{SHOWN: shown, "concat_mask": 1 - job.known})
    if not job.known.any():
        return job, "HunyuanVideo: no part is known for good, so it is shown none."
    return job, "HunyuanVideo: known frames are shown to it; its image-to-video model was trained on first frames."


def takes_images(job: Job) -> bool:
    """Tell whether the network has channels for a picture."""
    return "HunyuanVideo15" in lineage(job.model) or bool(getattr(job.model.model, "concat_keys", ()))


def noised_with_the_rest(job: Job) -> Job:
    """Let known latents have the noise level of the step, as the host does for models that say nothing of it."""
    model = job.model.clone()
    scale = partial(comfy.model_base.BaseModel.scale_latent_inpaint, model.model)
    model.add_object_patch("scale_latent_inpaint", scale)
    return replace(job, model=model)
