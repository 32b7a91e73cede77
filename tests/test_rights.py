# SPDX-License-Identifier: GPL-3.0-or-later
"""The rights ledger is whole: no picture, clip, weight or data file and no package without source and licence."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LEDGER = ROOT / "docs" / "ASSETS.toml"
ROOMS = ("models", "video", "language", "nodes", "training", "host", "bench", "weights")
FIELDS = {"name", "kind", "source", "version", "licence", "author", "used"}
SOURCE = {".py", ".md", ".js", ".cmd", ".css"}  # and files without a suffix, when they are text
NPM = re.compile(r"(?:@[a-z0-9~-][\w.-]*/)?[a-z0-9~-][\w.-]*@\d+(?:\.\d+)+")
PINNED = re.compile(r"([A-Za-z0-9][\w.-]*)==\d[\w.]*")
INSTALLS = re.compile(r"\b(apt-get|apt|pip|npm) (?:install|download|pack)((?: +-\S+)*) +([@a-zA-Z][\w@/.-]*)")
REGISTRIES = {"apt-get": "deb", "apt": "deb", "pip": "pypi", "npm": "npm"}


@pytest.fixture(scope="module")
def ledger():
    return tomllib.loads(LEDGER.read_text(encoding="utf-8"))["asset"]


def tree():
    """Paths of the files that belong to the tree, tracked or about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git clone")
    return sorted(name for name in set(listed.stdout.split("\0")) if name and (ROOT / name).is_file())


def is_asset(name, data):
    """Whether a file is data: anything that is no text, and text that is not source code or prose."""
    path = Path(name)
    try:
        data.decode("utf-8")
        text = b"\0" not in data
    except UnicodeDecodeError:
        text = False
    if not text or name == "LICENSE":
        return True
    return bool(path.suffix) and path.suffix not in SOURCE


def covered(name, ledger):
    return any(fnmatch(name, pattern) for entry in ledger for pattern in entry.get("files", []))


def normal(package):
    """A package's name as registries compare it; npm names keep their scope."""
    registry, _, name = package.partition(":")
    name = re.split(r"(?<=.)@", name)[0]
    return f"{registry}:{re.sub(r'[-_.]+', '-', name).lower()}"


def requirement_names(lines):
    return {f"pypi:{match.group()}" for line in lines if (match := re.match(r"[A-Za-z0-9][\w.-]*", line.strip()))}


def packages_of_settings():
    """Packages named in requirements.txt, pyproject.toml and host/pins.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = tomllib.loads((ROOT / "host" / "pins.toml").read_text(encoding="utf-8"))
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    lines += [*project["dependencies"], *(line for some in project["optional-dependencies"].values() for line in some)]
    lines += [pins["host"]["package"], *pins["host"]["extra"], *pins["test"]["requirements"], "torch", "torchvision"]
    return requirement_names(line for line in lines if not line.lstrip().startswith("#"))


def packages_of_code(text):
    """Packages that the strings of a source name with a version, or in a command that installs them."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        value = node.value.strip()
        if NPM.fullmatch(value):
            found.add(f"npm:{value}")
        if match := PINNED.fullmatch(value):
            found.add(f"pypi:{match.group(1)}")
        found |= {f"{REGISTRIES[tool]}:{name}" for tool, _, name in INSTALLS.findall(value)}
    return found


def test_every_entry_says_where_a_thing_is_from_and_under_which_licence(ledger):
    for entry in ledger:
        lacking = [field for field in FIELDS if not str(entry.get(field, "")).strip()]
        assert not lacking, f"{entry.get('name')} lacks {', '.join(lacking)}"
        assert set(entry) <= FIELDS | {"files", "packages"}, f"{entry['name']} has fields that mean nothing"
    names = [entry["name"] for entry in ledger]
    assert len(names) == len(set(names))


def test_every_binary_or_data_file_in_the_tree_is_in_the_ledger(ledger):
    assets = [name for name in tree() if is_asset(name, (ROOT / name).read_bytes())]
    assert "weights/spacetime-nano.safetensors" in assets
    foreign = [name for name in assets if not covered(name, ledger)]
    assert not foreign, f"add to docs/ASSETS.toml, with source and licence: {', '.join(foreign)}"


def test_files_named_in_the_ledger_exist(ledger):
    exact = [name for entry in ledger for name in entry.get("files", []) if not re.search(r"[*?\[]", name)]
    assert [name for name in exact if not (ROOT / name).is_file()] == []


def test_every_package_that_the_code_fetches_is_in_the_ledger(ledger):
    fetched = packages_of_settings()
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            fetched |= packages_of_code(path.read_text(encoding="utf-8"))
    known = {normal(package) for entry in ledger for package in entry.get("packages", [])}
    missing = sorted(package for package in fetched if normal(package) not in known)
    assert not missing, f"add to docs/ASSETS.toml, with source and licence: {', '.join(missing)}"


def test_the_version_of_an_npm_package_is_the_ledgers(ledger):
    known = {package for entry in ledger for package in entry.get("packages", [])}
    named = set()
    for path in (ROOT / "training").rglob("*.py"):
        named |= {name for name in packages_of_code(path.read_text(encoding="utf-8")) if name.startswith("npm:")}
    assert named and named <= known


@pytest.mark.parametrize(
    ("name", "data", "asset"),
    [
        ("training/new.npz", b"PK\x03\x04\x00", True),
        ("nodes/face.png", b"\x89PNG\r\n\x1a\n\x00", True),
        ("training/words.csv", b"dog,cat\n", True),
        ("fonts/NAMELESS", b"\x00\x01\x00\x00", True),
        ("models/vae.py", b"import torch\n", False),
        ("README.md", "雪\n".encode(), False),
        (".gitignore", b"/runs/\n", False),
    ],
)
def test_what_counts_as_an_asset(name, data, asset):
    assert is_asset(name, data) is asset


def test_a_file_or_package_that_nobody_entered_is_noticed(ledger):
    assert not covered("training/faces.npz", ledger)
    assert not covered("web/font.woff2", ledger)
    text = 'A = "@someone/pictures@2.0.1"\nB = ["pip", "install", "films==1.2"]\nC = "apt-get install -y clipart"\n'
    assert packages_of_code(text) == {"npm:@someone/pictures@2.0.1", "pypi:films", "deb:clipart"}
