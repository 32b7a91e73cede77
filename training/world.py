# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene world: one sprite moving in a painted place under a moving camera, with exact truth.

A scene is drawn from a seed and rendered natively for any width, height, number of frames and frame rate. What is
random in it besides its truth (size, start, variant of the place) is spread over the whole range in every class, so
that nothing but the named property tells two classes apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from .assets import SPRITES, load_sprite
from .places import PLACES, paint

OBJECTS = tuple(SPRITES)
WALKERS = frozenset(
    {"red panda", "dog", "horse", "cow", "elephant", "giraffe", "rabbit", "turtle", "duck", "penguin", "dinosaur"}
)
MOTIONS = ("still", "right", "left", "up", "down", "jump", "closer", "away", "spin", "sway")
CAMERAS = ("still", "pan right", "pan left", "zoom in", "zoom out")
MARGIN = 1.25  # a place is painted this much larger than the frame, for the camera to move over
VARIANTS = 40

Frames = NDArray[np.uint8]
SpriteMaker = Callable[[str, bool], NDArray[np.float32]]


@dataclass(frozen=True)
class Scene:
    """What happens in a clip. ``size`` is the sprite's height as a fraction of the frame's shorter side."""

    object: str
    place: str
    motion: str
    camera: str
    size: float
    start: tuple[float, float]  # in -1..1: where in its range the path begins
    variant: int
    seed: int

    @property
    def combination(self) -> tuple[str, str, str]:
        """Return what is held out together."""
        return self.object, self.place, self.motion


def held_out(object_: str, place: str, motion: str) -> bool:
    """Whether this combination is kept out of training: a tenth of them, spread over all classes."""
    i, j, k = OBJECTS.index(object_), tuple(PLACES).index(place), MOTIONS.index(motion)
    return (i * 3 + j * 7 + k * 9 + i * j) % 10 == 0


def draw_scene(seed: int, split: str = "train") -> Scene:
    """Draw the scene of a seed; ``split`` is "train", "held out" or "any"."""
    rng = np.random.default_rng(seed)
    places = tuple(PLACES)
    while True:
        what, where = OBJECTS[rng.integers(len(OBJECTS))], places[rng.integers(len(places))]
        motion = MOTIONS[rng.integers(len(MOTIONS))]
        if split == "any" or held_out(what, where, motion) == (split == "held out"):
            break
    camera = "still" if rng.random() < 0.5 else CAMERAS[rng.integers(1, len(CAMERAS))]
    start = (float(rng.uniform(-1, 1)), float(rng.uniform(-1, 1)))
    return Scene(what, where, motion, camera, float(rng.uniform(0.42, 0.54)), start, int(rng.integers(VARIANTS)), seed)


@lru_cache(maxsize=512)
def _background(place: str, width: int, height: int, variant: int) -> Frames:
    return paint(place, width, height, variant)


@lru_cache(maxsize=64)
def _sprite(name: str, mirrored: bool) -> NDArray[np.float32]:
    """Premultiplied RGBA in 0..255, (256, 256, 4)."""
    rgba = load_sprite(name).astype(np.float32)
    rgba[..., :3] *= rgba[..., 3:] / 255
    return np.ascontiguousarray(rgba[:, ::-1] if mirrored else rgba)


def sprite_pose(scene: Scene, u: float, seconds: float) -> tuple[float, float, float, float]:
    """Where the sprite is at phase ``u`` (0..1 over the clip): x, y of its centre as fractions of the frame, its size
    as a factor and its tilt in degrees."""
    x, y, scale, tilt = 0.5 + 0.16 * scene.start[0], 0.60 + 0.05 * scene.start[1], 1.0, 0.0
    travel = 0.18 * (2 * u - 1)
    match scene.motion:
        case "right":
            x = 0.5 + 0.05 * scene.start[0] + travel
        case "left":
            x = 0.5 + 0.05 * scene.start[0] - travel
        case "up":
            y = 0.5 - travel
        case "down":
            y = 0.5 + travel
        case "jump":
            y -= 0.13 * abs(float(np.sin(np.pi * seconds)))
        case "closer":
            scale = 0.70 + 0.55 * u
        case "away":
            scale = 1.25 - 0.55 * u
        case "spin":
            tilt = 60.0 * seconds
        case "sway":
            tilt = 13.0 * float(np.sin(2 * np.pi * 0.5 * seconds))
    if scene.motion in ("right", "left") and scene.object in WALKERS:
        y -= 0.02 * abs(float(np.sin(2 * np.pi * seconds)))
        tilt += 3.0 * float(np.sin(2 * np.pi * seconds))
    return float(x), float(y), float(scale), float(tilt)


