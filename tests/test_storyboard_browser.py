# SPDX-License-Identifier: GPL-3.0-or-later
"""The timeline of the Storyboard node in Chromium, classic and as Vue nodes: drag, edit, queue, reload."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from host_fixtures import READY
from PIL import Image
from test_browser import SET, SMALL, artefacts, open_workflow, page, queue  # noqa: F401

pytestmark = [pytest.mark.browser, pytest.mark.host]

WAIT = 60_000
NODE = "app.graph._nodes.find(n => n.type === 'SpacetimeStoryboard')"
TEXT = f"{NODE}.widgets.find(w => w.name === 'storyboard').value"
SHOWN = "() => [...document.querySelectorAll('.spacetime-shot .spacetime-words')].map(e => e.textContent)"
FILM = [
    "Mia walks to the right in the forest in the snow",
    "Mia walks to the right in the forest at night",
    "a penguin jumps on the beach",
]


@pytest.fixture(scope="module", params=["classic", "vue"])
def mode(request: Any, page: Any) -> Any:
    page.evaluate("on => app.extensionManager.setting.set('Comfy.VueNodes.Enabled', on)", request.param == "vue")
    yield request.param
    page.evaluate("() => app.extensionManager.setting.set('Comfy.VueNodes.Enabled', false)")


@pytest.fixture
def board(mode: str, page: Any, root: Path) -> Any:
    """The page with the workflow of Shots, the timeline drawn."""
    open_workflow(page, root, "shots")
    wait_for_shots(page, FILM)
    page.evaluate(
        f"() => {{ app.canvas.ds.scale = 0.8; app.canvas.ds.offset = [-200, 80]; {NODE}.setDirtyCanvas(true) }}"
    )
    page.wait_for_timeout(500)
    return page


def wait_for_shots(page: Any, prompts: list[str]) -> None:
    page.wait_for_function(
        f"prompts => JSON.stringify(({SHOWN})()) === JSON.stringify(prompts)", arg=prompts, timeout=WAIT
    )


def drag(page: Any, start: tuple[float, float], by: float) -> None:
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(start[0] + by / 2, start[1], steps=3)
    page.mouse.move(start[0] + by, start[1], steps=3)
    page.mouse.up()


def box_of(page: Any, index: int) -> dict[str, float]:
    return page.locator(".spacetime-shot").nth(index).bounding_box()


def lines(page: Any) -> list[str]:
    return page.evaluate(TEXT).splitlines()


def test_the_end_of_a_shot_is_pulled(board: Any) -> None:
    place = board.evaluate(f"() => [...{NODE}.pos]")
    box = box_of(board, 0)
    drag(board, (box["x"] + box["width"] - 3, box["y"] + box["height"] / 2), box["width"] / 2)
    assert lines(board) == [
        "cast Mia: a red panda",
        "0-3s: Mia walks to the right in the forest in the snow",
        "3-5s: glide, Mia walks to the right in the forest at night",
        "5-7s: cut, a penguin jumps on the beach",
    ]
    assert box_of(board, 0)["width"] == pytest.approx(1.5 * box_of(board, 1)["width"], rel=0.05)
    assert board.evaluate(f"() => [...{NODE}.pos]") == place, "the node itself is not dragged"


def test_a_shot_is_dragged_to_another_place(board: Any) -> None:
    box = box_of(board, 2)
    drag(board, (box["x"] + box["width"] / 2, box["y"] + 20), -2.2 * box["width"])
    wait_for_shots(board, [FILM[2], FILM[0], FILM[1]])
    assert lines(board)[1:] == [
        "0-2s: a penguin jumps on the beach",
        "2-4s: cut, Mia walks to the right in the forest in the snow",
        "4-6s: glide, Mia walks to the right in the forest at night",
    ]


def test_the_fields_change_the_chosen_shot(board: Any) -> None:
    board.locator(".spacetime-shot").nth(1).click(position={"x": 40, "y": 20})
    board.locator(".spacetime-fields select").select_option("continue")
    board.locator(".spacetime-fields input[type=number]").fill("1.5")
    board.locator(".spacetime-fields textarea").fill("Mia jumps\nhigh")
    assert lines(board)[2:] == ["2-3.5s: continue, Mia jumps high", "3.5-5.5s: cut, a penguin jumps on the beach"]
    board.locator(".spacetime-shot").nth(2).locator(".spacetime-sign").click()
    assert lines(board)[3] == "3.5-5.5s: continue, a penguin jumps on the beach"


def test_shots_are_added_and_removed_and_the_node_stays(board: Any) -> None:
    board.locator(".spacetime-shot").nth(0).click(position={"x": 40, "y": 20})
    board.keyboard.press("Delete")
    wait_for_shots(board, FILM[1:])
    assert lines(board) == [
        "cast Mia: a red panda",
        "0-2s: Mia walks to the right in the forest at night",
        "2-4s: cut, a penguin jumps on the beach",
    ]
    board.get_by_title("Add a shot after this one.").click()
    board.keyboard.type("a car")
    assert lines(board)[2] == "2-4s: cut, a car"
    assert board.evaluate(f"() => !!{NODE}")


def test_the_text_and_the_timeline_show_the_same(board: Any, mode: str) -> None:
    """Typing in the text is drawn, a mistake is said with its place, and notes survive a change on the timeline."""
    inside = f"[data-node-id='{board.evaluate(f'{NODE}.id')}'] textarea"  # of the node's page element
    area = board.locator(inside if mode == "vue" else "textarea.comfy-multiline-input").first
    area.fill("# a note\n0-2s: a dog / 3-4s: a cat")
    board.wait_for_function(
        "() => document.querySelector('.spacetime-message').textContent.startsWith('Line 2, column 15')"
    )
    area.fill("# a note\n0-2s: a dog / 2-4s: a cat\n# the end")
    wait_for_shots(board, ["a dog", "a cat"])
    box = box_of(board, 0)
    drag(board, (box["x"] + box["width"] - 3, box["y"] + box["height"] / 2), -box["width"] / 2)
    assert lines(board) == ["# a note", "0-1s: a dog / 1-3s: cut, a cat", "# the end"]
    assert area.input_value().splitlines() == lines(board)


def test_a_picture_is_chosen_for_a_shot(board: Any, tmp_path: Path) -> None:
    Image.fromarray(np.full((48, 64, 3), (200, 90, 30), np.uint8)).save(tmp_path / "beach.png")
    board.locator(".spacetime-shot").nth(2).click(position={"x": 40, "y": 20})
    board.locator(".spacetime-fields input[type=file]").set_input_files(tmp_path / "beach.png")
    board.wait_for_function(
        "() => document.querySelectorAll('.spacetime-shot')[2].querySelector('img')?.naturalWidth === 64"
    )
    assert lines(board)[3].startswith("4-6s: cut, [beach")
    board.locator(".spacetime-on").click()
    assert lines(board)[3] == "4-6s: cut, a penguin jumps on the beach"


def test_it_runs_as_it_was_edited_shows_the_frames_and_survives_a_reload(
    board: Any, mode: str, server: str, artefacts: Path
) -> None:
    drag_end = box_of(board, 2)
    drag(board, (drag_end["x"] + drag_end["width"] - 3, drag_end["y"] + 30), -drag_end["width"] / 2)
    seed = ["SpacetimeShots", "seed", 1 + (mode == "vue")]  # what the server has made before it does not send again
    board.evaluate(SET, [SMALL[0], seed, ["SpacetimeShots", "size", 64], ["SpacetimeShots", "steps", 1]])
    graph = board.evaluate("async () => (await app.graphToPrompt()).output")
    sent = next(node["inputs"] for node in graph.values() if node["class_type"] == "SpacetimeStoryboard")
    assert sent["storyboard"].splitlines()[3] == "4-5s: cut, a penguin jumps on the beach"
    queue(board)
    frames = "() => [...document.querySelectorAll('.spacetime-frame')].filter(i => i.naturalHeight === 96).length"
    board.wait_for_function(f"() => ({frames})() === 3", timeout=WAIT)
    board.screenshot(path=artefacts / f"storyboard_{mode}.png")

    saved = board.evaluate("() => JSON.stringify(app.graph.serialize())")
    board.reload(wait_until="domcontentloaded")
    board.wait_for_function(READY, timeout=180_000)
    board.evaluate("async workflow => { await app.loadGraphData(workflow, true, true, 'test') }", json.loads(saved))
    wait_for_shots(board, FILM)
    board.wait_for_function(f"() => ({frames})() === 3", timeout=WAIT)
    assert lines(board) == sent["storyboard"].splitlines()
