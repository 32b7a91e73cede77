# SPDX-License-Identifier: GPL-3.0-or-later
"""Several prompts for one clip, each with its share at every latent frame: predictions are mixed frame by frame."""

from __future__ import annotations

from typing import Any

import comfy.samplers
import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ..language.schedule import Board, Schedule, read_prompts
from . import vae_stream
from .errors import InputError
from .originals import timeline_of
from .schema import CATEGORY, inp, schema

KEY = "spacetime_schedule"  # in a CONDITIONING: (schedule, number of the prompt)
PART = "spacetime_part"  # in transformer_options: (latent frames of the whole clip that are sampled, its length)
EXAMPLE = """12 s: a red panda walks to the right in the forest
glide 8 s: a red panda walks to the right in the forest at night
continue 10 s: a red panda walks to the right in the forest at night
cut 15 s: a penguin stands on the beach
cut 15 s: a balloon stays still in the meadow"""


class PromptSchedule(io.ComfyNode):
    """MODEL, CLIP, VAE and a storyboard to a MODEL and a CONDITIONING that change over the clip."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node to the host."""
        return schema(
            node_id="SpacetimePromptSchedule",
            display_name="Prompt Schedule",
            category=f"{CATEGORY}/operations",
            description="Prompts that follow each other in one clip, each with its seconds. Use model and positive "
            "together, in Long Video or any sampler. Only the prompts that count at a moment are computed.",
            search_aliases=["storyboard", "prompt travel", "timeline", "prompt over time"],
            inputs=[
                inp(io.Model.Input, "model", tooltip="The video model; any of the host's works."),
                inp(io.Clip.Input, "clip", tooltip="The model's text encoder."),
                inp(io.Vae.Input, "vae", tooltip="The model's VAE: it says how many frames a latent frame holds."),
                inp(
                    io.String.Input, "text", default=EXAMPLE, multiline=True,
                    tooltip="A line for each prompt: its seconds, a colon, the prompt. Before the seconds: continue "
                    "(the same scene), glide (it takes over little by little), cut (Long Video begins a new scene). "
                    "The last one holds to the end. Text without seconds is one prompt for all.",
                ),
            ],
            outputs=[
                io.Model.Output(display_name="model", tooltip="The model; use it together with the prompt beside it."),
                io.Conditioning.Output(display_name="positive", tooltip="All prompts with their times."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(cls, model: Any, clip: Any, vae: Any, text: str) -> io.NodeOutput:
        """Combine them; see the schema."""
        if clip is None:
            raise InputError("The clip input holds no text encoder: connect the one that belongs to the model.")
        shots = read_prompts(text)
        prompts = [clip.encode_from_tokens_scheduled(clip.tokenize(shot.prompt)) for shot in shots]
        board = Board(tuple(shots), timeline_of(vae), float(vae_stream.default_rate(vae)))
        said = "1 prompt" if len(shots) == 1 else f"{len(shots)} prompts, {sum(shot.seconds for shot in shots):g} s"
        return io.NodeOutput(*schedule_prompts(model, prompts, board), ui=ui.PreviewText(said))


def schedule_prompts(model: Any, prompts: list[Any], schedule: Schedule) -> tuple[Any, Any]:
    """Return a MODEL and the CONDITIONING to sample it with: ``prompts`` with the shares that ``schedule`` says.

    The prompts are joined as the host joins several; those that have a share somewhere in what is sampled are computed.
    """
    joined = [
        [text, {**more, KEY: (schedule, number)}] for number, prompt in enumerate(prompts) for text, more in prompt
    ]

    def predict(arguments: dict[str, Any]) -> list[Tensor]:
        conds, x, options = arguments["conds"], arguments["input"], arguments["model_options"]
        rest = (x, arguments["sigma"], options)
        groups = _by_prompt(conds[0] or [], schedule, len(prompts))
        if groups is None or x.ndim != 5:
            return comfy.samplers.calc_cond_batch(arguments["model"], conds, *rest)
        places, length = options.get("transformer_options", {}).get(PART, (list(range(x.shape[2])), x.shape[2]))
        shares = schedule.shares(length, conds[0][0].get("frame_rate"))[:, places].to(x)
        mixed, others = torch.zeros_like(x), conds[1:]
        out: list[Tensor] = []
        for group, share in zip(groups, shares.view(len(prompts), 1, 1, -1, 1, 1), strict=True):
            if share.any():
                prediction, *more = comfy.samplers.calc_cond_batch(arguments["model"], [group, *others], *rest)
                mixed, others, out = mixed + prediction * share, [], out + more
        return [mixed, *out]

    model = model.clone()
    model.set_model_sampler_calc_cond_batch_function(predict)
    return model, joined


def schedule_of(positive: Any) -> Schedule | None:
    """Return the schedule that a CONDITIONING carries, None for a plain prompt."""
    found = [entry[1][KEY][0] for entry in positive if KEY in entry[1]]
    return found[0] if found else None


def _by_prompt(conds: list[Any], schedule: Schedule, count: int) -> list[list[Any]] | None:
    """The entries of each prompt; None where a node between has changed them."""
    groups: list[list[Any]] = [[] for _ in range(count)]
    for cond in conds:
        owner, number = cond.get(KEY, (None, 0))
        if owner is not schedule:
            return None
        groups[number].append(cond)
    return groups if all(groups) else None
