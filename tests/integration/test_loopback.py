"""The SDK's client without a URL, against a server of a few lines that says what it was asked."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from uuid import UUID

import httpx
import langgraph_sdk._async.client as sdk_client
import pytest
from langgraph_sdk import get_client

from lgnb.errors import ConnectError
from lgnb.json_encoding import describe_error
from lgnb.loopback import Api, Loopback, install

_RUN = UUID("01980000-0000-7000-8000-000000000000")


async def _tell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with the request line and headers as JSON, and end after one request."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
    body = json.dumps({"line": lines[0], "headers": headers}).encode()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
    writer.write(b"Content-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(body), body))
    await writer.drain()
    writer.close()


@pytest.fixture
async def api_url() -> AsyncIterator[str]:
    async with await asyncio.start_server(_tell, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/base/lgnb"


@pytest.fixture
def restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `install` changes in this process is undone after the test."""
    monkeypatch.setattr(sdk_client, "get_asgi_transport", sdk_client.get_asgi_transport)
    monkeypatch.setenv("__LANGGRAPH_DEFER_LOOPBACK_TRANSPORT", "")


@pytest.mark.usefixtures("restored")
async def test_a_client_without_a_url_calls_the_api_for_its_run(api_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGSMITH_API_KEY", "of another service")
    install(Api(api_url, "key of workers"), calling_run=lambda: _RUN)

    async with get_client(headers={"x-lgnb-run": "made up"}) as client:
        asked = await client.http.get("/threads/a%2Fb", params={"limit": 3})

    assert asked["line"] == "GET /base/lgnb/threads/a%2Fb?limit=3 HTTP/1.1"
    assert asked["headers"]["x-api-key"] == "key of workers"
    assert asked["headers"]["x-lgnb-run"] == str(_RUN)
    assert api_url.split("/")[2] == asked["headers"]["host"]


@pytest.mark.usefixtures("restored")
async def test_clients_do_not_pile_up_in_the_sdk(api_url: str) -> None:
    install(Api(api_url), calling_run=lambda: None)

    for _ in range(20):
        get_client()

    assert len(sdk_client._registered_transports) <= 1


@pytest.mark.usefixtures("restored")
async def test_where_nobody_knows_the_api_the_graph_is_told_what_to_set() -> None:
    install(None, calling_run=lambda: None)
    client = get_client()

    with pytest.raises(ConnectError, match="LGNB_API_URL") as refused:
        await client.threads.create()

    assert "LGNB_WORKER_KEY" in describe_error(refused.value)["message"]


async def test_an_api_that_is_away_is_named() -> None:
    with contextlib.closing(await asyncio.start_server(_tell, "127.0.0.1", 0)) as server:
        port = server.sockets[0].getsockname()[1]
    transport = Loopback(Api(f"http://127.0.0.1:{port}/lgnb"), calling_run=lambda: None)

    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        with pytest.raises(httpx.ConnectError, match=f"127.0.0.1:{port}/lgnb does not answer"):
            await client.get("/ok")


async def test_one_client_serves_several_event_loops(api_url: str) -> None:
    transport = Loopback(Api(api_url), calling_run=lambda: None)
    client = httpx.AsyncClient(transport=transport, base_url="http://api")

    async def ask() -> int:
        return (await client.get("/ok")).status_code

    elsewhere = [asyncio.to_thread(asyncio.run, ask()) for _ in range(3)]
    assert await asyncio.gather(ask(), *elsewhere, ask()) == [200] * 5
