# SPDX-License-Identifier: GPL-3.0-or-later
"""The transformer as a MODEL of the host, so that stock samplers, LoRA loaders, patches and context windows take it.

Seen with ComfyUI 0.3.75 and 0.33.0. What touches the host's model classes stands here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import comfy.conds
import comfy.latent_formats
import comfy.model_base
import comfy.model_management as mm
import comfy.model_patcher
import comfy.patcher_extension
import comfy.supported_models_base
import comfy.utils
import torch
import torch.nn.functional as F
from comfy.ldm.modules.attention import optimized_attention
from torch import Tensor

from ..models.checkpoint import Checkpoint
from ..models.dit import PATCH, DiTConfig, SpacetimeDiT, token_seconds
from ..models.flow import token_shift
from .errors import InputError
from .known import mixed_positions, with_known_kept
from .precision import DTYPES, model_dtypes
from .preview import IDENTITY

Preview = Callable[[Tensor], Tensor]  # latents (B, C, T, H, W) to one picture (1, 3, 1, height, width) in -1..1
DEFAULT_FPS = 8.0  # where neither latent nor conditioning says one
DEFAULT_TOKENS = 576  # of the default clip: 256 x 256, 33 frames; sets the stock schedulers' shift


class HostDiT(SpacetimeDiT):
    """The transformer with the host's calling convention, attention and context windows."""

    patch_size = (1, PATCH, PATCH)

    def __init__(
        self, config: DiTConfig, image_model: str = "", dtype: Any = None, device: Any = None, operations: Any = None
    ) -> None:
        super().__init__(config, operations, dtype=dtype, device=device)

    def forward(  # type: ignore[override]
        self,
        x: Tensor,
        timestep: Tensor,
        context: Tensor,
        control: Any = None,
        transformer_options: dict[str, Any] | None = None,
        **conds: Any,
    ) -> Tensor:
        """Predict the velocity of x (B, C, T, H, W) of any size.

        timestep (B,) counts 0..1000; context is the text; conds may hold ``frame_rate`` and ``denoise_mask``
        (B, 1, T, H, W). Wrappers of the kind DIFFUSION_MODEL see the timesteps per position, 0 where known.
        """
        options = transformer_options or {}
        window = window_indices(options)
        mask = conds.pop("denoise_mask", None)
        if mask is not None:
            timestep = timestep.view(-1, 1, 1, 1, 1) * (window_part(mask, window, x.shape[2]) > 0)
        executor = comfy.patcher_extension.WrapperExecutor.new_class_executor(
            self._forward,
            self,
            comfy.patcher_extension.get_all_wrappers(comfy.patcher_extension.WrappersMP.DIFFUSION_MODEL, options),
        )
        return executor.execute(x, timestep, context, control, options, **conds)

    def _forward(
        self,
        x: Tensor,
        timestep: Tensor,
        context: Tensor,
        control: Any,
        transformer_options: dict[str, Any],
        frame_rate: float = DEFAULT_FPS,
        **_: Any,
    ) -> Tensor:
        height, width = x.shape[-2:]
        margin = (0, -width % PATCH, 0, -height % PATCH)
        if any(margin):
            x = F.pad(x, (*margin, 0, 0), mode="replicate")
            if timestep.ndim == 5:
                timestep = F.pad(timestep, (*margin, 0, 0), mode="replicate")
        fps = float(frame_rate)
        indices = window_indices(transformer_options)
        seconds = None
        if indices is not None and len(indices) == x.shape[2]:
            seconds = token_seconds(max(indices) + 1, fps, x.device)[indices]
        attention = partial(optimized_attention, transformer_options=transformer_options)
        velocity = super().forward(x, timestep / 1000, context, fps, attention=attention, seconds=seconds)
        return velocity[..., :height, :width]


def window_indices(transformer_options: dict[str, Any]) -> list[int] | None:
    """Return which latent frames of the clip the network sees, None when it sees all."""
    window = transformer_options.get("context_window")
    if window is None:
        return None
    indices = list(window.index_list)
    anchor = getattr(window, "causal_anchor_index", None)  # an extra frame in front, not in 0.3.75
    return [anchor, *indices] if anchor is not None and anchor >= 0 else indices


def window_part(value: Tensor, indices: list[int] | None, frames: int) -> Tensor:
    """Cut a condition (B, C, T, H, W) to its window; hosts from 0.33 on have done so already."""
    if indices is None or value.shape[2] == frames:
        return value
    return value[:, :, indices]


