# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the nodes share: the small model as MODEL, CLIP and VAE of a host in this process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import CHANNELS, write_tiny_checkpoint
from torch import Tensor

NAME = "tiny.safetensors"


@dataclass
class Kit:
    """A loaded model with two prompts."""

    path: Path
    model: Any
    clip: Any
    vae: Any
    positive: Any
    negative: Any

    def latent(self, frames: int = 3, side: int = 4, batch: int = 1) -> dict[str, Any]:
        return {"samples": torch.zeros(batch, CHANNELS, frames, side, side), "frame_rate": 8.0}

    def clip_with_known(self, frames: int = 3, side: int = 4) -> dict[str, Any]:
        """A random clip whose first latent frame is known."""
        samples = torch.randn(1, CHANNELS, frames, side, side, generator=torch.Generator().manual_seed(7))
        mask = torch.ones(1, 1, frames, 1, 1)
        mask[:, :, 0] = 0
        return {"samples": samples, "noise_mask": mask, "frame_rate": 8.0}

    def stock_sample(
        self, model: Any, latent: dict[str, Any], sampler: str = "euler", scheduler: str = "simple", steps: int = 3
    ) -> Tensor:
        """What the stock KSampler node gives, seed 5 and guidance 3."""
        import nodes

        return nodes.common_ksampler(model, 5, steps, 3.0, sampler, scheduler, self.positive, self.negative, latent)[0][
            "samples"
        ]


@pytest.fixture(scope="session", name="kit")
def make_kit(inprocess: Any, host_base: Path) -> Kit:
    """The small model in float32."""
    from comfyui_spacetime.nodes import folders, loader

    path = write_tiny_checkpoint(host_base / "models" / "spacetime" / NAME)
    folders.register()
    with torch.inference_mode():
        model, clip, vae = loader.load(NAME, torch.float32)
        positive, negative = (
            clip.encode_from_tokens_scheduled(clip.tokenize(text)) for text in ("a red panda walks", "")
        )
    return Kit(path, model, clip, vae, positive, negative)


@pytest.fixture(autouse=True, name="inference")
def as_the_executor_does() -> Iterator[None]:
    """The host's executor runs nodes without gradients."""
    with torch.inference_mode():
        yield


@dataclass
class Call:
    """One call of the network, as a wrapper sees it."""

    x: Tensor
    timestep: Tensor
    conds: dict[str, Any]


def recorded(model: Any) -> tuple[Any, list[Call]]:
    """A clone of a MODEL that notes every call of its network."""
    import comfy.patcher_extension

    calls: list[Call] = []

    def note(executor: Any, x: Tensor, timestep: Tensor, *args: Any, **conds: Any) -> Tensor:
        calls.append(Call(x.clone(), timestep.clone(), conds))
        return executor(x, timestep, *args, **conds)

    model = model.clone()
    model.add_wrapper_with_key(comfy.patcher_extension.WrappersMP.DIFFUSION_MODEL, "test.note", note)
    return model, calls
