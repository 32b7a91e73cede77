# SPDX-License-Identifier: GPL-3.0-or-later
"""What a config costs before anything is allocated: parameters, FLOPs, memory and time.

FLOPs and activations are counted, not estimated: one training step runs on torch's ``meta`` device, which knows shapes
and has no data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ..models.dit import SpacetimeDiT
from ..models.text import TextEncoder
from ..models.vae import VideoVAE
from .attention import plain_attention
from .batches import PIXELS, clips_in, stage_at
from .parallel import STATE_BYTES
from .settings import Schedule, SettingError, Settings


@dataclass(frozen=True)
class Kind:
    """A device: its peak in dense bf16 TFLOP/s, its memory in GB, and the share of the peak that training reaches."""

    peak: float
    memory: float
    reached: float


GPUS = {
    "b200": Kind(2250, 180, 0.35),
    "h200": Kind(989, 141, 0.35),
    "h100": Kind(989, 80, 0.35),
    "a100": Kind(312, 80, 0.40),
    "l40s": Kind(362, 48, 0.35),
    "4090": Kind(165, 24, 0.40),
    "3090": Kind(71, 24, 0.45),
    "cpu": Kind(1.0, 8, 0.20),  # one core with bf16 matrix instructions; measured, see bench/README.md
}


@dataclass(frozen=True)
class Cost:
    """One forward and backward pass: FLOPs, and bytes that are kept for the backward pass."""

    flops: float
    kept: float


def measure(module: nn.Module, forward: Callable[[], Tensor]) -> Cost:
    """Count a pass of a module on the meta device."""
    own = {p.untyped_storage()._cdata for p in module.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(t: Tensor) -> Tensor:
        storage = t.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage
        return t

    with FlopCounterMode(display=False) as counter:
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
            out = forward()
        bytes_ = float(sum(s.nbytes() for s in kept.values()))
        out.sum().backward()  # type: ignore[no-untyped-call]
    return Cost(float(counter.get_total_flops()), bytes_)


def lean_attention(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """A stand-in that keeps about what a fused kernel keeps: queries, keys, values and the result."""
    return (q + k.mean(1, keepdim=True)) * v if v.shape == q.shape else q * v.mean(1, keepdim=True)


def dit_cost(settings: Settings, shape: tuple[int, int, int], clips: int, gpu: bool) -> Cost:
    """One pass of transformer and text encoder over ``clips`` latents of (frames, height, width) positions.

    A text encoder that is kept as it is (``freeze_text``) has no backward pass.
    """
    with torch.device("meta"):
        dit, text = SpacetimeDiT(settings.dit), TextEncoder(settings.text)
        text.requires_grad_(not settings.train.dit.freeze_text)
        both = nn.ModuleList([dit, text]).to(torch.bfloat16)
        x = torch.empty(clips, settings.dit.channels, *shape, dtype=torch.bfloat16)
        t = torch.empty(clips, shape[0])
        ids = torch.zeros(clips, settings.text.length, dtype=torch.long)
    whole = measure(both, lambda: dit(x, t, text(ids), attention=plain_attention))
    if not gpu:
        return whole
    return Cost(whole.flops, measure(both, lambda: dit(x, t, text(ids), attention=lean_attention)).kept)


def vae_cost(settings: Settings, width: int, height: int, frames: int) -> Cost:
    """One pass of encoder and decoder over one clip."""
    with torch.device("meta"):
        vae = VideoVAE(settings.vae).to(torch.bfloat16)
        video = torch.empty(1, 3, frames, height, width, dtype=torch.bfloat16)
    return measure(vae, lambda: vae.decode(vae.encode(video)))


def count(module: Callable[[], nn.Module]) -> tuple[int, int]:
    """Parameters of a network, and how many of them are matrices' (which have one moment instead of two)."""
    with torch.device("meta"):
        made = module()
    sizes = [(p.numel(), p.ndim >= 2) for p in made.parameters()]
    return sum(n for n, _ in sizes), sum(n for n, matrix in sizes if matrix)


