# SPDX-License-Identifier: GPL-3.0-or-later
"""A figure on logarithmic axes, written as SVG: enough for a scaling law, and no plotting library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

WIDE, HIGH, EDGE = 640, 400, 64  # pixels; EDGE is left free for the axes
COLOURS = ("#1f6feb", "#8b949e", "#d29922", "#2da44e")


@dataclass(frozen=True)
class Series:
    """Positive values of x and y; drawn as dots, else as a line."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    dots: bool


class Axis:
    """Maps the logarithm of values to pixels, with ticks at round values."""

    def __init__(self, values: Sequence[float], first: float, last: float) -> None:
        low, high = float(np.log10(min(values))), float(np.log10(max(values)))
        room = 0.06 * max(high - low, 0.02)
        self.low, self.high, self.first, self.last = low - room, high + room, first, last

    def at(self, value: float) -> float:
        """The pixel of a value."""
        share = (float(np.log10(value)) - self.low) / (self.high - self.low)
        return self.first + share * (self.last - self.first)

    def ticks(self) -> list[float]:
        """Powers of ten where there are two or more, else round values between."""
        powers = [10.0**k for k in range(int(np.ceil(self.low)), int(np.floor(self.high)) + 1)]
        if len(powers) > 1:
            return powers
        ends = 10**self.low, 10**self.high
        step = 10.0 ** np.floor(np.log10((ends[1] - ends[0]) / 2))
        return [k * step for k in range(int(np.ceil(ends[0] / step)), int(np.floor(ends[1] / step)) + 1)]


def write_svg(path: Path, across: str, up: str, series: Sequence[Series]) -> None:
    """Draw the series with both axes named."""
    x = Axis([v for s in series for v in s.x], EDGE, WIDE - 16)
    y = Axis([v for s in series for v in s.y], HIGH - EDGE, 16)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {HIGH}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDE}" height="{HIGH}" fill="white"/>',
    ]
    for tick in x.ticks():
        at = f"{x.at(tick):.1f}"
        parts.append(f'<line x1="{at}" x2="{at}" y1="16" y2="{HIGH - EDGE}" stroke="#ddd"/>')
        parts.append(f'<text x="{at}" y="{HIGH - EDGE + 18}" text-anchor="middle">{tick:.0e}</text>')
    for tick in y.ticks():
        at = f"{y.at(tick):.1f}"
        parts.append(f'<line x1="{EDGE}" x2="{WIDE - 16}" y1="{at}" y2="{at}" stroke="#ddd"/>')
        parts.append(f'<text x="{EDGE - 6}" y="{at}" dy="4" text-anchor="end">{tick:.3g}</text>')
    for number, s in enumerate(series):
        colour = COLOURS[number % len(COLOURS)]
        points = [(x.at(a), y.at(b)) for a, b in zip(s.x, s.y, strict=True)]
        if s.dots:
            parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="5" fill="{colour}"/>' for a, b in points]
        else:
            line = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
            parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        top = 32 + 18 * number
        parts.append(f'<text x="{WIDE - 24}" y="{top}" text-anchor="end" fill="{colour}">{escape(s.name)}</text>')
    middle = (HIGH - EDGE) / 2
    parts.append(f'<text x="{WIDE / 2}" y="{HIGH - 16}" text-anchor="middle">{escape(across)}</text>')
    parts.append(
        f'<text x="16" y="{middle}" text-anchor="middle" transform="rotate(-90 16 {middle})">{escape(up)}</text>'
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*parts, "</svg>", ""]), encoding="utf-8")
