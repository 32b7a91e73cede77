# SPDX-License-Identifier: GPL-3.0-or-later
"""``./spacetime doctor``: what was found, what is missing and how to mend it. Works before the set-up too.

Standard library only; whatever needs torch or ComfyUI is asked of their own Python (``probe``).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from . import comfy, setup, tools

WEIGHTS = setup.ROOT / "weights"
NEEDED_GIB = 4.0  # .venv and .host with a CPU build of torch take about 2; videos and caches come on top
SET_UP = "run ./spacetime setup"
Level = Literal["ok", "note", "bad"]


@dataclass(frozen=True)
class Finding:
    """One line of the report. ``level`` "bad" means that rendering cannot work until ``mend`` is done."""

    level: Level
    what: str
    found: str
    mend: str = ""


def check_python() -> Iterator[Finding]:
    """Look at the Python that runs this, and at the set-up's."""
    text = f"{platform.python_version()} ({sys.executable})"
    old = sys.version_info < setup.MINIMUM_PYTHON
    yield Finding("bad" if old else "ok", "python", text, "install Python 3.11 or newer" if old else "")


def check_set_up(host: comfy.Host | None) -> Iterator[Finding]:
    """Look at ``.venv`` and ``.host``, if they are what is used."""
    if host is not None and host.kind != "embedded":
        yield Finding("ok", "set-up", "not needed: your own ComfyUI and its Python are used")
    elif setup.is_ready():
        yield Finding("ok", "set-up", f"complete in {setup.VENV}")
    elif setup.STAMP.exists():
        yield Finding("bad", "set-up", "of an older version of this clone", SET_UP)
    else:
        state = "interrupted" if setup.VENV.exists() else "not done yet"
        yield Finding("bad", "set-up", state, f"{SET_UP} (it goes on where it stopped)")


def check_host(host: comfy.Host | None, error: str) -> Iterator[Finding]:
    """Name the ComfyUI that is used."""
    if host is None:
        yield Finding("bad", "ComfyUI", error, SET_UP)
        return
    yield Finding("ok", "ComfyUI", f"{host.version}, {host.kind}, in {host.root}")
    if not host.python.exists():
        yield Finding("bad", "its Python", f"{host.python} is missing", "name it with COMFYUI_PYTHON=/path/to/python")


