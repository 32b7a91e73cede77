# SPDX-License-Identifier: GPL-3.0-or-later
"""Clip arithmetic, so that no user does it: legal sizes and lengths, aspect presets, token counts."""

from __future__ import annotations

from dataclasses import dataclass

ASPECTS: dict[str, tuple[int, int]] = {
    "1:1": (1, 1),
    "16:9": (16, 9),
    "9:16": (9, 16),
    "4:3": (4, 3),
    "3:4": (3, 4),
    "3:2": (3, 2),
    "2:3": (2, 3),
    "21:9": (21, 9),
    "9:21": (9, 21),
}


@dataclass(frozen=True)
class Compression:
    """What a model does to pixels: ``time`` frames (the first apart) and ``space`` pixels to a latent position,
    ``patch`` positions to a token's side, ``channels`` latent channels."""

    time: int = 4
    space: int = 16
    patch: int = 2
    channels: int = 16

    @property
    def step(self) -> int:
        """Width and height are multiples of this."""
        return self.space * self.patch


@dataclass(frozen=True)
class Clip:
    """A legal clip for one compression."""

    width: int
    height: int
    frames: int
    fps: float
    compression: Compression

    @property
    def latent_shape(self) -> tuple[int, int, int, int]:
        """(channels, latent frames, latent height, latent width)."""
        c = self.compression
        return c.channels, latent_frames(self.frames, c), self.height // c.space, self.width // c.space

    @property
    def tokens(self) -> int:
        """Tokens that the transformer sees."""
        _, t, h, w = self.latent_shape
        return t * (h // self.compression.patch) * (w // self.compression.patch)

    @property
    def seconds(self) -> float:
        """Return the clip's length."""
        return self.frames / self.fps

    def __str__(self) -> str:
        what = (
            "1 frame (an image)"
            if self.frames == 1
            else f"{self.frames} frames, {self.seconds:.2f} s at {self.fps:g} fps"
        )
        return f"{self.width} x {self.height}, {what}, {self.tokens} tokens"


def latent_frames(frames: int, compression: Compression) -> int:
    """Latent frames of a clip whose length is legal."""
    return (frames - 1) // compression.time + 1


def legal_frames(frames: float, compression: Compression) -> int:
    """The nearest k * time + 1, at least 1."""
    return max(0, round((frames - 1) / compression.time)) * compression.time + 1


def legal_side(pixels: float, compression: Compression) -> int:
    """The nearest legal width or height."""
    return max(1, round(pixels / compression.step)) * compression.step


def snap(width: int, height: int, seconds: float, fps: float, compression: Compression) -> Clip:
    """The nearest legal clip. ``seconds`` 0 asks for an image. Raises ValueError for what cannot be a clip at all."""
    for name, value in (("width", width), ("height", height), ("fps", fps)):
        if not value > 0:
            raise ValueError(f"{name} is {value}; it must be more than 0")
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"seconds is {seconds}; it must be 0 (an image) or more")
    frames = legal_frames(seconds * fps, compression)
    return Clip(legal_side(width, compression), legal_side(height, compression), frames, float(fps), compression)


def aspect_size(aspect: str, size: int, compression: Compression) -> tuple[int, int]:
    """Width and height of an aspect ratio with about the area of a ``size`` x ``size`` square.

    Among the legal sizes near that area the one whose shape is nearest. Raises ValueError for an unknown aspect.
    """
    if aspect not in ASPECTS:
        raise ValueError(f"aspect {aspect!r} is not known; choose one of {', '.join(ASPECTS)}")
    if size < 1:
        raise ValueError(f"size is {size}; it must be more than 0")
    across, down = ASPECTS[aspect]
    wanted = across / down
    ideal = size * wanted**0.5
    step = compression.step
    best = None
    for columns in range(max(1, int(ideal / step)), int(ideal / step) + 2):
        for rows in range(max(1, int(size / wanted**0.5 / step)), int(size / wanted**0.5 / step) + 2):
            shape = abs((columns / rows) / wanted - 1)
            area = abs(columns * rows * step * step / size**2 - 1)
            if best is None or shape + 0.3 * area < best[0]:
                best = (shape + 0.3 * area, columns * step, rows * step)
    assert best is not None
    return best[1], best[2]
