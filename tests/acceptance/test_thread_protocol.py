"""Threads streamed through the official Python SDK: tokens, tools, interrupts, subgraphs, reconnecting, two hosts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from langgraph_sdk import get_client

import lgnb.testing

pytestmark = pytest.mark.timeout(120)

TESTING_GRAPHS = Path(lgnb.testing.__file__).with_name("langgraph.json")

_GO = {"messages": [{"role": "user", "content": "go"}]}
_SUM = {"messages": [{"role": "user", "content": "What is 17 * 23?"}]}

Stream = Callable[..., Any]


@pytest.fixture(params=["sse", "websocket"])
def transport(request: pytest.FixtureRequest) -> str:
    return request.param


@asynccontextmanager
async def streams_of(server: Any, transport: str) -> AsyncGenerator[Stream]:
    """`threads.stream` of the SDK. Its sockets get no headers but those of the stream."""
    async with get_client(url=server.url, api_key=server.api_key) as client:
        yield lambda assistant, thread=None: client.threads.stream(
            thread, assistant_id=assistant, headers={"x-api-key": server.api_key}, transport=transport
        )


@pytest.fixture
async def stream(testing_server: Any, transport: str) -> AsyncIterator[Stream]:
    async with streams_of(testing_server, transport) as stream:
        yield stream


@pytest.fixture
async def example_stream(lgnb_server: Any, transport: str) -> AsyncIterator[Stream]:
    async with streams_of(lgnb_server, transport) as stream:
        yield stream


async def spoken(messages: AsyncIterator[Any]) -> list[list[str]]:
    """The tokens of every message, as they came."""

    async def tokens(message: Any) -> list[str]:
        return [token async for token in message.text]

    return await asyncio.gather(*[asyncio.create_task(tokens(message)) async for message in messages])


async def until_interrupted(thread: Any) -> None:
    async with asyncio.timeout(20):
        while not thread.interrupts:
            await asyncio.sleep(0.02)


async def test_tokens_come_one_by_one_and_make_up_the_stored_answer(stream: Stream) -> None:
    """Twenty words arrive as twenty deltas of one message."""
    async with stream("tokens") as thread:
        await thread.run.start(input=_GO)
        [tokens] = await spoken(thread.messages)
        output = await thread.output

    assert tokens[:2] == ["token1", " token2"]
    assert len(tokens) == 20
    assert output["messages"][-1]["content"][0]["text"] == "".join(tokens)


async def test_a_tool_call_has_its_input_and_output(example_stream: Stream) -> None:
    """The agent's call of its calculator is a handle that resolves with the result."""
    async with example_stream("agent") as thread:
        await thread.run.start(input=_SUM)
        calls = [call async for call in thread.tool_calls]
        result = await asyncio.wait_for(calls[0].output, 20)

    assert [(call.name, call.input) for call in calls] == [("calculate", {"expression": "17 * 23"})]
    assert result["content"] == "391"


async def test_an_interrupt_deep_in_a_subgraph_is_answered_and_the_run_goes_on(stream: Stream) -> None:
    """The question arrives with its namespace; answering it leads to the output."""
    async with stream("nested_approver") as thread:
        await thread.run.start(input={"answers": []})
        await until_interrupted(thread)
        [question] = thread.interrupts
        await thread.run.respond("yes")
        output = await asyncio.wait_for(thread.output, 20)

    assert question["value"] == {"question": "one?"}
    assert question["namespace"][0].startswith("inner:")
    assert output == {"answers": ["yes"]}


async def test_an_interrupt_that_was_asked_long_ago_is_seen_by_who_comes_later(stream: Stream) -> None:
    """Opening the thread again shows the interrupt that waits, and answers it."""
    thread_id = str(uuid4())
    async with stream("approver", thread_id) as thread:
        await thread.run.start(input={"answers": []})
        await until_interrupted(thread)
    async with stream("approver", thread_id) as thread:
        await until_interrupted(thread)
        await thread.run.respond("later")
        output = await asyncio.wait_for(thread.output, 20)

    assert output == {"answers": ["later"]}


async def test_an_interrupt_whose_events_have_expired_is_asked_again(make_server: Any) -> None:
    """The log of a thread lives for minutes, a question for as long as it takes to answer it."""
    server = make_server(graphs=TESTING_GRAPHS, environment={"LGNB_STREAM_TTL_SECONDS": "1"})
    try:
        async with streams_of(server, "sse") as stream:
            thread_id = str(uuid4())
            async with stream("approver", thread_id) as thread:
                await thread.run.start(input={"answers": []})
                await until_interrupted(thread)
                [first] = thread.interrupts
            await asyncio.sleep(2)
            async with stream("approver", thread_id) as thread:
                await until_interrupted(thread)
                [again] = thread.interrupts
                await thread.run.respond("at last")
                output = await asyncio.wait_for(thread.output, 20)
    finally:
        server.stop()

    assert (again["interrupt_id"], again["value"]) == (first["interrupt_id"], first["value"])
    assert output == {"answers": ["at last"]}


