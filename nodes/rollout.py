# SPDX-License-Identifier: GPL-3.0-or-later
"""Sampling a clip of any length chunk by chunk: each sees the finished frames before it, and is kept on disk."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, partial
from typing import Any

import comfy.model_management as mm
import comfy.patcher_extension
import torch
from torch import Tensor

from ..language.schedule import Schedule
from ..models.chunk_files import ChunkFiles
from ..models.edits.rollout import FREE, KNOWN, Chunk, corrupt, history_guidance, hold_colour
from ..models.edits.timeline import Timeline
from ..video.frames import Frame
from . import vae_stream
from .guides import KEY as GUIDES
from .guides import Guides, Run
from .prompts import PART
from .sampler import sample

LOOK = 4  # latent frames before a frame that are decoded to see it
log = logging.getLogger(__name__)
Listener = Callable[[int, int, Tensor], None]  # chunk, step done, prediction (B, C, T, h, w)


@dataclass(frozen=True)
class Settings:
    """How every chunk is sampled; ``noise`` 0..1 of the history, ``colour`` 0..1 held to a prompt's first chunk,
    ``history`` 0..1 the share of guidance where there is a history."""

    seed: int
    steps: int
    guidance: float
    sampler: str
    schedule: str
    noise: float
    colour: float
    history: float


@dataclass(frozen=True)
class Clip:
    """A LATENT (samples (1, C, T, h, w), mask (1, 1, T, h, w) or None) with what is known of each latent frame."""

    samples: Tensor
    mask: Tensor | None
    state: list[str]
    rate: Fraction
    guides: Guides | None = None

    @property
    def length(self) -> int:
        """Return the number of latent frames."""
        return self.samples.shape[2]


class Rollout:
    """Makes the chunks of a clip in their order; what ``files`` holds already is not made again."""

    def __init__(
        self, model: Any, positive: Any, negative: Any, vae: Any, clip: Clip, chunks: list[Chunk], line: Timeline,
        schedule: Schedule | None, settings: Settings, files: ChunkFiles, listener: Listener,
    ) -> None:  # fmt: skip
        self._model, self._positive, self._negative, self._vae = model, positive, negative, vae
        self.clip, self.chunks, self._line, self._settings = clip, chunks, line, settings
        self.files, self._listener = files, listener
        self._shares = None if schedule is None else schedule.shares(clip.length, float(clip.rate))
        self.starts = [0, *(schedule.cuts(clip.length, float(clip.rate)) if schedule is not None else [])]

    def latents(self, begin: int, end: int) -> Tensor:
        """Return latent frames ``begin`` to ``end``, making what is not finished. Raises what the sampler raises."""
        while not self._covered(begin, end):
            self._make(len(self.files))
        return torch.cat([self._part(begin, end, index) for index in self._overlapping(begin, end)], 2)

    def lead(self, start: int) -> Tensor | None:
        """Return the latent frame that stands for the past of the scene that begins at ``start``, if it has one."""
        index = next(i for i, chunk in enumerate(self.chunks) if chunk.begin == start)
        if not self.chunks[index].opens:
            return None
        while len(self.files) <= index:
            self._make(len(self.files))
        return self.files.get(index)["lead"]

    # -- finished frames

    def _overlapping(self, begin: int, end: int) -> list[int]:
        """Numbers of the chunks that hold some of these latent frames, in the order of time."""
        found = [i for i, chunk in enumerate(self.chunks) if chunk.begin < end and begin < chunk.end]
        return sorted(found, key=lambda i: self.chunks[i].begin)

    def _covered(self, begin: int, end: int) -> bool:
        return all(index < len(self.files) for index in self._overlapping(begin, end))

    def _part(self, begin: int, end: int, index: int) -> Tensor:
        chunk = self.chunks[index]
        held = self.files.get(index)["samples"]
        return held[:, :, max(0, begin - chunk.begin) : end - chunk.begin].to(self.clip.samples)

    # -- making

    def _make(self, index: int) -> None:
        chunk, clip = self.chunks[index], self.clip
        mm.throw_exception_if_processing_interrupted()
        given = clip.samples[:, :, chunk.begin : chunk.end]
        if all(state == KNOWN for state in clip.state[chunk.begin : chunk.end]):
            self.files.add({"samples": given, "lead": given[:, :, :1]} if chunk.opens else {"samples": given})
            return
        log.info("Long Video: chunk %d of %d", index + 1, len(self.chunks))
        out = self._sampled(index, chunk)
        first = chunk.lead + chunk.before
        made = self._held(index, chunk, out[:, :, first : first + chunk.count])
        tensors = {"samples": made}
        if chunk.opens:
            tensors["lead"] = out[:, :, : chunk.lead]
        self.files.add({name: tensor.to(torch.float32) for name, tensor in tensors.items()})

    def _sampled(self, index: int, chunk: Chunk) -> Tensor:
        settings = self._settings
        samples, mask = self._window(index, chunk)
        latent: dict[str, Any] = {"samples": samples, "frame_rate": float(self.clip.rate)}
        if not bool((mask == 1).all()):
            latent |= {"noise_mask": mask, GUIDES: WindowGuides(self._vae, partial(self._runs, chunk))}
        model = self._model.clone()
        options = model.model_options.setdefault("transformer_options", {})
        options[PART] = (chunk.places, self.clip.length)
        kind = comfy.patcher_extension.WrappersMP.OUTER_SAMPLE
        model.add_wrapper_with_key(kind, "spacetime.rollout", partial(_listened, partial(self._listener, index)))
        return sample(
            model, self._positive, self._negative, latent, settings.seed + index, settings.steps,
            self._guidance(chunk), settings.sampler, settings.schedule,
        )["samples"]  # fmt: skip

    def _guidance(self, chunk: Chunk) -> float:
        settings = self._settings
        joined = chunk.before or self._made_behind(chunk)
        return history_guidance(settings.guidance, settings.history) if joined else settings.guidance

    def _made_behind(self, chunk: Chunk) -> bool:
        """Whether a chunk is made backwards, and what it sees behind it was made as well."""
        return any(state != KNOWN for state in self.clip.state[chunk.end : chunk.end + chunk.after])

    def _window(self, index: int, chunk: Chunk) -> tuple[Tensor, Tensor]:
        """What a chunk is made from: samples and mask of its window."""
        clip, first = self.clip, chunk.begin - chunk.before
        parts = [clip.samples[:, :, chunk.begin : chunk.end]]
        if chunk.after:
            behind = self._known_behind(chunk)
            parts.append(self._corrupted(behind, index) if self._made_behind(chunk) else behind)
        history = [*self._past(chunk, first)]
        if chunk.before:
            history.append(self.latents(first, chunk.begin))
        if history:
            parts.insert(0, self._corrupted(torch.cat(history, 2), index))
        free_lead = torch.zeros_like(clip.samples[:, :, :1]).expand(-1, -1, chunk.lead, -1, -1)
        if chunk.lead and not self._lead_is_known(chunk):
            parts.insert(0, free_lead)
        samples = torch.cat(parts, 2)
        mask = torch.zeros(1, 1, *samples.shape[2:], device=samples.device)
        own = slice(chunk.lead + chunk.before, chunk.lead + chunk.before + chunk.count)
        mask[:, :, own] = 1.0 if clip.mask is None else clip.mask[:, :, chunk.begin : chunk.end]
        if not self._lead_is_known(chunk):
            mask[:, :, : chunk.lead] = 1.0
        return samples, mask

    def _lead_is_known(self, chunk: Chunk) -> bool:
        return chunk.anchored or (chunk.lead > 0 and chunk.before > 0)

    def _past(self, chunk: Chunk, first: int) -> Iterator[Tensor]:
        """The lead of a window where it is known: the scene's own, or the frame before the history, encoded anew."""
        if chunk.anchored:
            frame = self._frames(first - 1, first)[-1]
            yield vae_stream.encode_frames(self._vae, [frame] * self._line.lead).to(self.clip.samples)
        elif chunk.lead and chunk.before:
            lead = self.lead(first)
            assert lead is not None
            yield lead.to(self.clip.samples)

    def _known_behind(self, chunk: Chunk) -> Tensor:
        """What the clip gives behind a chunk, or what was made there already."""
        known, samples = self.clip.state, self.clip.samples
        places = range(chunk.end, chunk.end + chunk.after)
        return torch.cat(
            [samples[:, :, at : at + 1] if known[at] == KNOWN else self.latents(at, at + 1) for at in places], 2
        )

    def _frames(self, begin: int, end: int) -> list[Frame]:
        """Decode finished latent frames ``begin`` to ``end``, from a little before them on."""
        start = max(self._scene(begin), begin - LOOK)
        latents = self.latents(start, end)
        if start == self._scene(begin) and start > 0 and (lead := self.lead(start)) is not None:
            latents = torch.cat([lead.to(latents), latents], 2)
        frames = list(vae_stream.decode_frames(self._vae, latents, lambda _: None))
        wanted = self._line.frames(end) - self._line.frames(begin)
        return frames[-wanted:]

    def _scene(self, frame: int) -> int:
        return max(start for start in self.starts if start <= frame)

    def _runs(self, chunk: Chunk) -> tuple[Run, ...]:
        """The pictures of what is known in a window, for models that are shown such."""
        first, line = chunk.begin - chunk.before, self._line
        runs = []
        if self._lead_is_known(chunk) or chunk.before:
            begin = first - 1 if chunk.anchored else first
            frames = self._frames(max(0, begin), chunk.begin)
            wanted = line.frames(chunk.lead + chunk.before)
            frames = frames[:1] * (wanted - len(frames)) + frames[-wanted:]  # a scene's own lead is not shown
            runs.append(Run(0, tuple(frames)))
        shift = line.frames(chunk.lead + chunk.before) - line.frames(chunk.begin)
        for run in self.clip.guides.runs if self.clip.guides is not None else ():
            place = run.begin + shift
            inside = line.frames(chunk.begin) <= run.begin and run.end <= line.frames(chunk.end + chunk.after)
            if inside and place >= 0:
                runs.append(Run(place, run.frames, run.strength))
        return tuple(runs)

    def _corrupted(self, history: Tensor, index: int) -> Tensor:
        """Add noise to history, in the units of the model."""
        form = self._model.get_model_object("latent_format")
        inner = corrupt(form.process_in(history.float()), self._settings.noise, self._settings.seed + index)
        return form.process_out(inner).to(history)

    def _held(self, index: int, chunk: Chunk, made: Tensor) -> Tensor:
        """Hold a chunk's colour to that of the first chunk with the same prompt in the same scene."""
        first = next(i for i in range(index + 1) if self._theme(self.chunks[i]) == self._theme(chunk))
        if first == index or self._theme(chunk) is None or not self._settings.colour:
            return made
        reference = self.files.get(first)["samples"].to(made)
        joined = (chunk.before > 0, chunk.after > 0)
        held = hold_colour(made, reference, self._settings.colour, joined)
        free = 1.0 if self.clip.mask is None else (self.clip.mask[:, :, chunk.begin : chunk.end] == 1).to(made)
        return torch.lerp(made, held, free)

    def _theme(self, chunk: Chunk) -> Any:
        """What a chunk shows: its scene and its prompt's number; None where prompts change within it."""
        scene = self._scene(chunk.begin)
        if FREE not in self.clip.state[chunk.begin : chunk.end]:
            return None
        if self._shares is None:
            return scene, 0
        shares = self._shares[:, chunk.begin : chunk.end]
        whole = (shares == 1).all(1).nonzero()
        return (scene, int(whole[0, 0])) if len(whole) else None


class WindowGuides:
    """``Guides`` of a window whose frames are decoded only for a model that asks for them."""

    def __init__(self, vae: Any, make: Callable[[], tuple[Run, ...]]) -> None:
        self.vae, self._make = vae, make

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """Return the known runs."""
        return self._make()


def _listened(listener: Callable[[int, Tensor], None], executor: Any, *given: Any, **named: Any) -> Tensor:
    """Wrap the host's OUTER_SAMPLE: the listener takes the place of the callback."""
    arguments = list(given)

    def callback(step: int, denoised: Tensor, x: Tensor, total: int) -> None:
        listener(step + 1, denoised)

    if len(arguments) > CALLBACK:
        arguments[CALLBACK] = callback
    else:
        named["callback"] = callback
    return executor(*arguments, **named)


CALLBACK = 5  # its place among the arguments: noise, latent, sampler, sigmas, mask, callback
