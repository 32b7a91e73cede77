# SPDX-License-Identifier: GPL-3.0-or-later
"""The node that samples twice: small and quick first, then at full size with the small one as its guide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import comfy.samplers
import comfy.utils
import torch
import torch.nn.functional as F
from comfy_api.latest import io, ui
from torch import Tensor

from ..video.frames import fit_frame
from . import vae_stream
from .errors import InputError
from .guides import KEY as GUIDES
from .originals import encode_at, timeline_of
from .sampler import OWN_SCHEDULE, fitting_samples, own_sigmas, sample_and_tell, sampling_inputs
from .schema import CATEGORY, inp, schema

FINE = 1000  # steps of the schedule that the final pass's levels are chosen from


class DraftThenFinal(io.ComfyNode):
    """MODEL, prompts and LATENT to a draft, and to the same at full size."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node to the host."""
        number = io.Float.Input
        return schema(
            node_id="SpacetimeDraftThenFinal",
            display_name="Draft, Then Final",
            category=CATEGORY,
            description="Sample a latent clip at a smaller size first, then at its own, with the enlarged draft and a "
            "part of the noise as the start. Large clips keep the layout that the model is sure of at the draft's "
            "size. Switch final off until a seed pleases: a draft takes a fraction of the time.",
            search_aliases=["hires fix", "two pass", "upscale latent", "preview seed"],
            inputs=[
                inp(io.Model.Input, "model", tooltip="The diffusion model; any of the host's works."),
                inp(io.Conditioning.Input, "positive", tooltip="What to show."),
                inp(io.Conditioning.Input, "negative", tooltip="What to avoid; an empty prompt is fine."),
                inp(
                    io.Latent.Input, "latent",
                    tooltip="The clip to fill, at its full size: empty, or of an operation such as Extend Video.",
                ),
                inp(
                    io.Int.Input, "seed", default=0, min=0, max=2**53 - 1, control_after_generate=True,
                    tooltip="Another number, another clip; draft and final take the same.",
                ),
                inp(
                    io.Boolean.Input, "final", default=True,
                    tooltip="Off: stop after the draft. On: make the same draft, then the full size from it.",
                ),
                inp(
                    number, "draft_size", default=0.5, min=0.1, max=0.95, step=0.05,
                    tooltip="Sides of the draft as a share of the full ones. 0.5 costs about a quarter or less.",
                ),
                inp(io.Int.Input, "draft_steps", default=20, min=1, max=10000, tooltip="Model calls for the draft."),
                inp(
                    io.Int.Input, "final_steps", default=10, min=1, max=10000,
                    tooltip="Model calls at full size; fewer do, as they begin with the draft.",
                ),
                inp(
                    number, "change", default=0.5, min=0.05, max=1.0, step=0.01,
                    tooltip="How much of the draft is made anew at full size: low keeps it soft, high loses it.",
                ),
                *sampling_inputs(),
                inp(
                    io.Vae.Input, "vae", optional=True,
                    tooltip="With the model's VAE the draft is enlarged as pictures, which is sharper; without it as "
                    "a latent, which is quicker.",
                ),
            ],
            outputs=[
                io.Latent.Output(display_name="latent", tooltip="The clip at full size; with final off, the draft."),
                io.Latent.Output(display_name="draft", tooltip="The draft at its own size."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, model: Any, positive: Any, negative: Any, latent: dict[str, Any], seed: int, final: bool,
        draft_size: float, draft_steps: int, final_steps: int, change: float, guidance: float, sampler: str,
        schedule: str, vae: Any = None,
    ) -> io.NodeOutput:  # fmt: skip
        """Sample; see the schema."""
        how = {"seed": seed, "guidance": guidance, "sampler": sampler, "schedule": schedule}
        work = TwoSizes(model, positive, negative, how, vae)
        whole = {**latent, "samples": fitting_samples(model, latent)}
        if whole["samples"].is_nested:
            raise InputError("A latent of picture and sound together cannot be drafted: connect the picture's alone.")
        small, said = work.draft(whole, draft_size, draft_steps)
        result = work.final(whole, small, final_steps, change) if final else small
        text = (
            f"draft of {_sides(small, vae)}, then {_sides(result, vae)}" if final else f"draft of {_sides(small, vae)}"
        )
        return io.NodeOutput(result, small, ui=ui.PreviewText(f"{text}\n{said}" if said else text))


@dataclass(frozen=True)
class TwoSizes:
    """What both passes share. ``how``: seed, guidance, sampler, schedule; vae: enlarges the draft as pictures."""

    model: Any
    positive: Any
    negative: Any
    how: dict[str, Any]
    vae: Any = None

    def draft(self, latent: dict[str, Any], share: float, steps: int) -> tuple[dict[str, Any], str]:
        """Sample ``latent`` with sides of ``share`` times its own; return it and what the sampler says.

        Raises InputError where that is no smaller size.
        """
        samples = latent["samples"]
        size = draft_sides(self.model, samples, share)
        small = {**latent, "samples": shrink(samples, size)}
        if latent.get("noise_mask") is not None:
            small["noise_mask"] = shrink_mask(latent["noise_mask"], samples.shape, size)
        if latent.get(GUIDES) is not None:
            small["samples"] = known_again(small["samples"], latent[GUIDES])
        return sample_and_tell(self.model, self.positive, self.negative, small, steps=steps, **self.how)

    def final(self, latent: dict[str, Any], draft: dict[str, Any], steps: int, change: float) -> dict[str, Any]:
        """Sample ``latent`` from the enlarged draft on; what is known in it stays."""
        samples = latent["samples"]
        start = enlarge(draft["samples"], samples, self.vae)
        mask = latent.get("noise_mask")
        if mask is not None:
            known = comfy.utils.reshape_mask(mask.float(), samples.shape)[:, :1] == 0
            start = torch.where(known.to(samples.device), samples, start)
        whole = {**latent, "samples": start}
        sigmas = levels_from(self.model, samples, self.how["schedule"], steps, change)
        return sample_and_tell(self.model, self.positive, self.negative, whole, sigmas=sigmas, **self.how)[0]


def levels_from(model: Any, samples: Tensor, schedule: str, steps: int, share: float) -> Tensor:
    """Return the noise levels (steps + 1,) of a schedule from ``share`` of its highest level down.

    A share of the noise, not of the steps: the larger a clip, the more steps its schedule spends near the top.
    """
    if schedule == OWN_SCHEDULE:
        levels = own_sigmas(model, samples, FINE, 1.0)
    else:
        levels = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), schedule, FINE)
    levels = levels[levels <= share * levels[0] + 1e-6]
    return levels[torch.linspace(0, len(levels) - 1, steps + 1).round().long()]


