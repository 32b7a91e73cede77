# SPDX-License-Identifier: GPL-3.0-or-later
"""Native sizes in one batch, two ways, in tokens per second of training: ``./spacetime bench packing``.

Buckets: a batch holds clips of one shape. Packing: a batch holds clips of any shapes in one row of tokens, attention
is block-diagonal, and every token has a modulation of its own. The mixture of shapes is the same, by tokens.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from itertools import groupby

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..models.dit import Attention, SpacetimeDiT, coordinates, normalise, patchify, rotary, sinusoid, token_seconds
from ..training.attention import plain_attention
from ..training.latents import SHAPES
from ..training.settings import load_settings

Shape = tuple[int, int, int]  # latent frames, height, width
TOKENS = 4096
FPS = 8.0


def block_diagonal(queries: Sequence[int], keys: Sequence[int], attention: Attention) -> Attention:
    """Attention in which each run of queries sees only its own run of keys; equal runs side by side go together."""

    def attend(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
        out, at, to = [], 0, 0
        for (length, width), same in groupby(zip(queries, keys, strict=True)):
            n = len(list(same))
            rows = q[0, at : at + n * length].view(n, length, -1)
            key, value = (x[0, to : to + n * width].view(n, width, -1) for x in (k, v))
            out.append(attention(rows, key, value, heads).flatten(0, 1))
            at, to = at + n * length, to + n * width
        return torch.cat(out)[None]

    return attend


def packed(
    dit: SpacetimeDiT, clips: list[Tensor], timesteps: list[Tensor], text: Tensor, attention: Attention
) -> Tensor:
    """Velocities (1, N, 4 C), as patches, of clips (C, T, h, w) at timesteps (T,), all in one row of N tokens.

    text (K, L, text_dim) holds a row for each of the K clips.
    """
    tokens, places, turns, frames = [], [], [], []
    for clip in clips:
        _, t, h, w = clip.shape
        seconds = token_seconds(t, FPS, clip.device)
        tokens.append(patchify(clip[None]).flatten(1, 2)[0])
        places.append(coordinates(seconds, h // 2, w // 2))
        turns.append(rotary(seconds, h // 2, w // 2, dit.config.head_dim))
        frames += [h * w // 4] * t
    lengths = [len(x) for x in tokens]
    h = (dit.embed(torch.cat(tokens)) + dit.where(torch.cat(places)))[None, :, None]
    positions = (torch.cat([c for c, _ in turns]), torch.cat([s for _, s in turns]))
    pooled = dit.pool_in(text[:, -1]).repeat_interleave(torch.tensor([len(t) for t in timesteps]), 0)
    level = sinusoid(torch.cat(timesteps) * 1000, 256)
    shared = dit.modulate(F.silu(dit.time_out(F.silu(dit.time_in(level) + pooled))))
    shared = shared.repeat_interleave(torch.tensor(frames), 0)[None, :, None]
    bias = dit.modulate_block.weight
    own = block_diagonal(lengths, lengths, attention)
    cross = block_diagonal(lengths, [text.shape[1]] * len(clips), attention)
    words = text.flatten(0, 1)[None]
    for i, block in enumerate(dit.blocks):
        shift1, scale1, gate1, shift2, scale2, gate2 = (shared + bias[i]).to(h.dtype).chunk(6, -1)
        x = torch.addcmul(shift1, normalise(h), 1 + scale1).flatten(1, 2)
        h = torch.addcmul(h, gate1, block.attend(x, positions, own).view(h.shape))
        h = h + block.cross(h.flatten(1, 2), words, cross).view(h.shape)
        x = torch.addcmul(shift2, normalise(h), 1 + scale2)
        h = torch.addcmul(h, gate2, block.mlp_out(F.silu(block.mlp_in(x))))
    shift, scale = (shared + bias[-1]).to(h.dtype).chunk(6, -1)[:2]
    return dit.head(normalise(h) * (1 + scale) + shift)[:, :, 0]


def mixture(frames: dict[str, float]) -> tuple[list[Shape], np.ndarray]:
    """Shapes (latent frames, height, width) and their shares of the tokens."""
    found: dict[tuple[int, int, int], float] = {}
    for number, share in frames.items():
        fitting = [(w // 16, h // 16, odds) for w, h, f, odds in SHAPES if 1 + (f - 1) // 4 >= int(number)]
        for w, h, odds in fitting:
            shape = (int(number), h, w)
            found[shape] = found.get(shape, 0.0) + share * odds / sum(o for _, _, o in fitting)
    shares = np.array(list(found.values()))
    return list(found), shares / shares.sum()


def draw(shapes: list[Shape], shares: np.ndarray, pack: bool, rng: np.random.Generator) -> list[Shape]:
    """The clips of one batch of about TOKENS."""
    sizes = np.array([t * h * w // 4 for t, h, w in shapes])
    if not pack:
        chosen = int(rng.choice(len(shapes), p=shares))
        return [shapes[chosen]] * max(1, round(TOKENS / sizes[chosen]))
    odds, clips, filled = shares / sizes, [], 0
    while filled < TOKENS:
        chosen = int(rng.choice(len(shapes), p=odds / odds.sum()))
        clips.append(shapes[chosen])
        filled += sizes[chosen]
    return sorted(clips)  # equal ones side by side


def step(dit: SpacetimeDiT, text: nn.Module, shapes: list[Shape], pack: bool) -> int:
    """One forward and backward pass; returns the number of tokens."""
    clips = [torch.randn(dit.config.channels, *shape) for shape in shapes]
    ids = torch.zeros(len(clips), 48, dtype=torch.long)
    with torch.autocast("cpu", torch.bfloat16):
        if pack:
            out = packed(dit, clips, [torch.rand(len(c[0])) for c in clips], text(ids), plain_attention)
        else:
            out = dit(
                torch.stack(clips), torch.rand(len(clips), shapes[0][0]), text(ids), FPS, attention=plain_attention
            )
    out.float().square().mean().backward()
    return sum(t * h * w // 4 for t, h, w in shapes)


def main() -> None:
    """Measure both in turn and print a table."""
    from ..models.text import TextEncoder

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="nano")
    parser.add_argument("--steps", type=int, default=30)
    args = parser.parse_args()
    torch.set_num_threads(1)
    settings = load_settings(args.config)
    dit, text = SpacetimeDiT(settings.dit), TextEncoder(settings.text)
    stages = settings.train.dit.stages
    print("| batches | when | tokens/s | largest / mean CPU time of a step |\n|---|---|---|---|")
    for when, stage in (("begin", stages[0]), ("end", stages[-1])):
        shapes, shares = mixture(stage.frames)
        for pack in (False, True):
            rng = np.random.default_rng(0)
            step(dit, text, draw(shapes, shares, pack, rng), pack)
            tokens, seconds = 0, []
            for _ in range(args.steps):
                chosen = draw(shapes, shares, pack, rng)
                began = time.process_time()
                tokens += step(dit, text, chosen, pack)
                seconds.append(time.process_time() - began)
            name = "packed" if pack else "buckets"
            print(
                f"| {name} | {when} | {tokens / sum(seconds):.0f} | {max(seconds) / np.mean(seconds):.2f} |", flush=True
            )


if __name__ == "__main__":
    main()
