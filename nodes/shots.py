# SPDX-License-Identifier: GPL-3.0-or-later
"""The node that films a storyboard: several prompts in one video, cut hard or going on."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ..language.storyboard import CUT, GLIDE, Shot, read_storyboard
from ..models.edits.clip import Edit, blank, bridge, lay
from ..models.edits.timeline import Timeline
from ..models.geometry import ASPECTS, aspect_size
from ..video.errors import VideoError
from ..video.frames import Frame, as_rate, fit_frame
from ..video.reader import read_frames
from . import vae_stream
from .errors import InputError
from .file_names import find_file
from .glide import glide
from .guides import Guides, guides_of
from .latent import compression_of
from .originals import encode_at, timeline_of
from .plan import KEY, Made, Part, Plan, Shown, to_latent
from .sampler import sample, sampling_inputs
from .schema import CATEGORY, inp, schema
from .storyboard import check_storyboard, state_of_pictures
from .thumbnails import save_thumbnails

LEAD_IN = 1  # latent frames between a reference and the shot, in which the scene changes and which are not shown
EXAMPLE = """2 s: a red panda walks to the right in the forest in the snow
glide 2 s: a red panda walks to the right in the forest at night
cut 2 s: a penguin jumps on the beach"""


class Shots(io.ComfyNode):
    """MODEL, CLIP, VAE and a storyboard to LATENTs, one for each stretch without a cut."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node to the host."""
        number = io.Float.Input
        return schema(
            node_id="SpacetimeShots",
            display_name="Shots",
            category=f"{CATEGORY}/operations",
            description="Several prompts, each with its length, in one video: hard cuts, one scene that goes on, or a "
            "prompt that glides into the next. It samples shot after shot; give its latents to Finish Video.",
            search_aliases=["storyboard", "multi shot", "scenes", "prompt schedule"],
            inputs=[
                inp(io.Model.Input, "model", tooltip="The video model; any of the host's works."),
                inp(io.Clip.Input, "clip", tooltip="The model's text encoder."),
                inp(io.Vae.Input, "vae", tooltip="The model's VAE."),
                inp(
                    io.String.Input, "shots", default=EXAMPLE, multiline=True,
                    tooltip="A line for each shot: its seconds, a colon, the prompt. Before the seconds: cut (a new "
                    "scene), continue (the same scene with a new prompt), glide (the prompt changes little by little). "
                    "Or the shots of a Storyboard.",
                ),
                inp(io.String.Input, "negative", default="", multiline=True, tooltip="What to avoid in every shot."),
                inp(io.Combo.Input, "aspect", options=list(ASPECTS), default="1:1", tooltip="Shape of the picture."),
                inp(
                    io.Int.Input, "size", default=256, min=16, max=8192, step=16,
                    tooltip="Side in pixels of the square with the same area.",
                ),
                inp(number, "fps", default=8.0, min=1.0, max=120.0, step=0.01, tooltip="Frames per second."),
                inp(
                    number, "context", default=1.0, min=0.0, max=60.0, step=0.1,
                    tooltip="Seconds of a scene that its next shot sees when it goes on.",
                ),
                inp(
                    io.Boolean.Input, "keep_subject", default=False,
                    tooltip="Show the first frame of the video to every shot after a cut, so that it takes over the "
                    "subject's looks. It is not shown itself.",
                ),
                inp(
                    io.Int.Input, "seed", default=0, min=0, max=2**53 - 1, control_after_generate=True,
                    tooltip="Another number, another video. Each shot takes the next one.",
                ),
                inp(io.Int.Input, "steps", default=20, min=1, max=10000, tooltip="Model calls for each shot."),
                *sampling_inputs(),
            ],
            outputs=[
                io.Latent.Output(
                    display_name="latent", is_output_list=True,
                    tooltip="The finished scenes, one latent for each; Finish Video puts them one after the other.",
                )
            ],
        )  # fmt: skip

    @classmethod
    def validate_inputs(cls, shots: str | None = None) -> bool | str:
        """Refuse a storyboard that cannot be read before anything runs."""
        return check_storyboard(shots)

    @classmethod
    def fingerprint_inputs(cls, shots: str | None = None, **_: Any) -> str:
        """Run again when a picture that a shot begins with has changed."""
        return state_of_pictures(shots)

    @classmethod
    def execute(
        cls, model: Any, clip: Any, vae: Any, shots: str, negative: str, aspect: str, size: int, fps: float,
        context: float, keep_subject: bool, seed: int, steps: int, guidance: float, sampler: str, schedule: str,
    ) -> io.NodeOutput:  # fmt: skip
        """Sample; see the schema."""
        board = read_storyboard(shots)
        how = {"steps": steps, "guidance": guidance, "sampler": sampler, "schedule": schedule}
        film = Film(model, clip, vae, negative, aspect_size(aspect, size, compression_of(vae)), as_rate(fps), how)
        latents = film.shoot(board, context, keep_subject, seed)
        text = f"{len(board)} shots in {len(latents)} scenes, {sum(latent[KEY].count for latent in latents)} frames"
        frames = save_thumbnails(film.firsts, "shot")
        return io.NodeOutput(latents, ui={**ui.PreviewText(text).as_dict(), "shot_frames": frames})


@dataclass
class Scene:
    """What is finished of a stretch without a cut: its latent, how many frames at its begin are not shown, and its
    first frame where that is given.
    """

    samples: Tensor
    hidden: int = 0
    picture: list[Frame] = field(default_factory=list)


