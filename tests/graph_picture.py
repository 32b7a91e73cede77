# SPDX-License-Identifier: GPL-3.0-or-later
"""The README's picture of a workflow that was run in the real front end.

``.venv/bin/python tests/graph_picture.py [--workflow FILE.json] [--picture docs/images/text_to_video.jpg]`` starts a
ComfyUI of its own, runs the workflow in Chromium, and takes the nodes with what they show then.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import conftest
from host_fixtures import BROWSER_FLAGS, READY, running_server

from comfyui_spacetime.host import tools
from comfyui_spacetime.host.comfy import find_host

WAIT = 600_000  # milliseconds
WIDTH, MARGIN, TITLE = 1360, 14, 30  # pixels of the picture, around the nodes, and of a node's title
LOOK = {
    "Comfy.Minimap.Visible": False,
    "Comfy.UseNewMenu": "Disabled",
    "Comfy.Locale": "en",
    "Comfy.NodeBadge.NodeSourceBadgeMode": "None",
}
LOAD = "async workflow => { await app.loadGraphData(workflow, true, true, 'picture') }"
DONE = "() => app.graph._nodes.every(n => n.type !== 'SaveVideo' || document.querySelector('video')?.readyState >= 2)"
FIT = """([width, margin, title]) => {
    const nodes = app.graph._nodes;
    const left = Math.min(...nodes.map(n => n.pos[0])), top = Math.min(...nodes.map(n => n.pos[1])) - title;
    const right = Math.max(...nodes.map(n => n.pos[0] + n.size[0]));
    const bottom = Math.max(...nodes.map(n => n.pos[1] + n.size[1]));
    const scale = (width - 2 * margin) / (right - left);
    app.canvas.ds.scale = scale;
    app.canvas.ds.offset = [margin / scale - left, margin / scale - top];
    app.canvas.setDirty(true, true);
    return Math.ceil((bottom - top) * scale + 2 * margin);
}"""
HIDE = ".p-toast, .comfy-menu, .comfyui-menu, .graph-canvas-menu, .p-buttongroup, .side-toolbar-container, .comfy-logo"


def take(url: str, workflow: dict[str, Any]) -> Any:
    """Run a workflow and return a picture of its nodes."""
    from PIL import Image
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=tools.find_chromium(), args=BROWSER_FLAGS)
        page = browser.new_page(viewport={"width": WIDTH + 40, "height": 900})
        page.goto(url, wait_until="domcontentloaded", timeout=WAIT)
        page.wait_for_function(READY, timeout=WAIT)
        settings = "app.extensionManager.setting"
        page.evaluate(
            f"async look => {{ for (const [key, value] of look) await {settings}.set(key, value) }}", list(LOOK.items())
        )
        page.evaluate(LOAD, workflow)
        page.evaluate("async () => { await app.queuePrompt(0, 1) }")
        page.wait_for_function(DONE, timeout=WAIT)
        page.add_style_tag(content=f"{HIDE} {{ display: none !important }}")
        page.wait_for_timeout(2000)  # the preview grows its node
        height = page.evaluate(FIT, [WIDTH, MARGIN, TITLE])
        page.wait_for_timeout(1000)
        box = page.locator("#graph-canvas").bounding_box()
        clip = {"x": box["x"], "y": box["y"], "width": WIDTH, "height": height}
        shot = page.screenshot(clip=clip, timeout=WAIT)
        browser.close()
    return Image.open(io.BytesIO(shot)).convert("RGB")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workflow", type=Path, default=conftest.ROOT / "workflows" / "text_to_video.json")
    parser.add_argument("--picture", type=Path, default=conftest.ROOT / "docs" / "images" / "text_to_video.jpg")
    options = parser.parse_args()
    workflow = json.loads(options.workflow.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        (base / "input").mkdir()
        with running_server(find_host(), base) as url:
            take(url, workflow).save(options.picture, quality=82)


if __name__ == "__main__":
    main()
