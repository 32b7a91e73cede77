# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pack's front-end script asks the server for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web
from server import PromptServer

from ..language.storyboard import StoryboardError, from_json, is_json
from ..language.storyboard_text import read_text
from ..models.geometry import Compression
from .latent import wished_clip


def register() -> None:
    """Add the routes to the running server; without one (graphs run in process) there is nothing to do."""
    server = getattr(PromptServer, "instance", None)
    if server is not None:
        server.routes.get("/spacetime/clip")(clip)
        server.routes.post("/spacetime/storyboard")(storyboard)


async def clip(request: web.Request) -> web.Response:
    """Answer with one line on the legal clip that the values of Empty Spacetime Latent mean."""
    return web.Response(text=describe(request.query))


def describe(wishes: Mapping[str, str]) -> str:
    """Say which clip Empty Spacetime Latent makes of its values, or what is wrong with them."""
    try:
        made = wished_clip(
            wishes["aspect"],
            int(wishes["size"]),
            int(wishes["width"]),
            int(wishes["height"]),
            float(wishes["seconds"]),
            float(wishes["fps"]),
            Compression(),
        )
    except KeyError as error:
        return f"{error.args[0]} is missing"
    except (ValueError, OverflowError) as error:
        return str(error)
    return str(made)


async def storyboard(request: web.Request) -> web.Response:
    """Answer with the shots of the storyboard that was sent, for the timeline to draw and to change."""
    return web.json_response(read_for_editor(await request.text()))


def read_for_editor(text: str) -> dict[str, Any]:
    """Return a storyboard as data: its text, the shots with their places in it, the cast; or what is wrong and where.

    JSON comes back as text, in which an editor can change a shot and leave the rest as it is.
    """
    try:
        if is_json(text):
            text = from_json(text).to_text()
        reading = read_text(text)
    except StoryboardError as error:
        return {"error": str(error), "line": error.line, "column": error.column}
    data = reading.board.to_dict()
    for shot, span in zip(data["shots"], reading.spans, strict=True):
        shot |= {"begin": span.begin, "end": span.end}
    return {"text": text, "seconds": reading.board.seconds, **data}
