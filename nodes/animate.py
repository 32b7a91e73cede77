# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodes that make pictures move: a still, keyframes at any time, and a still of which only a region moves."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import comfy.utils
import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ..models.edits.clip import Edit, blank, change, fill_gaps, lay
from ..models.edits.masks import latent_mask
from ..models.edits.timeline import Timeline
from ..video.frames import FITS, Frame, as_rate, fit_frame, to_bytes
from . import vae_stream
from .edit import fitting_mask
from .errors import InputError
from .guides import KEY as GUIDES
from .guides import Guides, Run
from .latent import compression_of
from .originals import check_side, encode_all, encode_at, timeline_of
from .plan import KEY, Filled, Made, Part, Plan, Shown, to_latent
from .schema import CATEGORY, inp, schema


class AnimateImage(io.ComfyNode):
    """IMAGE to the LATENT of a clip that begins with it, and may end with another."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node to the host."""
        return schema(
            node_id="SpacetimeAnimateImage",
            display_name="Animate Image",
            category=f"{CATEGORY}/operations",
            description="A clip that begins with an image and, where one is connected, ends with another. Add Keyframe "
            "puts more in between. Sample the latent, then give it to Finish Video (or Decode Video).",
            search_aliases=["image to video", "i2v", "first last frame", "keyframes"],
            inputs=[
                inp(io.Image.Input, "image", tooltip="What the clip begins with: a picture, or a short clip."),
                inp(io.Vae.Input, "vae", tooltip="The VAE of the model that will generate."),
                *clip_inputs(),
                inp(
                    io.Float.Input, "strength", default=1.0, min=0.0, max=1.0, step=0.01,
                    tooltip="1: the image stays exactly as it is. Less lets it change in the last steps.",
                ),
                inp(
                    io.Combo.Input, "fit", options=list(FITS), default="crop",
                    tooltip="How an end image of another shape meets the clip's size: crop, pad with bars, or stretch.",
                ),
                inp(io.Image.Input, "end_image", optional=True, tooltip="What the clip ends with."),
            ],
            outputs=[io.Latent.Output(display_name="latent", tooltip="The clip to sample: known at its ends.")],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, image: Any, vae: Any, seconds: float, fps: float, size: int, strength: float, fit: str,
        end_image: Any = None,
    ) -> io.NodeOutput:  # fmt: skip
        """Prepare the latent; see the schema."""
        latent, text = animate(image, vae, seconds, fps, size)
        latent = add_keyframe(latent, image, vae, 0.0, strength, fit)
        if end_image is not None:
            latent = add_keyframe(latent, end_image, vae, -1.0, strength, fit)
        return io.NodeOutput(latent, ui=ui.PreviewText(text))


class AddKeyframe(io.ComfyNode):
    """A picture or a short clip at any time of a LATENT."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node to the host."""
        number = io.Float.Input
        return schema(
            node_id="SpacetimeAddKeyframe",
            display_name="Add Keyframe",
            category=f"{CATEGORY}/operations",
            description="Make a moment of a clip known: a picture, or a batch as a short clip. Any number of them, one "
            "after the other, behind Animate Image or an empty latent.",
            search_aliases=["keyframe", "guide", "last frame", "middle frame"],
            inputs=[
                inp(io.Latent.Input, "latent", tooltip="The clip; what is already known stays."),
                inp(io.Image.Input, "image", tooltip="The picture, or the frames of a short clip, in order."),
                inp(io.Vae.Input, "vae", tooltip="The VAE of the model that will generate."),
                inp(
                    number, "time", default=1.0, min=-1.0, max=86400.0, step=0.05,
                    tooltip="Second at which it stands, to the nearest latent frame. -1: at the end.",
                ),
                inp(
                    number, "strength", default=1.0, min=0.0, max=1.0, step=0.01,
                    tooltip="1: it stays exactly as it is. Less lets it change in the last steps.",
                ),
                inp(
                    io.Combo.Input, "fit", options=list(FITS), default="crop",
                    tooltip="How a picture of another shape meets the clip's size: crop, pad with bars, or stretch.",
                ),
            ],
            outputs=[io.Latent.Output(display_name="latent", tooltip="The clip, with that moment known.")],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, latent: dict[str, Any], image: Any, vae: Any, time: float, strength: float, fit: str
    ) -> io.NodeOutput:
        """Add it; see the schema."""
        return io.NodeOutput(add_keyframe(latent, image, vae, time, strength, fit))


