# SPDX-License-Identifier: GPL-3.0-or-later
"""Every node, input, tooltip and word of our widgets in every language; a help page with a picture for every node.

A new or changed node needs: ``python -P host/entry.py host.translations`` (writes the English texts, lists what the
other languages lack; write that, then the same with ``--accept``), help pages ``web/docs/ID.md``, ``ID/zh.md`` and
``ID/zh-TW.md``, and ``.venv/bin/python tests/node_pictures.py`` (it needs Chromium). A new error sentence needs its
translations in ``web/errors/zh.json`` and ``zh-TW.json``; the first command lists those, too.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import node_pictures
import pytest

from comfyui_spacetime.host import sentences, translations
from comfyui_spacetime.host.translations import ENGLISH, LANGUAGES, NODES, WORDS, flat

DOCS = Path(__file__).resolve().parent.parent / "web" / "docs"
MIB = 2**20


@pytest.fixture(scope="module")
def catalogue(inprocess: Any) -> dict[str, Any]:
    return {kind: inprocess.object_info[kind] for kind in inprocess.object_info if kind.startswith("Spacetime")}


@pytest.fixture(scope="module")
def english(catalogue: dict[str, Any]) -> dict[str, Any]:
    return translations.english_texts(catalogue)


def listed(faults: list[str]) -> str:
    return "\n".join(["", *faults, __doc__ or ""])


@pytest.mark.host
def test_the_english_texts_are_those_of_the_nodes(english: dict[str, Any]) -> None:
    assert translations.read(ENGLISH, NODES) == english, listed(["locales/en/nodeDefs.json is not what the nodes say"])
    assert [place for place, text in flat(english) if not text] == [], "texts that a node lacks"


@pytest.mark.host
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_lacks_nothing_and_nothing_of_it_is_older_than_the_english(
    english: dict[str, Any], language: str
) -> None:
    faults = translations.faults(language, english)
    assert not faults, listed(faults)


@pytest.mark.host
def test_what_lacks_in_a_language_or_is_older_is_told(english: dict[str, Any]) -> None:
    changed = {**english, "SpacetimeNew": {"display_name": "New"}}
    changed["SpacetimeShots"] = {**english["SpacetimeShots"], "description": "Another one."}
    del changed["SpacetimeSampler"]
    faults = translations.faults("zh", changed)
    assert "locales/zh/nodeDefs.json lacks SpacetimeNew.display_name: 'New'" in faults
    assert any("has an older SpacetimeShots.description" in fault for fault in faults)
    assert any("has SpacetimeSampler.display_name, which is gone" in fault for fault in faults)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_language_has_a_placeholder_that_is_never_filled(language: str) -> None:
    """One may be left out: an example in the sentence is another one in another language."""
    words, theirs = (dict(flat(translations.read(code, WORDS))) for code in (ENGLISH, language))
    for place, text in words.items():
        assert set(re.findall(r"\{\w+\}", theirs[place])) <= set(re.findall(r"\{\w+\}", text)), place


def test_the_widgets_say_nothing_that_has_no_words(root: Path) -> None:
    words = translations.read(ENGLISH, WORDS)["spacetime"]
    source = (root / "web" / "storyboard" / "timeline.js").read_text(encoding="utf-8")
    said = set(re.findall(r'\bsay\("(\w+)"', source)) | {"cut", "continue", "glide"}
    assert said == set(words["timeline"])
    clip = (root / "web" / "spacetime.js").read_text(encoding="utf-8")
    assert set(re.findall(r'\bsay\("(\w+)"', clip)) == set(words["clip"])


def said_in(folder: Path) -> set[str]:
    """Every text in the sources of a folder, with {} for what is filled in."""
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.add("".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return found


@pytest.mark.parametrize("part", ["says", "storyboard"])
def test_what_is_translated_of_the_servers_words_is_what_the_server_says(root: Path, part: str) -> None:
    sources = {text for room in ("nodes", "language", "models") for text in said_in(root / room)}
    for key, template in translations.read(ENGLISH, WORDS)["spacetime"][part].items():
        pieces = [piece for piece in re.split(r"\{\w+\}|(?=: leave)", template) if len(piece) > 1]
        assert all(any(piece in text for text in sources) for piece in pieces), f"{part}.{key}: {template}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_with_which_a_node_fails_is_said_in_a_language(language: str) -> None:
    faults = sentences.faults(language)
    assert not faults, listed(faults)


def test_the_words_that_are_put_into_sentences_are_those_of_the_sources(root: Path) -> None:
    sources = {text for room in sentences.ROOMS for text in said_in(root / room)}
    for template in sentences.read("zh")["words"]:
        pieces = [piece for piece in sentences.BLANK.split(template) if len(piece) > 1]
        assert all(any(piece in text for text in sources) for piece in pieces), template
    assert sentences.read("zh")["words"].keys() == sentences.read("zh-TW")["words"].keys()


def test_a_sentence_that_is_new_or_gone_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentences, "raised", lambda: {"There is no file {0}.", "It rains on {0}."})
    faults = sentences.faults("zh")
    assert "web/errors/zh.json lacks 'It rains on {0}.'" in faults
    assert any("has 'The video has no frames.', which is gone" in fault for fault in faults)
    assert not any("There is no file {0}." in fault for fault in faults)


def page_of(kind: str, language: str) -> Path:
    return DOCS / f"{kind}.md" if language == ENGLISH else DOCS / kind / f"{language}.md"


def inputs_in(page: str) -> set[str]:
    """What the first column of a page's first table names."""
    rows = re.search(r"^\|.*\|\n\|[-| ]+\|\n((?:\|.*\|\n?)+)", page, re.MULTILINE)
    cells = [line.split("|")[1] for line in rows[1].splitlines()] if rows else []
    names = [name for cell in cells for name in re.split(r"[,、]", re.sub(r"\(optional\)|（可选）|（可選）", "", cell))]
    return {name.strip() for name in names}


