# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node's result depends on, as one key: the graph before it, the content of the files named there, versions."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import folder_paths
import torch
from comfy_execution.graph_utils import is_link

from . import example, file_names
from .errors import InputError
from .provenance import pack_version

WHOLE = 256 << 20  # bytes; larger files are known by their size and parts from all over them
PARTS, PART = 64, 1 << 20
LONGEST_NAME = 1000
OTHER_FOLDERS = ("custom_nodes",)  # keys of folders that hold no files to load


def graph_key(get_node: Callable[[str], dict[str, Any]], node: str, number: int = 0) -> str:
    """Return the key of a node's result, 64 hexadecimal digits.

    ``get_node`` gives the API graph's entry of a node id; ``number`` tells apart the runs of a node that is given a
    list. Ids and titles do not count, so a graph that was only laid out anew has the same key.
    """
    known: dict[str, str] = {}

    def of(name: str) -> str:
        if name not in known:
            entry = get_node(name)
            inputs = sorted((entry.get("inputs") or {}).items())
            known[name] = _hash([entry["class_type"], [[key, value_of(value)] for key, value in inputs]])
        return known[name]

    def value_of(value: Any) -> Any:
        if is_link(value):
            return ["link", of(str(value[0])), value[1]]
        return ["value", value, [content_of(path) for path in named_files(value)]]

    return _hash([of(node), number, versions()])


def versions() -> list[str]:
    """Return the versions that a result may depend on: the pack's, the host's, torch's."""
    import comfyui_version

    return [pack_version(), str(comfyui_version.__version__), torch.__version__]


def named_files(value: Any) -> Iterator[Path]:
    """Yield the files that a value may name: of the host's folders (input, output, temp, models), of the pack, or by
    their whole path, as loaders of other packs take it."""
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_NAME or "\n" in value or "\0" in value:
        return
    found: dict[Path, None] = {}
    for find in (file_names.find_file, example.find_file):
        with contextlib.suppress(InputError, OSError):  # a word, not a name
            found[find(value)] = None
    for key in folder_paths.folder_names_and_paths:
        with contextlib.suppress(ValueError):  # a path on another drive of Windows
            path = None if key in OTHER_FOLDERS else folder_paths.get_full_path(key, value)
            if path is not None:
                found[Path(path)] = None
    with contextlib.suppress(OSError):  # a text with a slash in front that is too long for a name
        if os.path.isabs(value) and Path(value).is_file() and os.access(value, os.R_OK):
            found[Path(value)] = None
    yield from found


def content_of(path: Path) -> str:
    """Return a digest of a file's content, of a very large one's size and parts."""
    state = path.stat()
    return _digest(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=256)
def _digest(path: Path, size: int, changed: int) -> str:
    total = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        if size <= WHOLE:
            while block := file.read(PART):
                total.update(block)
        else:
            for index in range(PARTS):
                file.seek((size - PART) * index // (PARTS - 1))
                total.update(file.read(PART))
    return total.hexdigest()


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=repr).encode()).hexdigest()
