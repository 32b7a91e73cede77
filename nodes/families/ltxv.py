# SPDX-License-Identifier: GPL-3.0-or-later
"""LTX-Video. It has a timestep for every token, and sees frames inside a clip as guides after its end.

What stands at a clip's begin is known in its place, as in stock LTXVImgToVideo. What stands later is known in its
place, too, and besides given to stock LTXVAddGuide, which puts its latent frames (0.3.75: the first two) after the
clip's last one, with the positions in time that they belong to: that is how the model was trained to meet frames that
are not the first. The sampler takes them off at the end, as stock LTXVCropGuides does. Seen in
``comfy_extras.nodes_lt`` of ComfyUI 0.3.75 and 0.33.0.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import nodes
import torch

from .. import vae_stream
from ..guides import Guides, Run
from .graded import told_the_truth
from .job import Job, in_windows

NODE = "LTXVAddGuide"
CLEAN = "LTX-Video: what is known enters every step clean, each token at a timestep of its own"


def ltxv(job: Job) -> tuple[Job, str]:
    """Add a guide for every known run that is not at the clip's begin."""
    job, said = _with_later_frames(job)
    return told_the_truth(job), said


def _with_later_frames(job: Job) -> tuple[Job, str]:
    later = [] if job.guides is None else [run for run in job.guides.runs if run.begin]
    if not later or job.guides is None:
        return job, f"{CLEAN}."
    if in_windows(job.model):
        return job, f"{CLEAN}. Guides for later frames are left out, as it runs in context windows."
    if NODE not in nodes.NODE_CLASS_MAPPINGS or job.has("keyframe_idxs"):
        return job, f"{CLEAN}."
    return with_guides(job, job.guides), f"{CLEAN}; {len(later)} known parts after the begin are guides, too."


def with_guides(job: Job, guides: Guides) -> Job:
    """Let the host's node add the guides; what is known in its place stays as it was."""
    length, height, width = job.samples.shape[2:]
    size = vae_stream.pixel_size(guides.vae, job.samples)
    latent = {"samples": job.samples[:1], "noise_mask": job.mask[:1]}  # the host's node takes one clip
    positive, negative = job.positive, job.negative
    node = nodes.NODE_CLASS_MAPPINGS[NODE]
    for run in guides.runs:
        if run.begin:
            skip = left_out(node, run, int(guides.vae.temporal_compression_decode()))
            images, begin = run.images(size, skip), run.begin + skip
            added = node.execute(positive, negative, guides.vae, latent, images, begin, run.strength)
            positive, negative, latent = added.result
    frames, held = (latent[key][:, :, length:].to(job.samples) for key in ("samples", "noise_mask"))
    frames = frames.expand(len(job.samples), -1, -1, -1, -1)
    held = held.expand(len(job.mask), 1, -1, height, width)
    samples, mask = torch.cat([job.samples, frames], 2), torch.cat([job.mask, held], 2)
    return replace(job, positive=positive, negative=negative, samples=samples, mask=mask)


def left_out(node: Any, run: Run, group: int) -> int:
    """How many of a run's first frames a guide leaves out, so that its groups are those of the clip.

    A run fills groups of ``group`` frames. One group is a guide of one frame, its last. Of several, newer hosts take
    all; in 0.3.75 (``NUM_PREFIX_FRAMES``) a guide begins with a single frame, which ends a group, and groups follow.
    """
    begins_alone = hasattr(node, "NUM_PREFIX_FRAMES") or len(run.frames) <= group
    return min(group, len(run.frames)) - 1 if begins_alone else 0
