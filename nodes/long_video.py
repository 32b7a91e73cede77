# SPDX-License-Identifier: GPL-3.0-or-later
"""The node that samples a clip of any length: it is decoded meanwhile, and nothing finished is lost."""

from __future__ import annotations

import secrets
from typing import Any

import comfy.utils
from comfy_api.latest import io, ui
from comfy_execution.utils import get_executing_context

from ..models.edits.rollout import chunks as cut_into_chunks
from ..models.edits.rollout import states
from ..models.edits.timeline import Timeline
from ..video.frames import as_rate
from . import vae_stream
from .errors import InputError
from .finish import heard, plan_of
from .graph_key import graph_key
from .guides import KEY as GUIDES
from .lazy_video import LazyVideo
from .long_render import Render
from .originals import timeline_of
from .plan import assemble
from .prompts import schedule_of
from .rollout import Clip, Rollout, Settings
from .sampler import check_inputs, sampling_inputs
from .schema import CATEGORY, inp, schema
from .soundtrack import soundtrack
from .video import split_clips
from .work_folder import WorkFolder, work_folder


class LongVideo(io.ComfyNode):
    """MODEL, prompts, a LATENT of any length and VAE to a VIDEO."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node to the host."""
        number = io.Float.Input
        share = {"min": 0.0, "max": 1.0, "step": 0.01}
        return schema(
            node_id="SpacetimeLongVideo",
            display_name="Long Video",
            category=f"{CATEGORY}/operations",
            description="Generate a clip of any length, chunk after chunk, each going on from the one before. It takes "
            "what Empty Spacetime Latent, Animate Image, Extend Video and the other operations prepare, and gives the "
            "finished video. Stopped or crashed, the same graph goes on after the last finished chunk.",
            search_aliases=["minute", "infinite", "rollout", "resume", "chunks", "autoregressive"],
            inputs=[
                inp(io.Model.Input, "model", tooltip="The video model; any of the host's works."),
                inp(
                    io.Conditioning.Input, "positive",
                    tooltip="What to show: a prompt, or those of Prompt Schedule or Glide Prompts (with their model).",
                ),
                inp(io.Conditioning.Input, "negative", tooltip="What to avoid; an empty prompt is fine."),
                inp(
                    io.Latent.Input, "latent",
                    tooltip="The clip to fill, as long as you like: empty, with keyframes, or a video to continue.",
                ),
                inp(io.Vae.Input, "vae", tooltip="The model's VAE; it decodes while the next chunk is sampled."),
                inp(
                    io.Int.Input, "seed", default=0, min=0, max=2**53 - 1, control_after_generate=True,
                    tooltip="Another number, another video. Leave it fixed: an interrupted video goes on only with the "
                    "same one.",
                ),
                inp(io.Int.Input, "steps", default=20, min=1, max=10000, tooltip="Model calls for each chunk."),
                *sampling_inputs(),
                inp(
                    number, "chunk", default=4.0, min=0.1, max=60.0, step=0.1,
                    tooltip="Seconds that the model sees and makes at once: as long as the clips it was trained on.",
                ),
                inp(
                    number, "context", default=1.5, min=0.1, max=60.0, step=0.1,
                    tooltip="Seconds of each chunk that are finished video before it. More keep motion and subject "
                    "better and take longer.",
                ),
                inp(
                    number, "history_noise", default=0.05, **share,
                    tooltip="Noise on the finished frames that the model sees, so that it does not take their faults "
                    "for the style: less drift. Too much and it forgets details.",
                ),
                inp(
                    number, "hold_colour", default=0.5, **share,
                    tooltip="How strongly colour and contrast are held to each prompt's first chunk. 0: not at all.",
                ),
                inp(
                    number, "fade", default=1.0, min=0.0, max=60.0, step=0.1,
                    tooltip="Seconds over which an original's fine detail fades from new frames, as in Finish Video.",
                ),
                inp(
                    number, "history_guidance", default=0.5, optional=True, **share,
                    tooltip="Share of the guidance beyond 1 for chunks that go on from finished frames. These show "
                    "already what the prompt asks for; full guidance makes edges and colours harder with every chunk. "
                    "1: the same guidance for all.",
                ),
            ],
            outputs=[io.Video.Output(display_name="video", tooltip="The whole video; Save Video writes it.")],
            hidden=[io.Hidden.unique_id, io.Hidden.dynprompt],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, model: Any, positive: Any, negative: Any, latent: dict[str, Any], vae: Any, seed: int, steps: int,
        guidance: float, sampler: str, schedule: str, chunk: float, context: float, history_noise: float,
        hold_colour: float, fade: float, history_guidance: float = 0.5,
    ) -> io.NodeOutput:  # fmt: skip
        """Sample; see the schema."""
        settings = Settings(seed, steps, guidance, sampler, schedule, history_noise, hold_colour, history_guidance)
        node, graph = getattr(cls.hidden, "unique_id", None), getattr(cls.hidden, "dynprompt", None)
        job = Job(model, positive, negative, latent, vae, settings, chunk, context)
        key = secrets.token_hex(16) if graph is None else graph_key(graph.get_node, str(node), _number())
        made_by = f"Long Video (node {node})" if node else "Long Video"
        video, text = job.run(work_folder(key), fade, made_by)
        return io.NodeOutput(video, ui=ui.PreviewText(text))


