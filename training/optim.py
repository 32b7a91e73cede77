# SPDX-License-Identifier: GPL-3.0-or-later
"""Muon for the matrices, AdamW for the rest, an exponential moving average, and gradients shared over processes.

Muon: Keller Jordan et al., https://kellerjordan.github.io/posts/muon/ (momentum orthogonalised by Newton-Schulz).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn


def orthogonalise(matrix: Tensor, steps: int = 5) -> Tensor:
    """Push the singular values of (rows, columns) towards 1 by a quintic Newton-Schulz iteration in bf16."""
    x = matrix.bfloat16()
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.T
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return (x.T if tall else x).to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised per matrix; convolution kernels count as matrices (outputs, inputs x taps)."""

    def __init__(
        self, params: Iterable[nn.Parameter], lr: float = 0.02, momentum: float = 0.95, weight_decay: float = 0.01
    ):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Take one step of every matrix that has a gradient."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                buffer = self.state[p].setdefault("momentum", torch.zeros_like(p))
                buffer.lerp_(p.grad, 1 - group["momentum"])
                update = orthogonalise(p.grad.lerp(buffer, group["momentum"]).flatten(1))
                scale = max(1.0, update.shape[0] / update.shape[1]) ** 0.5
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update.view_as(p), alpha=-group["lr"] * scale)


class Optimisers:
    """Muon on hidden matrices, AdamW on everything else, stepped together with one learning-rate factor."""

    def __init__(
        self, module: nn.Module, adam_only: tuple[str, ...] = (), muon_lr: float = 0.02, adam_lr: float = 2e-3
    ):
        """``adam_only``: parts of parameter names that are inputs, outputs or tables rather than hidden matrices."""
        named = [(n, p) for n, p in module.named_parameters() if p.requires_grad]
        hidden = [p for n, p in named if p.ndim >= 2 and not any(part in n for part in adam_only)]
        chosen = {id(p) for p in hidden}
        rest = [p for _, p in named if id(p) not in chosen]
        self.parameters = hidden + rest
        self.parts: list[torch.optim.Optimizer] = [
            Muon(hidden, lr=muon_lr),
            torch.optim.AdamW(rest, lr=adam_lr, betas=(0.9, 0.95), weight_decay=0.0),
        ]
        self.base = [muon_lr, adam_lr]
        self.skipped = 0

    def step(self, factor: float, clip: float = 1.0) -> bool:
        """Average gradients over processes, clip, step, clear. Returns False for a skipped non-finite step."""
        share_gradients(self.parameters)
        norm = nn.utils.clip_grad_norm_(self.parameters, clip)
        finite = bool(torch.isfinite(norm))
        if finite:
            for part, base in zip(self.parts, self.base, strict=True):
                for group in part.param_groups:
                    group["lr"] = base * factor
                part.step()
        else:
            self.skipped += 1
        for p in self.parameters:
            p.grad = None
        return finite

    def state_dict(self) -> dict[str, object]:
        """Return what :meth:`load_state_dict` needs to go on."""
        return {"parts": [part.state_dict() for part in self.parts], "skipped": self.skipped}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Go on from a saved state."""
        for part, values in zip(self.parts, state["parts"], strict=True):  # type: ignore[call-overload]
            part.load_state_dict(values)
        self.skipped = int(state["skipped"])  # type: ignore[call-overload]


def share_gradients(parameters: list[nn.Parameter]) -> None:
    """Average gradients over all processes in one message; without processes, do nothing."""
    if not dist.is_initialized():
        return
    grads = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
    flat = torch.cat([g.reshape(-1) for g in grads]).div_(dist.get_world_size())
    dist.all_reduce(flat)
    for p, part in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
        p.grad = part.view_as(p)


class Average:
    """Exponential moving average of a module's parameters, with its buffers copied."""

    def __init__(self, module: nn.Module, decay: float = 0.999) -> None:
        self.decay, self.count = decay, 0
        self.values = {k: v.detach().clone() for k, v in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Move towards the module's present values."""
        self.count += 1
        decay = min(self.decay, self.count / (self.count + 10))
        for k, v in module.state_dict().items():
            if v.is_floating_point():
                self.values[k].lerp_(v, 1 - decay)
            else:
                self.values[k].copy_(v)
