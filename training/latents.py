# SPDX-License-Identifier: GPL-3.0-or-later
"""Latents of rendered scenes, made once and kept with their captions: what the transformer trains on.

``./spacetime train latents --out runs/latents`` writes shards, one shape each, with the VAE of ``runs/vae``, or the
shipped one where none was trained; several processes may write into the same folder with different ``--part``. A causal
latent's first frames are the latent of the clip's first frames, so every shard also serves shorter clips and images.

A shard is a safetensors file ``train-*.safetensors`` or ``held-out-*.safetensors``: ``latent`` (N, C, T, h, w),
``cover`` (N, T, h, w) (how much of each position moves, 0..1), ``fps`` (N,), and the metadata ``texts``, JSON: for each
clip {"clip": [captions], "image": [captions of its first frame]}. Where they are known, ``vae`` is the fingerprint of
the VAE (origins.py) and ``world`` what was rendered: a folder of another VAE or world is not added to.
:func:`write_shard` writes a shard from any source.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..models.checkpoint import load_checkpoint
from ..models.vae import TIME, VAEConfig, VideoVAE, to_video
from .common import ROOT, log, start
from .origins import Origin, check_folder, fingerprint, one_vae
from .saves import RunError, facts, latest, load_average
from .worlds import WORLDS, Texts, film

# (width, height, frames, share of the clips): small ones for the beginning of a run, see Stage in settings.py
SHAPES = (
    (160, 160, 17, 2),
    (256, 256, 17, 8),
    (256, 256, 33, 6),
    (352, 192, 17, 1),
    (192, 352, 17, 1),
    (288, 224, 17, 1),
    (224, 288, 17, 1),
    (352, 192, 33, 1),
    (192, 352, 33, 1),
)
RATES = (8.0, 8.0, 8.0, 6.0, 12.0)
SHARD = 64
SHIPPED = ROOT / "weights" / "spacetime-nano.safetensors"


def own_or_shipped(run: Path = Path("runs/vae")) -> Path:
    """The folder of the VAE run, or the shipped checkpoint where none was trained."""
    return run if latest(run) else SHIPPED


def open_vae(path: Path) -> tuple[VideoVAE, int]:
    """The VAE of a checkpoint (.safetensors), or of a run's folder with its averaged weights; and its training steps.

    Raises RunError and CheckpointError.
    """
    if path.is_file():
        checkpoint = load_checkpoint(path)
        return checkpoint.build_vae(), int((checkpoint.info or {}).get("vae_steps", 0))
    if not path.is_dir():
        raise RunError(f"{path} does not exist: give --vae a checkpoint or the folder of a VAE run")
    step = latest(path)
    vae = VideoVAE(VAEConfig.from_dict(facts(step)["vae"]) if step else None)
    return vae, load_average(path, vae)


def encoding_vae(path: Path) -> VideoVAE:
    """The same in bf16, ready to encode."""
    return marked_vae(path)[0]


def marked_vae(path: Path) -> tuple[VideoVAE, str]:
    """The same, and the fingerprint that its latents are marked with."""
    vae = open_vae(path)[0]
    mark = fingerprint(vae)  # of the weights before they are rounded
    return vae.to(torch.bfloat16).to(memory_format=torch.channels_last).eval(), mark  # type: ignore[call-overload]


def write_shard(
    path: Path, latent: Tensor, cover: Tensor, fps: Tensor, texts: list[Texts], origin: Origin | None = None
) -> None:
    """Write a shard, see above; the old file stays until the new one is whole."""
    scratch = path.with_suffix(".tmp")
    tensors = {"latent": latent.contiguous(), "cover": cover.contiguous(), "fps": fps.float()}
    known = {name: value for name, value in asdict(origin or Origin()).items() if value}
    save_file(tensors, scratch, metadata={"texts": json.dumps(texts, ensure_ascii=False), **known})
    scratch.rename(path)


@torch.inference_mode()
def encode_shard(
    vae: VideoVAE, path: Path, origin: Origin, seed: int, width: int, height: int, frames: int, split: str
) -> None:
    """Render and encode SHARD scenes of the origin's world and write them with their captions."""
    latents, covers, rates, texts = [], [], [], []
    for i in range(SHARD):
        rate = RATES[np.random.default_rng([seed, i]).integers(len(RATES))]
        clip = film(origin.world, seed + i, split, width, height, frames, rate)
        latents.append(vae.encode(to_video(clip.video).to(torch.bfloat16)))
        covers.append(latent_cover(torch.from_numpy(clip.cover)))
        rates.append(rate)
        texts.append(clip.texts)
    write_shard(path, torch.cat(latents), torch.stack(covers), torch.tensor(rates), texts, origin)


