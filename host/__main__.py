# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``./spacetime`` runs: see that the command line's own packages are there, then the command line."""

from __future__ import annotations

import importlib.util
import os
import sys

from . import setup, tools


def main() -> None:
    """Run the command line; errors of the set-up are one sentence on stderr."""
    try:
        if tools.in_own_environment():
            setup.set_up()  # returns at once, but after an update with new pins
            if importlib.util.find_spec("click") is None:
                raise setup.SetupError(f"{setup.VENV} was made for another Python; delete it and run this again")
        else:
            tools.ensure(["click"])
    except setup.SetupError as error:
        sys.exit(f"spacetime: {error}")
    except KeyboardInterrupt:
        sys.exit("spacetime: interrupted; run the same command again to go on")
    sys.argv[0] = "spacetime" if os.name == "nt" else "./spacetime"
    from .cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
