# SPDX-License-Identifier: GPL-3.0-or-later
"""Score a checkpoint's VAE: ``./spacetime train evaluate-vae [--clip FILE]``.

PSNR and SSIM of reconstructions: of held-out scenes (whole frames, the region that the sprite sweeps over in the clip,
the sprite's own pixels) and, where asked, of any video file.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ..models.checkpoint import load_checkpoint
from ..models.vae import VideoVAE, to_uint8, to_video
from ..video.reader import read_frames
from .common import ROOT, log, start
from .scenes.config import nano, simple
from .scenes.draw import draw_scene
from .scenes.render import render

Frames = NDArray[np.uint8]


@torch.inference_mode()
def rebuild(vae: VideoVAE, clip: Frames) -> Frames:
    """Encode and decode a clip (F, H, W, 3) uint8, F = 4k + 1, sides multiples of 16."""
    return to_uint8(vae.decode(vae.encode(to_video(clip).to(next(vae.parameters()).dtype))))


def squared_error(a: Frames, b: Frames) -> NDArray[np.float32]:
    """Mean over the channels of the squared difference of two clips in 0..1: (F, H, W)."""
    return np.square((a.astype(np.float32) - b) / 255).mean(-1)


def psnr(error: float) -> float:
    """Peak signal-to-noise ratio in dB of a mean squared error of values in 0..1."""
    return float(-10 * np.log10(max(error, 1e-10)))


def ssim(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Structural similarity of two pictures, on their grey values (Wang et al., 2004: 11 x 11 Gaussian window)."""
    x, y = (cv2.cvtColor(p, cv2.COLOR_RGB2GRAY).astype(np.float64) for p in (a, b))

    def blur(p: NDArray[np.float64]) -> NDArray[np.float64]:
        return cv2.GaussianBlur(p, (11, 11), 1.5)

    mx, my = blur(x), blur(y)
    vx, vy, cov = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return float(((2 * mx * my + c1) * (2 * cov + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))).mean())


def score_scenes(vae: VideoVAE, count: int) -> dict[str, float]:
    """PSNR in dB and SSIM over held-out scenes of 17 frames at 256 x 256."""
    sums = {"whole": [0.0, 0.0], "swept region": [0.0, 0.0], "sprite": [0.0, 0.0]}
    similar = []
    for i in range(count):
        clip, truth = render(draw_scene(90_000_000 + i, simple(nano()), "held out"), 256, 256, 17, 8.0)
        made = rebuild(vae, clip)
        error = squared_error(made, clip)
        inside = truth.cover > 127
        for name, where in (
            ("whole", np.ones_like(inside)),
            ("swept region", np.broadcast_to(inside.any(0), inside.shape)),
            ("sprite", inside),
        ):
            sums[name][0] += float(error[where].sum())
            sums[name][1] += float(where.sum())
        similar += [ssim(a, b) for a, b in zip(made, clip, strict=True)]
    out = {f"PSNR {name}": psnr(total / max(pixels, 1)) for name, (total, pixels) in sums.items()}
    return {**out, "SSIM": float(np.mean(similar)), "scenes": float(count)}


def score_clip(vae: VideoVAE, path: Path, frames: int = 33) -> dict[str, float]:
    """PSNR in dB and SSIM on the first ``frames`` frames of a video file, cut to legal sides."""
    first = np.stack(list(itertools.islice(read_frames(str(path)), frames)))
    count, height, width = (len(first) - 1) // 4 * 4 + 1, first.shape[1] // 16 * 16, first.shape[2] // 16 * 16
    clip = np.ascontiguousarray(first[:count, :height, :width])
    made = rebuild(vae, clip)
    similar = float(np.mean([ssim(a, b) for a, b in zip(made, clip, strict=True)]))
    return {"PSNR": psnr(float(squared_error(made, clip).mean())), "SSIM": similar, "frames": float(count)}


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=ROOT / "weights" / "spacetime-nano.safetensors")
    parser.add_argument("--scenes", type=int, default=60)
    parser.add_argument("--clip", type=Path, action="append", default=[], help="a video file; may be repeated")
    parser.add_argument("--out", type=Path, help="write the figures as JSON here")
    args = parser.parse_args()
    start(os.cpu_count() or 1)
    vae = load_checkpoint(args.checkpoint).build_vae(torch.bfloat16)
    figures = {"held-out scenes": score_scenes(vae, args.scenes)}
    figures |= {path.name: score_clip(vae, path) for path in args.clip}
    for name, row in figures.items():
        log.info("%-16s %s", name, "  ".join(f"{k} {v:.4g}" for k, v in row.items()))
    if args.out:
        args.out.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
