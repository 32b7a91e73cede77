# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine that asks an OpenAI-compatible server: Ollama, vLLM, llama.cpp, LM Studio or a cloud's.

Address and key come from the environment or from a file of the user's, never from a workflow. One address is spoken
to, the configured one: redirects are not followed.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import queue
import socket
import ssl
import threading
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .chat import cleaned, messages, room
from .expand import EngineError, Progress, Request

VARIABLES = {"url": "SPACETIME_LLM_URL", "model": "SPACETIME_LLM_MODEL", "key": "SPACETIME_LLM_KEY",
             "timeout": "SPACETIME_LLM_TIMEOUT"}  # fmt: skip
FILE = "spacetime-llm.toml"
PATIENCE = 60.0  # seconds without a word from the server
TRIES = 3
AGAIN = (408, 409, 425, 429, 500, 502, 503, 504)
LARGEST = 1 << 20  # bytes of an answer
POLL = 0.1  # seconds between two looks at whether the user has cancelled


@dataclass(frozen=True)
class Server:
    """Where a server is. ``key`` is never shown."""

    url: str
    model: str
    key: str = field(default="", repr=False)
    timeout: float = PATIENCE

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise EngineError(
                f"The server's address {self.url!r} is none: write one such as http://127.0.0.1:11434/v1."
            )

    @property
    def path(self) -> str:
        """The path of the completions."""
        return urlsplit(self.url).path.rstrip("/") + "/chat/completions"


def find_server(folder: Path | None = None, environ: Mapping[str, str] = os.environ) -> Server:
    """The server of the environment, else that of the file FILE in the host's user folder.

    Raises EngineError where there is none or its settings cannot be read.
    """
    settings: dict[str, Any] = {}
    file = None if folder is None else folder / FILE
    if environ.get(VARIABLES["url"]):
        settings = {name: environ[variable] for name, variable in VARIABLES.items() if environ.get(variable)}
    elif file is not None and file.is_file():
        try:
            settings = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise EngineError(f"{file} cannot be read: {error}") from error
    if not settings.get("url"):
        where = f", or write url, model and key into {file}" if file is not None else ""
        raise EngineError(
            f"No language model server is configured: set {VARIABLES['url']} (such as http://127.0.0.1:11434/v1) and "
            f"{VARIABLES['model']} in the environment of ComfyUI{where}."
        )
    if not settings.get("model"):
        raise EngineError(f"The server {settings['url']} needs the name of a model: set {VARIABLES['model']}.")
    try:
        patience = float(settings.get("timeout", PATIENCE))
    except (TypeError, ValueError) as error:
        raise EngineError(f"The timeout {settings['timeout']!r} is no number of seconds.") from error
    return Server(str(settings["url"]), str(settings["model"]), str(settings.get("key", "")), patience)


