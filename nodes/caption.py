# SPDX-License-Identifier: GPL-3.0-or-later
"""The node that tells what a video shows: a caption, or the list of its shots."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import folder_paths
from comfy_api.latest import io, ui
from torch import Tensor

from ..language.caption import AS_IT_COMES, ENGINES, ONE, WAYS, Part, Seeing, Teller, rate_of, told, written
from ..language.caption_own import BUNDLED, CaptionerError, Own, load_captioner
from ..language.expand import EngineError, Request
from ..language.server import ServerEngine, find_server
from ..language.styles import LENGTHS, style_named, styles
from ..language.vision import VisionEngine
from ..video.frames import Frame, as_rate, fit_frame, resample, to_bytes, to_floats
from ..video.pieces import pieces
from ..video.still import bounded, jpeg
from .errors import InputError
from .expand import Told
from .language_model import FIRST, ClipEngine, vision_fetcher, vision_models
from .progress import Progress
from .schema import CATEGORY, inp, schema
from .vae_stream import encode_frames
from .video_input import VideoStream

KEY = "captioners"
SPOKEN = {"English": "en", "Chinese": "zh"}
SECONDS = 4.0  # of a piece of a long shot: as long as the clips that the captioner was taught with


class CaptionVideo(io.ComfyNode):
    """A video or frames to a dense caption, or to the storyboard of its shots."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node to the host."""
        combo = io.Combo.Input
        return schema(
            node_id="SpacetimeCaptionVideo",
            display_name="Caption Video",
            category=f"{CATEGORY}/language",
            description="Tell what a video shows, in the words that video models are prompted with. A video with cuts "
            "gives a storyboard: the times of its shots and what each of them shows. It is read as a stream, so an "
            "hour needs no more memory than seconds do.",
            search_aliases=["caption", "describe video", "video to text", "recaption", "shot list", "interrogate"],
            inputs=[
                inp(
                    combo, "engine", options=list(ENGINES), default="own",
                    tooltip="own: the small captioner of this pack, which reads what the VAE makes of the frames. "
                    "local: a vision-language model on this machine. server: an OpenAI-compatible server that sees, "
                    "configured outside of the workflow.",
                ),
                inp(
                    combo, "tell", options=list(WAYS), default=AS_IT_COMES,
                    tooltip="As it comes: a caption of a single shot, else the list of the shots. One caption: of the "
                    "whole video, whatever its cuts. Shot list: with times, also of a single shot.",
                ),
                inp(
                    io.Float.Input, "longest", default=SECONDS, min=1.0, max=60.0, step=0.5,
                    tooltip="Seconds of a shot that are told at once: a longer one is told in pieces, and pieces that "
                    "are told alike become one again.",
                ),
                inp(
                    combo, "style", options=list(styles()), default="spacetime",
                    tooltip="The model whose prompts it shall be like. The engine own writes the style spacetime.",
                ),
                inp(combo, "length", options=list(LENGTHS), default="medium",
                    tooltip="How much the engines local and server may write."),
                inp(combo, "language", options=list(SPOKEN), default="English", tooltip="The language to write in."),
                inp(
                    combo, "model", options=[FIRST, *captioners(), *vision_models()], default=FIRST,
                    tooltip="For the engine own a captioner of models/captioners, for local a model of models/LLM or "
                    "models/text_encoders that sees.",
                ),
                inp(
                    io.Int.Input, "seed", default=0, min=0, max=2**53 - 1, control_after_generate=True,
                    tooltip="Another number, another wording, for the engines local and server.",
                ),
                inp(io.Video.Input, "video", optional=True, tooltip="What is to be described."),
                inp(io.Image.Input, "images", optional=True, tooltip="The same as frames; one of them is a picture."),
                inp(
                    io.Float.Input, "fps", default=8.0, min=0.1, max=240.0, step=0.1, optional=True,
                    tooltip="Frames per second of the images; a video knows its own.",
                ),
                inp(
                    io.Vae.Input, "vae", optional=True,
                    tooltip="For the engine own: the VAE of Load Spacetime Model, whose latents it reads.",
                ),
                inp(
                    io.Clip.Input, "clip", optional=True,
                    tooltip="A text encoder that sees and writes text, for the engine local instead of a file "
                    "(ComfyUI 0.33).",
                ),
            ],
            outputs=[
                io.String.Output(
                    display_name="caption",
                    tooltip="The caption, for CLIP Text Encode; or the shots, for Shots and Prompt Schedule.",
                )
            ],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
        )  # fmt: skip

    @classmethod
    def validate_inputs(cls, model: str) -> bool:
        """Let a workflow name a model that is not here: the engine that asks for it says so."""
        return True

    @classmethod
    def execute(
        cls, engine: str, tell: str, longest: float, style: str, length: str, language: str, model: str, seed: int,
        video: Any = None, images: Any = None, fps: float = 8.0, vae: Any = None, clip: Any = None,
    ) -> io.NodeOutput:  # fmt: skip
        """Describe; see the schema."""
        if engine not in ENGINES or tell not in WAYS or length not in LENGTHS or language not in SPOKEN:
            raise InputError(f"An input is none of its list: {engine!r}, {tell!r}, {length!r}, {language!r}.")
        request = Request("", style_named(style), length, seed, SPOKEN[language])
        try:
            teller = teller_of(engine, model, request, vae, clip)
            text = describe(Footage(video, images, fps), teller, tell, longest, getattr(cls.hidden, "unique_id", None))
        except EngineError as error:
            raise InputError(str(error)) from error
        return io.NodeOutput(text, ui=ui.PreviewText(text))


