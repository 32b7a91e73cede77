# SPDX-License-Identifier: GPL-3.0-or-later
"""A workflow file as the front end saves it: nodes, links, subgraphs, and where each input's value comes from.

Following a link backwards passes through everything that exists only in the editor: reroutes, primitives,
bypassed nodes and the borders of subgraphs. What is left is either an output of a real node or a value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .widgets import input_values

SUBGRAPH_INPUT, SUBGRAPH_OUTPUT = "-10", "-20"  # the ids that links inside a subgraph use for its two borders
MUTED, BYPASSED = 2, 4
REROUTE, PRIMITIVE = "Reroute", "PrimitiveNode"
EDITOR_ONLY = frozenset({"Note", "MarkdownNote", REROUTE, PRIMITIVE})

Node = dict[str, Any]
ObjectInfo = Mapping[str, dict[str, Any]]


class WorkflowError(ValueError):
    """A workflow cannot be read or run; the message is a sentence for the user."""


@dataclass(frozen=True)
class Output:
    """The value is what a node gives at run time: slot ``slot`` of API node ``node``."""

    node: str
    slot: int


@dataclass(frozen=True)
class Value:
    """The value is a constant that another node of the file holds: a primitive, or a subgraph's own widget."""

    value: Any
    node: str
    name: str


Source = Output | Value | None


