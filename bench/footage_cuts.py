# SPDX-License-Identifier: GPL-3.0-or-later
"""Precision and recall of the scene-cut detection on joined clips whose cuts are known.

    ./spacetime bench footage_cuts [--clips FILE ...] [--pictures FOLDER]

Shots come from rendered scenes, from the given clips (whole shots only: give files without cuts) and from slow camera
moves over the given pictures. Half of the shots carry what must not be taken for a cut: a flash, a whip pan, a change
of light, shaking, something large that passes close to the camera.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..training.scenes.config import nano, simple
from ..training.scenes.draw import draw_scene
from ..training.scenes.render import render
from ..video.cuts import Cut, correlation, difference, find_cuts, thumbnail
from ..video.reader import read_frames

Frames = NDArray[np.uint8]
WIDTH, HEIGHT, FPS = 320, 192, 25.0
DISTRACTIONS = ("flash", "whip pan", "light", "shake", "passer-by")
JOINS = ("hard", "hard", "hard", "dissolve", "fade")


def fit(frame: Frames) -> Frames:
    """Crop and scale to the bench's size."""
    height, width = frame.shape[:2]
    scale = max(WIDTH / width, HEIGHT / height)
    big = cv2.resize(frame, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    top, left = (big.shape[0] - HEIGHT) // 2, (big.shape[1] - WIDTH) // 2
    return big[top : top + HEIGHT, left : left + WIDTH]


def move_over(picture: Frames, count: int, rng: np.random.Generator) -> Frames:
    """A slow pan and zoom over a still picture."""
    height, width = picture.shape[:2]
    begin, end = rng.uniform(0.3, 0.7, 2), rng.uniform(0.3, 0.7, 2)
    zoom = rng.uniform(0.55, 0.9, 2)
    out = np.empty((count, HEIGHT, WIDTH, 3), np.uint8)
    for i, u in enumerate(np.linspace(0, 1, count)):
        (x, y), z = begin + (end - begin) * u, zoom[0] + (zoom[1] - zoom[0]) * u
        side = min(width / WIDTH, height / HEIGHT) * z
        matrix = np.array([[side, 0, x * width - side * WIDTH / 2], [0, side, y * height - side * HEIGHT / 2]])
        out[i] = cv2.warpAffine(
            picture,
            matrix,
            (WIDTH, HEIGHT),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT,
        )
    return out


def shift(frame: Frames, x: float, y: float) -> Frames:
    """Move a frame's content by so many pixels."""
    matrix = np.array([[1, 0, x], [0, 1, y]], np.float64)
    return cv2.warpAffine(frame, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)


def distract(shot: Frames, kind: str, rng: np.random.Generator) -> Frames:
    """Add what is no cut to a shot."""
    out, count = shot.copy(), len(shot)
    at = int(rng.integers(4, max(5, count - 12)))
    if kind == "flash":
        for i in range(at, min(count, at + int(rng.integers(1, 4)))):
            out[i] = (out[i] * 0.3 + 178).astype(np.uint8)
    elif kind == "whip pan":
        for i in range(at, count):
            out[i] = shift(shot[i], WIDTH * 0.9 * min(1.0, (i - at) / 7), 0)
    elif kind == "light":
        gain = np.interp(np.arange(count), [at, at + 6], [1.0, rng.choice([0.45, 1.7])])
        out[:] = np.clip(shot * gain[:, None, None, None], 0, 255).astype(np.uint8)
    elif kind == "shake":
        for i in range(count):
            out[i] = shift(shot[i], *rng.normal(0, 7, 2))
    elif kind == "passer-by":
        for i in range(at, min(count, at + 10)):
            x = int((i - at) / 9 * 1.6 * WIDTH - 0.5 * WIDTH)
            cv2.rectangle(out[i], (x, 0), (x + WIDTH // 2, HEIGHT), (30, 34, 60), -1)
    return out


def sources(clips: list[Path], pictures: list[Path], rng: np.random.Generator) -> Iterator[tuple[str, Frames]]:
    """Yield shots of 20 to 60 frames for ever, each with the name of where it is from."""
    real = {path.stem: np.stack([fit(f) for f in read_frames(path)]) for path in clips}
    stills = {}
    for path in pictures:
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
        if picture is not None and min(picture.shape[:2]) > 250:
            stills[path.stem] = picture
    kinds = ["scene", *(["clip"] if real else []), *(["picture"] if stills else [])]
    while True:
        count, kind = int(rng.integers(20, 61)), kinds[rng.integers(len(kinds))]
        if kind == "scene":
            scene = draw_scene(int(rng.integers(1 << 30)), simple(nano()), "any")
            yield f"{scene.shots[0].place}-{scene.shots[0].variant}", render(scene, WIDTH, HEIGHT, count, FPS)[0]
        elif kind == "clip":
            name = sorted(real)[rng.integers(len(real))]
            begin = int(rng.integers(max(1, len(real[name]) - count)))
            yield name, real[name][begin : begin + count]
        else:
            name = sorted(stills)[rng.integers(len(stills))]
            yield name, move_over(stills[name], count, rng)


def join(shots: list[tuple[str, Frames]], rng: np.random.Generator) -> tuple[Frames, list[tuple[str, Cut]]]:
    """Join shots by hard cuts, dissolves and fades through black; return the frames and the true cuts."""
    movie, cuts = [*shots[0][1]], []
    for _, shot in shots[1:]:
        how = JOINS[rng.integers(len(JOINS))]
        length = min(int(rng.integers(8, 21)), len(shot) // 2)
        if how == "hard":
            cuts.append((how, Cut(len(movie), len(movie))))
            movie += [*shot]
            continue
        begin = len(movie) - length
        share = np.linspace(0, 1, length + 2)[1:-1, None, None, None]
        tail, head = np.stack(movie[begin:]).astype(np.float32), shot[:length].astype(np.float32)
        if how == "dissolve":
            movie[begin:] = [*(tail * (1 - share) + head * share).astype(np.uint8)]
            movie += [*shot[length:]]
        else:
            movie[begin:] = [*(tail * (1 - share)).astype(np.uint8), *(head * share).astype(np.uint8)]
            movie += [*shot[length:]]
        stop = begin + length * (1 if how == "dissolve" else 2)
        cuts.append((how, Cut(begin, stop)))
    return np.stack(movie), cuts


def compress(movie: Frames, rng: np.random.Generator) -> Frames:
    """Add the noise of a camera."""
    noise = rng.normal(0, 2.5, (1, *movie.shape[1:]))
    return np.clip(movie + np.roll(noise, int(rng.integers(WIDTH)), 2), 0, 255).astype(np.uint8)


def match(found: list[Cut], true: list[tuple[str, Cut]]) -> tuple[dict[str, list[int]], list[Cut]]:
    """Compare: {kind: [found, there]} and the cuts found where none is. Hard cuts count within one frame."""
    table: dict[str, list[int]] = {}
    left = list(found)
    for kind, cut in true:
        slack = 1 if kind == "hard" else 3
        hits = [f for f in left if f.start <= cut.stop + slack and f.stop >= cut.start - slack]
        row = table.setdefault(kind, [0, 0])
        row[0] += bool(hits)
        row[1] += 1
        left = [f for f in left if f not in hits]
    return table, left


def report_misses(found: list[Cut], true: list[tuple[str, Cut]], movie: Frames) -> None:
    """Print every true cut that was missed, with how much the picture changes there."""
    for kind, cut in true:
        if match(found, [(kind, cut)])[0][kind][0] == 0:
            a, b = thumbnail(movie[cut.start - 1]), thumbnail(movie[min(cut.stop, len(movie) - 1)])
            print(
                f"missed {kind} {cut.start}-{cut.stop}: differs {difference(a, b):.1f}, alike {correlation(a, b):.2f}"
            )


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, nargs="*", default=[])
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--movies", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--verbose", action="store_true", help="print what was missed")
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    pictures = sorted(p for p in args.pictures.iterdir() if p.suffix in (".png", ".jpg")) if args.pictures else []
    shots = sources(args.clips, pictures, rng)
    total: dict[str, list[int]] = {}
    wrong: dict[str, int] = {}
    found = frames = 0
    for _ in range(args.movies):
        chosen: list[tuple[str, Frames]] = []
        disturbed: list[str] = []
        while len(chosen) < 8:
            name, shot = next(shots)
            if chosen and chosen[-1][0] == name:
                continue
            kind = DISTRACTIONS[rng.integers(len(DISTRACTIONS))] if rng.random() < 0.5 else "plain"
            chosen.append((name, distract(shot, kind, rng) if kind != "plain" else shot))
            disturbed.append(kind)
        movie, true = join(chosen, rng)
        movie = compress(movie, rng)
        cuts, count = find_cuts(movie, FPS)
        if args.verbose:
            report_misses(cuts, true, movie)
        table, false = match(cuts, true)
        found, frames = found + len(cuts), frames + count
        for kind, (hit, there) in table.items():
            row = total.setdefault(kind, [0, 0])
            row[0], row[1] = row[0] + hit, row[1] + there
        borders = [0, *(cut.start for _, cut in true)]
        for cut in false:
            kind = disturbed[max(i for i, b in enumerate(borders) if b <= cut.start)]
            wrong[kind] = wrong.get(kind, 0) + 1
    for kind, (hit, there) in sorted(total.items()):
        print(f"{kind:10} recall {hit}/{there} = {hit / there:.1%}")
    right = found - sum(wrong.values())
    print(f"precision {right}/{found} = {right / max(found, 1):.1%} in {frames} frames")
    print("found where none is:", ", ".join(f"{kind} {n}" for kind, n in sorted(wrong.items())) or "nothing")


if __name__ == "__main__":
    main()
