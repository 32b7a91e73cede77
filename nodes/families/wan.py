# SPDX-License-Identifier: GPL-3.0-or-later
"""Wan 2.1 and Wan 2.2 14B. Their image-to-video models see the known frames as extra channels of the input.

Such a model is given what stock WanImageToVideo gives it: the whole clip encoded, grey where it is not known yet, and
a mask of four values a latent frame (its four frames; seen in ``comfy_extras.nodes_wan`` of ComfyUI 0.3.75 and 0.33.0,
whose WanFirstLastFrameToVideo makes the same mask for both ends). Besides, the known latents are held at each step's
noise level, so that they come out as they are.
"""

from __future__ import annotations

import nodes
import torch
from torch import Tensor

from .. import vae_stream
from ..guides import Guides
from .job import SHOWN, Job, unknown_as_mean

NODE = "WanImageToVideo"
GROUP = 4  # frames in a latent frame, and values in the mask
TEXT = "Wan text to video: what is known is held at the noise level of each step; this model was not trained to go on "
TEXT += "from frames, an image-to-video model or Wan 2.2 5B joins them better."


def wan(job: Job) -> tuple[Job, str]:
    """Show known frames to an image-to-video model as it was trained to see them."""
    if not takes_images(job):
        return job, TEXT
    name = "Wan image to video"
    if job.has(SHOWN):
        return job, f"{name}: the prompt already holds its picture."
    guides = None if job.guides is None else job.guides.strong()
    if guides is not None and guides.runs and NODE in nodes.NODE_CLASS_MAPPINGS:
        return show_frames(job, guides), f"{name}: {len(guides.runs)} known parts are shown to it."
    shown = job.tell(**{SHOWN: unknown_as_mean(job), "concat_mask": 1 - job.known})
    if not job.known.any():
        return shown, f"{name}: no part is known for good, so it is shown none."
    return shown, f"{name}: the known region is shown to it; it was trained on whole frames, expect less of it."


def takes_images(job: Job) -> bool:
    """Tell whether the network has channels for a picture and its mask beside the noise."""
    network = job.model.get_model_object("diffusion_model")
    return int(getattr(network, "in_dim", 0)) == 2 * job.samples.shape[1] + GROUP


def show_frames(job: Job, guides: Guides) -> Job:
    """Let the host's node encode the clip, and say which of its frames are known."""
    width, height = vae_stream.pixel_size(guides.vae, job.samples)
    length = vae_stream.frame_count(guides.vae, job.length)
    clip = torch.full((length, height, width, 3), 0.5)
    for run in guides.runs:
        clip[run.begin : run.end] = run.images((width, height))
    node = nodes.NODE_CLASS_MAPPINGS[NODE]
    made = node.execute(job.positive, job.negative, guides.vae, width, height, length, 1, start_image=clip).result
    told = Job(job.model, made[0], made[1], job.samples, job.mask, job.guides)
    return told.tell(concat_mask=frame_mask(guides, job.samples))


def frame_mask(guides: Guides, samples: Tensor) -> Tensor:
    """0 for known frames, 1 for others: (1, 4, T, h, w); a clip's first frame counts four times."""
    length, height, width = samples.shape[2:]
    mask = torch.ones(length * GROUP)
    for run in guides.runs:
        mask[run.begin + GROUP - 1 if run.begin else 0 : run.end + GROUP - 1] = 0
    return mask.view(1, length, GROUP, 1, 1).transpose(1, 2).expand(1, GROUP, length, height, width).contiguous()
