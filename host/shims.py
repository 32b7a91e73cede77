# SPDX-License-Identifier: GPL-3.0-or-later
"""Two mendings without which ComfyUI does not start where torch has no matching torchvision or torchaudio build.

Both act only at the moment the package is imported, and only where it is broken or missing:

* torchvision's compiled operators may not load (built for another torch); its Python part then stops at the missing
  schemas of ``nms`` and ``qnms``. The two schemas are registered; nothing in ComfyUI's core calls the operators.
* torchaudio may be missing; newer hosts import it unconditionally. A stand-in loads, and whatever is called on it
  says what to install.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

SCHEMAS = (
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_libraries: list[Any] = []  # a torch Library unregisters its schemas when it is collected


def torchvision_ops_load(package: Path) -> bool:
    """Tell whether the compiled operators in torchvision's folder ``package`` load with the installed torch."""
    import torch

    for library in [*package.glob("_C*.so"), *package.glob("_C*.pyd"), *package.glob("_C*.dylib")]:
        try:
            torch.ops.load_library(str(library))
        except (OSError, RuntimeError):
            continue
        return True
    return False


def register_torchvision_schemas() -> None:
    """Register the schemas that torchvision's Python part expects of its compiled operators."""
    from torch.library import Library

    library = Library("torchvision", "FRAGMENT")
    for schema in SCHEMAS:
        library.define(schema)
    _libraries.append(library)


class TorchvisionOps(MetaPathFinder):
    """Looks at torchvision just before its first import; finds nothing itself."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        """Register the schemas if ``name`` is torchvision and its compiled operators do not load."""
        if name != "torchvision":
            return
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name)
        if spec is not None and spec.origin and not torchvision_ops_load(Path(spec.origin).parent):
            register_torchvision_schemas()


class MissingTorchaudio(type):
    """Stands for anything in torchaudio: it can be named and subclassed, not called."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Raise RuntimeError: there is nothing to call."""
        raise RuntimeError("This needs torchaudio, which is not installed; install the build that matches your torch.")


class TorchaudioStandIn(MetaPathFinder, Loader):
    """The last finder of all: gives an empty torchaudio where no other finder has one."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return a spec for torchaudio and its submodules."""
        if name.partition(".")[0] != "torchaudio":
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """Leave the module's making to Python."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Give every attribute of ``module`` a stand-in."""

        def attribute(name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            if name in ("functional", "transforms"):
                return importlib.import_module(f"{module.__name__}.{name}")
            return MissingTorchaudio(name, (), {})

        module.__getattr__ = attribute  # type: ignore[method-assign]


def install() -> None:
    """Put both mendings in place for this process (again: no effect)."""
    if not any(isinstance(finder, TorchaudioStandIn) for finder in sys.meta_path):
        sys.meta_path.insert(0, TorchvisionOps())
        sys.meta_path.append(TorchaudioStandIn())
