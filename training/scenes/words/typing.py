# SPDX-License-Identifier: GPL-3.0-or-later
"""How people type: in small letters, without punctuation, with slips."""

from __future__ import annotations

import re

import numpy as np

# Chinese slips: another character of the same sound.
SAME_SOUND = {
    "的": "得",
    "在": "再",
    "像": "象",
    "它": "他",
    "再": "在",
    "着": "者",
    "做": "作",
    "蜜": "密",
    "辆": "量",
}


def typed(text: str, style: str, rng: np.random.Generator) -> str:
    """The text in a style of typing: "lower case", "no punctuation" or any other, which leaves it as it is."""
    if style == "lower case" or (style == "keywords" and rng.random() < 0.5):
        return text.lower()
    if style == "no punctuation":
        bare = re.sub(r"[,.;:!?]", "", text)
        bare = re.sub(r"[，。；：！？]", lambda _: " " if rng.random() < 0.5 else "", bare).strip()
        return bare.lower() if rng.random() < 0.7 else bare
    return text


def clip_spelling(text: str, rng: np.random.Generator, words: frozenset[str]) -> str:
    """Slip in one word: a letter dropped, doubled or swapped with the next, a character taken for its homophone.

    Left as it is: short words, and whatever would become another word of ``words``.
    """
    places = list(re.finditer(r"[A-Za-z]{4,}", text))
    if not places:
        slips = [i for i, c in enumerate(text) if c in SAME_SOUND]
        if not slips:
            return text
        i = slips[int(rng.integers(len(slips)))]
        return text[:i] + SAME_SOUND[text[i]] + text[i + 1 :]
    found = places[int(rng.integers(len(places)))]
    word, at = found[0], int(rng.integers(1, len(found[0]) - 1))
    kind = int(rng.integers(3))
    if kind == 0:
        slip = word[:at] + word[at + 1 :]
    elif kind == 1:
        slip = word[:at] + word[at] + word[at:]
    else:
        slip = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return text if slip.lower() in words else text[: found.start()] + slip + text[found.end() :]
