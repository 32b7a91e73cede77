# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way to load this tree outside ComfyUI: as the package ``comfyui_spacetime``.

The folder's own name is the user's, and the host has top-level modules called ``nodes`` and ``utils``, so the
root never goes on ``sys.path``. Run a module of the tree with ``python -P host/entry.py MODULE [ARGUMENT ...]``.
"""

from __future__ import annotations

import importlib.util
import runpy
import sys
from pathlib import Path
from types import ModuleType

PACKAGE = "comfyui_spacetime"
ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
TOOLS = ROOT / ".host" / f"tools-{sys.implementation.cache_tag}"  # what the user's own Python lacks: see host/tools.py


def extend_path() -> None:
    """Let a Python that is not the set-up's own find the packages in TOOLS, after all of its own."""
    if TOOLS.is_dir() and str(TOOLS) not in sys.path and Path(sys.prefix).resolve() != VENV.resolve():
        sys.path.append(str(TOOLS))


def load_package() -> ModuleType:
    """Return the tree as the package ``comfyui_spacetime``, loading it on the first call."""
    if PACKAGE in sys.modules:
        return sys.modules[PACKAGE]
    spec = importlib.util.spec_from_file_location(PACKAGE, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    if spec is None or spec.loader is None:
        raise ImportError(f"{ROOT / '__init__.py'} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = module
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Run ``comfyui_spacetime.MODULE`` as a program, with the remaining arguments."""
    if len(sys.argv) < 2:
        sys.exit("usage: python -P host/entry.py MODULE [ARGUMENT ...]")
    here = str(Path(__file__).resolve().parent)
    sys.path[:] = [entry for entry in sys.path if entry != here]  # only there when python ran without -P
    extend_path()
    load_package()
    module = sys.argv[1]
    sys.argv = sys.argv[1:]
    runpy.run_module(f"{PACKAGE}.{module}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
