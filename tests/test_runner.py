# SPDX-License-Identifier: GPL-3.0-or-later
"""Workflows run in process: results, metadata, errors, cancelling."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from graphs import api, clip, editor_picture, picture
from PIL import Image

from comfyui_spacetime.host.errors import Cancelled, ExecutionFailed, InvalidPrompt, execution_failure
from comfyui_spacetime.host.outputs import Delivery
from comfyui_spacetime.host.overrides import apply_setting
from comfyui_spacetime.host.render import stop_on_signal, write_sheet
from comfyui_spacetime.host.workflow import Prompt, to_api

pytestmark = pytest.mark.host


def run(inprocess: Any, graph: dict[str, Any], listener: Any = None) -> Any:
    return inprocess.run(to_api(graph, inprocess.object_info), listener)


def names(folder: Path, prefix: str) -> list[str]:
    return sorted(path.name for path in folder.glob(f"{prefix}*"))


def test_a_workflow_of_the_editor_runs_as_it_looks(inprocess: Any, host_base: Path):
    workflow = editor_picture("editor")
    result = run(inprocess, workflow)
    (path,) = [inprocess.path_of(file) for file in result.files]
    assert path.parent == host_base / "output"
    assert names(host_base / "output", "muted") == []
    with Image.open(path) as image:
        assert image.size == (24, 8)
        assert image.getpixel((0, 0)) == (0, 255, 255)
        assert json.loads(image.info["workflow"]) == workflow
        assert json.loads(image.info["prompt"])["2"]["inputs"]["width"] == 24


def test_settings_reach_the_result_and_its_metadata(inprocess: Any):
    prompt = to_api(editor_picture("set"), inprocess.object_info)
    for text in ("Width.value=16", "Red.color=255"):
        apply_setting(prompt, inprocess.object_info, text)
    with Image.open(inprocess.path_of(inprocess.run(prompt).files[0])) as image:
        assert image.size == (16, 8)
        assert image.getpixel((0, 0)) == (255, 255, 0)


def test_a_video_is_saved_and_delivered_with_its_contact_sheet(inprocess: Any, host_base: Path, tmp_path: Path):
    result = run(inprocess, clip("clips/plain"))
    path = inprocess.deliver(result.files[0], Delivery(tmp_path / "mine.mp4"))
    write_sheet(path, replace=True)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["mine.mp4", "mine.png"]
    assert names(host_base / "output" / "clips", "plain") == []


def test_events_tell_the_steps_of_each_node(inprocess: Any):
    seen = []

    def listen(event: str, data: dict[str, Any]) -> None:
        if event == "progress_state":
            seen.extend((node, state["value"]) for node, state in data["nodes"].items())

    run(inprocess, {"1": api("TestSteps", steps=3, pause=0.0)}, listen)
    assert {("1", 1), ("1", 3)} <= set(seen)  # newer hosts leave out steps that follow quickly


def test_a_second_run_gives_the_same_files_from_the_cache(inprocess: Any):
    graph = picture("cached", color=0x123456)
    assert run(inprocess, graph).files == run(inprocess, graph).files


@pytest.mark.parametrize(
    ("graph", "sentence"),
    [
        ({"1": api("Nowhere")}, r"does not have these node types:\n  Nowhere \(node 1\)"),
        (picture("x", width=0), r'Input "width" of .*\(node 1.* is 0; the least is 1'),
        ({"2": api("SaveImage", filename_prefix="x")}, r'Input "images" of .* is missing: connect an IMAGE'),
        ({"1": api("EmptyImage", width=8, height=8, batch_size=1, color=0)}, "no output node"),
        ({"1": api("TestSteps", steps="many", pause=0.0)}, r'Input "steps" .* takes a whole number, not "many"'),
        (
            picture("x")
            | {"2": api("SaveImage", images=["3", 0], filename_prefix="x"), "3": api("TestSteps", steps=1)},
            r'"Save Image" \(node 2, SaveImage\) gets the wrong kind of value from "Steps"',
        ),
    ],
)
def test_what_cannot_run_is_refused_in_a_sentence(inprocess: Any, graph: dict[str, Any], sentence: str):
    with pytest.raises(InvalidPrompt, match=sentence):
        run(inprocess, graph)


def test_an_unknown_node_is_told_with_the_pack_it_came_from(inprocess: Any):
    node = {"id": 4, "type": "Glow", "inputs": [], "properties": {"cnr_id": "some-pack"}}
    with pytest.raises(InvalidPrompt, match=r"Glow \(node 4\): from the pack some-pack"):
        run(inprocess, {"nodes": [node], "links": []})


def test_valid_outputs_run_and_the_others_are_told(inprocess: Any):
    graph = picture("valid") | {"9": api("SaveImage", filename_prefix="x")}
    result = run(inprocess, graph)
    assert len(result.files) == 1
    assert "(node 9, SaveImage) is missing" in result.refused


def test_a_failing_node_is_named_with_its_reason(inprocess: Any):
    with pytest.raises(ExecutionFailed, match=r'^"Fails" \(node 7, TestFails\) failed: no paint left$') as failure:
        run(inprocess, {"7": api("TestFails", message="no paint left")})
    assert failure.value.node == "7"
    assert any("host_nodes" in line or "raise ValueError" in line for line in failure.value.details)


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("pack.nodes.errors.InputError", "the clip is too short."),
        ("pack.video.errors.VideoError", "the clip is too short."),
        ("KeyError", "KeyError: the clip is too short."),
    ],
)
def test_what_this_pack_says_needs_no_name_of_an_exception(kind: str, shown: str):
    prompt = Prompt({"7": api("TestFails")})
    told = {"node_id": "7", "exception_message": "the clip is too short.", "exception_type": kind}
    assert str(execution_failure(prompt, told)).endswith(f"failed: {shown}")


def test_a_failing_save_leaves_no_half_file_and_keeps_finished_ones(inprocess: Any, host_base: Path):
    run(inprocess, {"1": api("TestSavesSlowly", filename_prefix="part", steps=1, fails=False)})
    with pytest.raises(ExecutionFailed, match="the disk is full"):
        run(inprocess, {"1": api("TestSavesSlowly", filename_prefix="part", steps=2, fails=True)})
    assert names(host_base / "output", "part") == ["part_00001_.txt"]


def test_cancelling_stops_at_the_next_step_and_removes_the_half_file(inprocess: Any, host_base: Path):
    steps = []

    def stop_after_two(event: str, data: dict[str, Any]) -> None:
        values = [state["value"] for state in (data.get("nodes") or {}).values() if state["state"] == "running"]
        steps.extend(values)
        if values and max(values) >= 2:
            inprocess.cancel()

    with pytest.raises(Cancelled):
        run(inprocess, {"1": api("TestSavesSlowly", filename_prefix="stop", steps=500, fails=False)}, stop_after_two)
    assert max(steps) < 100
    assert names(host_base / "output", "stop") == []
    assert run(inprocess, picture("after")).files


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="signals between threads need POSIX")
def test_ctrl_c_stops_the_run(inprocess: Any):
    def press(event: str, data: dict[str, Any]) -> None:
        if event == "executing":
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)  # type: ignore[arg-type]

    with pytest.raises(Cancelled) as stop, stop_on_signal(inprocess.cancel):
        run(inprocess, {"1": api("TestSteps", steps=500, pause=0.01)}, press)
    assert stop.value.signal == signal.SIGINT


@pytest.mark.parametrize("prefix", ["../escape", "/escape"])
def test_a_name_outside_the_output_folder_is_refused(inprocess: Any, host_base: Path, prefix: str):
    with pytest.raises(ExecutionFailed, match="outside the output folder"):
        run(inprocess, picture(prefix))
    assert not list(host_base.glob("escape*"))


def test_an_input_file_is_copied_in_and_not_over_another(inprocess: Any, host_base: Path, tmp_path: Path):
    for folder, color in (("a", "red"), ("b", "blue")):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (8, 8), color).save(tmp_path / folder / "mine.png")
    first, second = (inprocess.take_input(tmp_path / folder / "mine.png") for folder in "ab")
    assert [first, second] == ["mine.png", "mine-2.png"]
    assert inprocess.take_input(tmp_path / "a" / "mine.png") == "mine.png"
    assert inprocess.take_input(host_base / "input" / "mine-2.png") == "mine-2.png"