class Cinemagraph(io.ComfyNode):
    """IMAGE and MASK to the LATENT of a clip in which only the masked region moves."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node to the host."""
        return schema(
            node_id="SpacetimeCinemagraph",
            display_name="Cinemagraph",
            category=f"{CATEGORY}/operations",
            description="A picture of which only a region moves. All around it every pixel stays as it is. Sample the "
            "latent, then give it to Finish Video.",
            search_aliases=["living photo", "animate region", "partial motion"],
            inputs=[
                inp(io.Image.Input, "image", tooltip="The picture."),
                inp(io.Mask.Input, "mask", tooltip="White where it shall move."),
                inp(io.Vae.Input, "vae", tooltip="The VAE of the model that will generate."),
                *clip_inputs(),
                inp(
                    io.Boolean.Input, "loop", default=True,
                    tooltip="Come back to the picture at the end, so that the clip plays in a circle.",
                ),
            ],
            outputs=[io.Latent.Output(display_name="latent", tooltip="The clip to sample: known around the region.")],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, image: Any, mask: Any, vae: Any, seconds: float, fps: float, size: int, loop: bool
    ) -> io.NodeOutput:
        """Prepare the latent; see the schema."""
        latent, text = cinemagraph(image, mask, vae, seconds, fps, size, loop)
        return io.NodeOutput(latent, ui=ui.PreviewText(text))


def clip_inputs() -> list[Any]:
    """The inputs for a new clip's length, rate and size."""
    number = io.Float.Input
    return [
        inp(number, "seconds", default=4.0, min=0.0, max=3600.0, step=0.1, tooltip="Length of the clip."),
        inp(number, "fps", default=8.0, min=1.0, max=120.0, step=0.01, tooltip="Frames per second."),
        inp(
            io.Int.Input, "size", default=256, min=0, max=8192, step=16,
            tooltip="Side in pixels of the square with the clip's area; its shape is the image's. 0: the image's size.",
        ),
    ]  # fmt: skip


def animate(image: Tensor, vae: Any, seconds: float, fps: float, size: int) -> tuple[dict[str, Any], str]:
    """Return the LATENT of a clip of the image's shape, nothing of it known yet, and what it is in words.

    Raises InputError for an image that is too small and a clip of no length.
    """
    line, shape = timeline_of(vae), clip_size(image, vae, size)
    if seconds <= 0:
        raise InputError("The clip has no length (seconds is 0): set how long it shall be.")
    rate = as_rate(fps)
    count = max(line.run(seconds * float(rate), True), line.frames(2))
    compression = compression_of(vae)
    edit = blank(
        compression.channels, line.latents(count), shape[1] // compression.space, shape[0] // compression.space
    )
    plan = Plan((Made(0, count),), shape, rate)
    return to_latent(edit, plan), f"{count} frames, {shape[0]}x{shape[1]}, {float(count / rate):.2f} s"


def clip_size(image: Tensor, vae: Any, size: int) -> tuple[int, int]:
    """The legal (width, height) of an image's shape: its own for ``size`` 0, else of about that square's area."""
    height, width = (int(n) for n in image.shape[-3:-1])
    check_side(width, height, "image")
    scale = size / (width * height) ** 0.5 if size else 1.0
    step = vae_stream.size_multiple(vae)
    sides = [max(1, round(side * scale / step)) * step for side in (width, height)]
    return sides[0], sides[1]


