# SPDX-License-Identifier: GPL-3.0-or-later
"""The node that samples: the host's own samplers, with a schedule that suits the clip and known parts kept exactly."""

from __future__ import annotations

from typing import Any

import comfy.sample
import comfy.samplers
import comfy.utils
import latent_preview
import node_helpers
import torch
from comfy.model_sampling import CONST
from comfy_api.latest import io, ui
from torch import Tensor

from ..models.flow import schedule as flow_schedule
from ..models.flow import token_shift
from .errors import InputError
from .families.choose import adapt
from .families.job import Job
from .families.windows import with_cut_conditions
from .guides import KEY as GUIDES
from .known import with_known_kept
from .schema import CATEGORY, inp, schema
from .strength import first_free, is_graded, with_graded_mask

OWN_SCHEDULE = "spacetime"


def sampling_inputs(
    guidance: str = "How strictly to follow the prompt (CFG).",
    schedule: str = "How the noise falls from step to step, as in Spacetime Sampler.",
) -> list[Any]:
    """Return the inputs guidance, sampler and schedule with these tooltips, alike in every node that samples."""
    kinds = comfy.samplers.KSampler
    return [
        inp(
            io.Float.Input, "guidance", default=4.0, min=0.0, max=100.0, step=0.1, round=0.01, tooltip=guidance,
        ),
        inp(
            io.Combo.Input, "sampler", options=list(kinds.SAMPLERS), default="euler",
            tooltip="The method that removes the noise.",
        ),
        inp(
            io.Combo.Input, "schedule", options=[OWN_SCHEDULE, *kinds.SCHEDULERS], default=OWN_SCHEDULE,
            tooltip=schedule,
        ),
    ]  # fmt: skip


class SpacetimeSampler(io.ComfyNode):
    """MODEL, prompts and LATENT to LATENT."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node to the host."""
        number = io.Float.Input
        return schema(
            node_id="SpacetimeSampler",
            display_name="Spacetime Sampler",
            category=CATEGORY,
            description="Generate the unknown parts of a latent clip. Same noise and result as KSampler with the same "
            "settings; besides, parts that the latent's mask calls known stay exactly as they are with every sampler, "
            f"and the schedule {OWN_SCHEDULE!r} spends more steps on the rough shape the larger the clip is.",
            search_aliases=["ksampler", "sample video", "text to video"],
            inputs=[
                inp(io.Model.Input, "model", tooltip="The diffusion model; any of the host's works."),
                inp(io.Conditioning.Input, "positive", tooltip="What to show."),
                inp(io.Conditioning.Input, "negative", tooltip="What to avoid; an empty prompt is fine."),
                inp(io.Latent.Input, "latent", tooltip="The clip to fill; where its mask is 0 it is known and stays."),
                inp(
                    io.Int.Input, "seed", default=0, min=0, max=2**53 - 1, control_after_generate=True,
                    tooltip="Another number, another clip.",
                ),
                inp(
                    io.Int.Input, "steps", default=20, min=1, max=10000,
                    tooltip="Model calls; more take longer and give cleaner motion.",
                ),
                *sampling_inputs(
                    "How strictly to follow the prompt (CFG). 1 is fastest and loosest; too much burns colour.",
                    f"How the noise falls from step to step. {OWN_SCHEDULE}: fitted to the clip's number of tokens; "
                    "the others as in KSampler.",
                ),
                inp(
                    number, "denoise", default=1.0, min=0.0, max=1.0, step=0.01,
                    tooltip="How much of the latent to make anew: 1 everything, less keeps more of what is there.",
                ),
                inp(
                    io.Sigmas.Input, "sigmas", optional=True,
                    tooltip="Noise levels of another node, such as LTXVScheduler; instead of schedule, steps, denoise.",
                ),
            ],
            outputs=[io.Latent.Output(display_name="latent", tooltip="The finished clip, all of it known.")],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, model: Any, positive: Any, negative: Any, latent: dict[str, Any], seed: int, steps: int, guidance: float,
        sampler: str, schedule: str, denoise: float, sigmas: Any = None,
    ) -> io.NodeOutput:  # fmt: skip
        """Sample; see the schema."""
        result, text = sample_and_tell(
            model, positive, negative, latent, seed, steps, guidance, sampler, schedule, denoise, sigmas
        )
        return io.NodeOutput(result, ui=ui.PreviewText(text) if text else None)


