# SPDX-License-Identifier: GPL-3.0-or-later
"""The node after the sampler: what was generated, and the originals it belongs to, become one video."""

from __future__ import annotations

from functools import partial
from typing import Any

from comfy_api.latest import io, ui
from torch import Tensor

from ..video.errors import VideoError
from ..video.frames import as_rate
from . import vae_stream
from .errors import InputError
from .lazy_video import LazyVideo, has_samples
from .originals import Original, OwnSound
from .plan import KEY, Filled, Kept, Made, Part, Plan, assemble
from .schema import CATEGORY, inp, schema
from .soundtrack import soundtrack
from .video import check_vae, decode_with_progress, nth_sound, split_clips


class FinishVideo(io.ComfyNode):
    """Finished LATENTs to one lazy VIDEO."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node to the host."""
        return schema(
            node_id="SpacetimeFinishVideo",
            display_name="Finish Video",
            category=f"{CATEGORY}/operations",
            description="Put what the sampler has generated together with the videos it was made from. Their frames "
            "pass through untouched, bit for bit; only what is new is decoded, while the video is saved. Use it after "
            "Extend, Loop, Connect, Edit and the other operations.",
            search_aliases=["join video", "assemble", "decode video", "concat video"],
            is_input_list=True,
            inputs=[
                inp(
                    io.Latent.Input, "samples",
                    tooltip="What the sampler gives for an operation's latent. Several come one after the other.",
                ),
                inp(io.Vae.Input, "vae", tooltip="The VAE of the model that generated."),
                inp(
                    io.Float.Input, "fade", default=1.0, min=0.0, max=60.0, step=0.1,
                    tooltip="Seconds over which the originals' fine detail, which the VAE loses, fades from the "
                    "generated frames next to them, so that the cut cannot be seen. 0: no such help.",
                ),
                inp(
                    io.Boolean.Input, "originals", default=True,
                    tooltip="On: original frames pass through. Off: they are shown as the model saw them, decoded.",
                ),
            ],
            outputs=[
                io.Video.Output(
                    display_name="video", is_output_list=True,
                    tooltip="The whole video; one for each clip of the batch. Stock Save Video writes it.",
                )
            ],
            hidden=[io.Hidden.unique_id],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, samples: list[dict[str, Any]], vae: list[Any], fade: list[float], originals: list[bool]
    ) -> io.NodeOutput:
        """Plan the video; see the schema."""
        check_vae(vae[0])
        node = getattr(cls.hidden, "unique_id", None)
        made_by = f"Finish Video (node {node})" if node else "Finish Video"
        videos = finish(samples, vae[0], float(fade[0]), bool(originals[0]), made_by)
        text = f"{videos[0].get_frame_count()} frames, {videos[0].get_duration():.2f} s"
        return io.NodeOutput(videos, ui=ui.PreviewText(text))


def finish(
    latents: list[dict[str, Any]],
    vae: Any,
    fade: float = 1.0,
    originals: bool = True,
    made_by: str = "Finish Video",
) -> list[LazyVideo]:
    """Return a VIDEO for each clip of the batch: the latents' plans, one after the other.

    Raises VideoError for latents that this VAE cannot decode, InputError for ones that differ in size or rate.
    """
    clips = [split_clips(vae, latent.get("samples")) for latent in latents]
    plans = []
    for latent, batch in zip(latents, clips, strict=True):
        plans.append(plan_of(vae, latent, batch[0], originals))
    for plan in plans[1:]:
        if (plan.size, plan.rate) != (plans[0].size, plans[0].rate):
            raise InputError(
                f"The parts differ: {_describe(plans[0])} and {_describe(plan)}. Make them at one size and rate."
            )
    count = min(len(batch) for batch in clips)
    sounds = _sounds(latents, plans, count)
    return [_video(vae, plans, [batch[n] for batch in clips], fade, sounds[n], made_by) for n in range(count)]


def _sounds(latents: list[dict[str, Any]], plans: list[Plan], count: int) -> list[dict[str, Any] | None]:
    """The sound of each clip of the batch: the originals', and for latents without any what they bring along."""

    def sound(n: int) -> dict[str, Any] | None:
        pairs = zip(plans, latents, strict=True)
        return soundtrack([part for pair in pairs for part in heard(*pair, n)], plans[0].rate)

    first = sound(0)
    own = any(latent.get("audio") is not None for latent in latents)
    return [first, *(sound(n) if own else first for n in range(1, count))]


def heard(plan: Plan, latent: dict[str, Any], index: int = 0) -> tuple[Part, ...]:
    """Return the parts of a plan for their sound; without originals the LATENT's own goes with clip ``index``."""
    audio = nth_sound(latent.get("audio"), index)
    if not has_samples(audio) or any(isinstance(part, Kept) or part.sound is not None for part in plan.parts):
        return plan.parts
    own = Original(OwnSound(audio, plan.rate), plan.count)
    return (Made(0, plan.count, sound=Kept(own, 0, plan.count)),)


def _video(vae: Any, plans: list[Plan], clips: list[Tensor], fade: float, sound: Any, made_by: str) -> LazyVideo:
    def frames() -> Any:
        for plan, clip in zip(plans, clips, strict=True):
            yield from assemble(plan, partial(decode_with_progress, vae, clip, _count(vae, clip)), fade)

    total = sum(plan.count for plan in plans)
    return LazyVideo(frames, *plans[0].size, total, plans[0].rate, audio=sound, made_by=made_by)


def plan_of(vae: Any, latent: dict[str, Any], clip: Tensor, originals: bool = True) -> Plan:
    """Return the plan of a LATENT: its own, or to decode all of it where it has none or no ``originals`` are wanted.

    Raises VideoError for a latent that is too short for its plan.
    """
    plan = latent.get(KEY) if originals else None
    plan = plan if plan is not None else _decode_all(vae, latent, clip)
    _check_length(plan, vae, clip)
    return plan


def _decode_all(vae: Any, latent: dict[str, Any], clip: Tensor) -> Plan:
    """The plan of a LATENT that has none, or whose originals are not wanted: everything as it is decoded."""
    own = latent.get(KEY)
    if own is not None:
        rate, size = own.rate, own.size
    else:
        rate = as_rate(latent.get("frame_rate") or vae_stream.default_rate(vae))
        size = vae_stream.pixel_size(vae, clip)
    return Plan((Made(0, _count(vae, clip)),), size, rate)


def _count(vae: Any, clip: Tensor) -> int:
    return vae_stream.frame_count(vae, clip.shape[2] if clip.ndim == 5 else clip.shape[0])


def _check_length(plan: Plan, vae: Any, clip: Tensor) -> None:
    """A node between may have cut the latent, and the plan no longer fits."""
    ends = [part.end + bool(part.after) for part in plan.parts if isinstance(part, Made)]
    needed = max(ends + [part.begin + part.count for part in plan.parts if isinstance(part, Filled)], default=0)
    if needed > _count(vae, clip):
        raise VideoError(
            f"The latent has {_count(vae, clip)} frames, but its operation needs {needed}: a node between has cut it, "
            "or the VAE belongs to another model."
        )


def _describe(plan: Plan) -> str:
    return f"{plan.size[0]}x{plan.size[1]} at {float(plan.rate):g} fps"
