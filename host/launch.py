# SPDX-License-Identifier: GPL-3.0-or-later
"""Start a host's main.py as its own Python would, after the mendings of ``shims``.

``python -P host/entry.py host.launch /path/to/ComfyUI [FLAG ...]``
"""

from __future__ import annotations

import os
import runpy
import sys

from . import shims


def main() -> None:
    """Run main.py of the folder in the first argument as the main program, with the other arguments."""
    if len(sys.argv) < 2:
        sys.exit("usage: python -P host/entry.py host.launch /path/to/ComfyUI [FLAG ...]")
    root = os.path.abspath(sys.argv[1])
    shims.install()
    os.chdir(root)
    sys.path.insert(0, root)
    sys.argv = [os.path.join(root, "main.py"), *sys.argv[2:]]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
