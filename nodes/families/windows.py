# SPDX-License-Identifier: GPL-3.0-or-later
"""Context windows with known frames: what a window is told of them belongs to the frames it sees.

The handler of ComfyUI 0.3.75 (``comfy.context_windows.IndexListContextHandler``) cuts the noisy clip to a window but
not the conditions that have a time axis, such as the mask: Wan 2.2 5B then takes the timesteps of other frames,
LTX-Video and image-to-video models stop with an error. Hosts from 0.33 on cut them; nothing is left to do there.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

TIME = 2  # the axis of (B, C, T, h, w)


class CutsConditions:
    """Goes before the class of a context handler."""

    dim: int

    def get_resized_cond(self, cond_in: Any, x_in: Tensor, window: Any, device: Any = None) -> Any:
        """Cut what the handler behind has left at the clip's whole length."""
        cut = super().get_resized_cond(cond_in, x_in, window, device)  # type: ignore[misc]
        for entry in cut or []:
            conds = dict(entry.get("model_conds") or {})
            for name, value in conds.items():
                tensor = getattr(value, "cond", None)
                if isinstance(tensor, Tensor) and tensor.ndim == 5 and tensor.shape[TIME] == x_in.shape[TIME]:
                    conds[name] = value._copy_with(window.get_tensor(tensor, tensor.device))
            entry["model_conds"] = conds
        return cut


def with_cut_conditions(model: Any) -> Any:
    """Return the MODEL, or a clone of it, whose windows over time are told of their own frames only."""
    handler = model.model_options.get("context_handler")
    resizes = hasattr(handler, "get_resized_cond") and getattr(handler, "dim", None) == TIME
    if not resizes or isinstance(handler, CutsConditions):
        return model
    kind = type(handler)
    cutting: Any = object.__new__(type(kind.__name__, (CutsConditions, kind), {}))
    vars(cutting).update(vars(handler))
    model = model.clone()
    model.model_options["context_handler"] = cutting
    return model
