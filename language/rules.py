# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine without a model: instant, deterministic by its seed, and never without an answer.

A prompt that is understood to the last word is said anew in the style; any other keeps its own words, slips mended, and
what it leaves open is added.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from random import Random

from .english import gerund, third_person
from .expand import Progress, Request, as_sentence
from .facts import check, facts
from .lexicon import Mention, scan
from .picture import Clause, Doing, Picture, Thing, read
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
    """The caption of a world's model."""
    picture = read(request.prompt)
    if picture is not None:
        text = _say(request, spoken, picture, draw=1 if request.length == "short" else 2)
        if check(request.prompt, text).faithful:
            return text
    text = _completed(request, spoken)
    return text if spoken.pieces(text) <= spoken.length else f"{_gist(request, spoken)}{text}"


def _gist(request: Request, spoken: World) -> str:
    """What the world knows of a prompt that is longer than its models read, to stand before it."""
    gist = Picture()
    doing = Doing()
    for fact in facts(request.prompt):
        if fact.kind == "noun" and not gist.clauses and fact.key in spoken.words["nouns"]:
            gist.clauses = [Clause([Thing(fact.key, fact.text)])]
        elif fact.kind in ("travel", "direction", "act") and not getattr(doing, fact.kind):
            doing = replace(doing, **{fact.kind: fact.key, "word": fact.text})
        elif fact.kind in ("place", "light", "weather", "look") and not getattr(gist, fact.kind):
            setattr(gist, fact.kind, fact.key)
        elif fact.kind == "camera" and not gist.camera:
            gist.camera = [fact.key]
    if not gist.clauses:
        return ""
    if doing.travel or doing.direction or doing.act:
        gist.clauses[0].doings = [doing if doing.travel or doing.direction else Doing(act=doing.act, word=doing.word)]
    text = Said(spoken, gist, "", "zh" if is_chinese(request.prompt) else "en", draw=0).text()
    text = text if check(request.prompt, text).turned == () else ""
    return f"{text}{'。' if is_chinese(text) else '. '}" if text else ""


def _say(request: Request, spoken: World, picture: Picture, draw: int) -> str:
    return Said(spoken, picture, f"{request.seed} {request.prompt}", request.target, draw).text()


def _completed(request: Request, spoken: World) -> str:
    """The prompt in its own words, with a place and a camera where it names none."""
    text = mended(request.prompt).rstrip(" .,;。，；")
    language = "zh" if is_chinese(text) else "en"
    said = {fact.kind for fact in facts(request.prompt)} | {mention.kind for mention in scan(request.prompt)}
    open_ = Picture(still=not said & {"travel", "act", "direction"})
    rng = Random(f"{request.seed} {request.prompt}")
    if not said & {"place", "weather", "light", "word", "emoji", "quote"}:
        open_.place = rng.choice(spoken.keys("places"))
    if not said & {"camera", "the camera", "turn"} and not _is_long(text):
        open_.camera = [rng.choice(["still", *spoken.keys("cameras")])]
    if not open_.place and not open_.camera:
        return text
    more = Said(spoken, open_, f"{request.seed}", language, draw=0).text().rstrip(".。")
    comma = "，" if language == "zh" else ", "
    return text + comma + (more[:1].lower() + more[1:]) + ("." if spoken.sentences and language == "en" else "")


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
    text = mended(request.prompt)
    text = ASKED_ZH.sub("", text) if own == "zh" else VIDEO_OF.sub("", ASKED.sub("", text))
    text = text if check(request.prompt, text).faithful else mended(request.prompt)
    return as_sentence(text), own if own in request.style.languages else request.target


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
