# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error of this room: a sentence that says what is wrong with a video and what to do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


class VideoError(ValueError):
    """A video cannot be read or written. The message is meant for the user, as it stands."""

    __module__ = "spacetime"  # the host shows it before the sentence, otherwise with the path of this folder


def name_of(source: Any) -> str:
    """Return a short name of a path or file object for messages."""
    if isinstance(source, (str, os.PathLike)):
        return Path(source).name or str(source)
    name = getattr(source, "name", None)
    return Path(name).name if isinstance(name, str) and name else "the video"
