# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a workflow on a ComfyUI server: the same calls and results as the in-process Runner, over HTTP.

The graph is sent to ``/prompt``, events come over the websocket, saved files are fetched from ``/view``.
"""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.parse
import uuid
from collections.abc import Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from .errors import (
    Cancelled,
    ExecutionFailed,
    InvalidPrompt,
    execution_failure,
    require_known_types,
    validation_message,
)
from .outputs import Delivery, OutputFile, partial_file, reported_files
from .runner import Listener, RunResult
from .workflow import Prompt

T = TypeVar("T")
_POLL = 0.25  # seconds between looks at the wish to cancel
_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=10, sock_read=120)


class ServerError(ConnectionError):
    """The server cannot be reached or does not answer as a ComfyUI does."""


class RemoteCatalogue(Mapping[str, dict[str, Any]]):
    """The server's node descriptions, each fetched when asked for."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[str, dict[str, Any] | None] = {}

    def __getitem__(self, kind: str) -> dict[str, Any]:
        if kind not in self._known:
            answer = self._client.get_json(f"/object_info/{urllib.parse.quote(kind, safe='')}")
            self._known[kind] = answer.get(kind)
        description = self._known[kind]
        if description is None:
            raise KeyError(kind)
        return description

    def __iter__(self) -> Iterator[str]:
        return iter(self._client.get_json("/object_info"))

    def __len__(self) -> int:
        return len(self._client.get_json("/object_info"))


