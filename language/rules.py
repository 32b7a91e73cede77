# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine without a model: instant, deterministic by its seed, and never without an answer.

A prompt that is understood to the last word is said anew in the style; any other keeps its own words, slips mended:
what is understood of it stands before them, and what it leaves open is added.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from random import Random

from .english import gerund, third_person
from .expand import Progress, Request, as_sentence
from .facts import check, facts
from .gist import gist
from .lexicon import Mention, scan
from .picture import Picture, read
from .say import Said
from .styles import SLOTS
from .tokens import is_chinese
from .world import World, world

ASKING = (
    "hi|hello|hey|please|pls|plz|kindly|can you|could you|would you|will you|i want|i'd like|i would like|i need|let's"
    "|show me|give me|make me|make|create|generate|produce|render|draw|film|imagine|show|to see|you to|to|me"
)
ASKED = re.compile(rf"^(?:(?:{ASKING})[\s,]+)+(?=\S)", re.IGNORECASE)
VIDEO_OF = re.compile(
    r"^an?\s+(?:short\s+)?(?:video|clip|movie|animation|vid|film)\s+(?:of|with|showing|in which|where|that shows)\s+",
    re.IGNORECASE,
)
ASKED_ZH = re.compile(
    r"^(?:请|帮我|给我|我想要|我要|我想看|能不能|可以|生成|制作|创建|做|画|拍|一段|一个|视频|短片|动画|[，：:])+(?=[^，。]{2})"
)
LONG = 120  # words beyond which a prompt needs nothing more


class Rules:
    """The rules; see the module."""

    name = "rules"
    sees = False

    def write(self, request: Request, progress: Progress) -> str:
        """Return the expanded prompt; progress is told once."""
        spoken = request.style.world(request.checkpoint)
        text = _in_world(request, spoken) if spoken is not None else _in_prose(request)
        progress(text)
        return text


def _in_world(request: Request, spoken: World) -> str:
    """The caption of a world's model.

    A prompt that is not understood to the last word keeps its own words, behind a caption of what is understood of it:
    a small model follows its captions' words far better than those that it has to spell.
    """
    picture = read(request.prompt)
    if picture is not None:
        text = _say(request, spoken, picture, draw=1 if request.length == "short" else 2)
        if check(request.prompt, text).faithful:
            return text
    understood = gist(request.prompt, spoken)
    if understood is None:
        return _completed(request, spoken)
    language = "zh" if is_chinese(request.prompt) else "en"
    text = as_sentence(Said(spoken, _drawn(request, spoken, understood), str(request.seed), language, draw=0).text())
    if check(request.prompt, text).faithful:
        return text
    both = text + ("" if language == "zh" else " ") + as_sentence(_own_words(request.prompt))
    return both if check(request.prompt, both).faithful else _completed(request, spoken)


def _say(request: Request, spoken: World, picture: Picture, draw: int) -> str:
    return Said(spoken, picture, f"{request.seed} {request.prompt}", request.target, draw).text()


def _completed(request: Request, spoken: World) -> str:
    """The prompt in its own words, with a place and a camera where it names none."""
    text = mended(request.prompt).rstrip(" .,;。，；")
    text = text[:1].upper() + text[1:]
    language = "zh" if is_chinese(text) else "en"
    said = facts(request.prompt)
    still = not any(fact.kind in ("travel", "act", "direction") for fact in said)
    open_ = _drawn(request, spoken, Picture(still=still))
    if not open_.place and not open_.camera:
        return text
    more = Said(spoken, open_, f"{request.seed}", language, draw=0).text().rstrip(".。")
    comma = "，" if language == "zh" else ", "
    return text + comma + (more[:1].lower() + more[1:]) + ("." if language == "en" else "")


