# SPDX-License-Identifier: GPL-3.0-or-later
"""The number format to compute in: the host's choice, save that bf16 is used on CPUs that multiply it natively.

The host computes in float32 on every CPU; those with AMX or AVX512-BF16 instructions are several times faster in
bf16. The host's own switches (--fp32-unet, --fp32-vae and the like) keep the last word.
"""

from __future__ import annotations

from typing import Any

import comfy.model_management as mm
import torch
from comfy.cli_args import args

DTYPES = [torch.bfloat16, torch.float32]


def cpu_has_bfloat16() -> bool:
    """Whether this CPU multiplies bf16 matrices in hardware, as far as torch can tell (2.10 and later)."""
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name) for name in ("amx_bf16", "avx512_bf16"))


def model_dtypes(device: torch.device, parameters: int, stored: torch.dtype) -> tuple[torch.dtype, torch.dtype | None]:
    """Return the dtype of the diffusion model's weights and, where it differs, the one to compute in."""
    weights = mm.unet_dtype(device=device, model_params=parameters, supported_dtypes=DTYPES, weight_dtype=stored)
    chosen = args.fp32_unet or args.fp64_unet or args.fp16_unet
    if mm.is_device_cpu(device) and cpu_has_bfloat16() and not chosen and weights in DTYPES:
        return torch.bfloat16, None
    return weights, mm.unet_manual_cast(weights, device, DTYPES)


def vae_dtype(device: torch.device) -> torch.dtype:
    """Return the dtype that the VAE computes in."""
    chosen = args.fp32_vae or args.fp16_vae or args.bf16_vae
    if mm.is_device_cpu(device) and cpu_has_bfloat16() and not chosen:
        return torch.bfloat16
    return mm.vae_dtype(device, DTYPES)
