# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of the nodes for the help pages and the README, taken from the real front end in Chromium.

``.venv/bin/python tests/node_pictures.py [NODE ...]`` starts a ComfyUI of its own and takes those whose picture is
missing or older than the node, or the ones named. ``--server URL`` takes a running one instead.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import shutil
import tempfile
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import conftest
from host_fixtures import BROWSER_FLAGS, READY, running_server

from comfyui_spacetime.host import tools
from comfyui_spacetime.host.comfy import find_host
from comfyui_spacetime.host.translations import PARTS, PREFIX, mark

DOCS = conftest.ROOT / "web" / "docs"
MARKS = DOCS / "pictures.json"  # what each node was like when its picture was taken
FILM = next(iter(sorted((conftest.ROOT / "workflows" / "inputs").glob("*.mp4"))))
LOOK = {"Comfy.VueNodes.Enabled": True, "Comfy.Locale": "en", "Comfy.NodeBadge.NodeSourceBadgeMode": "None"}
SHOW = """([kind, number]) => {
    app.graph.clear();
    app.graph.last_node_id = 100 * number; // an id of its own: Vue nodes remember sizes by id
    const node = LiteGraph.createNode(kind);
    node.pos = [120, 120];
    app.graph.add(node);
    node.setSize([Math.max(node.size[0], 340), node.computeSize()[1]]);
    Object.assign(app.canvas.ds, {scale: 1, offset: [0, 0]});
    app.canvas.setDirty(true, true);
}"""
MARGIN = 8  # pixels around a node, for its sockets
WAIT = 600_000  # milliseconds
QUALITY = 70  # of a WebP: sharp text at about 10 KiB


def picture_mark(node: Mapping[str, Any]) -> str:
    """Return a sign of what a picture shows of a node: its title, inputs with their defaults, and outputs."""
    inputs = [
        (name, (node["input"][part][name][1:] or [{}])[0].get("default"))
        for part in PARTS
        for name in node["input_order"].get(part, [])
    ]
    return mark(json.dumps([node["display_name"], inputs, node["output_name"]]))


def stale(catalogue: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the ids of our nodes whose picture is missing or older than the node."""
    marks = read_marks()
    ours = [kind for kind in sorted(catalogue) if kind.startswith(PREFIX)]
    return [
        kind
        for kind in ours
        if not (DOCS / f"{kind}.webp").is_file() or marks.get(kind) != picture_mark(catalogue[kind])
    ]


def take(page: Any, kind: str, number: int) -> None:
    """Write the picture of a node; ``number`` is another one for each."""
    from PIL import Image

    page.evaluate(SHOW, [kind, number])
    element = page.locator("[data-node-id]").first
    element.wait_for(timeout=WAIT)
    page.wait_for_timeout(2000)  # its widgets are laid out, a timeline reads its text
    box = element.bounding_box()
    clip = {"x": box["x"] - MARGIN, "y": box["y"] - MARGIN}
    clip |= {"width": box["width"] + 2 * MARGIN, "height": box["height"] + 2 * MARGIN}
    picture = Image.open(io.BytesIO(page.screenshot(clip=clip, timeout=WAIT))).convert("RGB")
    picture.save(DOCS / f"{kind}.webp", quality=QUALITY, method=6)


def read_marks() -> dict[str, str]:
    return dict(json.loads(MARKS.read_text(encoding="utf-8"))) if MARKS.is_file() else {}


def take_all(url: str, wanted: list[str]) -> None:
    """Take the pictures of some nodes and note what the nodes are like."""
    from playwright.sync_api import sync_playwright

    with urllib.request.urlopen(f"{url}/object_info") as answer:
        catalogue = json.load(answer)
    wanted = wanted or stale(catalogue)
    marks = read_marks()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=tools.find_chromium(), args=BROWSER_FLAGS)
        page = browser.new_page(viewport={"width": 900, "height": 1400}, device_scale_factor=1.25)
        page.goto(url, wait_until="domcontentloaded", timeout=WAIT)
        page.wait_for_function(READY, timeout=WAIT)
        settings = "app.extensionManager.setting"
        before = page.evaluate(f"look => Object.keys(look).map(key => [key, {settings}.get(key)])", LOOK)
        set_all = f"async look => {{ for (const [key, value] of look) await {settings}.set(key, value) }}"
        page.evaluate(set_all, list(LOOK.items()))
        for number, kind in enumerate(wanted, 1):
            take(page, kind, number)
            marks[kind] = picture_mark(catalogue[kind])
        page.evaluate(set_all, before)
        browser.close()
    kept = {kind: sign for kind, sign in sorted(marks.items()) if kind in catalogue}
    MARKS.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nodes", nargs="*", metavar="NODE", help="ids such as SpacetimeShots")
    parser.add_argument("--server", metavar="URL", help="a running ComfyUI with the pack")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        url = options.server
        if url is None:
            base = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            (base / "input").mkdir()
            shutil.copy(FILM, base / "input")  # for the nodes that show a file
            url = stack.enter_context(running_server(find_host(), base))
        take_all(url, options.nodes)


if __name__ == "__main__":
    main()
