# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures that bring up a ComfyUI with this pack, each once per test session (the browser once per module).

``inprocess``: a Runner, the host loaded into the test process. ``server``: the URL of a running server.
``chromium_page``: a browser page with that server's front end open. They share one base directory, ``host_base``,
so a test finds what the host wrote in ``host_base / "output"``.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

READY = "() => window.app && app.vueAppReady && window.LiteGraph && LiteGraph.registered_node_types['KSampler']"
BROWSER_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def comfy_host() -> Any:
    """The ComfyUI that the tests use; its tests are skipped with the reason where there is none."""
    from comfyui_spacetime.host.comfy import HostError, find_host

    try:
        return find_host()
    except HostError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def host_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds the host's input, output, models and temp during the tests."""
    base = tmp_path_factory.mktemp("host")
    (base / "custom_nodes").mkdir()
    shutil.copy(Path(__file__).with_name("host_nodes.py"), base / "custom_nodes" / "host_nodes.py")
    return base


@pytest.fixture(scope="session")
def inprocess(comfy_host: Any, host_base: Path) -> Any:
    """The host in this process, with the pack loaded."""
    from comfyui_spacetime.host.runner import Runner

    return Runner(comfy_host, host_base, ["--verbose", "WARNING"])


@pytest.fixture(scope="session")
def server(comfy_host: Any, host_base: Path) -> Iterator[str]:
    """The URL of a ComfyUI server with the pack, on a free loopback port."""
    with running_server(comfy_host, host_base) as url:
        yield url


@contextlib.contextmanager
def running_server(host: Any, base: Path, without: tuple[str, ...] = ()) -> Iterator[str]:
    """Run a server of ``host`` that reads and writes in ``base``; ``without`` takes flags away."""
    from comfyui_spacetime.host import serve

    _skip_first_visit(base)
    quiet = ("--preview-method", "none")  # or events come that a run in the process does not send
    with serve.running_server(host, base, base / "server.log", quiet, without) as url:
        yield url


def _skip_first_visit(base: Path) -> None:
    """Write the settings that keep the front end from opening its template browser over the page."""
    settings = base / "user" / "default" / "comfy.settings.json"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(json.dumps({"Comfy.TutorialCompleted": True, "Comfy.InstalledVersion": "1.32.9"}))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A headless Chromium, for one module: its driver keeps an event loop running in this thread, in which neither
    ``inprocess`` nor ``Client`` can run. Without a Chromium the browser tests are skipped.
    """
    from comfyui_spacetime.host import tools

    executable = tools.find_chromium()
    if executable is None:
        pytest.skip("no Chromium found: set $CHROMIUM, or install one (apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, headless=True, args=BROWSER_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def chromium_page(chromium: Any, server: str) -> Iterator[Any]:
    """A page with the front end of ``server`` ready; one for all tests of a module, so load your own graph first."""
    page = chromium.new_page(viewport={"width": 1400, "height": 900})
    page.goto(server, wait_until="domcontentloaded", timeout=180_000)
    page.wait_for_function(READY, timeout=180_000)
    yield page
    page.close()
