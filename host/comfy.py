# SPDX-License-Identifier: GPL-3.0-or-later
"""Find a ComfyUI to work with, and enter it: its folder, its version, its Python, the flags to start it with.

Three kinds, in this order: the one that ``COMFYUI=/path`` names, the one in whose ``custom_nodes`` this clone lies,
and the embedded one that the set-up unpacked. The pack is never copied: where it does not lie in the host's own
``custom_nodes`` it is linked from a folder that the host is told of by its path configuration.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal

from . import setup, shims

ROOT = setup.ROOT
PACK = "ComfyUI-Spacetime"  # the link's name: without "." or "@", which the front end cannot have in a pack's name
FOLDERS = ("custom_nodes", "models", "input", "output", "user", "temp")
OUTPUT = ROOT / "output"


class HostError(RuntimeError):
    """There is no usable ComfyUI; the message says what was looked for and what to do."""


@dataclass(frozen=True)
class Host:
    """One ComfyUI: ``root`` holds its main.py; ``python`` runs it; ``kind`` tells how it was found."""

    root: Path
    version: str
    python: Path
    kind: Literal["embedded", "named", "parent"]

    def flags(self, base: Path | None = None) -> list[str]:
        """Return the command-line flags with which this host runs on this machine with the pack.

        With ``base`` everything the host reads and writes (custom_nodes, models, input, output, user, temp) lies in
        that folder instead, and the pack is its only custom node; the folder is made if needed.
        """
        flags = device_flags(self.python)
        if base is not None or self.kind == "embedded":
            folder = make_base(base or setup.HOST_HOME / "base")
            flags += ["--base-directory", str(folder), "--disable-api-nodes", "--database-url", "sqlite:///:memory:"]
            if base is None:
                OUTPUT.mkdir(exist_ok=True)
                flags += ["--output-directory", str(OUTPUT)]
        elif not holds_pack(self.root / "custom_nodes"):
            flags += ["--extra-model-paths-config", str(make_path_config(setup.HOST_HOME / "link"))]
        return flags + shlex.split(os.environ.get("COMFYUI_ARGS", ""))


def find_host(environ: Mapping[str, str] = os.environ) -> Host:
    """Return the ComfyUI to use; raises HostError if there is none."""
    named = environ.get("COMFYUI")
    if named:
        root = Path(named).expanduser().resolve()
        if not is_comfyui(root):
            raise HostError(f"COMFYUI={named} is not a ComfyUI folder: it lacks main.py, nodes.py or comfy")
        return Host(root, read_version(root), find_python(root, environ), "named")
    if ROOT.parent.name == "custom_nodes" and is_comfyui(ROOT.parent.parent):
        root = ROOT.parent.parent
        return Host(root, read_version(root), find_python(root, environ), "parent")
    root = setup.embedded_root()
    if not is_comfyui(root):
        raise HostError(f"no ComfyUI in {root}: run ./spacetime setup, or name yours with COMFYUI=/path")
    return Host(root, read_version(root), setup.venv_python(), "embedded")


def is_comfyui(folder: Path) -> bool:
    """Tell whether ``folder`` is the root of a ComfyUI."""
    return (folder / "main.py").is_file() and (folder / "comfy").is_dir() and (folder / "nodes.py").is_file()


def read_version(root: Path) -> str:
    """Return a host's version without importing it, "unknown" if it does not say."""
    try:
        text = (root / "comfyui_version.py").read_text(encoding="utf-8")
    except OSError:
        return "unknown"
    match = re.search(r"__version__\s*=\s*[\"']([^\"']+)", text)
    return match.group(1) if match else "unknown"


