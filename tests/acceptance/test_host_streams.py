"""Runs over HTTP: headers, frames, waits, reconnecting and leaving."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import lgnb.testing

pytestmark = pytest.mark.timeout(120)

_TESTING_GRAPHS = Path(lgnb.testing.__file__).with_name("langgraph.json")
_HELLO = {"messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
async def http(lgnb_server: Any) -> AsyncIterator[httpx.AsyncClient]:
    """The built-in graphs, without an SDK between."""
    async with httpx.AsyncClient(
        base_url=lgnb_server.url, headers={"x-api-key": lgnb_server.api_key}, timeout=60
    ) as client:
        yield client


@pytest.fixture
async def testing_http(testing_server: Any) -> AsyncIterator[httpx.AsyncClient]:
    """The testing graphs, without an SDK between."""
    async with httpx.AsyncClient(
        base_url=testing_server.url, headers={"x-api-key": testing_server.api_key}, timeout=60
    ) as client:
        yield client


async def new_thread(http: httpx.AsyncClient) -> str:
    return (await http.post("/threads", json={})).json()["thread_id"]


def frames(body: bytes) -> list[dict[str, str]]:
    """The events of a stream; comments are left out."""
    found: list[dict[str, str]] = []
    for block in body.split(b"\r\n\r\n"):
        fields = [line.split(b": ", 1) for line in block.split(b"\r\n") if line and not line.startswith(b":")]
        if fields:
            found.append({name.decode(): value.decode() for name, value in fields})
    return found


async def status_of(http: httpx.AsyncClient, thread: str, run: str) -> str:
    return (await http.get(f"/threads/{thread}/runs/{run}")).json()["status"]


async def until_status(http: httpx.AsyncClient, thread: str, run: str, status: str) -> None:
    async with asyncio.timeout(20):
        while await status_of(http, thread, run) != status:  # the server has no event for it
            await asyncio.sleep(0.05)


async def test_a_stream_begins_with_metadata_and_says_where_to_reconnect(http: httpx.AsyncClient) -> None:
    """Locations are relative to the API's root, since SDKs join them to their own base URL."""
    thread = await new_thread(http)

    answer = await http.post(f"/threads/{thread}/runs/stream", json={"assistant_id": "agent", "input": _HELLO})

    events = frames(answer.content)
    run = json.loads(events[0]["data"])["run_id"]
    assert events[0]["event"] == "metadata"
    assert {event["event"] for event in events[1:]} == {"values"}
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["content-location"] == f"/threads/{thread}/runs/{run}"
    assert answer.headers["location"] == f"/threads/{thread}/runs/{run}/stream"
    assert await status_of(http, thread, run) == "success"


async def test_a_stateless_stream_names_its_run_alone_but_reconnects_by_its_thread(http: httpx.AsyncClient) -> None:
    """A run without a thread of the client's gets one that lives as long as the run."""
    answer = await http.post("/runs/stream", json={"assistant_id": "agent", "input": _HELLO})

    run = json.loads(frames(answer.content)[0]["data"])["run_id"]
    assert answer.headers["content-location"] == f"/runs/{run}"
    assert answer.headers["location"].endswith(f"/runs/{run}/stream")
    assert answer.headers["location"].startswith("/threads/")


async def test_a_resumable_stream_continues_behind_any_event_without_loss_or_repeat(http: httpx.AsyncClient) -> None:
    """Whatever the event a client saw last, the rest is what it had not seen."""
    thread = await new_thread(http)
    body = {"assistant_id": "agent", "input": _HELLO, "stream_mode": ["values", "updates"], "stream_resumable": True}
    whole = await http.post(f"/threads/{thread}/runs/stream", json=body)
    events = frames(whole.content)
    again = whole.headers["location"]

    assert all("id" in event for event in events)
    for seen, event in enumerate(events, start=1):
        rest = await http.get(again, headers={"Last-Event-ID": event["id"]})
        assert frames(rest.content) == events[seen:]
    assert frames((await http.get(again, headers={"Last-Event-ID": "-1"})).content) == events
    assert frames((await http.get(again)).content) == []
    only = await http.get(again, params={"stream_mode": "updates"}, headers={"Last-Event-ID": "-1"})
    assert {event["event"] for event in frames(only.content)} == {"updates"}
    assert (await http.get(again, headers={"Last-Event-ID": "nonsense"})).status_code == 422


async def test_a_wait_answers_the_final_state_and_says_where_to_join(http: httpx.AsyncClient) -> None:
    """The same body comes again for whoever joins later."""
    thread = await new_thread(http)

    answer = await http.post(f"/threads/{thread}/runs/wait", json={"assistant_id": "agent", "input": _HELLO})

    assert answer.json()["messages"][0]["content"] == "Hello"
    assert answer.headers["location"] == answer.headers["content-location"] + "/join"
    assert (await http.get(answer.headers["location"])).json() == answer.json()
    assert (await http.head(answer.headers["location"])).status_code == 200


