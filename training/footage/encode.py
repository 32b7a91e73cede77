# SPDX-License-Identifier: GPL-3.0-or-later
"""Encode a folder of videos into latents that the transformer trains on: ``./spacetime train footage FOLDER``.

Videos with captions (clip.txt beside clip.mp4, or lines {"file": "clip.mp4", "caption": "..."} in any .jsonl) are cut
at scene changes into clips of legal length at their native size and frame rate; what is damaged, static, black,
blurred, overlaid with text or there already is left out. OUT/footage.txt says what became of every file. A run that was
stopped goes on when the same command is given again.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np
import torch
from torch import Tensor

from ...models.vae import TIME, VideoVAE, to_video
from ..common import log, start
from ..latents import SHARD, SHIPPED, Texts, latent_cover, marked_vae, write_shard
from ..origins import Origin, check_folder
from .clips import Clip, Options, read_clips
from .filters import FILTERS
from .hashes import Index
from .listing import FootageError, Video, list_folder
from .report import FileLine, Report
from .sheet import Sheet

CHUNK = 2 * TIME  # frames encoded at once
MOVES = 12  # of 255: a pixel that changes by so much from one frame to the next moves


@torch.inference_mode()
def encode(vae: VideoVAE, frames: np.ndarray) -> Tensor:
    """Encode a clip (F, H, W, 3) uint8, F = 4k + 1, chunk by chunk: (1, C, k + 1, H/16, W/16) bf16."""
    parts, state = [], None
    bounds = [0, *range(1 + CHUNK, len(frames), CHUNK), len(frames)]
    for begin, end in pairwise(bounds):
        x = to_video(frames[begin:end])
        latent, state = vae.encode_chunk(x.to(next(vae.parameters()).dtype), state)
        parts.append(latent)
    return torch.cat(parts, 2).to(torch.bfloat16)


def moving(frames: np.ndarray) -> Tensor:
    """How much of each latent position moves: (T, H/16, W/16) bf16 in 0..1, of a clip (F, H, W, 3) uint8."""
    cover = np.zeros(frames.shape[:3], np.uint8)
    for i in range(1, len(frames)):
        cover[i] = 255 * (cv2.absdiff(frames[i], frames[i - 1]).max(-1) > MOVES).astype(np.uint8)
    cover[0] = cover[1] if len(frames) > 1 else 0
    return latent_cover(torch.from_numpy(cover))


@dataclass
class Pile:
    """Encoded clips of one shape and file that wait for their shard."""

    latents: list[Tensor] = field(default_factory=list)
    covers: list[Tensor] = field(default_factory=list)
    texts: list[Texts] = field(default_factory=list)
    written: int = 0


class Shards:
    """Writes the clips of one video: a shard for every shape, of at most SHARD clips."""

    def __init__(self, folder: Path, video: Video, split: str, origin: Origin) -> None:
        self.folder, self.origin = folder, origin
        self.prefix = f"{split}-footage-{crc32(video.name.encode()):08x}"
        self.piles: dict[tuple[int, ...], Pile] = {}
        for old in folder.glob(f"*-footage-{crc32(video.name.encode()):08x}-*.safetensors"):
            old.unlink()  # of an interrupted run, or of the file before it changed

    def add(self, vae: VideoVAE, clip: Clip) -> None:
        """Encode a clip and put it on its pile; a full one is written."""
        latent = encode(vae, clip.frames)
        shape = tuple(latent.shape[2:])
        pile = self.piles.setdefault(shape, Pile())
        clip.line.shard, clip.line.row = self._name(shape, pile), len(pile.latents)
        pile.latents.append(latent)
        pile.covers.append(moving(clip.frames))
        pile.texts.append({"clip": clip.captions})
        if len(pile.latents) == SHARD:
            self._write(shape, pile, clip.fps)

    def finish(self, fps: float) -> None:
        """Write what is left."""
        for shape, pile in self.piles.items():
            if pile.latents:
                self._write(shape, pile, fps)

    def _name(self, shape: tuple[int, ...], pile: Pile) -> str:
        return f"{self.prefix}-{'x'.join(map(str, shape))}-{pile.written:03d}.safetensors"

    def _write(self, shape: tuple[int, ...], pile: Pile, fps: float) -> None:
        rates = torch.full((len(pile.latents),), fps)
        path = self.folder / self._name(shape, pile)
        write_shard(path, torch.cat(pile.latents), torch.stack(pile.covers), rates, pile.texts, self.origin)
        pile.latents, pile.covers, pile.texts, pile.written = [], [], [], pile.written + 1


def held_out(videos: tuple[Video, ...], share: float) -> set[str]:
    """Names of the videos that are kept for validation: whole files, always the same ones, at least one of several."""
    if share <= 0 or len(videos) < 2:
        return set()
    places = {video.name: crc32(video.name.encode()) / 2**32 for video in videos}
    return {name for name, place in places.items() if place < share} or {min(places, key=lambda name: places[name])}


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(
        prog="./spacetime train footage", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = ", ".join([*(chosen.name for chosen in FILTERS), "duplicate"])
    options.add_argument("folder", type=Path, metavar="FOLDER", help="videos and captions, subfolders too")
    options.add_argument("--out", type=Path, default=Path("runs/latents-footage"))
    options.add_argument("--vae", type=Path, default=SHIPPED, help="a checkpoint, or the folder of a VAE run")
    options.add_argument("--caption", help="for videos that have none of their own")
    options.add_argument("--frames", type=int, default=33, help="of a clip at most, 4k + 1 (default 33)")
    options.add_argument("--least", type=int, default=17, help="frames of a clip at least, 4k + 1 (default 17)")
    options.add_argument("--pixels", type=int, default=512 * 512, help="scale frames down that have more (512 x 512)")
    options.add_argument("--fps", type=float, help="frames per second; default: each file's own")
    options.add_argument("--allow", action="append", default=[], metavar="FILTER", help=f"do not drop for: {names}")
    options.add_argument("--held-out", type=float, default=0.1, help="share of the files kept for validation (0.1)")
    options.add_argument("--index", type=Path, help="signatures of known clips, shared between folders")
    options.add_argument("--dry-run", action="store_true", help="write the report, encode nothing")
    return options


def run(args: argparse.Namespace) -> Report:
    """Go through the folder. Raises FootageError, and ValueError for a checkpoint that is none or not the folder's."""
    options = Options(args.frames, args.least, args.pixels, args.fps, tuple(sorted(args.allow)))
    folder, out = args.folder.resolve(), args.out.resolve()
    if out == folder or folder in out.parents:
        raise FootageError(f"--out {args.out} lies inside the footage: choose a folder beside it")
    listing = list_folder(folder, args.caption)
    vae, mark = (None, "") if args.dry_run else marked_vae(args.vae)
    check_folder(out, Origin(mark))
    report = Report(out, {"folder": str(folder), "vae": mark, "caption": args.caption or "", **asdict(options)})
    index, kept_out = (
        Index(args.index or out / "clips.jsonl"),
        held_out(tuple(video for video in listing.videos if video.captions), args.held_out),
    )
    sheet = Sheet()
    for number, video in enumerate(listing.videos, 1):
        state = video.path.stat()
        line = FileLine(video.name, "held-out" if video.name in kept_out else "train")
        line.state = (state.st_size, state.st_mtime_ns)
        if report.done(video.name, line.state):
            continue
        shards = None if vae is None else Shards(out, video, line.split, Origin(mark))
        for clip in read_clips(video, options, index, line, sheet.add):
            if vae is not None and shards is not None:
                shards.add(vae, clip)
            del clip
        if shards is not None:
            shards.finish(line.fps)
        report.add(line)
        why = f" ({line.skipped}: {line.reason})" if line.skipped else ""
        log.info("%d/%d %s: %d of %d clips%s", number, len(listing.videos), video.name, line.kept, len(line.clips), why)
    table = report.table(listing.faults)
    (out / "footage.txt").write_text(table + "\n", encoding="utf-8")
    sheet.save(out / "footage.png")
    log.info("%s\n\nreport: %s", table, out / "footage.txt")
    return report


def main(arguments: list[str] | None = None) -> None:
    """Read the options and run; a fault is one sentence and exit code 1."""
    args = parser().parse_args(arguments)
    if start()[1] > 1:
        sys.exit("spacetime: footage is encoded by one process: leave out --processes")
    cv2.setNumThreads(1)
    try:
        run(args)
    except ValueError as error:
        sys.exit(f"spacetime: {error}")
    except OSError as error:
        sys.exit(f"spacetime: {error.filename or args.out} cannot be written: {error.strerror or error}")


if __name__ == "__main__":
    main()
