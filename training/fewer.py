# SPDX-License-Identifier: GPL-3.0-or-later
"""Cut the latents of a checkpoint to fewer channels, to go on training its VAE and transformer with them.

``./spacetime train fewer --start-from MANY.safetensors --channels 16 --out FEWER.safetensors``

The channels that stay are the directions in which latents differ most, each channel weighted by how much the decoded
picture changes with it: principal components of the weighted latents, scaled to a variance of 1. They go into the
last layer of the encoder, the first of the decoder, and the first and last of the transformer; no other changes.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ..models.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from ..models.dit import PATCH, SpacetimeDiT
from ..models.vae import VideoVAE
from .common import log, start
from .latents import load_latents, vae_of
from .origins import check_vae
from .saves import RunError
from .train_dit import published

NUDGE = 0.3  # added to a channel to see what it changes
CLIPS = 64  # latents that are looked at
NUDGED = 4  # of them, decoded once for each channel


@dataclass(frozen=True)
class Cut:
    """Fewer channels z of latents x: z = down (x - middle), x is about middle + up z.

    ``down`` is (fewer, many), ``up`` (many, fewer), ``middle`` (many,), all float64.
    """

    down: Tensor
    up: Tensor
    middle: Tensor

    @classmethod
    def of(cls, latents: Tensor, weight: Tensor, channels: int) -> Cut:
        """The ``channels`` first weighted principal components of latents (many, N); ``weight`` (many,) is above 0."""
        middle = latents.double().mean(1)
        weight = weight.double() / weight.double().mean()
        x = (latents.double() - middle[:, None]) * weight[:, None]
        variance, axes = torch.linalg.eigh(x @ x.T / x.shape[1])
        variance, axes = variance.flip(0)[:channels].clamp(min=1e-12), axes.flip(1)[:, :channels]
        return cls((axes.T * weight) / variance.sqrt()[:, None], axes * variance.sqrt() / weight[:, None], middle)


@torch.inference_mode()
def seen(vae: VideoVAE, latents: Tensor) -> Tensor:
    """How much a picture changes with each channel of latents (B, C, T, h, w): (C,), root mean square in -1..1."""
    still = vae.decode(latents)
    out = []
    for channel in range(latents.shape[1]):
        nudged = latents.clone()
        nudged[:, channel] += NUDGE
        out.append((vae.decode(nudged) - still).float().square().mean().sqrt() / NUDGE)
    return torch.stack(out)


@torch.no_grad()
def cut_vae(vae: VideoVAE, cut: Cut) -> VideoVAE:
    """The VAE with the channels of ``cut``; its latents are those of ``vae``, cut."""
    smaller = VideoVAE(replace(vae.config, channels=len(cut.down)))
    state, have = smaller.state_dict(), vae.state_dict()
    state.update({name: value for name, value in have.items() if state[name].shape == value.shape})
    spread = (vae.scale.running_var.double() + vae.scale.eps).sqrt()  # type: ignore[union-attr, operator]
    middle = vae.scale.running_mean.double() + spread * cut.middle  # type: ignore[union-attr]
    down = cut.down / spread
    weight, bias = have["encoder.project.weight"].double(), have["encoder.project.bias"].double()
    state["encoder.project.weight"] = (down @ weight[:, :, 0, 0])[:, :, None, None].float()
    state["encoder.project.bias"] = (down @ (bias - middle)).float()
    weight, bias = have["decoder.project.weight"].double(), have["decoder.project.bias"].double()
    state["decoder.project.weight"] = torch.einsum("ochw,ck->okhw", weight, cut.up).float()
    state["decoder.project.bias"] = (bias + torch.einsum("ochw,c->o", weight, cut.middle)).float()
    smaller.load_state_dict(state)
    return smaller.eval()


@torch.no_grad()
def cut_dit(dit: SpacetimeDiT, cut: Cut) -> SpacetimeDiT:
    """The transformer for latents with the channels of ``cut``.

    It reads ``up z`` and its velocity is cut as latents are, so it has to be trained on: noise of variance 1 in the
    fewer channels is other noise than it knows.
    """
    channels, dim = len(cut.down), dit.config.dim
    smaller = SpacetimeDiT(replace(dit.config, channels=channels))
    state, have = smaller.state_dict(), dit.state_dict()
    state.update({name: value for name, value in have.items() if state[name].shape == value.shape})
    read = have["embed.weight"].double().unflatten(1, (-1, PATCH**2))
    state["embed.weight"] = torch.einsum("dcp,ck->dkp", read, cut.up).reshape(dim, -1).float()
    head = have["head.weight"].double().unflatten(0, (-1, PATCH**2))
    state["head.weight"] = torch.einsum("kc,cpd->kpd", cut.down, head).reshape(-1, dim).float()
    state["head.bias"] = (cut.down @ have["head.bias"].double().unflatten(0, (-1, PATCH**2))).flatten().float()
    smaller.load_state_dict(state)
    return smaller


def fewer(path: Path, folder: Path, channels: int, out: Path) -> None:
    """Write the checkpoint ``path`` with fewer latent channels to ``out``; ``folder`` holds its latents.

    Raises CheckpointError, RunError.
    """
    checkpoint, model = load_checkpoint(path), published(path)
    vae = checkpoint.build_vae()
    found = load_latents(folder, "train")
    check_vae(vae_of(folder, found), folder, vae, path)
    clips = max(found.values(), key=len)
    latents = torch.stack([clips.read(i, 5)[0] for i in range(min(len(clips), CLIPS))]).float()
    if latents.shape[1] != vae.config.channels or not 0 < channels < vae.config.channels:
        raise RunError(
            f"{folder} holds latents with {latents.shape[1]} channels and {path.name} makes {vae.config.channels}: "
            f"they must be the same, and --channels {channels} fewer"
        )
    weight = seen(vae, latents[:NUDGED])
    cut = Cut.of(latents.transpose(0, 1).flatten(1), weight, channels)
    save_checkpoint(out, cut_dit(model.dit, cut), cut_vae(vae, cut), model.text, checkpoint.info)
    log.info("%s: %d of %d latent channels", out, channels, vae.config.channels)


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--start-from", type=Path, default=Path("weights/spacetime-nano.safetensors"))
    parser.add_argument("--latents", type=Path, default=Path("runs/latents"), help="latents of its VAE")
    parser.add_argument("--channels", type=int, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/fewer.safetensors"))
    args = parser.parse_args()
    start()
    try:
        fewer(args.start_from, args.latents, args.channels, args.out)
    except (CheckpointError, RunError) as error:
        sys.exit(f"spacetime: {error}")


if __name__ == "__main__":
    main()
