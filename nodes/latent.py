# SPDX-License-Identifier: GPL-3.0-or-later
"""The node that makes an empty latent clip of the length and size that the user means."""

from __future__ import annotations

from typing import Any

import comfy.model_management as mm
import torch
from comfy_api.latest import io, ui

from ..models.geometry import ASPECTS, Clip, Compression, aspect_size, snap
from .errors import InputError
from .schema import CATEGORY, inp, schema

CUSTOM = "custom"


class EmptySpacetimeLatent(io.ComfyNode):
    """Size, seconds and frame rate to an empty LATENT."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node to the host."""
        side = {"min": 16, "max": 8192, "step": 16}
        return schema(
            node_id="SpacetimeEmptyLatent",
            display_name="Empty Spacetime Latent",
            category=CATEGORY,
            description="An empty clip to generate. Sizes and lengths go to the nearest that the model takes; the "
            "node shows what that is.",
            search_aliases=["empty video latent", "empty latent", "resolution", "aspect ratio"],
            inputs=[
                inp(
                    io.Combo.Input,
                    "aspect",
                    options=[*ASPECTS, CUSTOM],
                    default="1:1",
                    tooltip=f"Shape of the picture, at the size below; {CUSTOM} takes width and height.",
                ),
                inp(
                    io.Int.Input,
                    "size",
                    default=256,
                    **side,
                    tooltip="Side in pixels of the square with the same area: 256 gives 256 x 256, or about 352 x 192 "
                    "at 16:9.",
                ),
                inp(
                    io.Int.Input,
                    "width",
                    default=256,
                    **side,
                    tooltip=f"Width in pixels; used where aspect is {CUSTOM}.",
                ),
                inp(
                    io.Int.Input,
                    "height",
                    default=256,
                    **side,
                    tooltip=f"Height in pixels; used where aspect is {CUSTOM}.",
                ),
                inp(
                    io.Float.Input,
                    "seconds",
                    default=4.0,
                    min=0.0,
                    max=3600.0,
                    step=0.1,
                    tooltip="Length of the clip; 0 makes an image.",
                ),
                inp(
                    io.Float.Input,
                    "fps",
                    default=8.0,
                    min=1.0,
                    max=120.0,
                    step=0.01,
                    tooltip="Frames per second; it travels with the latent to the sampler and to Decode Video.",
                ),
                inp(io.Int.Input, "batch_size", default=1, min=1, max=4096, tooltip="Number of clips to make at once."),
                inp(
                    io.Vae.Input,
                    "vae",
                    optional=True,
                    tooltip="For another model (Wan, LTX, Hunyuan): its VAE, to make a latent for it. Not needed for "
                    "Spacetime models.",
                ),
            ],
            outputs=[io.Latent.Output(display_name="latent", tooltip="The empty clip, with its frame rate.")],
        )

    @classmethod
    def execute(
        cls,
        aspect: str,
        size: int,
        width: int,
        height: int,
        seconds: float,
        fps: float,
        batch_size: int,
        vae: Any = None,
    ) -> io.NodeOutput:
        """Make the latent; see the schema."""
        compression = Compression() if vae is None else compression_of(vae)
        clip = wished_clip(aspect, size, width, height, seconds, fps, compression)
        return io.NodeOutput(empty_latent(clip, batch_size, vae), ui=ui.PreviewText(str(clip)))


def wished_clip(
    aspect: str, size: int, width: int, height: int, seconds: float, fps: float, compression: Compression
) -> Clip:
    """Return the legal clip nearest to the node's values. Raises ValueError for what cannot be a clip at all."""
    if aspect != CUSTOM:
        width, height = aspect_size(aspect, size, compression)
    return snap(width, height, seconds, fps, compression)


def empty_latent(clip: Clip, batch: int, vae: Any = None) -> dict[str, Any]:
    """Return a LATENT of zeros for ``batch`` clips; for a VAE of pictures it has no time.

    Raises InputError when such a VAE shall make a video.
    """
    shape: tuple[int, ...] = (batch, *clip.latent_shape)
    if vae is not None and vae.latent_dim == 2:
        if clip.frames > 1:
            raise InputError(
                f"This VAE knows pictures only, not a clip of {clip.frames} frames: set seconds to 0, or connect "
                "a video VAE."
            )
        shape = (batch, shape[1], *shape[3:])
    return {"samples": torch.zeros(shape, device=mm.intermediate_device()), "frame_rate": clip.fps}


def compression_of(vae: Any) -> Compression:
    """Return what a VAE of the host does to pixels. Raises InputError for one that is not for pictures or video."""
    if getattr(vae, "first_stage_model", None) is None or vae.latent_dim not in (2, 3):
        raise InputError(
            "The VAE input holds no VAE of pictures or video: connect the VAE of the model that will generate."
        )
    space = int(vae.spacial_compression_decode())
    time = int(vae.temporal_compression_decode() or 1) if vae.latent_dim == 3 else 1
    patch = 2 if space <= 16 else 1  # transformers over latents of 32 pixels and more take every position as a token
    return Compression(time=time, space=space, patch=patch, channels=int(vae.latent_channels))
