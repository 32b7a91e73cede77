# SPDX-License-Identifier: GPL-3.0-or-later
"""What words mean: every wording of the scene world and its synonyms, found in a text, longest first, slips allowed."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .compounds import set_apart
from .english import plural
from .tokens import Token, data, is_chinese, stem, tokenize

WORLD = Path(__file__).resolve().parent.parent / "training" / "scenes" / "words"
WORLD_FILES = ("animals", "vehicles", "food", "things", "people", "scenery", "seen", "doing")
SYNONYMS = ("nouns", "colours", "scenery", "looks", "motion", "acts", "camera")
KINDS = {"nouns": "noun", "colours": "colour", "places": "place", "lights": "light", "weathers": "weather",
         "looks": "look", "travel": "travel", "directions": "direction", "acts": "act", "heading": "direction",
         "cameras": "camera", "turns": "turn"}  # fmt: skip
PREPOSITION = re.compile(
    r"^(?:in front of|high in|deep in|in|on|at|by|among|between|before|inside|under|through|along|across|as|while)\s+"
)
NOT_ALONE = frozenset({"sea", "ocean", "grass", "wood", "woods", "barn", "slide", "swing", "swings", "town", "field",
                       "fields", "sand", "sands", "strand", "waves", "houses", "buildings", "square", "slope",
                       "amazon"})  # fmt: skip  # things, too, without "in" or "on"
SCENES = {
    "en": ("{}", "{} background", "{} backdrop", "{} landscape", "{} scenery", "{} environment", "background is {}"),
    "zh": ("{}", "{}背景", "{}风景", "{}风光", "{}景色", "背景是{}", "背景为{}"),
}
COURSES = frozenset({"left", "right", "up", "down", "closer", "away"})
FILMING = re.compile("镜头|摇|移|焦|推|拉|跟|手持|环绕|拍|景|写|微距|低角")  # says by itself that the camera does it
JOINTS = frozenset({"-", "‐", "–"})
Meaning = tuple[str, str]  # kind and key: ("noun", "dog")


@dataclass(frozen=True)
class Mention:
    """A stretch of a text and what it means.

    ``kind`` is noun, colour, count, place, light, weather, look, travel, act, direction, camera, turn, "the camera",
    quote, emoji, negation, then, cut, join, picture, same, asking, manner, stop, sign, or "word" for what is not known.
    ``word`` is the dictionary form in which it was found; ``fixed`` tells that a slip of the pen was corrected.
    """

    kind: str
    key: str
    text: str
    start: int
    end: int
    word: str = ""
    many: bool = False
    fixed: bool = False


@dataclass
class Lexicon:
    """The wordings of a language: stems (or characters) to what they mean and the wording itself."""

    table: dict[tuple[str, ...], tuple[Meaning, str]]
    longest: int
    spellings: frozenset[str]

    def add(self, phrase: str, kind: str, key: str) -> None:
        """Add a wording; the first meaning of one stays."""
        row = tuple(t.stem for t in tokenize(phrase) if not passed_over(t))
        if row:
            self.table.setdefault(row, ((kind, key), phrase))


def passed_over(token: Token) -> bool:
    """Whether a token is left out of wordings: articles and hyphens."""
    return token.stem in ("a", "an", "the", "teh") or (token.kind == "sign" and token.text in JOINTS)


@cache
def world_words() -> dict[str, Any]:
    """The words of the scene world by kind."""
    kinds: dict[str, Any] = {"nouns": {}}
    for name in WORLD_FILES:
        with (WORLD / f"{name}.toml").open("rb") as file:
            read = tomllib.load(file)
        if name in ("scenery", "seen", "doing"):
            kinds |= read
        else:
            kinds["nouns"] |= {key: entry | {"group": name} for key, entry in read.items()}
    return kinds


@cache
def synonyms() -> dict[str, Any]:
    """The words by kind that prompts use and captions do not."""
    return {kind: entries for name in SYNONYMS for kind, entries in data(f"synonyms_{name}").items()}


@cache
def lexicon(language: str) -> Lexicon:
    """The lexicon of "en" or "zh"."""
    made = Lexicon({}, 0, frozenset())
    common = data("common")[language]
    for phrase in common["apart"]:
        made.add(phrase, "word", phrase)
    for name in ("negation", "then", "cut", "join", "picture", "same", "asked"):
        for phrase in common[name]:
            made.add(phrase, name if name != "asked" else "asking", phrase)
    for phrase in common["manners"]:
        made.add(phrase, "manner", phrase)
    for phrase in common["camera"]:
        made.add(phrase, "the camera", "")
    for phrase, value in common["numbers"].items():
        made.add(phrase, "count", str(value))
    for kind, key, phrase in _pictured(language):
        made.add(phrase, kind, key)
    for name in ("asking", "manner", "stop"):
        for word in common[name].split():
            made.add(word, name, word)
    made.longest = max(map(len, made.table))
    made.spellings = frozenset(s for row, ((kind, _), _) in made.table.items() for s in row if kind in KINDS.values())
    return made


def _pictured(language: str) -> Iterator[tuple[str, str, str]]:
    """Kind, key and wording of all that a picture can show."""
    for source in (world_words(), synonyms()):
        for name, kind in KINDS.items():
            for key, entry in source.get(name, {}).items():
                for field, phrases in entry.items():
                    if field == "emoji":
                        yield from ((kind, key, sign) for sign in phrases.split())
                    elif isinstance(phrases, list) and re.fullmatch(rf"{language}(_in|_own|_held|_noun)?", field):
                        yield from _variants(kind, key, field, phrases, language)
    for key, entry in world_words()["motions"].items():
        phrases = [*entry.get(language, ()), *entry.get(f"{language}_held", ())]
        yield from (
            ("direction" if key in COURSES else "act", key, p.replace("*", "")) for p in phrases if "{" not in p
        )
    if language == "en":  # "nouns" of two words that would else be read as something else
        yield "noun", "camera", "photo camera"


def _variants(kind: str, key: str, field: str, phrases: list[str], language: str) -> Iterator[tuple[str, str, str]]:
    for phrase in phrases:
        phrase = phrase.replace("*", "").strip()
        if kind in ("light", "weather") and field.endswith("_noun"):
            continue
        if "{" in phrase:
            continue
        if kind == "camera" and phrase.startswith(("look", "hold", "stay", "remain", "keep", "move", "be ", "jitter")):
            phrase = f"camera {phrase}"  # others do that, too
        if kind == "camera" and language == "zh" and not FILMING.search(phrase):
            phrase = f"镜头{phrase}"
        yield kind, key, phrase
        if kind == "place":
            bare = PREPOSITION.sub("", phrase) if language == "en" else phrase.removeprefix("在")
            if language == "zh" or (bare.split()[-1] not in NOT_ALONE and len(bare.split()) < 3):
                yield from ((kind, key, form.format(bare)) for form in SCENES[language])


def scan(text: str) -> list[Mention]:
    """Return what a text mentions, in order; signs and words that say nothing included."""
    found: list[Mention] = []
    tokens, at = tokenize(text), 0
    while at < len(tokens):
        if passed_over(tokens[at]):
            at += 1
            continue
        mention, used = _at(tokens, at, text)
        found.append(mention)
        at += used
    return _joined(set_apart(found, text), text)


def _at(tokens: list[Token], at: int, text: str) -> tuple[Mention, int]:
    """The longest wording that begins at a token, and how many tokens it takes."""
    token = tokens[at]
    if token.kind == "quote":
        return Mention("quote", token.text, token.text, token.start, token.end, token.text), 1
    language = "zh" if token.kind == "han" else "en"
    words = lexicon(language)
    row: list[tuple[str, int]] = []  # stems and where they end
    for i in range(at, len(tokens)):
        if not passed_over(tokens[i]):
            row.append((tokens[i].stem, i + 1))
        if len(row) == words.longest:
            break
    stems = tuple(s for s, _ in row)
    for size in range(len(row), 0, -1):
        hit = words.table.get(stems[:size])
        if hit is not None and not _cuts_a_word(hit, stems, size, words):
            return _mention(hit, tokens, at, row[size - 1][1], text), row[size - 1][1] - at
    if token.kind == "word":
        right = corrected(token.stem)
        hit = words.table.get((right,)) if right else None
        if hit is not None:
            return _mention(hit, tokens, at, at + 1, text, fixed=True), 1
    kind = {"sign": "sign", "emoji": "emoji", "number": "count"}.get(token.kind, "word")
    return Mention(kind, token.stem, token.text, token.start, token.end, token.text), 1


def _cuts_a_word(hit: tuple[Meaning, str], stems: tuple[str, ...], size: int, words: Lexicon) -> bool:
    """Whether a word of manner ends inside of a longer one: 马上 in "a horse jumps up and down" (马上下跳动)."""
    if hit[0][0] != "manner" or words.table.get(stems[: size - 1]) is None:
        return False
    return any(words.table.get(stems[size - 1 : end]) is not None for end in range(size + size, len(stems) + 1))


def _mention(
    hit: tuple[Meaning, str], tokens: list[Token], start: int, end: int, text: str, fixed: bool = False
) -> Mention:
    (kind, key), word = hit
    first, last = tokens[start].start, tokens[end - 1].end
    surface = text[first:last]
    if kind == "word":
        key, word = " ".join(token.stem for token in tokens[start:end] if not passed_over(token)), surface
    many = kind == "noun" and surface.lower() != word and surface.lower().split()[-1] == plural(word).split()[-1]
    return Mention(kind, key, surface, first, last, word, many, fixed)


def _joined(found: list[Mention], text: str) -> list[Mention]:
    """Unknown Chinese characters beside each other are one word; "orange" is a colour before what it colours."""
    joined: list[Mention] = []
    for i, mention in enumerate(found):
        last = joined[-1] if joined else None
        beside = last is not None and last.kind == mention.kind == "word" and last.end == mention.start
        if last is not None and beside and is_chinese(mention.text + last.text):
            whole = text[last.start : mention.end]
            joined[-1] = Mention("word", whole, whole, last.start, mention.end, whole)
            continue
        following = found[i + 1].kind if i + 1 < len(found) else ""
        if mention.text.lower() == "orange" and mention.kind in ("noun", "colour"):
            kind = "colour" if following in ("noun", "word") else "noun"
            mention = Mention(kind, "orange", mention.text, mention.start, mention.end, "orange")
        joined.append(mention)
    return joined


@cache
def corrected(word: str) -> str | None:
    """The known word of which this is a slip: a letter dropped, doubled, added or swapped, one wrong in a long word.

    None where there is none, or more than one. Words of fewer than five letters are left alone.
    """
    if len(word) < 4 or not word.isascii() or word in _right():
        return None
    known = lexicon("en").spellings
    if word.endswith("in") and stem(word + "g") in known:
        return stem(word + "g")  # "hoppin"
    near = {known_word for known_word in known if len(known_word) > 3 and _slip(word, known_word)}
    return near.pop() if len(near) == 1 else None


@cache
def _right() -> frozenset[str]:
    return frozenset(stem(word) for word in data("forms")["right"]["words"].split())


def _slip(word: str, known: str) -> bool:
    if word[0] != known[0] or abs(len(word) - len(known)) > 1 or min(len(word), len(known)) < 4:
        return False
    if len(word) == len(known):
        wrong = [i for i, (a, b) in enumerate(zip(word, known, strict=True)) if a != b]
        if len(wrong) == 2 and wrong[1] == wrong[0] + 1 and len(word) > 4:
            return word[wrong[0]] == known[wrong[1]] and word[wrong[1]] == known[wrong[0]]
        return len(wrong) == 1 and len(word) > 6
    short, long = sorted((word, known), key=len)
    dropped = any(long[:i] + long[i + 1 :] == short for i in range(1, len(long)))
    return dropped and len(long) > 5
