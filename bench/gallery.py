# SPDX-License-Identifier: GPL-3.0-or-later
"""Prompts chosen by chance and what became of them, failures included: a page with a film strip for each.

    ./spacetime bench gallery [--seed 1] [--count 24] [--steps 8] [--out docs/gallery] [--checkpoint FILE]

Nobody chooses: the seed draws held-out scenes (combinations that training never shows), a wording for each (half of
them dense captions, half as people type, a quarter Chinese), a shape and the noise. Under each strip stands what the
judges of ``./spacetime evaluate`` read in the clip.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ..language.styles import BUNDLED
from ..models.checkpoint import load_checkpoint
from ..training.evaluation.makers import Model
from ..training.evaluation.prompts import FPS, FRAMES, LASTING, LONGER, MEASURED, Prompt
from ..training.evaluation.questions import QUESTIONS
from ..training.generator import Generator
from ..training.judges.nets import load_judge
from ..training.judges.sight import Sight
from ..training.scenes.captions import dense, free_wording
from ..training.scenes.config import CONFIGS, WorldConfig
from ..training.scenes.draw import draw_scene
from ..training.scenes.scene import Scene
from ..training.scenes.words.speaker import DENSE, DIRECTED

FIRST_SEED = 84_000_000  # above those of training and of other measurements
SHAPES = ((256, 256), (256, 256), (352, 192), (192, 352))
SHOWN = 5  # frames of a strip
TALL = 144  # pixels

Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class Asked:
    """A prompt, and which of the captions' facts it says."""

    prompt: Prompt
    facts: frozenset[str]


def drawn(seed: int, count: int, world: WorldConfig) -> list[Asked]:
    """The prompts of a seed."""
    out = []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        scene = draw_scene(FIRST_SEED + int(rng.integers(2**24)), world, "held out")
        language = "zh" if rng.random() < 0.25 else "en"
        free = free_wording(scene, rng, language)
        text, facts = (free.text, free.facts) if rng.random() < 0.5 else (dense(scene, rng, language), DENSE)
        width, height = SHAPES[int(rng.integers(len(SHAPES)))]
        shot = scene.shots[0]
        long = shot.event is not None or len(shot.actors[0].motions) > 1 or len(shot.camera) > 1
        frames = LONGER if long else FRAMES
        out.append(Asked(Prompt(text, scene, int(rng.integers(2**31)), width, height, frames, FPS), facts))
    return out


def _alone(scene: Scene) -> bool:
    return len(scene.shots[0].actors) == 1


def _measurable(scene: Scene) -> bool:
    """Whether what moves can be measured: by day, in clear weather and natural colours, nothing happening beside."""
    shot = scene.shots[0]
    plain = (shot.light, shot.weather, scene.look) == ("day", "clear", "natural")
    return plain and shot.event is None and _alone(scene)


def _happens(*kinds: str) -> Callable[[Scene], bool]:
    return lambda scene: (
        scene.look == "natural" and scene.shots[0].event is not None and scene.shots[0].event.kind in kinds
    )


def _motions(count: int) -> Callable[[Scene], bool]:
    return lambda scene: (
        _measurable(scene) and scene.shots[0].actors[0].count == 1 and (len(scene.shots[0].actors[0].motions) == count)
    )


def _moves(count: int) -> Callable[[Scene], bool]:
    return lambda scene: (
        _measurable(scene) and len(scene.shots[0].camera) == count and set(scene.shots[0].camera) <= set(MEASURED)
    )


