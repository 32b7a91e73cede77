# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a minute drifts from its begin, by the settings of Long Video, against chaining on the last frame.

    ./spacetime bench drift [--seconds 60] [--steps 20] [--seeds 1 2] [--history-noise 0 0.05 0.15] [--context 1.5 2.5]
        [--hold-colour 0 0.5] [--history-guidance 0.5 1] [--no-chained] [--checkpoint NAME|FILE] [--keep FOLDER]

Every combination of the settings given is made, each in a process of its own, and "chained" beside them: clips of the
same length, each animated from the last frame of the one before, which is what users do today. Compared are the first
chunk and the last 10 seconds: "colour" is the distance of their mean colours in grey levels; "contrast", "detail" and
"motion" are ratios of end to begin (1: as it began). "seam" is the difference between neighbouring frames where a
chunk begins over that where any other latent frame does (1: no seam). "subject" is the share of parts of two seconds
after the first chunk in which the judge of the evaluation sees the thing that was asked for. Memory is the process's
peak, and what of it came on top of the loaded model; time is processor time for a second of video.
"""

from __future__ import annotations

import argparse
import json
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from ._cases import add_json, listed, own_process, peak_rss, write_json

PROMPT, SUBJECT = "a red panda walks to the right in the snow", "red panda"
WORLD = "nano"  # whose nouns the judge chooses from
PART = 2.0  # seconds that the judge looks at together
END = 10.0  # seconds
CURVE = 5.0  # seconds for each point of the curves in the JSON file
LONG, CHAINED = "Long Video", "chained on the last frame"
FIGURES = {"colour": ".1f", "contrast": ".2f", "detail": ".2f", "motion": ".2f", "seam": ".2f", "subject": ".2f",
           "peak": ".0f", "above": ".0f", "cpu": ".2f"}  # fmt: skip
COLUMNS = ("way", "noise", "context", "hold", "guidance", "colour", "contrast", "detail", "motion", "seam", "subject",
           "peak MiB", "above idle MiB", "CPU s per s")  # fmt: skip
Frame = np.ndarray


def main() -> None:
    """Run all combinations and print a table; with ``--case`` run one and print its figures as JSON."""
    options = read_options()
    if options.case:
        print(json.dumps(measure(Settings(**json.loads(options.case)))))
        return
    print(f"{options.checkpoint}, {options.seconds:g} s, {options.steps} steps, {len(options.seeds)} seeds\n")
    rows = compare(options)
    write_json(options.json, "drift", {**vars(options), "keep": str(options.keep), "json": None}, rows)


def read_options(given: list[str] | None = None) -> argparse.Namespace:
    """Read the options given, or those of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the videos")
    parser.add_argument("--steps", type=int, default=20, help="model calls for each chunk")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], help="the figures are means over these")
    parser.add_argument("--chunk", type=float, default=4.0, help="seconds made or seen at once")
    parser.add_argument("--history-noise", type=float, nargs="+", default=[0.05])
    parser.add_argument("--context", type=float, nargs="+", default=[1.5], help="seconds")
    parser.add_argument("--hold-colour", type=float, nargs="+", default=[0.5])
    parser.add_argument("--history-guidance", type=float, nargs="+", default=[0.5])
    parser.add_argument("--no-chained", action="store_true", help="leave out chaining on the last frame")
    parser.add_argument("--size", type=int, default=256, help="width and height in pixels")
    parser.add_argument("--fps", type=float, default=8.0, help="frames per second")
    parser.add_argument("--prompt", default=PROMPT)
    parser.add_argument("--subject", default=SUBJECT, help='what the judge looks for; "" leaves it out')
    parser.add_argument("--checkpoint", default="spacetime-nano.safetensors", help="a listed name, or a file")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the videos here")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    add_json(parser)
    return parser.parse_args(given)


@dataclass(frozen=True)
class Settings:
    """One video: its way, what Long Video is told, and what both share."""

    way: str
    noise: float
    context: float
    hold: float
    guidance: float
    seconds: float
    steps: int
    seed: int
    chunk: float
    size: int
    fps: float
    prompt: str
    subject: str
    checkpoint: str
    keep: str


