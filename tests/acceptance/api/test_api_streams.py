"""What streams over HTTP hold: every mode, in which order, of subgraphs, joined and resumed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient

Running = Callable[..., Awaitable[dict[str, Any]]]
Events = list[tuple[str, Any]]

QUESTION = {"messages": [{"role": "user", "content": "Hello?", "id": "question"}]}


async def collect(parts: AsyncIterator[Any]) -> Events:
    async with asyncio.timeout(30):
        return [(part.event, part.data) async for part in parts]


def names(events: Events) -> list[str]:
    return [event for event, _ in events]


def data(events: Events, name: str) -> list[Any]:
    return [one for event, one in events if event == name]


@pytest.fixture
def stream(client: LangGraphClient, thread: str) -> Callable[..., Awaitable[Events]]:
    """All events of a run on the thread of the test."""

    async def run(graph: str, **options: Any) -> Events:
        options.setdefault("input", {"log": ["i"]})
        return await collect(client.runs.stream(thread, graph, **options))

    return run


async def test_a_stream_begins_with_the_run_and_ends_when_it_is_over(
    client: LangGraphClient, thread: str, stream: Any
) -> None:
    """Without a word more: the status is committed before the stream closes."""
    events = await stream("steps")
    (run,) = await client.runs.list(thread)

    assert events[0] == ("metadata", {"run_id": run["run_id"], "attempt": 1})
    assert names(events[1:]) == ["values"] * 4
    assert [one["log"] for one in data(events, "values")] == [["i"], ["i", "a"], ["i", "a", "b"], ["i", "a", "b", "c"]]
    assert run["status"] == "success"


async def test_modes_come_in_their_order(stream: Any) -> None:
    """Within a step: task, what the node writes, its update, its result, the values, the checkpoint."""
    events = await stream("steps", stream_mode=["values", "updates", "custom", "tasks", "checkpoints"])

    seen = names(events)
    step = ["tasks", "custom", "updates", "tasks", "values", "checkpoints"]
    assert seen[0] == "metadata"
    for number in range(3):
        begin = [index for index, name in enumerate(seen) if name == "tasks"][2 * number]
        assert sorted(seen[begin : begin + 6]) == sorted(step)
        assert [name for name in seen[begin : begin + 6] if name != "custom"] == [s for s in step if s != "custom"]
    assert data(events, "updates") == [{word: {"log": [word]}} for word in ("a", "b", "c")]
    assert data(events, "custom") == [{"from": word} for word in ("a", "b", "c")]


async def test_tasks_tell_their_begin_and_their_result(stream: Any) -> None:
    """An error too, as the name of its class and its text."""
    tasks = data(await stream("fails", stream_mode="tasks"), "tasks")

    assert [(task["name"], "input" in task) for task in tasks] == [
        ("a", True),
        ("a", False),
        ("fail", True),
        ("fail", False),
    ]
    assert tasks[1]["result"] == {"log": ["a"]}
    assert tasks[0]["triggers"] == ["branch:to:a"]
    assert (tasks[3]["id"], tasks[3]["error"]) == (tasks[2]["id"], {"error": "ValueError", "message": "boom"})


async def test_an_error_is_the_last_event(client: LangGraphClient, thread: str, stream: Any) -> None:
    """Whatever the modes; the run's status says the same."""
    events = await stream("fails", stream_mode="custom")

    assert names(events) == ["metadata", "custom", "error"]
    assert {key: events[-1][1][key] for key in ("error", "message")} == {"error": "ValueError", "message": "boom"}
    assert (await client.runs.list(thread))[0]["status"] == "error"


