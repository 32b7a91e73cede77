# SPDX-License-Identifier: GPL-3.0-or-later
"""Which inputs of a node are widgets, in the order in which a workflow file stores their values.

A workflow file keeps the widget values of a node as a bare list; only the host's description of the node
(``/object_info``) says what each position means. Nothing here asks for the host's version: dynamic inputs are
followed where the description has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

DYNAMIC_COMBO = "COMFY_DYNAMICCOMBO_V3"
IMAGE_COMPARE = "IMAGECOMPARE"
VALUE_TYPES = frozenset({"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"})
# Types that the front end draws as a widget of their own and stores as one value.
DRAWN_TYPES = frozenset(
    {"LOAD_3D", "LOAD_3D_ANIMATION", "WEBCAM", "AUDIO_RECORD", "IMAGEUPLOAD", "PAINTER", "COMPOSITOR"}
    | {"COLOR", "COLORS", "CURVE", "RANGE", "BOUNDING_BOX", "BOUNDING_BOXES", IMAGE_COMPARE}
)
CUSTOM_COMBO = "CustomCombo"  # its choices are widgets too: the index of the chosen one, then option1, option2, ...
UPLOADS = ("image_upload", "video_upload", "audio_upload", "animated_image_upload")
SEED_NAMES = ("seed", "noise_seed")
_ZERO = {"INT": 0, "FLOAT": 0.0, "STRING": "", "BOOLEAN": False}


@dataclass(frozen=True)
class Widget:
    """One position of ``widgets_values``; ``name`` is None where the value is for the front end only."""

    name: str | None
    type: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    choices: tuple[Any, ...] | None = None

    @property
    def default(self) -> Any:
        """The value that a newly made node has."""
        if "default" in self.options:
            return self.options["default"]
        if self.choices is not None:
            return self.choices[0] if self.choices else None
        return _ZERO.get(self.type)


def split_spec(spec: Sequence[Any]) -> tuple[Any, dict[str, Any]]:
    """Split an ``object_info`` input ``[type, options]`` whose options may be absent."""
    return spec[0], (spec[1] if len(spec) > 1 and isinstance(spec[1], dict) else {})


def input_specs(definition: dict[str, Any]) -> Iterator[tuple[str, Sequence[Any]]]:
    """Yield ``(name, spec)`` of a node's inputs in the order of the front end: required, then optional."""
    inputs = definition["input"]
    order = definition.get("input_order") or {}
    for group in ("required", "optional"):
        known = inputs.get(group) or {}
        for name in order.get(group) or known:
            yield name, known[name]


def as_widget(name: str, spec: Sequence[Any]) -> Widget | None:
    """Return the widget that stands for an input, None for a plain socket."""
    kind, options = split_spec(spec)
    if isinstance(kind, list):
        return None if options.get("forceInput") else Widget(name, "COMBO", options, tuple(kind))
    kind = str(kind)
    if kind == DYNAMIC_COMBO:
        return Widget(name, kind, options, tuple(option["key"] for option in options.get("options") or ()))
    shown = str(options.get("widgetType") or kind)
    if options.get("forceInput") or shown not in VALUE_TYPES | DRAWN_TYPES:
        return None
    if shown in DRAWN_TYPES:
        return Widget(name, shown, options)
    choices = tuple(options.get("options") or ()) if shown == "COMBO" else None
    return Widget(name, shown, options, choices)


def chosen_option(widget: Widget, value: Any) -> dict[str, Any] | None:
    """Return the option of a dynamic combo that ``value`` names, the first one for a missing value."""
    options = widget.options.get("options") or []
    if value is None:
        return options[0] if options else None
    return next((option for option in options if option["key"] == value), None)


def has_control(widget: Widget) -> bool:
    """Tell whether "control after generate" follows a widget: as its node says, and after a seed if it says nothing."""
    said = widget.options.get("control_after_generate")
    return bool(said) if said is not None else widget.type == "INT" and widget.name in SEED_NAMES


def widgets_in_order(definition: dict[str, Any], values: Sequence[Any] = ()) -> list[Widget]:
    """List a node's widgets as ``widgets_values`` stores them.

    The values themselves are needed because the option that a dynamic combo has chosen decides which widgets
    follow it. After a seed usually comes the front end's "control after generate" value; an upload button adds one
    value at the very end.
    """
    found: list[Widget] = []
    buttons: list[Widget] = []

    def walk(inputs: dict[str, Any], prefix: str) -> None:
        for name, spec in input_specs(inputs):
            widget = as_widget(prefix + name, spec)
            if widget is None:
                continue
            position = len(found)
            found.append(widget)
            if widget.type == DYNAMIC_COMBO:
                option = chosen_option(widget, values[position] if position < len(values) else None)
                if option is not None:
                    walk({"input": option["inputs"]}, f"{prefix}{name}.")
                continue
            if has_control(widget):
                found.append(Widget(None))
            if any(widget.options.get(upload) for upload in UPLOADS):
                buttons.append(Widget(None))

    walk(definition, "")
    if definition.get("name") == CUSTOM_COMBO:
        found += [Widget("index", "INT")]
        found += [Widget(f"option{number}", "STRING") for number in range(1, max(2, len(values) - 1))]
    return found + buttons


def sent_value(widget: Widget, value: Any) -> Any:
    """Return what the front end sends for a stored value: a picture comparison holds only the editor's pictures."""
    return ["", ""] if widget.type == IMAGE_COMPARE else value


def input_values(definition: dict[str, Any], values: Any) -> dict[str, Any]:
    """Return the input values of a node from its ``widgets_values`` (a list, or a dictionary by name).

    Missing values are those of a new node, as when a workflow was saved before the node got a further input.
    """
    if isinstance(values, dict):
        widgets = [(widget, values.get(str(widget.name), widget.default)) for widget in widgets_in_order(definition)]
    else:
        stored = values or []
        widgets = [
            (widget, stored[position] if position < len(stored) else widget.default)
            for position, widget in enumerate(widgets_in_order(definition, stored))
        ]
    return {widget.name: sent_value(widget, value) for widget, value in widgets if widget.name is not None}
