# SPDX-License-Identifier: GPL-3.0-or-later
"""``./spacetime bench``: run one of the programs that lie in ``bench/``, in a process of its own."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from . import setup
from .comfy import find_host

FOLDER = setup.ROOT / "bench"


def benches(folder: Path = FOLDER) -> dict[str, str]:
    """Return what lies in a folder: the name of each program and the first line of its docstring.

    A module whose name begins with an underscore is a part of others.
    """
    found = {}
    for path in sorted(folder.glob("*.py")):
        if not path.stem.startswith("_"):
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            found[path.stem] = text.partition("\n")[0]
    return found


@click.command("bench", context_settings={"ignore_unknown_options": True})
@click.argument("name", required=False)
@click.option("--json", "json_file", type=click.Path(dir_okay=False), help="Write the figures to a file, too.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[OPTION ...]")
def bench_command(name: str | None, json_file: str | None, arguments: Sequence[str]) -> None:
    """Run a measurement by its NAME; without a name, list them.

    Further options go to the measurement: ./spacetime bench decode_memory --seconds 5 60
    """
    known = benches()
    if name is None:
        width = max(map(len, known), default=0)
        click.echo("\n".join(f"{each:<{width}}  {text}" for each, text in known.items()))
        return
    if name not in known:
        raise click.UsageError(f"There is no measurement {name!r}: choose one of {', '.join(known)}.")
    host = find_host()
    entry = Path(__file__).with_name("entry.py")
    command = [str(host.python), "-P", str(entry), f"bench.{name}", *arguments]
    if json_file is None or takes_json(FOLDER / f"{name}.py"):
        command += ["--json", str(Path(json_file).absolute())] if json_file else []
        sys.exit(subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode)
    code, text = _run_and_keep(command)
    if code == 0:
        figures = {"bench": name, "arguments": list(arguments), "rows": rows_of(text)}
        Path(json_file).write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    sys.exit(code)


def takes_json(program: Path) -> bool:
    """Whether a measurement writes its figures itself."""
    source = program.read_text(encoding="utf-8")
    return '"--json"' in source or "add_json(" in source


def rows_of(text: str) -> list[dict[str, str | float]]:
    """Return the rows of the Markdown tables in a text by their headings, numbers as numbers."""
    rows: list[dict[str, str | float]] = []
    headings: list[str] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            headings = []
        elif not headings:
            headings = cells
        elif not all(set(cell) <= set("-: ") for cell in cells):
            rows.append(dict(zip(headings, map(_value, cells), strict=False)))
    return rows


def _value(cell: str) -> str | float:
    try:
        return float(cell)
    except ValueError:
        return cell


def _run_and_keep(command: Sequence[str]) -> tuple[int, str]:
    """Run a program, show what it prints as it comes, and return its exit status and that text."""
    lines = []
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            click.echo(line, nl=False)
            lines.append(line)
    return process.returncode, "".join(lines)