async def test_checkpoints_show_the_state_and_where_it_is(client: LangGraphClient, thread: str, stream: Any) -> None:
    """Debug events name it like a state does; nobody's identity is in them."""
    events = await stream("steps", stream_mode=["checkpoints", "debug"])
    history = await client.threads.get_history(thread, limit=50)

    checkpoints = data(events, "checkpoints")
    assert [one["values"] for one in reversed(checkpoints)] == [state["values"] for state in history]
    assert [one["next"] for one in reversed(checkpoints)] == [state["next"] for state in history]
    debug = [one["payload"] for one in data(events, "debug") if one["type"] == "checkpoint"]
    assert [one["checkpoint"]["checkpoint_id"] for one in reversed(debug)] == [s["checkpoint_id"] for s in history]
    assert debug[-1]["parent_checkpoint"] == history[0]["parent_checkpoint"]
    assert {one["type"] for one in data(events, "debug")} == {"checkpoint", "task", "task_result"}
    assert "langgraph_auth" not in json.dumps([config for one in checkpoints for config in (one["config"],)])


async def test_messages_grow_or_come_in_pieces(client: LangGraphClient) -> None:
    """`messages` accumulates, `messages-tuple` gives each token; asked for both, a client gets the tuples."""

    async def stream(modes: Any) -> Events:
        return await collect(client.runs.stream(None, "talk", input=QUESTION, stream_mode=modes, stream_subgraphs=True))

    grown, pieces = await stream("messages"), await stream("messages-tuple")
    both = await stream(["messages", "messages-tuple"])

    partial = data(grown, "messages/partial")
    assert [message["content"] for (message,) in partial][:3] == ["one", "one two", "one two three"]
    assert {message["type"] for (message,) in partial} == {"ai"}
    assert [message["content"] for (message,) in data(grown, "messages/complete")] == ["added"]
    described = data(grown, "messages/metadata")
    assert len(described) == 2
    assert described[0][partial[0][0]["id"]]["metadata"]["langgraph_node"] == "speak"
    nested = [one for event, one in pieces if event.startswith("messages|talker:")]
    assert "".join(message["content"] for message, _ in nested) == "one two three"
    assert {message["type"] for message, _ in nested} == {"AIMessageChunk"}
    assert [message["content"] for message, _ in data(pieces, "messages")] == ["added"]
    assert {name.partition("|")[0] for name in names(both)} == {"metadata", "messages"}


async def test_messages_of_subgraphs_come_whole_to_those_who_did_not_ask_for_subgraphs(
    client: LangGraphClient, thread: str
) -> None:
    """As messages of the node that holds the subgraph."""
    grown = await collect(client.runs.stream(None, "talk", input=QUESTION, stream_mode="messages"))
    pieces = await collect(client.runs.stream(thread, "talk", input=QUESTION, stream_mode="messages-tuple"))
    whole = data(pieces, "messages")

    assert names(grown) == ["metadata", *["messages/metadata", "messages/complete"] * 2]
    assert [message["content"] for (message,) in data(grown, "messages/complete")] == ["one two three", "added"]
    assert [message["content"] for message, _ in whole] == ["one two three", "added"]
    metadata = whole[0][1]
    assert (metadata["langgraph_node"], metadata["langgraph_step"]) == ("talker", 1)
    assert metadata["langgraph_checkpoint_ns"].startswith("talker:")
    assert metadata["thread_id"] == thread


async def test_events_of_the_library_are_streamed_beside_other_modes(stream: Any) -> None:
    """LangChain's own records, down to the single token."""
    events = await stream("talk", stream_mode=["events", "values"], input=QUESTION)

    records = data(events, "events")
    assert records[0]["event"] == "on_chain_start"
    assert (records[-1]["event"], records[-1]["name"]) == ("on_chain_end", "talk")
    tokens = [one["data"]["chunk"]["content"] for one in records if one["event"] == "on_chat_model_stream"]
    assert "".join(tokens) == "one two three"
    # What the graph itself streams comes by its own mode only.
    assert not [one for one in records if one["event"] == "on_chain_stream" and one["name"] == "talk"]
    assert data(events, "values")[-1]["messages"][-1]["content"] == "added"


