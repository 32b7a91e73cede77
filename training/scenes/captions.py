# SPDX-License-Identifier: GPL-3.0-or-later
"""Captions of scenes, in English and Chinese: dense, short, vague, of one frame, and as people type them.

A dense caption says everything that the scene says; day, clear weather, a still camera and a natural look go without
saying, and light and weather hold on through later shots until one says otherwise. Which facts any caption says is
told by :class:`Caption`, so that an evaluation asks for nothing that was not said. All choices come from the random
generator that is handed in: the same generator gives the same caption.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...models.text import WORDS
from .scene import Scene, Shot
from .words.say_en import English, capitals
from .words.say_zh import Chinese
from .words.speaker import DENSE, FACTS, SHORT, Manner, Speaker
from .words.typing import clip_spelling, typed
from .words.vocabulary import vocabulary

__all__ = [
    "Caption",
    "caption",
    "dense",
    "free",
    "free_wording",
    "image_caption",
    "misspell",
    "short",
    "vague",
    "vocabulary",
]

LANGUAGES = ("en", "zh")
LENGTH = 80  # pieces within which a dense caption is put: the limit that the text encoder of this world should have
STYLES = ("keywords", "question", "imperative", "story", "nice", "lower case", "no punctuation")
PICTURED = DENSE - {"motion", "direction", "event", "camera", "shots"}
SHARES = {"dense": 0.55, "short": 0.15, "free": 0.2, "vague": 0.1}
CHINESE = 0.25
MISSPELT = 0.06


@dataclass(frozen=True)
class Caption:
    """A text, and which of FACTS it says where the scene has them."""

    text: str
    language: str
    style: str
    facts: frozenset[str]


def pieces(text: str) -> int:
    """How many pieces of the text encoder a text of known words takes."""
    return len(WORDS.findall(text))


def speak(scene: Scene, rng: np.random.Generator, language: str, manner: Manner) -> Speaker:
    """The speaker of a language; raises ValueError for one that is neither "en" nor "zh"."""
    if language not in LANGUAGES:
        raise ValueError(f"captions are written in {' and '.join(LANGUAGES)}, not in {language!r}")
    return (English if language == "en" else Chinese)(scene, rng, manner)


def finish(text: str, language: str) -> str:
    """Capital letters and full stops, as a careful writer sets them."""
    return capitals(text) if language == "en" else text if text[-1] in "。？！" else text + "。"


def dense(scene: Scene, rng: np.random.Generator, language: str = "en", limit: int = LENGTH) -> str:
    """Everything that the scene says. A text of more than ``limit`` pieces is said again in fewer words."""
    best = ""
    for attempt in range(6):
        manner = Manner(terse=2 * attempt)
        text = finish(speak(scene, rng, language, manner).full(), language)
        best = text if not best or pieces(text) < pieces(best) else best
        if pieces(best) <= limit:
            break
    return best


def short(scene: Scene, rng: np.random.Generator, language: str = "en") -> str:
    """Noun, what it does and place of the first shot."""
    return finish(speak(scene, rng, language, Manner(SHORT, usual=0)).full(), language)


def vague(scene: Scene, rng: np.random.Generator, language: str = "en") -> Caption:
    """A caption that leaves open what people often leave open: the direction, the number, the place, even the noun."""
    facts = frozenset(f for f in FACTS if f not in ("facing", "shots") and rng.random() < 0.45)
    if rng.random() < 0.8:
        facts |= {"noun"}
    if not facts & {"motion", "event", "place"}:
        facts |= {"motion"} if rng.random() < 0.7 else {"place"}
    facts = _consistent(facts)
    return Caption(_say(scene, rng, language, Manner(facts, usual=0)), language, "vague", facts)


def image_caption(
    scene: Scene, rng: np.random.Generator, language: str = "en", shot: int = 0, phase: float = 0.0
) -> str:
    """What one frame of a scene shows: ``phase`` (0..1) is when in the shot. Nothing moves in it."""
    alone = Scene((scene.shots[shot],), scene.look, scene.seed)
    speaker = speak(alone, rng, language, Manner(PICTURED))
    speaker.phase = phase
    return finish(speaker.full(), language)


def free(scene: Scene, rng: np.random.Generator, language: str = "en", held: bool = False) -> Caption:
    """The scene as somebody might ask for it; ``held`` takes frames and synonyms that training never shows."""
    facts = frozenset(f for f in FACTS if f not in SHORT and rng.random() < 0.5)
    facts = _consistent((facts | SHORT) - ({"facing"} if rng.random() < 0.8 else set()))
    style = STYLES[int(rng.integers(len(STYLES)))]
    frame = style if style in ("question", "imperative", "story", "nice") else "plain"
    manner = Manner(facts, held, usual=0.1, style=frame)
    speaker = speak(scene, rng, language, manner)
    text = speaker.keywords() if style == "keywords" else speaker.full()
    if style not in ("keywords", "lower case", "no punctuation"):
        text = finish(text, language)
    return Caption(typed(text, style, rng), language, style, facts)


def free_wording(scene: Scene, rng: np.random.Generator, language: str = "en") -> Caption:
    """The evaluation's free wording: frames and synonyms held out from training."""
    return free(scene, rng, language, held=True)


def caption(scene: Scene, rng: np.random.Generator, language: str | None = None) -> Caption:
    """A caption for training: a mix of all kinds, a quarter of them Chinese, some misspelt."""
    language = language or ("zh" if rng.random() < CHINESE else "en")
    kind = tuple(SHARES)[int(rng.choice(len(SHARES), p=tuple(SHARES.values())))]
    if kind == "dense":
        made = Caption(dense(scene, rng, language), language, kind, DENSE)
    elif kind == "short":
        made = Caption(short(scene, rng, language), language, kind, SHORT)
    else:
        made = free(scene, rng, language) if kind == "free" else vague(scene, rng, language)
    return replace(made, text=misspell(made.text, rng, MISSPELT))


def misspell(text: str, rng: np.random.Generator, share: float = 1.0) -> str:
    """Slip in one word of a ``share`` of texts, so that spelling by pieces is learnt, too. No word becomes another."""
    return clip_spelling(text, rng, frozenset(vocabulary())) if rng.random() < share else text


def _say(scene: Scene, rng: np.random.Generator, language: str, manner: Manner) -> str:
    return finish(speak(scene, rng, language, manner).full(), language)


def _consistent(facts: frozenset[str]) -> frozenset[str]:
    """Facts that can only be said together."""
    if "motion" not in facts:
        facts -= {"direction"}
    if "event" in facts:
        facts |= {"motion", "direction"}
    return facts


def shots_said(scene: Scene, facts: frozenset[str]) -> tuple[Shot, ...]:
    """The shots that a caption of these facts speaks of."""
    return scene.shots if "shots" in facts else scene.shots[:1]