def sample(
    model: Any, positive: Any, negative: Any, latent: dict[str, Any], seed: int, steps: int = 20, guidance: float = 4.0,
    sampler: str = "euler", schedule: str = OWN_SCHEDULE, denoise: float = 1.0,
) -> dict[str, Any]:  # fmt: skip
    """Return ``latent`` with its unknown parts generated and without its mask; see the node's schema.

    Raises InputError for inputs that do not go together.
    """
    return sample_and_tell(model, positive, negative, latent, seed, steps, guidance, sampler, schedule, denoise)[0]


def sample_and_tell(
    model: Any, positive: Any, negative: Any, latent: dict[str, Any], seed: int, steps: int = 20, guidance: float = 4.0,
    sampler: str = "euler", schedule: str = OWN_SCHEDULE, denoise: float = 1.0, sigmas: Tensor | None = None,
) -> tuple[dict[str, Any], str]:  # fmt: skip
    """Do as :func:`sample`; return besides, in a sentence, how the model was shown what is known.

    sigmas: noise levels (S + 1,) instead of ``schedule``, ``steps`` and ``denoise``.
    """
    samples = check_inputs(model, positive, negative, latent, sampler, schedule if sigmas is None else None)
    mask, text = latent.get("noise_mask"), ""
    positive, negative = (_with_rate(prompt, latent.get("frame_rate")) for prompt in (positive, negative))
    model, graded, length = with_cut_conditions(model), is_graded(mask), None
    if mask is not None and not samples.is_nested and samples.ndim == 5:
        mask, length = comfy.utils.reshape_mask(mask.float(), samples.shape)[:, :1], samples.shape[2]
        job, text = adapt(Job(model, positive, negative, samples, mask, latent.get(GUIDES)))
        model, positive, negative, samples, mask = job.model, job.positive, job.negative, job.samples, job.mask
    if graded:
        model = with_graded_mask(model)
        mask, denoise = first_free(mask, denoise) if sigmas is None else (mask, denoise)
    if sigmas is None and schedule == OWN_SCHEDULE:
        sigmas = own_sigmas(model, samples, steps, denoise)
    result = comfy.sample.sample(
        with_known_kept(model),
        comfy.sample.prepare_noise(samples, seed, latent.get("batch_index")),
        steps, guidance, sampler, comfy.samplers.KSampler.SCHEDULERS[0] if sigmas is not None else schedule,
        positive, negative, samples, denoise=denoise, noise_mask=mask, sigmas=sigmas,
        callback=latent_preview.prepare_callback(model, steps if sigmas is None else max(1, len(sigmas) - 1)),
        disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED, seed=seed,
    )  # fmt: skip
    if not result.is_nested and not torch.isfinite(result).all():
        raise InputError(
            f"The model gave values that are no numbers (sampler {sampler}, {steps} steps, guidance {guidance:g}): try "
            "another sampler, more steps, a lower guidance, or start ComfyUI with --fp32-unet."
        )
    if length is not None:
        result = result[:, :, :length]  # an adapter may have added guides behind
    finished = {key: value for key, value in latent.items() if key not in ("noise_mask", GUIDES)}
    return {**finished, "samples": result}, text


