# SPDX-License-Identifier: GPL-3.0-or-later
"""Loads the clone as the package ``comfyui_spacetime``, whatever its folder is called, and shares the fixtures."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

_spec = importlib.util.spec_from_file_location("spacetime_entry", ROOT / "host" / "entry.py")
assert _spec is not None and _spec.loader is not None
_entry = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_entry)
_entry.extend_path()
_entry.load_package()

from host_fixtures import (
    chromium,
    chromium_page,
    comfy_host,
    host_base,
    inprocess,
    server,
)


@pytest.fixture(scope="session")
def root() -> Path:
    """The clone's root folder."""
    return ROOT
