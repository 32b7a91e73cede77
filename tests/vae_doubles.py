# SPDX-License-Identifier: GPL-3.0-or-later
"""Small VAEs as the host's VAE objects, for tests: ours, Wan's two, and ones that the pack has never heard of.

Import this inside a test that has the host (its fixtures enter it).
"""

from __future__ import annotations

from typing import Any

import comfy.model_management as mm
import comfy.model_patcher
import comfy.sd
import torch
from torch import Tensor, nn

from comfyui_spacetime.models.vae import VAEConfig, VideoVAE


def host_vae(model: nn.Module, channels: int, time: int, space: int, lone_first: bool = True, dim: int = 3) -> Any:
    """Return ``model`` (encode, decode of (B, C, T, H, W), for dim 2 (B, C, H, W)) as a VAE of the host."""
    vae = comfy.sd.VAE(sd={})
    vae.first_stage_model = model.eval()
    vae.latent_channels, vae.latent_dim, vae.output_channels = channels, dim, 3
    if dim == 3:
        decode_time = (lambda t: max(0, t * time - time + 1)) if lone_first else (lambda t: t * time)
        encode_time = (lambda f: (f + time - 1) // time) if lone_first else (lambda f: f // time)
        vae.upscale_ratio, vae.downscale_ratio = (decode_time, space, space), (encode_time, space, space)
        vae.upscale_index_formula = vae.downscale_index_formula = (time, space, space)
    else:
        vae.upscale_ratio = vae.downscale_ratio = space
    vae.memory_used_decode = vae.memory_used_encode = lambda shape, dtype: 1e6
    vae.device, vae.output_device, vae.vae_dtype = mm.vae_device(), mm.intermediate_device(), torch.float32
    vae.patcher = comfy.model_patcher.ModelPatcher(model, vae.device, mm.vae_offload_device())
    return vae


def own() -> Any:
    """Our VideoVAE with few channels and random weights (all of them, also those that start at zero)."""
    model = randomised(VideoVAE(VAEConfig(channels=4, widths=(4, 8, 8))), 0.2)
    return host_vae(model, channels=4, time=4, space=16)


def wan21() -> Any:
    """Wan 2.1's VAE as the host itself recognises it from a state dict."""
    from comfy.ldm.wan.vae import WanVAE

    model = WanVAE(dim=4, z_dim=16, dim_mult=[1, 2, 4, 4], temperal_downsample=[False, True, True])
    return comfy.sd.VAE(sd=randomised(model, 0.2).state_dict())


def wan22() -> Any:
    """A small one of Wan 2.2's kind (4x time, 16x space)."""
    from comfy.ldm.wan.vae2_2 import WanVAE

    model = WanVAE(dim=8, dec_dim=8, z_dim=6, dim_mult=[1, 2, 4, 4], temperal_downsample=[False, True, True])
    return host_vae(randomised(model, 0.2), channels=6, time=4, space=16)


def plain(lone_first: bool = True, time: int = 8) -> Any:
    """A video VAE without any carried state: every latent frame is the mean colour of its group."""
    return host_vae(PlainVAE(time, lone_first), channels=3, time=time, space=8, lone_first=lone_first)


def picture() -> Any:
    """An image VAE: a latent pixel is the mean colour of 8x8."""
    return host_vae(PictureVAE(), channels=3, time=1, space=8, dim=2)


def randomised(model: nn.Module, deviation: float) -> nn.Module:
    """Fill every parameter with the same random values each time; norms get 1."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("gamma") or (parameter.ndim == 1 and "norm" in name and name.endswith("weight")):
                parameter.fill_(1)
            else:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * deviation)
    return model


class PlainVAE(nn.Module):
    """Means over groups of frames; with ``lone_first`` the first frame is a group of its own."""

    def __init__(self, time: int, lone_first: bool) -> None:
        super().__init__()
        self.time, self.lone_first = time, lone_first
        self.weight = nn.Parameter(torch.ones(1))

    def encode(self, x: Tensor) -> Tensor:
        """(B, 3, F, H, W) to (B, 3, T, H/8, W/8)."""
        if self.lone_first:
            x = torch.cat([x[:, :, :1].expand(-1, -1, self.time - 1, -1, -1), x], 2)
        return torch.nn.functional.avg_pool3d(x, (self.time, 8, 8)) * self.weight

    def decode(self, z: Tensor) -> Tensor:
        """The reverse, constant in each group."""
        x = z.repeat_interleave(self.time, 2).repeat_interleave(8, 3).repeat_interleave(8, 4)
        return (x[:, :, self.time - 1 :] if self.lone_first else x) * self.weight


class PictureVAE(nn.Module):
    """Means over 8x8 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def encode(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, 3, H/8, W/8)."""
        return torch.nn.functional.avg_pool2d(x, 8) * self.weight

    def decode(self, z: Tensor) -> Tensor:
        """The reverse."""
        return z.repeat_interleave(8, 2).repeat_interleave(8, 3) * self.weight
