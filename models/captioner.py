# SPDX-License-Identifier: GPL-3.0-or-later
"""The project's own captioner: latents of a clip to the words that the models were taught with.

Convolutions fold each latent frame, and how it differs from the one before, into a few tokens; a small transformer
looks at those of all frames, each with its place and time, and another one writes the caption piece by piece, with the
pieces of the text encoder. It reads the latents of one
VAE only: :mod:`captioner_file` keeps what that VAE makes of a test picture beside the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .text import FIRST, PAD
from .vae import TIME, ChannelNorm, VAEConfig

LANGUAGES = ("en", "zh")
WAVES = (0.5, 1.0, 2.0, 4.0)  # frequencies by which places and times are told, in half turns


@dataclass(frozen=True)
class CaptionerConfig:
    """Sizes of a :class:`Captioner`, the VAE's compression, and ``pieces``, the vocabulary beyond padding and bytes.

    ``widths`` are the channels at the latent's size and at half of it; ``depth`` layers look and ``writers`` layers
    write. Of a clip with more than ``frames`` latent frames some are left out, evenly; a frame with more than
    ``positions`` latent positions is averaged down. ``length`` is the longest caption in pieces.
    """

    pieces: tuple[str, ...] = ()
    channels: int = VAEConfig().channels
    time: int = TIME
    space: int = VAEConfig().space
    dim: int = 160
    widths: tuple[int, int] = (64, 128)
    depth: int = 3
    writers: int = 2
    heads: int = 5
    length: int = 80
    frames: int = 12
    positions: int = 256

    def to_dict(self) -> dict[str, Any]:
        """Return the sizes as plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> CaptionerConfig:
        """Read what :meth:`to_dict` wrote."""
        return cls(**{**values, "pieces": tuple(values["pieces"]), "widths": tuple(values["widths"])})


class Attention(nn.Module):
    """Attention from some tokens to others; ``causal``: a token sees none that come after it."""

    def __init__(self, dim: int, heads: int, causal: bool = False) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.q, self.kv, self.out = nn.Linear(dim, dim), nn.Linear(dim, 2 * dim), nn.Linear(dim, dim)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Map (B, N, dim) and (B, M, dim) to (B, N, dim)."""
        q, k, v = (
            t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (self.q(x), *self.kv(context).chunk(2, -1))
        )
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        if self.causal:
            later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=x.device).triu(1)
            scores = scores.masked_fill(later, -torch.inf)
        return self.out((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))


class Layer(nn.Module):
    """Attention among the tokens, to a clip's where ``crosses``, and a feed-forward layer."""

    def __init__(self, dim: int, heads: int, crosses: bool) -> None:
        super().__init__()
        self.norm, self.attend = nn.LayerNorm(dim), Attention(dim, heads, causal=crosses)
        self.cross_norm = nn.LayerNorm(dim) if crosses else None
        self.cross = Attention(dim, heads) if crosses else None
        self.mlp_norm, self.mlp_in, self.mlp_out = nn.LayerNorm(dim), nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor, clip: Tensor | None = None) -> Tensor:
        """Map (B, N, dim) to the same shape."""
        h = self.norm(x)
        x = x + self.attend(h, h)
        if self.cross is not None and self.cross_norm is not None and clip is not None:
            h = self.cross_norm(x)  # several captions of a clip look at it together
            x = x + self.cross(h.reshape(len(clip), -1, h.shape[-1]), clip).view(x.shape)
        return x + self.mlp_out(F.gelu(self.mlp_in(self.mlp_norm(x))))


