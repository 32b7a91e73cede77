# SPDX-License-Identifier: GPL-3.0-or-later
"""The pieces of the text encoder: every word of the training captions, then letters, common pieces, characters.

Words that only held-out wordings use are not among them: those are spelt from pieces that training has seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from ....language.english import gerund, plural, third_person
from ....models.text import WORDS
from . import kinds

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
ENDINGS = """
s es ed ing er est ly y th ch sh on an in at or ar en al le st nd ty ny py gy by dy ey ie ies car bike ball room tion
ment ness ful less ish man men cat ship bear ea oo ee ou ai
"""
PUNCTUATION = ".,;:!?'\"()-，。；：！？、"
# Words of the grammar itself.
GRAMMAR = (
    "a an the same that those another other some several with while and then camera is are they them their it its one"
    " two three four five stroke strokes brushstroke brushstrokes bite bites on along 这 那 另外 一 两 三 四 五"
    " 些 张 段 镜头 同时 旁边 有 它 们 他 的 道 笔 笔触 口 个 在 滚动 移动 里 中 上"
)


def phrases() -> Iterator[str]:
    """Every wording of the training data, verbs and nouns in all their forms."""
    yield GRAMMAR
    for kind, classes in kinds().items():
        if kind == "ways":
            continue
        for entry in classes.values():
            for field, values in entry.items():
                if field.endswith("_held"):
                    continue
                for value in values:
                    yield re.sub(r"\{\w+\}|\*", " ", value)
                    for verb in re.findall(r"\*(\w+)", value):
                        yield f"{third_person(verb)} {gerund(verb)}"
                    if kind in ("nouns", "hypernyms") and field.startswith("en"):
                        yield plural(value)
                    if kind == "verbs" and field == "en":
                        yield f"{third_person(value)} {gerund(value)}"


@cache
def vocabulary() -> tuple[str, ...]:
    """Pieces for the text encoder, in a fixed order."""
    words: dict[str, None] = {}
    for phrase in phrases():
        for word in WORDS.findall(phrase.lower()):
            words.setdefault(word)
    pieces = [*words, *PUNCTUATION, *LETTERS, *(f"#{c}" for c in LETTERS), *(f"#{e}" for e in ENDINGS.split())]
    return tuple(dict.fromkeys(pieces))
