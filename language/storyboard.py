# SPDX-License-Identifier: GPL-3.0-or-later
"""A storyboard: the shots of a video with their lengths and prompts, and a cast that looks the same in all of them.

As text a line is a shot, with its times (or its length) and, if it is not a cut, how it follows the one before:

cast Mia: a small red panda with a blue scarf
0-3s: Mia walks to the right in the forest in the snow
3-5s: glide, Mia walks to the right in the forest at night
5-7s: cut, [beach.png] a penguin jumps on the beach

``storyboard_text`` has the rules, ``storyboard_json`` the same as JSON.
"""

from __future__ import annotations

from .shot import CONTINUE, CUT, GLIDE, TRANSITIONS, Shot, Storyboard, StoryboardError
from .storyboard_json import from_json
from .storyboard_text import LINE, read_text

__all__ = ["CONTINUE", "CUT", "GLIDE", "LINE", "TRANSITIONS", "Shot", "Storyboard", "StoryboardError"]
__all__ += ["from_json", "is_json", "is_storyboard", "parse_storyboard", "read_storyboard"]


def parse_storyboard(text: str) -> Storyboard:
    """Read a storyboard from its text or its JSON. Raises StoryboardError with line and column."""
    return from_json(text) if is_json(text) else read_text(text).board


def read_storyboard(text: str) -> list[Shot]:
    """Return the prompt schedule of a storyboard, text or JSON: its shots, with everyone's looks in each prompt.

    Raises StoryboardError with line and column for what is no storyboard.
    """
    return parse_storyboard(text).schedule()


def is_json(text: str) -> bool:
    """Tell whether a storyboard is meant as JSON; its text never begins with a bracket."""
    return text.lstrip()[:1] in ("{", "[")


def is_storyboard(text: str) -> bool:
    """Tell a storyboard from a prompt: JSON, or any line that looks like a shot."""
    return is_json(text) or any(LINE.match(line.strip()) for line in text.splitlines())