def _drawn(request: Request, spoken: World, picture: Picture) -> Picture:
    """A picture with a place and a camera of the seed where the prompt names none, nor anything that might be one."""
    said = {fact.kind for fact in facts(request.prompt)} | {mention.kind for mention in scan(request.prompt)}
    rng = Random(f"{request.seed} {request.prompt}")
    if not said & {"place", "weather", "light", "word", "emoji", "quote"}:
        picture = replace(picture, place=rng.choice(spoken.keys("places")))
    if not said & {"camera", "the camera", "turn"} and not _is_long(request.prompt):
        picture = replace(picture, camera=[rng.choice(["still", *_moves(spoken, picture)])])
    return picture


def _moves(spoken: World, picture: Picture) -> list[str]:
    """The moves of the camera that hide nothing: a pan would hide which way something goes."""
    doings = [doing for clause in picture.clauses for doing in clause.doings]
    sideways = any(doing.direction in ("left", "right") for doing in doings)
    return [move for move in spoken.keys("cameras") if not (sideways and move.startswith(("pan", "orbit")))]


def _own_words(prompt: str) -> str:
    """A prompt without what only asks for a video."""
    text = mended(prompt)
    bare = ASKED_ZH.sub("", text) if is_chinese(text) else VIDEO_OF.sub("", ASKED.sub("", text))
    return bare if check(prompt, bare).faithful else text


def _in_prose(request: Request) -> str:
    """The prompt as a sentence among those that the style adds."""
    style, language = request.style, request.target
    text, written = _own_sentence(request)
    said = {fact.kind for fact in facts(text)} | ({"place"} if _named_somewhere(request.prompt) else set())
    if "weather" in said:
        said.add("light")
    room = 0 if _is_long(text) else SLOTS[request.length]
    chosen = [
        name for name in style.slots
        if not said & style.said[name].unless and written in style.said[name].sentences
    ][:room]  # fmt: skip
    before: list[str] = []
    after: list[str] = []
    for name in chosen:
        slot = style.said[name]
        sentence = Random(f"{request.seed} {name} {request.prompt}").choice(slot.sentences[written])
        (before if slot.before else after).append(sentence)
    return ("" if written == "zh" and language == "zh" else " ").join([*before, text, *after]).strip()


def _own_sentence(request: Request) -> tuple[str, str]:
    """The prompt as a sentence and the language of what is added to it.

    It is said anew where it is empty, or where the style's language is another and every word is understood.
    """
    own = "zh" if is_chinese(request.prompt) else "en"
    if not request.prompt or own != request.target:
        picture = read(request.prompt)
        if picture is not None:
            text = _say(request, world("scenes"), picture, draw=0 if request.prompt else 1)
            if check(request.prompt, text).faithful:
                return text, request.target
    return as_sentence(_own_words(request.prompt)), own if own in request.style.languages else request.target


def mended(prompt: str) -> str:
    """A prompt in one line, with the slips of known words mended."""
    parts, last = [], 0
    for mention in scan(prompt):
        if mention.fixed:
            parts += [prompt[last : mention.start], _as_written(mention)]
            last = mention.end
    return " ".join("".join([*parts, prompt[last:]]).split())


def _as_written(mention: Mention) -> str:
    """The right word in the form that was meant, as far as its end tells."""
    word = re.sub(r"^(?:an?|the) ", "", mention.word)
    if mention.kind == "noun" and mention.text.lower().endswith("s") and not word.endswith("s"):
        word += "s"
    if mention.kind in ("travel", "act") and mention.text.lower().endswith(("ing", "in")):
        word = gerund(word)
    elif mention.kind in ("travel", "act") and mention.text.lower().endswith("s"):
        word = third_person(word)
    return word.capitalize() if mention.text[:1].isupper() else word


def _named_somewhere(prompt: str) -> bool:
    """Whether an unknown word stands behind "in", "on", "at" ...: it may be a place."""
    mentions = scan(prompt)
    where = {"in", "on", "at", "inside", "near", "under", "behind", "through", "across", "over", "by", "在", "里"}
    return any(
        a.kind == "stop" and a.text.lower() in where and b.kind in ("word", "noun", "count", "colour")
        for a, b in pairwise(mentions)
    ) or any(m.kind == "emoji" for m in mentions)


def _is_long(text: str) -> bool:
    return len(text) > 2 * LONG if is_chinese(text) else len(text.split()) > LONG
