# SPDX-License-Identifier: GPL-3.0-or-later
"""The node that prepares more of a video: what comes after it, what came before, or both."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io, ui

from ..models.edits.clip import bridge
from .errors import InputError
from .guides import guides_of
from .originals import check_context, encode_at, look_at, open_video, timeline_of, working_size
from .plan import Kept, Made, Part, Plan, to_latent
from .schema import CATEGORY, inp, pixels, schema

DIRECTIONS = ("forward", "backward", "both")


class ExtendVideo(io.ComfyNode):
    """VIDEO to one LATENT for each direction, its unknown part to be sampled."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node to the host."""
        number = io.Float.Input
        return schema(
            node_id="SpacetimeExtendVideo",
            display_name="Extend Video",
            category=f"{CATEGORY}/operations",
            description="Continue a video forward, backward or both. Sample the latent, then give it to Finish Video: "
            "the original frames pass through untouched and the new ones join them. Works with any video model whose "
            "VAE is connected.",
            search_aliases=["continue video", "video extension", "outpaint time", "prequel"],
            inputs=[
                inp(io.Video.Input, "video", tooltip="The video to extend, of any length."),
                inp(io.Vae.Input, "vae", tooltip="The VAE of the model that will generate."),
                inp(
                    io.Combo.Input, "direction", options=list(DIRECTIONS), default="forward",
                    tooltip="Where to add: after the end, before the begin, or both (two latents, sampled in turn).",
                ),
                inp(
                    number, "seconds", default=2.0, min=0.0, max=3600.0, step=0.1,
                    tooltip="How much to add in each direction; it goes to the nearest number of whole latent frames.",
                ),
                inp(
                    number, "context", default=2.0, min=0.0, max=60.0, step=0.1,
                    tooltip="Seconds of the video that the model sees. More keep motion and subject better; what it "
                    "sees and what is added should together be no longer than the clips the model was trained on.",
                ),
                *size_inputs(),
            ],
            outputs=[
                io.Latent.Output(
                    display_name="latent", is_output_list=True,
                    tooltip="The clip to sample: the context is known (mask 0), the new part is not.",
                )
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, video: Any, vae: Any, direction: str, seconds: float, context: float, width: int = 0, height: int = 0
    ) -> io.NodeOutput:
        """Prepare the latents; see the schema."""
        latents, text = extend(video, vae, direction, seconds, context, width, height)
        return io.NodeOutput(latents, ui=ui.PreviewText(text))


def size_inputs() -> list[Any]:
    """The inputs that set the size to generate at, the same for all operations on videos."""
    tip = (
        "{} to generate at, in pixels. 0: the video's own, or the nearest the model takes; the result has the video's."
    )
    return [pixels(name, tip.format(name.capitalize())) for name in ("width", "height")]


def extend(
    video: Any, vae: Any, direction: str, seconds: float, context: float, width: int = 0, height: int = 0
) -> tuple[list[dict[str, Any]], str]:
    """Return a LATENT with its plan for each direction, and what they hold in words.

    Raises InputError for a length of nothing, a context longer than the video and a direction there is not.
    """
    if direction not in DIRECTIONS:
        raise InputError(f"There is no direction {direction!r}: choose {', '.join(DIRECTIONS)}.")
    if seconds <= 0:
        raise InputError("Nothing is to be added (seconds is 0): set how many seconds the video shall become longer.")
    line = timeline_of(vae)
    stream = open_video(video)
    rate = float(stream.rate)
    seen = {first: line.run(context * rate, first) for first in (True, False)}
    original, head, tail = look_at(stream, seen[False], seen[True])
    size = working_size(vae, original.size, width, height)
    latents, words = [], []
    for backward in (True, False) if direction == "both" else (direction == "backward",):
        known = seen[not backward]
        check_context(original, known)
        if backward:
            made = line.run(seconds * rate, first=True)
            after = encode_at(vae, head, made, line, size)
            edit, guides = bridge(None, line.latents(made), after), guides_of(vae, (made, head))
            parts: tuple[Part, ...] = (Made(0, made, after=tuple(head[:2])), Kept(original, 0, original.count))
        else:
            made = line.run(seconds * rate, first=False)
            edit = bridge(encode_at(vae, tail, 0, line, size), made // line.ratio, None)
            guides = guides_of(vae, (0, tail))
            parts = (Kept(original, 0, original.count), Made(known, known + made, before=tuple(tail[:-3:-1])))
        if direction == "both" and not backward:
            parts = parts[1:]  # the original comes once
        latents.append(to_latent(edit, Plan(parts, original.size, original.rate), guides))
        words.append(f"{original.seconds(made)} {'before' if backward else 'after'} from {original.seconds(known)}")
    return latents, f"{', '.join(words)}; sampled at {size[0]}x{size[1]}"