def ask(host: comfy.Host, question: str, seconds: float = 300.0) -> dict[str, Any] | str:
    """Return ``probe``'s answer from the host's own Python, or the last line of what went wrong."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        entry = Path(__file__).with_name("entry.py")
        command = [str(host.python), "-P", str(entry), "host.probe", question, str(answer)]
        try:
            options: dict[str, Any] = {"capture_output": True, "text": True, "errors": "replace", "check": False}
            done = subprocess.run(command, stdin=subprocess.DEVNULL, timeout=seconds, **options)
        except subprocess.TimeoutExpired:
            return f"no answer within {seconds:.0f} s"
        except OSError as error:
            return str(error)
        if answer.is_file():
            found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
            return found
        lines = (done.stderr + done.stdout).strip().splitlines()
        return lines[-1] if lines else f"exit status {done.returncode}"


def check_torch(answer: dict[str, Any] | str, own: bool) -> Iterator[Finding]:
    """Look at torch, the device it computes on, and torchvision; ``own``: in the Python of the set-up."""
    again = f"{SET_UP} --force"
    if isinstance(answer, str):
        mend = again if own else "name the Python that runs your ComfyUI: COMFYUI_PYTHON=/path/to/python"
        yield Finding("bad", "torch", answer, mend)
        return
    yield Finding("ok", "torch", f"{answer['version']}, imported in {answer['seconds']} s")
    if answer["devices"] or answer["mps"]:
        yield Finding("ok", "device", ", ".join(answer["devices"]) or "Apple GPU")
    elif setup.has_nvidia():
        mend = "install the CUDA build of torch for your driver (pytorch.org, Get started), then run this again"
        yield Finding("note", "device", "CPU: this torch cannot use the NVIDIA GPU that is there", mend)
    else:
        yield Finding("ok", "device", f"CPU, {answer['threads']} threads, {answer['cpu']}{bfloat16_words()}")
    if answer["torchvision"] is None:
        yield Finding("bad", "torchvision", "missing", again if own else "install the build that matches your torch")
    else:
        how = "compiled operators load" if answer["torchvision_ops"] else "Python part only (enough for ComfyUI)"
        yield Finding("ok", "torchvision", f"{answer['torchvision']}, {how}")


def check_credentials(answer: dict[str, Any], python: Path) -> Iterator[Finding]:
    """Look at the optional package that signs videos."""
    if answer["credentials"]:
        yield Finding("ok", "credentials", f"c2pa-python {answer['credentials']}: Save Video signs what it writes")
    else:
        mend = f'optional: {python} -m pip install "c2pa-python>=0.38,<1"'
        yield Finding("note", "credentials", "no c2pa-python: videos are saved unsigned", mend)


def check_encoders(answer: dict[str, Any], python: Path) -> Iterator[Finding]:
    """Look at the encoders in hardware, each of which was opened and given a picture."""
    tried = answer["encoders"]
    if tried is None:
        yield Finding("bad", "video", "no PyAV: no video can be read or written", f"{python} -m pip install av")
        return
    working = [name for name, reason in tried.items() if not reason]
    known = ", ".join(tried) or "none"
    if working:
        yield Finding("ok", "video", f"encoders in hardware that work here: {', '.join(working)}; else software")
    else:
        yield Finding("ok", "video", f"encoders in software; in hardware none works here (tried: {known})")


def bfloat16_words() -> str:
    """Return which bfloat16 instructions this CPU has, as far as the system tells."""
    try:
        flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        return ""
    names = [name for name in ("amx_bf16", "avx512_bf16", "bf16") if name in flags]
    return f", fast bfloat16 ({', '.join(names)})" if names else ", no bfloat16 instructions"


def check_pack(answer: dict[str, Any] | str) -> Iterator[Finding]:
    """Look at what ComfyUI made of this pack."""
    if isinstance(answer, str):
        yield Finding("bad", "nodes", f"ComfyUI does not load: {answer}", "run ./spacetime serve and read its log")
        return
    for line in answer["warnings"]:
        yield Finding("note", "pack", line, "an update of this clone or of ComfyUI may mend it")
    if answer["ours"]:
        found = f"{len(answer['ours'])} of Spacetime, {answer['count']} in all, loaded in {answer['seconds']} s"
        yield Finding("ok", "nodes", found)
        yield Finding("ok", "", " ".join(answer["ours"]))
    else:
        yield Finding("bad", "nodes", "ComfyUI has no Spacetime node", "look at the lines about the pack above")


def read_header(path: Path) -> dict[str, Any]:
    """Return a safetensors file's header; raises ValueError with a sentence for a foreign or cut-off file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if length > size - 8:
            raise ValueError("not a whole safetensors file")
        try:
            header: dict[str, Any] = json.loads(file.read(length))
        except ValueError:
            raise ValueError("not a safetensors file") from None
    end = max((entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0)
    if size != 8 + length + end:
        raise ValueError(f"{size} bytes long instead of {8 + length + end}: cut off or damaged")
    return header


def check_weights(folder: Path = WEIGHTS) -> Iterator[Finding]:
    """Look at the shipped checkpoints: there, whole, ours, and with the checksums that came along."""
    mend = "bring it back with: git checkout -- weights (after git lfs pull, if it is a pointer)"
    files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    if not files:
        yield Finding("bad", "weights", f"no checkpoint in {folder}", mend)
    sums = folder / "SHA256SUMS"
    lines = sums.read_text(encoding="utf-8").splitlines() if sums.is_file() else []
    wanted = {name.strip().lstrip("*"): digest for digest, _, name in (line.partition(" ") for line in lines)}
    for path in files:
        try:
            header = read_header(path)
        except (OSError, ValueError) as error:
            yield Finding("bad", "weights", f"{path.name}: {error}", mend)
            continue
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if wanted.get(path.name, digest) != digest:
            yield Finding("bad", "weights", f"{path.name} has another checksum than SHA256SUMS says", mend)
        elif "spacetime" not in header.get("__metadata__", {}):
            yield Finding("note", "weights", f"{path.name} does not describe itself as a Spacetime checkpoint")
        else:
            checked = ", checksum right" if path.name in wanted else ""
            yield Finding("ok", "weights", f"{path.name}, {path.stat().st_size / 2**20:.1f} MiB{checked}")


def check_extras() -> Iterator[Finding]:
    """Look at what rendering does not need: a browser for the tests, room on the disk."""
    chromium = tools.find_chromium()
    mend = "only browser tests need it: apt-get install chromium, or set CHROMIUM"
    yield Finding("ok" if chromium else "note", "chromium", chromium or "none found", "" if chromium else mend)
    yield Finding("ok", "ffmpeg", "not needed: videos are read and written by PyAV, which brings its own")
    free = shutil.disk_usage(setup.ROOT).free / 2**30
    low = free < (0.5 if setup.is_ready() else NEEDED_GIB)
    mend = f"make room: a set-up takes about {NEEDED_GIB:.0f} GiB" if low else ""
    yield Finding("bad" if low else "ok", "disk", f"{free:.1f} GiB free in {setup.ROOT}", mend)


def findings(quick: bool, tell: Callable[[str], None]) -> Iterator[Finding]:
    """Yield everything that there is to say, in the order in which one thing needs another."""
    yield from check_python()
    host, error = None, ""
    try:
        host = comfy.find_host()
    except comfy.HostError as reason:
        error = str(reason)
    yield from check_set_up(host)
    yield from check_host(host, error)
    if host is not None and host.python.exists():
        tell("asking torch ...")
        answer = ask(host, "torch")
        yield from check_torch(answer, own=host.kind == "embedded")
        if not isinstance(answer, str):
            yield from check_credentials(answer, host.python)
            yield from check_encoders(answer, host.python)
        if not quick and not isinstance(answer, str):
            tell("loading ComfyUI with its nodes ...")
            yield from check_pack(ask(host, "nodes"))
    yield from check_weights()
    yield from check_extras()


def examine(quick: bool = False, as_json: bool = False) -> int:
    """Print the report; return 0 if rendering should work, 1 if something must be mended first."""
    terminal = sys.stderr.isatty()

    def tell(text: str) -> None:
        if terminal:
            sys.stderr.write(f"{text}\r")
            sys.stderr.flush()

    found = []
    for finding in findings(quick, tell):
        found.append(finding)
        if not as_json:
            sys.stdout.write(format_finding(finding))
            sys.stdout.flush()
    bad = any(finding.level == "bad" for finding in found)
    if as_json:
        sys.stdout.write(json.dumps([asdict(finding) for finding in found], indent=2) + "\n")
    else:
        sys.stdout.write("something must be mended first\n" if bad else "everything needed is there\n")
    return int(bad)


def format_finding(finding: Finding) -> str:
    """Return a finding as text: one line, and one with an arrow for the remedy."""
    mark = {"ok": "ok  ", "note": "note", "bad": "BAD "}[finding.level] if finding.what else "    "
    lines = [f"{mark}  {finding.what:<12} {finding.found}"]
    if finding.mend:
        lines.append(f"      {'':<12} -> {finding.mend}")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the examination without the command line's packages, as before the set-up."""
    parser = argparse.ArgumentParser(prog="./spacetime doctor", description="Tell what is there and what is missing.")
    parser.add_argument("--quick", action="store_true", help="leave out what takes seconds")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    options = parser.parse_args()
    sys.exit(examine(options.quick, options.json))


if __name__ == "__main__":
    main()
