# SPDX-License-Identifier: GPL-3.0-or-later
"""What the measurements draw: the scaling figure and the gallery."""

from __future__ import annotations

import argparse
import subprocess
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
from scene_kit import drawn_sprites

pytest.importorskip("cv2", reason="training needs opencv: pip install '.[training]'")

from comfyui_spacetime.bench import _figure, gallery, scaling
from comfyui_spacetime.training import batches, budget
from comfyui_spacetime.training.judges.nets import Judge
from comfyui_spacetime.training.judges.sight import Sight
from comfyui_spacetime.training.scenes.config import nano


def test_a_power_law_is_found_again():
    compute = [1e12, 4e12, 6e13, 9e14]
    a, b = scaling.fitted(compute, [20 * c**-0.11 for c in compute])
    assert a == pytest.approx(20, rel=1e-6) and b == pytest.approx(0.11, rel=1e-6)


def test_every_point_has_its_share_of_compute_and_a_larger_model():
    chosen = scaling.points([1, 4, 64], 50, 2)
    assert [p.flops / chosen[0].flops for p in chosen] == pytest.approx([1, 4, 64], rel=0.03)
    first = chosen[0].settings
    batch = budget.dit_cost(first, scaling.SHAPE, batches.clips_in(4096, scaling.SHAPE, first.dit.dim), False)
    assert chosen[0].flops == pytest.approx(50 * 2 * batch.flops)
    sizes = [p.settings.dit.dim for p in chosen]
    assert sizes == sorted(sizes) and chosen[0].steps == 50 and "steps=50" in chosen[0].changes


def test_a_figure_is_svg_with_every_point_in_its_frame(tmp_path):
    dots = _figure.Series("a & b", [1e12, 1e14], [0.9, 0.6], True)
    _figure.write_svg(tmp_path / "a.svg", "x", "y", [dots])
    root = ElementTree.parse(tmp_path / "a.svg").getroot()
    circles = [(float(c.get("cx")), float(c.get("cy"))) for c in root.iter("{http://www.w3.org/2000/svg}circle")]
    assert len(circles) == 2 and circles[0][0] < circles[1][0] and circles[0][1] < circles[1][1]
    assert all(_figure.EDGE <= x <= _figure.WIDE and 0 <= y <= _figure.HIGH - _figure.EDGE for x, y in circles)
    assert "a & b" in {t.text for t in root.iter("{http://www.w3.org/2000/svg}text")}


@pytest.mark.usefixtures(drawn_sprites.__name__)
def test_a_gallery_is_drawn_by_its_seed_and_tells_what_is_not_as_asked(tmp_path):
    prompts = gallery.drawn(1, 6, nano())
    assert prompts == gallery.drawn(1, 6, nano()) != gallery.drawn(2, 6, nano())
    assert all(size % 32 == 0 for asked in prompts for size in (asked.prompt.width, asked.prompt.height))
    nothing = np.zeros((9, 96, 96, 3), np.uint8)
    read = gallery.verdict(prompts[0], Sight(Judge().eval(), nothing, 8.0), nano())
    assert read.startswith("not as asked: ") and ("object" in read or "relation" in read)
    options = argparse.Namespace(seed=1, count=6, steps=20)
    text = gallery.page(prompts, [read] * 5 + ["as asked"], options)
    assert "1 of 6 are as asked" in text and prompts[0].prompt.text in text and "--seed 1 --count 6" in text


def test_the_program_that_trains_a_point_starts(tmp_path, monkeypatch):
    started = []

    def run(words, check):
        started.append(words)
        subprocess.run([*words[: words.index("--processes")], "--help"], check=True, capture_output=True)
        raise InterruptedError

    monkeypatch.setattr(scaling, "subprocess", SimpleNamespace(run=run))
    (point,) = scaling.points([1], 5, 1)
    options = argparse.Namespace(out=tmp_path, latents=tmp_path, processes=1, more=[], checkpoint=scaling.BUNDLED)
    with pytest.raises(InterruptedError):
        scaling.train(point, options)
    assert "steps=5" in started[0] and f"latents={tmp_path}" in started[0]


def test_a_clip_that_shows_all_that_is_said_is_as_asked(monkeypatch):
    questions = [SimpleNamespace(row=row, right=lambda sight, scene, world: 1.0) for row in gallery.ROWS]
    asked = gallery.drawn(1, 60, nano())
    monkeypatch.setattr(gallery, "QUESTIONS", questions)
    assert {gallery.verdict(a, None, nano()) for a in asked} == {"as asked"}
    coloured = [a for a in asked if a.prompt.scene.shots[0].actors[0].colour and "colour" not in a.facts]
    for question in questions:
        question.right = lambda sight, scene, world: 0.0
    assert coloured and all("colour" not in gallery.verdict(a, None, nano()) for a in coloured)
