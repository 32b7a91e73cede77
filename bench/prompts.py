# SPDX-License-Identifier: GPL-3.0-or-later
"""Prompt expansion: the share of prompts of which nothing is lost, per engine, before and after repair."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..host import shims
from ..language.expand import Engine, EngineError, Expansion, Request, expand
from ..language.facts import check
from ..language.rules import Rules
from ..language.styles import style_named, styles
from ._cases import add_json, write_json

FILE = Path(__file__).with_suffix(".txt")
NEAR = 40  # characters between words that belong together
DENIED = r"(?:(?:no|not|without|never|free of|any|or|nor)\W+(?:\w+\W+){0,2}|(?:没有|不要|无|不带|没))"
STORY = (
    "An old lighthouse stands on a grey rock above the sea. Its keeper climbs the stairs with a lamp, counts the steps "
    "and opens the door to the gallery. Gulls circle below him, and the wind pulls at his coat. "
)


@dataclass(frozen=True)
class Case:
    """A prompt and what has to survive it; see the head of ``prompts.txt``."""

    kind: str
    prompt: str
    kept: tuple[str, ...]


def cases(text: str) -> Iterator[Case]:
    """Read the list of prompts."""
    kind = ""
    story = " ".join((STORY * 20).split()[:500])
    for line in text.splitlines():
        if re.fullmatch(r"\[[\w ]+\]", line):
            kind = line[1:-1]
        elif "=>" in line and not line.startswith("#"):
            prompt, _, kept = line.rpartition("=>")
            words = tuple(word.strip() for word in kept.split(", ") if word.strip())
            yield Case(kind, prompt.strip().replace("{500}", story), words)


def survives(case: Case, text: str, negative: str) -> bool:
    """Whether all that has to survive does, by the words alone: the list knows nothing of the engine's own check."""
    return bool(text) and all(_holds(demand, text, negative) for demand in case.kept)


def _holds(demand: str, text: str, negative: str) -> bool:
    if demand.startswith("!"):
        return demand[1:].strip().lower() not in text.lower()
    if demand.startswith("-"):
        word = _pattern(demand[1:])
        affirmed = re.search(word, re.sub(DENIED + word, " ", text, flags=re.IGNORECASE), re.IGNORECASE)
        return re.search(word, negative, re.IGNORECASE) is not None or not affirmed
    return any(_near(choice, text) for choice in demand.split("/"))


def _near(choice: str, text: str) -> bool:
    """Whether the words of a choice stand in this order and near each other."""
    words = [_pattern(word) for word in choice.split("+")]
    return re.search(rf".{{0,{NEAR}}}?".join(words), text, re.IGNORECASE | re.DOTALL) is not None


def _pattern(word: str) -> str:
    word = re.escape(word.strip().strip('"'))
    return rf"(?<![a-z]){word}(?:s|es)?(?![a-z])" if word.isascii() and word[-1:].isalnum() else word


class Recorded:
    """Stands for a language model: keeps what it wrote, so that the text is judged with and without repair."""

    def __init__(self, engine: Engine) -> None:
        self.name, self.sees, self._engine = engine.name, engine.sees, engine
        self.text = ""

    def write(self, request: Request, progress: Any) -> str:
        """Return and keep the engine's text."""
        self.text = self._engine.write(request, progress)
        return self.text


def measure(engine: Engine, style: str, chosen: list[Case], show: bool) -> dict[str, Any]:
    """The figures of an engine over some prompts."""
    row: dict[str, Any] = {"engine": engine.name, "style": style, "prompts": len(chosen)}
    sums = dict.fromkeys(("kept before", "kept after", "check before", "check after", "repaired", "refused"), 0)
    began = time.monotonic()
    for number, case in enumerate(chosen):
        recorded = Recorded(engine)
        engines: list[Engine] = [recorded] if engine.name == "rules" else [recorded, Rules()]
        made: Expansion = expand(Request(case.prompt, style_named(style), seed=number), engines)
        before = recorded.text
        sums["kept before"] += survives(case, before, made.negative)
        sums["kept after"] += survives(case, made.text, made.negative)
        sums["check before"] += bool(before) and check(case.prompt, before, made.negative).faithful
        sums["check after"] += bool(made.text) and made.verdict.faithful
        sums["repaired"] += any(note.startswith("repaired") for note in made.notes)
        sums["refused"] += made.engine != engine.name
        if show or not survives(case, made.text, made.negative):
            print(f"[{case.kind}] {case.prompt[:80]}\n    {made.text[:300]}", file=sys.stderr)
            print(f"    {made.negative} {made.notes}", file=sys.stderr)
    share = {name: round(count / max(len(chosen), 1), 3) for name, count in sums.items()}
    return row | share | {"s each": round((time.monotonic() - began) / max(len(chosen), 1), 3)}


def engine_named(name: str, model: Path | None) -> Engine:
    """The engine to measure; ``model`` is a folder or GGUF file for "local"."""
    if name == "rules":
        return Rules()
    if name == "server":
        from ..language.server import ServerEngine, find_server

        return ServerEngine(find_server())
    if model is None:
        raise SystemExit("--engine local needs --model FOLDER")
    shims.install()
    import torch

    from ..language.local import LocalEngine, load_model

    loaded = load_model(model.name, model, torch.bfloat16)
    return LocalEngine(lambda: loaded)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=("rules", "local", "server"), default="rules")
    parser.add_argument("--model", type=Path, help="for local: a folder with safetensors, or a GGUF file")
    parser.add_argument("--style", choices=tuple(styles()), nargs="+", default=list(styles()))
    parser.add_argument("--every", type=int, default=1, help="take every n-th prompt only")
    parser.add_argument("--show", action="store_true", help="print every text, not only those that lost something")
    add_json(parser)
    args = parser.parse_args()
    chosen = list(cases(FILE.read_text(encoding="utf-8")))[:: args.every]
    try:
        engine = engine_named(args.engine, args.model)
        rows = [measure(engine, style, chosen, args.show) for style in args.style]
    except EngineError as error:
        raise SystemExit(str(error)) from error
    print("| " + " | ".join(rows[0]) + " |")
    print("|" + "---|" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(str(value) for value in row.values()) + " |")
    write_json(args.json, "prompts", {"engine": args.engine, "every": args.every}, rows)


if __name__ == "__main__":
    main()
