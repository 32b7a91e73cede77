# SPDX-License-Identifier: GPL-3.0-or-later
"""``./spacetime caption``: what a video shows, or captions beside every video of a folder.

The result alone goes to stdout, all else to stderr.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..language.expand import EngineError, Request
from ..language.storyboard import Shot
from ..language.styles import BUNDLED as CHECKPOINT
from ..language.styles import LENGTHS, style_named, styles
from ..video.errors import VideoError
from . import shims
from .comfy import find_host
from .expand import LANGUAGES, Told, folders, user_folder

if TYPE_CHECKING:
    from ..language.caption import Part, Teller

ENGINES = ("own", "local", "server")
WAYS = ("as it comes", "one caption", "shot list")
SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv", ".flv", ".3gp"}
    | {".ogv", ".gif"}
)


@click.command("caption")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--engine", type=click.Choice(ENGINES), default="own", help="What looks; see below.")
@click.option("--tell", type=click.Choice(WAYS), default=WAYS[0], help="A caption, a list of shots, or what fits.")
@click.option("--longest", type=click.FloatRange(1, 60), default=4.0, help="Seconds of a shot that are told at once.")
@click.option("--style", type=click.Choice(list(styles())), default="spacetime", help="Whose prompts it shall be like.")
@click.option("--length", type=click.Choice(LENGTHS), default="medium", help="How much local and server may write.")
@click.option("--language", type=click.Choice(LANGUAGES), default="en", help="The language to write in.")
@click.option("--model", help="own: the file of a captioner; local: a folder below models/LLM or models/text_encoders.")
@click.option("--checkpoint", type=click.Path(path_type=Path), default=CHECKPOINT, help="own: whose VAE is used.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Another number, another wording.")
@click.option("--force", is_flag=True, help="A folder: write captions anew where there are some.")
def caption_command(path: Path, force: bool, tell: str, longest: float, **options: Any) -> None:
    """Tell what the video PATH shows, or write captions beside every video of the folder PATH.

    own is the small captioner that comes with the pack; local runs a vision-language model on this machine; server asks
    the OpenAI-compatible server that SPACETIME_LLM_URL, SPACETIME_LLM_MODEL and SPACETIME_LLM_KEY name.

    In a folder, subfolders too, clip.txt is written beside clip.mp4, or clip.jsonl with the times of each shot where
    there are several; train footage reads both. Videos that have one are passed over, so that a run that was stopped
    goes on. What cannot be read is named and passed over, too; the exit code is then 1.
    """
    try:
        if not path.exists():
            raise EngineError(f"{path} does not exist.")
        teller = teller_of(**options)
        if not path.is_dir():
            from ..language.caption import written

            click.echo(written(shots_of(path, teller, tell, longest), tell))
            return
        sys.exit(caption_folder(path, teller, tell, longest, force))
    except (EngineError, VideoError) as error:
        click.echo(f"spacetime: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        click.echo("spacetime: stopped; the same command goes on.", err=True)
        sys.exit(130)


def caption_folder(folder: Path, teller: Teller, way: str, longest: float, force: bool) -> int:
    """Caption what lies in a folder; one line on stdout for each file that was written. Returns the exit code."""
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    alike = Counter(file.with_suffix("") for file in found)
    done = failed = 0
    for number, file in enumerate(found, 1):
        name = file.relative_to(folder).as_posix()
        if not force and any(path.is_file() for path in Beside(file).paths()):
            continue
        if alike[file.with_suffix("")] > 1:
            click.echo(f"{number}/{len(found)} {name}: passed over, another video has its name", err=True)
            failed += 1
            continue
        try:
            shots = shots_of(file, teller, way, longest)
        except VideoError as error:
            click.echo(f"{number}/{len(found)} {name}: passed over, {error}", err=True)
            failed += 1
            continue
        click.echo(str(Beside(file).write(shots)))
        click.echo(f"{number}/{len(found)} {name}: {shots[0].prompt}{' ...' if len(shots) > 1 else ''}", err=True)
        done += 1
    rest = len(found) - done - failed
    click.echo(f"{done} captioned, {rest} had a caption, {failed} passed over.", err=True)
    return 1 if failed else 0


@dataclass(frozen=True)
class Beside:
    """The captions beside a video, as train footage reads them."""

    video: Path

    def paths(self) -> tuple[Path, Path]:
        """Where they lie: a text, or lines with the times of each shot."""
        return self.video.with_suffix(".txt"), self.video.with_suffix(".jsonl")

    def write(self, shots: list[Shot]) -> Path:
        """Write what was told and return the file; an old one stays until the new one is whole."""
        text, lines = self.paths()
        begin, entries = 0.0, []
        for shot in shots:
            stop = round(begin + shot.seconds, 3)
            entries.append({"file": self.video.name, "caption": shot.prompt, "start": begin, "stop": stop})
            begin = stop
        several = len(shots) > 1
        content = "\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries) if several else shots[0].prompt
        path, other = (lines, text) if several else (text, lines)
        scratch = path.with_name(path.name + ".tmp")
        scratch.write_text(content + "\n", encoding="utf-8")
        os.replace(scratch, path)
        other.unlink(missing_ok=True)
        return path


def shots_of(file: Path, teller: Teller, way: str, longest: float) -> list[Shot]:
    """What a video shows, shot by shot. Raises VideoError where it cannot be read, and EngineError."""
    from ..language.caption import Part, rate_of, told
    from ..video.frames import as_rate
    from ..video.pieces import pieces
    from ..video.reader import probe, read_frames
    from ..video.still import bounded

    info = probe(file)
    seconds = info.duration or 0.0
    rate = as_rate(rate_of(seconds, way))
    size = bounded(info.width, info.height, teller.pixels, teller.multiple)
    frames = read_frames(file, fps=Fraction(rate), size=size)

    def parts() -> Iterator[Part]:
        if way == WAYS[1]:
            yield Part.of(frames)
            return
        for piece in pieces(frames, float(rate), round(longest * rate)):
            if sys.stderr.isatty():
                click.echo(f"\r{piece.stop / rate:.0f} of {seconds:.0f} s ", nl=False, err=True)
            yield Part(piece.start, piece.stop, piece.frames, piece.cut)

    return list(told(parts(), float(rate), teller, Told()))


def teller_of(
    engine: str, style: str, length: str, language: str, seed: int, model: str | None, checkpoint: Path
) -> Teller:
    """The engine that looks. Raises EngineError where it is not there."""
    shims.install()  # transformers imports torchvision
    from ..language.caption import Seeing
    from ..video.still import jpeg

    request = Request("", style_named(style), length, seed, language)
    if engine == "own":
        return _own(request, model, checkpoint)
    if engine == "server":
        from ..language.server import ServerEngine, find_server

        server = ServerEngine(find_server(user_folder(find_host())))
        return Seeing("server", request, lambda frames: server, jpeg)
    from ..language.vision import VisionEngine

    fetch = _vision(model)
    return Seeing("local", request, lambda frames: VisionEngine(fetch, frames), jpeg)


def _own(request: Request, model: str | None, checkpoint: Path) -> Teller:
    from ..language.caption_own import BUNDLED, CaptionerError, Own, encoder_of, load_captioner

    try:
        trained = load_captioner(BUNDLED if model is None else Path(model))
        return Own(trained, encoder_of(checkpoint), request.style.name, request.target)
    except (CaptionerError, ValueError) as error:
        raise EngineError(str(error)) from error


def _vision(name: str | None) -> Any:
    import torch

    from ..language.vision import find_vision_models, load_vision_model

    places = folders(find_host())
    known = find_vision_models(places)
    if not known:
        raise EngineError(
            f"There is no vision-language model in {places[0]}: put the folder of one there (config.json, safetensors, "
            "processor), or use --engine own or server."
        )
    chosen = name or next(iter(known))
    if chosen not in known:
        raise EngineError(f"There is no vision-language model {chosen!r}: choose one of {', '.join(known)}.")
    click.echo(f"loading {chosen} ...", err=True)
    model = load_vision_model(chosen, known[chosen], torch.bfloat16)
    if torch.cuda.is_available():
        model.net.to("cuda")
    return lambda: model
