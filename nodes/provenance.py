# SPDX-License-Identifier: GPL-3.0-or-later
"""What a file was made from, read from the graph before the node that saves it: models and input files."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import folder_paths
import nodes

from ..video.credentials import Claim
from .errors import InputError
from .file_names import find_file

MODEL_FILES = (".safetensors", ".sft", ".ckpt", ".pt", ".pth", ".bin", ".gguf", ".onnx")
MEDIA_FILES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".gif", ".webp", ".png", ".apng", ".jpg", ".jpeg"),
    *(".wav", ".mp3", ".flac", ".ogg"),
)
ROOT = Path(__file__).resolve().parent.parent


def claim_of(title: str, prompt: Any, node: str | None, with_names: bool = True) -> Claim:
    """Return what a file may say of itself: that a model made it, or which files it was converted from.

    ``prompt`` is the API graph and ``node`` the one that saves. Without ``with_names`` (the user wants no such data in
    files) neither models nor input files are named.
    """
    models: dict[str, None] = {}
    inputs: dict[Path, None] = {}
    for kind, values in _upstream(prompt if isinstance(prompt, dict) else {}, node):
        if getattr(nodes.NODE_CLASS_MAPPINGS.get(kind), "API_NODE", False):
            models[nodes.NODE_DISPLAY_NAME_MAPPINGS.get(kind, kind)] = None
        for text in values:
            if text.lower().endswith(MODEL_FILES):
                models[text.replace("\\", "/").rpartition("/")[2]] = None
            elif path := _input_file(text):
                inputs[path] = None
    generated = bool(models) or not inputs
    if not with_names:
        models, inputs = {}, {}
    return Claim(title, generated, tuple(models), tuple(inputs), version=pack_version())


@lru_cache(maxsize=1)
def pack_version() -> str:
    """Return this pack's version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


def credentials_folder() -> Path:
    """Return where the certificate and its key lie: a folder of the host's that its server gives to nobody."""
    return Path(os.path.abspath(folder_paths.get_user_directory())) / "__spacetime" / "credentials"


def _upstream(prompt: dict[str, Any], node: str | None) -> Iterator[tuple[str, list[str]]]:
    """Yield (class, texts in its inputs) of every node that ``node`` depends on; of all, if it is not there."""
    open_ids = [node] if node in prompt else list(prompt)
    seen = set(open_ids)
    while open_ids:
        entry = prompt[open_ids.pop()]
        values = list((entry.get("inputs") or {}).values())
        yield str(entry.get("class_type")), [value for value in values if isinstance(value, str)]
        for value in values:
            before = str(value[0]) if isinstance(value, list) and len(value) == 2 else None
            if before in prompt and before not in seen:
                seen.add(before)
                open_ids.append(before)


def _input_file(text: str) -> Path | None:
    plain = text.partition(" [")[0]
    if len(text) > 1000 or not plain.lower().endswith(MEDIA_FILES):
        return None
    try:
        return find_file(text)
    except (InputError, OSError):  # a name for something else
        return None
