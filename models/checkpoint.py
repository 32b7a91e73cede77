# SPDX-License-Identifier: GPL-3.0-or-later
"""One checkpoint is one safetensors file that describes itself: DiT, VAE and text encoder, with their configs.

Tensors are named ``dit.*``, ``vae.*`` and ``text.*``, matrices with a byte for each weight (int8.py); the metadata's
``spacetime`` entry is JSON with the format's version and the configs. A file saved by the host's ModelSave holds the
DiT alone (``model.diffusion_model.*``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .dit import DiTConfig, SpacetimeDiT
from .files import read_file, write_file
from .int8 import pack, unpack
from .text import TextConfig, TextEncoder, Tokenizer
from .vae import VAEConfig, VideoVAE

FORMAT = 3  # 1: no packed weights, 2: only the VAE's
HOST_PREFIX = "model.diffusion_model."


class CheckpointError(ValueError):
    """A file that is not a whole Spacetime checkpoint; the message says what is wrong and what to do."""

    __module__ = "spacetime"  # the host shows it before the sentence, otherwise with the path of this folder


@dataclass
class Checkpoint:
    """Configs and weights as stored, parts that a file lacks are None; the build methods make modules of them."""

    dit_config: DiTConfig
    dit: dict[str, Tensor]
    vae_config: VAEConfig | None = None
    vae: dict[str, Tensor] | None = None
    text_config: TextConfig | None = None
    text: dict[str, Tensor] | None = None
    info: dict[str, Any] | None = None

    def build_dit(self, dtype: torch.dtype = torch.float32) -> SpacetimeDiT:
        """The transformer in plain PyTorch."""
        module = SpacetimeDiT(self.dit_config)
        module.load_state_dict(self.dit)
        return module.to(dtype).eval()

    def build_vae(self, dtype: torch.dtype = torch.float32) -> VideoVAE:
        """The VAE. Raises CheckpointError when the file has none."""
        if self.vae_config is None or self.vae is None:
            raise CheckpointError("this checkpoint holds no VAE; load a complete Spacetime checkpoint for it")
        module = VideoVAE(self.vae_config)
        module.load_state_dict(self.vae)
        return module.to(dtype).eval()

    def build_text(self, dtype: torch.dtype = torch.float32) -> tuple[Tokenizer, TextEncoder]:
        """Tokenizer and text encoder. Raises CheckpointError when the file has none."""
        if self.text_config is None or self.text is None:
            raise CheckpointError("this checkpoint holds no text encoder; load a complete Spacetime checkpoint for it")
        module = TextEncoder(self.text_config)
        module.load_state_dict(self.text)
        return Tokenizer(self.text_config), module.to(dtype).eval()


def save_checkpoint(
    path: Path,
    dit: SpacetimeDiT,
    vae: VideoVAE,
    text: TextEncoder,
    info: dict[str, Any] | None = None,
    dtype: torch.dtype = torch.bfloat16,
) -> None:
    """Write a checkpoint in ``dtype``; unless that is float32, matrices are packed.

    The old file stays until the new one is whole.
    """
    store = _cast if dtype == torch.float32 else pack
    states = {name: store(part.state_dict(), dtype) for name, part in (("dit", dit), ("vae", vae), ("text", text))}
    tensors = {f"{part}.{name}": v for part, state in states.items() for name, v in state.items()}
    described = {
        "format": FORMAT,
        "dit": dit.config.to_dict(),
        "vae": vae.config.to_dict(),
        "text": text.config.to_dict(),
        "info": info or {},
    }
    write_file(path, tensors, {"spacetime": json.dumps(described, ensure_ascii=False)})


def _cast(state: dict[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    return {name: value.to(dtype) if value.is_floating_point() else value for name, value in state.items()}


def load_checkpoint(path: Path | str) -> Checkpoint:
    """Read a checkpoint. Raises CheckpointError for a missing, truncated, foreign or newer file."""
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path.name} does not exist; choose a file that the list of Load Spacetime Model offers")
    metadata, tensors = read_file(path, CheckpointError)
    if "spacetime" in metadata:
        return _described(path.name, tensors, metadata["spacetime"])
    if HOST_PREFIX + "embed.weight" in tensors:
        return _saved_by_host(path.name, tensors)
    raise CheckpointError(
        f"{path.name} is not a Spacetime checkpoint; models of other families load with the host's own loaders"
    )


def _described(name: str, tensors: dict[str, Tensor], text: str) -> Checkpoint:
    try:
        described = json.loads(text)
        version = int(described["format"])
        if version > FORMAT:
            raise CheckpointError(
                f"{name} has format {version}, this version reads up to {FORMAT}; update ComfyUI-Spacetime"
            )
        parts = {
            part: {k[len(part) + 1 :]: v for k, v in tensors.items() if k.startswith(part + ".")}
            for part in ("dit", "vae", "text")
        }
        checkpoint = Checkpoint(
            DiTConfig(**described["dit"]),
            unpack(parts["dit"], torch.bfloat16),
            VAEConfig.from_dict(described["vae"]),
            unpack(parts["vae"]),
            TextConfig.from_dict(described["text"]),
            unpack(parts["text"], torch.bfloat16),
            described.get("info"),
        )
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise CheckpointError(
            f"{name} describes itself wrongly ({error}); it was damaged or written by another program"
        ) from error
    _check_whole(name, checkpoint)
    return checkpoint


def _saved_by_host(name: str, tensors: dict[str, Tensor]) -> Checkpoint:
    state = {k[len(HOST_PREFIX) :]: v for k, v in tensors.items() if k.startswith(HOST_PREFIX)}
    try:
        return Checkpoint(DiTConfig.from_state_dict(state), state)
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{name} is not a Spacetime model ({error} is missing)") from error


def _check_whole(name: str, checkpoint: Checkpoint) -> None:
    """Compare names and shapes with what the configs ask for, without allocating the modules."""
    with torch.device("meta"):
        assert checkpoint.vae_config is not None and checkpoint.text_config is not None
        wanted: dict[str, nn.Module] = {
            "dit": SpacetimeDiT(checkpoint.dit_config),
            "vae": VideoVAE(checkpoint.vae_config),
            "text": TextEncoder(checkpoint.text_config),
        }
    for part, module in wanted.items():
        have: dict[str, Tensor] = getattr(checkpoint, part)
        for key, value in module.state_dict().items():
            if key not in have:
                raise CheckpointError(
                    f"{name} lacks the weight {part}.{key}; it was damaged or written by another program"
                )
            if have[key].shape != value.shape:
                raise CheckpointError(
                    f"{name}: {part}.{key} has shape {tuple(have[key].shape)}, its config asks for {tuple(value.shape)}"
                )