async def test_a_subgraph_is_found_with_its_tokens(stream: Stream) -> None:
    """The child is a handle of its own, and what it says is there and not at the root."""
    async with stream("nested_tokens") as thread:
        await thread.run.start(input=_GO)
        children = [child async for child in thread.subgraphs]
        [tokens] = await spoken(children[0].messages)
        root = await spoken(thread.messages)

    [child] = children
    assert (child.graph_name, child.status, len(child.path)) == ("inner", "completed", 1)
    assert len(tokens) == 20
    assert root == []


async def test_a_failed_run_says_why(stream: Stream) -> None:
    """The output raises with the text of the graph's own error."""
    async with stream("failing") as thread:
        await thread.run.start(input={"text": "a"})
        with pytest.raises(RuntimeError, match="failed on purpose"):
            await asyncio.wait_for(thread.output, 20)


# Raw streams


@asynccontextmanager
async def followed(server: Any, thread: str, *channels: str, **limits: Any) -> AsyncGenerator[AsyncIterator[Any]]:
    async with (
        httpx.AsyncClient(base_url=server.url, headers={"x-api-key": server.api_key}, timeout=30) as http,
        http.stream(
            "POST", f"/threads/{thread}/stream/events", json={"channels": channels or ["lifecycle"], **limits}
        ) as answer,
    ):

        async def envelopes() -> AsyncIterator[Any]:
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    yield json.loads(line[6:])

        yield envelopes()


async def until_root_ends(events: AsyncIterator[Any]) -> list[Any]:
    """Everything up to the end of the run."""
    seen: list[Any] = []
    async with asyncio.timeout(30):
        async for event in events:
            seen.append(event)
            if event["method"] == "lifecycle" and not event["params"]["namespace"] and root_status(event) != "running":
                return seen
    raise AssertionError("the stream ended")


def root_status(event: Any) -> str:
    return event["params"]["data"]["event"]


async def command(server: Any, thread: str, method: str, **params: Any) -> Any:
    async with httpx.AsyncClient(base_url=server.url, headers={"x-api-key": server.api_key}, timeout=30) as http:
        answer = await http.post(f"/threads/{thread}/commands", json={"id": 1, "method": method, "params": params})
    return answer.json()


_ALL = ("values", "updates", "messages", "tools", "lifecycle", "input", "tasks", "checkpoints", "custom")


async def test_numbers_go_on_over_runs_and_every_reader_sees_the_same(testing_server: Any) -> None:
    """Two runs give one unbroken row of numbers, live and replayed."""
    thread = str(uuid4())
    async with followed(testing_server, thread, *_ALL) as events:
        await command(testing_server, thread, "run.start", assistant_id="echo", input={"text": "a"})
        first = await until_root_ends(events)
        await command(testing_server, thread, "run.start", assistant_id="echo", input={"text": "b"})
        live = first + await until_root_ends(events)
    async with followed(testing_server, thread, *_ALL) as events:
        replayed = await until_root_ends(events) + await until_root_ends(events)
    async with followed(testing_server, thread, *_ALL, since=first[-1]["seq"]) as events:
        second = await until_root_ends(events)

    assert replayed == live
    assert [event["seq"] - live[0]["seq"] for event in live] == list(range(len(live)))
    assert len({event["event_id"] for event in live}) == len(live)
    assert second == live[len(first) :]
    assert (live[0]["method"], live[0]["params"]["data"]) == ("lifecycle", {"event": "running", "graph_name": "echo"})
    assert {event["method"] for event in live} == {"lifecycle", "values", "updates", "tasks", "checkpoints", "custom"}


async def test_the_state_is_stored_before_the_end_of_the_run_is_told(testing_server: Any, testing_client: Any) -> None:
    """Whoever reads "completed" reads the final state too."""
    for number in range(5):
        thread = str(uuid4())
        async with followed(testing_server, thread) as events:
            await command(testing_server, thread, "run.start", assistant_id="echo", input={"text": str(number)})
            await until_root_ends(events)
            state = await testing_client.threads.get_state(thread)
        assert state["values"] == {"text": f"echo: {number}"}


async def test_a_run_started_by_somebody_else_is_seen_by_who_watches(testing_server: Any, testing_client: Any) -> None:
    """An ordinary run that streams nothing shows its tokens to a watcher of the protocol."""
    thread = (await testing_client.threads.create())["thread_id"]
    async with followed(testing_server, thread, *_ALL) as events:
        await testing_client.runs.create(thread, "tokens", input=_GO)
        seen = await until_root_ends(events)

    deltas = [event for event in seen if event["params"]["data"].get("event") == "content-block-delta"]
    assert [root_status(event) for event in (seen[0], seen[-1])] == ["running", "completed"]
    assert len(deltas) == 20
    values = [event["params"]["data"] for event in seen if event["method"] == "values"]
    # It was no run of the protocol, so its state holds what it always holds.
    assert values[-1]["messages"][-1]["content"].startswith("token1 token2")