def compare(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Make every combination, print a row for each, and return them with their curves."""
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    given = (options.history_noise, options.context, options.hold_colour, options.history_guidance)
    ways = [(LONG, *values) for values in product(*given)]
    ways += [] if options.no_chained else [(CHAINED, 0.0, 0.0, 0.0, 0.0)]
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    shared = {
        name: getattr(options, name) for name in ("seconds", "steps", "chunk", "size", "fps", "prompt", "subject")
    }
    path = Path(options.checkpoint)
    shared |= {"checkpoint": str(path.absolute()) if path.is_file() else options.checkpoint}
    shared |= {"keep": str(options.keep.absolute()) if options.keep else ""}
    rows = []
    for way, *values in ways:
        told = dict(zip(("noise", "context", "hold", "guidance"), values, strict=True))
        made = []
        for seed in options.seeds:
            case = {"way": way, **told, "seed": seed, **shared}
            made.append(own_process("drift", ["--case", json.dumps(case)], f"{way}, seed {seed}"))
        row: dict[str, Any] = {"way": way, **told}
        row |= {name: float(np.mean([one[name] for one in made])) for name in FIGURES}
        settings = ["" if way == CHAINED else f"{value:g}" for value in values]
        shown = [f"{row[name]:{form}}".replace("nan", "-") for name, form in FIGURES.items()]
        print(f"| {' | '.join([way, *settings, *shown])} |", flush=True)
        rows.append({**row, "curves": [one["curves"] for one in made]})
    return rows


# -- one video ------------------------------------------------------------------------------------------------------


def measure(settings: Settings) -> dict[str, Any]:
    """Make one video in this process, write it, and look at its frames as they come."""
    from ..host.comfy import find_host
    from ..host.runner import Runner
    from ..video.writer import VideoWriter

    with tempfile.TemporaryDirectory() as base:
        Runner(find_host(), Path(base), ["--verbose", "ERROR"])  # enters the host
        import torch

        from ..nodes import folders

        folders.register()
        with torch.inference_mode():
            kit, look = Kit(settings), Look(settings)
            look.load()
            count = round(settings.seconds * settings.fps)
            idle, begin = peak_rss(), time.process_time()
            frames, joints, starts = (kit.chained if settings.way == CHAINED else kit.long)()
            told = (settings.noise, settings.context, settings.hold, settings.guidance, settings.seed)
            name = f"{settings.way}-{'-'.join(f'{value:g}' for value in told)}.mp4"
            target = Path(settings.keep or base) / name.replace(" ", "_")
            with VideoWriter(target, fps=settings.fps, quality="high") as writer:
                for _, frame in zip(range(count), frames, strict=False):
                    writer.write(frame)
                    look.at(frame)
                writer.finish()
            took, peak = time.process_time() - begin, peak_rss()
            figures = look.figures(joints, starts)
    return {**figures, "peak": peak, "above": peak - idle, "cpu": took / settings.seconds}


class Kit:
    """The loaded model, and the two ways to a long video."""

    def __init__(self, settings: Settings) -> None:
        from ..nodes import loader
        from ..nodes.latent import compression_of
        from ..nodes.originals import timeline_of

        self.settings = settings
        self.model, clip, self.vae = loader.load(listed(settings.checkpoint))
        texts = (settings.prompt, "")
        self.positive, self.negative = (clip.encode_from_tokens_scheduled(clip.tokenize(text)) for text in texts)
        self.line, self.compression = timeline_of(self.vae), compression_of(self.vae)

    def empty(self, seconds: float) -> dict[str, Any]:
        """A LATENT of that length, all of it to be made."""
        import torch

        length = self.line.latents(self.line.run(seconds * self.settings.fps, True))
        side = self.settings.size // self.compression.space
        samples = torch.zeros(1, self.compression.channels, length, side, side)
        return {"samples": samples, "frame_rate": self.settings.fps}

    def long(self) -> tuple[Iterator[Frame], set[int], set[int]]:
        """Frames of Long Video, and at which of them chunks and latent frames begin."""
        from ..models.edits.rollout import FREE, chunks
        from ..nodes.long_video import Job, window_of
        from ..nodes.rollout import Settings as How
        from ..nodes.work_folder import work_folder

        told, latent = self.settings, self.empty(self.settings.seconds + 1)
        how = How(told.seed, told.steps, 4.0, "euler", "spacetime", told.noise, told.hold, told.guidance)
        job = Job(self.model, self.positive, self.negative, latent, self.vae, how, told.chunk, told.context)
        video, _ = job.run(work_folder(secrets.token_hex(16)), 1.0, "bench")
        length = latent["samples"].shape[2]
        cut = chunks([FREE] * length, *window_of(self.line, told.fps, told.chunk, told.context), self.line)
        joints = {self.line.frames(chunk.begin) for chunk in cut[1:]}
        return video.frames(), joints, {self.line.frames(at) for at in range(1, length)} - joints

    def chained(self) -> tuple[Iterator[Frame], set[int], set[int]]:
        """The same of clips that are each animated from the last frame of the one before."""
        latents = self.line.latents(self.line.run(self.settings.chunk * self.settings.fps, True))
        length = self.line.frames(latents)
        count = round(self.settings.seconds * self.settings.fps)
        joints = set(range(length, count, length - 1))
        inner = [self.line.frames(at) - 1 for at in range(2, latents)]
        starts = {base + frame for base in joints for frame in inner} | {frame + 1 for frame in inner}
        return self._chain(count), joints, starts

    def _chain(self, count: int) -> Iterator[Frame]:
        import torch

        from ..nodes import vae_stream
        from ..nodes.animate import add_keyframe, animate
        from ..nodes.sampler import sample

        told, done, latent, seen = self.settings, 0, self.empty(self.settings.chunk), 0
        while done < count:
            how = (told.seed + done, told.steps)
            made = sample(self.model, self.positive, self.negative, latent, *how)["samples"]
            for frame in list(vae_stream.decode_frames(self.vae, made, lambda _: None))[seen:]:
                yield frame
                done += 1
            picture = torch.from_numpy(np.ascontiguousarray(frame)).float()[None] / 255
            latent, seen = animate(picture, self.vae, told.chunk, told.fps, told.size)[0], 1
            latent = add_keyframe(latent, picture, self.vae, 0.0, 1.0)


# -- what is seen ----------------------------------------------------------------------------------------------------


@dataclass
class Look:
    """Figures of the frames of one video, gathered one by one."""

    settings: Settings
    colours: list[np.ndarray] = field(default_factory=list)
    contrasts: list[float] = field(default_factory=list)
    details: list[float] = field(default_factory=list)
    changes: list[float] = field(default_factory=list)
    seen: list[bool] = field(default_factory=list)
    _last: Frame | None = None
    _part: list[Frame] = field(default_factory=list)
    _judge: Callable[[np.ndarray], str] | None = None

    def load(self) -> None:
        """Load the judge, if it is to be asked."""
        if self.settings.subject and self._judge is None:
            self._judge = judge(self.settings.fps)

    def at(self, frame: Frame) -> None:
        """Take the next frame, uint8 (H, W, 3)."""
        picture = frame.astype(np.float32)
        grey = picture.mean(2)
        self.colours.append(picture.mean((0, 1)))
        self.contrasts.append(float(grey.std()))
        self.details.append(float(np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean()))
        self.changes.append(0.0 if self._last is None else float(np.abs(picture - self._last).mean()))
        self._last = picture
        self._part.append(frame)
        if len(self._part) >= PART * self.settings.fps:
            self.load()
            if self._judge is not None:
                self.seen.append(self._judge(np.stack(self._part)) == self.settings.subject)
            self._part = []

    def figures(self, joints: set[int], starts: set[int]) -> dict[str, Any]:
        """Return the figures of the table, and curves over time."""
        told, count = self.settings, len(self.changes)
        first = slice(0, max(2, round(told.chunk * told.fps)))
        last = slice(count - max(2, round(min(END, told.seconds / 4) * told.fps)), count)
        mean: dict[str, list[float]] = {"contrast": self.contrasts, "detail": self.details, "motion": self.changes}
        ratios = {name: float(np.mean(of[last])) / max(1e-6, float(np.mean(of[first]))) for name, of in mean.items()}
        colours, changes = np.stack(self.colours), np.asarray(self.changes)
        apart = np.abs(colours[last].mean(0) - colours[first].mean(0)).mean()
        at, other = (changes[sorted(places & set(range(count)))] for places in (joints, starts))
        later = self.seen[round(told.chunk / PART) :]
        step = max(1, round(CURVE * told.fps))
        curves = {name: [float(np.mean(of[k : k + step])) for k in range(0, count, step)] for name, of in mean.items()}
        curves["colour"] = [
            float(np.abs(colours[k : k + step].mean(0) - colours[first].mean(0)).mean()) for k in range(0, count, step)
        ]
        return {
            "colour": float(apart), **ratios,
            "seam": float(at.mean() / max(1e-6, other.mean())) if len(at) and len(other) else float("nan"),
            "subject": float(np.mean(later)) if later else float("nan"),
            "curves": {**curves, "subject": self.seen, "seconds": CURVE},
        }  # fmt: skip


def judge(fps: float) -> Callable[[np.ndarray], str]:
    """Return what names the largest thing of a clip (F, H, W, 3)."""
    from ..training.judges.lessons import config_of
    from ..training.judges.nets import load_judge
    from ..training.judges.sight import Sight

    nets, nouns = load_judge(), config_of(WORLD).nouns
    return lambda clip: Sight(nets, clip, fps).noun(nouns)


if __name__ == "__main__":
    main()
