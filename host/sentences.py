# SPDX-License-Identifier: GPL-3.0-or-later
"""The sentences with which nodes fail, as templates, and what of them a language lacks.

``web/errors/<language>.json`` gives each template ("There is no file {0}.") its translation, and the words that are put
into templates theirs. The front end (``web/errors.js``) says an error anew that fits one of the templates.
"""

from __future__ import annotations

import ast
import builtins
import json
import re
from typing import Any

from .setup import ROOT

ROOMS = ("language", "models", "nodes", "video")
ERRORS = ROOT / "web" / "errors"
BLANK = re.compile(r"\{\d+\}")


def template_of(node: ast.expr | None) -> str | None:
    """Return a text of the source with {0}, {1} ... where values are put in; None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if not isinstance(node, ast.JoinedStr):
        return None
    text, blanks = "", 0
    for part in node.values:
        if isinstance(part, ast.Constant):
            text += str(part.value)
        else:
            text += f"{{{blanks}}}"
            blanks += 1
    return text


def raised() -> set[str]:
    """Return the templates of all sentences that the pack raises; Python's own errors are for programmers."""
    found = set()
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not (isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args):
                    continue
                name = node.exc.func.id if isinstance(node.exc.func, ast.Name) else ""
                template = template_of(node.exc.args[0])
                if template and not hasattr(builtins, name):
                    found.add(template)
    return found


def read(language: str) -> dict[str, Any]:
    """Return the file of a language: "sentences" and "words"."""
    return dict(json.loads((ERRORS / f"{language}.json").read_text(encoding="utf-8")))


def faults(language: str) -> list[str]:
    """Say, a line for each, which sentences a language lacks, has too many, or fills in otherwise."""
    sentences, now, file = read(language)["sentences"], raised(), f"web/errors/{language}.json"
    found = [f"{file} lacks {text!r}" for text in sorted(now - sentences.keys())]
    found += [f"{file} has {text!r}, which is gone" for text in sorted(sentences.keys() - now)]
    for text, translation in sentences.items():
        if not set(BLANK.findall(translation)) <= set(BLANK.findall(text)):
            found.append(f"{file} puts something into {translation!r} that {text!r} does not have")
    return found
