# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows about time: how extensions, loops and connections meet what they start from, and roll-outs of a minute.

A gap is what lies between known frames. The world fills it with what it shows there itself; a model with what the
operations of the nodes (models/edits) make of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from ...models.edits.clip import bridge
from ...models.edits.seam import Residual, to_picture
from ...models.edits.segments import encode_segment
from ...models.edits.timeline import Timeline
from ...models.flow import guided, sample, schedule, token_shift
from ..common import log
from ..evaluate import Generator, to_uint8
from ..judges.motion import jumps
from ..judges.nets import Judge
from ..judges.sight import Sight
from ..scenes.config import WorldConfig
from ..scenes.render import render
from .makers import Model
from .prompts import Need, Prompt, draw_prompts
from .table import Row, measured_row, share_row

Frames = NDArray[np.uint8]
KNOWN, MADE = 17, 16  # frames that are known on a side of an extension, and that are made
SIDES = 9, 8  # frames known before and after a bridge
TOGETHER = 8  # gaps held in memory
FADE = 8  # frames over which the detail that the VAE loses fades from made ones
TIMES = "x own motion"
CALM = ("still", "jump", "spin", "sway")  # what can be done for a minute
# Whose frames differ: a moving camera, so that the clip's own motion is more than nothing.
MOVING = Need({"moving_camera": 1.0})
LONG = Need({"motions": lambda world: tuple(m for m in world.motions if m in CALM), "cameras": ("still",)})


@dataclass(frozen=True)
class Gap:
    """Frames (F, H, W, 3) on either side of ``made`` unknown ones, and what the world shows in their place."""

    prompt: Prompt
    before: Frames
    made: int
    after: Frames | None
    truth: Frames


class Filler(Protocol):
    """Fills gaps with frames (made, H, W, 3), in their order."""

    def __call__(self, gaps: Sequence[Gap]) -> Iterator[Frames]:
        """Yield the frames."""


def truth(gaps: Sequence[Gap]) -> Iterator[Frames]:
    """What the world shows in the gaps."""
    for gap in gaps:
        yield gap.truth


def hard_cuts(gaps: Sequence[Gap]) -> Iterator[Frames]:
    """What another scene shows in the gaps: what a seam must not look like."""
    for _, other in zip(gaps, [*gaps[1:], *gaps[:1]], strict=True):
        yield other.truth