class ServerEngine:
    """Asks a server; ``wait`` is how long to wait before the second try, twice as long before the third."""

    name = "server"
    sees = True

    def __init__(self, server: Server, wait: float = 1.0) -> None:
        self.server, self.wait = server, wait

    def write(self, request: Request, progress: Progress) -> str:
        """Return the model's text; raises EngineError after TRIES tries, and whatever ``progress`` raises."""
        body = json.dumps(self._body(request)).encode()
        for attempt in range(1, TRIES + 1):
            try:
                return cleaned(self._ask(body, progress), request)
            except _Passing as error:
                if attempt == TRIES:
                    raise EngineError(f"{error} It was tried {TRIES} times.") from error
                _sleep(self.wait * 2 ** (attempt - 1), progress)
        raise AssertionError("unreachable")

    def _body(self, request: Request) -> dict[str, Any]:
        talk = messages(request)
        if request.images:
            pictures = [
                {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64," + base64.b64encode(i).decode()}}
                for i in request.images
            ]
            talk[-1]["content"] = [{"type": "text", "text": talk[-1]["content"]}, *pictures]
        return {
            "model": self.server.model, "messages": talk, "stream": True, "temperature": 0.4,
            "seed": request.seed % 2**31, "max_tokens": 2 * room(request),
        }  # fmt: skip

    def _ask(self, body: bytes, progress: Progress) -> str:
        """One try: the answer is read in another thread, so that a cancel is heard while the server is silent."""
        words: queue.Queue[str | BaseException | None] = queue.Queue()
        connection = self._connect()
        thread = threading.Thread(target=_listen, args=(lambda: self._words(connection, body), words), daemon=True)
        thread.start()
        text, heard = "", time.monotonic()
        try:
            while True:
                try:
                    word = words.get(timeout=POLL)
                except queue.Empty:
                    progress(text)
                    if time.monotonic() - heard > self.server.timeout + 5:
                        raise _Passing(self._silent()) from None
                    continue
                if word is None:
                    return text
                if isinstance(word, BaseException):
                    raise word
                heard = time.monotonic()
                text += word
                progress(text)
        finally:
            _hang_up(connection)

    def _connect(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.server.url)
        assert parts.hostname is not None
        if parts.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=self.server.timeout, context=context)
        return http.client.HTTPConnection(parts.hostname, parts.port, timeout=self.server.timeout)

    def _words(self, connection: http.client.HTTPConnection, body: bytes) -> Iterator[str]:
        """The answer word by word. Raises EngineError, and _Passing for what may be better the next time."""
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream, application/json"}
        if self.server.key:
            headers["Authorization"] = f"Bearer {self.server.key}"
        try:
            connection.request("POST", self.server.path, body, headers)
            answer = connection.getresponse()
            if answer.status != 200:
                raise self._refusal(answer.status, answer.read(2000).decode("utf-8", "replace"))
            if "event-stream" in (answer.getheader("Content-Type") or ""):
                yield from _events(answer)
            else:
                yield _whole(json.loads(answer.read(LARGEST)))
        except TimeoutError as error:
            raise _Passing(self._silent()) from error
        except (OSError, http.client.HTTPException) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or repr(error)
            raise _Passing(f"The server {self.server.url} cannot be reached: {reason}.") from error
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise EngineError(
                f"The server {self.server.url} gave an answer that is not of the chat completions interface; its "
                "address usually ends in /v1."
            ) from error

    def _silent(self) -> str:
        return f"The server {self.server.url} gave no word for {self.server.timeout:g} seconds."

    def _refusal(self, status: int, text: str) -> EngineError:
        reason = _reason(text)
        if self.server.key:
            reason = reason.replace(self.server.key, "...")
        sentence = f"The server {self.server.url} answered {status}{': ' + reason if reason else ''}."
        if status in (301, 302, 303, 307, 308):
            sentence += " It points to another address, which is not followed: configure that one if you trust it."
        elif status in (401, 403):
            sentence += f" Check the key in {VARIABLES['key']}."
        elif status == 404:
            sentence += f" Check that the address ends in /v1 and that it has the model {self.server.model!r}."
        return _Passing(sentence) if status in AGAIN else EngineError(sentence)


class _Passing(EngineError):
    """A fault that may be gone the next time."""


def _listen(words: Callable[[], Iterator[str]], into: queue.Queue[str | BaseException | None]) -> None:
    """Put what a server says into a queue, at its end None or the error."""
    try:
        for word in words():
            into.put(word)
        into.put(None)
    except (EngineError, OSError) as error:
        into.put(error)
    except AttributeError as error:  # the connection was hung up meanwhile
        into.put(EngineError(str(error)))


def _events(answer: http.client.HTTPResponse) -> Iterator[str]:
    """The words of a stream of server-sent events."""
    size = 0
    for line in answer:
        size += len(line)
        if size > LARGEST:
            return
        text = line.decode("utf-8", "replace").strip()
        if not text.startswith("data:"):
            continue
        content = text.removeprefix("data:").strip()
        if content == "[DONE]":
            return
        event = json.loads(content)
        if event.get("error"):
            raise EngineError(f"The server broke off: {_reason(content)}.")
        for choice in event.get("choices", ())[:1]:
            yield choice.get("delta", {}).get("content") or ""


def _whole(answer: dict[str, Any]) -> str:
    return str(answer["choices"][0]["message"]["content"] or "")


def _reason(text: str) -> str:
    """What an error answer says, in one line."""
    try:
        error = json.loads(text)["error"]
        text = error["message"] if isinstance(error, dict) else error
    except (ValueError, KeyError, TypeError):
        text = "" if "<" in text[:20] else text
    return " ".join(str(text).split())[:200].rstrip(".")


def _sleep(seconds: float, progress: Progress) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        progress("")
        time.sleep(min(POLL, seconds))


def _hang_up(connection: http.client.HTTPConnection) -> None:
    """Close a connection, also under a thread that reads from it."""
    if connection.sock is not None:
        try:
            connection.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it was closed already
    connection.close()
