# SPDX-License-Identifier: GPL-3.0-or-later
"""One progress bar at a time: while a node shows its own, the decoding inside it shows none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import comfy.model_management as mm
import comfy.utils

_taken: ContextVar[bool] = ContextVar("spacetime_progress_taken", default=False)


def is_taken() -> bool:
    """Whether the running node shows a bar of its own."""
    return _taken.get()


class Progress:
    """A bar of the running node over ``total`` steps; it raises where the user has cancelled."""

    def __init__(self, total: int) -> None:
        self._bar, self._total = comfy.utils.ProgressBar(total), total

    @contextmanager
    def alone(self) -> Iterator[Progress]:
        """Keep other bars quiet meanwhile."""
        before = _taken.set(True)
        try:
            yield self
        finally:
            _taken.reset(before)

    def show(self, done: int) -> None:
        """Show ``done`` of the total."""
        mm.throw_exception_if_processing_interrupted()
        self._bar.update_absolute(done, max(done, self._total))
