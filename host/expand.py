# SPDX-License-Identifier: GPL-3.0-or-later
"""``./spacetime expand``: a dense prompt of a short one. The prompt alone goes to stdout, all else to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..language.expand import Engine, EngineError, Expansion, Request, expand
from ..language.rules import Rules
from ..language.server import FILE, VARIABLES, ServerEngine, find_server
from ..language.styles import LENGTHS, style_named, styles
from . import shims
from .comfy import Host, find_host

if TYPE_CHECKING:
    from ..language.local import LanguageModel

ENGINES = ("rules", "local", "server")
LANGUAGES = ("en", "zh")
FOLDERS = ("LLM", "text_encoders")


@click.command("expand")
@click.argument("prompt", required=False)
@click.option("--engine", type=click.Choice(ENGINES), default="rules", help="What writes; see below.")
@click.option("--style", type=click.Choice(list(styles())), default="spacetime", help="The model that it is for.")
@click.option("--length", type=click.Choice(LENGTHS), default="medium", help="How much may be added.")
@click.option("--language", type=click.Choice(LANGUAGES), help="The language to write in; by default the prompt's.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Another number, another way to fill in what is open.")
@click.option("--model", help="For --engine local: a folder or GGUF file below models/LLM or models/text_encoders.")
@click.option("--json", "as_json", is_flag=True, help="Print prompt, negative prompt, engine and notes as JSON.")
@click.option("--install", is_flag=True, help="Fetch a small language model for --engine local, and nothing else.")
def expand_command(prompt: str | None, install: bool, as_json: bool, **options: Any) -> None:
    """Make a dense prompt of PROMPT, or of what stands on stdin where PROMPT is "-".

    rules needs no model and answers at once; local runs a language model on this machine; server asks the
    OpenAI-compatible server that SPACETIME_LLM_URL, SPACETIME_LLM_MODEL and SPACETIME_LLM_KEY name.

    The prompt alone is printed on stdout; the negative prompt, if the style has one, and all else goes to stderr.
    """
    host = find_host()
    if install:
        from . import expand_model

        click.echo(str(expand_model.install(folders(host)[0])))
        return
    if prompt is None:
        raise click.UsageError('Missing PROMPT; an empty one ("") makes something up.')
    text = sys.stdin.read() if prompt == "-" else prompt
    style = style_named(options["style"])
    request = Request(text, style, options["length"], options["seed"], options["language"] or "")
    try:
        made = expand(request, chain(host, options["engine"], options["model"]), Told())
    except EngineError as error:
        click.echo(f"spacetime: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        click.echo("spacetime: stopped.", err=True)
        sys.exit(130)
    report(made, as_json)


def report(made: Expansion, as_json: bool) -> None:
    """Print the result on stdout and what else there is to say on stderr."""
    if as_json:
        content = {"prompt": made.text, "negative": made.negative, "engine": made.engine, "notes": made.notes}
        click.echo(json.dumps(content, ensure_ascii=False, indent=1))
        return
    for note in made.notes:
        click.echo(note, err=True)
    if made.negative:
        click.echo(f"negative prompt: {made.negative}", err=True)
    click.echo(made.text)


def chain(host: Host, engine: str, model: str | None) -> list[Engine]:
    """The engines that are asked one after the other. Raises EngineError where the chosen one is not there."""
    engines: list[Engine] = [Rules()]
    if engine == "local" or (engine == "server" and model is not None):
        engines.insert(0, _local(host, model))
    if engine == "server":
        engines.insert(0, ServerEngine(find_server(user_folder(host))))
    return engines


def base(host: Host) -> Path:
    """The folder that holds the host's models and user folder."""
    flags: Sequence[str] = host.flags()
    return Path(flags[flags.index("--base-directory") + 1]) if "--base-directory" in flags else host.root


def folders(host: Host) -> list[Path]:
    """Where language models lie."""
    return [base(host) / "models" / name for name in FOLDERS]


def user_folder(host: Host) -> Path:
    """The host's user folder, in which FILE may lie."""
    return base(host) / "user"


def _local(host: Host, name: str | None) -> Engine:
    shims.install()  # transformers imports torchvision
    import torch

    from ..language.local import LocalEngine, find_models, load_model

    known = find_models(folders(host))
    if not known:
        raise EngineError(
            f"There is no language model in {folders(host)[0]}: ./spacetime expand --install fetches one."
        )
    chosen = name or next(iter(known))
    if chosen not in known:
        raise EngineError(f"There is no language model {chosen!r}: choose one of {', '.join(known)}.")

    def fetch() -> LanguageModel:
        click.echo(f"loading {chosen} ...", err=True)
        model = load_model(chosen, known[chosen], torch.bfloat16)
        if torch.cuda.is_available():
            model.net.to("cuda")
        return model

    return LocalEngine(fetch)


class Told:
    """Shows on a terminal how much is written."""

    def __init__(self) -> None:
        self._shown = 0

    def __call__(self, text: str) -> None:
        """Write what is new."""
        if sys.stderr.isatty() and len(text) > self._shown:
            click.echo(text[self._shown :], nl=False, err=True)
            self._shown = len(text)


__all__ = ["FILE", "VARIABLES", "expand_command"]
