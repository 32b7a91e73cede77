# SPDX-License-Identifier: GPL-3.0-or-later
"""The table: rows with intervals, ceilings, floors and whether their judge can be trusted; as JSON and to be read."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..saves import RunError
from .intervals import mean_and_interval

PERCENT = "%"
SURE = 0.97  # a judge counts that reads so many renders right
CARD = ("<!-- table of ./spacetime evaluate -->", "<!-- end of the table -->")
MARGIN = 0.10  # and on its control comes no further above chance


@dataclass(frozen=True)
class Row:
    """One row. ``value``, ``low``, ``high``, ``ceiling``, ``floor`` and ``control`` are in ``unit``.

    ``ceiling``: real renders through the same code; ``floor``: the same model given other prompts' texts (or what
    ``note`` says); ``control``: renders that must not satisfy the judge, and ``chance`` what guessing would give.
    ``value`` is None in a row that is absent; ``note`` says why.
    """

    row: str
    value: float | None = None
    unit: str = PERCENT
    low: float | None = None
    high: float | None = None
    samples: int = 0
    ceiling: float | None = None
    floor: float | None = None
    control: float | None = None
    chance: float | None = None
    note: str = ""

    @property
    def judge(self) -> str:
        """Whether the row's judge passes: it reads renders, and is not satisfied by what should not satisfy it."""
        if self.unit != PERCENT:
            return "measured"
        if self.ceiling is None or self.control is None or self.chance is None:
            return "not verified"
        good = self.ceiling >= 100 * SURE and self.control <= self.chance + 100 * MARGIN
        return "passes" if good else "fails"

    def to_dict(self) -> dict[str, Any]:
        """The row for JSON."""
        numbers = {
            name: _rounded(getattr(self, name)) for name in ("low", "high", "ceiling", "floor", "control", "chance")
        }
        first = {"row": self.row, "value": _rounded(self.value), "unit": self.unit}
        return {**first, **numbers, "samples": self.samples, "judge": self.judge, "note": self.note}


def share_row(row: str, values: Sequence[float], **more: Any) -> Row:
    """A row of shares: ``values`` in 0..1, one for each sample; other figures are given in 0..1, too."""
    scaled: dict[str, Any] = {k: 100 * v if isinstance(v, float) else v for k, v in more.items()}
    if not values:
        return Row(row, **scaled)
    mean, low, high = mean_and_interval(values)
    return Row(row, 100 * mean, PERCENT, 100 * low, 100 * high, len(values), **scaled)


def measured_row(row: str, unit: str, values: Sequence[float], **more: Any) -> Row:
    """A row of a measured quantity."""
    mean, low, high = mean_and_interval(values)
    return Row(row, mean, unit, low, high, len(values), **more)


def read_references(path: Path) -> dict[str, tuple[float | None, float | None]]:
    """Ceilings and controls in 0..1 of a table that was written before. Raises RunError."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
        found = {r["row"]: (r["ceiling"], r["control"]) for r in rows if r["unit"] == PERCENT}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} is no table that ./spacetime evaluate --json wrote ({error})") from error
    return {row: tuple(None if v is None else v / 100 for v in both) for row, both in found.items()}  # type: ignore[misc]


def write_json(path: Path, rows: Sequence[Row], about: dict[str, Any]) -> None:
    """Write the table; an older file stays until the new one is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(path.name + ".tmp")
    text = json.dumps({**about, "rows": [row.to_dict() for row in rows]}, ensure_ascii=False, indent=1)
    scratch.write_text(text + "\n", encoding="utf-8")
    os.replace(scratch, path)


def markdown(rows: Sequence[Row]) -> str:
    """The table to be read."""
    lines = [
        "| row | value | 95% interval | samples | ceiling | floor | control | chance | judge |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    notes: dict[str, list[str]] = {}
    for row in rows:
        cells = [_shown(v, row.unit) for v in (row.value, row.ceiling, row.floor, row.control, row.chance)]
        between = " to ".join(_plain(v, row.unit) for v in (row.low, row.high) if v is not None)
        verdict = row.judge if row.value is not None else "absent"
        lines.append(f"| {row.row} | {cells[0]} | {between} | {row.samples} | {' | '.join(cells[1:])} | {verdict} |")
        if row.note:
            notes.setdefault(row.note, []).append(row.row)
    told = [f"- {'; '.join(about)}: {note}" for note, about in notes.items()]
    return "\n".join(lines + (["", *told] if told else []))


def read_card(path: Path) -> tuple[str, str]:
    """What stands before and behind the table in a Markdown file, the two lines CARD included. Raises RunError."""
    try:
        before, begin, rest = path.read_text(encoding="utf-8").partition(CARD[0])
    except (OSError, UnicodeError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error
    _, end, after = rest.partition(CARD[1])
    if not begin or not end:
        raise RunError(f"{path} has no place for the table: two lines, {CARD[0]} and {CARD[1]}")
    return before + begin, end + after


def write_card(path: Path, table: str) -> None:
    """Put the table between the two lines CARD of a Markdown file, in place of what is there. Raises RunError."""
    before, after = read_card(path)
    scratch = path.with_name(path.name + ".tmp")
    scratch.write_text(f"{before}\n\n{table}\n\n{after}", encoding="utf-8")
    os.replace(scratch, path)


def _rounded(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, 4)


def _plain(value: float, unit: str) -> str:
    return f"{value:.1f}" if unit == PERCENT else f"{value:.2f}"


def _shown(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    return f"{_plain(value, unit)}%" if unit == PERCENT else f"{_plain(value, unit)} {unit}".rstrip()
