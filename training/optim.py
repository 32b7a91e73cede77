# SPDX-License-Identifier: GPL-3.0-or-later
"""Muon for the matrices, AdamW for the rest, and an exponential moving average; for whole and for sharded weights.

Muon: Keller Jordan et al., https://kellerjordan.github.io/posts/muon/ (momentum orthogonalised by Newton-Schulz).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from .parallel import Owned, dealt, local, share_gradients


def orthogonalise(matrix: Tensor, steps: int = 5) -> Tensor:
    """Push the singular values of (rows, columns) towards 1 by a quintic Newton-Schulz iteration in bf16."""
    x = matrix.bfloat16()
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.T
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=-4.7750, alpha=2.0315), x, beta=3.4445)
    return (x.T if tall else x).to(matrix.dtype)


def orthogonalise_all(matrices: Sequence[Tensor]) -> Iterable[Tensor]:
    """Orthogonalise each, shared out between the processes; of a sharded one this yields the process's own rows."""
    if matrices and isinstance(matrices[0], DTensor):
        return Owned(matrices).map(orthogonalise)  # type: ignore[arg-type]
    return dealt([m.flatten(1) for m in matrices], orthogonalise)


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
            chosen = [p for p in group["params"] if p.grad is not None]
            for p in chosen:
                buffer = self.state[p].setdefault("momentum", torch.zeros_like(p))
                buffer.lerp_(p.grad, 1 - group["momentum"])
            directions = [p.grad.lerp(self.state[p]["momentum"], group["momentum"]) for p in chosen]
            for p, update in zip(chosen, orthogonalise_all(directions), strict=True):
                scale = max(1.0, p.shape[0] / p.shape[1:].numel()) ** 0.5
                rows = local(p)
                rows.mul_(1 - group["lr"] * group["weight_decay"])
                rows.add_(update.view_as(rows), alpha=-group["lr"] * scale)


class Optimisers:
    """Muon on hidden matrices, AdamW on everything else, stepped together with one learning-rate factor."""

    def __init__(
        self, module: nn.Module, adam_only: tuple[str, ...] = (), muon_lr: float = 0.02, adam_lr: float = 2e-3
    ):
        """``adam_only``: parts of parameter names that are inputs, outputs or tables rather than hidden matrices."""
        named = {n: p for n, p in module.named_parameters() if p.requires_grad}
        self.hidden = {n: p for n, p in named.items() if p.ndim >= 2 and not any(part in n for part in adam_only)}
        self.rest = {n: p for n, p in named.items() if n not in self.hidden}
        self.parameters = [*self.hidden.values(), *self.rest.values()]
        self.parts: list[torch.optim.Optimizer] = []
        self.base: list[float] = []
        if self.hidden:
            self.parts.append(Muon(self.hidden.values(), lr=muon_lr))
            self.base.append(muon_lr)
        if self.rest:
            self.parts.append(torch.optim.AdamW(self.rest.values(), lr=adam_lr, betas=(0.9, 0.95), weight_decay=0.0))
            self.base.append(adam_lr)
        self.skipped = 0

    def step(self, factor: float, clip: float = 1.0) -> bool:
        """Average gradients over processes, clip, step, clear. Returns False for a skipped non-finite step."""
        share_gradients(self.parameters)
        norm = nn.utils.clip_grad_norm_(self.parameters, clip)
        finite = bool(torch.isfinite(norm.full_tensor() if isinstance(norm, DTensor) else norm))
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

    def tensors(self) -> dict[str, Tensor]:
        """The state by parameter name, zero where no step was taken yet: saved, and loaded into, as it is."""
        state = {}
        for name, p in self.hidden.items():
            state[f"muon.{name}"] = self.parts[0].state[p].setdefault("momentum", torch.zeros_like(p))
        for name, p in self.rest.items():
            moments = self.parts[-1].state[p]
            if not moments:
                moments.update(step=torch.tensor(0.0), exp_avg=torch.zeros_like(p), exp_avg_sq=torch.zeros_like(p))
            state.update({f"adam.{name}.{key}": value for key, value in moments.items()})
        return state


class Average:
    """Exponential moving average of a module's parameters and floating-point buffers; other buffers are copied."""

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

    @contextmanager
    def within(self, module: nn.Module) -> Iterator[None]:
        """Let the module hold the averaged values for a while; its own come back bit for bit."""
        self._swap(module)
        try:
            yield
        finally:
            self._swap(module)

    @torch.no_grad()
    def _swap(self, module: nn.Module) -> None:
        for k, v in module.state_dict().items():
            mine = self.values[k].clone()
            self.values[k].copy_(v)
            v.copy_(mine)