async def test_a_question_shows_in_updates_and_values(stream: Any) -> None:
    """The last values hold it as well; a stop before a node has none."""
    events = await stream("approver", input={"answers": ["i"]}, stream_mode=["values", "updates"])

    (update,) = data(events, "updates")
    values = data(events, "values")
    assert [question["value"] for question in update["__interrupt__"]] == [{"question": "one?"}]
    assert values == [{"answers": ["i"]}, {"answers": ["i"], "__interrupt__": update["__interrupt__"]}]

    stopped = await stream("steps", interrupt_before=["b"], stream_mode="updates")
    assert data(stopped, "updates") == [{"a": {"log": ["a"]}}, {"__interrupt__": []}]


async def test_subgraphs_are_streamed_under_their_own_names(client: LangGraphClient, thread: str, stream: Any) -> None:
    """Mode and path; the thread keeps the values of the root."""
    events = await stream("nested", stream_mode=["values", "updates", "custom"], stream_subgraphs=True)

    (task,) = (await client.threads.get_state(thread))["tasks"]
    inner = f"child:{task['id']}"
    assert data(events, f"updates|{inner}")[0] == {"pre": {"log": ["pre"]}}
    assert data(events, f"values|{inner}")[-1]["log"] == ["i", "first", "pre"]
    assert data(events, f"custom|{inner}") == [{"from": "pre"}]
    assert [list(update) for update in data(events, "updates")] == [["first"], ["__interrupt__"]]
    row = await client.threads.get(thread)
    assert (row["values"], list(row["interrupts"])) == ({"log": ["i", "first"]}, [task["id"]])


async def test_subgraphs_are_silent_unless_asked_for(stream: Any) -> None:
    """Their question appears on the root's events."""
    events = await stream("nested", stream_mode=["values", "updates", "custom"])

    assert not [name for name in names(events) if "|" in name]
    assert data(events, "custom") == [{"from": "first"}]
    assert data(events, "updates")[-1]["__interrupt__"][0]["value"] == {"question": "inside?"}


async def test_the_version_two_of_the_sdk_understands_the_stream(client: LangGraphClient, thread: str) -> None:
    """It takes the names apart."""
    parts = [
        part
        async for part in client.runs.stream(
            thread, "nested", input={"log": ["i"]}, stream_mode="updates", stream_subgraphs=True, version="v2"
        )
    ]

    spaces = [part["ns"] for part in parts if part["type"] == "updates"]
    assert [] in spaces
    assert any(space and space[0].startswith("child:") for space in spaces)


async def test_sends_are_streamed_as_tasks_of_one_step(client: LangGraphClient, thread: str, stream: Any) -> None:
    """Three of one node at once."""
    events = await stream("fans_out", stream_mode="updates", input={"log": []})

    assert sorted(update["work"]["log"][0] for update in data(events, "updates")) == [
        f"worked on {number}" for number in range(3)
    ]


async def test_a_stateless_run_is_streamed_too(client: LangGraphClient) -> None:
    """And has no thread the SDK would name."""
    created: list[Any] = []
    events = await collect(
        client.runs.stream(None, "steps", input={"log": ["i"]}, stream_mode="values", on_run_created=created.append)
    )

    assert events[-1] == ("values", {"log": ["i", "a", "b", "c"]})
    assert created[0]["run_id"] == events[0][1]["run_id"]
    assert not created[0].get("thread_id")


# -- Joining ----------------------------------------------------------------------------------------------------------


@pytest.fixture
async def ended(client: LangGraphClient, thread: str) -> str:
    """A resumable run that is over."""
    options = {"stream_resumable": True, "stream_mode": ["values", "updates", "custom", "messages-tuple"]}
    run = await client.runs.create(thread, "steps", input={"log": ["i"]}, **options)  # pyright: ignore[reportCallIssue, reportArgumentType]
    await client.runs.join(thread, run["run_id"])
    return run["run_id"]


