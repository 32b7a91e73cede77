# SPDX-License-Identifier: GPL-3.0-or-later
"""The project's own small text encoder: pieces of words, English and Chinese, to token states.

The vocabulary is a list of pieces in the checkpoint: whole words, single letters, Chinese characters and the 256
bytes, so that an unknown word is spelt and nothing is a hole.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WORDS = re.compile(r"[a-z0-9]+|[^\sa-z0-9]", re.IGNORECASE)
SENTENCES = re.compile(r"[^.!?。！？\n]+[.!?。！？\n]*")
PAD = 0
BYTES = 1  # the first of 256 byte pieces
FIRST = BYTES + 256


@dataclass(frozen=True)
class TextConfig:
    """Sizes of a :class:`TextEncoder`; ``pieces`` is its vocabulary beyond padding and bytes."""

    pieces: tuple[str, ...] = ()
    dim: int = 192
    depth: int = 2
    heads: int = 3
    length: int = 80

    def to_dict(self) -> dict[str, Any]:
        """Return the sizes as plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TextConfig:
        """Read what :meth:`to_dict` wrote."""
        return cls(**{**values, "pieces": tuple(values["pieces"])})


class Tokenizer:
    """Text to piece ids: whole words where known, else the longest known pieces, else bytes."""

    def __init__(self, config: TextConfig) -> None:
        self.length = config.length
        self.ids = {piece: FIRST + i for i, piece in enumerate(config.pieces)}
        self.longest = max((len(p) for p in config.pieces), default=1)

    def encode(self, text: str) -> list[int]:
        """The ids of a text, at most ``length`` of them; letters are lower-cased."""
        ids: list[int] = []
        for word in WORDS.findall(text.lower()):
            ids += self.spell(word)
        return ids[: self.length]

    def spell(self, word: str) -> list[int]:
        """Ids of one word: pieces that continue a word are listed with a leading ``#``."""
        if word in self.ids:
            return [self.ids[word]]
        ids, at = [], 0
        while at < len(word):
            prefix = "#" if at else ""
            for size in range(min(self.longest, len(word) - at), 0, -1):
                piece = self.ids.get(prefix + word[at : at + size])
                if piece is not None:
                    ids.append(piece)
                    at += size
                    break
            else:
                ids += [BYTES + b for b in word[at].encode()]
                at += 1
        return ids

    def readable(self, text: str) -> str:
        """The sentences before the first one with a word that no caption had; the whole text if that is the first.

        A small model that has read a caption and meets many words behind it that it has to spell paints neither.
        """
        sentences = SENTENCES.findall(text)
        for number, sentence in enumerate(sentences):
            if any(word.isalnum() and word not in self.ids for word in WORDS.findall(sentence.lower())):
                return "".join(sentences[:number]) if number else text
        return text

    def batch(self, texts: list[str]) -> Tensor:
        """Ids of several texts, padded to ``length``: (B, length) int64."""
        out = torch.full((len(texts), self.length), PAD)
        for row, text in zip(out, texts, strict=True):
            ids = self.encode(text)
            row[: len(ids)] = torch.tensor(ids, dtype=torch.long)
        return out


class TextBlock(nn.Module):
    """Self-attention among the pieces and a feed-forward layer."""

    def __init__(self, config: TextConfig, operations: Any, **place: Any) -> None:
        super().__init__()
        self.heads = config.heads
        self.norm1 = operations.LayerNorm(config.dim, **place)
        self.qkv = operations.Linear(config.dim, 3 * config.dim, **place)
        self.out = operations.Linear(config.dim, config.dim, **place)
        self.norm2 = operations.LayerNorm(config.dim, **place)
        self.mlp_in = operations.Linear(config.dim, 4 * config.dim, **place)
        self.mlp_out = operations.Linear(4 * config.dim, config.dim, **place)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, L, dim) to the same shape."""
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in self.qkv(self.norm1(x)).chunk(3, -1))
        x = x + self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return x + self.mlp_out(F.silu(self.mlp_in(self.norm2(x))))


class TextEncoder(nn.Module):
    """A small bidirectional transformer over pieces; padding is a piece like any other, so no mask is needed."""

    def __init__(
        self, config: TextConfig, operations: Any = nn, dtype: torch.dtype | None = None, device: Any = None
    ) -> None:
        super().__init__()
        self.config = config
        place: dict[str, Any] = {"dtype": dtype, "device": device}
        self.pieces = operations.Embedding(FIRST + len(config.pieces), config.dim, **place)
        self.places = operations.Embedding(config.length, config.dim, **place)
        self.blocks = nn.ModuleList([TextBlock(config, operations, **place) for _ in range(config.depth)])
        self.norm = operations.LayerNorm(config.dim, **place)

    def initialise(self) -> TextEncoder:
        """Set weights for training."""
        for table in (self.pieces, self.places):
            nn.init.normal_(table.weight, std=0.3)
        return self

    def forward(self, ids: Tensor) -> Tensor:
        """Ids (B, length) to states (B, length + 1, dim); the last state is the mean over the text's own pieces."""
        x = self.pieces(ids) + self.places(torch.arange(ids.shape[1], device=ids.device))
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        real = (ids != PAD).to(x.dtype)[..., None]
        pooled = (x * real).sum(1, keepdim=True) / real.sum(1, keepdim=True).clamp(min=1)
        return torch.cat([x, pooled], 1)
