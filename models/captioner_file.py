# SPDX-License-Identifier: GPL-3.0-or-later
"""A captioner's file: its weights with a byte each, its config, and what its VAE makes of a test picture.

The test picture tells VAEs apart however their weights were stored: a captioner reads the latents of its own VAE only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from .captioner import Captioner, CaptionerConfig
from .files import read_file, write_file
from .int8 import pack, unpack

FORMAT = 1
KEY = "spacetime_captioner"
BUNDLED = Path(__file__).with_name("captioner.safetensors")
PROBE = "probe"
ALIKE = 0.95  # cosine between latents of the test picture; another precision gives 0.99, another VAE about 0


class CaptionerError(ValueError):
    """A file that is no captioner, or one for another VAE; the message says what to do."""

    __module__ = "spacetime"  # the host shows it before the sentence, otherwise with the path of this folder


@dataclass(frozen=True)
class Trained:
    """A captioner as loaded: ready to write, with its VAE's latent of the test picture and what the file says of it."""

    captioner: Captioner
    probe: Tensor
    info: dict[str, Any]

    def check_vae(self, latent: Tensor) -> None:
        """Raise CaptionerError unless ``latent`` (1, C, T, h, w), of :func:`probe_frames`, is of this one's VAE."""
        trained = str(self.info.get("vae") or "another VAE")
        if latent.shape != self.probe.shape:
            raise CaptionerError(
                f"The captioner was trained on {trained} with {self.probe.shape[1]} channels; this VAE makes "
                f"latents of shape {tuple(latent.shape)} where {tuple(self.probe.shape)} was expected. Connect the VAE "
                "of the model that it came with, or train one for this VAE: ./spacetime train caption"
            )
        alike = float(F.cosine_similarity(latent.float().cpu().flatten(), self.probe.float().flatten(), 0))
        if not alike >= ALIKE:
            raise CaptionerError(
                f"The captioner was trained on {trained}, and this VAE makes other latents (alike {alike:.2f} of 1). "
                "Connect the VAE of the model that it came with, or train one for this VAE: ./spacetime train caption"
            )


def probe_frames() -> NDArray[np.uint8]:
    """The test picture: five frames (5, 64, 64, 3) of waves that move."""
    t, y, x, c = np.meshgrid(*(np.arange(n, dtype=np.float64) for n in (5, 64, 64, 3)), indexing="ij")
    waves = np.sin((x + 2 * t) * (0.11 + 0.05 * c)) + np.cos(y * (0.17 - 0.03 * c) - 0.3 * t) + np.sin((x + y) * 0.4)
    return np.asarray((waves + 3) / 6 * 255, np.uint8)


def save_captioner(path: Path, captioner: Captioner, probe: Tensor, info: dict[str, Any]) -> None:
    """Write a captioner; ``probe`` is its VAE's latent of :func:`probe_frames`.

    The old file stays until the new one is whole.
    """
    tensors = {**pack(captioner.state_dict(), torch.float16), PROBE: probe.float().cpu()}
    described = {"format": FORMAT, "config": captioner.config.to_dict(), "info": info}
    write_file(path, tensors, {KEY: json.dumps(described, ensure_ascii=False)})


def load_captioner(path: Path = BUNDLED) -> Trained:
    """Read a captioner. Raises CaptionerError for a missing, damaged, foreign or newer file."""
    if not path.is_file():
        raise CaptionerError(f"{path.name} does not exist: train a captioner with ./spacetime train caption")
    metadata, tensors = read_file(path, CaptionerError)
    if KEY not in metadata:
        raise CaptionerError(f"{path.name} is no captioner of Spacetime; choose a file that train caption wrote")
    try:
        described = json.loads(metadata[KEY])
        if int(described["format"]) > FORMAT:
            raise CaptionerError(
                f"{path.name} has format {described['format']}, this version reads up to {FORMAT}; update "
                "ComfyUI-Spacetime"
            )
        captioner = Captioner(CaptionerConfig.from_dict(described["config"]))
        probe = tensors.pop(PROBE)
        captioner.load_state_dict(unpack(tensors))
    except (KeyError, TypeError, RuntimeError, json.JSONDecodeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CaptionerError(f"{path.name} describes itself wrongly ({reason}); it was damaged") from error
    return Trained(captioner.eval().requires_grad_(False), probe, dict(described.get("info") or {}))
