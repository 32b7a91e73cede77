# SPDX-License-Identifier: GPL-3.0-or-later
"""False alarms and misses of the footage filters.

    ./spacetime bench footage_filters [--clips FILE ...] [--pictures FOLDER]

Good clips are rendered scenes, slow moves over the given pictures and every window of the given video files (between
cuts); each is then spoilt in every way that a filter is there for. Values are printed as deciles, so that thresholds
can be judged.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ..training.footage.clips import Options, cut_out, view, windows
from ..training.footage.filters import FILTERS
from ..training.footage.hashes import distance, signature
from ..training.scenes.config import nano, simple
from ..training.scenes.draw import draw_scene
from ..training.scenes.render import render
from ..video.cuts import find_cuts
from ..video.reader import probe, read_frames
from .footage_cuts import move_over

Frames = NDArray[np.uint8]
FRAMES, PIXELS = 17, 400 * 300
LINES = (
    "I never said that she stole it.",
    "And then we ran, all of us,\nback to the old harbour.",
    "LIVE  21:34:07",
    "Follow for more!",
    "Wir sehen uns morgen.",
)
FONTS = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "LiberationSans-Regular.ttf", "DejaVuSerif.ttf")


def good_clips(files: list[Path], pictures: Path | None, scenes: int) -> Iterator[tuple[str, Frames]]:
    """Yield (source, clip): clips that no filter should drop."""
    rng = np.random.default_rng(5)
    for path in files:
        fps = float(probe(path).fps)
        cuts, count = find_cuts(read_frames(path), fps)
        info = probe(path)
        scaled, size = view(info.width, info.height, PIXELS)
        frames = np.stack([cut_out(frame, scaled, size) for frame in read_frames(path)])
        for start, length in windows(cuts, count, Options(most=FRAMES, least=FRAMES)):
            yield "real", frames[start : start + length]
    for path in sorted(pictures.iterdir()) if pictures else []:
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB) if path.suffix in (".png", ".jpg") else None
        if picture is not None and min(picture.shape[:2]) > 250:
            yield "picture", move_over(picture, FRAMES, rng)
    for i in range(scenes):
        scene = draw_scene(i, simple(nano()), "any")
        shot = scene.shots[0]
        if shot.camera != ("still",) or shot.actors[0].motions != ("still",):
            yield "scene", render(scene, 320, 192, FRAMES, 25.0)[0]


def noisy(clip: Frames, rng: np.random.Generator, strength: float = 2.0) -> Frames:
    """Add a camera's noise, other in every frame."""
    return np.clip(clip + rng.normal(0, strength, clip.shape), 0, 255).astype(np.uint8)


def write_over(clip: Frames, rng: np.random.Generator) -> Frames:
    """Burn in a line or two of text as subtitles, captions and time stamps are."""
    height, width = clip.shape[1:3]
    size = max(9, round(height * rng.uniform(0.045, 0.085)))
    font = ImageFont.truetype(FONTS[rng.integers(len(FONTS))], size)
    text = LINES[rng.integers(len(LINES))]
    fill = ((255, 255, 255), (255, 235, 60), (255, 255, 255))[rng.integers(3)]
    boxed = rng.random() < 0.25
    layer = Image.new("RGBA", (width, height))
    pen = ImageDraw.Draw(layer)
    left, top, right, bottom = pen.multiline_textbbox((0, 0), text, font=font)
    x, y = (width - (right - left)) / 2, height * rng.choice([0.06, 0.5, 0.92]) - (bottom - top) / 2
    y = float(np.clip(y, 2, height - (bottom - top) - size * 0.4))
    if boxed:
        pen.rectangle((x - 6, y - 4, x + right - left + 6, y + bottom - top + 8), fill=(0, 0, 0, 170))
    pen.multiline_text(
        (x, y),
        text,
        fill=(*fill, 255),
        font=font,
        align="center",
        stroke_width=0 if boxed else max(1, size // 14),
        stroke_fill=(0, 0, 0, 255),
    )
    over = np.asarray(layer).astype(np.float32)
    alpha = over[..., 3:] / 255
    return (clip * (1 - alpha) + over[..., :3] * alpha).astype(np.uint8)


def half_written(clip: Frames, rng: np.random.Generator) -> Frames:
    """A subtitle that comes or goes in the middle of the clip."""
    written, cut = write_over(clip, rng), int(len(clip) * rng.uniform(0.3, 0.45))
    keep = slice(0, cut) if rng.random() < 0.5 else slice(len(clip) - cut, None)
    written[keep] = clip[keep]
    return written


def freeze(clip: Frames, rng: np.random.Generator) -> Frames:
    """Stop in the middle."""
    out = clip.copy()
    at = int(len(clip) * rng.uniform(0.25, 0.45))
    out[at:] = clip[at]
    return out


def soften(clip: Frames, rng: np.random.Generator) -> Frames:
    """Out of focus, by 1 to 2% of the width."""
    sigma = clip.shape[2] * rng.uniform(0.010, 0.02)
    return np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in clip])