@pytest.mark.host
@pytest.mark.parametrize("language", [ENGLISH, *LANGUAGES])
def test_every_node_has_a_help_page_that_names_its_inputs(catalogue: dict[str, Any], language: str) -> None:
    texts, faults = translations.read(language, NODES), []
    for kind in catalogue:
        path = page_of(kind, language)
        name = path.relative_to(DOCS.parent.parent)
        if not path.is_file():
            faults.append(f"{name} is missing")
            continue
        page, node = path.read_text(encoding="utf-8"), texts[kind]
        if not page.startswith(f"# {node['display_name']}\n"):
            faults.append(f"{name} does not begin with '# {node['display_name']}'")
        if f"]({kind}.webp)" not in page:
            faults.append(f"{name} does not show its picture: ![{node['display_name']}]({kind}.webp)")
        wanted = {entry["name"] for entry in node["inputs"].values()}
        if wanted != inputs_in(page):
            faults.append(
                f"{name}: its first table lacks {sorted(wanted - inputs_in(page))}, "
                f"names what is no input {sorted(inputs_in(page) - wanted)}"
            )
    assert not faults, listed(faults)


@pytest.mark.host
def test_no_help_page_and_no_picture_is_left_over(catalogue: dict[str, Any]) -> None:
    named = {path.stem if path.is_file() else path.name for path in DOCS.iterdir()} - {"pictures"}
    assert named == set(catalogue)


@pytest.mark.host
def test_every_node_has_a_picture_as_it_is_now(catalogue: dict[str, Any]) -> None:
    """All of them together stay small: they are in every clone."""
    stale = node_pictures.stale(catalogue)
    assert not stale, listed([f"web/docs/{kind}.webp is missing or older than the node" for kind in stale])
    assert sum(path.stat().st_size for path in DOCS.glob("*.webp")) < MIB


def test_the_readme_shows_every_node_with_its_picture(root: Path) -> None:
    readme = (root / "README.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"web/docs/(\w+)\.webp", readme))
    assert shown == {path.stem for path in DOCS.glob("*.webp")}
