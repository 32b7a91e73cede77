# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of the nodes for the help pages and the README, taken from the front end of a running ComfyUI in Chromium.

``./spacetime serve`` in one terminal, then ``python -P host/entry.py host.pictures URL [NODE ...]``; without names it
takes the nodes whose picture is missing or older than their inputs. Playwright is one of the test packages.
"""

from __future__ import annotations

import io
import json
import sys
import urllib.request
from collections.abc import Mapping
from typing import Any

from . import entry, tools
from .setup import ROOT
from .translations import PARTS, PREFIX, mark

DOCS = ROOT / "web" / "docs"
MARKS = DOCS / "pictures.json"  # what each node was like when its picture was taken
READY = "() => window.app && app.vueAppReady && window.LiteGraph && LiteGraph.registered_node_types['KSampler']"
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
    marks = json.loads(MARKS.read_text(encoding="utf-8")) if MARKS.is_file() else {}
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
    element.wait_for(timeout=60_000)
    page.wait_for_timeout(2000)  # its widgets are laid out, a timeline reads its text
    box = element.bounding_box()
    clip = {"x": box["x"] - MARGIN, "y": box["y"] - MARGIN}
    clip |= {"width": box["width"] + 2 * MARGIN, "height": box["height"] + 2 * MARGIN}
    picture = Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB")
    picture.save(DOCS / f"{kind}.webp", quality=QUALITY, method=6)


def main(arguments: list[str]) -> int:
    """Take the pictures and note what the nodes are like."""
    entry.extend_path()
    from playwright.sync_api import sync_playwright

    url, *wanted = arguments
    with urllib.request.urlopen(f"{url}/object_info") as answer:
        catalogue = json.load(answer)
    wanted = wanted or stale(catalogue)
    marks = json.loads(MARKS.read_text(encoding="utf-8")) if MARKS.is_file() else {}
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=tools.find_chromium(), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 900, "height": 1400}, device_scale_factor=1.25)
        page.goto(url, wait_until="domcontentloaded", timeout=180_000)
        page.wait_for_function(READY, timeout=180_000)
        settings = "app.extensionManager.setting"
        before = page.evaluate(f"look => Object.keys(look).map(key => [key, {settings}.get(key)])", LOOK)
        page.evaluate(
            f"async look => {{ for (const [key, v] of look) await {settings}.set(key, v) }}", list(LOOK.items())
        )
        page.add_style_tag(content="body > .p-toast, [role=alert]:not(.spacetime-message) { display: none }")
        for number, kind in enumerate(wanted, 1):
            take(page, kind, number)
            marks[kind] = picture_mark(catalogue[kind])
        page.evaluate(f"async look => {{ for (const [key, v] of look) await {settings}.set(key, v) }}", before)
        browser.close()
    kept = {kind: sign for kind, sign in sorted(marks.items()) if kind in catalogue}
    MARKS.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
