# SPDX-License-Identifier: GPL-3.0-or-later
"""Node schemas that ask the running host for what it has: fields and options it does not know are left out."""

from __future__ import annotations

import inspect
from typing import Any

from comfy_api.latest import io

CATEGORY = "Spacetime"


def schema(**fields: Any) -> io.Schema:
    """Return an ``io.Schema`` of the given fields, without those that the running host does not have."""
    known = io.Schema.__dataclass_fields__
    return io.Schema(**{name: value for name, value in fields.items() if name in known})


def inp(kind: Any, *args: Any, **options: Any) -> Any:
    """Return an input of class ``kind`` (as ``io.Int.Input``), without options that the running host does not have."""
    known = inspect.signature(kind.__init__).parameters
    return kind(*args, **{name: value for name, value in options.items() if name in known})


def pixels(name: str, tooltip: str) -> Any:
    """Return an input for a width or height in pixels; 0 leaves it to the node."""
    return inp(io.Int.Input, name, default=0, min=0, max=16384, tooltip=tooltip)
