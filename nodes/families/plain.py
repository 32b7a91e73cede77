# SPDX-License-Identifier: GPL-3.0-or-later
"""Families that need nothing but (samples, noise_mask): our own, Wan 2.2 5B, Wan text to video; and unknown ones."""

from __future__ import annotations

from .graded import told_the_truth
from .job import Job, lineage

CLEAN = "what is known enters every step clean, at a timestep of its own"


def spacetime(job: Job) -> tuple[Job, str]:
    """Ours: a timestep for every token."""
    return job, f"Spacetime: {CLEAN}."


def wan22(job: Job) -> tuple[Job, str]:
    """Wan 2.2 5B: a timestep for every latent frame, the mean of the mask over it; the host sees to that."""
    return told_the_truth(job), f"Wan 2.2 5B: {CLEAN} for each frame."


def unknown(job: Job) -> tuple[Job, str]:
    """Return the job as it is: the host's own masking, which every model knows."""
    return job, (
        f"{lineage(job.model)[0]}: nothing is known of this model's own way to be shown frames, so what is known is "
        "held by the latent's mask alone."
    )
