# SPDX-License-Identifier: GPL-3.0-or-later
"""Train the captioner on encoded clips and their captions: ``./spacetime train caption --minutes 30``.

It learns to write what the latents' captions say, so it speaks as the transformer was taught. ``--set checkpoint=...``
names the VAE whose latents they are. The averaged weights are written to ``captioner.safetensors`` in ``--out``, which
Caption Video finds in ComfyUI's folder models/captioners.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..language.tokens import HAN
from ..models.captioner import LANGUAGES, Captioner, CaptionerConfig, frame_times
from ..models.captioner_file import load_captioner, probe_frames, save_captioner
from ..models.text import PAD, TextConfig, Tokenizer
from ..models.vae import TIME
from .command import Command, run_command
from .common import log
from .facts import READ, agreed, right
from .footage.encode import encode
from .latents import Clips, load_latents, open_vae, vae_of
from .origins import check_vae, one_vae
from .parallel import Processes
from .run import Part, Run
from .saves import RunError
from .scenes.words.vocabulary import vocabulary
from .settings import TrainCaption
from .worlds import check_world

UNSAID = -100  # what cross_entropy ignores
CHINESE = re.compile(f"[{HAN}]")
TOLD = 48  # held-out clips whose captions are written by a validation
SCORED = 256  # held-out clips whose captions' likelihood is measured
FILE = "captioner.safetensors"


class CaptionPart(Part):
    """The captioner as a part of a run."""

    name, unit = "caption", "clips"
    adam_only: tuple[str, ...] = ("pieces", "begin", "places", "where", "stem", "speak")

    def __init__(
        self, options: TrainCaption, module: Captioner, probe: Tensor, processes: Processes | None = None
    ) -> None:
        """``probe`` is what the VAE makes of the test picture.

        Raises RunError when there are no latents, or when they have other channels than the captioner.
        """
        self.options, self.module, self.probe = options, module, probe
        self.device = (processes or Processes()).device
        self.tokenizer = Tokenizer(TextConfig(pieces=module.config.pieces, length=module.config.length))
        folder = Path(options.latents)
        self.clips = load_latents(folder, "train")
        held_out = any(folder.glob("held-out-*.safetensors"))
        self.held_out = load_latents(folder, "held out") if held_out else self.clips
        self.latents_vae = one_vae(folder, vae_of(folder, self.clips), vae_of(folder, self.held_out))
        channels = next(iter(self.clips.values())).read(0, 1)[0].shape[0]
        if channels != module.config.channels:
            raise RunError(
                f"{folder} holds latents with {channels} channels, the VAE of {options.checkpoint} has "
                f"{module.config.channels}: "
                "set checkpoint=... to the one that they were encoded with"
            )

    def loss(self, rng: np.random.Generator, progress: float) -> tuple[Tensor, int]:
        """Draw clips of one shape and frame rate; cross-entropy of their captions."""
        options = self.options
        shapes = sorted(self.clips)
        counts = np.array([len(self.clips[s]) for s in shapes], float)
        shape = shapes[int(rng.choice(len(shapes), p=counts / counts.sum()))]
        clips = self.clips[shape]
        fps = float(clips.rates[int(rng.integers(len(clips)))])
        chosen = rng.choice(np.flatnonzero(clips.fps == fps), options.clips)
        image = rng.random() < options.images
        frames = 1 if image else int(rng.choice([shape[0], max(1, shape[0] - int(rng.integers(3)))]))
        x = torch.stack([clips.read(int(i), frames)[0] for i in chosen]).float()
        x = cropped(x, rng, options.crop).to(self.device)
        x = x + float(rng.uniform(0, options.noise)) * torch.randn_like(x)
        told = [self.captions(clips, int(i), image, rng) for i in chosen]
        seconds = frame_times(frames, fps, TIME).expand(len(x), -1).to(self.device)
        return self.wrong(x, seconds, [text for texts in told for text in texts]), len(x)

    def wrong(self, x: Tensor, seconds: Tensor, texts: Sequence[str]) -> Tensor:
        """Mean cross-entropy of the pieces of captions, as many of each clip of ``x`` after the other."""
        ids = self.tokenizer.batch(list(texts))
        ids = ids[:, : int((ids != PAD).sum(1).max())].to(self.device)
        language = torch.tensor([int(is_chinese(text)) for text in texts], device=self.device)
        with torch.autocast(x.device.type, torch.bfloat16):
            logits = self.module(self.module.look(x, seconds), ids, language)
        following = F.pad(ids, (0, 1), value=PAD)
        said = F.pad(ids != PAD, (1, 0), value=True)  # every piece, and the end behind the last
        return F.cross_entropy(logits.float().flatten(0, 1), following.masked_fill(~said, UNSAID).flatten())

    def captions(self, clips: Clips, index: int, image: bool, rng: np.random.Generator) -> list[str]:
        """Some captions of a clip, in one language: of its first frame where ``image``, else of all of it."""
        texts = clips.texts[index]
        options = (texts.get("image") if image else None) or texts["clip"]
        return choose(options, self.options.captions, rng, self.options.chinese, self.options.dense)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Cross-entropy of held-out captions and, of the nano world, the share of facts told right."""
        losses, hits = [], {name: [0, 0] for name in READ}
        for shape, clips in sorted(self.held_out.items()):
            for first in range(0, min(len(clips), SCORED), 16):
                rows = range(first, min(first + 16, len(clips)))
                x = torch.stack([clips.read(i, shape[0])[0] for i in rows]).float().to(self.device)
                times = [frame_times(shape[0], clips.rates[i], TIME) for i in rows]
                texts = [longest(clips.texts[i]["clip"]) for i in rows]
                losses.append(float(self.wrong(x, torch.cat(times).to(self.device), texts)))
            if self.options.world == "nano":
                for i in range(min(len(clips), TOLD)):
                    x = clips.read(i, shape[0])[0][None].float().to(self.device)
                    seconds = frame_times(shape[0], clips.rates[i], TIME).to(self.device)
                    known = agreed(clips.texts[i]["clip"])
                    if "contradiction" in known.values():  # two things are named
                        continue
                    told = self.module.write(x, seconds, beams=1)
                    for name, hit in right(told, known).items():
                        hits[name][0] += hit
                        hits[name][1] += 1
        shares = {name: hit / count for name, (hit, count) in hits.items() if count}
        return {"held out": float(np.mean(losses)), **shares}

    def strips(self) -> dict[str, Tensor]:
        """There is nothing to see."""
        return {}

    def about(self) -> dict[str, Any]:
        """The captioner's config, and the world whose words it writes."""
        return {"captioner": self.module.config.to_dict(), "world": self.options.world}


