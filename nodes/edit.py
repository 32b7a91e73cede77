# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodes that change a video: as a whole or in a region, for a while or throughout, and beyond its borders."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from comfy_api.latest import io, ui
from torch import Tensor

from ..models.edits.clip import change, fill_gaps
from ..models.edits.masks import latent_mask
from ..models.edits.timeline import Timeline
from ..models.geometry import ASPECTS
from ..video.frames import Frame
from . import vae_stream
from .errors import InputError
from .extend import size_inputs
from .latent import CUSTOM, compression_of
from .originals import Original, encode_all, look_at, open_video, timeline_of, working_size
from .plan import Filled, Kept, Made, Part, Plan, to_latent
from .schema import CATEGORY, inp, schema

PLACES = {"center": (0.5, 0.5), "left": (0.0, 0.5), "right": (1.0, 0.5), "top": (0.5, 0.0), "bottom": (0.5, 1.0)}


class EditVideo(io.ComfyNode):
    """VIDEO to a LATENT that starts from it and may change by so much, here and then."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node to the host."""
        number = io.Float.Input
        return schema(
            node_id="SpacetimeEditVideo",
            display_name="Edit Video",
            category=f"{CATEGORY}/operations",
            description="Change a video by a prompt: its style, place or subject, or what a mask marks (inpainting). "
            "Sample the latent with Spacetime Sampler, then give it to Finish Video: frames outside the time range and "
            "pixels outside the mask stay as they are.",
            search_aliases=["video to video", "vid2vid", "restyle", "inpaint video", "sdedit"],
            inputs=[
                inp(io.Video.Input, "video", tooltip="The video to change."),
                inp(io.Vae.Input, "vae", tooltip="The VAE of the model that will generate."),
                inp(
                    number, "strength", default=0.6, min=0.0, max=1.0, step=0.01,
                    tooltip="How much may change: 0 nothing, 0.5 keeps layout and motion, 1 makes everything anew.",
                ),
                inp(
                    number, "strength_at_end", default=-1.0, min=-1.0, max=1.0, step=0.01,
                    tooltip="Strength at the end of the time range; it changes evenly from the begin. -1: the same.",
                ),
                inp(
                    number, "start", default=0.0, min=0.0, max=86400.0, step=0.1,
                    tooltip="Second from which on to change; earlier frames stay.",
                ),
                inp(
                    number, "end", default=0.0, min=0.0, max=86400.0, step=0.1,
                    tooltip="Second up to which to change; later frames stay. 0: to the end.",
                ),
                inp(
                    io.Mask.Input, "mask", optional=True,
                    tooltip="White where to change (inpainting): one still mask, or one for each frame.",
                ),
                *size_inputs(),
            ],
            outputs=[io.Latent.Output(display_name="latent", tooltip="The clip to sample.")],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, video: Any, vae: Any, strength: float, strength_at_end: float, start: float, end: float, mask: Any = None,
        width: int = 0, height: int = 0,
    ) -> io.NodeOutput:  # fmt: skip
        """Prepare the latent; see the schema."""
        last = strength if strength_at_end < 0 else strength_at_end
        latent, text = edit(video, vae, (strength, last), (start, end), mask, width, height)
        return io.NodeOutput(latent, ui=ui.PreviewText(text))


