# SPDX-License-Identifier: GPL-3.0-or-later
"""Two prompts for one clip: the first at its begin, the second at its end, gliding from one to the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..language.schedule import Turn
from .errors import InputError
from .prompts import schedule_prompts
from .schema import CATEGORY, inp, schema


class GlidePrompts(io.ComfyNode):
    """MODEL and two CONDITIONINGs to a MODEL and a CONDITIONING that change over the clip."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node to the host."""
        share = {"min": 0.0, "max": 1.0, "step": 0.01}
        return schema(
            node_id="SpacetimeGlidePrompts",
            display_name="Glide Prompts",
            category=f"{CATEGORY}/operations",
            description="Let one prompt turn into another over the length of a clip. Works with any video model and "
            "sampler; while both count, a step takes two calls of the model.",
            search_aliases=["prompt schedule", "prompt travel", "prompt interpolation"],
            inputs=[
                inp(io.Model.Input, "model", tooltip="The video model."),
                inp(io.Conditioning.Input, "first", tooltip="The prompt at the begin of the clip."),
                inp(io.Conditioning.Input, "second", tooltip="The prompt at its end."),
                inp(
                    io.Float.Input, "start", default=0.25, **share,
                    tooltip="Where the glide begins, as a share of the clip's length: 0 its begin, 1 its end.",
                ),
                inp(
                    io.Float.Input, "stop", default=0.75, **share,
                    tooltip="Where only the second prompt counts; the same as start switches at once.",
                ),
            ],
            outputs=[
                io.Model.Output(display_name="model", tooltip="The model; use it together with the prompt beside it."),
                io.Conditioning.Output(display_name="positive", tooltip="Both prompts."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(cls, model: Any, first: Any, second: Any, start: float, stop: float) -> io.NodeOutput:
        """Combine them; see the schema."""
        return io.NodeOutput(*glide(model, first, second, lambda length: ramp(length, start, stop)))


def ramp(length: int, start: float, stop: float) -> Tensor:
    """Shares (length,) of the second prompt: 0 up to ``start`` (of 0..1), 1 from ``stop`` on."""
    place = torch.linspace(0, 1, length) if length > 1 else torch.zeros(1)
    if stop <= start:
        return (place >= start).float()
    return ((place - start) / (stop - start)).clamp(0, 1)


def glide(model: Any, first: Any, second: Any, shares: Callable[[int], Tensor]) -> tuple[Any, Any]:
    """Return a MODEL and the positive CONDITIONING to sample it with.

    ``shares`` gives the second prompt's share (T,) for a clip of T latent frames. Raises InputError for an empty
    prompt.
    """
    if not first or not second:
        raise InputError("A prompt to glide between is empty of conditioning: connect a CLIP Text Encode node to both.")
    return schedule_prompts(model, [first, second], Turn(shares))
