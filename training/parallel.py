# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that knows of more than one process: joining, shared gradients, sharded weights, whole matrices.

Two ways to use N processes. *Copies*: each holds the whole model, gradients are averaged in one message; the faster
way while it fits. *Shards*: torch's FSDP2 (``fully_shard``) splits weights, gradients and optimiser state; taken when
a copy would fill more than half of a device's memory, see :func:`wants_shards`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

STATE_BYTES = 20  # a parameter's weight, gradient, average and at most two moments, float32


@dataclass(frozen=True)
class Processes:
    """This process among those that torchrun started; one process when it did not."""

    rank: int = 0
    world: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))


def join(threads: int = 1) -> Processes:
    """Join the processes that torchrun started, if any: gloo between CPUs, NCCL between GPUs."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    torch.set_num_threads(threads)
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        torch.cuda.set_device(device)
    if "RANK" not in os.environ:
        return Processes(device=device)
    if not dist.is_initialized():
        backend = "gloo" if device.type == "cpu" else "cpu:gloo,cuda:nccl"
        store, rank, world = next(dist.rendezvous("env://"))
        # torchrun may keep its store over a restart: without a name of its own an attempt would find dead addresses
        store = dist.PrefixStore(f"attempt-{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store)
        dist.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=timedelta(minutes=30))
    return Processes(dist.get_rank(), dist.get_world_size(), device)


def leave() -> None:
    """Leave the other processes in order; without any, do nothing."""
    if dist.is_initialized():
        dist.destroy_process_group()


def total(values: Sequence[float]) -> list[float]:
    """Add numbers up over all processes."""
    numbers = torch.tensor(values, dtype=torch.float64)
    if dist.is_initialized():
        dist.all_reduce(numbers)
    return [float(x) for x in numbers]


def layers(module: nn.Module) -> list[nn.Module]:
    """The repeated blocks of a network: what is sharded, and recomputed, one at a time."""
    lists = [m for m in module.modules() if isinstance(m, nn.ModuleList)]
    return [block for blocks in lists for block in blocks]


def wants_shards(choice: str, parameters: int, processes: Processes) -> bool:
    """Whether to split the weights: as asked for (yes, no), or (auto) where a copy takes over half the memory."""
    if processes.world == 1 or choice == "no":
        return False
    return choice == "yes" or parameters * STATE_BYTES > device_memory(processes) / 2


def device_memory(processes: Processes) -> float:
    """Bytes that one process may use: its GPU's, or its share of this machine's."""
    if processes.device.type == "cuda":
        return float(torch.cuda.get_device_properties(processes.device).total_memory)
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return whole / int(os.environ.get("LOCAL_WORLD_SIZE", 1))


def spread(module: nn.Module, sharded: bool, processes: Processes) -> None:
    """Bring the module to this process's device as a shard, or as a copy that equals the first process's."""
    module.to(processes.device)
    if sharded:
        mesh = init_device_mesh(processes.device.type, (processes.world,))
        for block in layers(module):
            fully_shard(block, mesh=mesh)
        fully_shard(module, mesh=mesh)
    elif processes.world > 1:
        for value in module.state_dict().values():
            dist.broadcast(value, 0)


def share_gradients(parameters: list[nn.Parameter]) -> None:
    """Average the gradients of copies over all processes in one message; shards share theirs in the backward pass."""
    if not dist.is_initialized() or any(isinstance(p, DTensor) for p in parameters):
        return
    grads = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
    flat = torch.cat([g.reshape(-1) for g in grads]).div_(dist.get_world_size())
    dist.all_reduce(flat)
    for p, part in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
        p.grad = part.view_as(p)


@torch.no_grad()
def share_changes(buffers: Sequence[Tensor], before: Sequence[Tensor], processes: Processes) -> None:
    """Average over all processes, in one message, how the buffers have changed since they were ``before``.

    Every process sees other clips and so has other statistics. Buffers that do not change stay bit for bit; those that
    hold no floating-point numbers are left alone. Shards have whole buffers too.
    """
    pairs = [(now, was) for now, was in zip(buffers, before, strict=True) if now.is_floating_point()]
    if processes.world == 1 or not pairs:
        return
    flat = torch.cat([(now - was).float().reshape(-1) for now, was in pairs]).div_(processes.world)
    dist.all_reduce(flat)
    for (now, was), change in zip(pairs, flat.split([now.numel() for now, _ in pairs]), strict=True):
        now.copy_(was + change.view_as(now).to(now.dtype))


def local(value: Tensor) -> Tensor:
    """This process's part of a tensor; the tensor itself where it is not sharded."""
    return value.to_local() if isinstance(value, DTensor) else value


def dealt(matrices: Sequence[Tensor], function: Callable[[Tensor], Tensor]) -> Iterator[Tensor]:
    """Apply ``function`` (rows, columns) -> same shape to matrices that all processes hold, each on one of them."""
    if not dist.is_initialized() or not matrices:
        yield from map(function, matrices)
        return
    loads = [0] * dist.get_world_size()
    flat = torch.zeros(sum(m.numel() for m in matrices), dtype=matrices[0].dtype, device=matrices[0].device)
    parts = [part.view_as(m) for part, m in zip(flat.split([m.numel() for m in matrices]), matrices, strict=True)]
    for matrix, part in zip(matrices, parts, strict=True):
        owner = loads.index(min(loads))
        loads[owner] += matrix.numel()
        if owner == dist.get_rank():
            part.copy_(function(matrix))
    dist.all_reduce(flat)
    yield from parts


class Owned:
    """Sharded matrices, each made whole on one process, its owner: the i-th of a group of ``world`` on process i.

    Rows are split as FSDP2 does: every process but the last ones holds ``ceil(rows / world)`` of them.
    """

    def __init__(self, matrices: Sequence[DTensor]) -> None:
        mesh = matrices[0].device_mesh
        self.group, self.world, self.rank = mesh.get_group(), mesh.size(), mesh.get_local_rank()
        self.matrices = matrices

    def rows(self, matrix: DTensor, rank: int) -> int:
        """How many rows of a matrix a process holds."""
        chunk = -(-matrix.shape[0] // self.world)
        return max(0, min(chunk, matrix.shape[0] - rank * chunk))

    def map(self, function: Callable[[Tensor], Tensor]) -> Iterator[Tensor]:
        """Apply ``function`` (rows, columns) -> same shape to every matrix; yields this process's rows, in order."""
        for first in range(0, len(self.matrices), self.world):
            yield from self._exchange(self.matrices[first : first + self.world], function)

    def _exchange(self, some: Sequence[DTensor], function: Callable[[Tensor], Tensor]) -> list[Tensor]:
        parts = [local(m).flatten(1) for m in some]
        sizes = [p.numel() for p in parts] + [0] * (self.world - len(some))  # my rows of everyone's matrix
        own = some[self.rank] if self.rank < len(some) else None
        width = own.shape[1:].numel() if own is not None else 0
        shares = [self.rows(own, r) * width if own is not None else 0 for r in range(self.world)]
        mine = parts[0].new_empty(sum(shares))
        dist.all_to_all_single(mine, torch.cat([p.flatten() for p in parts]), shares, sizes, self.group)
        if own is not None:
            mine = function(mine.view(own.shape[0], width)).flatten().contiguous()
        back = parts[0].new_empty(sum(sizes))
        dist.all_to_all_single(back, mine, sizes, shares, self.group)
        return [piece.view_as(local(m)) for piece, m in zip(back.split(sizes), some, strict=False)]