class ExtendCanvas(io.ComfyNode):
    """VIDEO to the LATENT of a larger picture around it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node to the host."""
        side = {"default": 0, "min": 0, "max": 16384}
        return schema(
            node_id="SpacetimeExtendCanvas",
            display_name="Extend Canvas",
            category=f"{CATEGORY}/operations",
            description="Show more of a video: another aspect ratio, or a larger picture (outpainting). Its own pixels "
            "stay as they are. Sample the latent, then give it to Finish Video.",
            search_aliases=["outpaint video", "aspect ratio", "uncrop", "expand"],
            inputs=[
                inp(io.Video.Input, "video", tooltip="The video to widen."),
                inp(io.Vae.Input, "vae", tooltip="The VAE of the model that will generate."),
                inp(
                    io.Combo.Input, "aspect", options=[*ASPECTS, CUSTOM], default="16:9",
                    tooltip=f"Shape of the new picture, which holds the old one; {CUSTOM} takes width and height.",
                ),
                inp(
                    io.Combo.Input, "place", options=list(PLACES), default="center",
                    tooltip="Where in the new picture the old one stands.",
                ),
                inp(io.Int.Input, "width", **side, tooltip=f"Width of the new picture; used where aspect is {CUSTOM}."),
                inp(io.Int.Input, "height", **side, tooltip=f"Its height; used where aspect is {CUSTOM}."),
            ],
            outputs=[io.Latent.Output(display_name="latent", tooltip="The clip to sample: known where the video is.")],
        )  # fmt: skip

    @classmethod
    def execute(cls, video: Any, vae: Any, aspect: str, place: str, width: int = 0, height: int = 0) -> io.NodeOutput:
        """Prepare the latent; see the schema."""
        latent, text = extend_canvas(video, vae, aspect, place, width, height)
        return io.NodeOutput(latent, ui=ui.PreviewText(text))


def edit(
    video: Any, vae: Any, strength: tuple[float, float], span: tuple[float, float], mask: Tensor | None = None,
    width: int = 0, height: int = 0,
) -> tuple[dict[str, Any], str]:  # fmt: skip
    """Return the LATENT with its plan, and what it holds in words.

    strength at the begin and at the end of ``span`` (seconds, the second 0: to the end); mask (1 or frames, H, W).
    Raises InputError where nothing would change and for a mask of another length.
    """
    line, stream = timeline_of(vae), open_video(video)
    original, _, _ = look_at(stream)
    size = working_size(vae, original.size, width, height)
    latents = line.latents(original.count)
    count = line.frames(latents)
    first, last = _latent_span(original, line, span)
    freedom = torch.zeros(latents)
    freedom[first:last] = torch.linspace(strength[0], strength[1], last - first)
    region = None
    if mask is not None:
        region = fitting_mask(mask, original.count, (size[1], size[0]), count)
    samples = encode_all(vae, original.frames(), count, size)
    space = samples.shape[3:]
    patch = compression_of(vae).patch
    cells = None if region is None else latent_mask(region, latents, space[0], space[1], line, patch)
    result = change(samples, freedom, cells)
    if not result.mask.any():
        raise InputError("Nothing is to change: the strength is 0, or the mask is empty (white is what changes).")
    begin, end = line.frames(first), min(line.frames(last), original.count)
    parts = _edited_parts(original, begin, end, mask)
    text = f"{original.seconds(end - begin)} of {original.seconds(original.count)} change"
    return to_latent(result, Plan(parts, original.size, original.rate)), f"{text}; sampled at {size[0]}x{size[1]}"


def _latent_span(original: Original, line: Timeline, span: tuple[float, float]) -> tuple[int, int]:
    """The latent frames from ``span[0]`` to ``span[1]`` seconds, at least one."""
    start, end = (round(seconds * original.rate) for seconds in span)
    end = min(end, original.count) if end else original.count
    if start >= end:
        raise InputError(
            f"The time range from {span[0]:g} s to {float(end / original.rate):.2f} s holds no frame of the video, "
            f"which has {original.seconds(original.count)}."
        )
    return line.latent_of(start), line.latent_of(end - 1) + 1


def _edited_parts(original: Original, begin: int, end: int, mask: Tensor | None) -> tuple[Part, ...]:
    kept = Kept(original, begin, end)
    if mask is not None:
        whole = fitting_mask(mask, original.count, (original.size[1], original.size[0]), original.count)
        region = (whole >= 0.5).numpy()
        middle: Part = Filled(kept, begin, region[begin:end] if len(region) > 1 else region)
    else:
        before = list(original.frames(max(0, begin - 2), begin))[::-1]
        after = list(original.frames(end, min(end + 2, original.count)))
        middle = Made(begin, end, tuple(before), tuple(after), kept)
    ends = [Kept(original, 0, begin), middle, Kept(original, end, original.count)]
    return tuple(part for part in ends if part.count)