def _number() -> int:
    """Which run of the node this is, where it is given lists."""
    running = get_executing_context()
    return int(getattr(running, "list_index", None) or 0)


class Job:
    """A long video to be made; raises InputError or VideoError here, before anything is sampled."""

    def __init__(
        self, model: Any, positive: Any, negative: Any, latent: dict[str, Any], vae: Any, settings: Settings,
        chunk: float, context: float,
    ) -> None:  # fmt: skip
        self._model, self._positive, self._negative, self._vae = model, positive, negative, vae
        self._settings, self._line = settings, timeline_of(vae)
        samples = check_inputs(model, positive, negative, latent, settings.sampler, settings.schedule)
        clips = split_clips(vae, samples)
        if len(clips) > 1:
            raise InputError(
                f"The latent is a batch of {len(clips)} clips, but one long video is made at a time: set batch_size to "
                "1 and queue it with several seeds."
            )
        mask = latent.get("noise_mask")
        if mask is not None:
            mask = comfy.utils.reshape_mask(mask.float(), samples.shape)[:, :1]
        rate = as_rate(latent.get("frame_rate") or vae_stream.default_rate(vae))
        self._clip = Clip(clips[0], mask, states(mask, clips[0].shape[2]), rate, latent.get(GUIDES))
        self._schedule = schedule_of(positive)
        cuts = [] if self._schedule is None else self._schedule.cuts(self._clip.length, float(rate))
        window, seen = window_of(self._line, float(rate), chunk, context)
        self._chunks = cut_into_chunks(self._clip.state, window, seen, self._line, cuts)
        self._plan = plan_of(vae, latent, clips[0])
        self._sound = soundtrack(heard(self._plan, latent), self._plan.rate)

    def run(self, folder: WorkFolder, fade: float, made_by: str) -> tuple[LazyVideo, str]:
        """Make what ``folder`` does not hold yet; return the VIDEO, and what it is in words."""
        render = Render(folder, self._chunks, self._clip, self._line, self._vae, self._settings.steps, self._model)
        before = len(render.files)
        rollout = Rollout(
            self._model, self._positive, self._negative, self._vae, self._clip, self._chunks, self._line,
            self._schedule, self._settings, render.files, render.show,
        )  # fmt: skip
        segments = render.run(rollout)
        plan = self._plan

        def frames() -> Any:
            return assemble(plan, lambda: render.read(segments), fade)

        video = LazyVideo(
            frames, *plan.size, plan.count, plan.rate, audio=self._sound, made_by=made_by, keep_copy=False
        )
        text = f"{plan.count} frames, {video.get_duration():.2f} s, {len(self._chunks)} chunks"
        return video, f"{text}, {before} of them finished before" if before else text


def window_of(line: Timeline, rate: float, chunk: float, context: float) -> tuple[int, int]:
    """Return the latent frames of a chunk with its context, and of the context.

    Raises InputError where the context leaves no room for new frames.
    """
    window = line.latents(line.run(chunk * rate, True))
    seen = line.run(context * rate, False) // line.ratio
    least = seen + 1 + int(line.lone_first)
    if window < least:
        raise InputError(
            f"A chunk of {chunk:g} s has {line.frames(window)} frames, and a context of {context:g} s leaves nothing "
            f"of it to make: set chunk to at least {line.frames(least) / rate:.2f} s, or a shorter context."
        )
    return window, seen
