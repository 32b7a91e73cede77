# SPDX-License-Identifier: GPL-3.0-or-later
"""What a storyboard is made of: shots with lengths, prompts and transitions, and a cast."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from .cast import with_cast

CUT, CONTINUE, GLIDE = "cut", "continue", "glide"
TRANSITIONS = (CUT, CONTINUE, GLIDE)
VERSION = 1
DIGITS = 6  # of a second: more is noise of the arithmetic


@dataclass(frozen=True)
class Shot:
    """``transition`` from the shot before: a hard cut, the same scene going on, or its prompt gliding into this one.

    ``picture`` names a file of the host's input folder that the shot begins with; only a cut may have one.
    """

    seconds: float
    prompt: str
    transition: str = CUT
    picture: str = ""


class StoryboardError(ValueError):
    """A storyboard that cannot be read; the message names the place. ``line`` and ``column`` count from 1; 0: none."""

    __module__ = "spacetime"  # the host shows it before the sentence, otherwise with the path of this folder

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(f"Line {line}, column {column}: {message}" if line else message)
        self.line, self.column = line, column


@dataclass(frozen=True)
class Storyboard:
    """Shots in their order, with prompts as they were written, and what each name of the cast looks like."""

    shots: tuple[Shot, ...]
    cast: dict[str, str] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Length of the whole."""
        return round(sum(shot.seconds for shot in self.shots), DIGITS)

    def schedule(self) -> list[Shot]:
        """Return the shots as they are sampled: each prompt says itself what everyone in it looks like."""
        return [
            Shot(shot.seconds, with_cast(shot.prompt, self.cast), shot.transition, shot.picture) for shot in self.shots
        ]

    def to_text(self) -> str:
        """Return it as text that reads the same again."""
        lines = [f"cast {name}: {looks}" for name, looks in self.cast.items()]
        begin = 0.0
        for shot in self.shots:
            end = round(begin + shot.seconds, DIGITS)
            how = f"{shot.transition}, " if begin or shot.transition != CUT else ""
            picture = f"[{shot.picture}] " if shot.picture else ""
            lines.append(f"{write_time(begin)}-{write_time(end)}s: {how}{picture}{shot.prompt}".rstrip())
            begin = end
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return it as what JSON can hold."""
        shots = []
        for shot in self.shots:
            entry: dict[str, Any] = {"seconds": shot.seconds, "prompt": shot.prompt, "transition": shot.transition}
            shots.append(entry | ({"picture": shot.picture} if shot.picture else {}))
        return {"version": VERSION, "cast": dict(self.cast), "shots": shots}

    def to_json(self) -> str:
        """Return it as JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=2)


def write_time(seconds: float) -> str:
    """Return a time in seconds as short as it can be written: 3 and 3.25, never 3.0 or 1e-05."""
    return f"{seconds:.{DIGITS}f}".rstrip("0").rstrip(".")