def is_chinese(text: str) -> bool:
    """Whether a caption is written in Chinese."""
    return CHINESE.search(text) is not None


def longest(texts: Sequence[str]) -> str:
    """The English caption that says most, or any where none is English."""
    return max([text for text in texts if not is_chinese(text)] or list(texts), key=len)


def choose(texts: Sequence[str], count: int, rng: np.random.Generator, chinese: float, dense: bool) -> list[str]:
    """Draw ``count`` captions of one language; where ``dense`` from the longer half of them."""
    wanted = rng.random() < chinese
    kept = [text for text in texts if is_chinese(text) == wanted] or list(texts)
    if dense:
        kept = sorted(kept, key=len)[len(kept) // 2 :]
    return [kept[int(rng.integers(len(kept)))] for _ in range(count)]


def cropped(x: Tensor, rng: np.random.Generator, smallest: float) -> Tensor:
    """Cut a random window of at least the share ``smallest`` of each side out of latents (B, C, T, h, w)."""
    for axis in (3, 4):
        size = x.shape[axis]
        keep = int(rng.integers(max(1, round(smallest * size)), size + 1))
        x = x.narrow(axis, int(rng.integers(size - keep + 1)), keep)
    return x


def main(arguments: list[str] | None = None) -> None:
    """Read the options and run."""
    run_command("caption", __doc__, _prepare, arguments, after=publish)


def _prepare(command: Command) -> CaptionPart:
    options = command.settings.train.caption
    check_world(options.world, "train.caption.world")
    torch.manual_seed(options.seed)
    vae = open_vae(Path(options.checkpoint))[0].eval()
    config: CaptionerConfig = replace(command.settings.captioner, pieces=vocabulary(), channels=vae.config.channels)
    module = Captioner(config).initialise()
    if command.start_from is not None:
        started = load_captioner(command.start_from).captioner
        if started.config != config:
            raise RunError(f"{command.start_from} is a captioner of other sizes or words than this config's")
        module.load_state_dict(started.state_dict())
    part = CaptionPart(options, module, encode(vae, probe_frames()), command.processes)
    check_vae(part.latents_vae, Path(options.latents), vae, Path(options.checkpoint))
    return part


def publish(run: Run) -> None:
    """Write the averaged weights with the test picture's latent, and say where they are."""
    if run.processes.rank or not isinstance(run.part, CaptionPart):
        return
    options = run.part.options
    info = {
        "vae": Path(options.checkpoint).stem, "world": options.world, "languages": list(LANGUAGES), "steps": run.step,
        "licence": "GPL-3.0-or-later",
    }  # fmt: skip
    with run.average.within(run.part.module):
        save_captioner(run.out / FILE, run.part.module, run.part.probe, info)
    size = (run.out / FILE).stat().st_size / 2**20
    log.info("%s: %.1f MiB", run.out / FILE, size)


if __name__ == "__main__":
    main()