@dataclass(frozen=True)
class Link:
    """A wire from an output slot to an input slot. Ids are strings."""

    id: str
    origin: str
    origin_slot: int
    target: str
    target_slot: int
    type: Any

    @staticmethod
    def read(raw: Any) -> Link:
        """Read a link of the outer graph (a list) or of a subgraph (a dictionary)."""
        if isinstance(raw, dict):
            raw = [raw.get(key) for key in ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")]
        number, origin, origin_slot, target, target_slot, *rest = raw
        return Link(str(number), str(origin), int(origin_slot), str(target), int(target_slot), rest[0] if rest else "*")


def fits(one: Any, other: Any) -> bool:
    """Tell whether two slot types may be connected, as the editor decides it."""
    first, second = str(one), str(other)
    if "*" in (first, second) or first in ("", "0") or second in ("", "0"):
        return True
    return not set(first.lower().split(",")).isdisjoint(second.lower().split(","))


class Graph:
    """One level of a workflow: the outer graph, or one use of a subgraph inside it."""

    def __init__(
        self,
        raw: dict[str, Any],
        definitions: Mapping[str, dict[str, Any]],
        object_info: ObjectInfo,
        parent: Graph | None = None,
        holder: Node | None = None,
    ) -> None:
        self.raw = raw
        self.definitions = definitions
        self.object_info = object_info
        self.parent = parent
        self.holder = holder
        self.path: tuple[str, ...] = ()
        if parent is not None and holder is not None:
            self.path = (*parent.path, str(holder["id"]))
            self._refuse_recursion(str(holder["type"]))
        self.nodes: dict[str, Node] = {str(node["id"]): node for node in raw.get("nodes") or []}
        links = [Link.read(link) for link in raw.get("links") or [] if link]
        self.links = {link.id: link for link in links}
        self._uses: dict[str, Graph] = {}

    def _refuse_recursion(self, kind: str) -> None:
        above = self.parent
        while above is not None and above.holder is not None:
            if above.holder["type"] == kind:
                raise WorkflowError(f'Subgraph "{self.raw.get("name", kind)}" contains itself; remove the inner one.')
            above = above.parent

    def node_id(self, node: Node) -> str:
        """Return the id that the node has in API format: the ids of its subgraphs and its own, joined by colons."""
        return ":".join((*self.path, str(node["id"])))

    def inside(self, node: Node) -> Graph | None:
        """Return the graph inside a subgraph node, None for an ordinary node."""
        definition = self.definitions.get(str(node["type"]))
        if definition is None:
            return None
        key = str(node["id"])
        if key not in self._uses:
            self._uses[key] = Graph(definition, self.definitions, self.object_info, self, node)
        return self._uses[key]

    def walk(self) -> Iterator[tuple[Graph, Node]]:
        """Yield every node of this graph and of the subgraphs in it that are switched on."""
        for node in self.nodes.values():
            yield self, node
            inner = self.inside(node)
            if inner is not None and node.get("mode", 0) not in (MUTED, BYPASSED):
                yield from inner.walk()

    def source(self, link_id: Any, wanted: Any) -> Source:
        """Follow a link backwards to what really feeds it.

        ``wanted`` is the type of the input at the far end: a bypassed node is passed through by type.
        Raises WorkflowError when the links form a circle.
        """
        try:
            return self._source(link_id, wanted)
        except RecursionError:
            raise WorkflowError(f"The links form a circle around link {link_id}; remove one of them.") from None

    def _source(self, link_id: Any, wanted: Any) -> Source:
        link = self.links.get(str(link_id))
        if link is None:
            return None
        if link.origin == SUBGRAPH_INPUT:
            return self._from_outside(link, wanted)
        node = self.nodes.get(link.origin)
        return None if node is None else self._output(node, link.origin_slot, wanted or link.type)

    def _from_outside(self, link: Link, wanted: Any) -> Source:
        assert self.parent is not None and self.holder is not None
        borders = self.raw.get("inputs") or []
        if link.origin_slot >= len(borders):
            return None
        name = borders[link.origin_slot]["name"]
        outer = next((slot for slot in self.holder.get("inputs") or [] if slot["name"] == name), None)
        if outer is None or outer.get("link") is None:
            found, value = self.promoted(name)
            return Value(value, self.parent.node_id(self.holder), name) if found else None
        source = self.parent._source(outer["link"], wanted)
        # a primitive's value is written into the subgraph node, not into what lies behind its border
        crosses = isinstance(source, Value) and self.parent.is_primitive(source.node)
        return None if crosses else source

    def is_primitive(self, node: str) -> bool:
        """Tell whether an API id of this level is that of a primitive."""
        path, _, own = node.rpartition(":")
        return path == ":".join(self.path) and self.nodes.get(own, {}).get("type") == PRIMITIVE

    def promoted(self, name: str) -> tuple[bool, Any]:
        """Return ``(True, value)`` of a widget that stands on the outside of this subgraph, else ``(False, None)``.

        The values on a subgraph node belong to all of the subgraph's inputs that feed a widget, whether or not the
        node itself lists them; older files count only the inputs that the node lists. Without a value of its own the
        outer widget shows that of the first widget inside.
        """
        assert self.holder is not None
        values = self.holder.get("widgets_values") or []
        borders = {border["name"]: border for border in self.raw.get("inputs") or []}
        if isinstance(values, dict):
            stored = values.get(name)
        else:
            names = [key for key, border in borders.items() if self._fed_widget(border)]
            if len(names) != len(values):
                names = [slot["name"] for slot in self.holder.get("inputs") or [] if slot.get("widget")]
            position = names.index(name) if name in names else len(values)
            stored = values[position] if position < len(values) else None
        if stored is not None:
            return True, stored
        inner = self._fed_widget(borders.get(name) or {})
        return (False, None) if inner is None else self._shown(*inner)

    def _fed_widget(self, border: dict[str, Any]) -> tuple[Node, str] | None:
        """Return the first node inside, and its widget's name, that an input of the subgraph feeds."""
        for link_id in border.get("linkIds") or []:
            link = self.links.get(str(link_id))
            node = self.nodes.get(link.target) if link else None
            slots = (node or {}).get("inputs") or []
            if link and node and link.target_slot < len(slots) and slots[link.target_slot].get("widget"):
                return node, str(slots[link.target_slot]["widget"].get("name") or slots[link.target_slot]["name"])
        return None

    def _shown(self, node: Node, widget: str) -> tuple[bool, Any]:
        """Return ``(True, value)`` of a widget as a node inside shows it."""
        inner = self.inside(node)
        if inner is not None:
            return inner.promoted(widget)
        definition = self.object_info.get(str(node["type"]))
        values = input_values(definition, node.get("widgets_values")) if definition else {}
        return widget in values, values.get(widget)

    def _output(self, node: Node, slot: int, wanted: Any) -> Source:
        mode = node.get("mode", 0)
        if mode == BYPASSED:
            return self._through_bypass(node, slot, wanted)
        if node["type"] == REROUTE:
            slots = node.get("inputs") or []
            return self._source(slots[0].get("link"), wanted) if slots else None
        if node["type"] == PRIMITIVE:
            values = node.get("widgets_values") or [None]
            return Value(values[0], self.node_id(node), "value")
        inner = self.inside(node)
        if inner is not None:
            return inner._border_output(slot, wanted)
        return None if mode == MUTED else Output(self.node_id(node), slot)

    def _border_output(self, slot: int, wanted: Any) -> Source:
        for link in self.links.values():
            if link.target == SUBGRAPH_OUTPUT and link.target_slot == slot:
                return self._source(link.id, wanted)
        return None

    def _through_bypass(self, node: Node, slot: int, wanted: Any) -> Source:
        inputs = node.get("inputs") or []
        outputs = node.get("outputs") or []
        given = outputs[slot]["type"] if slot < len(outputs) else "*"

        def passes(kind: Any) -> bool:
            return fits(kind, given) and fits(kind, wanted)

        if wanted in ("*", ""):
            index: int | None = slot if slot < len(inputs) else 0
        elif slot < len(inputs) and passes(inputs[slot]["type"]):
            index = slot
        else:
            kinds = [entry["type"] for entry in inputs]
            same = (i for i, kind in enumerate(kinds) if kind == wanted)
            compatible = (i for i, kind in enumerate(kinds) if passes(kind))
            index = next(same, next(compatible, None))
        if index is None or index >= len(inputs) or inputs[index].get("link") is None:
            return None
        return self._source(inputs[index]["link"], wanted)
