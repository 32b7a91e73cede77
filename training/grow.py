# SPDX-License-Identifier: GPL-3.0-or-later
"""Start a larger network from a smaller one's weights, so that at first it computes what the smaller one did.

After Chen et al., "Net2Net" (2016), for networks whose new parts end in zeros: every tensor of the smaller network is
the leading corner of its larger one, what is read from new channels is multiplied by zero, and new blocks are
residual with a last layer of zeros.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .settings import SettingError


@torch.no_grad()
def grow(module: nn.Module, smaller: dict[str, Tensor], name: str) -> None:
    """Copy the weights of a network, no part of which is larger, into ``module``, freshly made.

    Raises SettingError, which calls the smaller network ``name``, where a tensor has no room or no place.
    """
    state = module.state_dict()
    for key, value in smaller.items():
        if key not in state or any(have < need for have, need in zip(state[key].shape, value.shape, strict=True)):
            have = tuple(state[key].shape) if key in state else "missing"
            raise SettingError(
                f"{name}: {key} has shape {tuple(value.shape)}, which is {have} in this config; "
                "a network can only start from one that is no larger"
            )
        target = state[key]
        if target.ndim > 1:
            target[:, value.shape[1] :] = 0
        target[tuple(slice(n) for n in value.shape)] = value.to(target.dtype)
