# SPDX-License-Identifier: GPL-3.0-or-later
"""Train transformer and text encoder on encoded clips: ``./spacetime train dit --config nano --set minutes=60``.

The loop itself is in run.py, the batches are in batches.py, the noise plan is in noise.py, and all that concerns
several processes in parallel.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ..models.checkpoint import CheckpointError, load_checkpoint
from ..models.dit import DiTConfig, SpacetimeDiT, fused_attention
from ..models.flow import add_noise
from ..models.text import TextConfig, TextEncoder, Tokenizer
from .attention import plain_attention
from .batches import Batch, Batches, Shape
from .command import Command, run_command
from .common import log
from .grow import grow
from .latents import Clips, load_latents, vae_of
from .noise import Plan
from .origins import differ, one_vae
from .parallel import Processes
from .run import Part
from .samples import film_strips
from .saves import RunError, facts, latest
from .scenes.words.vocabulary import vocabulary
from .settings import SettingError, Settings, TrainDiT
from .worlds import check_world

REFRESH = 300  # seconds after which a run by the clock looks for new shards
LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)  # noise levels of the validation


class Trained(nn.Module):
    """What the run trains: transformer and text encoder together."""

    def __init__(self, dit: DiTConfig, text: TextConfig) -> None:
        super().__init__()
        self.dit = SpacetimeDiT(dit).initialise()
        self.text = TextEncoder(text).initialise()

    def forward(self, x: Tensor, t: Tensor, ids: Tensor, fps: float) -> Tensor:
        """Predict the velocity of noisy latents from piece ids."""
        attention = plain_attention if x.device.type == "cpu" else fused_attention
        return self.dit(x, t, self.text(ids), fps, attention=attention)


def flow_loss(model: nn.Module, batch: Batch) -> Tensor:
    """Weighted squared error of the velocity over the positions that are not known."""
    x, told = batch.x, batch.plan.told
    noise = torch.randn_like(x)
    with torch.autocast(x.device.type, torch.bfloat16):
        timestep = told if told.shape[-1] > 1 else told[:, 0, :, 0, 0]
        v = model(add_noise(x, noise, batch.plan.level), timestep, batch.ids, batch.fps)
    error = (v.float() - (noise - x)).square().mean(1, keepdim=True)
    unknown = (batch.plan.unknown * batch.weight).expand_as(error)
    return (error * unknown).sum() / unknown.sum().clamp(min=1)


class DiTPart(Part):
    """Transformer and text encoder as a part of a run."""

    name, unit = "dit", "tokens"
    adam_only: tuple[str, ...] = ("embed", "head", "pieces", "places", "where", "condition", "modulate_block")

    def __init__(self, options: TrainDiT, module: Trained, processes: Processes | None = None) -> None:
        """Raises RunError when there are no latents, or of two VAEs; without held-out ones trained ones are scored."""
        self.options, self.module = options, module
        self.device = (processes or Processes()).device
        self.networks = {"dit": module.dit.config.to_dict(), "text": module.text.config.to_dict()}
        folder, tokenizer = Path(self.options.latents), Tokenizer(module.text.config)
        make = partial(Batches, tokenizer=tokenizer, options=self.options, dim=module.dit.config.dim)
        self.latents_vae = ""  # the fingerprint of the VAE that made the latents, if they say it
        self.batches = make(self._open("train"))
        for word in self.batches.unknown_focus():
            log.warning("focus.%s: no caption in %s has this word", word, folder)
        held_out = any(folder.glob("held-out-*.safetensors"))
        if not held_out:
            log.info("%s holds no held-out latents: the validation is on trained clips", folder)
        self.held_out = make(self._open("held out" if held_out else "train"))
        self.refreshed = time.monotonic()

    def _open(self, split: str) -> dict[Shape, Clips]:
        folder = Path(self.options.latents)
        clips = load_latents(folder, split)
        self.latents_vae = one_vae(folder, self.latents_vae, vae_of(folder, clips))
        return clips

    def loss(self, rng: np.random.Generator, progress: float) -> tuple[Tensor, int]:
        """Draw a batch and return its loss and its number of tokens."""
        if not self.options.steps and time.monotonic() - self.refreshed > REFRESH:  # shards may still be arriving
            self.batches.open(self._open("train"))
            self.refreshed = time.monotonic()
        batch = self.batches.draw(rng, progress).to(self.device)
        return flow_loss(self.module, batch), batch.tokens

    def validate(self, clips: int = 24) -> dict[str, float]:
        """Mean squared error of the velocity on held-out clips, everywhere, and at each noise level."""
        scores = {f"validation {level:g}": error for level, error in self.errors(clips).items()}
        return {"validation": float(np.mean(list(scores.values()))), **scores}

    def errors(self, clips: int, weigh: Callable[[Tensor], Tensor] = torch.ones_like) -> dict[float, float]:
        """Squared error of the velocity on held-out clips, whole, at each of LEVELS with fixed noises.

        ``weigh`` makes the weights of how much moves, both (B, 1, T, h, w).
        """
        data, frames = self._scored()
        fps = data.rates[0]
        chosen = np.flatnonzero(data.fps == fps)[:clips]
        latents, covers = zip(*(data.read(int(i), frames) for i in chosen), strict=True)
        x, weight = torch.stack(latents).float(), weigh(torch.stack(covers)[:, None]).float()
        ids = self.held_out.tokenizer.batch([data.texts[i]["clip"][0] for i in chosen])
        scores = {}
        for k, level in enumerate(LEVELS):
            torch.manual_seed(k)
            t = torch.full((len(x), 1, frames, 1, 1), level)
            scores[level] = float(flow_loss(self.module, Batch(x, weight, Plan(t, t), ids, fps).to(self.device)))
        return scores

    def _scored(self) -> tuple[Clips, int]:
        """The held-out clips of about 17 frames that are largest, and how many latent frames they have."""
        shape = min(self.held_out.clips, key=lambda s: (abs(s[0] - 5), -s[1] * s[2]))
        return self.held_out.clips[shape], shape[0]

    def strips(self) -> dict[str, Tensor]:
        """Clips for two held-out captions, if the checkpoint whose VAE decodes them is there."""
        prompts = [texts["clip"][0] for texts in self._scored()[0].texts[:2]]
        return film_strips(self.module, self.held_out.tokenizer, prompts, Path(self.options.samples), self.device)

    def about(self) -> dict[str, Any]:
        """The networks' configs, the world whose words the text encoder knows, and the VAE of the latents."""
        return {**self.networks, "world": self.options.world, "latents_vae": self.latents_vae}

    def goes_on_from(self, about: dict[str, Any], out: Path) -> None:
        """As of any run; and the latents must be of the same VAE, where that is known of both."""
        before = about.get("latents_vae", "")
        if differ(before, self.latents_vae):
            raise RunError(
                f"{out} learnt on latents of another VAE than those in {self.options.latents}: "
                "give another --out, or --set latents=... to those it began with"
            )
        self.latents_vae = self.latents_vae or before
        super().goes_on_from({**about, "latents_vae": self.latents_vae}, out)


