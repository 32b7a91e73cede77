# SPDX-License-Identifier: GPL-3.0-or-later
"""Small random models of the host's video families, with VAEs that count as theirs do.

Import this inside a test that has the host (its fixtures enter it).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import comfy.model_management as mm
import comfy.model_patcher
import comfy.supported_models as families
import torch
import vae_doubles
from torch import nn

WAN = {
    "image_model": "wan2.1", "model_type": "t2v", "patch_size": (1, 2, 2), "freq_dim": 32, "dim": 48, "ffn_dim": 64,
    "num_heads": 2, "num_layers": 1, "text_dim": 32, "text_len": 16, "window_size": (-1, -1), "qk_norm": True,
    "cross_attn_norm": True, "eps": 1e-6,
}  # fmt: skip
WAN_I2V = {**WAN, "model_type": "i2v", "in_dim": 36, "out_dim": 16}
LTXV = {
    "image_model": "ltxv", "in_channels": 128, "num_layers": 1, "attention_head_dim": 24, "num_attention_heads": 2,
    "cross_attention_dim": 48, "caption_channels": 32,
}  # fmt: skip
HUNYUAN = {
    "image_model": "hunyuan_video", "in_channels": 16, "out_channels": 16, "patch_size": [1, 2, 2], "vec_in_dim": 24,
    "context_in_dim": 32, "hidden_size": 64, "mlp_ratio": 2.0, "num_heads": 2, "depth": 1, "depth_single_blocks": 1,
    "axes_dim": [8, 12, 12], "theta": 256, "qkv_bias": True, "guidance_embed": True, "byt5": False, "meanflow": False,
    "use_cond_type_embedding": False, "vision_in_dim": None,
}  # fmt: skip
HUNYUAN15 = {**HUNYUAN, "in_channels": 65, "out_channels": 32, "patch_size": [1, 1, 1], "vision_in_dim": 1152}
NAMES = ("wan21", "wan22", "wan_i2v", "ltxv", "hunyuan", "hunyuan15")


@dataclass
class Double:
    """MODEL, CLIP, VAE and prompts of a family, under the names that the kit of our own model has."""

    model: Any
    clip: Any
    vae: Any
    positive: Any
    negative: Any


def double(name: str) -> Double:
    """Make one of NAMES."""
    model, channels, time, space = {
        "wan21": lambda: (_model(families.WAN21_T2V, {**WAN, "in_dim": 16, "out_dim": 16}), 16, 4, 8),
        "wan_i2v": lambda: (_model(families.WAN21_I2V, WAN_I2V), 16, 4, 8),
        "wan22": lambda: (_model(families.WAN22_T2V, {**WAN, "in_dim": 48, "out_dim": 48}), 48, 4, 16),
        "ltxv": lambda: (_model(families.LTXV, LTXV), 128, 8, 32),
        "hunyuan": lambda: (_model(families.HunyuanVideo, _hunyuan(HUNYUAN)), 16, 4, 8),
        "hunyuan15": lambda: (_model(families.HunyuanVideo15, _hunyuan(HUNYUAN15)), 32, 4, 16),
    }[name]()
    vae = vae_doubles.host_vae(MeanVAE(channels, time, space), channels, time, space)
    return Double(model, Words(name), vae, _prompt(name, 1), _prompt(name, 2))


class Words:
    """A text encoder that makes of every text other numbers, and of the same text the same."""

    def __init__(self, name: str) -> None:
        self._name = name

    def tokenize(self, text: str) -> str:
        """Leave the text as it is."""
        return text

    def encode_from_tokens_scheduled(self, text: str) -> Any:
        """A CONDITIONING for the family."""
        return _prompt(self._name, sum(text.encode()))


class Eyes:
    """A CLIP vision model that sees the same in every picture."""

    def encode_image(self, image: torch.Tensor, crop: Any = None) -> Any:
        """What HunyuanVideo 1.5 takes of it."""
        return SimpleNamespace(last_hidden_state=torch.zeros(1, 4, HUNYUAN15["vision_in_dim"]))


class MeanVAE(nn.Module):
    """Mean colours of blocks of ``time`` frames (the first alone) and ``space`` pixels, in the first three channels."""

    def __init__(self, channels: int, time: int, space: int) -> None:
        super().__init__()
        self.channels, self.time, self.space = channels, time, space
        self.weight = nn.Parameter(torch.ones(1))

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, F, H, W) to (B, C, T, h, w)."""
        x = torch.cat([x[:, :, :1].expand(-1, -1, self.time - 1, -1, -1), x], 2)
        mean = nn.functional.avg_pool3d(x, (self.time, self.space, self.space)) * self.weight
        return nn.functional.pad(mean, (0, 0, 0, 0, 0, 0, 0, self.channels - 3))

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """The reverse, constant in each block."""
        x = z[:, :3].repeat_interleave(self.time, 2)
        x = x.repeat_interleave(self.space, 3).repeat_interleave(self.space, 4)
        return x[:, :, self.time - 1 :] * self.weight


def _model(kind: Any, config: dict[str, Any]) -> Any:
    settings = kind(config)
    settings.set_inference_dtype(torch.float32, None)
    model = settings.get_model({}, "", device=torch.device("cpu"))
    vae_doubles.randomised(model.diffusion_model, 0.02)
    for name, parameter in model.diffusion_model.named_parameters():
        if name.endswith("scale"):
            parameter.data.fill_(1)
    return comfy.model_patcher.ModelPatcher(
        model, load_device=mm.get_torch_device(), offload_device=mm.unet_offload_device()
    )


def _hunyuan(config: dict[str, Any]) -> dict[str, Any]:
    from comfy.ldm.hunyuan_video.model import HunyuanVideoParams

    known = {field.name for field in dataclasses.fields(HunyuanVideoParams)}
    return {**config, **({"meanflow_sum": False} if "meanflow_sum" in known else {})}


def _prompt(name: str, seed: int) -> Any:
    generator = torch.Generator().manual_seed(seed)
    more: dict[str, Any] = {"pooled_output": torch.randn(1, 24, generator=generator)}
    if name == "ltxv":
        more["attention_mask"] = torch.ones(1, 6, dtype=torch.long)
    return [[torch.randn(1, 6, 32, generator=generator), more]]
