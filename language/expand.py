# SPDX-License-Identifier: GPL-3.0-or-later
"""Prompt expansion: a request, the engines that answer it, and the check that nothing of the prompt is lost.

An engine is asked for a text. What it gives is compared with the prompt; a text that lost something is repaired, and
where that is not enough refused: then the next engine takes over. Every such step is told in ``Expansion.notes``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from .facts import Verdict, check
from .picture import part_negatives
from .styles import Style
from .tokens import HAN, is_chinese

MOST_LOST = 0.5  # a text that lost this share or more of the prompt is about something else
SENTENCE = re.compile(r"[^.!?。！？]+[.!?。！？]*[\"”」』']?\s*")
Progress = Callable[[str], None]  # called with the text so far; may raise to stop


class EngineError(RuntimeError):
    """An engine cannot answer; the message says why and what to do."""

    __module__ = "spacetime"  # the host shows it before the sentence, otherwise with the path of this folder


@dataclass(frozen=True)
class Request:
    """What is to be expanded. ``language`` is "en", "zh" or "" for that of the prompt, ``length`` one of LENGTHS.

    ``images`` are JPEG files in memory, for engines that see; ``checkpoint`` names the weights whose words are used by
    a style of this project's own models. ``describes``: a caption of the images is asked for, no prompt.
    """

    prompt: str
    style: Style
    length: str = "medium"
    seed: int = 0
    language: str = ""
    images: tuple[bytes, ...] = ()
    checkpoint: Path | None = None
    describes: bool = False

    @property
    def target(self) -> str:
        """The language to write in: the one asked for or the prompt's, if the style has it; else the style's first."""
        wanted = self.language or ("zh" if is_chinese(self.prompt) else "en")
        return wanted if wanted in self.style.languages else self.style.languages[0]


@dataclass(frozen=True)
class Expansion:
    """What came of a request: the prompts, the engine they are of, what the check said and what happened on the way."""

    text: str
    negative: str
    engine: str
    verdict: Verdict
    notes: tuple[str, ...] = ()
    raw: dict[str, str] = field(default_factory=dict)  # what each engine gave before any repair


class Engine(Protocol):
    """What writes expanded prompts. ``sees`` tells whether it can describe from images."""

    name: str
    sees: bool

    def write(self, request: Request, progress: Progress) -> str:
        """Return a text for the positive part of a prompt. Raises EngineError."""


def expand(request: Request, engines: Sequence[Engine], progress: Progress = lambda text: None) -> Expansion:
    """Ask the engines in turn until one gives a faithful text.

    The last one's text is taken in any case, and what it lost is told. Raises EngineError where an engine that is asked
    cannot answer at all, and ValueError for no engines.
    """
    positive, denied = _parted(request)
    negative = _negative(request, denied)
    asked = replace(request, prompt=positive)
    notes: list[str] = []
    raw: dict[str, str] = {}
    for number, engine in enumerate(engines):
        if request.images and not engine.sees:
            notes.append(f"{engine.name} sees no images: they were left out")
        text = engine.write(asked if engine.sees else replace(asked, images=()), progress).strip()
        raw[engine.name] = text
        verdict = check(request.prompt, text, negative)
        last = number == len(engines) - 1
        if not text and not last:
            notes.append(f"refused: {engine.name} gave no text of use; {engines[number + 1].name} took over")
            continue
        if not verdict.faithful:
            was = verdict
            text, verdict = repaired(request.prompt, positive, text, negative, verdict)
            if verdict.faithful:
                notes.append(f"repaired: the text of {engine.name} {was}")
        if verdict.faithful or last:
            notes += _remarks(request, engine.name, text, verdict)
            return Expansion(text, negative, engine.name, verdict, tuple(notes), raw)
        notes.append(f"refused: the text of {engine.name} {verdict}; {engines[number + 1].name} took over")
    raise ValueError("no engine was given")


def _remarks(request: Request, engine: str, text: str, verdict: Verdict) -> list[str]:
    """What a user should know of a text that is taken."""
    remarks = [] if verdict.faithful else [f"{engine} {verdict}"]
    if verdict.unchecked:
        remarks.append("could not be compared across languages: " + ", ".join(verdict.unchecked))
    own = "zh" if is_chinese(request.prompt) else "en"
    foreign = re.search(f"[{HAN}]", text) if request.target == "en" else not is_chinese(text)
    if request.prompt.strip() and own != request.target and foreign:
        name = {"en": "English", "zh": "Chinese"}[request.target]
        remarks.append(
            f"the prompt keeps its own words, since not all of them are known; a language model (engine local or "
            f"server) can write it in {name}"
        )
    spoken = request.style.world(request.checkpoint)
    if spoken is not None and spoken.pieces(text) > spoken.length:
        remarks.append(f"the model reads about the first {spoken.length} words only; this prompt is longer")
    return remarks


def repaired(prompt: str, positive: str, text: str, negative: str, verdict: Verdict) -> tuple[str, Verdict]:
    """Mend a text: sentences against the prompt go, and the prompt itself goes before a text that lost some of it.

    A text that lost half of the prompt, or that is in another language, is returned as it is.
    """
    if not text or (verdict.lost and len(verdict.lost) >= MOST_LOST * verdict.demanded):
        return text, verdict
    if verdict.turned:
        sentences = [s for s in SENTENCE.findall(text) if not check(prompt, s).turned]
        text = "".join(sentences).strip()
        verdict = check(prompt, text, negative)
    if verdict.lost and is_chinese(positive) == is_chinese(text):
        text = as_sentence(positive) + ("" if is_chinese(text) else " ") + text
        verdict = check(prompt, text, negative)
    return text, verdict


def as_sentence(text: str) -> str:
    """A text with a capital letter and a full stop."""
    text = " ".join(text.split()).rstrip(" ,;，；、")
    if not text:
        return ""
    ended = text[-1] in ".!?。！？…" or re.search(r"[.!?。！？][\"”」』']$", text)
    return text[0].upper() + text[1:] + ("" if ended else "。" if is_chinese(text) else ".")


def _parted(request: Request) -> tuple[str, list[str]]:
    """What shall be seen and what shall not, where the style has a negative prompt for that."""
    prompt = " ".join(request.prompt.split())
    return part_negatives(prompt) if request.style.negative else (prompt, [])


def _negative(request: Request, denied: list[str]) -> str:
    comma = "，" if request.target == "zh" else ", "
    usual = request.style.negatives.get(request.target, "")
    return comma.join([*denied, *([usual] if usual else [])])