def enlarge(clip: Frames, rng: np.random.Generator) -> Frames:
    """A small video blown up four to six times."""
    scale = rng.uniform(4, 6)
    size = (max(8, round(clip.shape[2] / scale)), max(8, round(clip.shape[1] / scale)))
    small = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in clip]
    return np.stack([cv2.resize(frame, clip.shape[2:0:-1], interpolation=cv2.INTER_CUBIC) for frame in small])


SPOILT: dict[str, tuple[str, Callable[[Frames, np.random.Generator], Frames]]] = {
    "still picture": ("static", lambda clip, rng: np.repeat(clip[:1], len(clip), 0)),
    "still picture, camera noise": ("static", lambda clip, rng: noisy(np.repeat(clip[:1], len(clip), 0), rng)),
    "still picture, light changes": (
        "static",
        lambda clip, rng: np.clip(clip[:1] * 0.7 + np.linspace(0, 25, len(clip))[:, None, None, None], 0, 255).astype(
            np.uint8
        ),
    ),
    "hangs": ("frozen", freeze),
    "black": ("black", lambda clip, rng: noisy(np.full_like(clip, 4), rng)),
    "lens cap, a little light": ("black", lambda clip, rng: (clip * 0.06).astype(np.uint8)),
    "white": ("plain", lambda clip, rng: noisy(np.full_like(clip, 250), rng)),
    "out of focus": ("blurred", soften),
    "blown up": ("blurred", enlarge),
    "text": ("text", write_over),
    "text for a part": ("text", half_written),
}


def again(clip: Frames, rng: np.random.Generator) -> Frames:
    """The same clip as another upload has it: another size, brightness, a cropped border, stronger compression."""
    scale, crop = rng.uniform(0.4, 0.9), rng.uniform(0, 0.03)
    height, width = clip.shape[1:3]
    top, left = round(height * crop), round(width * crop)
    inner = clip[:, top : height - top, left : width - left]
    size = (max(32, round(width * scale)), max(32, round(height * scale)))
    out = []
    for frame in inner:
        bright = np.clip(frame * rng.uniform(0.98, 1.02) + 8, 0, 255).astype(np.uint8)
        small = cv2.resize(bright, size, interpolation=cv2.INTER_AREA)
        code = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 40])[1]
        out.append(np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR)))
    return np.stack(out)


def copies(clips: list[tuple[str, Frames]], rng: np.random.Generator) -> None:
    """Print how copies and different clips compare by their signatures."""
    prints = [signature(clip) for _, clip in clips]
    same = [distance(a, signature(again(clip, rng))) for a, (_, clip) in zip(prints, clips, strict=True)]
    other = [distance(a, b) for i, a in enumerate(prints) for b in prints[i + 1 :]]
    print(f"duplicates, {len(same)} copies: distance", np.percentile(same, [0, 50, 90, 95, 100]).round(3))
    print(f"different clips, {len(other)} pairs: distance", np.percentile(other, [0, 0.1, 1, 10, 50]).round(3))


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, nargs="*", default=[])
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--scenes", type=int, default=40)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    clips = list(good_clips(args.clips, args.pictures, args.scenes))
    by_name = {chosen.name: chosen for chosen in FILTERS}
    print(
        "good clips:",
        ", ".join(f"{n} {kind}" for kind, n in zip(*np.unique([s for s, _ in clips], return_counts=True), strict=True)),
    )
    for chosen in FILTERS:
        values = np.array([chosen.measure(clip) for _, clip in clips])
        dropped = {
            kind: sum(chosen.drops(v) for v, (k, _) in zip(values, clips, strict=True) if k == kind)
            for kind in ("real", "picture", "scene")
        }
        print(
            f"{chosen.name:8} threshold {chosen.threshold:g}; good clips dropped {dropped}; values",
            np.percentile(values, [0, 5, 25, 50, 75, 95, 100]).round(2),
        )
    for title, (name, spoil) in SPOILT.items():
        chosen, rng = by_name[name], np.random.default_rng(9)
        values = np.array([chosen.measure(spoil(clip, rng)) for _, clip in clips])
        caught = sum(chosen.drops(v) for v in values)
        print(
            f"{title:30} {name:8} caught {caught}/{len(values)} = {caught / len(values):.1%}; values",
            np.percentile(values, [0, 5, 25, 50, 75, 95, 100]).round(2),
        )
    copies(clips, np.random.default_rng(3))


if __name__ == "__main__":
    main()