def draft_sides(model: Any, samples: Tensor, share: float) -> tuple[int, int]:
    """Height and width of the draft's latent, whole tokens of the model. Raises InputError where it is no smaller."""
    patch = getattr(model.get_model_object("diffusion_model"), "patch_size", 1)
    step = int(patch[-1]) if isinstance(patch, (tuple, list)) else 1
    sides = [max(step, round(side * share / step) * step) for side in samples.shape[-2:]]
    if sides == list(samples.shape[-2:]) or any(a > b for a, b in zip(sides, samples.shape[-2:], strict=True)):
        raise InputError(
            f"A draft of {share:g} times the clip's sides is as large as the clip, whose latent is "
            f"{samples.shape[-1]}x{samples.shape[-2]}: set a smaller draft_size, or a larger clip."
        )
    return sides[0], sides[1]


def shrink(samples: Tensor, size: tuple[int, int]) -> Tensor:
    """Return (B, C, T, h, w) at ``size`` (height, width)."""
    frames = samples.transpose(1, 2).flatten(0, 1)
    small = F.interpolate(frames.float(), size, mode="area")
    return small.unflatten(0, (samples.shape[0], -1)).transpose(1, 2).to(samples.dtype)


def shrink_mask(mask: Tensor, shape: torch.Size, size: tuple[int, int]) -> Tensor:
    """Return a mask of samples of ``shape`` at ``size``: a place may change as much as the freest part of it."""
    full = comfy.utils.reshape_mask(mask.float(), shape)[:, :1]
    return F.adaptive_max_pool3d(full, (shape[2], *size))


def known_again(samples: Tensor, guides: Any) -> Tensor:
    """Encode the known frames at the samples' size: a shrunken latent is not that of a smaller picture."""
    line, size = timeline_of(guides.vae), vae_stream.pixel_size(guides.vae, samples)
    samples = samples.clone()
    for run in guides.runs:
        latent = encode_at(guides.vae, list(run.frames), run.begin, line, size).to(samples)
        at = line.latent_of(run.begin)
        samples[:, :, at : at + latent.shape[2]] = latent
    return samples


def enlarge(draft: Tensor, like: Tensor, vae: Any = None) -> Tensor:
    """Return a draft (B, C, T, h, w) at the size of ``like``; with a VAE as pictures, else as a latent."""
    if vae is not None and not vae_stream.is_image_vae(vae):
        size = vae_stream.pixel_size(vae, like)
        clips = [
            vae_stream.encode_frames(
                vae, (fit_frame(frame, *size, "stretch") for frame in vae_stream.decode_frames(vae, clip[None]))
            )
            for clip in draft
        ]
        return torch.cat(clips).to(like)
    frames = draft.transpose(1, 2).flatten(0, 1)
    large = F.interpolate(frames.float(), like.shape[-2:], mode="bilinear", antialias=False)
    return large.unflatten(0, (draft.shape[0], -1)).transpose(1, 2).to(like)


def _sides(latent: dict[str, Any], vae: Any) -> str:
    width, height = latent["samples"].shape[-1], latent["samples"].shape[-2]
    if vae is None:
        return f"{width}x{height} latent positions"
    return "{}x{} pixels".format(*vae_stream.pixel_size(vae, latent["samples"]))