def published(path: Path) -> Trained:
    """The networks of a published checkpoint, to train on; the optimisers' state is not in it.

    Raises CheckpointError when it holds no text encoder.
    """
    checkpoint = load_checkpoint(path)
    if checkpoint.text_config is None or checkpoint.text is None:
        raise CheckpointError(f"{path} holds no text encoder: start from a complete checkpoint")
    model = Trained(checkpoint.dit_config, checkpoint.text_config)
    model.dit.load_state_dict(checkpoint.dit)
    model.text.load_state_dict(checkpoint.text)
    return model


def with_channels(model: Trained, config: DiTConfig, name: str) -> Trained:
    """A transformer for latents with more channels that begins as ``model``. Raises SettingError where more differs."""
    if replace(model.dit.config, channels=config.channels) != config:
        raise SettingError(f"{name} is of another size than this config's transformer: give its --config")
    wider = Trained(config, model.text.config)
    grow(wider.dit, model.dit.state_dict(), name)
    wider.text.load_state_dict(model.text.state_dict())
    return wider


def build(settings: Settings, out: Path, start_from: Path | None = None, text: Path | None = None) -> Trained:
    """The networks as a run begins: of its saved steps, of a published checkpoint, or new with the scenes' words."""
    step = latest(out)
    if step is not None:
        saved = TextConfig.from_dict(facts(step)["text"])
        return Trained(settings.dit, replace(settings.text, pieces=saved.pieces))
    if start_from is not None:
        model = published(start_from)
        if model.dit.config != settings.dit:
            model = with_channels(model, settings.dit, start_from.name)
        return model if text is None else with_text(model, settings, text)
    check_world(settings.train.dit.world, "train.dit.world")
    torch.manual_seed(settings.train.dit.seed)
    model = Trained(settings.dit, replace(settings.text, pieces=vocabulary()))
    return model if text is None else with_text(model, settings, text)


def with_text(model: Trained, settings: Settings, text: Path) -> Trained:
    """A transformer with the text encoder that train text wrote, which may know other words. Raises SettingError."""
    check_world(settings.train.dit.world, "train.dit.world")
    taught = Trained(model.dit.config, replace(settings.text, pieces=vocabulary()))
    taught.dit.load_state_dict(model.dit.state_dict())
    try:
        taught.text.load_state_dict(load_file(text))
    except (RuntimeError, OSError, SafetensorError) as error:
        raise SettingError(
            f"{text} is no text encoder of the scene world and {settings.text.length} pieces; "
            "give train text and train dit the same --config and --set text.length=..."
        ) from error
    return taught


def main(arguments: list[str] | None = None) -> None:
    """Read the options and run."""
    run_command("dit", __doc__, _prepare, arguments)


def _prepare(command: Command) -> Part:
    module = build(command.settings, command.out, command.start_from, command.text)
    module.text.requires_grad_(not command.settings.train.dit.freeze_text)
    return DiTPart(command.settings.train.dit, module, command.processes)


if __name__ == "__main__":
    main()
