# SPDX-License-Identifier: GPL-3.0-or-later
"""Which adapter a model gets, by the name of its class in the host (ComfyUI 0.3.75 and 0.33.0)."""

from __future__ import annotations

from collections.abc import Callable

from .hunyuan import hunyuan
from .job import Job, lineage
from .ltxv import ltxv
from .plain import spacetime, unknown, wan22
from .wan import wan

Adapter = Callable[[Job], tuple[Job, str]]
"""Makes of a job one that the model understands, and says in a sentence what it did."""

FAMILIES: dict[str, Adapter] = {
    "SpacetimeModel": spacetime,
    "WAN21": wan,
    "WAN22": wan22,
    "LTXV": ltxv,
    "HunyuanVideo": hunyuan,
}


def adapter_of(model: object) -> Adapter:
    """Return the adapter of a MODEL's class or of the closest one that it derives from."""
    return next((FAMILIES[name] for name in lineage(model) if name in FAMILIES), unknown)


def adapt(job: Job) -> tuple[Job, str]:
    """Prepare a clip that is known in parts for its model; see :data:`Adapter`."""
    return adapter_of(job.model)(job)