async def joined(client: LangGraphClient, thread: str, run: str, **options: Any) -> list[Any]:
    async with asyncio.timeout(10):
        return [part async for part in client.runs.join_stream(thread, run, **options)]


async def test_a_resumable_run_is_followed_from_any_event(client: LangGraphClient, thread: str, ended: str) -> None:
    """Each has an id; what follows it comes again, exactly."""
    whole = await joined(client, thread, ended, last_event_id="-1")

    assert whole[0].event == "metadata"
    assert all(part.id for part in whole)
    for number, part in enumerate(whole):
        assert await joined(client, thread, ended, last_event_id=part.id) == whole[number + 1 :]


async def test_joining_an_ended_run_without_a_place_gives_nothing_at_once(
    client: LangGraphClient, thread: str, ended: str
) -> None:
    """Whoever wants the past says from where."""
    began = time.monotonic()

    assert await joined(client, thread, ended) == []

    assert time.monotonic() - began < 1


async def test_a_run_joined_midway_gives_what_is_still_to_come(
    client: LangGraphClient, thread: str, running: Running
) -> None:
    """Without ids, as it is not resumable."""
    run = await running(thread, context={"seconds": 0.6}, stream_mode="updates")

    parts = await joined(client, thread, run["run_id"])

    assert [(part.event, list(part.data)) for part in parts] == [("updates", ["sleep"]), ("updates", ["c"])]
    assert {part.id for part in parts} == {None}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {"metadata", "values", "updates", "custom"}),
        ("?stream_mode=values", {"values"}),
        ("?stream_mode=values&stream_mode=custom", {"values", "custom"}),
        ("?stream_mode=values,custom", {"values", "custom"}),
        ('?stream_mode=["values","metadata"]', {"values", "metadata"}),
        ("?stream_mode=messages", set[str]()),
    ],
)
async def test_a_joined_stream_is_filtered_in_every_way_clients_say_it(
    query: str, expected: set[str], http: httpx.AsyncClient, thread: str, ended: str
) -> None:
    """Repeated, as a comma list or as a JSON array."""
    answer = await http.get(f"/threads/{thread}/runs/{ended}/stream{query}", headers={"Last-Event-ID": "-1"})

    assert {line[7:] for line in answer.text.split("\r\n") if line.startswith("event: ")} == expected


async def test_the_sdk_filters_a_joined_stream_by_a_list(client: LangGraphClient, thread: str, ended: str) -> None:
    """It repeats the parameter."""
    parts = await joined(client, thread, ended, stream_mode=["updates", "custom"], last_event_id="-1")

    assert {part.event for part in parts} == {"updates", "custom"}


async def test_a_cancelled_run_ends_its_streams_without_an_error(
    client: LangGraphClient, thread: str, running: Running
) -> None:
    """They just close."""
    run = await running(thread)
    following = asyncio.create_task(joined(client, thread, run["run_id"]))
    await asyncio.sleep(0.2)

    await client.runs.cancel(thread, run["run_id"], wait=True)

    assert "error" not in [part.event for part in await following]


async def test_leaving_a_joined_stream_ends_the_run_only_if_asked(
    client: LangGraphClient, http: httpx.AsyncClient, thread: str, running: Running, until: Any
) -> None:
    """`cancel_on_disconnect` says so."""
    run = await running(thread)
    path = f"/threads/{thread}/runs/{run['run_id']}/stream"
    async with http.stream("GET", path):
        pass
    await asyncio.sleep(0.2)
    assert (await client.runs.get(thread, run["run_id"]))["status"] == "running"

    async with http.stream("GET", path, params={"cancel_on_disconnect": "true"}):
        pass

    async def ended() -> bool:
        return (await client.runs.get(thread, run["run_id"]))["status"] == "interrupted"

    await until(ended, "the run is cancelled", seconds=5)
