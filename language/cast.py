# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is in a storyboard: what a name looks like is stated once and said again in every prompt that has the name."""

from __future__ import annotations

import re
from collections.abc import Mapping

LETTER = r"[A-Za-z0-9_\u00c0-\u024f]"  # beside which a name in Latin letters is part of another word


def with_cast(prompt: str, cast: Mapping[str, str]) -> str:
    """Put the looks in the place of each name; a name's second time in the prompt only points to the first.

    >>> with_cast("Mia runs, then Mia sleeps", {"Mia": "a red panda"})
    'a red panda runs, then the red panda sleeps'
    """
    if not cast:
        return prompt
    names = sorted(cast, key=len, reverse=True)  # "Mia Lin" before "Mia"
    pattern = "|".join(f"(?<!{LETTER}){re.escape(n)}(?!{LETTER})" if _latin(n) else re.escape(n) for n in names)
    seen: set[str] = set()

    def looks(found: re.Match[str]) -> str:
        name = found[0]
        if name in seen:
            return again(cast[name])
        seen.add(name)
        return cast[name]

    return re.sub(pattern, looks, prompt)


def again(looks: str) -> str:
    """Return looks that were stated before: "a red panda" as "the red panda", "一只小熊猫" as "那只小熊猫"."""
    if looks.startswith("一"):
        return "那" + looks[1:]
    return re.sub(r"^(?:a|an|one)\s+", "the ", looks, flags=re.IGNORECASE)


def _latin(name: str) -> bool:
    return re.fullmatch(LETTER, name[0]) is not None or re.fullmatch(LETTER, name[-1]) is not None