class Captioner(nn.Module):
    """Latents (B, C, T, h, w) of any size and length to captions."""

    def __init__(self, config: CaptionerConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.dim
        fine, half = config.widths
        self.stem = nn.Conv2d(2 * config.channels, fine, 1)
        self.shrink = nn.Conv2d(fine, half, 3, 2, padding=1)
        self.mix_norm, self.mix = ChannelNorm(half), nn.Conv2d(half, half, 3, padding=1)
        self.shrink_norm, self.shrink_again = ChannelNorm(half), nn.Conv2d(half, dim, 3, 2, padding=1)
        self.where = nn.Linear(4 * 2 * len(WAVES), dim)
        self.looking = nn.ModuleList([Layer(dim, config.heads, crosses=False) for _ in range(config.depth)])
        self.seen = nn.LayerNorm(dim)
        self.pieces = nn.Embedding(FIRST + len(config.pieces), dim)
        self.begin = nn.Embedding(len(LANGUAGES), dim)
        self.places = nn.Embedding(config.length + 1, dim)
        self.writing = nn.ModuleList([Layer(dim, config.heads, crosses=True) for _ in range(config.writers)])
        self.norm = nn.LayerNorm(dim)
        self.speak = nn.Linear(dim, FIRST + len(config.pieces))

    def initialise(self) -> Captioner:
        """Set weights for training."""
        for table in (self.pieces, self.begin, self.places):
            nn.init.normal_(table.weight, std=0.3)
        for layer in (*self.looking, *self.writing):
            nn.init.zeros_(layer.mlp_out.weight)
            nn.init.zeros_(layer.attend.out.weight)
        return self

    def look(self, latent: Tensor, seconds: Tensor) -> Tensor:
        """States (B, N, dim) of a latent's tokens; ``seconds`` (B, T) is when each latent frame is shown.

        Raises ValueError for a latent with other channels than the VAE's that this was trained on.
        """
        if latent.ndim != 5 or latent.shape[1] != self.config.channels:
            raise ValueError(
                f"The latent has shape {tuple(latent.shape)}; this captioner reads (batch, {self.config.channels}, "
                "frames, height, width): it was trained on another VAE."
            )
        latent, seconds = self._fitted(latent.to(self.speak.weight.dtype), seconds.to(self.speak.weight.dtype))
        batch, _, frames = latent.shape[:3]
        change = F.pad(latent[:, :, 1:] - latent[:, :, :-1], (0, 0, 0, 0, 1, 0))
        x = torch.cat([latent, change], 1).transpose(1, 2).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        x = self.shrink(F.gelu(self.stem(x)))
        x = x + self.mix(F.gelu(self.mix_norm(x)))
        x = self.shrink_again(F.gelu(self.shrink_norm(x)))
        height, width = x.shape[-2:]
        x = x.flatten(2).transpose(1, 2).unflatten(0, (batch, frames))
        x = (x + self.where(_where(seconds, height, width))).flatten(1, 2)
        for layer in self.looking:
            x = layer(x)
        return self.seen(x)

    def _fitted(self, latent: Tensor, seconds: Tensor) -> tuple[Tensor, Tensor]:
        """Leave out frames and average large ones down."""
        frames, height, width = latent.shape[2:]
        if frames > self.config.frames:
            chosen = torch.linspace(0, frames - 1, self.config.frames, device=latent.device).round().long()
            latent, seconds = latent[:, :, chosen], seconds[:, chosen]
        if height * width > self.config.positions:
            scale = (self.config.positions / (height * width)) ** 0.5
            size = (latent.shape[2], max(1, round(height * scale)), max(1, round(width * scale)))
            latent = F.adaptive_avg_pool3d(latent, size)
        return latent, seconds

    def forward(self, clip: Tensor, ids: Tensor, language: Tensor) -> Tensor:
        """Logits (B, L + 1, pieces) of every next piece: of the first one, then of the one behind each of ``ids``.

        ``ids`` (B, L) are the captions so far, ``language`` (B,) is an index of LANGUAGES, ``clip`` (B, N, dim) what
        :meth:`look` gave; of fewer clips each has as many captions, one after the other.
        """
        x = torch.cat([self.begin(language)[:, None], self.pieces(ids)], 1)
        x = x + self.places(torch.arange(x.shape[1], device=ids.device))
        for layer in self.writing:
            x = layer(x, clip)
        return self.speak(self.norm(x))

    @torch.no_grad()
    def write(self, latent: Tensor, seconds: Tensor, language: str = "en", beams: int = 4) -> str:
        """The likeliest caption of one clip (1, C, T, h, w), by beam search. Raises ValueError as :meth:`look`."""
        clip = self.look(latent, seconds)
        chosen = torch.full((beams,), LANGUAGES.index(language), device=clip.device)
        ids = torch.zeros(beams, 0, dtype=torch.long, device=clip.device)
        scores = torch.tensor([0.0] + [-torch.inf] * (beams - 1), device=clip.device)  # all begin alike
        ended: list[tuple[float, list[int]]] = []
        while ids.shape[1] < self.config.length:
            steps = self(clip, ids, chosen)[:, -1].float().log_softmax(-1)
            best = (scores[:, None] + steps).flatten().topk(2 * beams)
            rows, pieces = best.indices // steps.shape[1], best.indices % steps.shape[1]
            over, said = pieces == PAD, ids.shape[1] + 1
            ended += [
                (float(best.values[i]) / said, ids[rows[i]].tolist()) for i in over[:beams].nonzero()[:, 0].tolist()
            ]
            on = (~over).nonzero()[:beams, 0]
            ids, scores = torch.cat([ids[rows[on]], pieces[on, None]], 1), best.values[on]
            if ended and max(ended)[0] >= float(scores[0]) / said:
                break
        ended = ended or [(float(scores[0]), ids[0].tolist())]
        return spoken(max(ended)[1], self.config.pieces)


def frame_times(frames: int, fps: float, time: int) -> Tensor:
    """When each latent frame of a clip is shown, in seconds: (1, frames)."""
    return torch.arange(frames)[None] * (time / fps)


def _where(seconds: Tensor, height: int, width: int) -> Tensor:
    """Tell each token (B, T, height * width, ...) its place, its time in seconds and its share of the clip's time."""
    y, x = (
        (torch.arange(size, device=seconds.device, dtype=seconds.dtype) * 2 + 1) / size - 1 for size in (height, width)
    )
    share = seconds / seconds.amax(1, keepdim=True).clamp(min=1e-3)
    parts = torch.broadcast_tensors(y[:, None], x, seconds[:, :, None, None], share[:, :, None, None])
    angles = torch.stack(parts, -1)[..., None] * torch.tensor(WAVES, device=seconds.device) * torch.pi
    return torch.cat([angles.sin(), angles.cos()], -1).flatten(-2).flatten(2, 3).to(seconds.dtype)


GLUED = frozenset("-'")  # signs with no space on either side
AFTER = frozenset(".,;:!?)，。；：！？、）」』”")  # signs with no space before them


def spoken(ids: Sequence[int], pieces: Sequence[str]) -> str:
    """The text of piece ids: words with spaces between, pieces that go on with a word and Chinese without."""
    text, spelt = "", bytearray()
    for number in [*ids, PAD]:
        if PAD < number < FIRST:
            spelt.append(number - 1)
            continue
        text, spelt = text + spelt.decode("utf-8", "replace"), bytearray()
        if number == PAD:
            break
        piece = pieces[number - FIRST]
        goes_on = piece.startswith("#") and len(piece) > 1
        word = piece[1:] if goes_on else piece
        joined = goes_on or not text or word in AFTER or word in GLUED or text[-1] in GLUED
        text += word if joined or not word.isascii() or not text[-1].isascii() else f" {word}"
    return text.strip()