# Which rows of the evaluation are asked of a clip: the fact that its prompt must say, and which scenes can be judged.
ROWS: dict[str, tuple[str, Callable[[Scene], bool]]] = {
    "object": ("noun", _alone),
    "colour": (
        "colour", lambda s: _alone(s) and s.look == "natural" and s.shots[0].actors[0].colour is not None
    ),
    "count": ("count", lambda s: _alone(s) and s.shots[0].event is None),
    "left/right relation": ("others", lambda s: s.shots[0].actors[-1].relation in ("left of", "right of")),
    "place": ("place", lambda s: True),
    "light": ("light", lambda s: True),
    "weather": ("weather", lambda s: True),
    "look": ("look", lambda s: True),
    "motion": ("motion", _motions(1)),
    "sequence order": ("motion", _motions(2)),
    "camera": ("camera", _moves(1)),
    "camera sequence order": ("camera", _moves(2)),
    "permanence after occlusion": ("event", _happens("passes behind")),
    "permanence after leaving the frame": ("event", _happens("leaves and returns")),
    "event persistence": ("event", _happens(*LASTING)),
}  # fmt: skip


def verdict(asked: Asked, sight: Sight, world: WorldConfig) -> str:
    """What of that which a prompt says the judges do not find in its clip."""
    scene = asked.prompt.scene
    due = {row for row, (fact, fits) in ROWS.items() if fact in asked.facts and fits(scene)}
    if "direction" not in asked.facts and DIRECTED & set(scene.shots[0].actors[0].motions):
        due -= {"motion", "sequence order"}
    wrong = [q.row for q in QUESTIONS if q.row in due and q.right(sight, scene, world) < 1]
    return f"not as asked: {', '.join(wrong)}" if wrong else "as asked"


def strip(clip: Frames) -> Frames:
    """Frames of a clip (F, H, W, 3) uint8 side by side, TALL pixels high."""
    chosen = np.linspace(0, len(clip) - 1, SHOWN).round().astype(int)
    size = (round(TALL * clip.shape[2] / clip.shape[1]), TALL)
    return np.concatenate([cv2.resize(clip[k], size, interpolation=cv2.INTER_AREA) for k in chosen], 1)


def page(prompts: Sequence[Asked], verdicts: Sequence[str], options: argparse.Namespace) -> str:
    """The page in Markdown."""
    good = sum(v == "as asked" for v in verdicts)
    lines = [
        "# Gallery",
        "",
        f"{len(prompts)} prompts chosen by chance, not by hand: "
        f"`./spacetime bench gallery --seed {options.seed} --count {options.count} --steps {options.steps}`. Every "
        f"combination of thing, place and motion was kept out of training. Under each strip stands what the judges "
        f"read; {good} of {len(prompts)} are as asked. Things that the model does not know are asked for, too: "
        "see the limits in docs/MODEL_CARD.md.",
        "",
    ]
    for number, (asked, read) in enumerate(zip(prompts, verdicts, strict=True), 1):
        lines += [f"**{number}.** {asked.prompt.text}", "", f"![{read}]({number:02}.jpg)", "", f"*{read}*", ""]
    return "\n".join(lines)


def main() -> None:
    """Make the clips and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, default=BUNDLED)
    parser.add_argument("--world", choices=tuple(CONFIGS), default="nano")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--guidance", type=float, default=4.0)
    parser.add_argument("--out", type=Path, default=Path("docs/gallery"))
    options = parser.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)
    world = CONFIGS[options.world]()
    prompts = drawn(options.seed, options.count, replace(world, cut=0.0))
    make = Model(Generator.of(load_checkpoint(options.checkpoint)), options.steps, options.guidance, batch=1)
    judge, verdicts = load_judge(), []
    options.out.mkdir(parents=True, exist_ok=True)
    clips = make([asked.prompt for asked in prompts])
    for number, (asked, clip) in enumerate(zip(prompts, clips, strict=True), 1):
        verdicts.append(verdict(asked, Sight(judge, clip, asked.prompt.fps), world))
        picture = cv2.cvtColor(strip(clip), cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(options.out / f"{number:02}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 88])
        print(f"{number}: {asked.prompt.text}\n    {verdicts[-1]}", flush=True)
    (options.out / "README.md").write_text(page(prompts, verdicts, options), encoding="utf-8")


if __name__ == "__main__":
    main()
