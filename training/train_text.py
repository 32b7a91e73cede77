# SPDX-License-Identifier: GPL-3.0-or-later
"""Teach the text encoder the world's words before the transformer needs them: ``./spacetime train text --minutes 2``.

The encoder learns to tell object, place, motion and camera of a scene from its caption, misspelt ones and Chinese
included. Minutes on one core, where the transformer's own loss takes hours to tell it "left" from "right".
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from ..models.text import TextConfig, TextEncoder, Tokenizer
from .captions import caption, misspell, vocabulary
from .command import Command, run_command
from .common import log
from .judge import HEADS, truth
from .run import Part, Run
from .settings import TrainText
from .world import draw_scene


class Reader(nn.Module):
    """The text encoder and one linear layer on the pooled text for every fact."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.text = TextEncoder(config).initialise()
        self.out = nn.ModuleDict({name: nn.Linear(self.text.config.dim, len(names)) for name, names in HEADS.items()})

    def forward(self, ids: Tensor) -> dict[str, Tensor]:
        """Return the logits by fact."""
        pooled = self.text(ids)[:, -1]
        return {name: layer(pooled) for name, layer in self.out.items()}


def caption_batch(seed: int, count: int, tokenizer: Tokenizer, split: str) -> tuple[Tensor, dict[str, Tensor]]:
    """Piece ids of captions and the facts that they state."""
    rng = np.random.default_rng(seed)
    scenes = [draw_scene(seed * 1024 + i, split) for i in range(count)]
    texts = [misspell(caption(scene, rng, vague=0), rng, 0.1 if split == "train" else 0.0) for scene in scenes]
    return tokenizer.batch(texts), truth(scenes)


class TextPart(Part):
    """The text encoder as a part of a run."""

    name, unit = "text", "captions"
    adam_only = ("pieces", "places", "out.")

    def __init__(self, options: TrainText, module: Reader) -> None:
        self.options, self.module = options, module
        self.tokenizer = Tokenizer(module.text.config)

    def loss(self, rng: np.random.Generator, progress: float) -> tuple[Tensor, int]:
        """Draw captions; cross-entropy summed over the facts."""
        ids, right = caption_batch(int(rng.integers(70_000)), self.options.captions, self.tokenizer, "train")
        answers = self.module(ids)
        return torch.stack([F.cross_entropy(answers[name], right[name]) for name in HEADS]).sum(), len(ids)

    def validate(self) -> dict[str, float]:
        """Share of held-out captions that are understood, per fact."""
        ids, right = caption_batch(77_000_000, 512, self.tokenizer, "held out")
        answers = self.module(ids).items()
        return {name: float((logits.argmax(-1) == right[name]).float().mean()) for name, logits in answers}

    def strips(self) -> dict[str, Tensor]:
        """There is nothing to see."""
        return {}

    def about(self) -> dict[str, Any]:
        """The encoder's config and the facts."""
        return {"text": self.module.text.config.to_dict(), "facts": {name: list(HEADS[name]) for name in HEADS}}


def main(arguments: list[str] | None = None) -> None:
    """Read the options and run."""
    run_command("text", __doc__, _prepare, arguments, after=_finish)


def _prepare(command: Command) -> TextPart:
    options = command.settings.train.text
    torch.manual_seed(options.seed)
    return TextPart(options, Reader(replace(command.settings.text, pieces=vocabulary())))


def _finish(run: Run) -> None:
    if run.processes.rank == 0 and isinstance(run.part, TextPart):
        encoder = run.part.module.text
        with run.average.within(run.part.module):
            tensors = {name: value.contiguous() for name, value in encoder.state_dict().items()}
            save_file(tensors, run.out / "text.safetensors")
        log.info("to begin the transformer's run with it: --text %s", run.out / "text.safetensors")


if __name__ == "__main__":
    main()