class Footage:
    """What is to be described, from either input: its size, its length in seconds and its frames."""

    def __init__(self, video: Any, images: Tensor | None, fps: float) -> None:
        """Raises InputError where there is nothing, or both."""
        if (video is None) == (images is None):
            raise InputError("Connect either a video or images to describe.")
        self._images, self._rate = images, as_rate(fps)
        self._stream = None if video is None else VideoStream(video)
        if self._stream is not None:
            self.width, self.height = self._stream.width, self._stream.height
            self.seconds = float(self._stream.count / self._stream.rate)
        else:
            assert images is not None
            self.height, self.width = int(images.shape[1]), int(images.shape[2])
            self.seconds = len(images) / float(self._rate)

    def frames(self, rate: Fraction, size: tuple[int, int]) -> Iterator[Frame]:
        """Yield the frames at a rate and size (width, height)."""
        if self._stream is not None:
            yield from self._stream.frames(rate, size)
            return
        assert self._images is not None
        timed = ((Fraction(index) / self._rate, to_bytes(image)) for index, image in enumerate(self._images))
        for frame in resample(timed, self._rate, rate if len(self._images) > 1 else None):
            yield fit_frame(frame, *size)


def describe(footage: Footage, teller: Teller, way: str, longest: float, node: str | None = None) -> str:
    """What a video shows, as text; raises where the user cancels, and EngineError."""
    rate = as_rate(rate_of(footage.seconds, way))
    size = bounded(footage.width, footage.height, teller.pixels, teller.multiple)
    bar = Progress(max(1, round(footage.seconds * rate)))
    shown = Told(node)

    def parts() -> Iterator[Part]:
        frames = footage.frames(rate, size)
        if way == ONE:
            yield Part.of(frames)
            return
        for piece in pieces(frames, float(rate), round(longest * rate)):
            yield Part(piece.start, piece.stop, piece.frames, piece.cut)
            bar.show(piece.stop)

    shots = []
    with bar.alone():
        for shot in told(parts(), float(rate), teller, shown):
            shots.append(shot)
            shown(written(shots, way))
    return written(shots, way)


def captioners() -> dict[str, Path]:
    """The captioners by name: the one that comes with the pack, and those in the host's folder models/captioners."""
    found = {BUNDLED.name: BUNDLED} if BUNDLED.is_file() else {}
    for name in folder_paths.get_filename_list(KEY):
        path = folder_paths.get_full_path(KEY, name)
        if name.endswith(BUNDLED.suffix) and path is not None:
            found.setdefault(name, Path(path))
    return found


def register() -> None:
    """Tell the host of the folder models/captioners."""
    folder_paths.add_model_folder_path(KEY, os.path.join(folder_paths.models_dir, KEY))


def teller_of(engine: str, model: str, request: Request, vae: Any, clip: Any) -> Teller:
    """The engine that describes. Raises InputError and EngineError where it is not there."""
    if engine == "own":
        return _own(model, request, vae)
    if engine == "server":
        server = ServerEngine(find_server(Path(folder_paths.get_user_directory())))
        return Seeing("server", request, lambda frames: server, jpeg)
    if clip is not None:
        return Seeing("clip", request, lambda frames: ClipEngine(clip, to_floats(frames)), jpeg)
    fetch = vision_fetcher(model)
    return Seeing("local", request, lambda frames: VisionEngine(fetch, frames), jpeg)


def _own(model: str, request: Request, vae: Any) -> Own:
    if vae is None:
        raise InputError("The engine own needs the VAE of Load Spacetime Model: connect it, or choose another engine.")
    known = captioners()
    if not known:
        raise InputError(f"There is no captioner in {os.path.join(folder_paths.models_dir, KEY)}: put one there.")
    chosen = next(iter(known)) if model == FIRST else model
    if chosen not in known:
        raise InputError(f"There is no captioner {model!r}: choose one of {', '.join(known)}.")
    try:
        trained = load_captioner(known[chosen])
    except CaptionerError as error:
        raise InputError(str(error)) from error
    return Own(trained, lambda frames: encode_frames(vae, frames), request.style.name, request.target)


NODES = [CaptionVideo]
