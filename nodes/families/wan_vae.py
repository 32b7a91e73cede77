# SPDX-License-Identifier: GPL-3.0-or-later
"""Wan's causal VAEs (2.1 and 2.2), driven one step at a time with their own feature caches.

Touches internals of ``comfy.ldm.wan.vae`` and ``comfy.ldm.wan.vae2_2`` as seen in ComfyUI 0.3.75 and 0.33.0: the
loops of ``WanVAE.encode`` and ``WanVAE.decode``, whose caches live for one call there and for a whole stream here.
0.33 feeds Wan 2.1 pairs (1, 2, 2, ... frames or latent frames) and tells the encoder which pair is the last one;
everything else takes groups (1, 4, 4, ... frames) and single latent frames.
"""

from __future__ import annotations

import inspect
import sys
from typing import Any

import torch
from torch import Tensor

MODULES = ("comfy.ldm.wan.vae", "comfy.ldm.wan.vae2_2")
State = list[Any]


class WanCodec:
    """Encodes and decodes a stream with a Wan VAE; the state of a stream is its list of cached features."""

    time = 4  # frames in one latent frame, the first apart
    chunk: int | None = 1  # latent frames whose pixels are encoded in one call

    def __init__(self, model: Any) -> None:
        module = sys.modules[type(model).__module__]
        count = getattr(module, "count_cache_layers", None) or module.count_conv3d
        self._model = model
        self._patched = hasattr(module, "patchify")  # Wan 2.2
        self._module = module
        self._slots = max(count(model.encoder), count(model.decoder))
        self._paired = "final" in inspect.signature(model.encoder.forward).parameters
        begins = "first_chunk" in inspect.signature(model.decoder.forward).parameters
        self._first = {"first_chunk": True} if begins else {}
        self.default_rate = 24 if self._patched else 16

    def decode_count(self, done: int, wanted: int) -> int:
        """Latent frames that the next ``decode`` takes when ``done`` are decoded, whatever is ``wanted``."""
        return 2 if done and self._paired else 1

    def decode(self, latent: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Decode the next (B, C, 1 or 2, h, w) to frames (B, 3, F, H, W) in about -1..1; the first alone gives one."""
        caches = self._caches(state)
        first = self._first if state is None else {}
        out = self._model.decoder(self._model.conv2(latent), feat_cache=caches, feat_idx=[0], **first)
        pixels = torch.cat(out, 2) if isinstance(out, list) else out
        return (self._module.unpatchify(pixels, patch_size=2) if self._patched else pixels), caches

    def encode(self, pixels: Tensor, state: State | None, last: bool) -> tuple[Tensor | None, State]:
        """Encode the next frames (B, 3, F, H, W) in -1..1, first one alone, then fours; None: they come with the next.

        ``last`` says that the stream ends with them.
        """
        caches = self._caches(state)
        if self._patched:
            pixels = self._module.patchify(pixels, patch_size=2)
        size = 1 if state is None else 2 if self._paired else 4
        parts = []
        for begin in range(0, pixels.shape[2], size):
            final = {"final": last and begin + size >= pixels.shape[2]} if self._paired else {}
            part = self._model.encoder(pixels[:, :, begin : begin + size], feat_cache=caches, feat_idx=[0], **final)
            if part is not None:
                parts.append(self._model.conv1(part).chunk(2, dim=1)[0])
        return (torch.cat(parts, 2) if parts else None), caches

    def _caches(self, state: State | None) -> State:
        # The networks replace entries and never write into them, so a copy of the list keeps the old state usable.
        return [None] * self._slots if state is None else list(state)


def wan_codec(model: Any) -> WanCodec | None:
    """Return a codec if ``model`` is a Wan VAE whose parts are where they were seen, else None."""
    kind = type(model)
    if kind.__module__ not in MODULES or kind.__name__ != "WanVAE":
        return None
    module = sys.modules[kind.__module__]
    parts = all(hasattr(model, part) for part in ("encoder", "decoder", "conv1", "conv2"))
    counter = hasattr(module, "count_cache_layers") or hasattr(module, "count_conv3d")
    return WanCodec(model) if parts and counter else None
