# SPDX-License-Identifier: GPL-3.0-or-later
"""Small workflows of stock nodes that the tests of running workflows share."""

from __future__ import annotations

from typing import Any


def api(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def picture(name: str, width: int = 8, color: int = 0xFF0000) -> dict[str, Any]:
    """Save one plain picture."""
    return {
        "1": api("EmptyImage", width=width, height=8, batch_size=1, color=color),
        "2": api("SaveImage", images=["1", 0], filename_prefix=name),
    }


def clip(name: str, frames: int = 4, seed: int = 0xFF0000) -> dict[str, Any]:
    """Save a short plain video."""
    return {
        "1": api("EmptyImage", width=32, height=32, batch_size=frames, color=seed),
        "2": api("CreateVideo", images=["1", 0], fps=8.0),
        "3": api("SaveVideo", video=["2", 0], filename_prefix=name, format="auto", codec="auto"),
    }


def editor_picture(name: str) -> dict[str, Any]:
    """A UI-format file with all that exists only in the editor.

    A red picture whose width (24) comes from a primitive goes through a reroute into a subgraph that inverts it,
    past a bypassed second inversion, and is saved. A second Save Image is muted.
    """
    image = {"name": "IMAGE", "type": "IMAGE"}

    def node(number: int, kind: str, inputs: list[tuple[Any, ...]], values: list[Any], **more: Any) -> dict[str, Any]:
        slots = [
            {"name": n, "type": t, "link": link} | ({"widget": {"name": rest[0]}} if rest else {})
            for n, t, link, *rest in inputs
        ]
        return {
            "id": number,
            "type": kind,
            "mode": 0,
            "inputs": slots,
            "outputs": [image],
            "widgets_values": values,
        } | more

    def wire(number: int, origin: int, target: int, kind: str = "IMAGE") -> dict[str, Any]:
        slots = {"origin_slot": 0, "target_slot": 0}
        return {"id": number, "origin_id": origin, "target_id": target, "type": kind, **slots}

    subgraph = {
        "id": "3f0f6e5c-9d1b-4a52-8f6e-000000000001",
        "name": "Invert",
        "inputs": [{"id": "in", "name": "image", "type": "IMAGE", "linkIds": [1]}],
        "outputs": [{"id": "out", "name": "IMAGE", "type": "IMAGE", "linkIds": [3]}],
        "widgets": [],
        "nodes": [
            node(11, "ImageInvert", [("image", "IMAGE", 1)], []),
            node(12, "ImageInvert", [("image", "IMAGE", 2)], [], mode=4),
        ],
        "links": [wire(1, -10, 11), wire(2, 11, 12), wire(3, 12, -20)],
    }
    return {
        "version": 0.4,
        "last_node_id": 6,
        "last_link_id": 6,
        "nodes": [
            node(1, "PrimitiveNode", [], [24, "fixed"], outputs=[{"name": "INT", "type": "INT"}], title="Width"),
            node(2, "EmptyImage", [("width", "INT", 1, "width")], [512, 8, 1, 0xFF0000], title="Red"),
            node(3, "Reroute", [("", "*", 2)], [], outputs=[{"name": "", "type": "*"}]),
            node(4, subgraph["id"], [("image", "IMAGE", 3)], []),
            node(5, "SaveImage", [("images", "IMAGE", 4)], [name], outputs=[]),
            node(6, "SaveImage", [("images", "IMAGE", 5)], ["muted"], outputs=[], mode=2),
        ],
        "links": [
            [1, 1, 0, 2, 0, "INT"],
            [2, 2, 0, 3, 0, "IMAGE"],
            [3, 3, 0, 4, 0, "IMAGE"],
            [4, 4, 0, 5, 0, "IMAGE"],
            [5, 4, 0, 6, 0, "IMAGE"],
        ],
        "definitions": {"subgraphs": [subgraph]},
    }
