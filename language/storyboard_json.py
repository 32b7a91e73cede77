# SPDX-License-Identifier: GPL-3.0-or-later
"""A storyboard as JSON: {"version": 1, "cast": {name: looks}, "shots": [...]}.

A shot is {"seconds", "prompt", "transition", "picture"}; seconds is all it must have. A bare list is read, too.
"""

from __future__ import annotations

import json
import math
from typing import Any

from .shot import CUT, TRANSITIONS, VERSION, Shot, Storyboard, StoryboardError


def from_json(text: str) -> Storyboard:
    """Read the JSON of a storyboard, or of a list of its shots. Raises StoryboardError, which says what is wrong."""
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise StoryboardError(f"this is no JSON ({error.msg}).", error.lineno, error.colno) from error
    if isinstance(data, list):
        data = {"shots": data}
    if not isinstance(data, dict) or not isinstance(data.get("shots"), list):
        raise StoryboardError(
            'The JSON has no list of shots: write {"shots": [{"seconds": 3, "prompt": "a duck walks"}]}.'
        )
    if data.get("version", VERSION) != VERSION:
        raise StoryboardError(f"The JSON says version {data['version']!r}; this reads version {VERSION}.")
    cast = data.get("cast", {})
    if not isinstance(cast, dict) or not all(isinstance(looks, str) and looks.strip() for looks in cast.values()):
        raise StoryboardError('"cast" gives each name its looks, such as {"Mia": "a small red panda"}.')
    shots = tuple(_shot(entry, number) for number, entry in enumerate(data["shots"], 1))
    if not shots:
        raise StoryboardError("The list of shots is empty.")
    return Storyboard(shots, {name.strip(): " ".join(looks.split()) for name, looks in cast.items()})


def _shot(entry: Any, number: int) -> Shot:
    """The shot of a JSON object; ``number`` counts from 1."""
    if not isinstance(entry, dict):
        raise StoryboardError(f'Shot {number} is no object such as {{"seconds": 3, "prompt": "a duck walks"}}.')
    unknown = sorted(entry.keys() - {"seconds", "prompt", "transition", "picture"})
    if unknown:
        raise StoryboardError(f'Shot {number} has "{unknown[0]}"; a shot has seconds, prompt, transition, picture.')
    seconds, how = entry.get("seconds"), entry.get("transition", CUT)
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds < math.inf:
        raise StoryboardError(f"Shot {number} has {seconds!r} seconds; it takes a number above 0.")
    if how not in TRANSITIONS:
        raise StoryboardError(f"Shot {number} has the transition {how!r}; use {', '.join(TRANSITIONS)}.")
    prompt, picture = entry.get("prompt", ""), entry.get("picture", "")
    if not isinstance(prompt, str) or not isinstance(picture, str):
        raise StoryboardError(f"Shot {number} has a prompt or picture that is no text.")
    if picture and how != CUT and number > 1:
        raise StoryboardError(f"Shot {number} has a picture and goes on from the one before; only a cut has a picture.")
    return Shot(float(seconds), " ".join(prompt.split()), how if number > 1 else CUT, picture.strip())
