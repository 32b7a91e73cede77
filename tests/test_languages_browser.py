# SPDX-License-Identifier: GPL-3.0-or-later
"""The front end in the artist's language: titles, labels, the timeline, and what nodes report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from host_fixtures import READY
from test_browser import artefacts  # noqa: F401
from test_parity import front_end_version

from comfyui_spacetime.host import sentences

pytestmark = [pytest.mark.browser, pytest.mark.host]

WAIT = 120_000
FORGETFUL = (
    "1.32"  # loads its own Chinese after the packs' and so forgets theirs; our widgets read their words themselves
)
OPEN = """kind => {
    app.graph.clear();
    const node = LiteGraph.createNode(kind);
    node.pos = [100, 150];
    app.graph.add(node);
    Object.assign(app.canvas.ds, {scale: 1, offset: [0, 0]});
    app.canvas.selectNode?.(node);
    return [node.title, ...node.widgets.filter(w => w.serialize !== false).map(w => w.label ?? w.name)];
}"""
SAID = """async ([part, text, separator]) => {
    const words = await import('/extensions/ComfyUI-Spacetime/words.js');
    return words.translated(part, text, separator);
}"""

FAIL = """async () => {
    app.graph.clear();
    app.graph.add(LiteGraph.createNode('SpacetimeVerifyVideo'));
    const ended = new Promise(resolve => app.api.addEventListener('execution_error', resolve, {once: true}));
    await app.queuePrompt(0, 1);
    return (await ended).detail.exception_message;
}"""
REFUSE = """async () => {
    app.graph.clear();
    const node = LiteGraph.createNode('SpacetimeStoryboard');
    app.graph.add(node);
    app.graph.add(LiteGraph.createNode('PreviewAny'));
    node.widgets.find(w => w.name === 'storyboard').value = 'glide';
    node.connect(0, app.graph.nodes[1], 0);
    await app.queuePrompt(0, 1);
    return Object.values(app.lastNodeErrors)[0].errors[0].details;
}"""
SAY_ALL = """async texts => {
    const errors = await import('/extensions/ComfyUI-Spacetime/errors.js');
    return texts.map(errors.translatedError);
}"""


@pytest.fixture(scope="module", params=[("zh", "故事板", "继续"), ("zh-TW", "故事板", "繼續")])
def language(request: Any, chromium_page: Any) -> Iterator[tuple[str, str, str]]:
    """The page in another language, and some of its words."""
    page = chromium_page
    page.evaluate("code => app.extensionManager.setting.set('Comfy.Locale', code)", request.param[0])
    page.reload(wait_until="domcontentloaded", timeout=WAIT)
    page.wait_for_function(READY, timeout=WAIT)
    yield request.param
    page.evaluate("() => app.extensionManager.setting.set('Comfy.Locale', 'en')")


def test_nodes_and_widgets_speak_the_language(
    language: tuple[str, str, str], chromium_page: Any, artefacts: Path
) -> None:
    page, (code, title, going_on) = chromium_page, language
    shown = page.evaluate(OPEN, "SpacetimeStoryboard")
    if front_end_version() != FORGETFUL:
        assert shown == [title, title]
    page.wait_for_function("() => document.querySelectorAll('.spacetime-shot').length === 3", timeout=WAIT)
    assert "33" in page.evaluate(SAID, ["says", "33 frames, 4.12 s at 8 fps", ", "])
    assert "frames" not in page.evaluate(SAID, ["says", "33 frames, 4.12 s at 8 fps", ", "])
    assert going_on in page.locator(".spacetime-fields select").inner_text()
    page.screenshot(path=artefacts / f"storyboard_{code}.png")


def test_an_error_is_said_in_the_language(language: tuple[str, str, str], chromium_page: Any, artefacts: Path) -> None:
    """Each sentence is known by its own template, and what was filled in comes through; a real one is shown."""
    page, ours = chromium_page, sentences.read(language[0])["sentences"]
    filled = [sentences.BLANK.sub(lambda found: f"<{found[0][1:-1]}>", text) for text in ours]
    wanted = [sentences.BLANK.sub(lambda found: f"<{found[0][1:-1]}>", text) for text in ours.values()]
    assert page.evaluate(SAY_ALL, filled) == wanted
    inner = 'The picture [x.png] of the shot "a dog runs" cannot be used. There is no file "x.png" in /in: choose one '
    said = page.evaluate(SAY_ALL, [inner + "from the list, or upload it.", "Something else."])
    assert not any(word in said[0] for word in ("cannot", "There", "choose")) and said[1] == "Something else."

    shown = ours["There is nothing to verify: choose a file, or connect a video that is one."]
    assert page.evaluate(FAIL) == shown
    details = page.get_by_test_id("error-overlay-see-errors")  # newer front ends show errors beside the graph
    page.get_by_text(shown).or_(details).first.wait_for(timeout=30_000)
    if details.is_visible():
        details.click()
    page.get_by_text(shown).first.wait_for(timeout=30_000)
    page.screenshot(path=artefacts / f"error_{language[0]}.png")
    page.keyboard.press("Escape")


def test_a_refusal_before_anything_runs_is_said_in_the_language(
    language: tuple[str, str, str], chromium_page: Any
) -> None:
    page = chromium_page
    refused = page.evaluate(REFUSE)
    input_name, _, sentence = refused.partition(" - ")
    assert input_name == "storyboard" and sentence and not sentence.isascii()
    page.keyboard.press("Escape")
