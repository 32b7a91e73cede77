# SPDX-License-Identifier: GPL-3.0-or-later
"""The clips, the picture and the masks that the example workflows start from: ``python -P host/entry.py
training.example_inputs`` renders them into ``workflows/inputs``."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..video.reader import Audio
from ..video.writer import write_video
from .scenes.render import render
from .scenes.scene import Actor, Scene, Shot

FOLDER = Path(__file__).resolve().parent.parent / "workflows" / "inputs"
FPS, FRAMES, SIDE = 8, 25, 256


def scene(noun: str, place: str, motion: str, start: tuple[float, float], number: int, weather: str = "clear") -> Scene:
    """One thing that does one thing, filmed by a still camera."""
    actor = Actor(noun, size=0.5, motions=(motion,), facing="right" if motion == "right" else "left", start=start)
    return Scene((Shot(place, (actor,), weather=weather, variant=number),), seed=number)


CLIPS = {
    "panda_snow": scene("red panda", "forest", "right", (-0.2, 0.3), 11, "snow"),
    "turtle_beach": scene("turtle", "beach", "right", (0.0, 0.2), 12),
    "balloon_meadow": scene("balloon", "meadow", "up", (0.1, 0.3), 13),
}
PICTURE = scene("penguin", "beach", "jump", (0.0, 0.3), 14)


def melody(seconds: float, rate: int = 22050) -> Audio:
    """A few soft notes, so that one sees what becomes of a clip's sound."""
    time = np.arange(round(seconds * rate)) / rate
    note = np.array([261.6, 329.6, 392.0, 523.3])[(time * 2).astype(int) % 4]
    wave = 0.2 * np.sin(2 * np.pi * note * time) * np.exp(-3 * (time * 2 % 1))
    return Audio(wave[None].astype(np.float32), rate)


def save_mask(name: str, cover: NDArray[np.uint8]) -> None:
    """Write where the thing is in any of the frames of ``cover``, and a little around it, in white."""
    around = cv2.dilate(cover.max(0), np.ones((31, 31), np.uint8))
    Image.fromarray((around > 0).astype(np.uint8) * 255).save(FOLDER / f"{name}.png")


def main() -> None:
    """Render everything."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, shown in CLIPS.items():
        frames, truth = render(shown, SIDE, SIDE, FRAMES, FPS)
        sound = melody(FRAMES / FPS) if name == "panda_snow" else None
        write_video(FOLDER / f"{name}.mp4", iter(frames), fps=FPS, audio=sound, crf=20)
        if name == "turtle_beach":
            save_mask("turtle_mask", truth.cover)
    frames, truth = render(PICTURE, SIDE, SIDE, 1, FPS)
    Image.fromarray(frames[0]).save(FOLDER / "penguin_beach.png")
    save_mask("penguin_mask", truth.cover)


if __name__ == "__main__":
    main()
