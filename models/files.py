# SPDX-License-Identifier: GPL-3.0-or-later
"""Safetensors files of the models: read whole or refused, written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor


def write_file(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write tensors and metadata; the old file stays until the new one is whole."""
    scratch = path.with_name(path.name + ".tmp")
    save_file({name: value.contiguous() for name, value in tensors.items()}, scratch, metadata=metadata)
    os.replace(scratch, path)


def read_file(path: Path, error: type[ValueError]) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The metadata and tensors of a file. Raises ``error`` with a sentence for one that is not whole."""
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as broken:
        raise error(f"{path.name} is not a whole safetensors file ({broken}); copy or download it again") from broken
