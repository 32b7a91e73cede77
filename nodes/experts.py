# SPDX-License-Identifier: GPL-3.0-or-later
"""Two models for one clip, as Wan 2.2 14B has them: one for the rough shape at high noise, one for detail at low noise.

Stock workflows sample twice and hand the half-finished clip on; everything that samples would need two of everything.
Here both become one MODEL: a single run of the sampler asks the expert whose noise level it is. So the sampler keeps
its memory of earlier steps, known frames keep their noise, and every node that takes a MODEL works. The second expert
is loaded when its first step comes; the host makes room for it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import comfy.model_management as mm
import comfy.patcher_extension as extension
from comfy.model_sampling import CONST
from comfy_api.latest import io
from torch import Tensor

from .errors import InputError
from .schema import CATEGORY, inp, schema

KEY = "spacetime.experts"
SAMPLING = extension.WrappersMP.SAMPLER_SAMPLE
WAN_BOUNDARY = 0.9  # image to video; the text-to-video pair changes at 0.875
Options = dict[str, Any]


class TwoExperts(io.ComfyNode):
    """Two MODELs to one."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node to the host."""
        return schema(
            node_id="SpacetimeTwoExperts",
            display_name="Two Experts",
            category=CATEGORY,
            description="Join a model for high noise and one for low noise, such as the two of Wan 2.2 14B, to one "
            "model that every sampler and every node takes: each step goes to the expert of its noise level. Only one "
            "of them has to fit into memory at a time.",
            search_aliases=["wan 2.2 14b", "high noise low noise", "mixture of experts", "split sigmas", "moe"],
            inputs=[
                inp(io.Model.Input, "high_noise", tooltip="The model for the first steps: layout and motion."),
                inp(io.Model.Input, "low_noise", tooltip="The model for the last steps: detail. LoRAs go to each."),
                inp(
                    io.Float.Input, "boundary", default=WAN_BOUNDARY, min=0.0, max=1.0, step=0.005, round=0.001,
                    tooltip="Share of noise below which the second model takes over. Wan 2.2 14B: 0.9 for image to "
                    "video, 0.875 for text to video.",
                ),
            ],
            outputs=[io.Model.Output(display_name="model", tooltip="Both in one; its noise schedule is the first's.")],
        )  # fmt: skip

    @classmethod
    def execute(cls, high_noise: Any, low_noise: Any, boundary: float = WAN_BOUNDARY) -> io.NodeOutput:
        """Join them; see the schema."""
        return io.NodeOutput(join(high_noise, low_noise, boundary))


def join(high: Any, low: Any, boundary: float) -> Any:
    """Return a MODEL whose steps at noise levels (0..1) down to ``boundary`` ``high`` makes, and ``low`` the rest.

    Raises InputError for models that cannot take turns at one clip.
    """
    for name, model in (("high_noise", high), ("low_noise", low)):
        if model.get_wrappers(SAMPLING, KEY):
            raise InputError(f"{name} is two experts already: connect a single model.")
        if not isinstance(model.get_model_object("model_sampling"), CONST):
            raise InputError(f"{name} is no model of the flow kind: this node is for pairs such as Wan 2.2 14B's.")
    kinds = [_kind(model) for model in (high, low)]
    if kinds[0] != kinds[1]:
        raise InputError(
            f"The two models are no pair: high_noise is {kinds[0]}, low_noise is {kinds[1]}. Load both files of the "
            "same release (both image to video, or both text to video)."
        )
    joined = high.clone()
    joined.add_wrapper_with_key(SAMPLING, KEY, partial(_run, low, boundary, own_options(high)))
    return joined


def _kind(model: Any) -> str:
    """Name a MODEL's class and the channels that it takes."""
    channels = getattr(model.get_model_object("diffusion_model"), "in_dim", None)
    name = type(model.model).__name__
    return name if channels is None else f"{name} with {channels} input channels"


def _run(low: Any, boundary: float, before: Options, executor: Any, guider: Any, *given: Any, **named: Any) -> Any:
    """Wrap a sampler's run: it gets a guider that changes the model on the way."""
    turns = Turns(guider, low, boundary, before)
    try:
        return executor(turns, *given, **named)
    finally:
        turns.end()


class Turns:
    """Stands in for a guider in a sampler's run, and lets it ask one of two models at each noise level."""

    def __init__(self, guider: Any, low: Any, boundary: float, before: Options) -> None:
        self._guider, self._low, self._boundary = guider, low, boundary
        self._before, self._own = before, own_options(low)
        self._high_model = guider.inner_model

    def __getattr__(self, name: str) -> Any:
        return getattr(self._guider, name)

    def __call__(self, x: Tensor, timestep: Tensor, model_options: Options | None = None, seed: Any = None) -> Tensor:
        """Return the prediction for ``x`` at noise level ``timestep`` (B,)."""
        options = model_options or {}
        if float(timestep.max()) >= self._boundary:
            self._take(self._guider.model_patcher, self._high_model, x)
        else:
            self._take(self._low, self._low.model, x)
            options = transferred(options, self._before, self._own)
        return self._guider(x, timestep, model_options=options, seed=seed)

    def _take(self, patcher: Any, model: Any, x: Tensor) -> None:
        if self._guider.inner_model is not model:
            needed = model.memory_required([2 * x.shape[0], *x.shape[1:]]) + mm.minimum_inference_memory()
            mm.load_models_gpu([patcher], memory_required=needed)
            patcher.pre_run()
            self._guider.inner_model = model

    def end(self) -> None:
        """Leave the guider as it was; the host cleans up after the first model itself."""
        if self._guider.inner_model is not self._high_model:
            self._guider.inner_model = self._high_model
        self._low.cleanup()


def own_options(model: Any) -> Options:
    """Return a MODEL's options as a sampler's run has them: with its wrappers and callbacks among them."""
    options = extension.copy_nested_dicts(model.model_options)
    inner = options.setdefault("transformer_options", {})
    for name in ("wrappers", "callbacks"):
        inner[name] = extension.merge_nested_dicts(inner.get(name, {}), getattr(model, name))
    return options


def transferred(running: Options, before: Options, own: Options) -> Options:
    """Return the options of a run for another model: its ``own`` in place of what the first one had ``before``.

    What was set since (a schedule of prompts, context windows, what the sampler itself adds) counts for both.
    """
    result: Options = {}
    for name in [*running, *(name for name in own if name not in running)]:
        now, old, new = running.get(name), before.get(name), own.get(name)
        if any(isinstance(value, dict) for value in (now, old, new)):
            result[name] = transferred(now or {}, old or {}, new or {})
        elif any(isinstance(value, list) for value in (now, old, new)):
            result[name] = [*(new or []), *(item for item in now or [] if not any(item is o for o in old or []))]
        elif name in running and (name not in before or now is not old):
            result[name] = now
        elif name in own:
            result[name] = new
    return result