class Client:
    """A ComfyUI server at ``url`` (``http://host:port``). Raises ServerError when it does not answer."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/") if "://" in url else f"http://{url.rstrip('/')}"
        if urllib.parse.urlsplit(self.url).scheme not in ("http", "https"):
            raise ServerError(f"--server takes an address such as http://127.0.0.1:8188, not {url}.")
        self._cancelled = threading.Event()
        self._prompt_id: str | None = None
        self.object_info = RemoteCatalogue(self)
        stats = self.get_json("/system_stats")
        self.version = str((stats.get("system") or {}).get("comfyui_version", "unknown"))

    def get_json(self, path: str) -> dict[str, Any]:
        """Fetch a JSON object from the server."""

        async def get(session: aiohttp.ClientSession) -> dict[str, Any]:
            async with session.get(self.url + path) as answer:
                if answer.status != 200:
                    raise ServerError(f"{self.url}{path} answers {answer.status} {answer.reason}.")
                data = await answer.json(content_type=None)
                if not isinstance(data, dict):
                    raise ServerError(f"{self.url} does not answer as a ComfyUI does.")
                return data

        return self._do(get)

    def _do(self, work: Any) -> Any:
        async def session_around() -> Any:
            async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
                return await work(session)

        return self._translate(session_around())

    def _translate(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine; network faults become ServerErrors."""
        try:
            return asyncio.run(work)
        except (aiohttp.ClientConnectorError, aiohttp.InvalidURL) as error:
            reason = getattr(error, "os_error", None)
            raise ServerError(
                f"No ComfyUI answers at {self.url} ({getattr(reason, 'strerror', None) or error}); is it running?"
            ) from error
        except (aiohttp.ClientError, TimeoutError, json.JSONDecodeError) as error:
            raise ServerError(f"The connection to {self.url} failed: {error or type(error).__name__}.") from error

    def run(self, prompt: Prompt, listener: Listener | None = None) -> RunResult:
        """Run a graph on the server; as ``Runner.run``. Raises ServerError as well, when the connection is lost."""
        require_known_types(prompt, self.object_info)
        self._cancelled.clear()
        self._prompt_id = None
        result: RunResult = self._do(lambda session: self._run(session, prompt, listener or (lambda *_: None)))
        return result

    async def _run(self, session: aiohttp.ClientSession, prompt: Prompt, listener: Listener) -> RunResult:
        client_id = uuid.uuid4().hex
        async with session.ws_connect(f"{self.url}/ws?clientId={client_id}", max_msg_size=0, heartbeat=30) as socket:
            answer = await self._submit(session, prompt, client_id)
            self._prompt_id = str(answer["prompt_id"])
            result = RunResult()
            if answer.get("node_errors"):
                result.refused = validation_message(prompt, None, answer["node_errors"], self.object_info)
            failure = await self._follow(session, socket, prompt, listener, result)
        if failure is not None:
            raise failure
        result.files = reported_files(result.shown)
        return result

    async def _submit(self, session: aiohttp.ClientSession, prompt: Prompt, client_id: str) -> dict[str, Any]:
        extra = {} if prompt.workflow is None else {"extra_pnginfo": {"workflow": prompt.workflow}}
        body = {"prompt": prompt.graph, "client_id": client_id, "extra_data": extra}
        async with session.post(f"{self.url}/prompt", json=body) as answer:
            try:
                data = await answer.json(content_type=None)
            except json.JSONDecodeError:
                data = {}
            if answer.status == 200 and "prompt_id" in data:
                return data
            if data.get("error"):
                faults = data.get("node_errors")
                raise InvalidPrompt(validation_message(prompt, data["error"], faults, self.object_info))
            raise ServerError(f"{self.url} refuses the workflow: {answer.status} {answer.reason}.")

    async def _follow(
        self,
        session: aiohttp.ClientSession,
        socket: aiohttp.ClientWebSocketResponse,
        prompt: Prompt,
        listener: Listener,
        result: RunResult,
    ) -> ExecutionFailed | Cancelled | None:
        """Read events until the run is over; return what made it fail, if anything did."""
        failure: ExecutionFailed | Cancelled | None = None
        told = False
        while True:
            if self._cancelled.is_set() and not told:
                told = True
                if await self._stop(session):
                    return Cancelled("The run was stopped before it began.")
            try:
                message = await socket.receive(timeout=_POLL)
            except TimeoutError:
                continue
            if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
                raise ServerError(f"{self.url} closed the connection; the run may still be going on there.")
            if message.type != aiohttp.WSMsgType.TEXT:
                continue  # preview pictures
            packet = json.loads(message.data)
            event, data = packet.get("type"), packet.get("data") or {}
            if data.get("prompt_id") != self._prompt_id:
                continue
            if event == "executed":
                result.shown[str(data["node"])] = data.get("output") or {}
            elif event == "execution_error":
                failure = execution_failure(prompt, data)
            elif event == "execution_interrupted":
                failure = Cancelled("The run was stopped.")
            listener(event, data)
            if event == "executing" and data.get("node") is None:
                return failure

    async def _stop(self, session: aiohttp.ClientSession) -> bool:
        """Interrupt our run, or take it out of the queue; True if it had not begun."""
        async with session.get(f"{self.url}/queue") as answer:
            waiting = [str(entry[1]) for entry in (await answer.json()).get("queue_pending") or []]
        if self._prompt_id in waiting:
            await session.post(f"{self.url}/queue", json={"delete": [self._prompt_id]})
            return True
        await session.post(f"{self.url}/interrupt", json={"prompt_id": self._prompt_id})
        return False

    def cancel(self) -> None:
        """Stop the run that is going on; safe to call from a signal handler or another thread."""
        self._cancelled.set()

    def deliver(self, file: OutputFile, delivery: Delivery | None) -> Path:
        """Fetch a reported file; without a wish it goes into the current folder."""
        delivery = delivery or Delivery(".")
        with partial_file(delivery.folder) as partial:
            self._do(lambda session: self._fetch(session, file, partial))
            return delivery.place(partial, file.filename)

    def take_input(self, path: Path) -> str:
        """Copy a file of this machine into the server's input folder and return the name it has there."""

        async def upload(session: aiohttp.ClientSession) -> str:
            with path.open("rb") as source:
                form = aiohttp.FormData()
                form.add_field("image", source, filename=path.name)  # the server takes every kind of file here
                async with session.post(f"{self.url}/upload/image", data=form) as answer:
                    if answer.status != 200:
                        raise ServerError(f"{self.url} does not take the file {path}: {answer.status} {answer.reason}.")
                    stored = await answer.json()
            return "/".join(part for part in (stored.get("subfolder"), stored["name"]) if part)

        name: str = self._do(upload)
        return name

    async def _fetch(self, session: aiohttp.ClientSession, file: OutputFile, path: Path) -> None:
        query = {"filename": file.filename, "subfolder": file.subfolder, "type": file.kind}
        async with session.get(f"{self.url}/view", params=query) as answer:
            if answer.status != 200:
                raise ServerError(f"{self.url} does not give {file.filename}: {answer.status} {answer.reason}.")
            with path.open("wb") as target:
                async for chunk in answer.content.iter_chunked(1 << 20):
                    target.write(chunk)
