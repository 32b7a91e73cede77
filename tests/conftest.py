# SPDX-License-Identifier: GPL-3.0-or-later
"""Loads the clone as the package ``comfyui_spacetime``, whatever its folder is called, and shares the fixtures."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SERVER = "server"
FIRST = (SERVER, "test_readme", "test_parallel")

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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """For several processes: what needs the server is one group and comes first, then the long ones, file by file."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group_of(item)))
    if config.getoption("numprocesses") or hasattr(config, "workerinput"):
        items.sort(key=lambda item: FIRST.index(group_of(item)) if group_of(item) in FIRST else len(FIRST))


def group_of(item: pytest.Item) -> str:
    """Return the name of the tests that run in the same process as this one."""
    needs = getattr(item, "fixturenames", ())
    return SERVER if "chromium" in needs or "server" in needs else item.path.stem


@pytest.fixture(scope="session")
def root() -> Path:
    """The clone's root folder."""
    return ROOT
