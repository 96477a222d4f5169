"""The thread protocol of a host without a worker: bad input, filters, replay, gaps, and who gets in by WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import httpx
import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from lgnb.models.protocol import ProtocolEvent, root_lifecycle

_TOKEN = "the-token-of-this-test"


def event(method: str, *namespace: str, data: Any = None, name: str = "") -> ProtocolEvent:
    params = {"namespace": namespace, "timestamp": 1, "data": data}
    return ProtocolEvent(method=method, namespace=namespace, params=orjson.dumps(params), name=name)


async def log(jupyter: Any, thread: UUID, *events: ProtocolEvent, run: UUID | None = None, ended: bool = False) -> None:
    thread_log = jupyter.extension.host.resources.thread_log
    assert await thread_log.append(thread, run_id=run or uuid4(), attempt=1, events=events, ended=ended)


@asynccontextmanager
async def followed(jupyter: Any, thread: UUID, **body: Any) -> AsyncGenerator[AsyncIterator[dict[str, Any]]]:
    """The envelopes of an event stream."""
    async with jupyter.api.stream("POST", f"/threads/{thread}/stream/events", json=body) as answer:
        assert answer.status_code == 200, await answer.aread()

        async def envelopes() -> AsyncIterator[dict[str, Any]]:
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    yield json.loads(line[6:])

        yield envelopes()


async def some(events: AsyncIterator[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(10):
        return [await anext(events) for _ in range(count)]


def said(events: list[dict[str, Any]]) -> list[Any]:
    return [one["params"]["data"] for one in events]


async def command(jupyter: Any, thread: object, method: str, **params: Any) -> dict[str, Any]:
    answer = await jupyter.api.post(f"/threads/{thread}/commands", json={"id": 5, "method": method, "params": params})
    assert answer.status_code == 200
    return answer.json()


# Over HTTP


@pytest.mark.parametrize(
    "body",
    [
        b"x",
        b"",
        b"[]",
        b"{}",
        b'{"channels":[]}',
        b'{"channels":["debug"]}',
        b'{"channels":"values"}',
        b'{"channels":[1]}',
    ],
)
async def test_a_stream_without_known_channels_is_refused(jupyter: Any, body: bytes) -> None:
    answer = await jupyter.api.post(f"/threads/{uuid4()}/stream/events", content=body)

    assert (answer.status_code, set(answer.json()) >= {"detail"}) == (400, True)


async def test_malformed_limits_are_ignored(jupyter: Any) -> None:
    thread = uuid4()
    await log(jupyter, thread, event("values", "a:1", data=1))

    async with followed(jupyter, thread, channels=["values"], namespaces="x", depth=-1, since="x") as events:
        assert said(await some(events, 1)) == [1]


async def test_a_stream_of_a_thread_that_does_not_exist_yet_stays_open_and_gets_its_events(jupyter: Any) -> None:
    thread = uuid4()

    async with followed(jupyter, thread, channels=["values"]) as events:
        await log(jupyter, thread, event("values", data="first"))
        [first] = await some(events, 1)

    assert (first["type"], first["method"]) == ("event", "values")
    assert first["params"] == {"namespace": [], "timestamp": 1, "data": "first"}


async def test_the_end_of_a_run_does_not_end_the_stream(jupyter: Any) -> None:
    thread = uuid4()
    async with followed(jupyter, thread, channels=["values"]) as events:
        await log(jupyter, thread, event("values", data=1), ended=True)
        await log(jupyter, thread, event("values", data=2))

        assert said(await some(events, 2)) == [1, 2]


async def test_filters_drop_events_but_not_their_numbers(jupyter: Any) -> None:
    thread = uuid4()
    await log(
        jupyter,
        thread,
        event("values", data="root"),
        event("values", "a:1", data="child"),
        event("custom", data={"name": "x"}, name="x"),
        event("custom", data="bare"),
        event("input.requested", "a:1", "b:2", data="deep"),
    )

    async with followed(jupyter, thread, channels=["values", "custom:x", "input"], namespaces=[["a"], []]) as events:
        everything = await some(events, 4)
    async with followed(jupyter, thread, channels=["values", "input"], namespaces=[["a"]], depth=0) as events:
        [child] = await some(events, 1)

    assert said(everything) == ["root", "child", {"name": "x"}, "deep"]
    assert [one["seq"] - everything[0]["seq"] for one in everything] == [0, 1, 2, 4]
    assert child == everything[1]


async def test_since_continues_without_loss_or_repeat(jupyter: Any) -> None:
    thread = uuid4()
    await log(jupyter, thread, *(event("values", data=number) for number in range(3)))
    async with followed(jupyter, thread, channels=["values"]) as events:
        first = (await some(events, 1))[0]

    async with followed(jupyter, thread, channels=["values"], since=first["seq"]) as events:
        await log(jupyter, thread, event("values", data=3))
        assert said(await some(events, 3)) == [1, 2, 3]


async def test_a_place_that_is_no_longer_kept_is_told_as_a_gap(jupyter: Any) -> None:
    thread = uuid4()
    await log(jupyter, thread, *(event("values", data=number) for number in range(3)))
    resources = jupyter.extension.host.resources
    stored = await resources.thread_log.read(thread, after=0)
    queue = resources.thread_log._redis
    await queue.xtrim(resources.thread_log._keys.thread_protocol(thread), maxlen=1, approximate=False)

    async with followed(jupyter, thread, channels=["values"], since=stored[0].seq) as events:
        gap, kept = await some(events, 2)
    async with followed(jupyter, thread, channels=["values"], since=stored[1].seq) as events:
        [without_gap] = await some(events, 1)

    assert (gap["type"], gap["id"], gap["error"]) == ("error", None, "resume_gap")
    assert (gap["since"], gap["min_available_seq"]) == (stored[0].seq, stored[2].seq)
    assert kept["params"]["data"] == without_gap["params"]["data"] == 2


async def test_a_log_lost_with_redis_is_told_as_a_gap(jupyter: Any) -> None:
    thread = uuid4()
    await log(jupyter, thread, event("values", data=1))
    resources = jupyter.extension.host.resources
    [stored] = await resources.thread_log.read(thread, after=0)
    keys = resources.thread_log._keys
    await resources.thread_log._redis.delete(keys.thread_protocol(thread), keys.thread_protocol_count(thread))

    async with followed(jupyter, thread, channels=["values"], since=stored.seq) as events:
        [gap] = await some(events, 1)
        await asyncio.sleep(0.01)
        await log(jupyter, thread, event("values", data=2))
        assert said(await some(events, 1)) == [2]

    assert (gap["error"], gap["min_available_seq"]) == ("resume_gap", None)


async def test_an_end_that_was_lost_is_made_up_from_postgres(jupyter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lgnb.resources.thread_protocol._TRUST_SECONDS", 0.2)
    thread, run = uuid4(), uuid4()
    await log(jupyter, thread, root_lifecycle(run, "running", graph_id="g", timestamp_ms=1), run=run)

    async with followed(jupyter, thread, channels=["lifecycle"]) as events:
        began, ended = await some(events, 2)

    assert began["params"]["data"] == {"event": "running", "graph_name": "g"}
    # The run is in no table, as after a rollback.
    assert ended["params"]["data"] == {"event": "interrupted"}
    assert ended["event_id"] == f"synth:{run}:lc||interrupted"


@pytest.mark.parametrize(
    ("body", "command_id"),
    [
        (b'{"id":"a","method":"x"}', "a"),
        (b'{"id":1}', 1),
        (b"[]", None),
        (b'{"method":"x"}', None),
        (b'{"id":true}', True),
    ],
)
async def test_what_is_no_command_is_answered_with_the_error_envelope(
    jupyter: Any, body: bytes, command_id: Any
) -> None:
    answer = await jupyter.api.post(f"/threads/{uuid4()}/commands", content=body)

    assert answer.status_code == 400
    assert answer.json() | {"message": ""} == {
        "type": "error",
        "id": command_id,
        "error": "invalid_argument",
        "message": "",
    }


async def test_broken_json_is_no_envelope(jupyter: Any) -> None:
    answer = await jupyter.api.post(f"/threads/{uuid4()}/commands", content=b"{")

    assert (answer.status_code, "detail" in answer.json()) == (400, True)


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("nonsense", {}, "unknown_command"),
        ("state.get", {"namespace": []}, "unknown_command"),
        ("run.start", {}, "invalid_argument"),
        ("run.start", {"assistant_id": "a", "config": 1}, "invalid_argument"),
        ("run.start", {"assistant_id": "a", "config": {"configurable": {"checkpoint_id": "x"}}}, "invalid_argument"),
        ("input.respond", {}, "invalid_argument"),
        ("input.respond", {"responses": [{"response": 1}]}, "invalid_argument"),
        ("input.respond", {"interrupt_id": "x", "response": 1}, "no_such_run"),
        ("subscription.subscribe", {"channels": []}, "invalid_argument"),
        ("subscription.unsubscribe", {"subscription_id": "x"}, "no_such_subscription"),
        ("subscription.reconnect", {"channels": ["values"]}, "no_such_run"),
        ("agent.getTree", {}, "no_such_run"),
    ],
)
async def test_a_command_that_makes_no_sense_is_refused_with_the_protocols_word(
    jupyter: Any, method: str, params: dict[str, Any], code: str
) -> None:
    answer = await command(jupyter, uuid4(), method, **params)

    assert (answer["type"], answer["id"], answer["error"]) == ("error", 5, code)


async def test_what_run_creation_refuses_comes_as_unknown_error_with_its_status(jupyter: Any) -> None:
    answer = await command(jupyter, uuid4(), "run.start", assistant_id="nobody")

    assert (answer["error"], answer["message"][:4]) == ("unknown_error", "422:")


# Over WebSocket


def socket_address(jupyter: Any, thread: object) -> str:
    return f"{jupyter.url.replace('http', 'ws', 1)}/threads/{thread}/stream/events"


@asynccontextmanager
async def socket(jupyter: Any, thread: object) -> AsyncGenerator[ClientConnection]:
    headers = {"x-api-key": jupyter.extension.host.keys.own}
    async with connect(socket_address(jupyter, thread), additional_headers=headers) as connection:
        yield connection


async def tell(connection: ClientConnection, command_id: int, method: str, **params: Any) -> None:
    await connection.send(json.dumps({"id": command_id, "method": method, "params": params}))


async def heard(connection: ClientConnection, count: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(10):
        return [json.loads(await connection.recv()) for _ in range(count)]


async def test_a_socket_replays_then_follows_and_counts_what_it_replayed(jupyter: Any) -> None:
    thread = uuid4()
    await log(jupyter, thread, event("values", data=1), event("updates", data=2))
    async with socket(jupyter, thread) as connection:
        await tell(connection, 1, "subscription.subscribe", channels=["values"])
        replayed, answer = await heard(connection, 2)
        await log(jupyter, thread, event("updates", data=3), event("values", data=4))
        [live] = await heard(connection, 1)

    assert said([replayed, live]) == [1, 4]
    assert (answer["type"], answer["id"], answer["result"]["replayed_events"]) == ("success", 1, 1)
    assert answer["meta"] == {"applied_through_seq": replayed["seq"]}


async def test_an_event_that_two_subscriptions_want_is_sent_once(jupyter: Any) -> None:
    thread = uuid4()
    await log(jupyter, thread, event("values", data=1), event("updates", data=2))
    async with socket(jupyter, thread) as connection:
        await tell(connection, 1, "subscription.subscribe", channels=["values"])
        first, _ = await heard(connection, 2)
        await tell(connection, 2, "subscription.subscribe", channels=["values", "updates"])
        second, answer = await heard(connection, 2)
        await log(jupyter, thread, event("values", data=3), event("updates", data=4))
        live = await heard(connection, 2)

    assert said([first, second, *live]) == [1, 2, 3, 4]
    assert answer["result"]["replayed_events"] == 1


async def test_a_subscription_that_ended_gets_nothing_more(jupyter: Any) -> None:
    thread = uuid4()
    async with socket(jupyter, thread) as connection:
        await tell(connection, 1, "subscription.subscribe", channels=["values"])
        [answer] = await heard(connection, 1)
        await tell(connection, 2, "subscription.unsubscribe", subscription_id=answer["result"]["subscription_id"])
        await tell(connection, 3, "subscription.reconnect", channels=["updates"], since=0)
        answers = await heard(connection, 2)
        await log(jupyter, thread, event("values", data=1), event("updates", data=2))
        [live] = await heard(connection, 1)

    assert [one["type"] for one in answers] == ["success", "success"]
    assert live["params"]["data"] == 2


async def test_the_tree_shows_the_agents_of_the_latest_run(jupyter: Any) -> None:
    thread, run = uuid4(), uuid4()
    async with socket(jupyter, thread) as connection:
        await tell(connection, 1, "subscription.subscribe", channels=["lifecycle"])
        await heard(connection, 1)
        await log(
            jupyter,
            thread,
            root_lifecycle(run, "running", graph_id="g", timestamp_ms=1),
            event("lifecycle", "a:1", data={"event": "started", "graph_name": "a"}),
            run=run,
        )
        await heard(connection, 2)
        await tell(connection, 2, "agent.getTree")
        [answer] = await heard(connection, 1)

    child = {"namespace": ["a:1"], "graph_name": "a", "status": "started"}
    assert answer["result"]["tree"] == {"namespace": [], "graph_name": "g", "status": "running", "children": [child]}


@pytest.mark.parametrize("frame", ["x", "[]", '{"id":1}', b"\xff\x00"])
async def test_a_bad_frame_is_answered_and_the_socket_lives_on(jupyter: Any, frame: str | bytes) -> None:
    async with socket(jupyter, uuid4()) as connection:
        await connection.send(frame)
        [refused] = await heard(connection, 1)
        await tell(connection, 9, "nonsense")
        [answer] = await heard(connection, 1)

    assert (refused["type"], refused["error"]) == ("error", "invalid_argument")
    assert (answer["id"], answer["error"]) == (9, "unknown_command")


async def test_a_program_without_credentials_is_refused_at_the_upgrade(jupyter: Any) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(socket_address(jupyter, uuid4())):
            pass

    assert refused.value.response.status_code == 401


async def test_a_browser_without_credentials_is_told_so_by_a_close_code(jupyter: Any) -> None:
    """A page cannot read the status of a refused upgrade; with this code it knows not to try again."""
    async with connect(
        socket_address(jupyter, uuid4()),
        origin=httpx.URL(jupyter.url).scheme + "://" + httpx.URL(jupyter.url).netloc.decode(),
    ) as connection:
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(connection.recv(), 10)

    assert connection.close_code == 4401


@pytest.mark.parametrize("how", ["x-api-key", "Authorization"])
async def test_jupyters_token_opens_a_socket(jupyter: Any, how: str) -> None:
    headers = {how: _TOKEN if how == "x-api-key" else f"Bearer {_TOKEN}"}
    async with connect(socket_address(jupyter, uuid4()), additional_headers=headers) as connection:
        await tell(connection, 1, "nonsense")
        assert (await heard(connection, 1))[0]["error"] == "unknown_command"


@pytest.mark.parametrize(("foreign", "opens"), [(False, True), (True, False)])
async def test_a_cookie_opens_a_socket_only_for_pages_of_this_server(jupyter: Any, foreign: bool, opens: bool) -> None:
    async with httpx.AsyncClient() as browser:
        await browser.get(f"{jupyter.url.removesuffix('lgnb')}api/status", params={"token": _TOKEN})
        cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    here = httpx.URL(jupyter.url)
    origin = "http://evil.example" if foreign else f"{here.scheme}://{here.netloc.decode()}"
    opened = False
    with contextlib.suppress(InvalidStatus):
        async with connect(
            socket_address(jupyter, uuid4()), additional_headers={"Cookie": cookie}, origin=origin
        ) as connection:
            await tell(connection, 1, "nonsense")
            opened = (await heard(connection, 1))[0]["error"] == "unknown_command"

    assert cookie
    assert opened is opens


async def test_stopping_the_server_closes_open_sockets(jupyter: Any) -> None:
    async with socket(jupyter, uuid4()) as connection:
        await tell(connection, 1, "nonsense")
        await heard(connection, 1)
        await jupyter.extension.stop_extension()
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(connection.recv(), 10)

    assert connection.close_code == 1001
