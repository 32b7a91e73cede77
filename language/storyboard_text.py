# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a storyboard, read with the place of everything, so that an editor can change one shot of it.

An entry is a line, or a part of one after " / ": a shot, someone of the cast, or a note that begins with #. A shot has
its times ("2-5s:", "0:58-1:04:") or its length ("3 s:"); its transition stands before the times or, with a comma,
behind them ("cut, ..."); then may come a picture in brackets, then its prompt. Chinese words and signs do as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .shot import CONTINUE, CUT, DIGITS, GLIDE, TRANSITIONS, Shot, Storyboard, StoryboardError, write_time

WORDS = {CUT: CUT, CONTINUE: CONTINUE, GLIDE: GLIDE, "切": CUT, "继续": CONTINUE, "渐变": GLIDE}
WORDS |= {"繼續": CONTINUE, "漸變": GLIDE}
TIME = r"(?:\d+:\d{1,2}(?:\.\d+)?|\d+(?:\.\d*)?|\.\d+)"
UNIT = r"\s*(?:seconds?|sec|s|秒)?\s*"
HEAD = rf"(?:(?P<how>[^\W\d_]+)\s*)?(?P<first>{TIME}){UNIT}(?:[-–—~～至]\s*(?P<last>{TIME}){UNIT})?[:：]"
SHOT = re.compile(HEAD + r"\s*", re.IGNORECASE)
LINE = re.compile(HEAD + r".*", re.IGNORECASE)  # a whole one
BREAK = re.compile(rf"\s+/\s+(?={re.sub(r'[?]P<[a-z]+>', '?:', HEAD)})", re.IGNORECASE)
HOW = re.compile(rf"(?P<how>{'|'.join(WORDS)})\s*(?:[,，]\s*|$)", re.IGNORECASE)
PICTURE = re.compile(r"\[(?P<picture>[^\]]+)\]\s*")
CAST = re.compile(
    r"(?:cast(?:\s*[:：]|\s)|角色\s*[:：]?)\s*(?P<name>[^:：\s][^:：]*?)\s*[:：]\s*(?P<looks>.*)", re.IGNORECASE
)
EXAMPLE = '"3 s: a duck walks" or "0-3s: a duck walks"'


@dataclass(frozen=True)
class Span:
    """Where an entry stands: characters ``begin`` to ``end`` of the text."""

    begin: int
    end: int


@dataclass
class Reading:
    """A storyboard that was read, with the span of each shot."""

    board: Storyboard
    spans: list[Span] = field(default_factory=list)


def read_text(text: str) -> Reading:
    """Read a storyboard's text. The first shot is always a cut.

    Raises StoryboardError for an entry that is no shot, times that leave a gap or overlap, a length of 0, a name that
    is there twice, a picture where no scene begins, and a text without shots.
    """
    reader = _Reader(text)
    for span in entries(text):
        reader.take(span)
    if not reader.shots:
        raise StoryboardError(f"There are no shots: write a line for each, such as {EXAMPLE}.")
    return Reading(Storyboard(tuple(reader.shots), reader.cast), reader.spans)


def entries(text: str) -> list[Span]:
    """Return where entries stand, without the spaces around them, notes left out."""
    spans: list[Span] = []
    at = 0
    for line in text.splitlines(keepends=True):
        if not line.lstrip().startswith("#"):
            begin = 0
            for stop in [found.span() for found in BREAK.finditer(line)] + [(len(line), len(line))]:
                piece = line[begin : stop[0]]
                if piece.strip():
                    first = at + begin + len(piece) - len(piece.lstrip())
                    spans.append(Span(first, first + len(piece.strip())))
                begin = stop[1]
        at += len(line)
    return spans


class _Reader:
    """Collects the entries of a text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.shots: list[Shot] = []
        self.spans: list[Span] = []
        self.cast: dict[str, str] = {}
        self._now = 0.0  # seconds

    def take(self, span: Span) -> None:
        """Read one entry."""
        entry = self._text[span.begin : span.end]
        person = CAST.fullmatch(entry)
        found = SHOT.match(entry)
        if person and not (found and found["how"] and found["how"].lower() in WORDS):
            self._person(person, span)
        elif found is None:
            raise self._error(
                f'"{entry}" is no shot. Write its seconds, a colon and the prompt, such as {EXAMPLE}; someone of the '
                'cast is "cast Mia: a small red panda".',
                span.begin,
            )
        else:
            self._shot(entry, found, span)

    def _person(self, found: re.Match[str], span: Span) -> None:
        name, looks = found["name"], " ".join(found["looks"].split())
        if name in self.cast:
            raise self._error(f'"{name}" is in the cast twice.', span.begin + found.start("name"))
        if not looks:
            raise self._error(f'say what "{name}" looks like, behind the colon.', span.end)
        self.cast[name] = looks

    def _shot(self, entry: str, found: re.Match[str], span: Span) -> None:
        how = self._transition(found, span)
        seconds = self._seconds(found, span)
        at = found.end()
        word = HOW.match(entry, at)
        if how is None and word:
            how, at = WORDS[word["how"].lower()], word.end()
        how = (how or CUT) if self.shots else CUT
        picture = PICTURE.match(entry, at)
        if picture:
            if how != CUT:
                raise self._error("a picture begins a new scene: make this shot a cut.", span.begin + picture.start())
            at = picture.end()
        name = picture["picture"].strip() if picture else ""
        self.shots.append(Shot(seconds, " ".join(entry[at:].split()), how, name))
        self.spans.append(span)

    def _transition(self, found: re.Match[str], span: Span) -> str | None:
        word = found["how"]
        if word is None:
            return None
        if word.lower() not in WORDS:
            raise self._error(f'"{word}" is no transition; use {", ".join(TRANSITIONS)}.', span.begin)
        return WORDS[word.lower()]

    def _seconds(self, found: re.Match[str], span: Span) -> float:
        """The length of the shot, whose times go on where the last one's end."""
        first, last = to_seconds(found["first"]), found["last"]
        place = span.begin + found.start("last" if last else "first")
        begin, end = (first, to_seconds(last)) if last else (self._now, self._now + first)
        seconds = round(end - begin, DIGITS)
        if last and abs(begin - self._now) > 10**-DIGITS:
            message = f"the shot begins at {write_time(begin)} s, but the first one begins at 0"
            if self.shots:
                now = write_time(self._now)
                message = f"the shot begins at {write_time(begin)} s, but the one before ends at {now} s"
            message += ": leave no gap and no overlap."
            raise self._error(message, span.begin + found.start("first"))
        if seconds <= 0:
            raise self._error(f"the shot has a length of {write_time(seconds)} seconds; it takes more than 0.", place)
        self._now = round(end, DIGITS)
        return seconds

    def _error(self, message: str, place: int) -> StoryboardError:
        before = self._text[:place].splitlines(keepends=True) or [""]
        if before[-1].endswith(("\n", "\r")):
            before.append("")
        return StoryboardError(message, len(before), len(before[-1]) + 1)


def to_seconds(time: str) -> float:
    """Return the seconds of a time such as 12.5 or 1:05."""
    minutes, colon, seconds = time.rpartition(":")
    return float(minutes or 0) * 60 + float(seconds) if colon else float(time)
