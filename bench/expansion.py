# SPDX-License-Identifier: GPL-3.0-or-later
"""What expansion gains in the text and in the video: free wordings, as they are and expanded by rules.

    ./spacetime bench expansion [--samples 160] [--steps 20] [--checkpoint FILE] [--text] [--sheet FILE] [--show]

The wordings of ``wordings.toml`` were written without sight of the rules' word lists and are not to be tuned on: what
the rules do not understand counts against them. "understood" is the share of wordings whose expansion says the thing,
the place and the motion that its author meant, in words that the model knows; all other columns are read off the clips
by the judges of ``./spacetime evaluate``. "captions" say what each author meant in the words of the model's captions:
the most that an expansion could reach. Motion and camera are judged only where the light and the weather allow it: by
day and not in snow; and nothing is judged that the model was never shown.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..language.expand import Request, expand
from ..language.facts import facts
from ..language.picture import Clause, Doing, Picture, Thing
from ..language.rules import Rules
from ..language.say import COURSES, Said
from ..language.styles import BUNDLED, style_named
from ..language.world import World, world_of
from ..models.checkpoint import load_checkpoint
from ..models.text import WORDS
from ..training.generator import Generator
from ..training.judges.nets import load_judge
from ..training.judges.sight import Sight
from ..training.scenes.config import nano
from ..training.scenes.words.vocabulary import vocabulary
from ._cases import add_json, write_json
from ._sheet import write_sheet
from ._wordings import Wording, load

SEED, FPS, SHAPE, BATCH = 83_000_000, 8.0, (5, 16, 16), 4
ASKED = ("noun", "place", "motion", "light", "weather", "camera")
Clip = np.ndarray


def caption(wording: Wording, spoken: World) -> str:
    """All that a wording says, in the words of a model's captions."""
    doing = Doing(direction=wording.motion) if wording.motion in COURSES else Doing(act=wording.motion)
    thing = Thing(wording.noun, "")
    picture = Picture(
        [Clause([thing], [doing])], wording.place, wording.light, wording.weather, "", [wording.camera or "still"]
    )
    return Said(spoken, picture, "", "zh" if wording.chinese else "en", draw=0).text()


def expanded(wording: Wording, seed: int, checkpoint: Path) -> str:
    """The text that Expand Prompt gives for a checkpoint."""
    return expand(Request(wording.text, style_named("spacetime"), seed=seed, checkpoint=checkpoint), [Rules()]).text


def understood(wording: Wording, text: str) -> dict[str, bool]:
    """Which of the thing, the place and the motion a text says in known words."""
    known = set(vocabulary())
    said = {(fact.kind, fact.key) for fact in facts(text) if set(WORDS.findall(fact.text.lower())) <= known}
    moves = {(kind, wording.motion) for kind in ("direction", "act")}
    return {
        "noun": ("noun", wording.noun) in said,
        "place": ("place", wording.place) in said,
        "motion": bool(said & moves),
    }


def seen(wording: Wording, sight: Sight, spoken: World) -> dict[str, bool]:
    """Which of the things that a wording says a clip shows; what the model was never shown, and what cannot be judged,
    is left out."""
    world = nano()
    read: dict[str, Callable[[], str]] = {
        "noun": lambda: sight.noun(world.nouns),
        "motion": lambda: "".join(sight.motion([(m,) for m in world.motions])),
        "camera": lambda: "".join(sight.moves([(c,) for c in world.cameras])),
        **{kind: lambda k=kind: sight.scenery(k, getattr(world, f"{k}s")) for kind in ("place", "light", "weather")},  # type: ignore[misc]
    }
    clear = wording.light != "night" and wording.weather != "snow"
    asked = [kind for kind in ASKED if getattr(wording, kind) in spoken.keys(f"{kind}s")]
    asked = [kind for kind in asked if clear or kind not in ("motion", "camera")]
    return {kind: read[kind]() == getattr(wording, kind) for kind in asked}


