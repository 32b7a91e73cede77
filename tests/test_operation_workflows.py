# SPDX-License-Identifier: GPL-3.0-or-later
"""Every workflow of an operation, as its file stands, run without a browser on the small model at a small size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from node_kit import NAME, make_kit  # noqa: F401

from comfyui_spacetime.host.overrides import apply_setting
from comfyui_spacetime.host.workflow import load_workflow, to_api
from comfyui_spacetime.video.reader import probe

pytestmark = pytest.mark.host
FOLDER = Path(__file__).resolve().parent.parent / "workflows"
SMALL = ["Load Spacetime Model.checkpoint=" + NAME]
HALF = ["{}.width=64", "{}.height=64"]
# workflow: (settings for speed, frames of the result, its size); the example clips have 25 frames of 256 x 256
EXPECTED: dict[str, tuple[list[str], int, tuple[int, int]]] = {
    "animate_image": (["Animate Image.size=64", "Spacetime Sampler.steps=1"], 33, (64, 64)),
    "cinemagraph": (["Cinemagraph.size=64", "Spacetime Sampler.steps=1"], 25, (64, 64)),
    "connect": ([s.format("Connect Videos") for s in HALF] + ["Spacetime Sampler.steps=1"], 66, (256, 256)),
    "draft_then_final": (
        ["Clip at full size.size=128", "Draft, Then Final.draft_steps=1", "Draft, Then Final.final_steps=1"],
        17,
        (128, 128),
    ),
    "edit_video": ([s.format("Edit Video") for s in HALF] + ["Spacetime Sampler.steps=1"], 25, (256, 256)),
    "extend_backward": ([s.format("Extend Video") for s in HALF] + ["Spacetime Sampler.steps=1"], 42, (256, 256)),
    "extend_forward": ([s.format("Extend Video") for s in HALF] + ["Spacetime Sampler.steps=1"], 41, (256, 256)),
    "inpaint": ([s.format("Edit Video") for s in HALF] + ["Spacetime Sampler.steps=1"], 25, (256, 256)),
    "long_video": (
        ["Clip: size, length, frame rate.size=64", "Clip: size, length, frame rate.seconds=6", "Long Video.steps=1"],
        49,
        (64, 64),
    ),
    "loop": ([s.format("Loop Video") for s in HALF] + ["Spacetime Sampler.steps=1"], 41, (256, 256)),
    "melt": ([s.format("Connect Videos") for s in HALF] + ["Spacetime Sampler.steps=1"], 25, (256, 256)),
    "outpaint": (["Spacetime Sampler.steps=1"], 25, (352, 256)),
    "text_image_video": (
        ["Picture: size.size=64", "Animate Image.size=64", "Text to picture.steps=1", "Picture to video.steps=1"],
        17,
        (64, 64),
    ),
    "shots": (["Shots.size=64", "Shots.steps=1"], 50, (64, 64)),
}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_it_runs_as_it_is_shipped(inprocess: Any, kit: Any, host_base: Path, name: str) -> None:
    settings, frames, size = EXPECTED[name]
    prompt = to_api(load_workflow(FOLDER / f"{name}.json"), inprocess.object_info)
    for setting in SMALL + settings:
        apply_setting(prompt, inprocess.object_info, setting)
    result = inprocess.run(prompt, lambda event, data: None)
    assert not result.refused and len(result.files) == 1
    info = probe(next((host_base / "output").rglob(result.files[0].filename)))
    assert (info.frame_count, (info.width, info.height), info.fps) == (frames, size, 8)


def test_example_inputs_are_small_and_named_by_the_workflows() -> None:
    files = {path.name: path.stat().st_size for path in (FOLDER / "inputs").iterdir()}
    assert max(files.values()) < 100_000
    used = "".join(path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json"))
    assert all(name in used for name in files)


def test_only_listed_files_can_be_loaded(inprocess: Any) -> None:
    from comfyui_spacetime.nodes.example import LoadExample

    for name in ("../README.md", "/etc/passwd", "nothing.mp4"):
        with pytest.raises(ValueError, match="There is no file"):
            LoadExample.execute(name)
    video, picture = LoadExample.execute("penguin_beach.png").result
    assert picture.shape == (1, 256, 256, 3) and video.get_dimensions() == (256, 256)


def test_every_node_explains_itself(inprocess: Any) -> None:
    from comfyui_spacetime.nodes.operations import NODES

    for node in NODES:
        described = node.define_schema()
        assert described.node_id.startswith("Spacetime") and described.description
        for part in [*described.inputs, *described.outputs]:
            assert part.tooltip, f"{described.node_id}.{part.id}"
        page = (FOLDER.parent / "web" / "docs" / f"{described.node_id}.md").read_text(encoding="utf-8")
        assert page.startswith(f"# {described.display_name}\n")
        assert all(part.id in page for part in described.inputs), described.node_id
