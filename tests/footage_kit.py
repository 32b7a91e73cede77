# SPDX-License-Identifier: GPL-3.0-or-later
"""Small videos for the footage tests: shots of a moving pattern, and what phones and accidents make of them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from comfyui_spacetime.video.writer import write_video

WIDTH, HEIGHT, FPS = 160, 96, 24


def shot(seed: int, count: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Frames (count, height, width, 3) of a random pattern that a camera moves over slowly, a ball crossing it."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (7, 9, 3), dtype=np.uint8)
    canvas = cv2.resize(coarse, (2 * width, 2 * height), interpolation=cv2.INTER_NEAREST)
    frames = np.empty((count, height, width, 3), np.uint8)
    for i in range(count):
        x, y = round(width * 0.3 + i * 1.2), round(height * 0.4)
        frames[i] = canvas[y : y + height, x % width : x % width + width]
        cv2.circle(frames[i], (10 + 3 * i % width, height // 2), height // 8, (250, 250, 20), -1)
    return frames


def dissolve(a: np.ndarray, b: np.ndarray, length: int) -> np.ndarray:
    """Join two shots by ``length`` frames that are a mixture of both."""
    share = np.linspace(0, 1, length + 2)[1:-1, None, None, None]
    mixed = (a[-length:] * (1 - share) + b[:length] * share).astype(np.uint8)
    return np.concatenate([a[:-length], mixed, b[length:]])


def write(path: Path, frames: np.ndarray, caption: str | None = "a ball", fps: float = FPS) -> Path:
    """Write a video and its caption."""
    write_video(path, frames, fps=fps, crf=10)
    if caption is not None:
        path.with_suffix(".txt").write_text(caption + "\n", encoding="utf-8")
    return path


def write_raw(
    path: Path, frames: np.ndarray, times: list[float] | None = None, pixels: str = "yuv420p", turn: int = 0
) -> Path:
    """Write a video with time stamps of its own (seconds), another pixel format or a rotation flag."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "12", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], pixels
        stream.codec_context.time_base = Fraction(1, 1000)
        if turn:
            stream.set_display_rotation(turn)
        for i, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24").reformat(format=pixels)
            picture.pts, picture.time_base = round(1000 * (times[i] if times else i / FPS)), Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    path.with_suffix(".txt").write_text("a ball\n", encoding="utf-8")
    return path


def subtitle(frames: np.ndarray, text: str = "I never said that") -> np.ndarray:
    """Burn a line of text into every frame."""
    out = frames.copy()
    height = frames.shape[1]
    for frame in out:
        for colour, thickness in (((0, 0, 0), 4), ((255, 255, 255), 1)):
            cv2.putText(
                frame, text, (8, height - 10), cv2.FONT_HERSHEY_SIMPLEX, height / 220, colour, thickness, cv2.LINE_AA
            )
    return out
