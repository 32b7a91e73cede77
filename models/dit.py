# SPDX-License-Identifier: GPL-3.0-or-later
"""The spacetime diffusion transformer: latent patches of any clip, a timestep per token, text by cross-attention.

Adaptive layer norm as in DiT (Peebles & Xie, arXiv:2212.09748), one modulation shared by all blocks with a bias for
each (as PixArt-alpha and Wan do), QK-norm, rotary positions over height, width and *seconds*, so that the frame rate
is free. A timestep per token (Diffusion Forcing, arXiv:2407.01392) lets known tokens enter clean, at t = 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Attention = Callable[[Tensor, Tensor, Tensor, int], Tensor]
PATCH = 2  # latent positions along one side of a token
TIME = 4  # frames in a latent frame, the first apart
FEATURES = 6  # frequencies of each absolute coordinate


@dataclass(frozen=True)
class DiTConfig:
    """Sizes of a :class:`SpacetimeDiT`; ``conditions`` are channels reserved for conditions of later versions."""

    channels: int = 16
    dim: int = 320
    depth: int = 6
    heads: int = 4
    text_dim: int = 192
    mlp: int = 4
    conditions: int = 8

    @property
    def head_dim(self) -> int:
        """Return the width of an attention head."""
        return self.dim // self.heads

    def to_dict(self) -> dict[str, Any]:
        """Return the sizes as plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_state_dict(cls, state: dict[str, Tensor]) -> DiTConfig:
        """Read the sizes off a state dict. Raises KeyError when it is not one of ours."""
        dim, inputs = state["embed.weight"].shape
        depth = 1 + max(int(k.split(".")[1]) for k in state if k.startswith("blocks."))
        hidden, _ = state["blocks.0.mlp_in.weight"].shape
        return cls(
            channels=inputs // PATCH**2,
            dim=dim,
            depth=depth,
            heads=dim // state["blocks.0.attend.q_norm.weight"].shape[0],
            text_dim=state["blocks.0.cross.kv.weight"].shape[1],
            mlp=hidden // dim,
            conditions=state["condition.weight"].shape[1] // PATCH**2,
        )


