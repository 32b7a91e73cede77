# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose latents these are: the VAE that made them, by its fingerprint, and the world that they show.

Shards say so in their metadata, and a transformer's run in its saved steps, so that no transformer is joined with a VAE
that it does not know. Older ones do not say it: what is not known is an empty text, and fits everything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from ..models.int8 import SCALE, pack
from ..models.vae import VideoVAE
from .saves import RunError

ENCODES = ("encoder.", "scale.")  # what latents depend on


def fingerprint(vae: VideoVAE) -> str:
    """Tell VAEs with different latents apart: 16 hex digits, of float32 weights as ``latents.open_vae`` gives them.

    The weights are taken as they are published, in bytes: a run and the checkpoints that were made of it have the same.
    The decoder is left out: it may be trained on alone (``freeze_encoder``), and decodes the latents that there are.
    """
    digest = hashlib.sha256()
    state = {k: v for k, v in vae.state_dict().items() if k.startswith(ENCODES) and v.is_floating_point()}
    for name, value in sorted(pack(state, torch.bfloat16).items()):
        if not name.endswith(SCALE):  # packed once more, a row's scale may end in another bit
            digest.update(name.encode())
            digest.update(value.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Origin:
    """Where latents come from: their VAE's fingerprint, and the world they show; empty where it is not known."""

    vae: str = ""
    world: str = ""

    @classmethod
    def of(cls, metadata: Mapping[str, str] | None) -> Origin:
        """What a shard's metadata say."""
        found = metadata or {}
        return cls(found.get("vae", ""), found.get("world", ""))


def differ(one: str, other: str) -> bool:
    """Whether both are known and not the same."""
    return bool(one and other) and one != other


def check_folder(folder: Path, origin: Origin) -> None:
    """Raise RunError where a folder holds shards of another origin than those that are to be written into it."""
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="pt") as file:
                found = Origin.of(file.metadata())
        except (SafetensorError, OSError):
            continue  # load_latents says that it is damaged
        what = "another VAE" if differ(found.vae, origin.vae) else f"the world {found.world}"
        if differ(found.vae, origin.vae) or differ(found.world, origin.world):
            raise RunError(f"{folder} holds latents of {what} ({path.name}): give another --out, or delete that folder")


def one_vae(folder: Path, *marks: str) -> str:
    """The fingerprint that is known among those of a folder's shards, or "". Raises RunError if there are several."""
    known = {mark for mark in marks if mark}
    if len(known) > 1:
        raise RunError(f"{folder} holds latents of more than one VAE: encode all anew, into another folder")
    return next(iter(known), "")


def check_vae(mark: str, folder: Path, vae: VideoVAE, path: Path) -> None:
    """Raise RunError where latents with the fingerprint ``mark`` were not made by ``vae``, that of ``path``."""
    if differ(mark, fingerprint(vae)):
        raise RunError(
            f"{folder} holds latents of another VAE than that of {path}: "
            f"name the checkpoint that they were encoded with, or encode them anew with --vae {path}"
        )