def find_python(root: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the interpreter of the ComfyUI in ``root``: COMFYUI_PYTHON, its environment's, or the one on the PATH."""
    if environ.get("COMFYUI_PYTHON"):
        return Path(environ["COMFYUI_PYTHON"])
    for folder in (root / ".venv", root / "venv"):
        if setup.venv_python(folder).exists():
            return setup.venv_python(folder)
    for folder in (root.parent / "python_embeded", root / "python_embeded"):  # the spelling of the Windows archive
        if (folder / "python.exe").exists():
            return folder / "python.exe"
    found = shutil.which("python3", path=environ.get("PATH")) or shutil.which("python", path=environ.get("PATH"))
    return Path(found or sys.executable)


def device_flags(python: Path) -> list[str]:
    """Return the flags for a machine without a GPU that the torch of ``python`` can use, none for one with."""
    return [] if torch_has_device(torch_version_file(python)) else ["--cpu", "--use-pytorch-cross-attention"]


def torch_version_file(python: Path) -> Path | None:
    """Return the version.py of the torch that ``python`` imports, found without importing it."""
    if python.exists() and python.absolute() == Path(sys.executable).absolute():
        spec = importlib.util.find_spec("torch")
        folders = list(spec.submodule_search_locations or []) if spec else []
    else:
        folders = [str(setup.site_packages(python.parent.parent) / "torch")]
    found = [Path(folder) / "version.py" for folder in folders]
    return found[0] if found and found[0].is_file() else None


def torch_has_device(version_file: Path | None) -> bool:
    """Tell whether a torch build and this machine have an accelerator in common.

    The build says in its version.py what it was made for. Asking torch itself would start CUDA before the host
    has chosen its allocator.
    """
    if sys.platform == "darwin":
        return os.uname().machine == "arm64"
    if version_file is None:
        return setup.has_nvidia()
    text = version_file.read_text(encoding="utf-8")
    built_for = {name for name in ("cuda", "hip", "xpu") if re.search(rf"^{name}\b[^=\n]*= *['\"]", text, re.MULTILINE)}
    return bool(built_for & {"hip", "xpu"}) or ("cuda" in built_for and setup.has_nvidia())


def holds_pack(custom_nodes: Path) -> bool:
    """Tell whether a folder of packs holds this clone, in place or as a link."""
    return custom_nodes.is_dir() and any(entry.resolve() == ROOT for entry in custom_nodes.iterdir())


def link_clone(folder: Path, name: str = PACK) -> None:
    """Make ``folder / name`` a link to this clone; an outdated link is replaced at once."""
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / name
    if link.exists() and link.resolve() == ROOT:
        return
    if os.name == "nt":
        import _winapi  # links need a privilege on Windows, junctions do not

        if os.path.lexists(link):
            os.rmdir(link)
        _winapi.CreateJunction(str(ROOT), str(link))  # type: ignore[attr-defined,unused-ignore]
        return
    fresh = Path(tempfile.mkdtemp(dir=folder, prefix=".link-")) / name
    fresh.symlink_to(ROOT, target_is_directory=True)
    os.replace(fresh, link)
    fresh.parent.rmdir()


def make_base(folder: Path) -> Path:
    """Make ``folder`` a base directory for a host, with the pack as a custom node, and return it."""
    for name in FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    link_clone(folder / "custom_nodes")
    return folder


def make_path_config(folder: Path) -> Path:
    """Return a path configuration that adds the pack to a host's custom nodes and changes nothing else."""
    link_clone(folder / "custom_nodes")
    config = folder / "paths.yaml"
    text = f"spacetime:\n  base_path: {folder}\n  custom_nodes: custom_nodes\n"
    if not config.is_file() or config.read_text(encoding="utf-8") != text:
        setup.write_atomically(config, text.encode())
    return config


def enter(host: Host, flags: Sequence[str]) -> ModuleType:
    """Make this process a ComfyUI process and return the host's ``main`` module.

    As when its main.py starts: folders and path configurations applied, prestartup scripts run, memory management
    set up, but no nodes loaded and no server started. Afterwards ``import nodes, execution, server`` give the
    host's. A process can enter one host once.
    """
    if "comfy.cli_args" in sys.modules:
        raise HostError("this process already runs a ComfyUI; start another process for another one")
    shims.install()
    sys.path.insert(0, str(host.root))
    arguments, streams = sys.argv, (sys.stdout, sys.stderr)
    sys.argv = [str(host.root / "main.py"), *flags]
    # the host's logger takes over the streams it finds: let it have the real ones, and take ours back
    sys.stdout, sys.stderr = sys.__stdout__ or sys.stdout, sys.__stderr__ or sys.stderr
    try:
        importlib.import_module("comfy.options").enable_args_parsing()
        importlib.import_module("cuda_malloc")  # chooses the allocator: before torch is imported
        return importlib.import_module("main")
    finally:
        sys.argv = arguments
        sys.stdout, sys.stderr = streams