def fitting_mask(mask: Tensor, frames: int, size: tuple[int, int], count: int) -> Tensor:
    """A host's MASK at ``size`` (height, width), for ``count`` frames where it has one for each of ``frames``.

    Raises InputError for a mask of another length.
    """
    mask = mask.detach().float().cpu()
    mask = mask.reshape(-1, *mask.shape[-2:])
    if len(mask) not in (1, frames):
        raise InputError(
            f"The mask has {len(mask)} frames and the video {frames}: connect one still mask, or one for each frame."
        )
    mask = F.interpolate(mask[:, None], size, mode="nearest-exact")[:, 0]
    if len(mask) > 1 and len(mask) != count:
        mask = torch.cat([mask[:count], mask[-1:].expand(max(0, count - len(mask)), -1, -1)])
    return mask


def extend_canvas(
    video: Any, vae: Any, aspect: str, place: str, width: int = 0, height: int = 0
) -> tuple[dict[str, Any], str]:
    """Return the LATENT with its plan, and what it holds in words. Raises InputError where nothing is added."""
    if place not in PLACES:
        raise InputError(f"There is no place {place!r}: choose {', '.join(PLACES)}.")
    line, stream = timeline_of(vae), open_video(video)
    size = _canvas(vae, (stream.width, stream.height), aspect, width, height)
    original, _, _ = look_at(stream)
    across, down = PLACES[place]
    step = vae_stream.size_multiple(vae)  # on the grid, whole tokens are known
    corner = tuple(
        min(free, round(free * share / step) * step)
        for free, share in ((size[0] - original.size[0], across), (size[1] - original.size[1], down))
    )
    region = np.ones((1, size[1], size[0]), bool)
    region[:, corner[1] : corner[1] + original.size[1], corner[0] : corner[0] + original.size[0]] = False
    latents = line.latents(original.count)
    widened = (_widen(frame, size, (corner[0], corner[1])) for frame in original.frames())
    samples = encode_all(vae, widened, line.frames(latents), size)
    patch = compression_of(vae).patch
    cells = latent_mask(torch.from_numpy(region).float(), latents, samples.shape[3], samples.shape[4], line, patch)
    result = fill_gaps(change(samples, torch.ones(latents), cells))
    plan = Plan((Filled(Kept(original, 0, original.count), 0, region, (corner[0], corner[1])),), size, original.rate)
    text = f"{original.size[0]}x{original.size[1]} becomes {size[0]}x{size[1]}, {original.seconds(original.count)}"
    return to_latent(result, plan), text


def _canvas(vae: Any, own: tuple[int, int], aspect: str, width: int, height: int) -> tuple[int, int]:
    """The legal size that holds a picture of size ``own`` and has the wished shape."""
    if aspect == CUSTOM:
        width, height = width or own[0], height or own[1]
        if width < own[0] or height < own[1]:
            raise InputError(f"{width}x{height} does not hold the video, which is {own[0]}x{own[1]}: make it larger.")
    elif aspect in ASPECTS:
        shape = ASPECTS[aspect][0] / ASPECTS[aspect][1]
        width, height = max(own[0], round(own[1] * shape)), max(own[1], round(own[0] / shape))
    else:
        raise InputError(f"There is no aspect {aspect!r}: choose {', '.join([*ASPECTS, CUSTOM])}.")
    step = vae_stream.size_multiple(vae)
    size = tuple(
        max(-(-least // step), round(side / step)) * step for least, side in zip(own, (width, height), strict=True)
    )
    if size == own:
        raise InputError(f"The video already is {own[0]}x{own[1]}: choose another aspect or a larger size.")
    return size[0], size[1]


def _widen(frame: Frame, size: tuple[int, int], corner: tuple[int, int]) -> Frame:
    """A frame on a larger picture, its border continued outwards."""
    rows = (corner[1], size[1] - frame.shape[0] - corner[1])
    columns = (corner[0], size[0] - frame.shape[1] - corner[0])
    return np.pad(frame, (rows, columns, (0, 0)), "edge")
