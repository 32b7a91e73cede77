# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the operations share: small films, and looking into latents and videos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from comfyui_spacetime.video.reader import Audio, read_frames
from comfyui_spacetime.video.writer import write_video


def film(
    path: Path, frames: int = 20, size: tuple[int, int] = (70, 50), level: int = 0, fps: float = 8, loud: float = 0.25
) -> Any:
    """Write frames that grow brighter, with a fixed pattern and sound, and return them as a VIDEO."""
    width, height = size
    pattern = np.random.default_rng(level).integers(0, 40, (height, width, 3), np.uint8)
    sound = Audio(np.full((1, round(frames * 8000 / fps)), loud, np.float32), 8000)
    pictures = (np.full((height, width, 3), level + 5 * i, np.uint8) + pattern for i in range(frames))
    write_video(path, pictures, fps=fps, audio=sound, crf=4)
    return from_file(path)


def from_file(path: Path) -> Any:
    from comfy_api.latest import InputImpl

    return InputImpl.VideoFromFile(str(path))


def pixels(path: Path) -> np.ndarray:
    """All frames of a file, (F, H, W, 3)."""
    return np.stack(list(read_frames(path)))


def frames_of(video: Any) -> np.ndarray:
    """All frames of one of our VIDEOs, (F, H, W, 3)."""
    return np.stack(list(video.frames()))


def known(latent: dict[str, Any]) -> list[float]:
    """How much of each latent frame is known, 0 to 1."""
    return [round(1 - float(value), 2) for value in latent["noise_mask"].mean((0, 1, 3, 4))]


def sampled(kit: Any, latent: dict[str, Any], steps: int = 2) -> dict[str, Any]:
    """What Spacetime Sampler makes of a latent with the small model."""
    from comfyui_spacetime.nodes import sampler

    return sampler.sample(kit.model, kit.positive, kit.negative, latent, 5, steps=steps)


def finished(kit: Any, *latents: dict[str, Any], vae: Any = None, **settings: Any) -> Any:
    """What Finish Video makes of latents."""
    from comfyui_spacetime.nodes.finish import finish

    return finish(list(latents), vae or kit.vae, **settings)[0]


def image(level: float, width: int = 64, height: int = 64, frames: int = 1) -> torch.Tensor:
    """A grey IMAGE."""
    return torch.full((frames, height, width, 3), level)