def latent_cover(cover: Tensor) -> Tensor:
    """Average a sprite's coverage (F, H, W) uint8 over each latent position: (T, H/16, W/16) bf16 in 0..1."""
    x = cover[:, None].float() / 255
    x = F.avg_pool2d(x, 16)[:, 0]
    rest = x[1:].unflatten(0, (-1, TIME)).mean(1)
    return torch.cat([x[:1], rest]).to(torch.bfloat16)


@dataclass
class Clips:
    """All clips of one shape; they stay in their files, which the processes of a machine share in memory."""

    files: list[Any] = field(default_factory=list)
    places: list[tuple[int, int]] = field(default_factory=list)  # of each clip: file, row
    texts: list[Texts] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    vae: str = ""  # the fingerprint of the one that made them, where a file says it

    def __len__(self) -> int:
        return len(self.places)

    @property
    def fps(self) -> NDArray[np.float64]:
        """Frames per second of each clip."""
        return np.array(self.rates)

    def read(self, index: int, frames: int) -> tuple[Tensor, Tensor]:
        """A clip's first latent frames (C, frames, h, w), and what moves in them (frames, h, w)."""
        file, row = self.places[index]
        return (
            self.files[file].get_slice("latent")[row, :, :frames],
            self.files[file].get_slice("cover")[row, :frames],
        )


def load_latents(folder: Path, split: str) -> dict[tuple[int, int, int], Clips]:
    """Open all shards: {(latent frames, height, width): clips}. A damaged file is reported and left out.

    Raises RunError when there is none, or when the files say that several VAEs made them.
    """
    found: dict[tuple[int, int, int], Clips] = {}
    for path in sorted(folder.glob(f"{split.replace(' ', '-')}-*.safetensors")):
        try:
            file = safe_open(path, framework="pt")
            metadata = file.metadata() or {}
            texts, mark = json.loads(metadata["texts"]), Origin.of(metadata).vae
            shape, rates = tuple(file.get_slice("latent").get_shape()), file.get_tensor("fps").tolist()
        except KeyError as error:
            log.warning("%s left out: it has no %s; encode it again with this version", path.name, error)
            continue
        except (SafetensorError, OSError, ValueError) as error:
            log.warning("%s left out: it is damaged (%s)", path.name, error)
            continue
        clips = found.setdefault((shape[2], shape[3], shape[4]), Clips())
        clips.places += [(len(clips.files), row) for row in range(shape[0])]
        clips.files.append(file)
        clips.texts += texts
        clips.rates += rates
        clips.vae = one_vae(folder, clips.vae, mark)
    if not found:
        raise RunError(f"{folder} holds no {split} latents: make some with ./spacetime train latents")
    vae_of(folder, found)
    return found


def vae_of(folder: Path, clips: Mapping[tuple[int, int, int], Clips]) -> str:
    """The fingerprint of the VAE that made a folder's clips, or "". Raises RunError if there are several."""
    return one_vae(folder, *(some.vae for some in clips.values()))


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vae", type=Path, default=own_or_shipped(), help="a checkpoint, or the folder of a VAE run")
    parser.add_argument("--out", type=Path, default=Path("runs/latents"))
    parser.add_argument("--world", default="nano", choices=WORLDS, help="what is rendered")
    parser.add_argument("--split", default="train")
    parser.add_argument("--first", type=int, default=0, help="number of the first shard")
    parser.add_argument("--shards", type=int, default=100)
    parser.add_argument("--part", default="0/1", help="which of several processes this is")
    args = parser.parse_args()
    start()
    cv2.setNumThreads(1)
    part, parts = map(int, args.part.split("/"))
    try:
        vae, mark = marked_vae(args.vae)
        origin = Origin(mark, args.world)
        check_folder(args.out, origin)
    except ValueError as error:
        sys.exit(f"spacetime: {error}")
    log.info("encoding with the VAE of %s", args.vae)
    args.out.mkdir(parents=True, exist_ok=True)
    odds = np.array([s[3] for s in SHAPES], float)
    base = 100_000_000 if args.split == "train" else 900_000_000
    for n in range(args.first + part, args.first + args.shards, parts):
        width, height, frames, _ = SHAPES[np.random.default_rng([n, 5]).choice(len(SHAPES), p=odds / odds.sum())]
        path = args.out / f"{args.split.replace(' ', '-')}-{n:05d}.safetensors"
        if path.exists():
            continue
        encode_shard(vae, path, origin, base + n * SHARD, width, height, frames, args.split)
        if n % 10 == 0:
            log.info("shard %d: %d x %d, %d frames", n, width, height, frames)


if __name__ == "__main__":
    main()
