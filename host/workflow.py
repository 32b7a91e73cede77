# SPDX-License-Identifier: GPL-3.0-or-later
"""Workflow files: reading them, and turning the editor's format into the one that ComfyUI executes.

ComfyUI saves two kinds of JSON. The UI format is what artists open and share; the API format is what the server
runs. Only the browser converts one into the other; ``to_api`` does it here, with the same result.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .graph import BYPASSED, EDITOR_ONLY, MUTED, Graph, Node, ObjectInfo, Output, Value, WorkflowError
from .widgets import input_values

ApiGraph = dict[str, dict[str, Any]]

__all__ = ["ApiGraph", "Prompt", "WorkflowError", "is_api_format", "load_workflow", "to_api"]


@dataclass
class Prompt:
    """A graph ready to run, with what is needed to talk about it in the user's terms.

    ``graph`` is in API format. ``aliases`` maps ``(node id, input)`` of a node that exists only in the editor (a
    primitive, a subgraph's promoted widget) to the inputs of real nodes that hold its value. ``idle`` maps the ids
    of muted and bypassed nodes to their titles. ``workflow`` is the UI-format file, None if there was none.
    ``changed`` names the nodes whose inputs were set after the conversion.
    """

    graph: ApiGraph
    workflow: dict[str, Any] | None = None
    aliases: dict[tuple[str, str], list[tuple[str, str]]] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    idle: dict[str, str] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)

    def title(self, node: str) -> str:
        """Return the title of a node, its type if it has none."""
        entry = self.graph.get(node, {})
        return self.titles.get(node) or (entry.get("_meta") or {}).get("title") or entry.get("class_type") or node

    def describe(self, node: str) -> str:
        """Name a node for a message: its title, id and type."""
        kind = self.graph.get(node, {}).get("class_type")
        title = self.title(node)
        return f'"{title}" (node {node})' if kind in (None, title) else f'"{title}" (node {node}, {kind})'


def load_workflow(path: Path) -> dict[str, Any]:
    """Read a workflow file of either format. Raises WorkflowError with the place of a fault in the JSON."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise WorkflowError(f"There is no file {path}.") from None
    except IsADirectoryError:
        raise WorkflowError(f"{path} is a folder; name a workflow file in it.") from None
    except UnicodeDecodeError:
        raise WorkflowError(f"{path} is not text; save the workflow as JSON and give that file.") from None
    except OSError as error:
        raise WorkflowError(f"{path} cannot be read: {error.strerror or error}.") from None
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise WorkflowError(
            f"{path} is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}. "
            "A workflow is a whole file, as ComfyUI exports it."
        ) from None
    if isinstance(data, dict) and isinstance(data.get("prompt"), dict) and is_api_format(data["prompt"]):
        data = data["prompt"]  # the body of a request to the server
    if not isinstance(data, dict) or not (is_api_format(data) or isinstance(data.get("nodes"), list)):
        raise WorkflowError(
            f"{path} is JSON but no ComfyUI workflow: it has neither a list of nodes (UI format) "
            "nor nodes with a class_type (API format)."
        )
    return data


def is_api_format(data: dict[str, Any]) -> bool:
    """Tell whether the file is in API format: every entry a node with its type and inputs."""
    return bool(data) and all(isinstance(node, dict) and "class_type" in node for node in data.values())


def to_api(workflow: dict[str, Any], object_info: ObjectInfo) -> Prompt:
    """Turn a workflow of either format into a Prompt.

    ``object_info`` maps a node type to the host's description of it. Nodes of unknown type are kept with the inputs
    that are linked, so that the caller can name them all at once. Raises WorkflowError for a broken file.
    """
    if is_api_format(workflow):
        return _from_api(workflow, object_info)
    definitions = {str(d["id"]): d for d in (workflow.get("definitions") or {}).get("subgraphs") or []}
    prompt = Prompt({}, workflow)
    try:
        for graph, node in Graph(workflow, definitions, object_info).walk():
            _add_node(prompt, graph, node, object_info)
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise WorkflowError(
            f"The workflow file is damaged ({type(error).__name__}: {error}); open it in ComfyUI and save it again."
        ) from error
    _drop_dangling(prompt.graph)
    return prompt


def _from_api(workflow: ApiGraph, object_info: ObjectInfo) -> Prompt:
    graph: ApiGraph = {}
    for key, node in workflow.items():
        definition = object_info.get(node["class_type"]) or {}
        title = (node.get("_meta") or {}).get("title") or definition.get("display_name") or node["class_type"]
        graph[str(key)] = {
            "inputs": dict(node.get("inputs") or {}),
            "class_type": node["class_type"],
            "_meta": {"title": title},
        }
    return Prompt(graph)


def _add_node(prompt: Prompt, graph: Graph, node: Node, object_info: ObjectInfo) -> None:
    kind = str(node["type"])
    name = graph.node_id(node)
    inner = graph.inside(node)
    definition = object_info.get(kind)
    title = node.get("title") or (definition or {}).get("display_name") or (inner.raw.get("name") if inner else kind)
    if kind.startswith(("workflow>", "workflow/")):
        raise WorkflowError(
            f'"{title}" (node {name}) is a group node, which ComfyUI has given up: convert it to a subgraph '
            "in ComfyUI (right click, Convert to Subgraph) and save the workflow again."
        )
    prompt.titles[name] = str(title)
    if node.get("mode", 0) in (MUTED, BYPASSED):
        prompt.idle[name] = str(title)
        return
    if inner is not None or kind in EDITOR_ONLY:
        return
    values = {} if definition is None else input_values(definition, node.get("widgets_values"))
    inputs = {key: _wrap(value) for key, value in values.items()}
    for slot in node.get("inputs") or []:
        if slot.get("link") is None:
            continue
        source = graph.source(slot["link"], slot.get("type", "*"))
        if isinstance(source, Output):
            inputs[slot["name"]] = [source.node, source.slot]
        elif isinstance(source, Value):
            inputs[slot["name"]] = _wrap(source.value)
            prompt.aliases.setdefault((source.node, source.name), []).append((name, slot["name"]))
    prompt.graph[name] = {"inputs": inputs, "class_type": kind, "_meta": {"title": str(title)}}


def _wrap(value: Any) -> Any:
    """Mark a list as a value: the server reads a bare list as a link."""
    return {"__value__": value} if isinstance(value, list) else value


def _drop_dangling(graph: ApiGraph) -> None:
    """Remove inputs whose source node is not part of the result (it was muted, or is of the editor only)."""
    for node in graph.values():
        inputs = node["inputs"]
        for name in [key for key, value in inputs.items() if is_link(value) and value[0] not in graph]:
            del inputs[name]


def is_link(value: Any) -> bool:
    """Tell whether an API-format input is a link ``[node id, slot]``."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int)