def clips_of(generator: Generator, texts: list[str], options: argparse.Namespace) -> Iterator[Clip]:
    """The clips of some texts, two seconds each; the same noise for the same place in the list."""
    for first in range(0, len(texts), BATCH):
        part = texts[first : first + BATCH]
        yield from generator.frames(generator.latents(part, SHAPE, SEED + first, options.steps, options.guidance, FPS))


def shares(rows: list[dict[str, bool]]) -> dict[str, str]:
    """The share that is right of each kind, with how many there were."""
    out = {}
    for kind in ASKED:
        answers = [row[kind] for row in rows if kind in row]
        out[kind] = f"{np.mean(answers):.2f} of {len(answers)}" if answers else "-"
    return out


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, default=BUNDLED)
    parser.add_argument("--samples", type=int, default=160, help="the first of the list, every fourth of them Chinese")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=4.0)
    parser.add_argument("--text", action="store_true", help="only the texts, no video")
    parser.add_argument("--sheet", type=Path, help="write a picture of the expanded prompts and their videos here")
    parser.add_argument("--show", action="store_true", help="print every prompt with its expansion")
    add_json(parser)
    options = parser.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)
    wordings = mixed(load())[: options.samples]
    texts = {
        "as worded": [wording.text for wording in wordings],
        "expanded by rules": [expanded(wording, i, options.checkpoint) for i, wording in enumerate(wordings)],
    }
    if options.show:
        for before, after in zip(*texts.values(), strict=True):
            print(f"{before}\n    {after}")
    rows = read_back(wordings, texts["expanded by rules"])
    if not options.text:
        rows += filmed(wordings, texts, options)
    settings = {"steps": options.steps, "guidance": options.guidance, "samples": len(wordings)}
    write_json(options.json, "expansion", settings, rows)


def read_back(wordings: list[Wording], texts: list[str]) -> list[dict[str, Any]]:
    """Print what the texts say, for each language and for both."""
    told = [understood(wording, text) for wording, text in zip(wordings, texts, strict=True)]
    rows = []
    for name, languages in (("all", (True, False)), ("English", (False,)), ("Chinese", (True,))):
        chosen = [said for wording, said in zip(wordings, told, strict=True) if wording.chinese in languages]
        if chosen:
            kinds = {kind: np.mean([said[kind] for said in chosen]) for kind in chosen[0]}
            kinds["all three"] = np.mean([all(said.values()) for said in chosen])
            rows.append({"understood": name, "samples": len(chosen)} | {k: f"{v:.2f}" for k, v in kinds.items()})
            print("  ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    return rows


def mixed(wordings: tuple[Wording, ...]) -> list[Wording]:
    """The wordings with the Chinese ones spread evenly among the others, so that any first part has both."""
    order = [(k + 0.5) / len(part) for part in _by_language(wordings) for k in range(len(part))]
    flat = [wording for part in _by_language(wordings) for wording in part]
    return [flat[i] for i in np.argsort(order, kind="stable")]


def _by_language(wordings: tuple[Wording, ...]) -> list[list[Wording]]:
    return [[w for w in wordings if w.chinese is chinese] for chinese in (False, True)]


def filmed(wordings: list[Wording], texts: dict[str, list[str]], options: argparse.Namespace) -> list[dict[str, Any]]:
    """Make the videos of every kind of text, and print what the judges see in them."""
    spoken = world_of(options.checkpoint)
    captions = [caption(wording, spoken) for wording in wordings]
    generator, judge = Generator.of(load_checkpoint(options.checkpoint)), load_judge()
    rows = []
    for way, prompts in {**texts, "captions": captions}.items():
        clips = clips_of(generator, prompts, options)
        kept: list[NDArray[np.uint8]] = []
        right = []
        for wording, clip in zip(wordings, clips, strict=True):
            right.append(seen(wording, Sight(judge, clip, FPS), spoken))
            kept += [clip] if len(kept) < 24 else []
        rows.append({"way": way, **shares(right)})
        print("  ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
        if options.sheet and way == "expanded by rules":
            write_sheet(options.sheet, prompts[:24], kept)
    return rows


if __name__ == "__main__":
    main()
