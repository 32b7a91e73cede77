# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine server against a small server on the loopback: streams, retries, refusals, and no other address."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from comfyui_spacetime.language.expand import EngineError, Request, expand
from comfyui_spacetime.language.rules import Rules
from comfyui_spacetime.language.server import FILE, Server, ServerEngine, find_server
from comfyui_spacetime.language.styles import style_named

TEXT = "A red car drives to the left through a quiet street."
KEY = "sk-very-secret"


class Talker(ThreadingHTTPServer):
    """Answers requests with the given answers, one after the other; the last one stays."""

    daemon_threads = True

    def __init__(self, *answers: Any) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers, self.asked = list(answers), []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: Talker

    def log_message(self, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, dict(self.headers), body))
        answer = self.server.answers.pop(0) if len(self.server.answers) > 1 else self.server.answers[0]
        try:
            answer(self)
        except OSError:
            return  # the engine has hung up

    do_GET = do_POST


def stream(text: str = TEXT, pause: float = 0.0) -> Any:
    def answer(handler: _Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream; charset=utf-8")
        handler.end_headers()
        for word in text.split(" "):
            event = {"choices": [{"delta": {"content": word + " "}}]}
            handler.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
            handler.wfile.flush()
            time.sleep(pause)
        handler.wfile.write(b"data: [DONE]\n\n")

    return answer


def plain(status: int, content: Any, kind: str = "application/json", **headers: str) -> Any:
    def answer(handler: _Handler) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        handler.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def silent(handler: _Handler) -> None:
    time.sleep(3)


@pytest.fixture(name="serve")
def make_serve() -> Iterator[Any]:
    """Starts a server with answers and ends it after the test."""
    started: list[Talker] = []

    def serve(*answers: Any) -> Talker:
        server = Talker(*answers)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        started.append(server)
        return server

    yield serve
    for server in started:
        server.shutdown()
        server.server_close()


def ask(server: Talker, progress: Any = lambda text: None, timeout: float = 5.0, images: tuple[bytes, ...] = ()) -> str:
    engine = ServerEngine(Server(server.url, "small", KEY, timeout), wait=0.01)
    return engine.write(Request("a red car drives left", style_named("wan"), seed=7, images=images), progress)


def test_a_streamed_answer_comes_word_by_word(serve):
    server, heard = serve(stream()), []
    assert ask(server, heard.append) == TEXT
    assert len([text for text in heard if text]) >= len(TEXT.split())
    path, headers, body = server.asked[0]
    assert path == "/v1/chat/completions" and headers["Authorization"] == f"Bearer {KEY}"
    assert body["model"] == "small" and body["seed"] == 7 and body["stream"] is True
    assert body["messages"][-1]["content"] == "<prompt>a red car drives left</prompt>"


def test_an_answer_in_one_piece_is_read_too(serve):
    assert ask(serve(plain(200, {"choices": [{"message": {"content": TEXT}}]}))) == TEXT


def test_pictures_are_sent_along(serve):
    server = serve(stream())
    ask(server, images=(b"abc",))
    kinds = [part["type"] for part in server.asked[0][2]["messages"][-1]["content"]]
    assert kinds == ["text", "image_url"]
    assert server.asked[0][2]["messages"][-1]["content"][1]["image_url"]["url"] == "data:image/jpeg;base64,YWJj"


def test_a_busy_server_is_asked_again(serve):
    server = serve(plain(503, {"error": {"message": "loading"}}), plain(429, {}), stream())
    assert ask(server) == TEXT and len(server.asked) == 3


def test_after_three_tries_it_gives_up_and_says_why(serve):
    server = serve(plain(503, {"error": {"message": "model is loading"}}))
    with pytest.raises(EngineError, match=r"answered 503: model is loading\. It was tried 3 times"):
        ask(server)
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (plain(401, {"error": {"message": f"bad key {KEY}"}}), "answered 401: bad key .... Check the key"),
        (plain(404, {"error": "model not found"}), "Check that the address ends in /v1 and that it"),
        (plain(200, b"<html>hello</html>", "text/html"), "not of the chat completions interface"),
        (plain(200, {"choices": []}), "not of the chat completions interface"),
    ],
)
def test_a_refusal_is_one_sentence_without_the_key(serve, answer, sentence):
    server = serve(answer)
    with pytest.raises(EngineError) as error:
        ask(server)
    assert sentence in str(error.value) and KEY not in str(error.value) and len(server.asked) == 1