def fused_attention(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Attention over (B, N, heads * d) by torch's fused kernel."""
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def sinusoid(values: Tensor, dim: int, longest: float = 10000.0) -> Tensor:
    """Cosines and sines of ``values`` (...) at ``dim // 2`` geometric frequencies, as (..., dim) float32."""
    frequencies = torch.exp(-math.log(longest) * torch.arange(dim // 2, device=values.device) / (dim // 2))
    angles = values.float()[..., None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], -1)


def token_seconds(frames: int, fps: float, device: torch.device) -> Tensor:
    """The middle of each latent frame in seconds: the first is frame 0, the k-th holds frames 4k - 3 to 4k."""
    k = torch.arange(frames, device=device, dtype=torch.float32)
    return torch.where(k > 0, k * TIME - (TIME - 1) / 2, k) / fps


def rotary(seconds: Tensor, height: int, width: int, head_dim: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines (T * height * width, 1, head_dim) of the rotary positions.

    A fifth of the pairs turn with time (in seconds), the rest with the distance from the picture's middle in tokens.
    """
    pairs = head_dim // 2
    in_time = pairs // 5
    in_space = (pairs - in_time) // 2
    device = seconds.device
    y = torch.arange(height, device=device) - (height - 1) / 2
    x = torch.arange(width, device=device) - (width - 1) / 2
    grid = torch.meshgrid(seconds * 4, y, x, indexing="ij")  # a quarter of a second counts as a token

    def angles(position: Tensor, count: int) -> Tensor:
        exponent = torch.arange(count, device=device) / count
        return position.flatten()[:, None] * torch.pi / 2 * 200.0**-exponent

    turns = torch.cat([angles(grid[0], pairs - 2 * in_space), angles(grid[1], in_space), angles(grid[2], in_space)], -1)
    return torch.cat([turns.cos()] * 2, -1)[:, None], torch.cat([turns.sin()] * 2, -1)[:, None]


def rotate(x: Tensor, positions: tuple[Tensor, Tensor]) -> Tensor:
    """Turn (B, N, heads, d) by rotary positions."""
    cos, sin = (p.to(x.dtype) for p in positions)
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat([-b, a], -1) * sin


def coordinates(seconds: Tensor, height: int, width: int) -> Tensor:
    """Where each token lies in its clip, as Fourier features (T * height * width, 12 * FEATURES).

    The token's own seconds and its place down and across (fractions of the picture); the clip's length and shape.
    """
    device = seconds.device
    y = (torch.arange(height, device=device) + 0.5) / height
    x = (torch.arange(width, device=device) + 0.5) / width
    place = torch.meshgrid(seconds / 4, y, x, indexing="ij")
    whole = (seconds[-1] / 4, math.log2(height) / 4, math.log2(width) / 4)
    values = torch.stack([*place, *(torch.zeros_like(place[0]) + w for w in whole)], -1).flatten(0, 2)
    angles = values[..., None] * torch.pi * 2.0 ** torch.arange(FEATURES, device=device)
    return torch.cat([angles.sin(), angles.cos()], -1).flatten(1)


class SelfAttention(nn.Module):
    """Attention among all tokens of a clip, with QK-norm and rotary positions."""

    def __init__(self, config: DiTConfig, operations: Any, **place: Any) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = operations.Linear(config.dim, 3 * config.dim, bias=False, **place)
        self.q_norm = operations.LayerNorm(config.head_dim, **place)
        self.k_norm = operations.LayerNorm(config.head_dim, **place)
        self.out = operations.Linear(config.dim, config.dim, **place)

    def forward(self, x: Tensor, positions: tuple[Tensor, Tensor], attention: Attention) -> Tensor:
        """Map (B, N, dim) to the same shape."""
        q, k, v = self.qkv(x).chunk(3, -1)
        q = rotate(self.q_norm(q.unflatten(-1, (self.heads, -1))).to(v.dtype), positions).flatten(2)
        k = rotate(self.k_norm(k.unflatten(-1, (self.heads, -1))).to(v.dtype), positions).flatten(2)
        return self.out(attention(q, k, v, self.heads))


class CrossAttention(nn.Module):
    """Attention from the clip's tokens to the text's."""

    def __init__(self, config: DiTConfig, operations: Any, **place: Any) -> None:
        super().__init__()
        self.heads = config.heads
        self.norm = operations.LayerNorm(config.dim, **place)
        self.q = operations.Linear(config.dim, config.dim, bias=False, **place)
        self.kv = operations.Linear(config.text_dim, 2 * config.dim, bias=False, **place)
        self.q_norm = operations.LayerNorm(config.head_dim, **place)
        self.k_norm = operations.LayerNorm(config.head_dim, **place)
        self.out = operations.Linear(config.dim, config.dim, **place)

    def forward(self, x: Tensor, text: Tensor, attention: Attention) -> Tensor:
        """Map (B, N, dim) and text (B, L, text_dim) to (B, N, dim)."""
        k, v = self.kv(text).chunk(2, -1)
        q = self.q_norm(self.q(self.norm(x)).unflatten(-1, (self.heads, -1))).flatten(2)
        k = self.k_norm(k.unflatten(-1, (self.heads, -1))).flatten(2)
        return self.out(attention(q.to(v.dtype), k.to(v.dtype), v, self.heads))


class Block(nn.Module):
    """Self-attention, cross-attention and a feed-forward layer, modulated by the timestep."""

    def __init__(self, config: DiTConfig, operations: Any, **place: Any) -> None:
        super().__init__()
        self.attend = SelfAttention(config, operations, **place)
        self.cross = CrossAttention(config, operations, **place)
        self.mlp_in = operations.Linear(config.dim, config.mlp * config.dim, **place)
        self.mlp_out = operations.Linear(config.mlp * config.dim, config.dim, **place)

    def forward(
        self, x: Tensor, modulation: Tensor, text: Tensor, positions: tuple[Tensor, Tensor], attention: Attention
    ) -> Tensor:
        """``modulation`` (B, T or 1, S or 1, 6 dim) broadcasts over the tokens (B, T, S, dim), S = height * width."""
        shift1, scale1, gate1, shift2, scale2, gate2 = modulation.to(x.dtype).chunk(6, -1)
        shape = x.shape
        h = torch.addcmul(shift1, normalise(x), 1 + scale1)
        x = torch.addcmul(x, gate1, self.attend(h.flatten(1, 2), positions, attention).view(shape))
        x = x + self.cross(x.flatten(1, 2), text, attention).view(shape)
        h = torch.addcmul(shift2, normalise(x), 1 + scale2)
        return torch.addcmul(x, gate2, self.mlp_out(F.silu(self.mlp_in(h))))


def normalise(x: Tensor) -> Tensor:
    """Layer normalisation without weights, in the input's precision."""
    return F.layer_norm(x, x.shape[-1:]).to(x.dtype)


class SpacetimeDiT(nn.Module):
    """Velocity of a noisy latent clip of any size, length and frame rate.

    ``operations`` gives the layers (torch.nn, or a host's that cast and offload), so nothing here touches a layer's
    weight itself. Published weights are bf16; training keeps float32.
    """

    def __init__(
        self,
        config: DiTConfig | None = None,
        operations: Any = nn,
        dtype: torch.dtype | None = None,
        device: Any = None,
    ):
        super().__init__()
        c = self.config = config or DiTConfig()
        place: dict[str, Any] = {"dtype": dtype, "device": device}
        self.dtype = dtype
        self.embed = operations.Linear(c.channels * PATCH**2, c.dim, **place)
        self.condition = operations.Linear(c.conditions * PATCH**2, c.dim, bias=False, **place)
        self.where = operations.Linear(12 * FEATURES, c.dim, **place)
        self.time_in = operations.Linear(256, c.dim, **place)
        self.pool_in = operations.Linear(c.text_dim, c.dim, **place)
        self.time_out = operations.Linear(c.dim, c.dim, **place)
        self.modulate = operations.Linear(c.dim, 6 * c.dim, **place)
        self.modulate_block = operations.Embedding(c.depth + 1, 6 * c.dim, **place)
        self.blocks = nn.ModuleList([Block(c, operations, **place) for _ in range(c.depth)])
        self.head = operations.Linear(c.dim, c.channels * PATCH**2, **place)

    def initialise(self) -> SpacetimeDiT:
        """Set weights for training: blocks begin as the identity, the output as zero."""
        crossings = [block.cross.out for block in self.blocks]  # type: ignore[union-attr]
        for layer in (self.modulate, self.modulate_block, self.condition, self.head, *crossings):
            for parameter in layer.parameters():  # type: ignore[union-attr, operator]
                nn.init.zeros_(parameter)
        return self

    def forward(
        self,
        x: Tensor,
        timestep: Tensor,
        text: Tensor,
        fps: float = 8.0,
        condition: Tensor | None = None,
        attention: Attention = fused_attention,
        seconds: Tensor | None = None,
    ) -> Tensor:
        """Predict the velocity (noise minus data) of ``x``.

        x: latents (B, C, T, H, W), H and W even. timestep: noise level 0..1 (0 clean), as (B,), per latent frame
        (B, T), or per latent position (B, 1, T, H, W); a token is as noisy as its noisiest position. text: token states
        (B, L, text_dim), the last one the pooled text. fps: frames per second of the decoded clip. condition:
        (B, conditions, T, H, W). seconds: times (T,) of the latent frames where they are not a clip's first T.
        Returns (B, C, T, H, W) in x's dtype. Raises ValueError for odd sizes or another number of channels.
        """
        channels, frames, height, width = x.shape[1:]
        if channels != self.config.channels or height % PATCH or width % PATCH:
            raise ValueError(
                f"latent of {channels} channels, {height} x {width}: "
                f"this model takes {self.config.channels} channels and even sizes"
            )
        rows, columns = height // PATCH, width // PATCH
        if seconds is None:
            seconds = token_seconds(frames, fps, x.device)
        compute = text.dtype
        place = self.where(coordinates(seconds, rows, columns).to(compute)).view(frames, rows * columns, -1)
        h = self.embed(patchify(x).to(compute)) + place
        if condition is not None:
            h = h + self.condition(patchify(condition).to(compute))
        positions = rotary(seconds, rows, columns, self.config.head_dim)
        level = sinusoid(token_timestep(timestep) * 1000, 256).to(compute)
        pooled = self.pool_in(text[:, -1])[:, None, None]
        emb = F.silu(self.time_out(F.silu(self.time_in(level) + pooled)))
        shared = self.modulate(emb)
        bias = self.modulate_block(torch.arange(self.config.depth + 1, device=x.device)).to(compute)
        for i, block in enumerate(self.blocks):
            h = block(h, shared + bias[i], text, positions, attention)
        shift, scale = (shared + bias[-1]).to(h.dtype).chunk(6, -1)[:2]
        v = self.head(normalise(h) * (1 + scale) + shift)
        return unpatchify(v, rows, columns).to(x.dtype)


def patchify(x: Tensor) -> Tensor:
    """(B, C, T, H, W) to tokens (B, T, H/2 * W/2, 4 C)."""
    b, c, t, h, w = x.shape
    x = x.view(b, c, t, h // PATCH, PATCH, w // PATCH, PATCH)
    return x.permute(0, 2, 3, 5, 1, 4, 6).reshape(b, t, h // PATCH * (w // PATCH), c * PATCH**2)


def unpatchify(tokens: Tensor, rows: int, columns: int) -> Tensor:
    """Tokens (B, T, rows * columns, 4 C) to (B, C, T, 2 rows, 2 columns)."""
    b, t, _, d = tokens.shape
    x = tokens.view(b, t, rows, columns, d // PATCH**2, PATCH, PATCH)
    return x.permute(0, 4, 1, 2, 5, 3, 6).reshape(b, d // PATCH**2, t, rows * PATCH, columns * PATCH)


def token_timestep(timestep: Tensor) -> Tensor:
    """Bring timesteps of any allowed shape to (B, T or 1, S or 1)."""
    if timestep.ndim == 1:
        return timestep[:, None, None]
    if timestep.ndim == 2:
        return timestep[:, :, None]
    b, _, t, h, w = timestep.shape
    grid = timestep.view(b, t, h // PATCH, PATCH, w // PATCH, PATCH)
    return grid.amax((3, 5)).flatten(2)
