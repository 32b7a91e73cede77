# SPDX-License-Identifier: GPL-3.0-or-later
"""The video VAE as a VAE of the host, for all its stock nodes. Seen with ComfyUI 0.3.75 and 0.33.0."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import comfy.model_management as mm
import comfy.model_patcher
import comfy.sd
import torch
from torch import Tensor

from ..models.checkpoint import Checkpoint
from ..models.vae import TIME, State, VideoVAE
from .precision import DTYPES, vae_dtype

CHUNK = 8  # latent frames that stock nodes decode at once; more are no faster
DECODE_VALUES, ENCODE_VALUES = 16000, 12000  # alive at once for each latent position of a chunk


class HostVAE(VideoVAE):
    """The VAE with what stock nodes expect: any number of frames goes in, and a long clip needs no more memory."""

    def encode(self, video: Tensor) -> Tensor:
        """Encode (B, 3, F, H, W), F at least 1; frames at the end that do not fill a latent frame are dropped."""
        frames = (video.shape[2] - 1) // TIME * TIME + 1
        parts, state, at = [], None, 0
        while at < frames:
            count = min(frames - at, TIME * CHUNK + (state is None))
            latent, state = self.encode_chunk(video[:, :, at : at + count], state)
            parts.append(latent)
            at += count
        return torch.cat(parts, 2)

    def decode(self, latent: Tensor) -> Tensor:
        """Decode (B, C, T, h, w), a few latent frames at a time."""
        parts: list[Tensor] = []
        state: State | None = None
        for piece in latent.split(CHUNK, 2):
            video, state = self.decode_chunk(piece, state)
            parts.append(video)
        return torch.cat(parts, 2)


class SpacetimeVAE(comfy.sd.VAE):
    """A VAE of the host around a :class:`HostVAE`."""

    def __init__(self, model: HostVAE, dtype: torch.dtype | None = None) -> None:
        with _without_warning():
            super().__init__(sd={})  # sets every field that the running host knows
        space, channels = model.config.space, model.config.channels
        self.first_stage_model = model
        self.latent_channels, self.latent_dim, self.output_channels = channels, 3, 3
        self.upscale_ratio = (lambda t: max(0, t * TIME - (TIME - 1)), space, space)
        self.upscale_index_formula = (TIME, space, space)
        self.downscale_ratio = (lambda f: max(0, (f + TIME - 1) // TIME), space, space)
        self.downscale_index_formula = (TIME, space, space)
        self.memory_used_encode = _memory(ENCODE_VALUES, TIME * space * space, TIME)
        self.memory_used_decode = _memory(DECODE_VALUES, 1, 1)
        self.working_dtypes = DTYPES
        self.device, self.output_device = mm.vae_device(), mm.intermediate_device()
        self.vae_dtype = dtype or vae_dtype(self.device)
        model.to(self.vae_dtype).eval()
        patcher = getattr(comfy.model_patcher, "CoreModelPatcher", comfy.model_patcher.ModelPatcher)
        self.patcher = patcher(model, load_device=self.device, offload_device=mm.vae_offload_device())
        self.model_size()


def _memory(values: int, positions: int, time: int):  # type: ignore[no-untyped-def]
    """Bytes for a tensor (B, C, T, H, W): ``values`` numbers for every ``positions`` of one chunk."""

    def estimate(shape: tuple[int, ...], dtype: torch.dtype) -> float:
        batch, _, frames, height, width = shape
        return batch * min(frames, CHUNK * time) * height * width / positions * values * mm.dtype_size(dtype)

    return estimate


@contextlib.contextmanager
def _without_warning() -> Iterator[None]:
    """Silence the host's warning that a VAE without weights is made: ours come right after."""

    def other(record: logging.LogRecord) -> bool:
        return "No VAE weights" not in record.getMessage()

    root = logging.getLogger()
    root.addFilter(other)
    try:
        yield
    finally:
        root.removeFilter(other)


def make_vae(checkpoint: Checkpoint, dtype: torch.dtype | None = None) -> SpacetimeVAE:
    """Make a VAE of a checkpoint's. Raises CheckpointError when it has none."""
    source = checkpoint.build_vae()
    model = HostVAE(source.config)
    model.load_state_dict(source.state_dict())
    return SpacetimeVAE(model, dtype)