class SpacetimeModel(comfy.model_base.BaseModel):
    """What the host samples: the transformer, its conditions and the flow it was trained on."""

    def __init__(self, config: SpacetimeModelConfig, device: Any = None) -> None:
        super().__init__(config, comfy.model_base.ModelType.FLOW, device=device, unet_model=HostDiT)
        self._mask: Tensor | None = None

    def extra_conds(self, **kwargs: Any) -> dict[str, Any]:
        """Add the frame rate and the mask of unknown positions. Raises InputError for another model's prompt."""
        text = kwargs.get("cross_attn")
        wanted = self.diffusion_model.config.text_dim
        if text is None or text.shape[-1] != wanted:
            found = "no text" if text is None else f"{text.shape[-1]} values a token"
            raise InputError(
                f"The prompt was not encoded for this model ({found}, it takes {wanted}): connect the CLIP output of "
                "Load Spacetime Model to the text encode node."
            )
        out = super().extra_conds(**kwargs)
        out["frame_rate"] = comfy.conds.CONDConstant(float(kwargs.get("frame_rate") or DEFAULT_FPS))
        mask = kwargs.get("denoise_mask")
        self._mask = None if mask is None else mask[:, :1]
        if self._mask is not None:
            out["denoise_mask"] = comfy.conds.CONDRegular(self._mask)
        return out

    def scale_latent_inpaint(
        self, sigma: Tensor, noise: Tensor, latent_image: Tensor, denoise_mask: Tensor | None = None, **kwargs: Any
    ) -> Tensor:
        """Let known tokens enter clean; positions that are only held for a while, or whose token is partly unknown,
        are noised as the network is told they are."""
        mask = self._mask if self._mask is not None else denoise_mask  # ours is not yet made binary for this step
        if mask is None:
            return latent_image
        mask = mask[:, :1].to(latent_image)
        noisy = (mask > 0) | mixed_positions(mask, PATCH)
        if not noisy.any():
            return latent_image
        noised = super().scale_latent_inpaint(sigma=sigma, noise=noise, latent_image=latent_image, **kwargs)
        return torch.where(noisy, noised, latent_image)


class SpacetimeModelConfig(comfy.supported_models_base.BASE):
    """The host's description of a model: its dtypes, its memory use, its sampling."""

    unet_config = {"image_model": "spacetime"}
    unet_extra_config: dict[str, Any] = {}
    latent_format = comfy.latent_formats.LatentFormat
    supported_inference_dtypes = DTYPES

    def __init__(self, config: DiTConfig, latent_format: comfy.latent_formats.LatentFormat) -> None:
        super().__init__({"image_model": "spacetime", "config": config})
        self.latent_format = latent_format
        self.sampling_settings = {"shift": token_shift(DEFAULT_TOKENS), "multiplier": 1000}
        self.memory_usage_factor = config.dim / 1000

    def get_model(self, state_dict: dict[str, Tensor], prefix: str = "", device: Any = None) -> SpacetimeModel:
        """Make the model, its weights not yet loaded."""
        return SpacetimeModel(self, device=device)


class SpacetimeLatent(comfy.latent_formats.LatentFormat):
    """Latents of the model's VAE, which are normalised already; ``preview`` draws them as a picture."""

    latent_dimensions = 3
    spacial_downscale_ratio = 16
    temporal_downscale_ratio = 4

    def __init__(self, channels: int, preview: Preview | None = None) -> None:
        self.latent_channels = channels
        if preview is not None:
            self.latent_rgb_factors, self.latent_rgb_factors_bias = IDENTITY, [0.0, 0.0, 0.0]
            self.latent_rgb_factors_reshape = preview


def make_model(checkpoint: Checkpoint, preview: Preview | None = None, dtype: torch.dtype | None = None) -> Any:
    """Make a MODEL of a checkpoint's transformer.

    preview: draws latents while they are sampled. dtype: compute in this one instead of the fastest that is precise
    enough.
    """
    config = SpacetimeModelConfig(checkpoint.dit_config, SpacetimeLatent(checkpoint.dit_config.channels, preview))
    device, offload = mm.get_torch_device(), mm.unet_offload_device()
    weights = dict(checkpoint.dit)
    if dtype is None:
        stored = comfy.utils.weight_dtype(weights)
        config.set_inference_dtype(*model_dtypes(device, comfy.utils.calculate_parameters(weights), stored))
    else:
        config.set_inference_dtype(dtype, None)
    model = config.get_model(weights, device=offload)
    model.load_model_weights(weights)
    patcher = getattr(
        comfy.model_patcher, "CoreModelPatcher", comfy.model_patcher.ModelPatcher
    )  # newer hosts stream weights
    return with_known_kept(patcher(model, load_device=device, offload_device=offload))