@dataclass
class ModelFiller:
    """A checkpoint with the edits that the nodes make."""

    model: Model

    def __call__(self, gaps: Sequence[Gap]) -> Iterator[Frames]:
        """Yield the frames."""
        for gap in gaps:
            yield self.fill(gap)

    @torch.inference_mode()
    def fill(self, gap: Gap) -> Frames:
        """Encode the known frames, sample what is between, decode it, and give it the detail that the VAE lost."""
        own, line = self.model.generator, Timeline()
        position = len(gap.before) + gap.made
        known = encode_segment(self._encode, gap.before, 0, line)
        after = None if gap.after is None else encode_segment(self._encode, gap.after, position, line)
        edit = bridge(known, gap.made // line.ratio, after)
        states = own.text(own.tokenizer.batch([gap.prompt.text, ""]))
        noise = torch.randn(edit.samples.shape, generator=torch.Generator().manual_seed(gap.prompt.seed))

        def denoise(x: torch.Tensor, t: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
            return own.dit(x, t, text, gap.prompt.fps)

        sigmas = schedule(self.model.steps, token_shift(edit.samples[0, 0].numel() // 4))
        velocity = guided(denoise, states[:1], states[1:], self.model.guidance)
        latent = sample(velocity, noise, sigmas, edit.samples.float(), edit.mask)
        return faded(decode(own, latent), gap)

    def _encode(self, frames: Frames) -> torch.Tensor:
        vae = self.model.generator.vae
        video = torch.from_numpy(frames).permute(3, 0, 1, 2)[None].float().div(127.5).sub(1)
        return vae.encode(video.to(next(vae.parameters()).dtype))


def decode(generator: Generator, latent: torch.Tensor) -> Frames:
    """One latent (1, C, T, h, w) to frames."""
    vae = generator.vae
    return to_uint8(vae.decode(latent.to(next(vae.parameters()).dtype)))


def faded(decoded: Frames, gap: Gap) -> Frames:
    """The made frames of a decoded clip, as Finish Video shows them."""
    first, end = len(gap.before), len(gap.before) + gap.made
    length = min(FADE, gap.made)
    left = Residual(gap.before[-1], decoded[first - 1], length, gap.before[-2])
    right = None if gap.after is None else Residual(gap.after[0], decoded[end], length, gap.after[1])
    out = []
    for k in range(first, end):
        picture = decoded[k].astype(np.float32)
        shares = [left.share(picture, k - first + 1)]
        shares += [] if right is None else [right.share(picture, end - k)]
        out.append(to_picture(decoded[k], *shares))
    return np.stack(out)


def gaps_of(kind: str, prompts: Sequence[Prompt]) -> Iterator[Gap]:
    """The gaps of an "extension", a "loop" (shown there and back) or a "connection" of a scene's begin with its end."""
    for p in prompts:
        before, after = (KNOWN, 0) if kind == "extension" else SIDES
        count = before + MADE + after
        if kind == "loop":
            there = render(p.scene, p.width, p.height, MADE, p.fps)[0]
            circle = np.concatenate([there, there[-2:0:-1]])  # 2 MADE - 2 frames, and round again
            clip = np.concatenate([circle, circle])[MADE - before // 2 :][:count]
        else:
            clip = render(p.scene, p.width, p.height, count, p.fps)[0]
        end = clip[before + MADE :] if after else None
        yield Gap(p, clip[:before], MADE, end, clip[before : before + MADE])


def seam(gap: Gap, made: Frames) -> float:
    """The larger jump at the joins over the mean jump within the known frames; 1 is no seam at all."""
    parts = [gap.before] if gap.after is None else [gap.before, gap.after]
    own = float(np.concatenate([jumps(part) for part in parts]).mean())
    joins = [jumps(np.stack([gap.before[-1], made[0]]))[0]]
    if gap.after is not None:
        joins.append(jumps(np.stack([made[-1], gap.after[0]]))[0])
    return max(joins) / max(own, 0.25)


def kept(gap: Gap, made: Frames, judge: Judge, world: WorldConfig) -> float:
    """Whether the made frames show the thing and the place that the prompt names."""
    sight, shot = Sight(judge, made, gap.prompt.fps), gap.prompt.scene.shots[0]
    return float(sight.noun(world.nouns) == shot.actors[0].noun and sight.scenery("place", world.places) == shot.place)


def join_rows(kind: str, filler: Filler, judge: Judge, world: WorldConfig, count: int, limit: int) -> list[Row]:
    """The rows of an operation: its seams, and whether what is made keeps to the thing and the place."""
    prompts = draw_prompts(MOVING, world, count, limit=limit)
    fillers: tuple[Filler, ...] = (truth, hard_cuts) if filler is truth else (filler, truth, hard_cuts)
    seams: list[list[float]] = [[] for _ in fillers]
    content: list[list[float]] = [[] for _ in fillers]
    for first in range(0, count, TOGETHER):
        gaps = list(gaps_of(kind, prompts[first : first + TOGETHER]))
        for number, fill in enumerate(fillers):
            for gap, made in zip(gaps, fill(gaps), strict=True):
                seams[number].append(seam(gap, made))
                content[number].append(kept(gap, made, judge, world))
    about = "floor: a hard cut to another scene"
    return [
        measured_row(
            *(f"{kind} seam", TIMES, seams[0]), ceiling=float(np.mean(seams[-2])), floor=float(np.mean(seams[-1])),
            note=f"jump at the join over the clip's own mean jump, 1 is none; {about}",
        ),
        content_row(f"{kind} content", content, world, f"object and place kept in what is made; {about}"),
    ]  # fmt: skip


def content_row(name: str, scores: Sequence[list[float]], world: WorldConfig, note: str) -> Row:
    """The row of what is kept, by scores of the filler (first), of the truth and of what is wrong (last)."""
    ceiling, wrong = float(np.mean(scores[-2])), float(np.mean(scores[-1]))
    chance = 1 / (len(world.nouns) * len(world.places))
    return share_row(name, scores[0], ceiling=ceiling, floor=wrong, control=wrong, chance=chance, note=note)


def drift_rows(
    filler: Filler, judge: Judge, world: WorldConfig, count: int, seconds: Sequence[int], limit: int
) -> list[Row]:
    """Whether thing and place are still there after so many seconds, clip after clip continued from its end."""
    prompts = draw_prompts(LONG, world, count, limit=limit)
    scores: dict[int, tuple[list[float], list[float], list[float]]] = {at: ([], [], []) for at in seconds}
    for number, p in enumerate(prompts):
        wrong = replace(p, scene=prompts[(number + 1) % len(prompts)].scene)
        rolled = {} if filler is truth else dict(roll_out(filler, p, seconds))
        for at in seconds:
            real = ending(p, at)
            gap = Gap(p, real, len(real), None, real)
            for into, made in zip(scores[at], (rolled.get(at, real), real, ending(wrong, at)), strict=True):
                into.append(kept(gap, made, judge, world))
        log.info("roll-out %d of %d", number + 1, len(prompts))
    note = "object and place still there in the last two seconds; floor: another scene"
    return [content_row(f"drift over {at} s", scores[at], world, note) for at in seconds]


def ending(p: Prompt, seconds: int) -> Frames:
    """The last two seconds of a scene of so many, rendered at a low rate."""
    return render(p.scene, p.width, p.height, seconds + 1, 1.0)[0][-3:]


def roll_out(filler: Filler, p: Prompt, seconds: Sequence[int]) -> Iterator[tuple[int, Frames]]:
    """Continue a scene's first two seconds again and again; the last two seconds at each of the times asked for."""
    clip = render(p.scene, p.width, p.height, KNOWN, p.fps)[0]
    shown, left = len(clip), sorted(seconds)
    while left:
        gap = Gap(replace(p, seed=p.seed + shown), clip, MADE, None, clip)
        made = next(iter(filler([gap])))
        clip = np.concatenate([clip, made])[-KNOWN:]
        shown += len(made)
        while left and shown >= left[0] * p.fps:
            yield left.pop(0), made
