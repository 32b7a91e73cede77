# SPDX-License-Identifier: GPL-3.0-or-later
"""The node that makes a dense prompt of a short one."""

from __future__ import annotations

import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import comfy.model_management as mm
import folder_paths
import torch
from comfy_api.latest import io, ui
from server import PromptServer
from torch import Tensor

from ..language.expand import Engine, EngineError, Expansion, Request, expand
from ..language.expand_storyboard import expand_storyboard
from ..language.local import LocalEngine
from ..language.rules import Rules
from ..language.server import ServerEngine, find_server
from ..language.storyboard import is_storyboard, parse_storyboard
from ..language.styles import LANGUAGES, LENGTHS, style_named, styles
from ..video.frames import to_bytes, to_floats
from ..video.still import jpeg
from .errors import InputError
from .language_model import FIRST, ClipEngine, fetcher, language_models
from .schema import CATEGORY, inp, schema
from .video_input import VideoStream

ENGINES = ("rules", "local", "server")
SHOWN = 4  # frames of a video that an engine is shown
PACE = 0.2  # seconds between two texts sent to the front end


class ExpandPrompt(io.ComfyNode):
    """A short prompt to a dense one in a model's own style, and its negative prompt."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node to the host."""
        combo = io.Combo.Input
        return schema(
            node_id="SpacetimeExpandPrompt",
            display_name="Expand Prompt",
            category=f"{CATEGORY}/language",
            description="Make a dense prompt of a short one, in the style that a model was trained on, in English or "
            "Chinese. What you wrote is kept: a text that lost a thing, a number, a colour or a direction is repaired "
            "or refused, and the node says so.",
            search_aliases=["prompt enhancer", "rewrite prompt", "llm", "upsample prompt", "improve prompt"],
            inputs=[
                inp(
                    io.String.Input, "prompt", default="a red panda in the forest in the snow", multiline=True,
                    tooltip="What the video shows, in your own words. Empty: something is made up from the seed. The "
                    "shots of a Storyboard: each is expanded, and everyone looks the same in all of them.",
                ),
                inp(
                    combo, "style", options=list(styles()), default="spacetime",
                    tooltip="The model that the prompt is for; cinematic suits any other.",
                ),
                inp(
                    combo, "engine", options=list(ENGINES), default="rules",
                    tooltip="rules: at once and without a model. local: a language model on this machine. server: an "
                    "OpenAI-compatible server, configured outside of the workflow.",
                ),
                inp(combo, "length", options=list(LENGTHS), default="medium", tooltip="How much may be added."),
                inp(
                    combo, "language", options=list(LANGUAGES), default="as the prompt",
                    tooltip="The language to write in, as far as the style has it.",
                ),
                inp(
                    combo, "model", options=[FIRST, *language_models()], default=FIRST,
                    tooltip="For the engine local: a model of models/LLM or models/text_encoders.",
                ),
                inp(
                    io.Int.Input, "seed", default=0, min=0, max=2**53 - 1, control_after_generate=True,
                    tooltip="Another number, another way to fill in what the prompt leaves open.",
                ),
                inp(
                    io.Clip.Input, "clip", optional=True,
                    tooltip="A text encoder that writes text, for the engine local instead of a file (ComfyUI 0.33).",
                ),
                inp(
                    io.Image.Input, "image", optional=True,
                    tooltip="Something to describe from. The engines server and local with a CLIP can see.",
                ),
                inp(io.Video.Input, "video", optional=True, tooltip="The same with a few frames of a video."),
            ],
            outputs=[
                io.String.Output(display_name="prompt", tooltip="The expanded prompt, for CLIP Text Encode."),
                io.String.Output(
                    display_name="negative",
                    tooltip="What to avoid, where the style's model is sampled with a negative prompt.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
        )  # fmt: skip

    @classmethod
    def validate_inputs(cls, model: str) -> bool:
        """Let a workflow name a model that is not here: only the engine local asks for it, and says so."""
        return True

    @classmethod
    def execute(
        cls, prompt: str, style: str, engine: str, length: str, language: str, model: str, seed: int, clip: Any = None,
        image: Any = None, video: Any = None,
    ) -> io.NodeOutput:  # fmt: skip
        """Expand; see the schema."""
        if engine not in ENGINES or length not in LENGTHS or language not in LANGUAGES:
            raise InputError(f"engine, length or language is none of the list: {engine!r}, {length!r}, {language!r}.")
        images = seen(image, video)
        engines = chain(engine, model, clip, images)
        if images is not None and not prompt.strip() and not engines[0].sees:
            raise InputError(
                f"The engine {engine} sees no images: write what the video shows, choose the engine server, or connect "
                "a CLIP that sees to the engine local."
            )
        request = Request(
            prompt, style_named(style), length, seed, LANGUAGES[language],
            () if images is None else tuple(jpeg(frame) for frame in to_bytes(images)),
        )  # fmt: skip
        try:
            text, negative, told = written(request, engines, Told(getattr(cls.hidden, "unique_id", None)))
        except EngineError as error:
            raise InputError(str(error)) from error
        return io.NodeOutput(text, negative, ui=ui.PreviewText(told))


def chain(engine: str, model: str, clip: Any, images: Tensor | None) -> list[Engine]:
    """The engines that are asked one after the other: the chosen one first, the rules last.

    Raises InputError and EngineError where the chosen one is not there.
    """
    engines: list[Engine] = [Rules()]
    if engine == "local" or (engine == "server" and (clip is not None or language_models())):
        engines.insert(0, ClipEngine(clip, images) if clip is not None else LocalEngine(fetcher(model)))
    if engine == "server":
        try:
            engines.insert(0, ServerEngine(find_server(Path(folder_paths.get_user_directory()))))
        except EngineError as error:
            raise InputError(str(error)) from error
    return engines


def written(request: Request, engines: list[Engine], told: Told) -> tuple[str, str, str]:
    """The prompt or the whole storyboard made dense, what to avoid in it, and what the node shows."""
    if not is_storyboard(request.prompt):
        made = expand(request, engines, told)
        return made.text, made.negative, shown(made)
    board, shots = expand_storyboard(parse_storyboard(request.prompt), request, engines, told)
    negative = ", ".join(dict.fromkeys(shot.negative for shot in shots if shot.negative))
    notes = [f"(shot {number}: {note})" for number, shot in enumerate(shots, 1) for note in shot.notes]
    lines = [board.to_text(), *([f"Negative: {negative}"] if negative else []), *notes]
    return board.to_text(), negative, "\n\n".join(lines)


def shown(made: Expansion) -> str:
    """What the node shows: the prompts, and what happened on the way."""
    lines = [made.text]
    if made.negative:
        lines.append(f"Negative: {made.negative}")
    lines += [f"({note})" for note in made.notes]
    return "\n\n".join(lines)


class Told:
    """Shows the text on the node while it is written, and stops where the user has cancelled."""

    def __init__(self, node: str | None) -> None:
        self._node, self._last = node, 0.0

    def __call__(self, text: str) -> None:
        """Show a text, not more often than the eye can follow."""
        mm.throw_exception_if_processing_interrupted()
        server = getattr(PromptServer, "instance", None)
        now = time.monotonic()
        if text and server is not None and self._node is not None and now - self._last > PACE:
            self._last = now
            server.send_progress_text(text, self._node)


def seen(image: Tensor | None, video: Any) -> Tensor | None:
    """The pictures (N, H, W, 3) in 0..1 to describe from, at most SHOWN, or None."""
    if image is not None:
        return image[:SHOWN]
    if video is None:
        return None
    stream = VideoStream(video)
    count = min(SHOWN, stream.count)
    rate = Fraction(count * stream.rate, stream.count)
    return torch.stack([to_floats(frame).float() for _, frame in zip(range(count), stream.frames(rate), strict=False)])


NODES = [ExpandPrompt]