async def test_a_created_run_says_where_it_is(http: httpx.AsyncClient) -> None:
    """With its thread where the client chose one, without where it did not."""
    thread = await new_thread(http)
    body = {"assistant_id": "agent", "input": _HELLO}

    of_thread = await http.post(f"/threads/{thread}/runs", json=body)
    alone = await http.post("/runs", json=body)
    batch = await http.post("/runs/batch", json=[body, body])

    assert of_thread.json()["status"] == "pending"
    assert of_thread.headers["content-location"] == f"/threads/{thread}/runs/{of_thread.json()['run_id']}"
    assert alone.headers["content-location"] == f"/runs/{alone.json()['run_id']}"
    assert len(batch.json()) == 2
    await until_status(http, thread, of_thread.json()["run_id"], "success")


async def test_a_silent_run_is_kept_alive_by_heartbeats(make_server: Any) -> None:
    """Proxies and clients must not take silence for the end."""
    server = make_server(environment={"LGNB_HEARTBEAT_SECONDS": "0.2"}, graphs=_TESTING_GRAPHS)
    async with httpx.AsyncClient(base_url=server.url, headers={"x-api-key": server.api_key}, timeout=60) as http:
        body = {"assistant_id": "echo", "input": {"text": "x"}, "context": {"delay": 1.0}}
        streamed = await http.post("/runs/stream", json=body)
        waited = await http.post("/runs/wait", json=body)

    assert streamed.content.count(b": heartbeat\r\n\r\n") >= 2
    assert waited.content.startswith(b"\n\n")
    assert isinstance(waited.json(), dict)
    server.stop()


@pytest.mark.parametrize("kind", ["stream", "wait"])
async def test_a_client_that_leaves_cancels_the_run_if_it_said_so(testing_http: httpx.AsyncClient, kind: str) -> None:
    """`on_disconnect: cancel` ends the run within a second or so; by default it goes on."""
    ends = {"cancel": "interrupted", "continue": "success"}
    for choice, status in ends.items():
        thread = await new_thread(testing_http)
        body = {
            "assistant_id": "echo",
            "input": {"text": "x"},
            "context": {"delay": 30 if choice == "cancel" else 1},
            "on_disconnect": choice,
        }
        async with testing_http.stream("POST", f"/threads/{thread}/runs/{kind}", json=body) as answer:
            run = answer.headers["content-location"].rpartition("/")[2]
            await until_status(testing_http, thread, run, "running")
        await until_status(testing_http, thread, run, status)


async def test_cancelling_answers_at_once_or_when_the_run_has_ended(testing_http: httpx.AsyncClient) -> None:
    """202 without wait; with it an empty object after the end."""
    for query, status, body in (({}, 202, b""), ({"wait": "1"}, 200, b"{}")):
        thread = await new_thread(testing_http)
        sent = {"assistant_id": "echo", "input": {"text": "x"}, "context": {"delay": 30}}
        run = (await testing_http.post(f"/threads/{thread}/runs", json=sent)).json()["run_id"]
        await until_status(testing_http, thread, run, "running")

        answer = await testing_http.post(f"/threads/{thread}/runs/{run}/cancel", params=query)

        assert (answer.status_code, answer.content.strip()) == (status, body)
        if query:
            assert await status_of(testing_http, thread, run) == "interrupted"
            assert answer.headers["location"] == f"/threads/{thread}/runs/{run}/join"
        await until_status(testing_http, thread, run, "interrupted")
        gone = await testing_http.post(f"/threads/{thread}/runs/{run}/cancel")
        assert gone.status_code == 404


async def test_a_stop_of_the_server_ends_open_streams_at_once(make_server: Any) -> None:
    """Nobody who listens keeps a server from stopping."""
    server = make_server(graphs=_TESTING_GRAPHS, environment={"LGNB_DRAIN_SECONDS": "1"})
    async with httpx.AsyncClient(base_url=server.url, headers={"x-api-key": server.api_key}, timeout=60) as http:
        body = {"assistant_id": "echo", "input": {"text": "x"}, "context": {"delay": 60}}
        async with http.stream("POST", "/runs/stream", json=body) as answer:
            chunks = answer.aiter_bytes()
            assert b"metadata" in await anext(chunks)

            code = await asyncio.to_thread(server.stop)

            with contextlib.suppress(httpx.RemoteProtocolError):
                async for _ in chunks:
                    pass
    assert code == 0
