"""Errors of the SDK told in our words."""

from __future__ import annotations

import socket
import time

import httpx
import pytest
from langgraph_sdk import errors as sdk

from lgnb.client.connection import Connection, explained
from lgnb.client.discovery import Server
from lgnb.client.runner import Runner
from lgnb.client.session import Session
from lgnb.errors import Conflict, ConnectError, InvalidRequest, LgnbError, NotFound, NotReady

_SERVER = Server(url="http://h/lgnb", api_key="secret", found_by="a test")


def _refused(status: int, body: object = None) -> httpx.HTTPStatusError:
    body = {"detail": "what happened"} if body is None else body
    response = httpx.Response(status, json=body, request=httpx.Request("GET", "http://h/lgnb/x"))
    return sdk.APIStatusError("raw", response=response, body=body)


@pytest.mark.parametrize(
    ("status", "expected"),
    [(401, ConnectError), (403, ConnectError), (404, NotFound), (409, Conflict), (400, InvalidRequest),
     (422, InvalidRequest), (429, NotReady), (503, NotReady), (500, LgnbError)],
)  # fmt: skip
def test_each_status_becomes_the_error_that_says_it(status: int, expected: type[LgnbError]) -> None:
    error = explained(_refused(status), _SERVER)

    assert type(error) is expected
    assert "secret" not in str(error)
    if expected is not ConnectError:
        assert "what happened" in str(error)


def test_a_refused_key_says_where_to_put_the_right_one() -> None:
    assert "LGNB_API_KEY" in str(explained(_refused(401), _SERVER))


def test_a_status_error_of_the_transport_is_read_too() -> None:
    response = httpx.Response(404, json={"detail": "gone"}, request=httpx.Request("GET", "http://h"))

    assert str(explained(httpx.HTTPStatusError("x", request=response.request, response=response), _SERVER)) == "gone"


def test_a_server_that_is_not_there_is_told_at_once() -> None:
    session = Session()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        before = time.monotonic()

        with pytest.raises(ConnectError, match="does not answer"):
            session.connect(url=f"http://127.0.0.1:{taken.getsockname()[1]}")

    assert time.monotonic() - before < 3
    assert not session.is_connected


def test_the_key_of_another_service_is_never_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGSMITH_API_KEY", "foreign")
    runner = Runner()

    connection = Connection(Server(url="http://h", found_by="a test"), runner)

    assert "x-api-key" not in connection.sdk.http.client.headers
    connection.close()
    runner.stop()
