# SPDX-License-Identifier: GPL-3.0-or-later
"""The node that loads a checkpoint."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ..models.checkpoint import Checkpoint, CheckpointError, load_checkpoint
from .clip_adapter import make_clip
from .folders import BUNDLED, find_checkpoint, list_checkpoints
from .model_adapter import make_model
from .preview import FilmStrip
from .schema import CATEGORY, inp, schema
from .vae_adapter import make_vae


class LoadSpacetimeModel(io.ComfyNode):
    """Checkpoint file to MODEL, CLIP and VAE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node to the host."""
        return schema(
            node_id="SpacetimeLoadModel",
            display_name="Load Spacetime Model",
            category=CATEGORY,
            description="Load a Spacetime checkpoint: the diffusion model, its text encoder and its video VAE in one "
            "file. All three work with stock nodes too.",
            search_aliases=["checkpoint", "load model", "text to video", "sora"],
            inputs=[
                inp(
                    io.Combo.Input,
                    "checkpoint",
                    options=list_checkpoints(),
                    default=BUNDLED,
                    tooltip="A file from models/spacetime, the one that comes with the pack, or one that Save Model "
                    "wrote (which takes text encoder and VAE from the pack's).",
                )
            ],
            outputs=[
                io.Model.Output(
                    display_name="model", tooltip="The diffusion model, for Spacetime Sampler or any sampler."
                ),
                io.Clip.Output(
                    display_name="clip", tooltip="The text encoder, for CLIP Text Encode (English and Chinese)."
                ),
                io.Vae.Output(
                    display_name="vae", tooltip="The video VAE, for Decode Video, Encode Video or the stock VAE nodes."
                ),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, checkpoint: str) -> str:
        """Load again when the file has changed."""
        try:
            state = find_checkpoint(checkpoint).stat()
        except (CheckpointError, OSError):
            return checkpoint
        return f"{checkpoint} {state.st_mtime_ns} {state.st_size}"

    @classmethod
    def execute(cls, checkpoint: str) -> io.NodeOutput:
        """Load; see the schema."""
        return io.NodeOutput(*load(checkpoint))


def load(name: str, dtype: torch.dtype | None = None) -> tuple[Any, Any, Any]:
    """Return MODEL, CLIP and VAE of a listed checkpoint, in ``dtype`` or the format that suits the machine.

    Raises CheckpointError for a name that is not listed, and for a file that is not a whole Spacetime checkpoint.
    """
    checkpoint = load_checkpoint(find_checkpoint(name))
    complete = checkpoint if checkpoint.vae is not None else _bundled_for(name, checkpoint)
    vae = make_vae(complete, dtype)
    return make_model(checkpoint, FilmStrip(complete.build_vae()), dtype), make_clip(complete), vae


def _bundled_for(name: str, checkpoint: Checkpoint) -> Checkpoint:
    """Return the bundled checkpoint for the text encoder and VAE that another one lacks."""
    bundled = load_checkpoint(find_checkpoint(BUNDLED))
    assert bundled.vae_config is not None and bundled.text_config is not None  # a complete one describes them
    needs = (checkpoint.dit_config.channels, checkpoint.dit_config.text_dim)
    has = (bundled.vae_config.channels, bundled.text_config.dim)
    if needs != has:
        raise CheckpointError(
            f"{name} holds a diffusion model alone, and {BUNDLED}, which would give it text encoder and VAE, does not "
            f"fit: it has {has[0]} latent channels and {has[1]} values a token, the model {needs[0]} and {needs[1]}."
        )
    return bundled
