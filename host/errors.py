# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong in a run, in sentences: which node, which input, what to do."""

from __future__ import annotations

import difflib
from typing import Any

from .graph import ObjectInfo, WorkflowError
from .widgets import input_specs
from .workflow import Prompt

__all__ = ["Cancelled", "ExecutionFailed", "InvalidPrompt", "require_known_types", "validation_message"]

# exceptions whose message needs no name in front: plain ones, and those of this pack
SENTENCES = {
    "", "ValueError", "RuntimeError", "ExecutionBlocked",
    "InputError", "VideoError", "CheckpointError", "CaptionerError", "StoryboardError", "EngineError",
}  # fmt: skip


class InvalidPrompt(WorkflowError):
    """The host refuses the graph before running it."""


class ExecutionFailed(RuntimeError):
    """A node failed while running. ``details`` holds the host's traceback, one line per entry."""

    def __init__(self, message: str, node: str | None = None, details: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.node = node
        self.details = details


class Cancelled(RuntimeError):
    """The user stopped the run; ``signal`` is the signal that said so, if one did."""

    signal: int | None = None


def require_known_types(prompt: Prompt, object_info: ObjectInfo) -> None:
    """Raise InvalidPrompt listing every node whose type the host does not have, with the pack it came from."""
    packs = _packs_by_type(prompt.workflow)
    missing: dict[str, list[str]] = {}
    for node, entry in prompt.graph.items():
        if object_info.get(entry["class_type"]) is None:
            missing.setdefault(entry["class_type"], []).append(node)
    if not missing:
        return
    lines = []
    for kind, nodes in missing.items():
        pack = packs.get(kind)
        if pack == "comfy-core":
            hint = "part of ComfyUI itself: this ComfyUI is older or newer than the workflow, or could not load it"
        else:
            hint = f"from the pack {pack}" if pack else "the file does not say from which pack"
        lines.append(f"  {kind} ({'node' if len(nodes) == 1 else 'nodes'} {', '.join(nodes)}): {hint}")
    raise InvalidPrompt(
        "This ComfyUI does not have these node types:\n"
        + "\n".join(lines)
        + "\nInstall the packs into its custom_nodes folder, or remove the nodes from the workflow."
    )


def _packs_by_type(workflow: dict[str, Any] | None) -> dict[str, str]:
    graphs = [workflow or {}, *(((workflow or {}).get("definitions") or {}).get("subgraphs") or [])]
    packs: dict[str, str] = {}
    for graph in graphs:
        for node in graph.get("nodes") or []:
            properties = node.get("properties") or {}
            pack = properties.get("cnr_id") or properties.get("aux_id")
            if pack:
                packs.setdefault(str(node.get("type")), str(pack))
    return packs


def validation_message(prompt: Prompt, error: Any, node_errors: dict[str, Any] | None, object_info: ObjectInfo) -> str:
    """Put the host's answer to an invalid graph into sentences, one line per fault."""
    lines = [
        _sentence(prompt, str(node), fault, object_info)
        for node, entry in (node_errors or {}).items()
        for fault in entry.get("errors") or []
    ]
    if lines:
        return "\n".join(dict.fromkeys(lines))
    if not isinstance(error, dict):
        return str(error)
    if error.get("type") == "prompt_no_outputs":
        return "The workflow saves nothing: it has no output node (such as Save Video) that is switched on."
    details = error.get("details")
    return f"{error.get('message')}{f' ({details})' if details else ''}."


def _sentence(prompt: Prompt, node: str, fault: dict[str, Any], object_info: ObjectInfo) -> str:
    kind = fault.get("type")
    extra = fault.get("extra_info") or {}
    name = extra.get("input_name")
    config = extra.get("input_config") or []
    options = config[1] if len(config) > 1 and isinstance(config[1], dict) else {}
    value = extra.get("received_value")
    where = f'Input "{name}" of {prompt.describe(node)}' if name else prompt.describe(node)
    if kind == "required_input_missing":
        wanted = _input_type(object_info, prompt.graph.get(node, {}).get("class_type", ""), str(name))
        return f"{where} is missing: connect {wanted} to it."
    if kind == "value_not_in_list":
        return f'{where} has no choice "{value}".{_choices(config, options, value)}'
    if kind == "value_smaller_than_min":
        return f"{where} is {value}; the least is {options.get('min')}."
    if kind == "value_bigger_than_max":
        return f"{where} is {value}; the most is {options.get('max')}."
    if kind == "invalid_input_type":
        return f'{where} takes {_article(config)}, not "{value}".'
    if kind == "return_type_mismatch":
        linked = extra.get("linked_node") or []
        origin = f" from {prompt.describe(str(linked[0]))}" if linked else ""
        return f"{where} gets the wrong kind of value{origin} ({fault.get('details')}); connect one of the right type."
    if kind == "bad_linked_input":
        return f"{where} has a broken link; connect it again."
    if kind == "custom_validation_failed":
        reason = str(fault.get("details") or "").removeprefix(f"{name} - ")
        return f"{where}: {(reason or 'the node refuses this value').removesuffix('.')}."
    if kind == "dependency_cycle":
        return f"The links form a circle at {prompt.describe(node)}: {fault.get('details')}."
    return f"{where}: {fault.get('message')} ({fault.get('details')})."


def _input_type(object_info: ObjectInfo, kind: str, name: str) -> str:
    definition = object_info.get(kind)
    for known, spec in input_specs(definition) if definition else ():
        if known == name and isinstance(spec[0], str):
            return f"{'an' if spec[0][:1] in 'AEIO' else 'a'} {spec[0]}"
    return "a value"


def _article(config: list[Any]) -> str:
    names = {"INT": "a whole number", "FLOAT": "a number", "STRING": "text", "BOOLEAN": "true or false"}
    return names.get(str(config[0]), str(config[0])) if config else "another type"


def _choices(config: list[Any], options: dict[str, Any], value: Any) -> str:
    listed = config[0] if config and isinstance(config[0], list) else options.get("options") or []
    names = [str(entry) for entry in listed]
    near = difflib.get_close_matches(str(value), names, n=3, cutoff=0.5)
    if near:
        return f" Did you mean {' or '.join(near)}?"
    if not names:
        return " There is nothing to choose from: put a file into the folder that this input lists."
    return f" It takes one of: {', '.join(names[:20])}{', ...' if len(names) > 20 else ''}."


def execution_failure(prompt: Prompt, data: dict[str, Any]) -> ExecutionFailed:
    """Make the error for the host's ``execution_error`` message."""
    node = str(data.get("node_id"))
    reason = str(data.get("exception_message") or "").strip() or "no reason given"
    kind = str(data.get("exception_type") or "").rpartition(".")[2]
    shown = reason if kind in SENTENCES else f"{kind}: {reason}"
    trace = tuple(str(line).rstrip("\n") for line in data.get("traceback") or ())
    return ExecutionFailed(f"{prompt.describe(node)} failed: {shown}", node, trace)
