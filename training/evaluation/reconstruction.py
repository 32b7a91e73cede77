# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows about the VAE: what it keeps of held-out scenes of several sizes, and of real clips."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ...models.vae import TIME, VideoVAE
from ...video.reader import read_frames
from ..evaluate_vae import psnr, rebuild, squared_error, ssim
from ..scenes.config import WorldConfig
from ..scenes.render import render
from .prompts import FPS, FRAMES, Need, draw_scenes
from .table import Row, measured_row

Frames = NDArray[np.uint8]
SIZES = ((128, 128), (256, 256), (448, 256), (256, 448), (512, 512))
VIDTOK = "VidTok at 4x8x8, 17 x 256 x 256: 29.6 dB and 0.852 with 4 channels, 35.0 dB and 0.942 with 16"


def coarse(clip: Frames, times: int) -> Frames:
    """Every frame reduced by ``times`` and enlarged again: what would be left without any detail."""
    size = clip.shape[2], clip.shape[1]
    small = [cv2.resize(f, (size[0] // times, size[1] // times), interpolation=cv2.INTER_AREA) for f in clip]
    return np.stack([cv2.resize(f, size, interpolation=cv2.INTER_CUBIC) for f in small])


def size_rows(vae: VideoVAE, world: WorldConfig, count: int, sizes: Sequence[tuple[int, int]] = SIZES) -> list[Row]:
    """PSNR of held-out scenes by size, and where things move."""
    rows: list[Row] = []
    for width, height in sizes:
        whole: list[float] = []
        moving: list[float] = []
        floors: list[float] = []
        moving_floors: list[float] = []
        for scene in draw_scenes(Need(), world, count):
            clip, truth = render(scene, width, height, FRAMES, FPS)
            swept = np.broadcast_to((truth.cover > 127).any(0), clip.shape[:3])
            for made, all_of_it, where in (
                (rebuild(vae, clip), whole, moving),
                (coarse(clip, vae.config.space), floors, moving_floors),
            ):
                error = squared_error(made, clip)
                all_of_it.append(psnr(float(error.mean())))
                where.append(psnr(float(error[swept].mean())) if swept.any() else psnr(0))
        name = f"VAE reconstruction {width}x{height}"
        note = f"mean PSNR of clips of {FRAMES} frames; floor: frames reduced {vae.config.space} times"
        rows.append(measured_row(name, "dB", whole, floor=float(np.mean(floors)), note=note))
        rows.append(
            measured_row(f"{name}, where things move", "dB", moving, floor=float(np.mean(moving_floors)), note=note)
        )
    return rows


def clip_rows(vae: VideoVAE, paths: Sequence[Path]) -> list[Row]:
    """PSNR and SSIM of real clips: all runs of FRAMES frames of the files, cut to 256 x 256 where they are larger."""
    if not paths:
        missing = "no real clips were given: --clips FILE ..."
        return [Row(f"VAE reconstruction of real clips, {what}", unit=u, note=missing) for what, u in UNITS]
    values: list[list[float]] = [[], []]
    floors: list[list[float]] = [[], []]
    for clip in real_clips(paths, vae.config.space):
        for made, into in ((rebuild(vae, clip), values), (coarse(clip, vae.config.space), floors)):
            into[0].append(psnr(float(squared_error(made, clip).mean())))
            into[1].append(float(np.mean([ssim(a, b) for a, b in zip(made, clip, strict=True)])))
    return [
        measured_row(
            *(f"VAE reconstruction of real clips, {what}", unit, values[n]),
            floor=float(np.mean(floors[n])),
            note=f"{', '.join(p.name for p in paths)}; {VIDTOK}",
        )
        for n, (what, unit) in enumerate(UNITS)
    ]


UNITS = (("PSNR", "dB"), ("SSIM", ""))


def real_clips(paths: Sequence[Path], multiple: int) -> list[Frames]:
    """Runs of FRAMES frames, the middle 256 x 256 pixels of each, or what there is in multiples of ``multiple``."""
    out = []
    for path in paths:
        frames = read_frames(str(path))
        while len(run := list(itertools.islice(frames, FRAMES))) == FRAMES:
            clip = np.stack(run)
            high, wide = (min(256, side // multiple * multiple) for side in clip.shape[1:3])
            top, left = (clip.shape[1] - high) // 2, (clip.shape[2] - wide) // 2
            out.append(np.ascontiguousarray(clip[:, top : top + high, left : left + wide]))
    return out


assert (FRAMES - 1) % TIME == 0
