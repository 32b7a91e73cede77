# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodes that join ends: a clip's own, to a loop, or those of two clips."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io, ui

from ..models.edits.clip import bridge, melt
from ..models.edits.timeline import Timeline
from ..video.frames import FITS, Frame
from .errors import InputError
from .extend import size_inputs
from .guides import Guides, guides_of
from .originals import (
    Fitted,
    check_context,
    encode_all,
    encode_at,
    look_at,
    open_video,
    timeline_of,
    working_size,
)
from .plan import Kept, Made, Part, Plan, to_latent
from .schema import CATEGORY, inp, schema

BRIDGE, ENDS = "add a bridge", "turn the ends"
MELT = "melt"
LOOPS, CONNECTIONS = (BRIDGE, ENDS), (BRIDGE, MELT)
SAME = "same size only"


class LoopVideo(io.ComfyNode):
    """VIDEO to the LATENT of what leads from its end back to its begin."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node to the host."""
        number = io.Float.Input
        return schema(
            node_id="SpacetimeLoopVideo",
            display_name="Loop Video",
            category=f"{CATEGORY}/operations",
            description="Make a video that plays in a circle without a jump. Sample the latent, then give it to Finish "
            "Video.",
            search_aliases=["seamless loop", "infinite loop", "boomerang"],
            inputs=[
                inp(io.Video.Input, "video", tooltip="The video to loop."),
                inp(io.Vae.Input, "vae", tooltip="The VAE of the model that will generate."),
                inp(
                    io.Combo.Input, "mode", options=list(LOOPS), default=BRIDGE,
                    tooltip=f"{BRIDGE}: every frame stays and new ones lead from the end to the begin. {ENDS}: the "
                    "length stays; the last seconds are made anew so that they lead to the begin.",
                ),
                inp(
                    number, "seconds", default=2.0, min=0.0, max=60.0, step=0.1,
                    tooltip="Length of the bridge, or of the end that is made anew.",
                ),
                inp(
                    number, "context", default=1.0, min=0.0, max=60.0, step=0.1,
                    tooltip="Seconds of the video that the model sees on each side of what it generates.",
                ),
                *size_inputs(),
            ],
            outputs=[
                io.Latent.Output(display_name="latent", tooltip="The clip to sample: known at both ends.")
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, video: Any, vae: Any, mode: str, seconds: float, context: float, width: int = 0, height: int = 0
    ) -> io.NodeOutput:
        """Prepare the latent; see the schema."""
        latent, text = loop(video, vae, mode, seconds, context, width, height)
        return io.NodeOutput(latent, ui=ui.PreviewText(text))


class ConnectVideos(io.ComfyNode):
    """Two VIDEOs to the LATENT of what lies between them, or of the one becoming the other."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node to the host."""
        number = io.Float.Input
        return schema(
            node_id="SpacetimeConnectVideos",
            display_name="Connect Videos",
            category=f"{CATEGORY}/operations",
            description="Lead from one video to another, by a generated bridge between them or by letting the one melt "
            "into the other over their whole length. Sample the latent, then give it to Finish Video.",
            search_aliases=["transition", "morph", "interpolate videos", "merge videos", "bridge"],
            inputs=[
                inp(io.Video.Input, "first", tooltip="The video to come from; the result has its size and rate."),
                inp(io.Video.Input, "second", tooltip="The video to arrive at; it is brought to the first one's rate."),
                inp(io.Vae.Input, "vae", tooltip="The VAE of the model that will generate."),
                inp(
                    io.Combo.Input, "mode", options=list(CONNECTIONS), default=BRIDGE,
                    tooltip=f"{BRIDGE}: both videos stay whole and new frames lead from one to the other. {MELT}: both "
                    "play at once, and the first turns into the second over the whole length (of the shorter one).",
                ),
                inp(
                    number, "seconds", default=2.0, min=0.0, max=60.0, step=0.1,
                    tooltip=f"Length of the bridge (not used by {MELT}).",
                ),
                inp(
                    number, "context", default=1.0, min=0.0, max=60.0, step=0.1,
                    tooltip=f"Seconds of each video that the model sees (not used by {MELT}, which sees all).",
                ),
                inp(
                    number, "strength", default=0.85, min=0.0, max=1.0, step=0.01,
                    tooltip=f"For {MELT}: how freely the middle is made up. Low values look like a cross-fade.",
                ),
                inp(
                    io.Combo.Input, "fit", options=[SAME, *FITS], default=SAME,
                    tooltip="What to do with a second video of another size: refuse it, crop it to the first one's "
                    "shape, pad it with bars, or stretch it.",
                ),
                *size_inputs(),
            ],
            outputs=[io.Latent.Output(display_name="latent", tooltip="The clip to sample.")],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, first: Any, second: Any, vae: Any, mode: str, seconds: float, context: float, strength: float, fit: str,
        width: int = 0, height: int = 0,
    ) -> io.NodeOutput:  # fmt: skip
        """Prepare the latent; see the schema."""
        if mode not in CONNECTIONS:
            raise InputError(f"There is no mode {mode!r}: choose {' or '.join(CONNECTIONS)}.")
        one, two = fitting_pair(first, second, fit)
        if mode == MELT:
            latent, text = melt_videos(one, two, vae, strength, width, height)
        else:
            latent, text = connect(one, two, vae, seconds, context, width, height)
        return io.NodeOutput(latent, ui=ui.PreviewText(text))


def check_bridge(seconds: float) -> None:
    """Raise InputError for a bridge of nothing."""
    if seconds <= 0:
        raise InputError("The bridge has no frames (seconds is 0): set how long it shall be.")


def loop(
    video: Any, vae: Any, mode: str, seconds: float, context: float, width: int = 0, height: int = 0
) -> tuple[dict[str, Any], str]:
    """Return the LATENT with its plan, and what it holds in words. Raises InputError for what cannot be looped."""
    if mode not in LOOPS:
        raise InputError(f"There is no mode {mode!r}: choose {' or '.join(LOOPS)}.")
    check_bridge(seconds)
    line, stream = timeline_of(vae), open_video(video)
    seen, made, coming = _lengths(line, float(stream.rate), seconds, context)
    cut = made if mode == ENDS else 0
    original, head, tail = look_at(stream, coming, seen + cut)
    check_context(original, max(seen, coming) + cut, "context and the new end together" if cut else "context")
    size = working_size(vae, original.size, width, height)
    end = original.count - cut
    sound = Kept(original, end, original.count) if cut else None
    edit, gap, guides = _gap(vae, line, size, tail[:seen], made, head, sound)
    parts: tuple[Part, ...] = (Kept(original, 0, end), gap)
    text = f"{original.seconds(end + made)} in a circle, {original.seconds(made)} of them new"
    latent = to_latent(edit, Plan(parts, original.size, original.rate), guides)
    return latent, f"{text}; sampled at {size[0]}x{size[1]}"


def connect(
    first: Fitted, second: Fitted, vae: Any, seconds: float, context: float, width: int = 0, height: int = 0
) -> tuple[dict[str, Any], str]:
    """Return the LATENT of a bridge from one video to the other, with its plan, and what it holds in words.

    Raises InputError for a bridge of nothing and a context longer than a video.
    """
    check_bridge(seconds)
    line = timeline_of(vae)
    seen, made, coming = _lengths(line, float(first.rate), seconds, context)
    one, _, tail = look_at(first, 0, seen)
    two, head, _ = look_at(second, coming, 0)
    check_context(one, seen)
    check_context(two, coming)
    size = working_size(vae, one.size, width, height)
    edit, gap, guides = _gap(vae, line, size, tail, made, head, None)
    parts: tuple[Part, ...] = (Kept(one, 0, one.count), gap, Kept(two, 0, two.count))
    text = f"{one.seconds(one.count)}, {one.seconds(made)} of bridge, {two.seconds(two.count)}"
    return to_latent(edit, Plan(parts, one.size, one.rate), guides), f"{text}; sampled at {size[0]}x{size[1]}"


def melt_videos(
    first: Fitted, second: Fitted, vae: Any, strength: float, width: int = 0, height: int = 0
) -> tuple[dict[str, Any], str]:
    """Return the LATENT in which one video turns into the other, with its plan, and what it holds in words.

    Raises InputError for videos too short to have a middle.
    """
    line = timeline_of(vae)
    (one, start, _), (two, _, _) = look_at(first, 2), look_at(second)
    shorter = min(one.count, two.count)
    length = line.latents(shorter + 1) - 1  # those that are filled
    if length < 4:
        raise InputError(
            f"The shorter video has {shorter} frames: to melt into another it takes at least {line.frames(4)}."
        )
    size, count = working_size(vae, one.size, width, height), line.frames(length)
    source, goal = (encode_all(vae, clip.frames(0, count), count, size) for clip in (one, two))
    edit = melt(source, goal, strength)
    begin, end = line.frames(1), line.frames(length - 1)
    ending = list(two.frames(end, min(end + 2, count)))
    gap = Made(begin, end, tuple(start[:1]), tuple(ending), sound=Kept(one, begin, end), sound_in=Kept(two, begin, end))
    parts: tuple[Part, ...] = (Kept(one, 0, begin), gap, Kept(two, end, count))
    text = f"{one.seconds(count)} from the first to the second"
    return to_latent(edit, Plan(parts, one.size, one.rate)), f"{text}; sampled at {size[0]}x{size[1]}"


def fitting_pair(first: Any, second: Any, fit: str) -> tuple[Fitted, Fitted]:
    """Open two VIDEOs, the second at the first one's size and rate. Raises InputError where they differ in size."""
    one, two = open_video(first), open_video(second)
    size = (one.width, one.height)
    if fit == SAME and size != (two.width, two.height):
        raise InputError(
            f"The first video is {one.width}x{one.height} and the second {two.width}x{two.height}: choose under fit "
            f"how the second becomes like the first ({', '.join(FITS)})."
        )
    how = "stretch" if fit == SAME else fit
    return Fitted(one, None, size, how), Fitted(two, one.rate, size, how)


def _lengths(line: Timeline, rate: float, seconds: float, context: float) -> tuple[int, int, int]:
    """Frames seen before, made, and seen after."""
    wanted = context * rate
    return line.run(wanted, True), line.run(seconds * rate, False), line.run(wanted, False)


def _gap(
    vae: Any, line: Timeline, size: tuple[int, int], tail: list[Frame], made: int, head: list[Frame], sound: Kept | None
) -> tuple[Any, Made, Guides]:
    """The edit whose unknown part lies between ``tail`` and ``head``, that part of the plan, and the guides."""
    seen = len(tail)
    before = encode_at(vae, tail, 0, line, size)
    after = encode_at(vae, head, seen + made, line, size)
    edit = bridge(before, made // line.ratio, after)
    part = Made(seen, seen + made, tuple(tail[:-3:-1]), tuple(head[:2]), sound)
    return edit, part, guides_of(vae, (0, tail), (seen + made, head))