def describe(settings: Settings, part: str, name: str, gpus: int, gpu: str) -> str:
    """What ``--dry-run`` prints. Raises SettingError for an unknown kind of device."""
    if gpu not in GPUS:
        raise SettingError(f"gpu {gpu!r} is not known; there are {', '.join(GPUS)}")
    dit, vae = count(lambda: SpacetimeDiT(settings.dit)), count(lambda: VideoVAE(settings.vae))
    text = count(lambda: TextEncoder(settings.text))
    lines = [
        f"{name}: transformer {_million(dit[0])}, text encoder {_million(text[0])} (and its words), "
        f"VAE {_million(vae[0])} parameters"
    ]
    pixels = 256 * 256 * 17
    each = dit_cost(settings, (5, 16, 16), 1, True).flops / 320
    forth = vae_cost(settings, 256, 256, 17).flops / pixels
    lines.append(f"to train on 17 frames of 256 x 256: {_si(each)} per token, VAE {_si(forth)} per pixel")
    if part == "dit":
        lines += _plan_dit(settings, gpus, gpu, dit[0] + text[0], dit[1] + text[1])
    return "\n".join(lines)


def _plan_dit(settings: Settings, gpus: int, gpu: str, parameters: int, matrices: int) -> list[str]:
    """Memory, tokens per step and time of a transformer's run."""
    options, kind = settings.train.dit, GPUS[gpu]
    stage = stage_at(options.stages, 1.0)
    side = min(256, int(stage.side)) // PIXELS
    frames = max(int(n) for n, share in stage.frames.items() if share)
    tokens = frames * side * side // 4
    clips = clips_in(options.tokens, (frames, side, side), settings.dit.dim)
    cost = dit_cost(settings, (frames, side, side), clips, gpu != "cpu")
    batches = options.batches or gpus
    work = cost.flops * (4 / 3 if options.recompute else 1)
    shared = gpus if options.shard == "yes" or _must_shard(options, parameters, kind, gpus) else 1
    state = [
        ("weights, float32", 4 * parameters / shared),
        ("weights, bf16 copies", 2 * parameters / (shared if shared == 1 else settings.dit.depth)),
        ("gradients", 4 * parameters / shared),
        ("moving average", 4 * parameters / shared),
        ("optimiser", (4 * matrices + 8 * (parameters - matrices)) / shared),
        ("activations" + (", recomputed" if options.recompute else ""), _kept(cost.kept, settings, tokens * clips)),
    ]
    need = sum(size for _, size in state)
    step = work * batches / (gpus * kind.peak * 1e12 * kind.reached)
    steps = options.steps or int(60 * options.minutes / step)
    lines = [f"memory of each of {gpus} x {gpu}, {'shards' if shared > 1 else 'copies'}:"]
    lines += [f"  {label:24} {size / 1e9:8.2f} GB" for label, size in state]
    verdict = "fits" if need < 0.9 * kind.memory * 1e9 else "DOES NOT FIT: shard, recompute, or fewer tokens"
    return [
        *lines,
        f"  {'together':24} {need / 1e9:8.2f} GB of {kind.memory:g}: {verdict}",
        f"a step: {batches} x {clips} clips of {4 * frames - 3} frames at {side * PIXELS} px (the longest drawn)"
        f" = {batches * clips * tokens:,} tokens, {work * batches / 1e12:.2f} TFLOP, {_time(step)}",
        f"the run: {steps:,} steps, {_million(steps * batches * clips * tokens)} tokens, {_time(steps * step)}",
        f"assumed: {100 * kind.reached:.0f}% of {kind.peak:g} TFLOP/s (dense bf16) with communication, latents read in"
        " time, every step as long as the longest clips make it",
    ]


def _must_shard(options: Schedule, parameters: int, kind: Kind, gpus: int) -> bool:
    return gpus > 1 and options.shard == "auto" and parameters * STATE_BYTES > kind.memory * 1e9 / 2


def _kept(kept: float, settings: Settings, tokens: int) -> float:
    """Activations; recomputed ones are the input of every block and the inside of one."""
    if not settings.train.dit.recompute:
        return kept
    return kept / settings.dit.depth + 2.0 * tokens * settings.dit.dim * settings.dit.depth


def _million(count: int) -> str:
    return f"{count / 1e6:,.1f} M"


def _si(value: float) -> str:
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.2f} {letter}FLOP"
    return f"{value:.0f} FLOP"


def _time(seconds: float) -> str:
    for size, name in ((86400, "days"), (3600, "hours"), (60, "minutes"), (1, "s")):
        if seconds >= size:
            return f"{seconds / size:.1f} {name}"
    return f"{1000 * seconds:.0f} ms"
