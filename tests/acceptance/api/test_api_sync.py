"""The official client without asyncio, once through everything it has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from langgraph_sdk import get_sync_client
from langgraph_sdk.client import SyncLangGraphClient

_QUESTION: Any = {"answers": []}


@pytest.fixture
def client(api_server: Any) -> Iterator[SyncLangGraphClient]:
    with get_sync_client(url=api_server.url, api_key=api_server.api_key) as client:
        yield client


@pytest.fixture
def thread(client: SyncLangGraphClient) -> str:
    return client.threads.create()["thread_id"]


def test_the_synchronous_client_drives_the_server(client: SyncLangGraphClient) -> None:
    """Assistant, thread, stream, question, answer, history, and away again."""
    assistant = client.assistants.create("approver", name="Ada")
    thread = client.threads.create()["thread_id"]

    parts = list(client.runs.stream(thread, assistant["assistant_id"], input=_QUESTION, stream_mode="updates"))
    answered = client.runs.wait(thread, assistant["assistant_id"], command={"resume": "yes"})

    assert [part.event for part in parts] == ["metadata", "updates"]
    assert answered == {"answers": ["yes"]}
    assert [state["next"] for state in client.threads.get_history(thread, limit=9)] == [[], ["ask"], ["__start__"]]
    assert [run["status"] for run in client.runs.list(thread)] == ["success", "success"]
    client.assistants.delete(assistant["assistant_id"], delete_threads=True)
    assert client.threads.search(ids=[thread]) == []


def test_assistants_have_versions_and_a_graph(client: SyncLangGraphClient) -> None:
    """Changed, set back, counted, searched, drawn and described."""
    mark = {"mark": str(uuid4())}
    created = client.assistants.create("nested", name="Ada", metadata=mark)
    assistant_id = created["assistant_id"]

    client.assistants.update(assistant_id, name="Bob")
    back = client.assistants.set_latest(assistant_id, 1)

    assert client.assistants.get(assistant_id) == back
    assert [version["name"] for version in client.assistants.get_versions(assistant_id)] == ["Bob", "Ada"]
    assert [found["assistant_id"] for found in client.assistants.search(metadata=mark)] == [assistant_id]
    assert client.assistants.count(metadata=mark) == 1
    assert {"first", "child"} <= {node["id"] for node in client.assistants.get_graph(assistant_id)["nodes"]}
    assert client.assistants.get_schemas(assistant_id)["graph_id"] == "nested"
    assert list(client.assistants.get_subgraphs(assistant_id)) == ["child"]
    assert list(client.assistants.get_subgraphs(assistant_id, namespace="child")) == ["child"]


def test_threads_are_changed_copied_counted_and_pruned(client: SyncLangGraphClient, thread: str) -> None:
    """Their state too: read in three ways, and written."""
    mark = {"mark": str(uuid4())}
    client.runs.wait(thread, "steps", input={"log": []})
    changed = client.threads.update(thread, metadata=mark)
    written = client.threads.update_state(thread, {"log": ["by hand"]})

    copied = client.threads.copy(thread)["thread_id"]
    state = client.threads.get_state(thread)

    assert changed["metadata"]["mark"] == client.threads.get(thread)["metadata"]["mark"] == mark["mark"]
    assert state["values"]["log"][-1] == "by hand"
    assert client.threads.get_state(thread, checkpoint_id=written["checkpoint_id"])["values"] == state["values"]
    assert client.threads.get_state(thread, checkpoint=state["checkpoint"])["values"] == state["values"]
    assert client.threads.count(metadata=mark) == 2
    assert client.threads.prune([copied])["pruned_count"] == 1
    client.threads.delete(thread)
    assert client.threads.count(metadata=mark) == 0


def test_runs_are_started_followed_cancelled_and_deleted(client: SyncLangGraphClient, thread: str) -> None:
    """On a thread and without one."""
    run = client.runs.create(thread, "steps", input={"log": []}, stream_resumable=True)
    joined = client.runs.join(thread, run["run_id"])
    events = [part.event for part in client.runs.join_stream(thread, run["run_id"], last_event_id="-1")]
    slow = client.runs.create(thread, "slow", input={"log": []})
    client.runs.cancel(thread, slow["run_id"], wait=True)
    other = client.runs.create(thread, "slow", input={"log": []})
    client.runs.cancel_many(thread_id=thread, run_ids=[other["run_id"]])

    assert joined["log"] == ["a", "b", "c"]
    assert events[0] == "metadata"
    assert client.runs.get(thread, slow["run_id"])["status"] == "interrupted"
    client.runs.delete(thread, run["run_id"])
    assert run["run_id"] not in [row["run_id"] for row in client.runs.list(thread)]
    assert client.runs.create(None, "steps", input={"log": []})["status"] == "pending"
    assert len(client.runs.create_batch([{"assistant_id": "steps", "input": {"log": []}}])) == 1  # type: ignore[list-item]
    assert client.runs.wait(None, "steps", input={"log": []}) == {"log": ["a", "b", "c"]}
    assert next(part.event for part in client.runs.stream(None, "steps", input={"log": []})) == "metadata"


def test_the_stream_of_a_thread_shows_its_runs(client: SyncLangGraphClient, thread: str) -> None:
    """From the beginning, so that nobody has to be quick."""
    client.runs.wait(thread, "steps", input={"log": []})
    client.runs.create(thread, "steps", input={"log": []}, stream_resumable=True)

    for part in client.threads.join_stream(thread, last_event_id="-"):
        if part.data.get("status") == "run_done":
            break


def test_the_thread_protocol_works_without_asyncio(client: SyncLangGraphClient, api_server: Any) -> None:
    """Over SSE and over a WebSocket, whose headers are given by hand."""
    for transport in ("sse", "websocket"):
        headers = {"x-api-key": api_server.api_key}
        with client.threads.stream(assistant_id="steps", transport=transport, headers=headers) as stream:  # type: ignore[arg-type]
            stream.run.start(input={"log": []})
            assert stream.output["log"] == ["a", "b", "c"]


def test_crons_are_kept_changed_and_deleted(client: SyncLangGraphClient, thread: str) -> None:
    """Two of them, neither due within the test."""
    mark: Any = {"mark": str(uuid4())}
    loose = client.crons.create("steps", schedule="0 0 1 1 *", metadata=mark, input={"log": []})
    bound = client.crons.create_for_thread(thread, "steps", schedule="0 0 1 1 *", metadata=mark)

    changed: Any = client.crons.update(loose["cron_id"], enabled=False)

    assert changed["enabled"] is False
    found: Any = client.crons.search(thread_id=thread)
    assert [cron["cron_id"] for cron in found] == [bound["cron_id"]]
    assert client.crons.count(metadata=mark) == 2
    client.crons.delete(loose["cron_id"])
    client.crons.delete(bound["cron_id"])
    assert client.crons.count(metadata=mark) == 0


def test_the_store_keeps_items(client: SyncLangGraphClient) -> None:
    """Put, read, found, listed and deleted."""
    place = ["sync", str(uuid4())]
    client.store.put_item(place, key="a", value={"n": 1})

    assert client.store.get_item(place, "a")["value"] == {"n": 1}
    assert [item["key"] for item in client.store.search_items(place)["items"]] == ["a"]
    assert client.store.list_namespaces(prefix=place)["namespaces"] == [place]
    client.store.delete_item(place, "a")
    assert client.store.search_items(place)["items"] == []
