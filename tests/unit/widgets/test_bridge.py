"""The kernel as the way to the server: only addresses of the server, whatever a message says."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from lgnb.client.connection import Connection
from lgnb.client.discovery import Server
from lgnb.client.runner import Runner
from lgnb.widgets import assets
from lgnb.widgets.bridge import Bridge


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.startswith("/lgnb/stream"):
            body = b"".join(b"event: custom\r\ndata: %d\r\nid: %d-0\r\n\r\n" % (n, n) for n in range(300))
            self._answer(200, "text/event-stream", body)
        elif self.path.startswith("/lgnb/broken"):
            self._answer(200, "text/event-stream", b"event: custom\r\ndata: 1\r\n\r\n", length=1000)
        else:
            self._answer(200, "application/json", json.dumps([self.path, self.headers.get("x-api-key")]).encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(422, "application/json", b'{"detail": ' + body + b"}")

    def _answer(self, status: int, kind: str, body: bytes, *, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length or len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Asked:
    """A bridge, and what it has sent."""

    def __init__(self, connection: Connection) -> None:
        self.sent: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self.bridge = Bridge(connection, self._take)

    def _take(self, message: dict[str, Any]) -> None:
        with self._changed:
            self.sent.append(message)
            self._changed.notify_all()

    def until(self, kind: str) -> dict[str, Any]:
        """The first message of this kind."""
        with self._changed:
            found = self._changed.wait_for(lambda: [one for one in self.sent if one["lgnb"] == kind], timeout=20)
        assert found, f"no {kind} among {self.sent}"
        return found[0]


@pytest.fixture
def asked() -> Iterator[Asked]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    runner = Runner()
    url = f"http://127.0.0.1:{server.server_port}/lgnb"
    connection = Connection(Server(url=url, api_key="key", found_by="the test"), runner)
    yield Asked(connection)
    connection.close()
    runner.stop()
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_request_is_asked_with_the_kernels_key_and_answered_with_its_id(asked: Asked) -> None:
    asked.bridge.take({"lgnb": "request", "id": "7", "method": "GET", "path": "/threads/x?limit=1"})
    answer = asked.until("answer")

    assert (answer["id"], answer["status"]) == ("7", 200)
    assert json.loads(answer["text"]) == ["/lgnb/threads/x?limit=1", "key"]


def test_a_refusal_of_the_server_is_passed_on_as_it_is(asked: Asked) -> None:
    asked.bridge.take({"lgnb": "request", "id": "1", "method": "POST", "path": "/threads", "body": "no"})
    answer = asked.until("answer")

    assert (answer["status"], json.loads(answer["text"])) == (422, {"detail": "no"})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "//other.example/x"),
        ("GET", "http://other.example/x"),
        ("GET", "/../api/contents"),
        ("GET", "/a/../../api"),
        ("GET", "/a\\b"),
        ("GET", "threads"),
        ("CONNECT", "/ok"),
    ],
)
def test_addresses_outside_of_the_api_are_refused(asked: Asked, method: str, path: str) -> None:
    asked.bridge.take({"lgnb": "request", "id": "1", "method": method, "path": path})

    assert asked.until("answer")["status"] == 400


def test_a_stream_comes_in_few_numbered_batches_and_says_its_end(asked: Asked) -> None:
    asked.bridge.take({"lgnb": "stream", "id": "1", "method": "GET", "path": "/stream"})
    end = asked.until("end")
    batches = [one for one in asked.sent if one["lgnb"] == "events"]

    assert end["status"] == 200
    assert [event["data"] for batch in batches for event in batch["events"]] == list(range(300))
    assert [batch["number"] for batch in batches] == list(range(len(batches)))
    assert len(batches) < 20
    assert asked.sent[-1] is end


def test_a_stream_that_breaks_says_so_and_the_reader_may_come_again(asked: Asked) -> None:
    asked.bridge.take({"lgnb": "stream", "id": "1", "method": "GET", "path": "/broken"})
    end = asked.until("end")

    assert end["status"] == 502
    assert "does not answer" in json.loads(end["text"])["detail"]


def test_the_files_of_the_views_are_sent_on_request(asked: Asked) -> None:
    asked.bridge.take({"lgnb": "files"})

    assert asked.until("files")["files"] == assets.files()


def test_messages_of_others_are_left_alone(asked: Asked) -> None:
    for message in ({}, {"lgnb": "request"}, {"event": "click"}, "text", None):
        asked.bridge.take(message)

    assert asked.sent == []
