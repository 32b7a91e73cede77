# SPDX-License-Identifier: GPL-3.0-or-later
"""English forms: articles, plurals, the third person and the -ing form."""

from __future__ import annotations

import re

VOWELS = "aeiou"
PLURALS = {
    "mouse": "mice", "sheep": "sheep", "deer": "deer", "fish": "fish", "person": "people", "tomato": "tomatoes",
    "aircraft": "aircraft",
}  # fmt: skip
# A vowel letter that sounds like a consonant, and the other way round.
CONSONANT_SOUND = ("uni", "use", "usual", "euro", "one", "ufo", "ute")
VOWEL_SOUND = ("hour", "honest", "suv", "mpv", "lp", "mp4", "8", "11", "18")
THIRD = {"be": "is", "have": "has", "do": "does", "go": "goes"}
ING = {"be": "being", "lie": "lying", "die": "dying", "tie": "tying"}


def article(phrase: str) -> str:
    """Return "a" or "an", as the sound of the phrase's first word asks."""
    first = phrase.lower()
    if first.startswith(VOWEL_SOUND):
        return "an"
    return "an" if first[:1] in VOWELS and not first.startswith(CONSONANT_SOUND) else "a"


def plural(noun: str) -> str:
    """Return the plural of a noun or of a phrase whose head stands last, or before "of", "on" or "with"."""
    head, link, rest = re.match(r"(.*?)((?: (?:of|on|with|in) )?)((?<= ).*)?$", noun).groups()  # type: ignore[union-attr]
    if link:
        return plural(head) + link + rest
    start, space, word = noun.rpartition(" ")
    return start + space + _plural_word(word)


def _plural_word(word: str) -> str:
    front, hyphen, last = word.rpartition("-")
    for singular, many in PLURALS.items():
        if last == singular:
            return front + hyphen + many
    if word.endswith("man"):
        return word[:-2] + "en"
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2] not in VOWELS:
        return word[:-1] + "ies"
    return word + "s"


def third_person(verb: str) -> str:
    """Return the form for he, she and it: "run" gives "runs"."""
    if verb in THIRD:
        return THIRD[verb]
    if verb.endswith(("s", "x", "z", "ch", "sh", "o")):
        return verb + "es"
    if verb.endswith("y") and verb[-2] not in VOWELS:
        return verb[:-1] + "ies"
    return verb + "s"


def gerund(verb: str) -> str:
    """Return the -ing form: "run" gives "running"."""
    if verb in ING:
        return ING[verb]
    if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")):
        return verb[:-1] + "ing"
    closed = re.search(r"(?:^|[^aeiou])[aeiou][bdglmnprtv]$", verb)
    if closed and len(re.findall(r"[aeiouy]+", verb)) == 1:
        return verb + verb[-1] + "ing"
    return verb + "ing"
