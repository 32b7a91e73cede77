# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages that only the command line and the tests need, where Python is the user's own.

Nothing is installed into a ComfyUI that the user names. What its Python lacks (click, pytest ...) goes into a folder
of this clone, one per Python version, that is searched after everything else.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from . import entry, setup

# where the name to import is not the package's
IMPORT_NAMES = {
    "types-PyYAML": "yaml-stubs",
    "types-tqdm": "tqdm-stubs",
    "opencv-python-headless": "cv2",
    "c2pa-python": "c2pa",
    "pytest-xdist": "xdist",
}


def in_own_environment() -> bool:
    """Tell whether this Python is the one that the set-up made."""
    return Path(sys.prefix).resolve() == setup.VENV.resolve()


def package_name(requirement: str) -> str:
    """Return the name in a requirement such as ``pytest>=8,<10``."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    if match is None:
        raise ValueError(f"{requirement!r} does not begin with a package's name")
    return match.group()


def missing(requirements: Iterable[str]) -> list[str]:
    """Return those of ``requirements`` whose package this Python cannot find."""
    return [line for line in requirements if not _found(package_name(line))]


def _found(name: str) -> bool:
    module = IMPORT_NAMES.get(name, name.replace("-", "_"))
    if "-" in module:  # a folder of type stubs cannot be imported
        return any((Path(place or ".") / module).is_dir() for place in sys.path)
    return importlib.util.find_spec(module) is not None


def ensure(requirements: Iterable[str]) -> None:
    """Make packages importable, installing those that are missing into this clone; raises SetupError."""
    wanted = missing(requirements)
    if not wanted:
        return
    names = ", ".join(map(package_name, wanted))
    sys.stderr.write(f"{sys.executable} lacks {names}: installing into {entry.TOOLS} (your ComfyUI is not changed)\n")
    with setup.only_one():
        report = setup.Report(1)
        with report.step(f"packages for the command line: {names}"):
            arguments = ["install", "--target", str(entry.TOOLS), "--upgrade", *wanted]
            setup.run_pip(arguments, names, report, python=_python_with_pip())
    entry.extend_path()
    importlib.invalidate_caches()


def _python_with_pip() -> Path:
    if importlib.util.find_spec("pip") is not None:
        return Path(sys.executable)
    raise setup.SetupError(f"{sys.executable} has no pip; add it with: {sys.executable} -m ensurepip")


def find_chromium() -> str | None:
    """Return a Chromium or Chrome for the browser tests: $CHROMIUM, or the first one on the PATH."""
    if os.environ.get("CHROMIUM"):
        return os.environ["CHROMIUM"]
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next((found for found in map(shutil.which, names) if found), None)
