# SPDX-License-Identifier: GPL-3.0-or-later
"""Every shipped workflow against the running host: each node, input, link and value; and those for other models' files
run with small random models in place of their loaders."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from clip_kit import film

from comfyui_spacetime.host.workflow import is_link, load_workflow, to_api
from comfyui_spacetime.video.reader import probe

pytestmark = pytest.mark.host
FOLDER = Path(__file__).resolve().parent.parent / "workflows"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
FAMILIES = {"wan22": "wan22", "wan22_14b": "wan_i2v", "ltx": "ltxv", "hunyuan": "hunyuan15"}
FOREIGN = [name for name in NAMES if name.rpartition("_")[0] in FAMILIES]
# loader: which outputs of TestDouble its own are
LOADERS = {
    "UNETLoader": (0,), "CLIPLoader": (1,), "DualCLIPLoader": (1,), "VAELoader": (2,), "CLIPVisionLoader": (3,),
    "CheckpointLoaderSimple": (0, 1, 2),
}  # fmt: skip
FILES = {"unet_name", "clip_name", "clip_name1", "clip_name2", "vae_name", "ckpt_name", "file", "checkpoint"}


def graph_of(name: str, catalogue: dict[str, Any]) -> dict[str, Any]:
    return to_api(load_workflow(FOLDER / f"{name}.json"), catalogue).graph


def described(catalogue: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """The inputs of a node's class: name to (required, type, options); with those of the options that are chosen."""
    found: dict[str, Any] = {}

    def add(inputs: dict[str, Any], before: str) -> None:
        for kind in ("required", "optional"):
            for name, (type_, *rest) in inputs.get(kind, {}).items():
                options = rest[0] if rest else {}
                found[before + name] = (kind == "required", type_, options)
                if type_ == "COMFY_DYNAMICCOMBO_V3":
                    chosen = node["inputs"].get(before + name)
                    for option in (choice for choice in options["options"] if choice["key"] == chosen):
                        add(option["inputs"], f"{before}{name}.")

    add(catalogue[node["class_type"]]["input"], "")
    return found


def fits(given: str, wanted: Any) -> bool:
    return wanted == "*" or given == "*" or given in str(wanted).split(",")


def value_fault(value: Any, type_: Any, options: dict[str, Any]) -> str:
    """What is wrong with a widget's value; nothing where it is legal."""
    choices = type_ if isinstance(type_, list) else options.get("options")
    if choices is not None:
        keys = [choice["key"] if isinstance(choice, dict) else choice for choice in choices]
        return "" if value in keys else f"{value!r} is none of {keys[:9]}"
    if type_ in ("INT", "FLOAT"):
        low, high = options.get("min", value), options.get("max", value)
        return "" if low <= value <= high else f"{value} is not between {low} and {high}"
    return "" if isinstance(value, {"STRING": str, "BOOLEAN": bool}.get(type_, object)) else f"{value!r} is no {type_}"


def faults(graph: dict[str, Any], catalogue: dict[str, Any]) -> list[str]:
    wrong = []
    for number, node in graph.items():
        if node["class_type"] not in catalogue:
            wrong.append(f"{number}: there is no node {node['class_type']}")
            continue
        inputs = described(catalogue, node)
        where = f"{number} {node['class_type']}"
        wrong += [
            f"{where}.{key} is missing" for key, (must, *_) in inputs.items() if must and key not in node["inputs"]
        ]
        for key, value in node["inputs"].items():
            if key not in inputs:
                wrong.append(f"{where} has no input {key}")
            elif is_link(value):
                given = catalogue[graph[value[0]]["class_type"]]["output"][value[1]]
                if not fits(given, inputs[key][1]):
                    wrong.append(f"{where}.{key} gets {given}")
            elif key not in FILES and (fault := value_fault(value, *inputs[key][1:])):
                wrong.append(f"{where}.{key}: {fault}")
    return wrong


@pytest.mark.parametrize("name", NAMES)
def test_every_node_input_link_and_value_is_one_that_the_host_has(inprocess: Any, name: str) -> None:
    assert faults(graph_of(name, inprocess.object_info), inprocess.object_info) == []


