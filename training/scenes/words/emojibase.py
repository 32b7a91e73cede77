# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks the names taken from emojibase-data against the package itself.

Package: emojibase-data 17.0.0 (npm, MIT, Copyright (c) 2017-2019 Miles Johnson). Of its labels and tags the data
files keep, by the nouns' code points, what was chosen by hand. Run it with
``python -P host/entry.py training.scenes.words.emojibase``; it fetches 7 MB with npm and needs nothing else.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..nouns import NOUNS
from . import kinds

PACKAGE = "emojibase-data@17.0.0"
SHA256 = "d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a"
LANGUAGES = ("en", "zh")
# Painted over another animal's picture, so that the names of that one are not its names.
REPAINTED = ("red panda",)


def code(hexcode: str) -> str:
    """A code point sequence as the pictures are named, without the mark for colour."""
    return hexcode.lower().replace("-fe0f", "")


def by_code(entries: list[dict[str, Any]]) -> dict[str, set[str]]:
    """Label and tags of every emoji of a language, in small letters, by code point."""
    return {code(e["hexcode"]): {name.lower() for name in (e["label"], *e.get("tags", ()))} for e in entries}


def strangers(names: Mapping[str, Mapping[str, set[str]]]) -> list[str]:
    """Words that the data files say are emojibase's and that ``names`` (language, code point, names) does not have."""
    wrong = []
    for noun, entry in kinds()["nouns"].items():
        for language in LANGUAGES:
            known = set() if noun in REPAINTED else names[language].get(code(NOUNS[noun].code), set())
            wrong += [f"{noun}: {word}" for word in entry.get(language, ()) if word.lower() not in known]
    return wrong


def fetch(folder: Path) -> dict[str, dict[str, set[str]]]:
    """Fetch the package into ``folder`` and read its names.

    Raises RuntimeError when npm is missing, the package cannot be had or its checksum is another.
    """
    if shutil.which("npm") is None:
        raise RuntimeError("the names come from an npm package: install npm (Debian: apt install npm)")
    done = subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=folder, capture_output=True, text=True, check=False)
    archives = list(folder.glob("*.tgz"))
    if done.returncode or not archives:
        raise RuntimeError(f"npm could not fetch {PACKAGE}: {done.stderr.strip() or done.stdout.strip()}")
    digest = hashlib.sha256(archives[0].read_bytes()).hexdigest()
    if digest != SHA256:
        raise RuntimeError(f"{PACKAGE} has checksum {digest}, expected {SHA256}; it is not used")
    names = {}
    with tarfile.open(archives[0]) as archive:
        for language in LANGUAGES:
            member = archive.extractfile(f"package/{language}/data.json")
            if member is None:
                raise RuntimeError(f"{PACKAGE} lacks its names in {language}")
            names[language] = by_code(json.load(member))
    return names


def main() -> None:
    """Fetch, compare, and fail with the list of words that are not the package's."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with tempfile.TemporaryDirectory() as scratch:
        wrong = strangers(fetch(Path(scratch)))
    if wrong:
        sys.exit(f"not in {PACKAGE}: {', '.join(wrong)}")
    logging.getLogger("spacetime.training").info("every name is in %s", PACKAGE)


if __name__ == "__main__":
    main()