async def test_nobody_pays_for_events_that_nobody_watches(testing_server: Any, testing_client: Any) -> None:
    """After an ordinary run without a watcher, the log has nothing to replay but what comes next."""
    thread = (await testing_client.threads.create())["thread_id"]
    await testing_client.runs.wait(thread, "echo", input={"text": "unseen"})
    async with followed(testing_server, thread, *_ALL) as events:
        run = await command(testing_server, thread, "run.start", assistant_id="echo", input={"text": "seen"})
        seen = await until_root_ends(events)

    assert seen[0]["event_id"] == f"synth:{run['result']['run_id']}:lc||running"


async def test_an_input_for_a_thread_that_waits_is_the_answer(testing_server: Any, testing_client: Any) -> None:
    """`run.start` on an interrupted thread resumes it."""
    thread = str(uuid4())
    async with followed(testing_server, thread) as events:
        await command(testing_server, thread, "run.start", assistant_id="approver", input={"answers": []})
        asked = await until_root_ends(events)
        await command(testing_server, thread, "run.start", assistant_id="approver", input="an answer")
        answered = await until_root_ends(events)

    assert [root_status(event) for event in (asked[-1], answered[-1])] == ["interrupted", "completed"]
    assert (await testing_client.threads.get_state(thread))["values"] == {"answers": ["an answer"]}


async def test_several_interrupts_are_answered_by_one_command_and_each_only_once(
    testing_server: Any, testing_client: Any
) -> None:
    """A second answer to the same interrupt is refused."""
    thread = str(uuid4())
    async with followed(testing_server, thread, "lifecycle", "input") as events:
        await command(testing_server, thread, "run.start", assistant_id="two_approvers", input={"answers": []})
        seen = await until_root_ends(events)
        asked = [event["params"] for event in seen if event["method"] == "input.requested"]
        answers = [
            {"interrupt_id": one["data"]["interrupt_id"], "namespace": one["namespace"], "response": number}
            for number, one in enumerate(asked)
        ]
        answered = await command(testing_server, thread, "input.respond", responses=answers)
        await until_root_ends(events)
        again = await command(testing_server, thread, "input.respond", **answers[0])

    assert {one["data"]["payload"]["question"] for one in asked} == {"left?", "right?"}
    assert (answered["type"], answered["result"]) == ("success", {})
    assert again["error"] == "no_such_interrupt"
    assert len((await testing_client.threads.get_state(thread))["values"]["answers"]) == 2


async def test_a_cancelled_run_ends_as_interrupted(testing_server: Any, testing_client: Any) -> None:
    """Both a running run and one that had not begun."""
    thread = str(uuid4())
    slow = {"configurable": {"delay": 5}}
    async with followed(testing_server, thread) as events:
        first = await command(testing_server, thread, "run.start", assistant_id="counter", input={}, config=slow)
        second = await command(testing_server, thread, "run.start", assistant_id="counter", input={}, config=slow)
        began = await anext(events)
        await testing_client.runs.cancel(thread, second["result"]["run_id"])
        pending = await until_root_ends(events)
        await testing_client.runs.cancel(thread, first["result"]["run_id"])
        running = await until_root_ends(events)

    assert root_status(began) == "running"
    assert [root_status(event) for event in (*pending, *running)] == ["interrupted", "interrupted"]
    assert [event["event_id"].split(":")[1] for event in (*pending, *running)] == [
        second["result"]["run_id"],
        first["result"]["run_id"],
    ]


async def test_a_run_started_through_one_host_is_followed_through_another(
    testing_server: Any, make_server: Any, transport: str
) -> None:
    """Both hosts show the same events under the same numbers, and the second one takes the answer."""
    other = make_server("--workers=0", environment={"LGNB_DATA_DIR": str(testing_server.home / "data")})
    try:
        thread_id = str(uuid4())
        async with (
            followed(testing_server, thread_id, *_ALL) as here,
            streams_of(other, transport) as stream,
            stream("approver", thread_id) as there,
            followed(other, thread_id, *_ALL) as raw,
        ):
            await command(testing_server, thread_id, "run.start", assistant_id="approver", input={"answers": []})
            seen_here = await until_root_ends(here)
            seen_there = await until_root_ends(raw)
            await until_interrupted(there)
            await there.run.respond("from the other host")
            output = await asyncio.wait_for(there.output, 20)
            rest_here, rest_there = await until_root_ends(here), await until_root_ends(raw)
    finally:
        other.stop()

    assert (seen_here, rest_here) == (seen_there, rest_there)
    assert output == {"answers": ["from the other host"]}
