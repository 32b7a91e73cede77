# SPDX-License-Identifier: GPL-3.0-or-later
"""Join a VAE and the averaged weights of a transformer run into one checkpoint that the nodes load.

``./spacetime train publish --dit runs/dit``; the VAE is that of ``runs/vae``, or the shipped one where none was
trained. It must be the one whose latents the transformer learnt. ``--mix FILE SHARE`` takes only that share (0..1) of
the run's weights, and the rest from the checkpoint that the run began with: a mean of both is often better than either
(model soups, Wortsman et al. 2022, arXiv:2203.05482).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..models.checkpoint import load_checkpoint, save_checkpoint
from ..models.dit import DiTConfig
from ..models.text import TextConfig, Tokenizer
from ..models.vae import VideoVAE
from .common import log
from .generator import Generator
from .latents import open_vae, own_or_shipped
from .origins import differ, fingerprint
from .saves import RunError, facts, latest, load_average
from .train_dit import Trained, published


def averaged(run: Path) -> tuple[Trained, dict[str, Any]]:
    """The averaged weights of a transformer's run at its last saved step, and what a checkpoint says about them.

    Raises RunError.
    """
    step = latest(run)
    if step is None:
        raise RunError(f"{run} holds no saved step: train one with ./spacetime train dit --out {run}")
    about = facts(step)
    model = Trained(DiTConfig(**about["dit"]), TextConfig.from_dict(about["text"]))
    return model, {"dit_steps": load_average(run, model), "world": about.get("world", "nano")}


def mix(model: Trained, other: nn.Module, share: float, name: str) -> None:
    """Leave ``share`` (0..1) of a model's weights, and take the rest from ``other``, that of the file ``name``.

    Raises RunError for another share and where the networks are not of one size.
    """
    if not 0 <= share <= 1:
        raise RunError(f"--mix {name} {share:g}: the share must be from 0 to 1")
    begun, state = other.state_dict(), model.state_dict()
    if {k: v.shape for k, v in begun.items()} != {k: v.shape for k, v in state.items()}:
        raise RunError(f"{name} has networks of another size than the run: only weights of the same size can be mixed")
    model.load_state_dict({k: torch.lerp(begun[k].to(v), v, share) for k, v in state.items()})


def check_match(run: Path, vae: VideoVAE, path: Path) -> None:
    """Raise RunError where a transformer's run is known to have learnt on latents of another VAE than that of ``path``.

    ``vae`` has its float32 weights.
    """
    step = latest(run)
    if step is not None and differ(facts(step).get("latents_vae", ""), fingerprint(vae)):
        raise RunError(
            f"{run} learnt on latents of another VAE than that of {path}: give the --vae that they were encoded with"
        )


def generator(run: Path, checkpoint: Path) -> Generator:
    """The averaged weights of a transformer's run, with the VAE of a checkpoint, to make clips.

    Raises RunError, also where they do not match.
    """
    model, _ = averaged(run)
    dit, text = (part.to(torch.bfloat16).eval() for part in (model.dit, model.text))
    vae = load_checkpoint(checkpoint).build_vae()
    check_match(run, vae, checkpoint)
    return Generator(dit, vae.to(torch.bfloat16), Tokenizer(model.text.config), text)


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vae", type=Path, default=own_or_shipped(), help="a checkpoint, or the folder of a VAE run")
    parser.add_argument("--dit", type=Path, default=Path("runs/dit"))
    parser.add_argument("--out", type=Path, default=Path("weights/spacetime-nano.safetensors"))
    parser.add_argument("--mix", nargs=2, metavar=("FILE", "SHARE"), help="only a share (0..1) of the run's weights")
    args = parser.parse_args()
    log.setLevel("INFO")
    try:
        vae, vae_steps = open_vae(args.vae)
        model, trained = averaged(args.dit)
        check_match(args.dit, vae, args.vae)
        if args.mix:
            mix(model, published(Path(args.mix[0])), float(args.mix[1]), args.mix[0])
    except ValueError as error:
        sys.exit(f"spacetime: {error}")
    info = {"name": args.out.stem, "vae_steps": vae_steps, **trained, "licence": "GPL-3.0-or-later"}
    save_checkpoint(args.out, model.dit, vae, model.text, info)
    load_checkpoint(args.out)
    log.info("%s: %.1f MiB", args.out, args.out.stat().st_size / 2**20)


if __name__ == "__main__":
    main()