def add_keyframe(
    latent: dict[str, Any], image: Tensor, vae: Any, time: float, strength: float, fit: str = "crop"
) -> dict[str, Any]:
    """Return ``latent`` with ``image`` (frames, H, W, 3) known at ``time`` seconds (below 0: the end), in every clip.

    A picture inside a clip stands for as long as a latent frame is. Raises InputError where it does not fit in or
    another keyframe already is.
    """
    line = timeline_of(vae)
    samples = latent["samples"]
    if samples.ndim != 5:
        raise InputError("This latent is a picture: make a clip of it with Empty Spacetime Latent or Animate Image.")
    check_side(int(image.shape[-2]), int(image.shape[-3]), "image")
    rate = as_rate(latent.get("frame_rate") or vae_stream.default_rate(vae))
    length, size = samples.shape[2], vae_stream.pixel_size(vae, samples)
    whole = line.frames(length)
    plan: Plan = latent.get(KEY) or Plan((Made(0, whole),), size, rate)
    frames = [fit_frame(frame, *plan.size, fit) for frame in to_bytes(image)]  # as they are shown
    at = _place(line, frames, length, time, float(rate))
    begin = line.frames(at)
    wanted = line.run(len(frames), at == 0)
    frames = (frames + frames[-1:] * wanted)[:wanted]
    if begin + wanted > whole:
        raise InputError(
            f"A keyframe of {wanted} frames at {time:g} s goes beyond the clip, which has {whole} frames "
            f"({float(whole / rate):.2f} s): set an earlier time, or a longer clip."
        )
    mask = _mask_of(latent, samples)
    if bool((mask[:, :, at : at + line.run_latents(wanted, at == 0)] < 1).any()):
        raise InputError(f"At {float(begin / rate):.2f} s there already is a keyframe: choose another time.")
    known = encode_at(vae, frames, begin, line, size)
    clips = zip(samples.split(1), mask.split(1), strict=True)
    edits = [fill_gaps(lay(Edit(*clip), known, at, strength)) for clip in clips]
    edit = Edit(torch.cat([one.samples for one in edits]), torch.cat([one.mask for one in edits]))
    if strength >= 1:
        plan = replace(plan, parts=tuple(_insert(plan.parts, tuple(frames), begin)))
    seen = tuple(fit_frame(frame, *size, "stretch") for frame in frames)  # as the model sees them
    guides = (latent.get(GUIDES) or Guides(vae, ())).and_run(Run(begin, seen, strength))
    return {**latent, **to_latent(edit, plan, guides)}


def _mask_of(latent: dict[str, Any], samples: Tensor) -> Tensor:
    """A LATENT's mask for its samples (B, C, T, h, w), of any shape that stock nodes give it: (B, 1, T, h, w)."""
    mask = latent.get("noise_mask")
    if mask is None:
        return torch.ones(len(samples), 1, *samples.shape[2:])
    return comfy.utils.reshape_mask(mask.float(), samples.shape)[:, :1]


def _place(line: Timeline, frames: list[Frame], length: int, time: float, rate: float) -> int:
    """The latent frame at which a keyframe begins."""
    if time < 0:
        return max(0, length - line.run_latents(line.run(len(frames), False), False))
    frame = round(time * rate)
    at = line.latent_of(frame)
    nearer = len(frames) > 1 and at > 0 and frame >= line.frames(at) + line.ratio / 2  # a clip has a begin to keep
    return at + 1 if nearer and at + 1 < length else at


def _insert(parts: tuple[Part, ...], pictures: tuple[Frame, ...], begin: int) -> list[Part]:
    """Show ``pictures`` at decoded frame ``begin`` in place of what would be decoded there."""
    out: list[Part] = []
    for part in parts:
        if not isinstance(part, Made) or not part.begin <= begin < part.end:
            out.append(part)
            continue
        end = min(begin + len(pictures), part.end)  # a video may end within a latent frame
        meanwhile = part.part(begin, end)
        if begin > part.begin:
            out.append(replace(part.part(part.begin, begin), after=pictures[:1]))
        out.append(Shown(pictures[: end - begin], meanwhile.sound, meanwhile.sound_in, meanwhile.shares))
        if end < part.end:
            out.append(replace(part.part(end, part.end), before=pictures[:-2:-1]))
    return out


def cinemagraph(
    image: Tensor, mask: Tensor, vae: Any, seconds: float, fps: float, size: int, loop: bool
) -> tuple[dict[str, Any], str]:
    """Return the LATENT with its plan, and what it holds in words. Raises InputError for a mask that marks nothing."""
    latent, text = animate(image, vae, seconds, fps, size)
    plan, line = latent[KEY], timeline_of(vae)
    length, height, width = latent["samples"].shape[2:]
    still = fit_frame(to_bytes(image)[0], plan.size[0], plan.size[1], "crop")
    pixels = fitting_mask(mask[:1], 1, (plan.size[1], plan.size[0]), 1)
    cells = latent_mask(pixels, length, height, width, line, compression_of(vae).patch)
    if not cells.any():
        raise InputError("The mask marks nothing: paint white what shall move.")
    frames = (still,) * plan.count
    free = torch.ones(length)
    free[0] = 0
    begin, end = line.frames(1), plan.count
    if loop:
        free[-1] = 0
        end = line.frames(length - 1)
    known = encode_all(vae, itertools.repeat(still), plan.count, plan.size)  # a stream: the clip may be long
    edit = change(known, free, cells)
    moving = Filled(Shown(frames[begin:end]), begin, (pixels >= 0.5).numpy())
    parts = tuple(part for part in (Shown(frames[:begin]), moving, Shown(frames[end:])) if part.count)
    return to_latent(edit, replace(plan, parts=parts)), text
