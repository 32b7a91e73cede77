# SPDX-License-Identifier: GPL-3.0-or-later
"""What an artist does in the browser: open a template, queue it, see the video play in the node."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tiny import write_tiny_checkpoint

pytestmark = [pytest.mark.browser, pytest.mark.host]

PACK = "ComfyUI-Spacetime"
WAIT = 180_000
LISTEN = """() => {
    const first = !window.seen;
    window.seen = [];
    if (first) for (const kind of ['executed', 'execution_success', 'execution_error', 'execution_interrupted'])
        app.api.addEventListener(kind, event => seen.push([kind, event.detail]));
}"""
ENDED = """() => (app.lastNodeErrors && Object.keys(app.lastNodeErrors).length)
    || seen.some(([kind]) => kind.startsWith('execution_'))"""
MISSING = """() => app.graph._nodes
    .filter(n => n.has_errors || !LiteGraph.registered_node_types[n.type]).map(n => n.type)"""
SET = """(wishes) => {
    for (const [type, name, value] of wishes)
        app.graph._nodes.find(n => n.type === type).widgets.find(w => w.name === name).value = value;
}"""
LAY_OUT = """(types) => {
    app.graph.clear();
    const nodes = types.map((type, index) => {
        const node = LiteGraph.createNode(type);
        node.pos = [60 + 420 * index, 60];
        app.graph.add(node);
        return node;
    });
    nodes.slice(1).forEach((node, index) => nodes[index].connect(0, node, "video"));
    Object.assign(app.canvas.ds, { scale: 0.9, offset: [20, 100] });
    app.canvas.setDirty(true, true);
}"""
PLAYS = """type => {
    const shown = app.graph._nodes.find(n => n.type === type).widgets.find(w => w.name === 'video-preview');
    const video = shown?.element.querySelector('video');
    return video?.readyState >= 2 && video.videoWidth === 256 && !video.error && [video.src, video.duration];
}"""
INSIDE = """app.graph._nodes.every(node =>
    node.widgets.every(w => !w.computedHeight || w.y + w.computedHeight <= node.size[1] + 1))"""
SMALL = [
    ["SpacetimeLoadModel", "checkpoint", "tiny.safetensors"],
    ["SpacetimeEmptyLatent", "size", 64],
    ["SpacetimeSampler", "steps", 2],
]


@pytest.fixture(scope="module")
def artefacts(root: Path) -> Path:
    folder = root / "output" / "test-artefacts"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def page(host_base: Path, chromium_page: Any) -> Any:
    write_tiny_checkpoint(host_base / "models" / "spacetime" / "tiny.safetensors")
    return chromium_page


def open_workflow(page: Any, root: Path, name: str) -> dict[str, Any]:
    workflow = json.loads((root / "workflows" / f"{name}.json").read_text(encoding="utf-8"))
    page.evaluate("async workflow => { await app.loadGraphData(workflow, true, true, 'test') }", workflow)
    return workflow


def queue(page: Any) -> list[Any]:
    """Queue the graph on the canvas and return the host's events once it has ended."""
    page.evaluate(LISTEN)
    page.evaluate("async () => { await app.queuePrompt(0, 1) }")
    page.wait_for_function(ENDED, timeout=WAIT)
    assert not page.evaluate("app.lastNodeErrors"), page.evaluate("app.lastNodeErrors")
    assert page.evaluate("seen.at(-1)[0]") == "execution_success", page.evaluate("app.lastExecutionError")
    return page.evaluate("seen")


def test_the_template_opens_from_the_list_runs_and_its_video_plays_in_the_node(page: Any, artefacts: Path) -> None:
    page.evaluate("app.extensionManager.command.execute('Comfy.BrowseTemplates')")
    page.get_by_text(PACK, exact=True).first.click(timeout=WAIT)
    search = page.get_by_placeholder(re.compile(r"Search ?\.\.\.")).last  # the list shows more only when it is scrolled
    for name in ("text_to_image", "text_to_video"):
        search.fill(name)
        card = page.get_by_title(name, exact=True)
        card.wait_for(timeout=WAIT)
    page.screenshot(path=artefacts / "templates.png")
    card.click()
    page.wait_for_function("() => app.graph._nodes.some(n => n.type === 'SpacetimeSampler')", timeout=WAIT)
    assert page.evaluate(MISSING) == []

    page.evaluate(SET, [*SMALL, ["SpacetimeEmptyLatent", "seconds", 1.0]])
    queue(page)
    playing = "() => [...document.querySelectorAll('video')].find(v => v.readyState >= 2 && !v.error)"
    page.wait_for_function(playing, timeout=WAIT)
    shape = page.evaluate(f"() => {{ const v = ({playing})(); return [v.videoWidth, v.videoHeight, v.duration] }}")
    assert shape == [64, 64, pytest.approx(9 / 8, abs=0.02)]
    page.evaluate(f"async () => {{ const v = ({playing})(); v.muted = true; v.loop = true; await v.play() }}")
    page.wait_for_function(f"() => ({playing})().currentTime > 0.1", timeout=WAIT)
    page.screenshot(path=artefacts / "text_to_video.png")


