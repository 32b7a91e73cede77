# SPDX-License-Identifier: GPL-3.0-or-later
"""A storyboard as text: a line for each shot, with its length, how it follows the one before, and its prompt.

3 s: a red panda walks to the right in the snow
glide 2 s: a red panda walks to the right at night
cut 2 s: a penguin jumps on the beach
"""

from __future__ import annotations

import re
from dataclasses import dataclass

CUT, CONTINUE, GLIDE = "cut", "continue", "glide"
TRANSITIONS = (CUT, CONTINUE, GLIDE)
LINE = re.compile(
    r"(?:(?P<how>[a-zA-Z]+)\s+)?(?P<seconds>\d+(?:\.\d*)?|\.\d+)\s*(?:s|sec|seconds?)?\s*:\s*(?P<prompt>.*)"
)


@dataclass(frozen=True)
class Shot:
    """``transition`` from the shot before: a hard cut, the same scene going on, or its prompt gliding into this one."""

    seconds: float
    prompt: str
    transition: str = CUT


class StoryboardError(ValueError):
    """A storyboard that cannot be read; the message names the line."""


def read_storyboard(text: str) -> list[Shot]:
    """Read a storyboard. Empty lines and lines that begin with # are left out; the first shot is always a cut.

    Raises StoryboardError for a line that is no shot, a length of 0 and a text without shots.
    """
    shots: list[Shot] = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        found = LINE.fullmatch(line)
        if found is None:
            raise StoryboardError(
                f'Line {number} is no shot: "{line}". Write its seconds, a colon and the prompt, such as "3 s: a dog '
                f'runs"; before the seconds may stand {", ".join(TRANSITIONS)}.'
            )
        how = (found["how"] or CUT).lower()
        if how not in TRANSITIONS:
            raise StoryboardError(f'Line {number} begins with "{found["how"]}"; use {", ".join(TRANSITIONS)}.')
        if float(found["seconds"]) <= 0:
            raise StoryboardError(
                f"Line {number} has a length of {found['seconds']} seconds; a shot takes more than 0."
            )
        shots.append(Shot(float(found["seconds"]), found["prompt"].strip(), how if shots else CUT))
    if not shots:
        raise StoryboardError('There are no shots: write a line for each, such as "3 s: a dog runs on the beach".')
    return shots
