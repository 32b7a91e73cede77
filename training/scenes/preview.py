# SPDX-License-Identifier: GPL-3.0-or-later
"""A contact sheet of the scene world, every scene with its truth in words: ``./spacetime world --preview FILE.png``."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .config import CONFIGS
from .draw import SPLITS, draw_scene
from .fetch import fetch_sprites
from .render import render
from .scene import Actor, Scene, Shot

SHOWN = 4  # frames of each scene
LINE = 16  # pixels of a line of text
SHAPES = ((256, 256), (256, 256), (320, 192), (256, 256), (192, 256))
log = logging.getLogger("spacetime.training")


def describe(scene: Scene) -> list[str]:
    """The scene's truth in words, one line per shot."""
    lines = [_describe_shot(shot) for shot in scene.shots]
    if scene.look != "natural":
        lines[-1] += f" | {scene.look}"
    return lines


def _describe_shot(shot: Shot) -> str:
    who = ", ".join(_describe_actor(a) for a in shot.actors)
    parts = [who, f"{shot.place}, {shot.light}, {shot.weather}", "camera " + " then ".join(shot.camera)]
    if shot.event is not None:
        event = shot.event
        detail = [event.kind, event.prop or "", event.colour or "", f"x{event.count}" if event.count > 1 else ""]
        parts.append("event " + " ".join(d for d in detail if d))
    return " | ".join(parts)


def _describe_actor(actor: Actor) -> str:
    count = f"{actor.count} x " if actor.count > 1 else ""
    facing = f", facing {actor.facing}" if actor.seen_from_side and not actor.motions else ""
    motions = f": {' then '.join(actor.motions)}" if actor.motions else ""
    relation = f" {actor.relation} the first" if actor.relation else ""
    return f"{count}{actor.colour + ' ' if actor.colour else ''}{actor.noun}{relation}{motions}{facing}"


def strip(scene: Scene, width: int, height: int, wide: int) -> NDArray[np.uint8]:
    """Frames of a scene side by side, ``wide`` pixels in all, under its description."""
    clip, _ = render(scene, width, height, 17, 8.0)
    chosen = np.linspace(0, len(clip) - 1, SHOWN).round().astype(int)
    size = (wide // SHOWN, round(wide / SHOWN * height / width))
    picture = np.concatenate([cv2.resize(clip[k], size, interpolation=cv2.INTER_AREA) for k in chosen], 1)
    lines = describe(scene)
    label = np.full((LINE * len(lines) + 6, picture.shape[1], 3), 255, np.uint8)
    for i, line in enumerate(lines):
        scale = min(0.42, 0.42 * picture.shape[1] / (7.0 * len(line) + 8))
        cv2.putText(label, line, (4, 14 + LINE * i), cv2.FONT_HERSHEY_SIMPLEX, scale, (20, 20, 20), 1, cv2.LINE_AA)
    return np.concatenate([label, picture], 0)


def sheet(scenes: list[Scene], columns: int = 2, wide: int = 640) -> NDArray[np.uint8]:
    """Strips of scenes in columns; some rows of them are rendered in another shape."""
    rows = []
    for number, first in enumerate(range(0, len(scenes), columns)):
        shape = SHAPES[number % len(SHAPES)]
        part = [strip(s, *shape, wide) for s in scenes[first : first + columns]]
        row = np.full((max(s.shape[0] for s in part) + 4, (wide + 8) * columns, 3), 255, np.uint8)
        for i, s in enumerate(part):
            row[: s.shape[0], i * (wide + 8) : i * (wide + 8) + s.shape[1]] = s
        rows.append(row)
    return np.concatenate(rows, 0)


def main() -> None:
    """Read the options and write the sheet."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(prog="spacetime world", description="Write a contact sheet of the scene world.")
    parser.add_argument("--preview", type=Path, required=True, metavar="FILE.png", help="where to write the sheet")
    parser.add_argument("--config", choices=sorted(CONFIGS), default="full", help="how wide the world is")
    parser.add_argument("--count", type=int, default=24, help="how many scenes")
    parser.add_argument("--seed", type=int, default=0, help="the first scene's seed")
    parser.add_argument("--split", choices=SPLITS, default="any", help="which combinations to draw")
    args = parser.parse_args()
    if not 1 <= args.count <= 400:
        parser.error(f"--count is 1 to 400, not {args.count}")
    try:
        fetch_sprites()
    except RuntimeError as error:
        parser.exit(1, f"spacetime: {error}\n")
    config = CONFIGS[args.config]()
    scenes = [draw_scene(args.seed + i, config, args.split) for i in range(args.count)]
    picture = sheet(scenes, columns=2)
    args.preview.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(args.preview)
    log.info("%d scenes of the %s world in %s", args.count, args.config, args.preview)


if __name__ == "__main__":
    main()
