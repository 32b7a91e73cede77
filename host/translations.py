# SPDX-License-Identifier: GPL-3.0-or-later
"""The texts of the nodes in the languages of ``locales/``, and what of them is missing or older than the English.

``python -P host/entry.py host.translations`` writes ``locales/en/nodeDefs.json`` from the nodes and lists the faults of
the other languages, those of the error sentences (``host/sentences.py``) too; ``--accept`` notes that their texts now
say what the English ones say.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from . import sentences
from .setup import ROOT

LOCALES = ROOT / "locales"
ENGLISH = "en"
LANGUAGES = ("zh", "zh-TW")
NODES, WORDS, MADE_FROM = "nodeDefs.json", "main.json", "made_from.json"
PREFIX = "Spacetime"  # of our nodes' ids
PARTS = ("required", "optional")  # inputs that a user sees


def english_texts(catalogue: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the content of the English nodeDefs.json: what our nodes' schemas say."""
    return {kind: _texts_of(catalogue[kind]) for kind in sorted(catalogue) if kind.startswith(PREFIX)}


def _texts_of(node: Mapping[str, Any]) -> dict[str, Any]:
    inputs = {}
    for part in PARTS:
        for name in node["input_order"].get(part, []):
            entry = node["input"][part][name]
            options = entry[1] if len(entry) > 1 else {}
            inputs[name] = {"name": options.get("display_name") or name, "tooltip": options.get("tooltip", "")}
    tooltips = node.get("output_tooltips") or [""] * len(node["output_name"])
    outputs = {
        str(slot): {"name": name, "tooltip": tooltip or ""}
        for slot, (name, tooltip) in enumerate(zip(node["output_name"], tooltips, strict=True))
    }
    texts = {"display_name": node["display_name"], "description": node["description"], "inputs": inputs}
    return texts | ({"outputs": outputs} if outputs else {})


def flat(texts: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Yield the texts of nested objects with their places: ("SpacetimeShots.inputs.seed.tooltip", "Another ...")."""
    for key, value in texts.items():
        place = f"{before}.{key}" if before else key
        if isinstance(value, Mapping):
            yield from flat(value, place)
        else:
            yield place, value


def read(language: str, file: str) -> dict[str, Any]:
    """Return a file of a language, empty where there is none."""
    path = LOCALES / language / file
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def write(language: str, file: str, content: Mapping[str, Any]) -> None:
    """Write a file of a language."""
    path = LOCALES / language / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def mark(text: str) -> str:
    """Return a short sign of an English text, by which a translation knows what it was made from."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def faults(language: str, english: Mapping[str, Any]) -> list[str]:
    """Say, a line for each, what a language lacks, has too much, or has from an older English text.

    english: the nodes' own texts, as ``english_texts`` gives them.
    """
    found = []
    made_from = read(language, MADE_FROM)
    for file, source in ((NODES, english), (WORDS, read(ENGLISH, WORDS))):
        theirs, ours = dict(flat(source)), dict(flat(read(language, file)))
        for place, text in theirs.items():
            if text and not ours.get(place):
                found.append(f"locales/{language}/{file} lacks {place}: {text!r}")
            elif text and made_from.get(place) != mark(text):
                found.append(f"locales/{language}/{file} has an older {place} ({ours[place]!r}); now it is {text!r}")
        found += [f"locales/{language}/{file} has {place}, which is gone" for place in ours if place not in theirs]
    return found


def accept(language: str, english: Mapping[str, Any]) -> None:
    """Note that every text of a language was made from the English one of now."""
    texts = [*flat(english), *flat(read(ENGLISH, WORDS))]
    write(language, MADE_FROM, {place: mark(text) for place, text in texts if text})


def main(arguments: list[str]) -> int:
    """Write the English texts, list what the other languages lack, and accept them where asked to."""
    from .comfy import find_host
    from .runner import Runner

    english = english_texts(Runner(find_host(), None, ["--verbose", "WARNING"]).object_info)
    write(ENGLISH, NODES, english)
    found: list[str] = []
    for language in LANGUAGES:
        if "--accept" in arguments:
            accept(language, english)
        found += faults(language, english) + sentences.faults(language)
    sys.stdout.writelines(f"{line}\n" for line in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