class Film:
    """Samples the shots of a storyboard one after the other; ``firsts`` is then what each of them begins with.

    Raises InputError for inputs that do not go together.
    """

    def __init__(
        self, model: Any, clip: Any, vae: Any, negative: str, size: tuple[int, int], rate: Fraction,
        how: dict[str, Any],
    ) -> None:  # fmt: skip
        if clip is None:
            raise InputError("The clip input holds no text encoder: connect the one that belongs to the model.")
        self._model, self._clip, self._vae, self._how = model, clip, vae, how
        self._negative = self._words(negative)
        self._size, self._rate = size, rate
        self._line: Timeline = timeline_of(vae)
        self.firsts: list[Frame] = []

    def shoot(self, board: list[Shot], context: float, keep_subject: bool, seed: int) -> list[dict[str, Any]]:
        """Return a finished LATENT with its plan for each scene."""
        scenes: list[Scene] = []
        reference: list[Frame] = []
        pictures = [self._picture(shot) for shot in board]  # all of them before the first is sampled
        for number, shot in enumerate(board):
            if shot.transition != CUT:
                self._go_on(scenes[-1], board[number - 1], shot, context, seed + number)
                continue
            if scenes and keep_subject and not reference:
                reference = [next(self._frames(scenes[0]))]
            scenes.append(self._begin(shot, pictures[number], reference, seed + number))
        return [self._finished(scene) for scene in scenes]

    def _begin(self, shot: Shot, picture: list[Frame], reference: list[Frame], seed: int) -> Scene:
        """Sample a new scene: from its picture, or seeing the reference, if there is one, and a moment later."""
        line, (width, height) = self._line, self._size
        compression = compression_of(self._vae)
        lead = 1 + LEAD_IN if reference and not picture else 0
        frames = line.run(shot.seconds * float(self._rate), first=not lead)
        edit = blank(
            compression.channels, lead + line.run_latents(frames, not lead),
            height // compression.space, width // compression.space,
        )  # fmt: skip
        guides = None
        if picture or reference:
            still = (picture or reference) * line.lead
            edit = lay(edit, encode_at(self._vae, still, 0, line, self._size), 0)
            guides = guides_of(self._vae, (0, still))
        samples = self._sample(edit, self._model, self._words(shot.prompt), seed, guides)
        scene = Scene(samples, line.frames(lead), picture * line.lead)
        begin = Scene(samples[:, :, : lead + 1], scene.hidden)
        self.firsts.append(picture[0] if picture else next(self._frames(begin)))
        return scene

    def _go_on(self, scene: Scene, before: Shot, shot: Shot, context: float, seed: int) -> None:
        """Sample what comes next in a scene and add it."""
        line, rate = self._line, float(self._rate)
        seen = min(line.run(context * rate, True), line.frames(line.latents(self._count(scene) + 1) - 1))
        end = list(deque(self._frames(scene), maxlen=seen))  # a scene may be long
        self.firsts.append(end[-1])
        made = line.run(shot.seconds * rate, False)
        known = encode_at(self._vae, end, 0, line, self._size)
        edit = bridge(known, made // line.ratio, None)
        model, words = self._model, self._words(shot.prompt)
        if shot.transition == GLIDE:
            start = known.shape[2]
            model, words = glide(model, self._words(before.prompt), words, lambda length: _glide_over(start, length))
        samples = self._sample(edit, model, words, seed, guides_of(self._vae, (0, end)))
        scene.samples = torch.cat([scene.samples, samples[:, :, known.shape[2] :]], 2)

    def _sample(self, edit: Edit, model: Any, words: Any, seed: int, guides: Guides | None) -> Tensor:
        plan = Plan((Made(0, self._line.frames(edit.length)),), self._size, self._rate)
        return sample(model, words, self._negative, to_latent(edit, plan, guides), seed, **self._how)["samples"]

    def _frames(self, scene: Scene) -> Iterator[Frame]:
        """The frames of a scene that are shown, decoded while they are asked for."""
        return itertools.islice(vae_stream.decode_frames(self._vae, scene.samples), scene.hidden, None)

    def _count(self, scene: Scene) -> int:
        """The number of frames of a scene that are shown."""
        return self._line.frames(scene.samples.shape[2]) - scene.hidden

    def _finished(self, scene: Scene) -> dict[str, Any]:
        count = self._line.frames(scene.samples.shape[2])
        parts: tuple[Part, ...] = (Made(scene.hidden, count),)
        if scene.picture:
            shown = tuple(scene.picture)
            rest = Made(len(shown), count, shown[::-1][:2])
            parts = (Shown(shown), rest) if rest.count else (Shown(shown),)
        plan = Plan(parts, self._size, self._rate)
        return {"samples": scene.samples, "frame_rate": float(self._rate), KEY: plan}

    def _picture(self, shot: Shot) -> list[Frame]:
        """The picture that a shot begins with, cut to the video's size; none if it names none."""
        if not shot.picture:
            return []
        try:
            return [fit_frame(next(iter(read_frames(find_file(shot.picture)))), *self._size, "crop")]
        except (InputError, VideoError, StopIteration) as error:
            raise InputError(
                f'The picture [{shot.picture}] of the shot "{shot.prompt}" cannot be used. {error}'
            ) from error

    def _words(self, text: str) -> Any:
        return self._clip.encode_from_tokens_scheduled(self._clip.tokenize(text))


def _glide_over(start: int, length: int) -> Tensor:
    """The second prompt's share: nothing in the known part, then growing to all at the end."""
    share = torch.zeros(length)
    share[start:] = torch.linspace(0, 1, length - start + 1)[1:]
    return share
