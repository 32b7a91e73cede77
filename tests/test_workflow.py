# SPDX-License-Identifier: GPL-3.0-or-later
"""Each rule by which a UI-format workflow becomes an API graph, as a small example."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from comfyui_spacetime.host.workflow import WorkflowError, load_workflow, to_api


def define(kind: str, outputs: list[str], optional: dict[str, Any] | None = None, **inputs: Any) -> dict[str, Any]:
    return {
        "input": {"required": inputs, "optional": optional or {}},
        "output": outputs,
        "name": kind,
        "display_name": f"The {kind}",
    }


NODES = {
    entry["name"]: entry
    for entry in [
        define("Load", ["MODEL"], name=[["a.safetensors", "b.safetensors"], {}]),
        define("Text", ["COND"], model=["MODEL", {}], text=["STRING", {"multiline": True}]),
        define(
            "Sample",
            ["LATENT"],
            model=["MODEL", {}],
            positive=["COND", {}],
            seed=["INT", {"default": 0, "control_after_generate": True}],
            steps=["INT", {"default": 20}],
            mode=["COMBO", {"options": ["fast", "slow"], "default": "slow"}],
        ),
        define("Change", ["COND"], cond=["COND", {}], amount=["FLOAT", {"default": 0.5}]),
        define("Picture", ["IMAGE"], image=[["a.png"], {"image_upload": True}], size=["INT", {"default": 4}]),
        define("Save", [], latent=["LATENT", {}], optional={"note": ["STRING", {"default": "none"}]}),
        define("Forced", ["INT"], value=["INT", {"forceInput": True}], other=["INT", {"default": 1}]),
        define(
            "Numbered",
            [],
            seed=["INT", {"default": 9, "control_after_generate": False}],
            noise_seed=["INT", {"control_after_generate": None}],
            steps=["INT", {"default": 20}],
        ),
        define("Colors", [], tint=["COLOR", {"default": "#fff"}], points=["CURVE", {}]),
        define("CustomCombo", ["STRING"], choice=["COMBO", {"options": []}]),
        define(
            "Write",
            [],
            format=[
                "COMFY_DYNAMICCOMBO_V3",
                {
                    "options": [
                        {"key": "auto", "inputs": {"required": {}}},
                        {
                            "key": "mp4",
                            "inputs": {
                                "required": {
                                    "codec": [
                                        "COMFY_DYNAMICCOMBO_V3",
                                        {
                                            "options": [
                                                {
                                                    "key": "h264",
                                                    "inputs": {"required": {"crf": ["FLOAT", {"default": 23}]}},
                                                }
                                            ]
                                        },
                                    ],
                                    "seed": ["INT", {"default": 7}],
                                }
                            },
                        },
                    ]
                },
            ],
            name=["STRING", {"default": "video"}],
        ),
    ]
}


def node(
    number: int, kind: str, values: Any = None, inputs: Any = (), mode: int = 0, outputs: Any = ("*",), **more: Any
):
    """``inputs``: (name, type, link) or (name, type, link, widget)."""
    slots = [
        {"name": slot[0], "type": slot[1], "link": slot[2], **({"widget": {"name": slot[3]}} if len(slot) > 3 else {})}
        for slot in inputs
    ]
    kinds = [{"name": kind, "type": kind} for kind in outputs]
    entry = {"id": number, "type": kind, "mode": mode, "inputs": slots, "outputs": kinds, **more}
    return entry if values is None else entry | {"widgets_values": values}


def workflow(*nodes: Any, links: Any = (), subgraphs: Any = ()) -> dict[str, Any]:
    return {"nodes": list(nodes), "links": list(links), "definitions": {"subgraphs": list(subgraphs)}}


def inputs_of(wf: dict[str, Any], name: str) -> dict[str, Any]:
    return to_api(wf, NODES).graph[name]["inputs"]


LOAD = node(1, "Load", ["b.safetensors"], outputs=["MODEL"])


def test_widget_values_are_read_by_position_and_the_seeds_control_value_is_skipped():
    wf = workflow(node(2, "Sample", [7, "randomize", 30, "fast"]))
    assert inputs_of(wf, "2") == {"seed": 7, "steps": 30, "mode": "fast"}


def test_a_seed_has_a_control_value_unless_its_node_says_that_it_has_none():
    wf = workflow(node(2, "Numbered", [7, 8, "fixed", 30]))
    assert inputs_of(wf, "2") == {"seed": 7, "noise_seed": 8, "steps": 30}


def test_links_name_their_source_and_win_over_the_widget():
    text = node(2, "Text", ["a cat"], [("model", "MODEL", 10)])
    shared = node(3, "Text", ["kept only in the file"], [("text", "STRING", 11, "text")])
    wf = workflow(LOAD, text, shared, links=[[10, 1, 0, 2, 0, "MODEL"], [11, 2, 0, 3, 0, "STRING"]])
    assert inputs_of(wf, "2") == {"model": ["1", 0], "text": "a cat"}
    assert inputs_of(wf, "3") == {"text": ["2", 0]}


def test_missing_values_are_the_defaults_of_a_new_node():
    assert inputs_of(workflow(node(2, "Sample", [7])), "2") == {"seed": 7, "steps": 20, "mode": "slow"}
    assert inputs_of(workflow(node(2, "Load")), "2") == {"name": "a.safetensors"}


def test_values_may_be_stored_by_name():
    assert inputs_of(workflow(node(2, "Sample", {"steps": 9, "seed": 1, "shown": 3})), "2") == {
        "seed": 1,
        "steps": 9,
        "mode": "slow",
    }


def test_an_upload_button_takes_the_last_value():
    assert inputs_of(workflow(node(2, "Picture", ["b.png", 8, "image"])), "2") == {"image": "b.png", "size": 8}


def test_an_input_that_must_be_linked_is_no_widget():
    assert inputs_of(workflow(node(2, "Forced", [5])), "2") == {"other": 5}


def test_lists_are_marked_as_values():
    assert inputs_of(workflow(node(2, "Colors", ["#123", [[0, 0], [1, 1]]])), "2") == {
        "tint": "#123",
        "points": {"__value__": [[0, 0], [1, 1]]},
    }


def test_titles_come_from_the_file_or_the_host():
    prompt = to_api(workflow(node(2, "Load", title="My loader"), node(3, "Load")), NODES)
    assert [entry["_meta"]["title"] for entry in prompt.graph.values()] == ["My loader", "The Load"]


def test_muted_nodes_and_the_inputs_that_need_them_are_left_out():
    muted = node(1, "Load", ["a.safetensors"], mode=2, title="Off")
    text = node(2, "Text", ["a cat"], [("model", "MODEL", 10)])
    prompt = to_api(workflow(muted, text, links=[[10, 1, 0, 2, 0, "MODEL"]]), NODES)
    assert list(prompt.graph) == ["2"]
    assert prompt.graph["2"]["inputs"] == {"text": "a cat"}
    assert prompt.idle == {"1": "Off"}


def test_a_bypassed_node_passes_on_the_input_of_the_same_type():
    text = node(2, "Text", ["a cat"], outputs=["COND"])
    change = node(3, "Change", [1.0], [("other", "MODEL", None), ("cond", "COND", 10)], mode=4, outputs=["COND"])
    sample = node(4, "Sample", [1, "fixed"], [("positive", "COND", 11)])
    wf = workflow(text, change, sample, links=[[10, 2, 0, 3, 1, "COND"], [11, 3, 0, 4, 0, "COND"]])
    assert inputs_of(wf, "4")["positive"] == ["2", 0]


def test_a_bypassed_node_without_a_fitting_input_passes_nothing():
    change = node(3, "Load", ["a.safetensors"], mode=4, outputs=["MODEL"])
    wf = workflow(change, node(4, "Sample", [1], [("model", "MODEL", 11)]), links=[[11, 3, 0, 4, 0, "MODEL"]])
    assert "model" not in inputs_of(wf, "4")


def test_reroutes_are_followed():
    reroutes = [node(n, "Reroute", None, [("", "*", 10 + n)]) for n in (2, 3)]
    text = node(4, "Text", ["x"], [("model", "MODEL", 14)])
    links = [[12, 1, 0, 2, 0, "*"], [13, 2, 0, 3, 0, "*"], [14, 3, 0, 4, 0, "MODEL"]]
    assert inputs_of(workflow(LOAD, *reroutes, text, links=links), "4")["model"] == ["1", 0]


def test_a_circle_of_reroutes_is_a_sentence():
    reroutes = [node(2, "Reroute", None, [("", "*", 1)]), node(3, "Reroute", None, [("", "*", 2)])]
    text = node(4, "Text", ["x"], [("model", "MODEL", 3)])
    wf = workflow(*reroutes, text, links=[[1, 3, 0, 2, 0, "*"], [2, 2, 0, 3, 0, "*"], [3, 3, 0, 4, 0, "*"]])
    with pytest.raises(WorkflowError, match="circle"):
        to_api(wf, NODES)


def test_a_primitives_value_goes_into_the_widget_and_can_be_set_under_its_name():
    primitive = node(1, "PrimitiveNode", [42, "fixed"], outputs=["INT"], title="Seed")
    sample = node(2, "Sample", [7, "fixed", 30, "fast"], [("seed", "INT", 5, "seed")])
    prompt = to_api(workflow(primitive, sample, links=[[5, 1, 0, 2, 0, "INT"]]), NODES)
    assert prompt.graph["2"]["inputs"]["seed"] == 42
    assert prompt.aliases == {("1", "value"): [("2", "seed")]}


def test_notes_are_left_out():
    assert to_api(workflow(node(1, "Note", ["hi"]), node(2, "MarkdownNote", ["# hi"])), NODES).graph == {}


SUBGRAPH = {
    "id": "aaaa",
    "name": "Prompted",
    "inputs": [
        {"name": "model", "type": "MODEL", "linkIds": [1]},
        {"name": "text", "type": "STRING", "linkIds": [2, 5]},
    ],
    "outputs": [{"name": "COND", "type": "COND", "linkIds": [3]}],
    "nodes": [
        node(5, "Text", ["inner text"], [("model", "MODEL", 1), ("text", "STRING", 2, "text")], outputs=["COND"]),
        node(6, "Forced", [1], [("value", "INT", 5)]),
    ],
    "links": [
        {"id": 1, "origin_id": -10, "origin_slot": 0, "target_id": 5, "target_slot": 0, "type": "MODEL"},
        {"id": 2, "origin_id": -10, "origin_slot": 1, "target_id": 5, "target_slot": 1, "type": "STRING"},
        {"id": 3, "origin_id": 5, "origin_slot": 0, "target_id": -20, "target_slot": 0, "type": "COND"},
        {"id": 5, "origin_id": -10, "origin_slot": 1, "target_id": 6, "target_slot": 0, "type": "INT"},
    ],
}


def use_of_subgraph(values: Any, mode: int = 0, text_link: int | None = None) -> dict[str, Any]:
    slots = [("model", "MODEL", 10), ("text", "STRING", text_link, "text")]
    use = node(2, "aaaa", values, slots, mode=mode, outputs=["COND"], title="Prompted")
    sample = node(3, "Sample", [1], [("positive", "COND", 11)])
    links = [[10, 1, 0, 2, 0, "MODEL"], [11, 2, 0, 3, 0, "COND"]]
    return workflow(LOAD, use, sample, links=links, subgraphs=[SUBGRAPH])


def test_nodes_inside_a_subgraph_get_ids_with_colons_and_links_cross_its_border_both_ways():
    graph = to_api(use_of_subgraph(["outer text"]), NODES).graph
    assert graph["2:5"]["inputs"] == {"model": ["1", 0], "text": "outer text"}
    assert graph["3"]["inputs"]["positive"] == ["2:5", 0]


def test_a_widget_on_the_outside_wins_and_without_its_value_the_first_inside_counts_for_all():
    prompt = to_api(use_of_subgraph(["outer text"]), NODES)
    assert prompt.aliases[("2", "text")] == [("2:5", "text"), ("2:6", "value")]
    graph = to_api(use_of_subgraph([]), NODES).graph
    assert graph["2:5"]["inputs"]["text"] == graph["2:6"]["inputs"]["value"] == "inner text"


@pytest.mark.parametrize("mode", [2, 4])
def test_a_subgraph_that_is_off_drops_its_inside(mode: int):
    assert list(to_api(use_of_subgraph(["x"], mode=mode), NODES).graph) == ["1", "3"]


def test_a_subgraph_inside_itself_is_a_sentence():
    inner = node(9, "aaaa", [], [], outputs=["COND"])
    broken = SUBGRAPH | {"nodes": [*SUBGRAPH["nodes"], inner]}
    wf = use_of_subgraph(["x"]) | {"definitions": {"subgraphs": [broken]}}
    with pytest.raises(WorkflowError, match="contains itself"):
        to_api(wf, NODES)


def test_a_dynamic_combo_is_followed_by_the_widgets_of_its_choice():
    wf = workflow(node(2, "Write", ["mp4", "h264", 18.0, 9, "clip"]))
    assert inputs_of(wf, "2") == {
        "format": "mp4",
        "format.codec": "h264",
        "format.codec.crf": 18.0,
        "format.seed": 9,
        "name": "clip",
    }
    assert inputs_of(workflow(node(2, "Write", ["auto", "clip"])), "2") == {"format": "auto", "name": "clip"}


def test_growing_inputs_keep_their_names():
    many = node(2, "Save", [], [("images.image0", "IMAGE", 1), ("images.image1", "IMAGE", None)])
    wf = workflow(LOAD, many, links=[[1, 1, 0, 2, 0, "IMAGE"]])
    assert inputs_of(wf, "2") == {"images.image0": ["1", 0], "note": "none"}


def test_a_custom_combo_sends_its_list():
    wf = workflow(node(2, "CustomCombo", ["soft", 1, "hard", "soft", ""]))
    assert inputs_of(wf, "2") == {"choice": "soft", "index": 1, "option1": "hard", "option2": "soft", "option3": ""}


def test_a_group_node_is_refused_with_what_to_do():
    with pytest.raises(WorkflowError, match="subgraph"):
        to_api(workflow(node(2, "workflow>mine")), NODES)


def test_api_format_passes_through_and_gets_titles():
    graph = {"1": {"class_type": "Load", "inputs": {"name": "x"}}}
    prompt = to_api(graph, NODES)
    assert prompt.graph["1"]["inputs"] == {"name": "x"}
    assert prompt.title("1") == "The Load"
    assert prompt.workflow is None


def test_bad_json_is_told_with_its_place(tmp_path: Path):
    path = tmp_path / "broken.json"
    path.write_text('{\n  "nodes": [,]\n}')
    with pytest.raises(WorkflowError, match="line 2, column 13"):
        load_workflow(path)


@pytest.mark.parametrize("content", ["[]", "{}", '{"a": 1}', '"text"'])
def test_json_that_is_no_workflow_is_refused(tmp_path: Path, content: str):
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(WorkflowError, match="no ComfyUI workflow"):
        load_workflow(path)


def test_files_that_cannot_be_read_are_told(tmp_path: Path):
    with pytest.raises(WorkflowError, match="There is no file"):
        load_workflow(tmp_path / "none.json")
    with pytest.raises(WorkflowError, match="folder"):
        load_workflow(tmp_path)
    (tmp_path / "picture.json").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(WorkflowError, match="not text"):
        load_workflow(tmp_path / "picture.json")


def test_the_body_of_a_request_is_a_workflow_too(tmp_path: Path):
    path = tmp_path / "request.json"
    path.write_text(json.dumps({"prompt": {"1": {"class_type": "Load", "inputs": {}}}, "client_id": "x"}))
    assert load_workflow(path) == {"1": {"class_type": "Load", "inputs": {}}}


def test_a_damaged_file_is_told_not_traced():
    with pytest.raises(WorkflowError, match="damaged"):
        to_api({"nodes": [{"id": 1}], "links": []}, NODES)
