# SPDX-License-Identifier: GPL-3.0-or-later
"""Changing inputs of a workflow from the command line: ``--set "Node title.input=value"``.

The node is named by its id, its title or its type; the input by its name in the graph. Values are read as the
input's type asks. Nodes that exist only in the editor (primitives, widgets on a subgraph) can be set as well.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .graph import ObjectInfo, WorkflowError
from .widgets import DYNAMIC_COMBO, UPLOADS, Widget, as_widget, chosen_option, input_specs, split_spec, widgets_in_order
from .workflow import Prompt, is_link

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


class OverrideError(WorkflowError):
    """A setting from the command line does not fit the workflow."""


def apply_setting(
    prompt: Prompt, object_info: ObjectInfo, setting: str, take_input: Callable[[Path], str] | None = None
) -> None:
    """Carry out one ``NODE.INPUT=VALUE``. Raises OverrideError naming near matches when nothing fits.

    ``take_input`` copies a file into the host's input folder and returns its name there: it is called where the
    input takes a file of that folder and the value is the path of one.
    """
    check_form(setting)
    for target, text in _splits(setting, "="):
        places = _places(prompt, object_info, target)
        if places:
            for node, name in places:
                value = _as_upload(find_widget(prompt, object_info, node, name), text, take_input)
                set_input(prompt, object_info, node, name, value)
            return
    raise OverrideError(_no_such_target(prompt, object_info, setting.partition("=")[0].strip()))


def check_form(setting: str) -> None:
    """Raise OverrideError for a setting that fits no workflow at all."""
    if "=" not in setting:
        raise OverrideError(f'--set "{setting}" has no "="; write --set "Node title.input=value".')


def _as_upload(widget: Widget | None, text: str, take_input: Callable[[Path], str] | None) -> str:
    if widget is None or take_input is None or not _takes_files(widget):
        return text
    path = Path(text).expanduser()
    return take_input(path) if path.is_file() else text


def _takes_files(widget: Widget) -> bool:
    """Whether a widget lists the files of the host's input folder, with or without a button for uploads."""
    return any(widget.options.get(key) for key in UPLOADS) or widget.options.get("image_folder") == "input"


def set_input(prompt: Prompt, object_info: ObjectInfo, node: str, name: str, value: Any) -> None:
    """Give an input a constant value; text is read as the input's type asks. A link to it is replaced.

    When a dynamic combo changes its choice, the inputs of the old choice go and those of the new one get their
    defaults. Raises OverrideError for a value that does not fit.
    """
    inputs = prompt.graph[node]["inputs"]
    widget = find_widget(prompt, object_info, node, name)
    where = f'Input "{name}" of {prompt.describe(node)}'
    if widget is None:
        inputs[name] = value
        return
    value = read_value(widget, value, where) if isinstance(value, str) else value
    inputs[name] = {"__value__": value} if isinstance(value, list) else value
    prompt.changed.add(node)
    if widget.type == DYNAMIC_COMBO:
        _follow_choice(inputs, name, widget, value)


def read_value(widget: Widget, text: str, where: str) -> Any:
    """Read text from the command line as a widget's type. Raises OverrideError with ``where`` in the sentence."""
    if widget.choices is not None:
        return _read_choice(widget, text, where)
    kind = widget.type
    try:
        if kind == "INT":
            return int(text, 0)
        if kind == "FLOAT":
            return float(text)
    except ValueError:
        wanted = "a whole number" if kind == "INT" else "a number"
        raise OverrideError(f'{where} takes {wanted}, not "{text}".') from None
    if kind == "BOOLEAN":
        if text.strip().lower() in _TRUE + _FALSE:
            return text.strip().lower() in _TRUE
        raise OverrideError(f'{where} takes true or false, not "{text}".')
    if kind == "STRING":
        return text
    try:
        return json.loads(text)  # colours, curves, boxes: whatever the front end draws
    except json.JSONDecodeError:
        return text


def _read_choice(widget: Widget, text: str, where: str) -> Any:
    choices = widget.choices or ()
    for choice in choices:
        if str(choice) == text:
            return choice
    if not choices or _takes_files(widget) or widget.options.get("remote"):
        return text  # the list is made elsewhere, or the file may have arrived after the list was made
    near = difflib.get_close_matches(text, [str(choice) for choice in choices], n=3, cutoff=0.5)
    shown = ", ".join(str(choice) for choice in choices[:20]) + (", ..." if len(choices) > 20 else "")
    hint = f" Did you mean {' or '.join(near)}?" if near else f" It takes one of: {shown}."
    raise OverrideError(f'{where} has no choice "{text}".{hint}')


def _follow_choice(inputs: dict[str, Any], name: str, widget: Widget, value: Any) -> None:
    option = chosen_option(widget, value)
    wanted: dict[str, Any] = {}
    if option is not None:
        for child in widgets_in_order({"input": option["inputs"]}):
            if child.name is not None:
                wanted[f"{name}.{child.name}"] = child.default
    sockets = {f"{name}.{child}" for child, _ in input_specs({"input": option["inputs"]})} if option else set()
    for key in [key for key in inputs if key.startswith(f"{name}.") and key not in wanted and key not in sockets]:
        del inputs[key]
    for key, default in wanted.items():
        inputs.setdefault(key, default)


