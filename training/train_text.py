# SPDX-License-Identifier: GPL-3.0-or-later
"""Teach the text encoder the world's words before the transformer needs them: ``./spacetime train text --minutes 2``.

The encoder learns to tell what a scene's caption says (noun, place, motion, camera ..., see facts.py), misspelt
ones and Chinese included. Minutes on one core, where the transformer's own loss takes hours to tell it "left" from
"right".
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
from .command import Command, run_command
from .common import log
from .facts import FACTS, told
from .run import Part, Run
from .scenes.words.vocabulary import vocabulary
from .settings import TrainText
from .worlds import check_world

UNSAID = -100  # what cross_entropy ignores


class Reader(nn.Module):
    """The text encoder and one linear layer on the pooled text for every fact."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.text = TextEncoder(config).initialise()
        self.out = nn.ModuleDict({name: nn.Linear(config.dim, len(values)) for name, values in FACTS.items()})

    def forward(self, ids: Tensor) -> dict[str, Tensor]:
        """Return the logits by fact."""
        pooled = self.text(ids)[:, -1]
        return {name: layer(pooled) for name, layer in self.out.items()}


def caption_batch(
    world: str, seed: int, count: int, tokenizer: Tokenizer, split: str
) -> tuple[Tensor, dict[str, Tensor]]:
    """Piece ids of captions and the facts that they say, as numbers (count,), or UNSAID."""
    rng = np.random.default_rng(seed)
    texts, said = zip(*(told(world, seed * 1024 + i, split, rng) for i in range(count)), strict=True)
    right = {
        name: torch.tensor([values.index(says[name]) if name in says else UNSAID for says in said])
        for name, values in FACTS.items()
    }
    return tokenizer.batch(list(texts)), right


class TextPart(Part):
    """The text encoder as a part of a run."""

    name, unit = "text", "captions"
    adam_only = ("pieces", "places", "out.")

    def __init__(self, options: TrainText, module: Reader) -> None:
        self.options, self.module = options, module
        self.tokenizer = Tokenizer(module.text.config)

    def loss(self, rng: np.random.Generator, progress: float) -> tuple[Tensor, int]:
        """Draw captions; cross-entropy summed over the facts."""
        world, count = self.options.world, self.options.captions
        ids, right = caption_batch(world, int(rng.integers(70_000)), count, self.tokenizer, "train")
        answers = self.module(ids)
        losses = [
            F.cross_entropy(answers[name], right[name], ignore_index=UNSAID) for name in right if _any(right[name])
        ]
        return torch.stack(losses).sum(), len(ids)

    def validate(self) -> dict[str, float]:
        """Share of held-out captions that are understood, per fact."""
        ids, right = caption_batch(self.options.world, 77_000_000, 512, self.tokenizer, "held out")
        found = {name: logits.argmax(-1) == right[name] for name, logits in self.module(ids).items()}
        return {
            name: float(hit[right[name] != UNSAID].float().mean()) for name, hit in found.items() if _any(right[name])
        }

    def strips(self) -> dict[str, Tensor]:
        """There is nothing to see."""
        return {}

    def about(self) -> dict[str, Any]:
        """The encoder's config and the facts."""
        facts = {name: list(values) for name, values in FACTS.items()}
        return {"text": self.module.text.config.to_dict(), "facts": facts}


def _any(right: Tensor) -> bool:
    return bool((right != UNSAID).any())


def main(arguments: list[str] | None = None) -> None:
    """Read the options and run."""
    run_command("text", __doc__, _prepare, arguments, after=_finish)


def _prepare(command: Command) -> TextPart:
    options = command.settings.train.text
    check_world(options.world, "train.text.world")
    torch.manual_seed(options.seed)
    config = replace(command.settings.text, pieces=vocabulary())
    return TextPart(options, Reader(config))


def _finish(run: Run) -> None:
    if run.processes.rank == 0 and isinstance(run.part, TextPart):
        encoder = run.part.module.text
        with run.average.within(run.part.module):
            tensors = {name: value.contiguous() for name, value in encoder.state_dict().items()}
            save_file(tensors, run.out / "text.safetensors")
        log.info("to begin the transformer's run with it: --text %s", run.out / "text.safetensors")


if __name__ == "__main__":
    main()
