"""What happens at each limit: the status, the sentence, Retry-After, and that nothing was begun for nobody."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import httpx
import pytest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from lgnb.graphs.descriptor_views import GraphDescriptor
from lgnb.queue.events import EventLog
from lgnb.resources import Resources

GRAPH = "sums"
_LIMITS = {
    "max_streams": 3,
    "max_streams_per_user": 2,
    "max_runs_per_user": 4,
    "max_batch": 5,
    "max_body_bytes": 2048,
    "max_event_bytes": 1024,
    "min_cron_seconds": 60,
    "api_keys": "ada-key,bob-key",
}
_ADA, _BOB = {"x-api-key": "ada-key"}, {"x-api-key": "bob-key"}


@pytest.fixture
def lgnb_config(lgnb_config: dict[str, Any]) -> dict[str, Any]:
    return {**lgnb_config, **_LIMITS}


@pytest.fixture
async def resources(jupyter: Any) -> Resources:
    resources: Resources = jupyter.extension.host.resources
    await resources.assistants.register(GraphDescriptor(graph_id=GRAPH, name=GRAPH))
    return resources


async def _open_streams(jupyter: Any, stack: AsyncExitStack, headers: dict[str, str], *, number: int) -> None:
    for _ in range(number):
        thread = (await jupyter.anonymous.post("/threads", json={}, headers=headers)).json()["thread_id"]
        request = jupyter.anonymous.stream("GET", f"/threads/{thread}/stream", headers=headers)
        assert (await stack.enter_async_context(request)).status_code == 200


def _is_refused(answer: httpx.Response, words: str) -> bool:
    return answer.status_code == 429 and words in answer.json()["detail"] and int(answer.headers["retry-after"]) >= 1


async def test_streams_of_one_user_are_refused_beyond_the_limit_before_a_run_is_begun(
    jupyter: Any, resources: Resources
) -> None:
    run = {"assistant_id": GRAPH, "input": {}}
    async with AsyncExitStack() as stack:
        await _open_streams(jupyter, stack, _ADA, number=2)

        stream = await jupyter.anonymous.post("/runs/stream", json=run, headers=_ADA)
        wait = await jupyter.anonymous.post("/runs/wait", json=run, headers=_ADA)
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": GRAPH, "arguments": {}}}
        tool = await jupyter.anonymous.post("/mcp", json=call, headers=_ADA)
        begun = (await jupyter.anonymous.get("/metrics?format=json")).json()["queue"]["n_pending"]
        await _open_streams(jupyter, stack, _BOB, number=1)

    assert all(_is_refused(answer, "You have 2 streams open") for answer in (stream, wait, tool))
    assert begun == 0


async def test_a_host_refuses_streams_beyond_its_own_limit_whoever_asks(jupyter: Any, resources: Resources) -> None:
    async with AsyncExitStack() as stack:
        await _open_streams(jupyter, stack, _ADA, number=2)
        await _open_streams(jupyter, stack, _BOB, number=1)

        answer = await jupyter.api.post("/runs/wait", json={"assistant_id": GRAPH})

    assert _is_refused(answer, "This server has 3 streams open")


async def test_a_stream_that_has_ended_makes_room_for_another(jupyter: Any, resources: Resources) -> None:
    for _ in range(3):
        async with AsyncExitStack() as stack:
            await _open_streams(jupyter, stack, _ADA, number=2)
        async with asyncio.timeout(10):
            while len(jupyter.extension.host.streams):
                await asyncio.sleep(0.01)


async def test_a_socket_counts_as_a_stream(jupyter: Any, resources: Resources) -> None:
    from tornado.httpclient import HTTPClientError, HTTPRequest

    thread = (await jupyter.api.post("/threads", json={})).json()["thread_id"]
    address = f"{jupyter.url.replace('http', 'ws', 1)}/threads/{thread}/stream/events"

    async def connect() -> WebSocketClientConnection:
        return await websocket_connect(HTTPRequest(address, headers=_ADA))

    sockets = [await connect() for _ in range(2)]
    with pytest.raises(HTTPClientError) as refused:
        await connect()
    for socket in sockets:
        socket.close()

    assert refused.value.code == 429


async def test_runs_of_one_user_are_refused_beyond_the_limit_and_leave_nothing(
    jupyter: Any, resources: Resources
) -> None:
    thread = (await jupyter.api.post("/threads", json={})).json()["thread_id"]
    run = {"assistant_id": GRAPH, "input": {}}

    async def create(path: str, body: Any, headers: dict[str, str]) -> httpx.Response:
        return await jupyter.anonymous.post(path, json=body, headers=headers)

    answers = await asyncio.gather(*(create("/runs", run, _ADA) for _ in range(7)))
    on_thread = await create(f"/threads/{thread}/runs", run, _ADA)
    command = {"id": 1, "method": "run.start", "params": {"assistant_id": GRAPH, "input": {}}}
    by_protocol = await create(f"/threads/{thread}/commands", command, _ADA)
    batch = await create("/runs/batch", [run] * 5, _BOB)
    of_bob = await create("/runs", run, _BOB)

    assert sorted(answer.status_code for answer in answers) == [200] * 4 + [429] * 3
    assert _is_refused(on_thread, "You have 4 runs in flight")
    assert by_protocol.json()["message"].startswith("429: You have 4 runs")
    assert batch.status_code == 429
    assert of_bob.status_code == 200
    counts = (await jupyter.anonymous.get("/metrics?format=json")).json()["queue"]
    assert counts["n_pending"] == 5
    assert (await jupyter.api.get(f"/threads/{thread}")).json()["status"] == "idle"


async def test_a_run_that_makes_way_counts_no_more(jupyter: Any, resources: Resources) -> None:
    thread = (await jupyter.api.post("/threads", json={})).json()["thread_id"]
    run = {"assistant_id": GRAPH, "input": {}, "multitask_strategy": "interrupt"}

    answers = [await jupyter.anonymous.post(f"/threads/{thread}/runs", json=run, headers=_ADA) for _ in range(8)]

    assert [answer.status_code for answer in answers] == [200] * 8


async def test_what_one_request_may_bring_is_bounded(jupyter: Any, resources: Resources) -> None:
    batch = await jupyter.api.post("/runs/batch", json=[{"assistant_id": GRAPH}] * 6)
    steps = [{"updates": [{"values": {}, "as_node": "a"}]}] * 6
    supersteps = await jupyter.api.post("/threads", json={"metadata": {"graph_id": GRAPH}, "supersteps": steps})
    body = await jupyter.api.post("/threads", json={"metadata": {"text": "x" * 3000}})
    page = await jupyter.api.post("/threads/search", json={"limit": 1001})
    history = await jupyter.api.get(f"/threads/{UUID(int=1)}/history?limit=1001")

    assert (batch.status_code, supersteps.status_code, body.status_code) == (422, 422, 413)
    assert (page.status_code, history.status_code) == (422, 422)
    assert "5 runs, but this one has 6" in batch.json()["detail"]
    assert "5 supersteps" in supersteps.json()["detail"]
    assert "2048 bytes" in body.json()["detail"]
    assert (await jupyter.api.post("/threads/count", json={})).json() == 0


async def test_a_cron_that_comes_too_often_is_refused_when_it_is_made_and_when_it_is_changed(
    jupyter: Any, resources: Resources
) -> None:
    often = await jupyter.api.post("/runs/crons", json={"assistant_id": GRAPH, "schedule": "* * * * * */20"})
    cron = await jupyter.api.post("/runs/crons", json={"assistant_id": GRAPH, "schedule": "* * * * *"})
    cron_id = cron.json()["cron_id"]
    changed = await jupyter.api.patch(f"/runs/crons/{cron_id}", json={"schedule": "0 * * * * 0,59"})

    assert (often.status_code, cron.status_code, changed.status_code) == (422, 200, 422)
    assert "every 60 seconds at most" in often.json()["detail"]


async def test_an_event_that_is_too_large_is_told_as_a_gap_and_the_stream_goes_on(
    jupyter: Any, resources: Resources
) -> None:
    events: EventLog = resources.events
    created = (await jupyter.api.post("/runs", json={"assistant_id": GRAPH, "stream_resumable": True})).json()
    run_id, thread_id = UUID(created["run_id"]), UUID(created["thread_id"])
    told = [(1, "metadata", b"{}"), (2, "values", b'"' + b"x" * 5000 + b'"'), (3, "values", b"{}")]
    await events.append(run_id, thread_id=thread_id, attempt=1, events=told)
    await events.append_end(run_id, thread_id=thread_id, attempt=1, number=4, status="success")

    stream = await jupyter.api.get(
        f"/threads/{thread_id}/runs/{run_id}/stream", headers={"Last-Event-ID": "-1"}, params={"stream_mode": "values"}
    )

    names = [line.removeprefix("event: ") for line in stream.text.splitlines() if line.startswith("event: ")]
    (reason,) = [line for line in stream.text.splitlines() if "max_event_bytes" in line]
    assert names == ["gap", "values"]
    assert "'values' of 5002 bytes" in json.loads(reason.removeprefix("data: "))["reason"]


class TestQueueLength:
    """A limit for all users together."""

    @pytest.fixture
    def lgnb_config(self, lgnb_config: dict[str, Any]) -> dict[str, Any]:
        return {**lgnb_config, "max_queued_runs": 3, "max_runs_per_user": 0}

    async def test_no_run_is_accepted_while_the_queue_is_full(self, jupyter: Any, resources: Resources) -> None:
        run = {"assistant_id": GRAPH, "input": {}}
        accepted = [await jupyter.anonymous.post("/runs", json=run, headers=who) for who in (_ADA, _BOB, _ADA)]
        refused = await jupyter.api.post("/runs", json=run)
        first = accepted[0].json()
        await jupyter.api.post(f"/threads/{first['thread_id']}/runs/{first['run_id']}/cancel")
        again = await jupyter.api.post("/runs", json=run)

        assert [answer.status_code for answer in accepted] == [200] * 3
        assert _is_refused(refused, "3 runs are waiting already")
        assert again.status_code == 200
