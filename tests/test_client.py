# SPDX-License-Identifier: GPL-3.0-or-later
"""Workflows sent to a running server: the same progress, results and errors as in process."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from graphs import api, clip, editor_picture, picture
from PIL import Image

from comfyui_spacetime.host.client import Client, ServerError
from comfyui_spacetime.host.errors import Cancelled, ExecutionFailed, InvalidPrompt
from comfyui_spacetime.host.outputs import Delivery, OutputFile
from comfyui_spacetime.host.workflow import to_api

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def client(server: str) -> Client:
    return Client(server)


def run(client: Client, graph: dict[str, Any], listener: Any = None) -> Any:
    return client.run(to_api(graph, client.object_info), listener)


def test_the_same_workflow_gives_the_same_pictures_as_in_process(client: Client, inprocess: Any, tmp_path: Path):
    workflow = editor_picture("both")
    images = []
    for backend in (client, inprocess):
        result = backend.run(to_api(workflow, backend.object_info))
        with Image.open(backend.deliver(result.files[0], Delivery(f"{tmp_path}/"))) as image:
            images.append((image.tobytes(), image.info["workflow"], image.info["prompt"]))
    assert images[0] == images[1]
    assert json.loads(images[0][1]) == workflow


def test_a_video_is_fetched_whole(client: Client, host_base: Path, tmp_path: Path):
    file = run(client, clip("clips/remote")).files[0]
    path = client.deliver(file, Delivery(tmp_path / "mine.mp4"))
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine.mp4"]
    assert path.read_bytes() == (host_base / "output" / file.subfolder / file.filename).read_bytes()


def test_events_are_those_of_the_runner(client: Client, inprocess: Any):
    """The same nodes begin, step and end, whichever way the graph is run."""

    def tell(backend: Any) -> set[tuple[Any, ...]]:
        seen: set[tuple[Any, ...]] = set()

        def listen(event: str, data: dict[str, Any]) -> None:
            if event == "progress_state":  # steps between the first and the last may be left out
                states = [(node, state["state"], state["value"], state["max"]) for node, state in data["nodes"].items()]
                seen.update(state for state in states if state[2] in (0, state[3]))
            elif event == "executing" and data["node"] is not None:
                seen.add((event, data["node"]))
            elif event.startswith("execution_"):
                seen.add((event,))

        run(backend, {"1": api("TestSteps", steps=4, pause=0.05)}, listen)
        return seen

    remote, local = tell(client), tell(inprocess)
    assert remote == local
    assert ("1", "running", 4, 4) in remote


@pytest.mark.parametrize(
    ("graph", "sentence"),
    [
        ({"1": api("Nowhere")}, r"Nowhere \(node 1\)"),
        (picture("x", width=0), r'Input "width" of .* is 0; the least is 1'),
        ({"1": api("EmptyImage", width=8, height=8, batch_size=1, color=0)}, "no output node"),
    ],
)
def test_what_cannot_run_is_refused_in_the_same_sentences(client: Client, inprocess: Any, graph: Any, sentence: str):
    messages = []
    for backend in (client, inprocess):
        with pytest.raises(InvalidPrompt, match=sentence) as refusal:
            run(backend, graph)
        messages.append(str(refusal.value))
    assert messages[0] == messages[1]


def test_a_failing_node_is_named_with_its_reason(client: Client):
    with pytest.raises(ExecutionFailed, match=r'^"Fails" \(node 7, TestFails\) failed: no paint left$'):
        run(client, {"7": api("TestFails", message="no paint left")})


def test_cancelling_interrupts_the_servers_run(client: Client):
    def stop(event: str, data: dict[str, Any]) -> None:
        if event == "executing":
            client.cancel()

    with pytest.raises(Cancelled):
        run(client, {"1": api("TestSteps", steps=2000, pause=0.01)}, stop)
    assert run(client, picture("after-cancel")).files


def test_cancelling_takes_a_waiting_run_out_of_the_queue(client: Client, server: str):
    other = Client(server)
    begun, outcome = threading.Event(), []

    def occupy() -> None:
        def listen(event: str, data: dict[str, Any]) -> None:
            if event == "executing":
                begun.set()

        try:
            run(other, {"1": api("TestSteps", steps=3000, pause=0.01)}, listen)
        except Cancelled as error:
            outcome.append(error)

    worker = threading.Thread(target=occupy)
    worker.start()
    assert begun.wait(60)
    waiting = threading.Timer(0.5, client.cancel)
    waiting.start()
    with pytest.raises(Cancelled, match="before it began"):
        run(client, picture("waiting"))
    other.cancel()
    worker.join(60)
    assert len(outcome) == 1
    assert client.get_json("/queue") == {"queue_running": [], "queue_pending": []}


def test_a_local_file_is_sent_to_the_server(client: Client, host_base: Path, tmp_path: Path):
    Image.new("RGB", (8, 8), "red").save(tmp_path / "upload.png")
    name = client.take_input(tmp_path / "upload.png")
    assert (host_base / "input" / name).read_bytes() == (tmp_path / "upload.png").read_bytes()


def test_a_file_that_the_server_lacks_leaves_nothing_behind(client: Client, tmp_path: Path):
    with pytest.raises(ServerError, match=r"does not give gone\.png"):
        client.deliver(OutputFile("gone.png", "", "output", "1"), Delivery(f"{tmp_path}/"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "127.0.0.1:9"])
def test_no_server_is_one_sentence(url: str):
    with pytest.raises(ServerError, match=r"No ComfyUI answers at http://127.0.0.1:9 .*; is it running\?"):
        Client(url)


def test_an_address_of_another_kind_is_refused():
    with pytest.raises(ServerError, match="takes an address such as"):
        Client("ftp://example.org")
