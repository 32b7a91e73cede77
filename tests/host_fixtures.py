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
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ENTRY = Path(__file__).resolve().parent.parent / "host" / "entry.py"
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
    _skip_first_visit(base)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    flags = [flag for flag in host.flags(base) if flag not in without]
    command = [str(host.python), "-P", str(ENTRY), "host.launch", str(host.root), *flags]
    command += ["--listen", "127.0.0.1", "--port", str(port)]
    log_path = base / "server.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_up(url, process, log_path)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _skip_first_visit(base: Path) -> None:
    """Write the settings that keep the front end from opening its template browser over the page."""
    settings = base / "user" / "default" / "comfy.settings.json"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(json.dumps({"Comfy.TutorialCompleted": True, "Comfy.InstalledVersion": "1.32.9"}))


def _wait_until_up(url: str, process: subprocess.Popen[bytes], log: Path, seconds: float = 180.0) -> None:
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/system_stats", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    tail = log.read_text(encoding="utf-8", errors="replace")[-3000:]
    raise RuntimeError(f"the ComfyUI server did not come up (exit status {process.poll()}):\n{tail}")


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