def check_inputs(
    model: Any, positive: Any, negative: Any, latent: dict[str, Any], sampler: str, schedule: str | None
) -> Tensor:
    """Return the LATENT's samples as the model takes them; ``schedule`` None: the noise levels are given.

    Raises InputError for inputs that do not go together, before anything is sampled.
    """
    _check_choice("sampler", sampler, comfy.samplers.KSampler.SAMPLERS)
    _check_prompts(positive=positive, negative=negative)
    samples = fitting_samples(model, latent)
    if schedule is not None:
        _check_choice("schedule", schedule, [OWN_SCHEDULE, *comfy.samplers.KSampler.SCHEDULERS])
    if schedule == OWN_SCHEDULE:
        own_sigmas(model, samples, 1, 1.0)
    return samples


def fitting_samples(model: Any, latent: dict[str, Any]) -> Tensor:
    """Return the LATENT's samples with the model's number of dimensions.

    Raises InputError where they cannot be this model's.
    """
    samples = latent.get("samples")
    if not isinstance(samples, Tensor):
        if getattr(samples, "is_nested", False):
            return samples  # type: ignore[return-value]  # picture and sound together: the model knows its own
        raise InputError(
            "The latent input holds no latent: connect Empty Spacetime Latent, Encode Video or another sampler."
        )
    form = model.get_model_object("latent_format")
    if 0 in samples.shape:
        raise InputError(
            f"The latent has no frames or no size (its shape is {tuple(samples.shape)}): make it longer or larger."
        )
    if samples.shape[1] != form.latent_channels:
        raise InputError(
            f"The latent has {samples.shape[1]} channels, but this model takes {form.latent_channels}: it is another "
            "model's latent. Connect an Empty Spacetime Latent (with this model's VAE where it is not a Spacetime "
            "model), or encode with that VAE."
        )
    if not torch.isfinite(samples).all():
        raise InputError(
            "The latent holds values that are no numbers (NaN or infinity): the node that made it has failed."
        )
    wanted = form.latent_dimensions + 2
    if samples.ndim == 4 and wanted == 5:
        return samples.unsqueeze(2)
    if samples.ndim != wanted:
        raise InputError(f"The latent's shape is {tuple(samples.shape)}, but this model takes {wanted} dimensions.")
    return samples


def own_sigmas(model: Any, samples: Tensor, steps: int, denoise: float) -> Tensor:
    """Return the noise levels of the schedule whose shift follows the clip's number of tokens.

    Raises InputError for a model that is not of the flow kind.
    """
    if not isinstance(model.get_model_object("model_sampling"), CONST) or getattr(samples, "is_nested", False):
        raise InputError(
            f"The schedule {OWN_SCHEDULE!r} is for video models of the flow kind: choose another one, such as "
            "normal or simple."
        )
    if denoise <= 0:
        return torch.zeros(0)
    total = steps if denoise >= 1 else int(steps / denoise)
    return flow_schedule(total, token_shift(count_tokens(model, samples)))[-(steps + 1) :]


def count_tokens(model: Any, samples: Tensor) -> int:
    """Return how many tokens the model's transformer makes of one clip."""
    patch = getattr(model.get_model_object("diffusion_model"), "patch_size", 1)
    sizes = samples.shape[2:]
    patches = patch if isinstance(patch, (tuple, list)) and len(patch) == len(sizes) else (1,) * len(sizes)
    count = 1
    for size, step in zip(sizes, patches, strict=True):
        count *= -(-size // int(step))
    return count


def _with_rate(prompt: Any, rate: float | None) -> Any:
    """Tell the network the latent's frame rate, unless the prompt has been given one on purpose."""
    if rate is None:
        return prompt
    return [
        entry
        if "frame_rate" in entry[1]
        else node_helpers.conditioning_set_values([entry], {"frame_rate": float(rate)})[0]
        for entry in prompt
    ]


def _check_prompts(**prompts: Any) -> None:
    for name, prompt in prompts.items():
        if not prompt:
            raise InputError(
                f"The {name} prompt is empty of conditioning: connect a CLIP Text Encode node (its text may be empty)."
            )


def _check_choice(name: str, value: str, options: list[str]) -> None:
    if value not in options:
        raise InputError(f"There is no {name} {value!r} in this ComfyUI: choose one of {', '.join(options)}.")