def test_what_the_host_does_not_have_is_noticed(inprocess: Any) -> None:
    graph = graph_of("text_to_video", inprocess.object_info)
    sampler = next(node for node in graph.values() if node["class_type"] == "SpacetimeSampler")
    sampler["inputs"].update(steps=0, sampler="magic", speed=3, latent=sampler["inputs"]["model"])
    del sampler["inputs"]["guidance"]
    found = " ".join(faults(graph, inprocess.object_info))
    for part in (
        "guidance is missing",
        "0 is not between",
        "'magic' is none of",
        "no input speed",
        "latent gets MODEL",
    ):
        assert part in found


# -- the files of other models ---------------------------------------------------------------------------------------


def notes(name: str) -> str:
    nodes = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))["nodes"]
    return "\n".join(node["widgets_values"][0] for node in nodes if node["type"] == "MarkdownNote")


@pytest.mark.parametrize("name", FOREIGN)
def test_every_file_that_is_loaded_has_a_link_in_the_note_and_on_the_loader(name: str) -> None:
    """On the loader ComfyUI finds it and offers the download."""
    nodes = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))["nodes"]
    folders = {"UNETLoader": "diffusion_models", "VAELoader": "vae", "CLIPVisionLoader": "clip_vision"}
    loaded = 0
    for node in (node for node in nodes if node["type"] in LOADERS):
        files = [value for value in node["widgets_values"] if str(value).endswith(".safetensors")]
        models = {model["name"]: model for model in node["properties"]["models"]}
        assert sorted(models) == sorted(files)
        for file, model in models.items():
            assert re.fullmatch(r"https://huggingface\.co/[\w-]+/[\w.-]+/resolve/main/[\w./-]+", model["url"])
            assert model["url"].endswith(f"/{file}") and f"[{file}]({model['url']})" in notes(name)
            folder = "checkpoints" if node["type"] == "CheckpointLoaderSimple" else "text_encoders"
            assert model["directory"] == folders.get(node["type"], folder)
            assert f"models/{model['directory']}" in notes(name)
            loaded += 1
    assert loaded >= 2


def with_doubles(graph: dict[str, Any], family: str) -> dict[str, Any]:
    """Put a small random model in the place of the loaders."""
    slots = {number: LOADERS[node["class_type"]] for number, node in graph.items() if node["class_type"] in LOADERS}
    rest = {number: node for number, node in graph.items() if number not in slots}
    for node in rest.values():
        for key, value in node["inputs"].items():
            if is_link(value) and value[0] in slots:
                node["inputs"][key] = ["double", slots[value[0]][value[1]]]
    return {**rest, "double": {"class_type": "TestDouble", "inputs": {"family": family}, "_meta": {"title": "Double"}}}


SMALL: dict[str, dict[str, Any]] = {
    "SpacetimeLoadVideo": {"file": "small.mp4", "fps": 8.0, "width": 64, "height": 64},
    "SpacetimeAnimateImage": {"seconds": 2.0, "fps": 8.0, "size": 64},
    "SpacetimeSampler": {"steps": 1},
    "LTXVScheduler": {"steps": 3},
    "SpacetimeExtendVideo": {"seconds": 1.0},
    "SpacetimeLoopVideo": {"seconds": 1.0, "context": 1.0},
    "SpacetimeConnectVideos": {"seconds": 1.0, "context": 1.0},
}
FRAMES = {"extend": 33, "loop": 33, "connect": 58, "animate": 17}


@pytest.mark.parametrize("name", FOREIGN)
def test_it_runs_with_a_small_random_model_in_place_of_its_files(inprocess: Any, host_base: Path, name: str) -> None:
    prefix, _, operation = name.rpartition("_")
    (host_base / "input").mkdir(exist_ok=True)
    film(host_base / "input" / "small.mp4", frames=25, size=(64, 64))
    prompt = to_api(load_workflow(FOLDER / f"{name}.json"), inprocess.object_info)
    graph = with_doubles(prompt.graph, FAMILIES[prefix])
    for node in graph.values():
        node["inputs"].update(SMALL.get(node["class_type"], {}))
    prompt.graph.clear()
    prompt.graph.update(graph)
    result = inprocess.run(prompt, lambda event, data: None)
    assert not result.refused and len(result.files) == 1
    info = probe(next((host_base / "output").rglob(result.files[0].filename)))
    assert (info.frame_count, (info.width, info.height), info.fps) == (FRAMES[operation], (64, 64), 8)
