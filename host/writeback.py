# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting settings from the command line back into the UI-format workflow.

A saved video carries the workflow that made it. Who drags it into ComfyUI must find the prompt and the seed that
were really used, not those of the file on disk.
"""

from __future__ import annotations

import copy
from typing import Any

from .graph import ObjectInfo
from .widgets import input_values, widgets_in_order
from .workflow import Prompt, is_link


def workflow_as_run(prompt: Prompt, object_info: ObjectInfo) -> dict[str, Any] | None:
    """Return the workflow with the values of every changed node; None if the file was in API format.

    A node inside a subgraph is changed in the subgraph's definition; the value on the outside of a subgraph node and
    that of a primitive are changed as well, because they would win when the workflow is opened.
    """
    if prompt.workflow is None or not prompt.changed:
        return prompt.workflow
    workflow = copy.deepcopy(prompt.workflow)
    for name in sorted(prompt.changed):
        node = _find(workflow, name)
        definition = object_info.get(prompt.graph[name]["class_type"])
        if node is not None and definition is not None:
            node["widgets_values"] = _values(node, definition, prompt.graph[name]["inputs"])
    for (holder, _), targets in prompt.aliases.items():
        target, name = targets[0]
        node = _find(workflow, holder)
        if target in prompt.changed and node is not None:
            _set_outer(node, targets, prompt.graph[target]["inputs"].get(name), prompt)
    return workflow


def _find(workflow: dict[str, Any], name: str) -> dict[str, Any] | None:
    definitions = {str(d["id"]): d for d in (workflow.get("definitions") or {}).get("subgraphs") or []}
    graph: dict[str, Any] = workflow
    node: dict[str, Any] | None = None
    for part in name.split(":"):
        if node is not None:
            graph = definitions.get(str(node["type"]), {})
        node = next((entry for entry in graph.get("nodes") or [] if str(entry["id"]) == part), None)
        if node is None:
            return None
    return node


def _values(node: dict[str, Any], definition: dict[str, Any], inputs: dict[str, Any]) -> Any:
    """Return ``widgets_values`` with the values of API inputs; linked inputs keep what was stored."""
    stored = node.get("widgets_values")
    constants = {key: _unwrapped(value) for key, value in inputs.items() if not is_link(value)}
    if isinstance(stored, dict):
        return stored | {key: value for key, value in constants.items() if key in stored}
    old = input_values(definition, stored)
    controls = _controls(definition, stored or [])
    values: list[Any] = []
    while len(widgets := widgets_in_order(definition, values)) > len(values):
        widget = widgets[len(values)]
        if widget.name is None:
            before = widgets[len(values) - 1].name if values else None
            values.append(controls.get(before, "fixed"))
        else:
            values.append(constants.get(widget.name, old.get(widget.name, widget.default)))
    return values


def _controls(definition: dict[str, Any], stored: list[Any]) -> dict[str | None, Any]:
    """Return the front end's own values by the name of the widget before them."""
    widgets = widgets_in_order(definition, stored)
    return {
        widgets[position - 1].name: stored[position]
        for position, widget in enumerate(widgets)
        if widget.name is None and 0 < position < len(stored)
    }


def _set_outer(node: dict[str, Any], targets: list[tuple[str, str]], value: Any, prompt: Prompt) -> None:
    """Replace the outer value that equals what was converted: a primitive's first, or a subgraph widget's."""
    stored = node.get("widgets_values")
    if node.get("type") == "PrimitiveNode" and stored:
        stored[0] = _unwrapped(value)
        return
    names = [slot["name"] for slot in node.get("inputs") or [] if slot.get("widget")]
    outer = next((name for (_, name), places in prompt.aliases.items() if places is targets), None)
    if isinstance(stored, list) and len(names) == len(stored) and outer in names:
        stored[names.index(outer)] = _unwrapped(value)


def _unwrapped(value: Any) -> Any:
    return value["__value__"] if isinstance(value, dict) and "__value__" in value else value
