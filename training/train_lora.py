# SPDX-License-Identifier: GPL-3.0-or-later
"""Fit a LoRA to a few clips: ``./spacetime train lora --set latents=runs/footage --set minutes=20``.

The published transformer stays as it is; low-rank changes of its matrices are trained on latents, for example of your
own videos (``./spacetime train footage``), and written to OUT/lora.safetensors under the names that the host's stock
LoRA loaders know: put it into models/loras and load it onto the MODEL.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from .command import Command, run_command
from .common import log
from .latents import open_vae
from .origins import check_vae
from .run import Run
from .settings import SettingError, TrainLoRA
from .train_dit import DiTPart, Trained, published

HOST_NAME = "diffusion_model."  # what the host calls the transformer of any MODEL


class LowRank(nn.Module):
    """A linear layer that stays, plus ``up @ down``, of which ``up`` begins as zero."""

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.down = nn.Linear(layer.in_features, rank, bias=False)
        self.up = nn.Linear(rank, layer.out_features, bias=False)
        nn.init.normal_(self.down.weight, std=layer.in_features**-0.5)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs)."""
        return self.layer(x) + self.up(self.down(x))


def add_low_rank(model: Trained, options: TrainLoRA) -> Trained:
    """Freeze a model and give every matrix of its transformer's blocks a low-rank change.

    Raises SettingError where ``targets`` names no layer.
    """
    model.requires_grad_(False)
    found = 0
    for block in model.dit.blocks:
        for path, layer in list(block.named_modules()):
            if isinstance(layer, nn.Linear) and any(target in path for target in options.targets):
                parent, _, name = path.rpartition(".")
                setattr(block.get_submodule(parent), name, LowRank(layer, options.rank))
                found += 1
    if not found:
        raise SettingError(f"targets = {list(options.targets)}: no layer is called so; try attend, cross, mlp")
    return model


def write_lora(path: Path, module: nn.Module) -> None:
    """Write the low-rank changes in the names of the host's generic LoRA format; the old file stays until then."""
    tensors = {}
    for name, layer in module.named_modules():
        if isinstance(layer, LowRank):
            key = HOST_NAME + name.removeprefix("dit.")
            tensors[f"{key}.lora_A.weight"] = layer.down.weight.detach().bfloat16().cpu().contiguous()
            tensors[f"{key}.lora_B.weight"] = layer.up.weight.detach().bfloat16().cpu().contiguous()
    scratch = path.with_suffix(".tmp")
    save_file(tensors, scratch)
    scratch.replace(path)


class LoRAPart(DiTPart):
    """The low-rank changes as a part of a run."""

    name = "lora"
    adam_only = ("down", "up")


def main(arguments: list[str] | None = None) -> None:
    """Read the options and run."""
    run_command("lora", __doc__, _prepare, arguments, after=_finish)


def _prepare(command: Command) -> LoRAPart:
    options = command.settings.train.lora
    torch.manual_seed(options.seed)
    path = command.start_from or Path(options.samples)
    part = LoRAPart(options, add_low_rank(published(path), options), command.processes)
    check_vae(part.latents_vae, Path(options.latents), open_vae(path)[0], path)
    return part


def _finish(run: Run) -> None:
    if run.processes.rank == 0:
        path = run.out / "lora.safetensors"
        with run.average.within(run.part.module):
            write_lora(path, run.part.module)
        log.info("%s: copy it to ComfyUI's models/loras and load it with LoraLoaderModelOnly", path)


if __name__ == "__main__":
    main()
