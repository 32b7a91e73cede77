# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows about the VAE: what it keeps of held-out scenes of several sizes, and of real clips."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...models.vae import TIME, VideoVAE
from ...video.reader import read_frames
from ..evaluate_vae import psnr, rebuild, squared_error, ssim
from ..saves import RunError
from ..scenes.config import WorldConfig
from ..scenes.render import render
from ..scenes.scene import Scene
from .prompts import FPS, FRAMES, Need, draw_scenes
from .table import Row, measured_row
from .work import Task, fingerprint

Frames = NDArray[np.uint8]
SIZES = ((128, 128), (256, 256), (448, 256), (256, 448), (512, 512))
STRIDE = 8  # frames from one run of a real clip to the next: they overlap by half
VIDTOK = "VidTok at 4x8x8, 17 x 256 x 256: 29.6 dB and 0.852 with 4 channels, 35.0 dB and 0.942 with 16"


def coarse(clip: Frames, times: int) -> Frames:
    """Every frame reduced by ``times`` and enlarged again: what would be left without any detail."""
    size = clip.shape[2], clip.shape[1]
    small = [cv2.resize(f, (size[0] // times, size[1] // times), interpolation=cv2.INTER_AREA) for f in clip]
    return np.stack([cv2.resize(f, size, interpolation=cv2.INTER_CUBIC) for f in small])


def size_tasks(
    vae: Callable[[], VideoVAE], world: WorldConfig, count: int, sizes: Sequence[tuple[int, int]], store: Path
) -> list[Task]:
    """Encode and decode held-out scenes of several sizes, ``count`` of each."""
    scenes = draw_scenes(Need(), world, count)
    return [
        Task(store, f"VAE {width}x{height} {number}", partial(_rebuilt_scene, vae, scene, width, height))
        for width, height in sizes
        for number, scene in enumerate(scenes)
    ]


def _rebuilt_scene(vae: Callable[[], VideoVAE], scene: Scene, width: int, height: int) -> list[list[float]]:
    """PSNR whole and where things move, of the VAE and of coarse frames."""
    clip, truth = render(scene, width, height, FRAMES, FPS)
    swept = np.broadcast_to((truth.cover > 127).any(0), clip.shape[:3])
    out = []
    for made in (rebuild(vae(), clip), coarse(clip, vae().config.space)):
        error = squared_error(made, clip)
        out.append([psnr(float(error.mean())), psnr(float(error[swept].mean())) if swept.any() else psnr(0)])
    return out


def size_rows(found: Mapping[str, Any], sizes: Sequence[tuple[int, int]]) -> list[Row]:
    """PSNR of held-out scenes by size, and where things move, by results of :func:`size_tasks`."""
    rows: list[Row] = []
    note = f"mean PSNR of clips of {FRAMES} frames; floor: frames reduced to a pixel for each latent position"
    for width, height in sizes:
        name = f"VAE {width}x{height}"
        values = np.array([found[task] for task in found if task.rpartition(" ")[0] == name])  # (N, 2, 2)
        for k, where in enumerate(("", ", where things move")):
            whole, floor = values[:, 0, k].tolist(), float(values[:, 1, k].mean())
            rows.append(
                measured_row(f"VAE reconstruction {width}x{height}{where}", "dB", whole, floor=floor, note=note)
            )
    return rows


def clip_tasks(vae: Callable[[], VideoVAE], paths: Sequence[Path], store: Path) -> list[Task]:
    """Encode and decode real clips, in runs of FRAMES frames and blocks of 256 x 256."""
    return [Task(store, f"clip {path.name} {fingerprint(path)}", partial(_rebuilt_clips, vae, path)) for path in paths]


def _rebuilt_clips(vae: Callable[[], VideoVAE], path: Path) -> list[list[list[float]]]:
    """For each run of frames PSNR and SSIM, of the VAE and of coarse frames."""
    out = []
    for clip in real_clips(path, vae().config.space):
        both = rebuild(vae(), clip), coarse(clip, vae().config.space)
        out.append(
            [
                [
                    psnr(float(squared_error(m, clip).mean())),
                    float(np.mean([ssim(*p) for p in zip(m, clip, strict=True)])),
                ]
                for m in both
            ]
        )
    return out


def clip_rows(found: Mapping[str, Any], paths: Sequence[Path]) -> list[Row]:
    """PSNR and SSIM of real clips, by results of :func:`clip_tasks`. Raises RunError for files without any."""
    if not paths:
        missing = "absent: no real clips were given, see --clips"
        return [Row(f"VAE reconstruction of real clips, {what}", unit=u, note=missing) for what, u in UNITS]
    values = [np.array(found[f"clip {p.name} {fingerprint(p)}"]) for p in paths]  # of each (runs and blocks, 2, 2)
    short = [p.name for p, own in zip(paths, values, strict=True) if not len(own)]
    if short:
        raise RunError(f"{', '.join(short)}: no clip of {FRAMES} frames; give longer ones")
    means = np.stack([own.mean(0) for own in values])
    return [
        Row(
            *(f"VAE reconstruction of real clips, {what}", float(means[:, 0, n].mean()), unit),
            samples=len(paths),
            floor=float(means[:, 1, n].mean()),
            note=f"the mean of a video's parts, and of the videos: {_by_video(paths, means[:, 0, n])}; {VIDTOK}",
        )
        for n, (what, unit) in enumerate(UNITS)
    ]


def _by_video(paths: Sequence[Path], values: NDArray[np.float64]) -> str:
    return ", ".join(f"{p.name} {value:.2f}" for p, value in zip(paths, values, strict=True))


UNITS = (("PSNR", "dB"), ("SSIM", ""))


def real_clips(path: Path, multiple: int) -> Iterator[Frames]:
    """Runs of FRAMES frames, one every STRIDE frames, in blocks: see :func:`blocks`."""
    run: deque[Frames] = deque(maxlen=FRAMES)
    for number, frame in enumerate(read_frames(str(path)), 1):
        run.append(frame)
        if number >= FRAMES and (number - FRAMES) % STRIDE == 0:
            yield from blocks(np.stack(run), multiple)


def blocks(clip: Frames, multiple: int) -> Iterator[Frames]:
    """All blocks of 256 x 256 pixels that lie side by side in the middle of a clip (F, H, W, 3); a side that is
    smaller is taken whole, in multiples of ``multiple``."""
    high, wide = (min(256, side // multiple * multiple) for side in clip.shape[1:3])
    down, across = clip.shape[1] // high, clip.shape[2] // wide
    top, left = (clip.shape[1] - down * high) // 2, (clip.shape[2] - across * wide) // 2
    for y in range(top, top + down * high, high):
        for x in range(left, left + across * wide, wide):
            yield np.ascontiguousarray(clip[:, y : y + high, x : x + wide])


assert (FRAMES - 1) % TIME == 0
