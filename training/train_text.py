# SPDX-License-Identifier: GPL-3.0-or-later
"""Teach the text encoder the world's words before the transformer needs them: ``./spacetime train text --minutes 2``.

The encoder learns to tell object, place, motion and camera of a scene from its caption, misspelt ones and Chinese
included. Minutes on one core, where the transformer's own loss takes hours to tell it "left" from "right".
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from ..models.text import TextConfig, TextEncoder, Tokenizer
from .captions import caption, misspell, vocabulary
from .common import Clock, learning_rate, log, start
from .judge import HEADS, truth
from .optim import Optimisers
from .world import draw_scene


class Reader(nn.Module):
    """The text encoder and one linear layer on the pooled text for every fact."""

    def __init__(self) -> None:
        super().__init__()
        self.text = TextEncoder(TextConfig(vocabulary())).initialise()
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


@torch.no_grad()
def accuracy(reader: Reader, tokenizer: Tokenizer) -> dict[str, float]:
    """Share of held-out captions that are understood, per fact."""
    ids, right = caption_batch(77_000_000, 512, tokenizer, "held out")
    return {name: float((logits.argmax(-1) == right[name]).float().mean()) for name, logits in reader(ids).items()}


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/text/text.safetensors"))
    args = parser.parse_args()
    start()
    torch.manual_seed(0)
    reader = Reader()
    tokenizer = Tokenizer(reader.text.config)
    optimisers = Optimisers(reader, ("pieces", "places", "out."), muon_lr=0.01)
    step, clock = 0, Clock(args.minutes)
    while (progress := clock.progress) < 1:
        ids, right = caption_batch(step + 1, 128, tokenizer, "train")
        answers = reader(ids)
        loss = torch.stack([F.cross_entropy(answers[name], right[name]) for name in HEADS]).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        optimisers.step(learning_rate(progress, step, warmup=20))
        step += 1
        if step % 50 == 0:
            log.info("text step %d  %3.0f%%  loss %.4f", step, 100 * progress, loss.item())
    log.info("text step %d  held-out captions understood: %s", step, accuracy(reader, tokenizer))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in reader.text.state_dict().items()}, args.out)


if __name__ == "__main__":
    main()
