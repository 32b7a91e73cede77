# SPDX-License-Identifier: GPL-3.0-or-later
"""Expansion of a storyboard: every shot in the same style and from the same seed, with the cast's looks in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .expand import Engine, Expansion, Progress, Request, expand
from .shot import Storyboard


def expand_storyboard(
    board: Storyboard, request: Request, engines: Sequence[Engine], progress: Progress = lambda text: None
) -> tuple[Storyboard, list[Expansion]]:
    """Return the storyboard with dense prompts, and what came of each shot's.

    A prompt is expanded with the looks of everyone in it, so that the check for what is lost covers them, too. The one
    seed fills what the shots leave open alike. Raises what ``expand`` does.
    """
    made: list[Expansion] = []
    shots = []
    for shot in board.schedule():
        made.append(expand(replace(request, prompt=shot.prompt), engines, progress))
        shots.append(replace(shot, prompt=" ".join(made[-1].text.split())))
    return Storyboard(tuple(shots)), made
