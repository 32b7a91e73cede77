# SPDX-License-Identifier: GPL-3.0-or-later
"""ComfyUI-Spacetime: spacetime-patch video diffusion as ComfyUI nodes.

ComfyUI imports this file from a folder whose name the user chose, so nothing may run here: the nodes are
imported when the host asks for them.
"""

from __future__ import annotations

from typing import Any

WEB_DIRECTORY = "./web"


async def comfy_entrypoint() -> Any:
    """Return the extension that lists this pack's nodes (ComfyUI's V3 entry point)."""
    from .nodes import SpacetimeExtension

    return SpacetimeExtension()
