# SPDX-License-Identifier: GPL-3.0-or-later
"""``./spacetime render``: a prompt or a workflow file in, finished files out, without a browser."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import click

from .errors import Cancelled, ExecutionFailed
from .graph import WorkflowError
from .outputs import VIDEO_SUFFIXES, Delivery, free_name, partial_file
from .overrides import apply_setting, check_form
from .progress import ProgressView, install_log
from .shorthands import Shorthands, read_size
from .workflow import Prompt, load_workflow, to_api
from .writeback import workflow_as_run

if TYPE_CHECKING:
    from .client import Client
    from .runner import Runner, RunResult

DEFAULT_WORKFLOW = Path(__file__).resolve().parent.parent / "workflows" / "text_to_video.json"


@click.command("render", no_args_is_help=True)
@click.argument("what", metavar="PROMPT_OR_FILE", required=False)
@click.option("--prompt", help="The positive prompt.")
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), help="The seed of every sampler.")
@click.option("--seconds", type=click.FloatRange(min=0), help="Length of the clip; 0 makes an image.")
@click.option("--size", metavar="WxH|16:9|N", help="Width and height, an aspect ratio, or the side of the square.")
@click.option("--fps", type=click.FloatRange(min=0, min_open=True), help="Frames per second.")
@click.option("--set", "settings", multiple=True, metavar="NODE.INPUT=VALUE", help="Set any input; may be repeated.")
@click.option("--out", metavar="FILE_OR_DIR", help="Where the results go; by default the host's output folder.")
@click.option("--server", metavar="URL", help="Run on a ComfyUI server instead of in this process.")
@click.option("--contact-sheet/--no-contact-sheet", default=True, help="Write a PNG of frames beside each video.")
@click.option("-v", "--verbose", is_flag=True, help="Show the host's log, and its traceback when a node fails.")
def render_command(what: str | None, settings: tuple[str, ...], out: str | None, **options: Any) -> None:
    """Make a video from PROMPT, or run the workflow in FILE (.json, as saved from ComfyUI in either format).

    The path of each result is printed on stdout, one per line; all else goes to stderr.

    NODE in --set is a node's id, title or type: --set "Spacetime Sampler.steps=30". Inputs that take an uploaded
    file also take a path: --set "Load Image.image=~/cat.png".

    Exit status: 0 when all is done, 1 when something failed, 130 after Ctrl-C.
    """
    reached = signal.SIGINT
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what nodes print must not mix with the results
            check_options(settings, options["size"])
            workflow, text = choose_workflow(what, options["prompt"])
            delivery = Delivery(out) if out else None
            backend = connect(options["server"], options["verbose"])
            prompt = prepare(backend, workflow, settings, options | {"prompt": text})
            view = ProgressView(prompt.title)
            with contextlib.closing(view), stop_on_signal(backend.cancel):
                result = backend.run(prompt, view)
            paths = deliver(backend, result, delivery, options["contact_sheet"])
    except Cancelled as stop:
        fail(str(stop), 128 + (stop.signal or reached))
    except KeyboardInterrupt:
        fail("stopped.", 128 + reached)
    except ExecutionFailed as error:
        trace = "\n" + "\n".join(error.details) if options["verbose"] and error.details else ""
        fail(f"{error}{trace}")
    except (WorkflowError, ConnectionError) as error:
        fail(str(error))
    for path in paths:
        click.echo(str(path))
    if result.refused:
        fail(f"some outputs were left out:\n{result.refused}")
    if not paths:
        click.echo("The workflow ran, but saved no file.", err=True)


def fail(message: str, status: int = 1) -> NoReturn:
    """End the program with a sentence on stderr."""
    click.echo(f"spacetime: {message}", err=True)
    sys.exit(status)


def check_options(settings: tuple[str, ...], size: str | None) -> None:
    """Raise WorkflowError for what fits no workflow, before a host is loaded for seconds."""
    if size is not None:
        read_size(size)
    for setting in settings:
        check_form(setting)


def choose_workflow(what: str | None, prompt: str | None) -> tuple[dict[str, Any], str | None]:
    """Return the workflow to run and the prompt to put into it. Raises WorkflowError."""
    if what is not None and (what.lower().endswith(".json") or Path(what).is_file()):
        return load_workflow(Path(what)), prompt
    if what is not None and prompt is not None:
        raise WorkflowError(f'There are two prompts, "{what}" and "{prompt}"; give one.')
    text = what if what is not None else prompt
    if text is not None and not text.strip():
        raise WorkflowError("The prompt is empty; describe what the video shows.")
    return load_workflow(DEFAULT_WORKFLOW), text


def connect(server: str | None, verbose: bool) -> Runner | Client:
    """Load the host into this process, or reach the server."""
    if server:
        from .client import Client

        return Client(server)
    from .comfy import find_host
    from .runner import Runner

    runner = Runner(find_host(), flags=[] if verbose else ["--verbose", "WARNING"])
    install_log(verbose)
    return runner


def prepare(
    backend: Runner | Client, workflow: dict[str, Any], settings: tuple[str, ...], options: dict[str, Any]
) -> Prompt:
    """Convert the workflow and apply what the command line sets; ``--set`` comes last and wins."""
    from .errors import require_known_types

    prompt = to_api(workflow, backend.object_info)
    require_known_types(prompt, backend.object_info)
    short = Shorthands(prompt, backend.object_info)
    for name in ("prompt", "seed", "fps", "size", "seconds"):
        if options.get(name) is not None:
            getattr(short, f"set_{name}")(options[name])
    for setting in settings:
        apply_setting(prompt, backend.object_info, setting, backend.take_input)
    prompt.workflow = workflow_as_run(prompt, backend.object_info)
    return prompt


def deliver(backend: Runner | Client, result: RunResult, delivery: Delivery | None, sheets: bool) -> list[Path]:
    """Put every file in its place, and a contact sheet beside each video; return the files' paths."""
    paths = []
    for file in result.files:
        path = backend.deliver(file, delivery)
        paths.append(path)
        if sheets and path.suffix.lower() in VIDEO_SUFFIXES:
            write_sheet(path, replace=delivery is not None and not delivery.is_folder)
    return paths


def write_sheet(video: Path, replace: bool) -> None:
    """Write the contact sheet of a video beside it. A video that cannot be read costs only the sheet."""
    from ..video.contact_sheet import write_contact_sheet
    from ..video.errors import VideoError

    target = video.with_suffix(".png")
    target = target if replace else free_name(target)
    try:
        with partial_file(video.parent, ".png") as partial:
            write_contact_sheet(video, partial)
            os.replace(partial, target)
    except VideoError as error:
        click.echo(f"No contact sheet: {error}", err=True)
        return
    click.echo(f"contact sheet: {target}", err=True)


@contextlib.contextmanager
def stop_on_signal(cancel: Callable[[], None]) -> Iterator[None]:
    """Let Ctrl-C (and SIGTERM) stop the run in good order; a second Ctrl-C stops at once."""
    received: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)
        logging.getLogger(__name__).warning("Stopping (press Ctrl-C again to stop at once) ...")
        cancel()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except Cancelled as stop:
        stop.signal = received[0] if received else None
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