def find_widget(prompt: Prompt, object_info: ObjectInfo, node: str, name: str) -> Widget | None:
    """Return the widget behind an input of a node, None where it is a socket or unknown."""
    entry = prompt.graph[node]
    definition = object_info.get(entry["class_type"])
    if definition is None:
        return None
    head, *rest = name.split(".")
    for known, spec in input_specs(definition):
        if known == head:
            return _descend(as_widget(known, spec), spec, head, rest, entry["inputs"])
    return None


def _descend(widget: Widget | None, spec: Any, path: str, rest: list[str], inputs: dict[str, Any]) -> Widget | None:
    """Follow the remaining name parts into the chosen options of dynamic combos."""
    if not rest:
        return widget
    if widget is None or widget.type != DYNAMIC_COMBO:
        return None
    option = chosen_option(widget, inputs.get(path))
    for child, child_spec in input_specs({"input": option["inputs"]}) if option else ():
        if child == rest[0]:
            return _descend(as_widget(child, child_spec), child_spec, f"{path}.{child}", rest[1:], inputs)
    return None


def settable_inputs(prompt: Prompt, object_info: ObjectInfo, node: str) -> list[str]:
    """List the names that ``--set`` takes for a node of the graph: all its widgets, also those that are linked."""
    entry = prompt.graph[node]
    names = [name for name, value in entry["inputs"].items() if not is_link(value)]
    definition = object_info.get(entry["class_type"])
    if definition is not None:
        names += [name for name, spec in input_specs(definition) if as_widget(name, spec) and name not in names]
    return names


def matching_nodes(prompt: Prompt, name: str) -> list[str]:
    """Return the ids of the nodes that a name means: an id, else a title, else a type; letter case is ignored last."""
    aliased = {node for node, _ in prompt.aliases}
    known = {node: prompt.title(node) for node in (*prompt.graph, *aliased)}
    if name in known:
        return [name]
    for same in (lambda a: a == name, lambda a: a.casefold() == name.casefold()):
        found = [node for node, title in known.items() if same(title)]
        found = found or [node for node in prompt.graph if same(prompt.graph[node]["class_type"])]
        if found:
            return found
    return []


def _splits(text: str, mark: str) -> Iterator[tuple[str, str]]:
    """Yield every way to cut the text at the mark: titles may hold dots and equal signs themselves."""
    start = text.find(mark)
    while start >= 0:
        yield text[:start].strip(), text[start + 1 :]
        start = text.find(mark, start + 1)


def _places(prompt: Prompt, object_info: ObjectInfo, target: str) -> list[tuple[str, str]]:
    for node_name, input_name in _splits(target, "."):
        input_name = input_name.strip()
        nodes = [
            node
            for node in matching_nodes(prompt, node_name)
            if (node, input_name) in prompt.aliases or _has_input(prompt, object_info, node, input_name)
        ]
        if len(nodes) > 1:
            choices = ", ".join(f'"{node}.{input_name}"' for node in nodes)
            raise OverrideError(f'"{node_name}" names {len(nodes)} nodes; use the id of one of them: {choices}.')
        if nodes:
            return prompt.aliases.get((nodes[0], input_name)) or [(nodes[0], input_name)]
    return []


def _has_input(prompt: Prompt, object_info: ObjectInfo, node: str, name: str) -> bool:
    if node not in prompt.graph:
        return False
    value = prompt.graph[node]["inputs"].get(name)
    if value is not None and not is_link(value):
        return True
    return find_widget(prompt, object_info, node, name) is not None


def _no_such_target(prompt: Prompt, object_info: ObjectInfo, target: str) -> str:
    node_name, _, input_name = target.rpartition(".")
    if not node_name:
        return f'--set "{target}=..." names no input; write --set "Node title.input=value".'
    nodes = matching_nodes(prompt, node_name)
    for node in nodes:
        names = [*settable_inputs(prompt, object_info, node)] if node in prompt.graph else []
        names += [name for holder, name in prompt.aliases if holder == node]
        sockets = _socket_type(prompt, object_info, node, input_name)
        if sockets:
            return (
                f'Input "{input_name}" of {prompt.describe(node)} takes a {sockets} from another node, '
                "so it cannot be set to a value."
            )
        near = difflib.get_close_matches(input_name, names, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"It has: {', '.join(names) or 'none to set'}."
        return f'{prompt.describe(node)} has no input "{input_name}". {hint}'
    for node, title in prompt.idle.items():
        if node_name in (node, title):
            return f'"{title}" (node {node}) is muted or bypassed in this workflow, so there is nothing to set.'
    return f'The workflow has no node "{node_name}". {_near_nodes(prompt, node_name)}'


def _near_nodes(prompt: Prompt, name: str) -> str:
    titles = sorted({prompt.title(node) for node in (*prompt.graph, *(node for node, _ in prompt.aliases))})
    by_fold = {title.casefold(): title for title in titles}
    near = [by_fold[fold] for fold in difflib.get_close_matches(name.casefold(), by_fold, n=3, cutoff=0.4)]
    near += [title for title in titles if name.casefold() in title.casefold() and title not in near][:3]
    quoted = [f'"{title}"' for title in (near or titles[:20])]
    return f"Did you mean {' or '.join(quoted)}?" if near else f"It has: {', '.join(quoted)}."


def _socket_type(prompt: Prompt, object_info: ObjectInfo, node: str, name: str) -> str | None:
    definition = object_info.get(prompt.graph.get(node, {}).get("class_type", ""))
    for known, spec in input_specs(definition) if definition else ():
        if known == name and as_widget(known, spec) is None:
            return str(split_spec(spec)[0])
    return None
