# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pack's front-end script asks the server for."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web
from server import PromptServer

from ..models.geometry import Compression
from .latent import wished_clip


def register() -> None:
    """Add the routes to the running server; without one (graphs run in process) there is nothing to do."""
    server = getattr(PromptServer, "instance", None)
    if server is not None:
        server.routes.get("/spacetime/clip")(clip)


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
