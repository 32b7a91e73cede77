# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine that tells with the project's own captioner, from what its VAE makes of the frames."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ..models.captioner import LANGUAGES, frame_times
from ..models.captioner_file import BUNDLED, CaptionerError, Trained, load_captioner, probe_frames
from ..models.checkpoint import load_checkpoint
from ..models.vae import VideoVAE, to_video
from .caption import Frames
from .expand import EngineError, Progress

STYLE = "spacetime"
Encode = Callable[[Frames], Tensor]  # frames to a latent (1, C, T, h, w)

__all__ = ["BUNDLED", "STYLE", "CaptionerError", "Own", "encoder_of", "load_captioner"]


class Own:
    """Tells with a captioner; ``encode`` is the VAE that it was trained for."""

    name = "own"
    pixels = 256 * 256  # as it was trained; larger frames tell it no more

    def __init__(self, trained: Trained, encode: Encode, style: str = STYLE, language: str = "en") -> None:
        """Raises EngineError for another VAE, and for a style or language that the captioner does not write."""
        config = trained.captioner.config
        if style != STYLE:
            raise EngineError(
                f"The engine own writes the style {STYLE}, not {style}: choose that style, another engine, or connect "
                "the caption to Expand Prompt."
            )
        if language not in LANGUAGES:
            raise EngineError(f"The engine own writes {' and '.join(LANGUAGES)}, not {language!r}.")
        try:
            trained.check_vae(encode(probe_frames()))
        except CaptionerError as error:
            raise EngineError(str(error)) from error
        self.multiple = config.space * 2
        self._trained, self._encode, self._language = trained, encode, language

    def tell(self, frames: Frames, fps: float, progress: Progress) -> str:
        """The caption of some frames; those that do not fill a latent frame are left out."""
        progress("")
        captioner = self._trained.captioner
        time = captioner.config.time
        latent = self._encode(frames[: (len(frames) - 1) // time * time + 1]).float()
        weight = captioner.speak.weight
        text = captioner.write(latent.to(weight.device), frame_times(latent.shape[2], fps, time), self._language)
        progress(text)
        return text


def encoder_of(checkpoint: Path) -> Encode:
    """The VAE of a checkpoint in plain PyTorch. Raises CheckpointError."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    vae = load_checkpoint(checkpoint).build_vae().to(device).eval()
    return lambda frames: _encode(vae, frames, device)


@torch.inference_mode()
def _encode(vae: VideoVAE, frames: Frames, device: torch.device) -> Tensor:
    with torch.autocast(device.type, torch.bfloat16):
        return vae.encode(to_video(frames).to(device)).float().cpu()
