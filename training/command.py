# SPDX-License-Identifier: GPL-3.0-or-later
"""What the programs that train have in common on the command line: config, changes, output, processes, dry run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..models.checkpoint import CheckpointError
from .budget import GPUS, describe
from .common import log
from .parallel import Processes, join, leave
from .run import Part, Run
from .saves import RunError
from .settings import Schedule, SettingError, Settings, load_settings


@dataclass(frozen=True)
class Command:
    """A command line, read."""

    settings: Settings
    out: Path
    start_from: Path | None
    text: Path | None
    processes: Processes


def read(part: str, about: str | None, arguments: list[str] | None) -> argparse.Namespace:
    """Read the options that all parts share."""
    parser = argparse.ArgumentParser(
        prog=f"./spacetime train {part}", description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", default="nano", help="nano, small, base, large, 3b, or the path of a .toml file")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting of the config"
    )
    parser.add_argument("--minutes", type=float, help="the same as --set minutes=...")
    parser.add_argument(
        "--out", type=Path, default=Path("runs") / part, help="folder of the run; goes on if it has one"
    )
    parser.add_argument("--start-from", type=Path, help="begin with a published checkpoint's weights")
    parser.add_argument(
        "--text", type=Path, help="the text encoder that train text wrote (dit only), also in place of --start-from's"
    )
    parser.add_argument("--dry-run", action="store_true", help="say sizes, memory and time, and train nothing")
    parser.add_argument("--gpus", type=int, default=1, help="for --dry-run: how many")
    parser.add_argument("--gpu", default="h100", help=f"for --dry-run: {', '.join(GPUS)}")
    return parser.parse_args(arguments)


def run_command(
    part: str,
    about: str | None,
    prepare: Callable[[Command], Part],
    arguments: list[str] | None = None,
    after: Callable[[Run], None] | None = None,
) -> None:
    """Read the options, then train, or say what training would take. A fault is one sentence and exit code 1.

    ``after`` is called with the run that has ended.
    """
    options = read(part, about, arguments)
    changes = [*options.set, *([f"minutes={options.minutes}"] if options.minutes else [])]
    try:
        settings = load_settings(options.config, part, changes)
        if options.dry_run:
            print(describe(settings, part, options.config, options.gpus, options.gpu))
            return
        processes = join()
        try:
            command = Command(settings, options.out, options.start_from, options.text, processes)
            schedule: Schedule = getattr(settings.train, part)
            run = Run(prepare(command), schedule, options.out, processes)
            run.go()
            if after is not None:
                after(run)
        finally:
            leave()
    except (SettingError, RunError, CheckpointError) as error:
        log.debug("", exc_info=True)
        sys.exit(f"spacetime: {error}")