def test_a_redirect_is_not_followed(serve):
    elsewhere = serve(stream())
    server = serve(plain(307, b"", "text/plain", Location=f"{elsewhere.url}/chat/completions"))
    with pytest.raises(EngineError, match="points to another address, which is not followed"):
        ask(server)
    assert elsewhere.asked == []


def test_a_proxy_of_the_environment_is_not_spoken_to(serve, monkeypatch):
    proxy, server = serve(stream("no")), serve(stream())
    monkeypatch.setenv("http_proxy", proxy.url)
    assert ask(server) == TEXT and proxy.asked == []


def test_a_server_that_says_nothing_is_given_up(serve):
    with pytest.raises(EngineError, match=r"gave no word for 0\.2 seconds"):
        ask(serve(silent), timeout=0.2)


def test_a_server_that_is_not_there_is_named():
    engine = ServerEngine(Server("http://127.0.0.1:9/v1", "small"), wait=0.01)
    with pytest.raises(EngineError, match=r":9/v1 cannot be reached"):
        engine.write(Request("a dog", style_named("wan")), lambda text: None)


def test_a_cancel_is_heard_while_the_server_is_silent(serve):
    class Cancelled(Exception):
        pass

    def progress(text: str) -> None:
        raise Cancelled

    server = serve(silent)
    with pytest.raises(Cancelled):
        ask(server, progress)
    assert len(server.asked) <= 1


def test_an_answer_about_something_else_makes_the_rules_take_over(serve):
    engine = ServerEngine(Server(serve(stream("Ode to cheese.")).url, "small"), wait=0.01)
    made = expand(Request("a red car drives left", style_named("wan")), [engine, Rules()])
    assert made.engine == "rules" and made.notes[0].startswith("refused: the text of server lost")


# where the server is configured


def test_the_environment_goes_before_the_file(tmp_path):
    (tmp_path / FILE).write_text('url = "http://127.0.0.1:1/v1"\nmodel = "a"\nkey = "k"\ntimeout = 9\n')
    assert find_server(tmp_path, {}) == Server("http://127.0.0.1:1/v1", "a", "k", 9.0)
    environ = {"SPACETIME_LLM_URL": "https://example.org/v1/", "SPACETIME_LLM_MODEL": "b"}
    found = find_server(tmp_path, environ)
    assert found == Server("https://example.org/v1/", "b") and found.path == "/v1/chat/completions"


def test_the_key_is_never_shown():
    assert KEY not in repr(Server("http://127.0.0.1/v1", "a", KEY))


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({}, "No language model server is configured: set SPACETIME_LLM_URL"),
        ({"SPACETIME_LLM_URL": "http://127.0.0.1/v1"}, "needs the name of a model"),
        ({"SPACETIME_LLM_URL": "file:///etc/passwd", "SPACETIME_LLM_MODEL": "a"}, "is none: write one such as"),
        ({"SPACETIME_LLM_URL": "http://h", "SPACETIME_LLM_MODEL": "a", "SPACETIME_LLM_TIMEOUT": "x"}, "is no number"),
    ],
)
def test_what_is_missing_is_said(tmp_path, environ, sentence):
    with pytest.raises(EngineError, match=sentence):
        find_server(tmp_path, environ)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / FILE).write_text("url = ")
    with pytest.raises(EngineError, match=FILE):
        find_server(tmp_path, {})