def camera_pose(scene: Scene, u: float) -> tuple[float, float, float]:
    """Camera at phase ``u``: centre x, y over the painted canvas in frame sizes from its middle, and its zoom."""
    match scene.camera:
        case "pan right":
            return 0.10 * (2 * u - 1), 0.0, 1.0
        case "pan left":
            return -0.10 * (2 * u - 1), 0.0, 1.0
        case "zoom in":
            return 0.0, 0.0, 0.88 + 0.32 * u
        case "zoom out":
            return 0.0, 0.0, 1.20 - 0.32 * u
    return 0.0, 0.0, 1.0


def blob(name: str, mirrored: bool) -> NDArray[np.float32]:
    """The sprite with its shape and detail blurred away: what a model draws that knows only colours."""
    return cv2.GaussianBlur(_sprite(name, mirrored), (0, 0), 28)


def render(
    scene: Scene, width: int, height: int, frames: int, fps: float, draw: SpriteMaker | None = None
) -> tuple[Frames, NDArray[np.uint8]]:
    """Render a scene: (frames, height, width, 3) uint8 and the sprite's coverage (frames, height, width) uint8.

    ``draw`` makes another sprite of (name, mirrored) than the scene's own, as :func:`blob` does.
    """
    big_w, big_h = round(width * MARGIN), round(height * MARGIN)
    backdrop = _background(scene.place, big_w, big_h, scene.variant)
    sprite = (draw or _sprite)(scene.object, scene.motion == "right")
    clip = np.empty((frames, height, width, 3), np.uint8)
    cover = np.empty((frames, height, width), np.uint8)
    flakes = _flakes(scene) if scene.place == "snow" else None
    for i in range(frames):
        u = i / max(frames - 1, 1) if frames > 1 else 0.5
        cam_x, cam_y, zoom = camera_pose(scene, u)
        left, top = big_w / 2 + cam_x * width - width / 2 / zoom, big_h / 2 + cam_y * height - height / 2 / zoom
        view = np.array([[zoom, 0, -left * zoom], [0, zoom, -top * zoom]], np.float32)
        frame = cv2.warpAffine(backdrop, view, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        x, y, scale, tilt = sprite_pose(scene, u, i / fps)
        # The sprite lives on the canvas, too: a pan leaves it behind, a zoom enlarges it.
        px = ((x - 0.5 - cam_x) * zoom + 0.5) * width
        py = ((y - 0.5 - cam_y) * zoom + 0.5) * height
        size = scene.size * min(width, height) * scale * zoom
        clip[i], cover[i] = _compose(frame, sprite, px, py, size, tilt)
        if flakes is not None:
            _fall(clip[i], flakes, i / fps)
    return clip, cover


def _compose(
    frame: Frames, sprite: NDArray[np.float32], x: float, y: float, size: float, tilt: float
) -> tuple[Frames, NDArray[np.uint8]]:
    """Draw the sprite of height ``size`` pixels centred on (x, y)."""
    height, width = frame.shape[:2]
    if size < 100:  # bilinear sampling aliases below half size
        sprite = cv2.resize(sprite, (128, 128), interpolation=cv2.INTER_AREA)
    side = sprite.shape[0]
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2), -tilt, size / side)
    matrix[:, 2] += (x - side / 2, y - side / 2)
    drawn = cv2.warpAffine(sprite, matrix.astype(np.float32), (width, height), flags=cv2.INTER_LINEAR)
    alpha = drawn[..., 3:] / 255
    return (frame * (1 - alpha) + drawn[..., :3] + 0.5).clip(0, 255).astype(np.uint8), drawn[..., 3].astype(np.uint8)


def _flakes(scene: Scene) -> NDArray[np.float64]:
    """Snowflakes: x, y, fall per second and radius, in fractions of the frame."""
    rng = np.random.default_rng([scene.seed, 7])
    n = 26
    return np.stack([rng.random(n), rng.random(n), rng.uniform(0.22, 0.34, n), rng.uniform(0.010, 0.016, n)], 1)


def _fall(frame: Frames, flakes: NDArray[np.float64], seconds: float) -> None:
    height, width = frame.shape[:2]
    for x, y, speed, radius in flakes:
        drift = 0.015 * np.sin(seconds * 3 + x * 40)
        centre = int((x + drift) * width * 16), int(((y + speed * seconds) % 1.0) * height * 16)
        cv2.circle(frame, centre, max(16, int(radius * min(width, height) * 16)), (255, 255, 255), -1, cv2.LINE_AA, 4)
