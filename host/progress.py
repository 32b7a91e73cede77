# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress of a running workflow: one bar per node with its steps and the time left, on stderr.

The input is ComfyUI's own stream of events, so that an in-process run and a run on a server look the same. Without
a terminal there are no bars, only one line for each node that worked for a while.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

from tqdm import tqdm

_STEPS = "{desc}: {percentage:3.0f}%|{bar}| {n:g}/{total:g} [{elapsed}<{remaining}, {rate_fmt}]"
_PLAIN = "{desc}: {elapsed}"
_QUIET_SECONDS = 0.5  # a node that did nothing stepwise and was done sooner is not worth a line


class _NodeBar:
    """What is shown of one node while it runs."""

    def __init__(self, title: str, stream: TextIO, terminal: bool) -> None:
        self.title, self.stream, self.terminal = title, stream, terminal
        self.begun = time.monotonic()
        self.value, self.total = 0.0, 0.0
        self.bar: tqdm | None = self._draw() if terminal else None

    def _draw(self) -> tqdm:
        stepwise = self.total > 1
        return tqdm(
            total=self.total if stepwise else None,
            desc=self.title,
            file=self.stream,
            leave=stepwise,
            dynamic_ncols=True,
            unit="step",
            mininterval=0.1,
            bar_format=_STEPS if stepwise else _PLAIN,
        )

    def update(self, value: float, total: float) -> None:
        """Show ``value`` of ``total`` steps; a new total or a fall back begins a new phase of the node."""
        if total <= 1:
            return
        if total != self.total or value < self.value:
            self._close_bar()
            if not self.terminal and self.total > 1:
                self._say()
                self.begun = time.monotonic()
            self.total, self.value = total, 0.0
            self.bar = self._draw() if self.terminal else None
        if self.bar is not None:
            self.bar.update(value - self.value)
        self.value = value

    def close(self, finished: bool) -> None:
        """End the display; an unfinished node keeps the count that it reached."""
        self._close_bar()
        spent = time.monotonic() - self.begun
        if self.terminal or not finished:
            return
        if self.total > 1 or spent >= _QUIET_SECONDS:
            self._say()

    def _close_bar(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def _say(self) -> None:
        steps = f"{self.value:g}/{self.total:g} steps, " if self.total > 1 else ""
        self.stream.write(f"{self.title}: {steps}{time.monotonic() - self.begun:.1f} s\n")
        self.stream.flush()


class ProgressView:
    """Turns the events of one run into bars. Call it with each ``(event, data)``; close it at the end."""

    def __init__(self, title: Callable[[str], str], stream: TextIO | None = None, terminal: bool | None = None) -> None:
        """``title`` names a node by its id. ``terminal`` is asked from the stream (stderr) when not given."""
        self.title = title
        self.stream = stream if stream is not None else sys.stderr
        self.terminal = self.stream.isatty() if terminal is None else terminal
        self.bars: dict[str, _NodeBar] = {}

    def __call__(self, event: str, data: dict[str, Any]) -> None:
        """Show what an event of the host tells."""
        if event == "executing" and data.get("node") is not None:
            self._begin(str(data.get("display_node") or data["node"]))
        elif event == "progress_state":
            for node, state in (data.get("nodes") or {}).items():
                self._state(str(state.get("display_node_id") or node), state)
        elif event == "executed":
            self._end(str(data.get("display_node") or data.get("node")))
        elif event in ("execution_success", "execution_error", "execution_interrupted"):
            self.close(finished=event == "execution_success")

    def _begin(self, node: str) -> None:
        if node not in self.bars:
            self.bars[node] = _NodeBar(self.title(node), self.stream, self.terminal)

    def _state(self, node: str, state: dict[str, Any]) -> None:
        if state.get("state") == "running":
            self._begin(node)
            self.bars[node].update(float(state.get("value") or 0), float(state.get("max") or 0))
        elif state.get("state") == "finished":
            self._end(node)

    def _end(self, node: str) -> None:
        bar = self.bars.pop(node, None)
        if bar is not None:
            bar.close(finished=True)

    def close(self, finished: bool = False) -> None:
        """Take down every bar that is still shown."""
        for bar in self.bars.values():
            bar.close(finished)
        self.bars.clear()


class _LogHandler(logging.Handler):
    """Writes log lines above the bars."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stderr)


def install_log(verbose: bool) -> None:
    """Replace the host's log output by lines that leave the bars whole.

    The host logs to the root logger, and what matters of it comes to the user as errors; so that is shown only when
    ``verbose``. Loggers with names of their own (this pack's, other packs') show their warnings.
    """
    root = logging.getLogger()
    handler = _LogHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    if not verbose:
        handler.addFilter(lambda record: record.name != "root")
    root.handlers[:] = [handler]
