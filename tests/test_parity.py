# SPDX-License-Identifier: GPL-3.0-or-later
"""The converter against the real front end: ``app.graphToPrompt()`` in Chromium, on our workflows and stock templates.

``parity_exceptions.json`` lists what differs, per version of the front end, with the reason. Entries that are not
needed any more fail too, so the list cannot grow stale. Two numbers are equal when they are for JavaScript (2 and 2.0).
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from host_fixtures import READY, running_server

from comfyui_spacetime.host.graph import EDITOR_ONLY
from comfyui_spacetime.host.workflow import to_api

pytestmark = pytest.mark.browser
EXCEPTIONS = json.loads(Path(__file__).with_name("parity_exceptions.json").read_text(encoding="utf-8"))
# what is loaded is not drawn: laying out each node's page elements takes half of the time
CONVERT = """async workflow => {
    document.body.style.display = 'none';
    try {
        await app.loadGraphData(workflow, true, false, null);
        return (await app.graphToPrompt()).output;
    } catch (error) { return {error: String(error)}; }
}"""


def front_end_version() -> str:
    """The version of the front end in ``major.minor``, by which exceptions are listed."""
    return ".".join(importlib.metadata.version("comfyui-frontend-package").split(".")[:2])


def template_files() -> list[Path]:
    """Every stock template that the host's template packages ship in UI format."""
    spec = importlib.util.find_spec("comfyui_workflow_templates")
    if spec is None or spec.origin is None:
        pytest.skip("this ComfyUI's Python has no comfyui-workflow-templates")
    folder = Path(spec.origin).parent.parent
    files = sorted(path for package in folder.glob("comfyui_workflow_templates*") for path in package.rglob("*.json"))
    return [path for path in files if isinstance(read(path), dict) and isinstance(read(path).get("nodes"), list)]


@functools.cache
def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def node_types(workflow: dict[str, Any]) -> set[str]:
    subgraphs = (workflow.get("definitions") or {}).get("subgraphs") or []
    used = {node["type"] for graph in (workflow, *subgraphs) for node in graph["nodes"]}
    return used - {graph["id"] for graph in subgraphs} - EDITOR_ONLY


def as_javascript(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: as_javascript(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [as_javascript(entry) for entry in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def without_editor_widgets(graph: dict[str, Any], added: dict[str, list[str]]) -> dict[str, Any]:
    """Leave out inputs that the front end adds for itself and the server ignores."""
    return {
        name: [
            node["class_type"],
            {key: value for key, value in node["inputs"].items() if key not in added.get(node["class_type"], [])},
        ]
        for name, node in graph.items()
    }


class Comparison:
    """What comparing many workflows found."""

    def __init__(self, page: Any, catalogue: dict[str, Any]) -> None:
        self.page, self.catalogue = page, catalogue
        self.listed = EXCEPTIONS.get(front_end_version(), {"inputs": {}, "templates": {}})
        self.different: dict[str, str] = {}
        self.added_seen: set[tuple[str, str]] = set()
        self.compared: set[str] = set()

    def compare(self, path: Path) -> None:
        theirs = self.page.evaluate(CONVERT, read(path))
        self.compared.add(path.stem)
        if "error" in theirs:
            self.different[path.stem] = f"the front end fails: {theirs['error']}"
            return
        added = {kind: list(names) for kind, names in self.listed["inputs"].items()}
        ours = to_api(read(path), self.catalogue).graph
        for node in theirs.values():
            kind = node["class_type"]
            self.added_seen |= {(kind, name) for name in added.get(kind, []) if name in node["inputs"]}
        first, second = (as_javascript(without_editor_widgets(graph, added)) for graph in (theirs, ours))
        if json.dumps(first, sort_keys=True) != json.dumps(second, sort_keys=True):
            nodes = sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))
            self.different[path.stem] = f"differs at {', '.join(nodes[:5])}"

    def verdict(self, share: float) -> None:
        """Fail for an unlisted difference, an exception that is not needed, or too few that agree."""
        known = {name: reason for name, reason in self.listed["templates"].items() if name in self.compared}
        assert {name: what for name, what in self.different.items() if name not in known} == {}, "new differences"
        assert [name for name in known if name not in self.different] == [], "exceptions that are not needed any more"
        kinds = {kind for path in self.compared for kind in node_types(read(self.paths[path]))}
        stale = [
            (kind, name)
            for kind, names in self.listed["inputs"].items()
            for name in names
            if kind in kinds and (kind, name) not in self.added_seen
        ]
        assert stale == [], "inputs that the front end does not add any more"
        agree = len(self.compared) - len(self.different)
        print(f"{agree} of {len(self.compared)} workflows agree with front end {front_end_version()}")
        assert agree >= share * len(self.compared)

    def run(self, paths: list[Path]) -> None:
        self.paths = {path.stem: path for path in paths}
        for path in paths:
            self.compare(path)


def all_nodes(server: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{server}/object_info") as answer:
        return dict(json.load(answer))


def test_our_workflows_agree(chromium_page: Any, server: str, root: Path):
    catalogue = all_nodes(server)
    ours = sorted((root / "workflows").glob("*.json"))
    assert ours
    for path in ours:
        unknown = node_types(read(path)) - catalogue.keys()
        assert not unknown, f"{path.name} uses {unknown}"
    comparison = Comparison(chromium_page, catalogue)
    comparison.run(ours)
    assert comparison.different == {}


@pytest.mark.slow
def test_stock_templates_agree(chromium_page: Any, server: str):
    catalogue = all_nodes(server)
    comparison = Comparison(chromium_page, catalogue)
    comparison.run([path for path in template_files() if node_types(read(path)) <= catalogue.keys()])
    assert len(comparison.compared) >= 100
    comparison.verdict(share=0.95)


@pytest.mark.slow
def test_templates_of_paid_services_agree(chromium: Any, comfy_host: Any, tmp_path: Path):
    """The nodes of paid services are only described, never run; a server of its own knows them."""
    with running_server(comfy_host, tmp_path, without=("--disable-api-nodes",)) as url:
        page = chromium.new_page()
        page.goto(url, wait_until="domcontentloaded")
        page.wait_for_function(READY, timeout=180_000)
        catalogue = all_nodes(url)
        paid = {kind for kind, node in catalogue.items() if node.get("api_node")}
        comparison = Comparison(page, catalogue)
        files = [path for path in template_files() if node_types(read(path)) <= catalogue.keys()]
        comparison.run([path for path in files if node_types(read(path)) & paid])
        page.close()
    assert comparison.compared
    comparison.verdict(share=0.95)
