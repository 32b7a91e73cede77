# SPDX-License-Identifier: GPL-3.0-or-later
"""Captions of videos: engines that tell what frames show, and the shot list of what they told.

An engine is given the frames of one piece of a shot after the other, so that a video of any length needs no more memory
than one piece. The result is a caption, or a storyboard with a shot for each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .expand import Engine, EngineError, Progress, Request
from .facts import check
from .shot import CONTINUE, CUT, DIGITS, Shot, Storyboard
from .storyboard_text import SHOT

Frames = NDArray[np.uint8]  # (N, H, W, 3)
AS_IT_COMES, ONE, LIST = "as it comes", "one caption", "shot list"
WAYS = (AS_IT_COMES, ONE, LIST)
ENGINES = ("own", "local", "server")
RATE = 8  # frames per second that are looked at
MOST = 33  # frames of one caption
SHOWN = 4  # of them, for models that look at pictures


class Teller(Protocol):
    """What tells what frames show. ``pixels`` bounds the area of the frames that it wants, ``multiple`` their sides."""

    name: str
    pixels: int
    multiple: int

    def tell(self, frames: Frames, fps: float, progress: Progress) -> str:
        """The caption of some frames of one shot. Raises EngineError."""


class Seeing:
    """Tells with an engine that sees pictures. ``engine_of`` gives it for the frames that are shown."""

    pixels, multiple = 768 * 768, 2

    def __init__(
        self, name: str, request: Request, engine_of: Callable[[Frames], Engine], still: Callable[[Frames], bytes]
    ) -> None:
        """``request`` has style, length, seed and language; ``still`` makes a JPEG file of a frame (H, W, 3)."""
        self.name = name
        self._request, self._engine_of, self._still = replace(request, describes=True), engine_of, still

    def tell(self, frames: Frames, fps: float, progress: Progress) -> str:
        """The caption of SHOWN of the frames, evenly spread. Raises EngineError."""
        count = min(SHOWN, len(frames))
        shown = frames[((np.arange(count) + 0.5) * len(frames) / count).astype(int)]
        request = replace(self._request, images=tuple(self._still(frame) for frame in shown))
        text = self._engine_of(shown).write(request, progress).strip()
        if not text:
            raise EngineError(f"The engine {self.name} gave no text of use: choose another model or engine.")
        return text


@dataclass(frozen=True)
class Part:
    """Frames ``start`` to ``stop`` of a video: what they show, and whether a new scene begins there."""

    start: int
    stop: int
    frames: Frames
    cut: bool

    @classmethod
    def of(cls, frames: Iterable[NDArray[np.uint8]]) -> Part:
        """All frames of a stream as one part; MOST of them where there are more, as rounding may bring."""
        whole = list(islice(frames, 2 * MOST))
        if not whole:
            raise EngineError("There are no frames to describe.")
        return cls(0, len(whole), np.stack(whole[:MOST]), True)


def rate_of(seconds: float, way: str) -> float:
    """Frames per second at which a video is read: RATE, or fewer where one caption is to tell all of a longer one."""
    return min(float(RATE), (MOST - 1) / seconds) if way == ONE and seconds > 0 else float(RATE)


def told(parts: Iterable[Part], fps: float, teller: Teller, progress: Progress = lambda text: None) -> Iterator[Shot]:
    """Yield the shots of a video as they are known: parts of one shot that are told alike are one.

    Raises EngineError, and whatever ``progress`` raises; it is told the text so far.
    """
    last: Shot | None = None
    for part in parts:
        text = plain(teller.tell(part.frames, fps, progress))
        seconds = round((part.stop - part.start) / fps, DIGITS)
        if last is not None and not part.cut and alike(last.prompt, text):
            longer = max(last.prompt, text, key=len)
            last = replace(last, prompt=longer, seconds=round(last.seconds + seconds, DIGITS))
            continue
        if last is not None:
            yield last
        last = Shot(seconds, text, CUT if part.cut else CONTINUE)
    if last is not None:
        yield last


def alike(one: str, other: str) -> bool:
    """Whether one of two captions says all that the other says, in whatever words."""
    return one == other or check(one, other).faithful or check(other, one).faithful


def written(shots: Iterable[Shot], way: str) -> str:
    """The caption of a single shot, or the shots as a storyboard's text. Raises ValueError where there is no shot."""
    board = Storyboard(tuple(shots))
    if not board.shots:
        raise ValueError("There are no frames to describe.")
    return board.shots[0].prompt if way != LIST and len(board.shots) == 1 else board.to_text()


def plain(text: str) -> str:
    """A caption that stays one where it stands behind a shot's times: in one line, and no shot or picture in it."""
    text = " ".join(text.split()).lstrip("[# ")
    return re.sub(r"\s+/\s+", ", ", text) if any(SHOT.match(part) for part in re.split(r"\s+/\s+", text)) else text
