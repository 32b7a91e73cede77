# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodes: a file for each stage of the graph. Nothing is imported until the host asks for the extension."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io


class SpacetimeExtension(ComfyExtension):
    """What this pack adds to the host."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """Return the nodes."""
        from . import (
            caption,
            draft,
            expand,
            experts,
            folders,
            language_model,
            latent,
            load_video,
            loader,
            operations,
            routes,
            sampler,
            save_video,
            verify_video,
            video,
        )

        folders.register()
        language_model.register()
        caption.register()
        routes.register()
        return [
            loader.LoadSpacetimeModel,
            latent.EmptySpacetimeLatent,
            sampler.SpacetimeSampler,
            draft.DraftThenFinal,
            experts.TwoExperts,
            *video.NODES,
            *load_video.NODES,
            *save_video.NODES,
            *verify_video.NODES,
            *operations.NODES,
            *expand.NODES,
            *caption.NODES,
        ]
