# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a workflow inside this Python process: the host's own executor, without its server.

Seen with ComfyUI 0.3.75 and 0.33.0. The host's modules are imported when a Runner is made, never before: which host
it is, is known only then.
"""

from __future__ import annotations

import asyncio
import filecmp
import inspect
import os
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .comfy import Host, enter
from .errors import (
    Cancelled,
    ExecutionFailed,
    InvalidPrompt,
    execution_failure,
    require_known_types,
    validation_message,
)
from .graph import WorkflowError
from .outputs import Delivery, HalfFiles, OutputFile, free_name, inside, partial_file, reported_files
from .workflow import Prompt

Listener = Callable[[str, dict[str, Any]], None]


@dataclass
class RunResult:
    """What a run gave: ``shown`` is what each output node reported, ``files`` the files in it.

    ``refused`` holds sentences on output nodes that the host left out because their inputs are not valid.
    """

    shown: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: list[OutputFile] = field(default_factory=list)
    refused: str = ""


class NodeCatalogue(Mapping[str, dict[str, Any]]):
    """The host's node descriptions, as its server's ``/object_info`` gives them; each is made when asked for."""

    def __init__(self) -> None:
        import nodes

        self._nodes = nodes
        self._made: dict[str, dict[str, Any]] = {}

    def __getitem__(self, kind: str) -> dict[str, Any]:
        if kind not in self._made:
            node = self._nodes.NODE_CLASS_MAPPINGS[kind]
            describe = getattr(node, "GET_NODE_INFO_V1", None)
            self._made[kind] = describe() if describe else self._describe(kind, node)
        return self._made[kind]

    def _describe(self, kind: str, node: Any) -> dict[str, Any]:
        inputs = node.INPUT_TYPES()
        return {
            "input": inputs,
            "input_order": {group: list(entries) for group, entries in inputs.items()},
            "output": list(node.RETURN_TYPES),
            "output_name": list(getattr(node, "RETURN_NAMES", node.RETURN_TYPES)),
            "output_node": bool(getattr(node, "OUTPUT_NODE", False)),
            "name": kind,
            "display_name": self._nodes.NODE_DISPLAY_NAME_MAPPINGS.get(kind, kind),
        }

    def forget(self) -> None:
        """Make every description anew: lists of files change."""
        self._made.clear()

    def __iter__(self) -> Iterator[str]:
        return iter(self._nodes.NODE_CLASS_MAPPINGS)

    def __len__(self) -> int:
        return len(self._nodes.NODE_CLASS_MAPPINGS)


class _EventSink:
    """Stands where the executor expects its server: events go to the listener instead of a websocket."""

    def __init__(self, forward: Listener) -> None:
        self.forward = forward
        self.client_id: str | None = None
        self.last_node_id: str | None = None
        self.last_prompt_id: str | None = None
        self.sockets_metadata: dict[str, Any] = {}

    def send_sync(self, event: Any, data: Any, sid: str | None = None) -> None:
        if isinstance(event, str) and isinstance(data, dict):  # binary events are preview pictures
            self.forward(event, data)

    def queue_updated(self) -> None:
        """The executor tells its server so; there is no queue here."""


class Runner:
    """A host loaded into this process. Make one per process: the host's modules are global."""

    def __init__(self, host: Host, base: Path | None = None, flags: Sequence[str] = ()) -> None:
        """Load the host and all its nodes (some seconds). With ``base`` it reads and writes in that folder only.

        ``flags`` are further flags of the host's command line, such as ``--verbose WARNING``.
        """
        main = enter(host, [*flags, *host.flags(base)])
        import comfy.utils
        import execution
        import folder_paths
        import nodes
        import server

        self._nodes, self._execution, self._folders = nodes, execution, folder_paths
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        server.PromptServer(self.loop)  # node packs ask for its instance while they are imported
        self.loop.run_until_complete(nodes.init_extra_nodes(init_custom_nodes=True, init_api_nodes=False))
        self._sink = _EventSink(self._on_event)
        self._executor = execution.PromptExecutor(
            self._sink,
            cache_type=execution.CacheType.CLASSIC,
            cache_args={"lru": 0, "ram": 0.0, "ram_inactive": 0.0},
        )
        main.hijack_progress(self._sink)
        comfy.utils.set_progress_bar_enabled(False)  # the samplers' own bars; ours show the same steps
        os.makedirs(folder_paths.get_temp_directory(), exist_ok=True)
        self.object_info = NodeCatalogue()
        self._half = HalfFiles()
        self._cancelled = threading.Event()
        self._listener: Listener | None = None
        self._prompt = Prompt({})
        self._result = RunResult()
        self._failure: ExecutionFailed | None = None
        self._interrupted = False

    def run(self, prompt: Prompt, listener: Listener | None = None) -> RunResult:
        """Run a graph and return what it saved. ``listener`` gets every event of the host.

        Raises InvalidPrompt before anything runs, ExecutionFailed when a node fails, Cancelled after ``cancel``.
        Output nodes that the host refuses while others are valid are left out and told in ``RunResult.refused``.
        """
        require_known_types(prompt, self.object_info)
        self._prompt, self._listener = prompt, listener
        self._result, self._failure, self._interrupted = RunResult(), None, False
        self._cancelled.clear()
        run_id = uuid.uuid4().hex
        validation = self._execution.validate_prompt(run_id, prompt.graph, None)
        valid, error, targets, node_errors = self.loop.run_until_complete(validation)
        if not valid:
            raise InvalidPrompt(validation_message(prompt, error, node_errors, self.object_info))
        if node_errors:
            self._result.refused = validation_message(prompt, error, node_errors, self.object_info)
        extra: dict[str, Any] = {"client_id": run_id}
        if prompt.workflow is not None:
            extra["extra_pnginfo"] = {"workflow": prompt.workflow}
        self._sink.last_prompt_id = run_id
        try:
            self.loop.run_until_complete(self._executor.execute_async(prompt.graph, run_id, extra, targets))
        except BaseException:  # a second Ctrl-C, or a fault of the host itself: nothing half-written stays
            self._half.remove()
            raise
        finally:
            self._nodes.interrupt_processing(False)
            self._listener = None
        return self._finish()

    def _finish(self) -> RunResult:
        if self._failure is not None:
            raise self._failure
        if self._interrupted:
            raise Cancelled("The run was stopped.")
        self._result.files = reported_files(self._result.shown)
        return self._result

    def cancel(self) -> None:
        """Stop the run that is going on; safe to call from a signal handler or another thread."""
        self._cancelled.set()
        self._nodes.interrupt_processing(True)

    def _on_event(self, event: str, data: dict[str, Any]) -> None:
        if event == "execution_start" and self._cancelled.is_set():
            self._nodes.interrupt_processing(True)  # the executor has just cleared the request
        elif event == "executing" and data.get("node") is not None:
            self._watch(str(data["node"]))
        elif event == "executed":
            self._half.node_ended()
            self._result.shown[str(data["node"])] = data.get("output") or {}
        elif event == "execution_error":
            self._failure = execution_failure(self._prompt, data)
            self._half.remove()
        elif event == "execution_interrupted":
            self._interrupted = True
            self._half.remove()
        if self._listener is not None:
            self._listener(event, data)

    def _watch(self, node: str) -> None:
        """Note the file that a saving node is about to write."""
        prefix = self._prompt.graph.get(node, {}).get("inputs", {}).get("filename_prefix")
        self._half.node_ended()
        if not isinstance(prefix, str):
            return
        output = os.path.abspath(self._folders.get_output_directory())
        try:
            common = os.path.commonpath((output, os.path.abspath(os.path.join(output, prefix))))
        except ValueError:  # on another drive of Windows
            return
        if common != output:
            return  # the host refuses a name outside its folder
        folder, name, counter, _, _ = self._folders.get_save_image_path(prefix, output)
        self._half.node_begins(Path(folder), f"{name}_{counter:05}_")

    def value(self, node: str, slot: int = 0) -> Any:
        """Return what an output of a node of the last run holds (for tests); KeyError if the node did not run."""
        entry = self._executor.caches.outputs.get(node)
        if inspect.isawaitable(entry):
            entry = self.loop.run_until_complete(entry)  # type: ignore[arg-type]
        if entry is None:
            raise KeyError(node)
        return entry.outputs[slot][0]

    def path_of(self, file: OutputFile) -> Path:
        """Return where a reported file lies. Raises WorkflowError for a name that leaves the host's folders."""
        folder = self._folders.get_directory_by_type(file.kind)
        if folder is None:
            raise WorkflowError(f'The host has no folder of the kind "{file.kind}" for {file.filename}.')
        return inside(Path(folder), file.subfolder, file.filename)

    def deliver(self, file: OutputFile, delivery: Delivery | None) -> Path:
        """Put a reported file where the user wants it; without a wish it stays where the host wrote it."""
        path = self.path_of(file)
        return path if delivery is None else delivery.place(path, file.filename)

    def take_input(self, path: Path) -> str:
        """Copy a file into the host's input folder, unless it lies there, and return its name in it."""
        folder = Path(self._folders.get_input_directory()).resolve()
        source = path.resolve()
        if folder in source.parents:
            return source.relative_to(folder).as_posix()
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / source.name
        if target.exists() and not filecmp.cmp(source, target, shallow=False):
            target = free_name(target)
        if not target.exists():
            with partial_file(folder) as partial:
                shutil.copyfile(source, partial)
                os.replace(partial, target)
        return target.name
