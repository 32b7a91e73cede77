# SPDX-License-Identifier: GPL-3.0-or-later
"""``--set`` and the shorthands: which input they mean, how text becomes a value, what near misses say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from comfyui_spacetime.host.overrides import OverrideError, apply_setting
from comfyui_spacetime.host.shorthands import Shorthands
from comfyui_spacetime.host.workflow import Prompt, to_api
from comfyui_spacetime.host.writeback import workflow_as_run


def define(kind: str, outputs: list[str], **inputs: Any) -> dict[str, Any]:
    return {"input": {"required": inputs}, "output": outputs, "name": kind, "display_name": kind}


SIDE = ["INT", {"default": 512, "min": 16, "step": 16}]
NODES = {
    entry["name"]: entry
    for entry in [
        define("CLIPTextEncode", ["CONDITIONING"], clip=["CLIP", {}], text=["STRING", {"multiline": True}]),
        define("Strengthen", ["CONDITIONING"], conditioning=["CONDITIONING", {}], note=["STRING", {}]),
        define(
            "KSampler",
            ["LATENT"],
            positive=["CONDITIONING", {}],
            negative=["CONDITIONING", {}],
            latent_image=["LATENT", {}],
            seed=["INT", {"control_after_generate": True}],
            steps=["INT", {"default": 20}],
            cfg=["FLOAT", {"default": 4.0}],
            sampler_name=[["euler", "dpmpp_2m", "uni_pc"], {}],
            tiled=["BOOLEAN", {"default": False}],
        ),
        define("EmptyLatentVideo", ["LATENT"], width=SIDE, height=SIDE, length=["INT", {"min": 1, "step": 4}]),
        define(
            "SpacetimeEmptyLatent",
            ["LATENT"],
            aspect=["COMBO", {"options": ["1:1", "16:9", "custom"]}],
            size=["INT", {"default": 256}],
            width=SIDE,
            height=SIDE,
            seconds=["FLOAT", {"default": 4.0}],
            fps=["FLOAT", {"default": 8.0}],
        ),
        define("CreateVideo", ["VIDEO"], images=["IMAGE", {}], fps=["FLOAT", {"default": 24.0}]),
        define("PrimitiveInt", ["INT"], value=["INT", {}]),
        define("PrimitiveString", ["STRING"], value=["STRING", {"multiline": True}]),
        define("LoadImage", ["IMAGE"], image=[["a.png"], {"image_upload": True}]),
        define("Example", ["VIDEO"], file=["COMBO", {"options": ["a.mp4"], "image_folder": "input"}]),
        define(
            "Write",
            [],
            format=[
                "COMFY_DYNAMICCOMBO_V3",
                {
                    "options": [
                        {"key": "auto", "inputs": {"required": {"fast": ["BOOLEAN", {"default": True}]}}},
                        {"key": "mp4", "inputs": {"required": {"crf": ["FLOAT", {"default": 23.0}]}}},
                    ]
                },
            ],
        ),
    ]
}


def api(kind: str, title: str | None = None, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs, "_meta": {"title": title or kind}}


def text_to_video(latent: dict[str, Any] | None = None, **more: Any) -> Prompt:
    graph = {
        "1": api("CLIPTextEncode", "Prompt", text="a cat"),
        "2": api("CLIPTextEncode", "Negative", text="blur"),
        "3": latent or api("SpacetimeEmptyLatent", aspect="1:1", size=256, width=256, height=256, seconds=4.0, fps=8.0),
        "4": api(
            "KSampler",
            "Sampler 1.5",
            positive=["1", 0],
            negative=["2", 0],
            latent_image=["3", 0],
            seed=1,
            steps=20,
            cfg=4.0,
            sampler_name="euler",
            tiled=False,
        ),
    }
    return to_api(graph | more, NODES)


def setting(prompt: Prompt, text: str) -> Prompt:
    apply_setting(prompt, NODES, text)
    return prompt


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("4.steps=30", "steps", 30),
        ("KSampler.steps=30", "steps", 30),
        ("ksampler.steps = 30", "steps", 30),
        ("Sampler 1.5.cfg=2", "cfg", 2.0),
        ("sampler 1.5.tiled=yes", "tiled", True),
        ("4.sampler_name=uni_pc", "sampler_name", "uni_pc"),
    ],
)
def test_a_node_is_named_by_id_title_or_type(text: str, name: str, value: Any):
    new = setting(text_to_video(), text).graph["4"]["inputs"][name]
    assert new == value
    assert type(new) is type(value)


def test_text_keeps_dots_equal_signs_and_commas():
    prompt = setting(text_to_video(), "Prompt.text=x=1, y. [3]")
    assert prompt.graph["1"]["inputs"]["text"] == "x=1, y. [3]"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("Promt.text=x", 'no node "Promt". Did you mean "Prompt"'),
        ("Prompt.txt=x", 'no input "txt". Did you mean text'),
        ("CLIPTextEncode.text=x", 'names 2 nodes.*"1.text", "2.text"'),
        ("4.steps=many", "takes a whole number"),
        ("4.cfg=high", "takes a number"),
        ("4.tiled=perhaps", "true or false"),
        ("4.sampler_name=uni_p", 'no choice "uni_p". Did you mean uni_pc'),
        ("4.sampler_name=zzz", "one of: euler, dpmpp_2m, uni_pc"),
        ("4.positive=x", "takes a CONDITIONING from another node"),
        ("4.steps", 'has no "="'),
        ("steps=3", "names no input"),
    ],
)
def test_what_does_not_fit_says_what_would(text: str, hint: str):
    with pytest.raises(OverrideError, match=hint):
        setting(text_to_video(), text)


def test_a_muted_node_is_named_as_such():
    prompt = text_to_video()
    prompt.idle["9"] = "Upscale"
    with pytest.raises(OverrideError, match="muted or bypassed"):
        setting(prompt, "Upscale.factor=2")


def test_a_value_replaces_a_link_to_the_same_input():
    prompt = text_to_video(**{"7": api("PrimitiveInt", value=5)})
    prompt.graph["4"]["inputs"]["steps"] = ["7", 0]
    assert setting(prompt, "4.steps=9").graph["4"]["inputs"]["steps"] == 9


def test_a_dynamic_combo_gets_the_inputs_of_its_new_choice():
    prompt = text_to_video(**{"8": api("Write", format="auto", **{"format.fast": True})})
    setting(prompt, "Write.format=mp4")
    assert prompt.graph["8"]["inputs"] == {"format": "mp4", "format.crf": 23.0}
    assert setting(prompt, "Write.format.crf=18").graph["8"]["inputs"]["format.crf"] == 18.0


def test_a_path_is_brought_into_the_input_folder(tmp_path: Path):
    picture = tmp_path / "cat.png"
    picture.write_bytes(b"png")
    prompt = text_to_video(**{"8": api("LoadImage", image="a.png"), "9": api("Example", file="a.mp4")})
    for target in ("LoadImage.image", "Example.file"):
        apply_setting(prompt, NODES, f"{target}={picture}", lambda path: f"stored-{path.name}")
    assert prompt.graph["8"]["inputs"]["image"] == prompt.graph["9"]["inputs"]["file"] == "stored-cat.png"


def test_the_prompt_is_found_behind_the_samplers_positive_input():
    prompt = text_to_video()
    Shorthands(prompt, NODES).set_prompt("a dog")
    assert prompt.graph["1"]["inputs"]["text"] == "a dog"
    assert prompt.graph["2"]["inputs"]["text"] == "blur"


def test_the_prompt_is_found_through_other_nodes_and_in_a_node_that_only_holds_text():
    prompt = text_to_video(
        **{"5": api("Strengthen", conditioning=["1", 0], note="keep"), "6": api("PrimitiveString", value="a cat")}
    )
    prompt.graph["4"]["inputs"]["positive"] = ["5", 0]
    prompt.graph["1"]["inputs"]["text"] = ["6", 0]
    Shorthands(prompt, NODES).set_prompt("a dog")
    assert prompt.graph["6"]["inputs"]["value"] == "a dog"
    assert prompt.graph["5"]["inputs"]["note"] == "keep"


def test_two_possible_prompts_are_both_named():
    second = text_to_video().graph["4"]["inputs"] | {"positive": ["5", 0]}
    prompt = text_to_video(**{"5": api("CLIPTextEncode", "Shot 2", text="b"), "6": api("KSampler", **second)})
    with pytest.raises(OverrideError, match=r'(?s)--set "1.text=...".*--set "5.text=..."  "Shot 2"'):
        Shorthands(prompt, NODES).set_prompt("x")


def test_no_prompt_at_all_is_a_sentence():
    with pytest.raises(OverrideError, match="finds no positive prompt"):
        Shorthands(to_api({"1": api("PrimitiveInt", value=1)}, NODES), NODES).set_prompt("x")


def test_a_seed_goes_into_every_sampler():
    prompt = text_to_video()
    prompt.graph["9"] = {**prompt.graph["4"], "inputs": dict(prompt.graph["4"]["inputs"])}
    Shorthands(prompt, NODES).set_seed(77)
    assert [prompt.graph[node]["inputs"]["seed"] for node in ("4", "9")] == [77, 77]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("16:9", {"aspect": "16:9", "size": 256}),
        ("640x360", {"aspect": "custom", "width": 640, "height": 368}),
        ("320", {"aspect": "1:1", "size": 320}),
        ("2:1", {"aspect": "custom", "width": 368, "height": 176}),
    ],
)
def test_size_on_the_packs_node(size: str, expected: dict[str, Any]):
    prompt = text_to_video()
    Shorthands(prompt, NODES).set_size(size)
    assert prompt.graph["3"]["inputs"].items() >= expected.items()


@pytest.mark.parametrize(("size", "width", "height"), [("640x360", 640, 368), ("16:9", 688, 384), ("256", 256, 256)])
def test_size_on_a_stock_node(size: str, width: int, height: int):
    prompt = text_to_video(api("EmptyLatentVideo", width=512, height=512, length=25))
    Shorthands(prompt, NODES).set_size(size)
    assert (prompt.graph["3"]["inputs"]["width"], prompt.graph["3"]["inputs"]["height"]) == (width, height)


def test_a_bad_size_says_what_is_taken():
    with pytest.raises(OverrideError, match="WIDTHxHEIGHT"):
        Shorthands(text_to_video(), NODES).set_size("wide")


def test_seconds_and_fps():
    prompt = text_to_video()
    short = Shorthands(prompt, NODES)
    short.set_fps(12.0)
    short.set_seconds(2.5)
    assert prompt.graph["3"]["inputs"].items() >= {"fps": 12.0, "seconds": 2.5}.items()


def test_seconds_become_frames_where_the_node_counts_frames():
    latent = api("EmptyLatentVideo", width=512, height=512, length=25)
    prompt = text_to_video(latent, **{"8": api("CreateVideo", fps=16.0)})
    Shorthands(prompt, NODES).set_seconds(2)
    assert prompt.graph["3"]["inputs"]["length"] == 33


def test_a_linked_number_is_set_where_it_stands():
    latent = api("EmptyLatentVideo", width=["7", 0], height=512, length=25)
    prompt = text_to_video(latent, **{"7": api("PrimitiveInt", value=512)})
    Shorthands(prompt, NODES).set_size("256x128")
    assert prompt.graph["7"]["inputs"]["value"] == 256
    assert prompt.graph["3"]["inputs"]["width"] == ["7", 0]


def test_the_saved_workflow_holds_what_was_set():
    wf = {
        "nodes": [
            {"id": 1, "type": "PrimitiveNode", "widgets_values": [5, "fixed"], "outputs": [{"type": "INT"}]},
            {
                "id": 2,
                "type": "KSampler",
                "title": "S",
                "widgets_values": [5, "increment", 20, 4.0, "euler", False],
                "inputs": [{"name": "seed", "type": "INT", "link": 1, "widget": {"name": "seed"}}],
            },
            {"id": 3, "type": "Write", "widgets_values": ["auto", True]},
        ],
        "links": [[1, 1, 0, 2, 0, "INT"]],
    }
    prompt = to_api(wf, NODES)
    for text in ("S.seed=9", "S.steps=3", "Write.format=mp4"):
        apply_setting(prompt, NODES, text)
    saved = workflow_as_run(prompt, NODES)
    assert saved is not None
    assert [node["widgets_values"] for node in saved["nodes"]] == [
        [9, "fixed"],
        [9, "increment", 3, 4.0, "euler", False],
        ["mp4", 23.0],
    ]
    assert wf["nodes"][0]["widgets_values"][0] == 5
    assert to_api(saved, NODES).graph == prompt.graph
