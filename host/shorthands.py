# SPDX-License-Identifier: GPL-3.0-or-later
"""``--prompt --seed --seconds --size --fps``: which inputs of a workflow they mean.

The rules, the same for this pack's nodes and stock ones:

* prompt: from the ``positive`` input of each sampler (or guider) the links are followed back to the first node that
  has a text of its own (``text`` or ``prompt``). All samplers must lead to the same one.
* seed: every ``seed`` and ``noise_seed``.
* fps: every number called ``fps`` or ``frame_rate``.
* size, seconds: the nodes that make an empty latent, which is every node with a LATENT output, ``width`` and
  ``height``, and no LATENT input. A choice of aspect ratios is used where the node has one. Where the node counts
  frames (``length``) instead of seconds, the workflow's frame rate turns seconds into frames, in the input's steps.

An input that is linked is followed to the node that holds the number (a primitive), and set there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .graph import ObjectInfo
from .overrides import OverrideError, find_widget, set_input
from .widgets import as_widget, input_specs, split_spec
from .workflow import Prompt, is_link

TEXT_INPUTS = ("text", "prompt")
SEED_INPUTS = ("seed", "noise_seed")
RATE_INPUTS = ("fps", "frame_rate")
CONDITIONING_INPUTS = ("positive", "conditioning")
CUSTOM_ASPECT = "custom"
STOCK_FPS = 24.0  # of CreateVideo, for workflows that save single pictures and name no rate


@dataclass(frozen=True)
class Ratio:
    """An aspect ratio: width by height, and as it was written (16:9)."""

    value: float
    text: str


Size = tuple[int, int] | Ratio | int  # width and height, a ratio, the side of a square


def read_size(text: str) -> Size:
    """Return what --size says. Raises OverrideError for anything else."""
    size = text.strip().lower()
    exact = re.fullmatch(r"(\d+)\s*[x×*]\s*(\d+)", size)
    ratio = re.fullmatch(r"(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)", size)
    if exact:
        return int(exact[1]), int(exact[2])
    if ratio and float(ratio[1]) > 0 and float(ratio[2]) > 0:
        return Ratio(float(ratio[1]) / float(ratio[2]), size)
    if size.isdecimal() and int(size) > 0:
        return int(size)
    raise OverrideError(f'--size takes WIDTHxHEIGHT, a ratio as 16:9, or a side as 256, not "{text}".')


class Shorthands:
    """Sets what the short options mean in one workflow. Every method raises OverrideError where nothing fits."""

    def __init__(self, prompt: Prompt, object_info: ObjectInfo) -> None:
        self.prompt, self.object_info = prompt, object_info

    def set_prompt(self, text: str) -> None:
        """Set the positive prompt."""
        starts = [
            (node, name)
            for node, entry in self.prompt.graph.items()
            for name in CONDITIONING_INPUTS
            if is_link(entry["inputs"].get(name)) and self._is_sampler(entry["class_type"])
        ]
        found = dict.fromkeys(place for node, name in starts for place in [self._text_behind(node, name)] if place)
        if not found:
            found = dict.fromkeys(self._lone_texts())
        if len(found) != 1:
            self._tell_prompts(list(found))
        node, name = next(iter(found))
        set_input(self.prompt, self.object_info, node, name, text)

    def set_seed(self, seed: int) -> None:
        """Set every seed."""
        self._set_all(SEED_INPUTS, seed, "--seed")

    def set_fps(self, fps: float) -> None:
        """Set the frame rate everywhere; a whole number where the input is one."""
        self._set_all(RATE_INPUTS, fps, "--fps")

    def set_size(self, size: str) -> None:
        """Set the picture's size: ``WIDTHxHEIGHT``, an aspect ratio ``16:9``, or the side of the square ``256``."""
        wanted = read_size(size)
        for node in self._latents("--size"):
            self._size_one(node, wanted)

    def set_seconds(self, seconds: float) -> None:
        """Set the clip's length."""
        for node in self._latents("--seconds"):
            if self._widget(node, "seconds"):
                self._set(node, "seconds", seconds)
            elif self._widget(node, "length"):
                self._set(node, "length", self._frames(node, seconds))
            else:
                raise OverrideError(f"{self.prompt.describe(node)} makes a picture, so --seconds means nothing for it.")

    def _is_sampler(self, kind: str) -> bool:
        """Tell whether a node takes conditioning and gives none back: a sampler or a guider."""
        definition = self.object_info.get(kind) or {}
        return "CONDITIONING" not in (definition.get("output") or [])

    def _text_behind(self, node: str, name: str) -> tuple[str, str] | None:
        """Follow an input back to the first text that a node of its own holds."""
        seen = {node}
        queue = [self.prompt.graph[node]["inputs"][name]]
        while queue:
            origin = queue.pop(0)[0]
            if origin in seen or origin not in self.prompt.graph:
                continue
            seen.add(origin)
            place = self._own_text(origin)
            if place is not None:
                return place
            inputs = self.prompt.graph[origin]["inputs"]
            named = [inputs[key] for key in (*CONDITIONING_INPUTS, *TEXT_INPUTS) if is_link(inputs.get(key))]
            queue += named or [value for value in inputs.values() if is_link(value)]
        return None

    def _own_text(self, node: str) -> tuple[str, str] | None:
        """Return the text input of a node: one called so, or the only one of a node that holds a text alone."""
        inputs = self.prompt.graph[node]["inputs"]
        texts = [name for name, value in inputs.items() if isinstance(value, str) and self._is_text(node, name)]
        named = [name for name in texts if name in TEXT_INPUTS]
        if named:
            return node, named[0]
        linked = any(is_link(value) for value in inputs.values())
        return (node, texts[0]) if len(texts) == 1 and not linked else None

    def _is_text(self, node: str, name: str) -> bool:
        widget = find_widget(self.prompt, self.object_info, node, name)
        return widget is not None and widget.type == "STRING"

    def _lone_texts(self) -> Iterator[tuple[str, str]]:
        """Yield the inputs called ``prompt``, for graphs whose one node does everything."""
        for node, entry in self.prompt.graph.items():
            if isinstance(entry["inputs"].get("prompt"), str) and self._is_text(node, "prompt"):
                yield node, "prompt"

    def _tell_prompts(self, found: list[tuple[str, str]]) -> None:
        if not found:
            raise OverrideError(
                '--prompt finds no positive prompt in this workflow; name the input with --set "Node title.input=text".'
            )
        places = "\n".join(f'  --set "{node}.{name}=..."  {self.prompt.describe(node)}' for node, name in found)
        raise OverrideError(f"--prompt could mean {len(found)} inputs; set the one you mean:\n{places}")

    def _set_all(self, names: tuple[str, ...], value: float, option: str) -> None:
        places = [
            (node, name)
            for node in self.prompt.graph
            for name in names
            if (widget := self._widget(node, name)) and widget.type in ("INT", "FLOAT")
        ]
        if not places:
            raise OverrideError(f"{option} finds no input called {' or '.join(names)} in this workflow.")
        for node, name in places:
            self._set(node, name, value)

    def _latents(self, option: str) -> list[str]:
        nodes = [node for node in self.prompt.graph if self._makes_latent(node)]
        if not nodes:
            raise OverrideError(
                f"{option} finds no node that makes an empty latent in this workflow; name the input with "
                '--set "Node title.input=value".'
            )
        return nodes

    def _makes_latent(self, node: str) -> bool:
        definition = self.object_info.get(self.prompt.graph[node]["class_type"])
        if definition is None or "LATENT" not in (definition.get("output") or []):
            return False
        kinds = {name: split_spec(spec)[0] for name, spec in input_specs(definition)}
        return {"width", "height"} <= kinds.keys() and "LATENT" not in kinds.values()

    def _size_one(self, node: str, size: Size) -> None:
        if isinstance(size, tuple):
            self._exact(node, *size)
        elif isinstance(size, Ratio):
            self._ratio(node, size)
        else:
            self._square(node, size)

    def _exact(self, node: str, width: int, height: int) -> None:
        aspect = self._aspect_input(node, CUSTOM_ASPECT)
        if aspect:
            self._set(node, aspect, CUSTOM_ASPECT)
        self._set(node, "width", self._snapped(node, "width", width))
        self._set(node, "height", self._snapped(node, "height", height))

    def _ratio(self, node: str, ratio: Ratio) -> None:
        aspect = self._aspect_input(node, ratio.text)
        if aspect:
            self._set(node, aspect, ratio.text)
            return
        area = self._area(node)
        self._exact(node, round(math.sqrt(area * ratio.value)), round(math.sqrt(area / ratio.value)))

    def _square(self, node: str, side: int) -> None:
        if self._widget(node, "size"):
            self._set(node, "size", side)
            return
        width, height = (float(self._number(node, name)) for name in ("width", "height"))
        scale = side / math.sqrt(width * height)
        self._exact(node, round(width * scale), round(height * scale))

    def _area(self, node: str) -> float:
        if self._widget(node, "size"):
            return float(self._number(node, "size")) ** 2
        return float(self._number(node, "width")) * float(self._number(node, "height"))

    def _aspect_input(self, node: str, choice: str) -> str | None:
        definition = self.object_info[self.prompt.graph[node]["class_type"]]
        for name, spec in input_specs(definition):
            widget = as_widget(name, spec)
            if widget is not None and choice in (widget.choices or ()):
                return name
        return None

    def _frames(self, node: str, seconds: float) -> int:
        rates = [
            self._number(other, name)
            for other in self.prompt.graph
            for name in RATE_INPUTS
            if (widget := self._widget(other, name)) and widget.type in ("INT", "FLOAT")
        ]
        return self._snapped(node, "length", round(seconds * (float(rates[0]) if rates else STOCK_FPS)) + 1)

    def _snapped(self, node: str, name: str, value: int) -> int:
        """Return the nearest value that the input's steps reach, at least its least one."""
        widget = self._widget(node, name)
        options = widget.options if widget else {}
        step, least = int(options.get("step") or 1), int(options.get("min") or 0)
        return max(least, least + round((value - least) / step) * step)

    def _widget(self, node: str, name: str) -> Any:
        return find_widget(self.prompt, self.object_info, node, name)

    def _holder(self, node: str, name: str) -> tuple[str, str]:
        """Return where the constant of an input really stands: itself, or a node that only holds a value."""
        value = self.prompt.graph[node]["inputs"].get(name)
        if is_link(value) and value[0] in self.prompt.graph:
            inputs = self.prompt.graph[value[0]]["inputs"]
            if len(inputs) == 1 and not is_link(next(iter(inputs.values()))):
                return value[0], next(iter(inputs))
        return node, name

    def _number(self, node: str, name: str) -> Any:
        holder, held = self._holder(node, name)
        value = self.prompt.graph[holder]["inputs"].get(held)
        widget = self._widget(node, name)
        return value if isinstance(value, (int, float)) else widget.default

    def _set(self, node: str, name: str, value: Any) -> None:
        holder, held = self._holder(node, name)
        widget = self._widget(holder, held)
        if widget is not None and widget.type == "INT" and isinstance(value, float):
            if not value.is_integer():
                where = f'Input "{held}" of {self.prompt.describe(holder)}'
                raise OverrideError(f"{where} takes a whole number, not {value}.")
            value = int(value)
        if widget is not None and widget.type == "FLOAT":
            value = float(value)
        set_input(self.prompt, self.object_info, holder, held, value)
