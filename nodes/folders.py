# SPDX-License-Identifier: GPL-3.0-or-later
"""Where checkpoints lie: a model folder key of our own, which stock loaders do not list, and files of ModelSave."""

from __future__ import annotations

import json
import os
import struct
from functools import lru_cache
from pathlib import Path

import folder_paths

from ..models.checkpoint import HOST_PREFIX, CheckpointError

KEY = "spacetime"
BUNDLED = "spacetime-nano.safetensors"
WEIGHTS = Path(__file__).resolve().parent.parent / "weights"
SUFFIX = ".safetensors"
LARGEST_HEADER = 1 << 24


def register() -> None:
    """Tell the host of the folders: models/spacetime of the user's, and what the pack ships."""
    folder_paths.add_model_folder_path(KEY, os.path.join(folder_paths.models_dir, KEY))
    folder_paths.add_model_folder_path(KEY, str(WEIGHTS))


def list_checkpoints() -> list[str]:
    """Return the names that can be loaded, the bundled one first; of ModelSave's files only those of this model."""
    names = [name for name in folder_paths.get_filename_list(KEY) if name.endswith(SUFFIX)]
    for name in folder_paths.get_filename_list("diffusion_models"):
        path = folder_paths.get_full_path("diffusion_models", name)
        if name not in names and path is not None and name.endswith(SUFFIX) and _is_ours(Path(path)):
            names.append(name)
    return sorted(names, key=lambda name: (name != BUNDLED, name))


def find_checkpoint(name: str) -> Path:
    """Return the file of a listed name. Raises CheckpointError for any other, so that no name leaves the folders."""
    for key in (KEY, "diffusion_models"):
        if name.endswith(SUFFIX) and name in folder_paths.get_filename_list(key):
            path = folder_paths.get_full_path(key, name)
            if path is not None:
                return Path(path)
    offered = ", ".join(list_checkpoints()) or "none is there yet"
    folder = os.path.join(folder_paths.models_dir, KEY)
    raise CheckpointError(
        f"There is no checkpoint {name!r}: choose one of the list ({offered}), or put the file into {folder}."
    )


def _is_ours(path: Path) -> bool:
    try:
        state = path.stat()
    except OSError:
        return False
    return _holds_our_model(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4096)
def _holds_our_model(path: Path, changed: int, size: int) -> bool:
    """Read a safetensors file's header; asked again only when the file has changed."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > min(size, LARGEST_HEADER):
                return False
            header = json.loads(file.read(length))
    except (OSError, ValueError, struct.error):
        return False
    return (
        KEY in header.get("__metadata__", {})
        or {HOST_PREFIX + "embed.weight", HOST_PREFIX + "modulate_block.weight"} <= header.keys()
    )