def test_the_image_workflow_runs_and_shows_its_pictures(page: Any, root: Path, artefacts: Path) -> None:
    open_workflow(page, root, "text_to_image")
    assert page.evaluate(MISSING) == []
    page.evaluate(SET, [*SMALL, ["SpacetimeEmptyLatent", "batch_size", 2]])
    events = queue(page)
    outputs = [detail["output"] for kind, detail in events if kind == "executed"]
    assert [len(output["images"]) for output in outputs if "images" in output] == [2]
    shown = "n => n.type === 'SaveImage' && n.imgs?.length === 2 && n.imgs[0].naturalWidth === 64"
    page.wait_for_function(f"() => app.graph._nodes.some({shown})", timeout=WAIT)
    page.screenshot(path=artefacts / "text_to_image.png")


def test_the_empty_latent_shows_the_legal_clip_while_its_values_change(page: Any, root: Path) -> None:
    open_workflow(page, root, "text_to_video")
    widgets = "app.graph._nodes.find(n => n.type === 'SpacetimeEmptyLatent').widgets"
    line = f"{widgets}.find(w => w.name === 'clip')?.element.textContent"
    page.wait_for_function(f"() => {line}?.startsWith('256 x 256, 33 frames')", timeout=WAIT)
    page.evaluate(f"() => {{ const w = {widgets}.find(w => w.name === 'seconds'); w.value = 0; w.callback(0) }}")
    page.wait_for_function(f"() => {line}?.includes('an image')", timeout=WAIT)


def widget(kind: str, name: str) -> str:
    """Name a widget of a node in the page."""
    return f"app.graph._nodes.find(n => n.type === '{kind}').widgets.find(w => w.name === '{name}')"


def widget_values(workflow: dict[str, Any]) -> dict[int, Any]:
    """Values by node, save of Save Video, whose widgets differ from one host version to the next."""
    return {n["id"]: (n["type"], n.get("widgets_values") or []) for n in workflow["nodes"] if n["type"] != "SaveVideo"}


@pytest.mark.parametrize("name", ["text_to_video", "text_to_image"])
def test_a_workflow_survives_opening_and_saving(page: Any, root: Path, name: str) -> None:
    """The file has the values the front end reads from it: none is lost or shifted."""
    workflow = open_workflow(page, root, name)
    written = json.loads(page.evaluate("() => JSON.stringify(app.graph.serialize())"))
    assert widget_values(written) == widget_values(workflow)
    assert len(written["links"]) == len(workflow["links"])


def test_every_node_has_a_help_page(page: Any, server: str) -> None:
    types = page.evaluate("() => Object.keys(LiteGraph.registered_node_types).filter(t => t.startsWith('Spacetime'))")
    assert len(types) >= 5
    for kind in types:
        answer = page.request.get(f"{server}/extensions/{PACK}/docs/{kind}.md")
        assert answer.ok, kind
        assert answer.text().startswith("# ")


def test_a_video_is_uploaded_saved_and_verified(page: Any, root: Path, artefacts: Path) -> None:
    """An artist's own clip: chosen with the upload button, played in Load Video, saved, played again, looked into."""
    page.evaluate(LAY_OUT, ["SpacetimeLoadVideo", "SpacetimeSaveVideo", "SpacetimeVerifyVideo"])
    with page.expect_file_chooser(timeout=WAIT) as chooser:
        page.evaluate(f"() => {widget('SpacetimeLoadVideo', 'upload')}.callback()")
    chooser.value.set_files(root / "workflows" / "inputs" / "turtle_beach.mp4")
    page.wait_for_function(f"() => {widget('SpacetimeLoadVideo', 'file')}.value === 'turtle_beach.mp4'", timeout=WAIT)
    page.wait_for_function(f"({PLAYS})('SpacetimeLoadVideo')", timeout=WAIT)

    page.evaluate(SET, [["SpacetimeLoadVideo", "duration", 1.0], ["SpacetimeSaveVideo", "filename_prefix", "kept/a"]])
    events = queue(page)
    shown = {detail["node"]: detail["output"] for kind, detail in events if kind == "executed"}
    assert shown["2"]["images"] == [{"filename": "a_00001_.mp4", "subfolder": "kept", "type": "output"}]
    assert "8 frames, 256x256, 8 fps" in shown["2"]["text"][0] and "not altered" in shown["3"]["text"][0]
    page.wait_for_function(f"({PLAYS})('SpacetimeSaveVideo')", timeout=WAIT)
    source, seconds = page.evaluate(f"(({PLAYS})('SpacetimeSaveVideo'))")
    assert "filename=a_00001_.mp4" in source and seconds == pytest.approx(1.0, abs=0.02)
    page.wait_for_function(f"() => {INSIDE}", timeout=WAIT)
    page.screenshot(path=artefacts / "load_save_verify.png")
