# SPDX-License-Identifier: GPL-3.0-or-later
"""Start ComfyUI with the pack as a server on the loopback interface, for the browser and for tests."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from . import entry
from .comfy import Host, HostError, find_host

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 8188


def server_command(host: Host, port: int, flags: Sequence[str] = (), base: Path | None = None) -> list[str]:
    """Return the command that starts ``host`` as a server with the pack; later ``flags`` win over ours."""
    ours = ["--listen", LOOPBACK, "--port", str(port), "--preview-method", "latent2rgb"]
    launcher = [str(host.python), "-P", str(Path(entry.__file__).resolve()), "host.launch", str(host.root)]
    return [*launcher, *host.flags(base), *ours, *flags]


def is_free(port: int) -> bool:
    """Tell whether a server can listen on ``port`` of the loopback interface."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def choose_port(wanted: int | None) -> int:
    """Return the port to serve on: ``wanted``, else ComfyUI's own or the next free one; raises HostError."""
    if wanted is not None:
        if not is_free(wanted):
            raise HostError(f"port {wanted} is in use; choose another one with --port, or leave the option out")
        return wanted
    port = next((port for port in range(DEFAULT_PORT, DEFAULT_PORT + 20) if is_free(port)), None)
    return port or free_port()


def wait_until_up(url: str, process: subprocess.Popen[bytes], seconds: float = 180.0) -> bool:
    """Wait until the server answers; False if its process ended or time ran out before."""
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/system_stats", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    return False


def stop(process: subprocess.Popen[bytes], seconds: float = 10.0) -> int:
    """End a server that was started here, by force if it does not end by itself, and return its exit status."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


@contextlib.contextmanager
def running_server(
    host: Host, base: Path, log: Path, flags: Sequence[str] = (), without: Sequence[str] = ()
) -> Iterator[str]:
    """Run a server that keeps everything in ``base`` and its output in ``log``; gives its URL, ends it afterwards.

    ``without`` takes flags of ours away. Raises HostError with the end of the log where it does not come up.
    """
    port = free_port()
    command = [word for word in server_command(host, port, flags, base) if word not in without]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        if not wait_until_up(f"http://{LOOPBACK}:{port}", process):
            tail = log.read_text(encoding="utf-8", errors="replace")[-3000:]
            raise HostError(f"the ComfyUI server did not come up (exit status {process.poll()}):\n{tail}")
        yield f"http://{LOOPBACK}:{port}"
    finally:
        stop(process)


@click.command("serve", context_settings={"ignore_unknown_options": True})
@click.option("--port", type=click.IntRange(1, 65535), help=f"Port to listen on  [default: from {DEFAULT_PORT}]")
@click.option("--open", "open_browser", is_flag=True, help="Open the browser when the server is up.")
@click.argument("flags", nargs=-1, type=click.UNPROCESSED, metavar="[COMFYUI FLAG ...]")
def serve_command(port: int | None, open_browser: bool, flags: tuple[str, ...]) -> None:
    """Start ComfyUI with Spacetime, for the browser. Further flags go to ComfyUI (put -- before --help).

    It listens on this machine only. Ctrl-C stops it.
    """
    host = find_host()
    chosen = choose_port(port)
    url = f"http://{LOOPBACK}:{chosen}"
    click.echo(f"starting ComfyUI {host.version} from {host.root}", err=True)
    process = subprocess.Popen(server_command(host, chosen, flags))

    def announce() -> None:
        if wait_until_up(url, process):
            click.echo(f"\nComfyUI with Spacetime: {url}  (its workflows: Templates > Extensions; Ctrl-C stops it)\n")
            if open_browser:
                webbrowser.open(url)

    def terminate(signum: int, frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, terminate)
    threading.Thread(target=announce, daemon=True).start()
    try:
        status = process.wait()
    except KeyboardInterrupt:
        status = 0
    finally:
        stop(process)
    sys.exit(status)
