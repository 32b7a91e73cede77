# SPDX-License-Identifier: GPL-3.0-or-later
"""The import table of the house: who may import whom, read from the sources."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("models", "video", "language", "nodes", "training", "host")
HOST_MODULES = {
    *("comfy", "comfy_api", "comfy_execution", "comfy_extras", "comfy_config", "execution", "folder_paths", "nodes"),
    *("server", "latent_preview", "node_helpers", "main", "app", "utils", "cuda_malloc", "comfyui_version", "protocol"),
}
LLM = {"transformers", "safetensors"}  # to unpack a small language model
# room: (other rooms, packages besides the standard library; None: any but the host's modules)
TABLE = {
    "models": (set(), {"torch", "numpy", "safetensors"}),
    "video": (set(), {"av", "numpy", "torch", "PIL", "c2pa", "cryptography"}),
    "language": ({"models"}, {"torch", "numpy", "transformers"}),
    "nodes": ({"models", "video", "language"}, HOST_MODULES | {"torch", "numpy", "av", "PIL", "aiohttp"}),
    "training": ({"models", "video", "language"}, None),
    "host": ({"video", "language"}, HOST_MODULES | {"click", "tqdm", "PIL", "numpy", "torch", "aiohttp", *LLM}),
}


def sources(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def imports(path: Path, text: str) -> list[tuple[str, str]]:
    """The imports of a file as (kind, name): ("room", "models") or ("package", "torch")."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [("package", alias.name.partition(".")[0]) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.append(("package", (node.module or "").partition(".")[0]))
        elif isinstance(node, ast.ImportFrom):
            base = [*parts[: len(parts) - node.level], *(node.module or "").split(".")]
            names = [[*base, alias.name] if node.module is None else base for alias in node.names]
            found += [("room", next((part for part in name if part), "")) for name in names]
    return found


def faults(room: str, path: Path, text: str) -> list[str]:
    rooms, packages = TABLE[room]
    wrong = []
    for kind, name in imports(path, text):
        if kind == "room" and name != room and name not in rooms:
            wrong.append(f"{path.relative_to(ROOT)} imports the room {name!r}")
        if kind == "package" and name not in sys.stdlib_module_names:
            allowed = name not in HOST_MODULES if packages is None else name in packages
            if not allowed:
                wrong.append(f"{path.relative_to(ROOT)} imports {name!r}")
    return wrong


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_the_table_allows(room):
    wrong = [fault for path in sources(room) for fault in faults(room, path, path.read_text(encoding="utf-8"))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("models", "import comfy.utils"),
        ("models", "from ..nodes import schema"),
        ("models", "from .. import video"),
        ("video", "import safetensors"),
        ("training", "import folder_paths"),
        ("training", "from ..host import comfy"),
        ("host", "from ..models.vae import VideoVAE"),
        ("nodes", "from ..training import latents"),
        ("nodes", "from comfyui_spacetime.models import vae"),
    ],
)
def test_an_import_against_the_table_is_noticed(room, line):
    assert faults(room, ROOT / room / "example.py", line)


def test_an_adapter_in_a_subfolder_may_use_the_rooms_below_it():
    text = "from ...models import vae\nfrom ..schema import schema\nimport comfy.sd"
    assert faults("nodes", ROOT / "nodes" / "families" / "example.py", text) == []


def test_importing_the_pack_runs_nothing():
    """ComfyUI imports it before it is asked for nodes: only names may be bound, and typing may be imported."""
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    allowed = (ast.Expr, ast.ImportFrom, ast.Assign, ast.AsyncFunctionDef)
    assert all(isinstance(node, allowed) for node in tree.body)
    at_top = [node.module for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert set(at_top) <= {"__future__", "typing"}


def test_every_source_names_its_licence():
    files = [path for room in (*ROOMS, "tests", "bench") for path in sources(room)] + [ROOT / "__init__.py"]
    lacking = [
        str(path.relative_to(ROOT))
        for path in files
        if "SPDX-License-Identifier: GPL-3.0-or-later" not in path.read_text(encoding="utf-8")[:200]
    ]
    assert not lacking
