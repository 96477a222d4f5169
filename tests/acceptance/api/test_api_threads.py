"""Threads, their state and their history, with the official client."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import (
    BadRequestError,
    ConflictError,
    NotFoundError,
    UnprocessableEntityError,
)

# Two processes of a test run must name their tests alike.
_NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
async def ended(client: LangGraphClient, thread: str) -> str:
    """A thread on which three steps ran."""
    await client.runs.wait(thread, "steps", input={"log": ["i"]}, metadata={"m": 1})
    return thread


async def test_a_thread_shows_its_row(client: LangGraphClient) -> None:
    """A new one is idle, without values."""
    thread = await client.threads.create(metadata={"a": 1}, graph_id="steps")

    row = await client.threads.get(thread["thread_id"])
    assert row == thread
    assert {key: row[key] for key in ("status", "metadata", "values", "interrupts", "error", "config")} == {
        "status": "idle",
        "metadata": {"a": 1, "graph_id": "steps"},
        "values": None,
        "interrupts": {},
        "error": None,
        "config": {},
    }


async def test_threads_are_found_by_what_they_hold(client: LangGraphClient) -> None:
    """Metadata and values are compared by containment; parts are selected or extracted by path."""
    group = {"group": str(uuid4())}
    first = (await client.threads.create(metadata={**group, "list": [1, 2]}))["thread_id"]
    second = (await client.threads.create(metadata=group))["thread_id"]
    await client.runs.wait(first, "steps", input={"log": ["i"]})

    async def found(**filters: Any) -> list[str]:
        return [row["thread_id"] for row in await client.threads.search(metadata=group, **filters)]

    assert await found() == [first, second]
    assert await found(values={"log": ["b"]}) == [first]
    assert await found(ids=[second]) == [second]
    assert await found(sort_by="created_at", sort_order="asc", limit=1) == [first]
    assert [row["thread_id"] for row in await client.threads.search(metadata={**group, "list": [2]})] == [first]
    assert await client.threads.count(metadata=group, status="idle") == 2
    (row,) = await client.threads.search(
        ids=[first], select=["status"], extract={"last": "values.log[-1]", "none": "metadata._hidden"}
    )
    assert row == {"status": "idle", "extracted": {"last": "c", "none": None}}


async def test_metadata_is_patched(client: LangGraphClient, http: httpx.AsyncClient, thread: str) -> None:
    """Merged shallowly; with return=minimal the answer is empty."""
    row = await client.threads.update(thread, metadata={"a": {"x": 1}})
    minimal = await http.patch(
        f"/threads/{thread}", json={"metadata": {"b": None}}, headers={"Prefer": "return=minimal"}
    )

    assert row["metadata"] == {"a": {"x": 1}}
    assert (minimal.status_code, minimal.content) == (204, b"")
    assert (await client.threads.get(thread))["metadata"] == {"a": {"x": 1}, "b": None}
    assert (await http.patch(f"/threads/{thread}", json={"metadata": None})).status_code == 422


async def test_a_thread_can_be_made_of_supersteps(client: LangGraphClient) -> None:
    """They replay the updates of another thread."""
    thread = await client.threads.create(
        graph_id="steps",
        supersteps=[
            {"updates": [{"values": {"log": ["i"]}, "as_node": "a"}]},
            {"updates": [{"values": {"log": ["j"]}, "as_node": "b"}]},
        ],
    )

    state = await client.threads.get_state(thread["thread_id"])
    assert (thread["values"], thread["status"]) == ({"log": ["i", "j"]}, "interrupted")
    assert state["next"] == ["c"]


async def test_supersteps_that_fail_leave_an_empty_thread(http: httpx.AsyncClient) -> None:
    """The odd answer: 201, and the reason in place of the row."""
    thread_id = str(uuid4())
    updates = [{"values": {"log": ["i"]}, "as_node": "no_node"}]
    answer = await http.post(
        "/threads",
        json={"thread_id": thread_id, "metadata": {"graph_id": "steps"}, "supersteps": [{"updates": updates}]},
    )

    assert answer.status_code == 201
    assert "detail" in answer.json()
    assert (await http.get(f"/threads/{thread_id}")).json()["values"] is None


async def test_the_state_has_the_shape_clients_know(client: LangGraphClient, ended: str) -> None:
    """Values, what is next, tasks, metadata and the checkpoint it comes from."""
    state = await client.threads.get_state(ended)

    assert state["values"] == {"log": ["i", "a", "b", "c"]}
    assert (state["next"], state["tasks"], state["interrupts"]) == ([], [], [])
    assert state["checkpoint"] == {
        "checkpoint_id": state["checkpoint_id"],
        "thread_id": ended,
        "checkpoint_ns": "",
    }
    assert state["parent_checkpoint"]["checkpoint_id"] == state["parent_checkpoint_id"]
    metadata = state["metadata"]
    assert (metadata["source"], metadata["step"], metadata["graph_id"], metadata["m"]) == ("loop", 3, "steps", 1)
    assert not [key for key in metadata if key in ("langgraph_auth_user", "langgraph_auth_permissions")]


async def test_parts_of_a_state_are_selected(client: LangGraphClient, ended: str) -> None:
    """Also a single key of the values."""
    assert await client.threads.get_state(ended, select=["next"]) == {"next": []}
    assert await client.threads.get_state(ended, select=["values.log", "next"]) == {
        "values": {"log": ["i", "a", "b", "c"]},
        "next": [],
    }
    assert (await client.threads.get_history(ended, limit=2, select=["values.nothing"])) == [{"values": {}}] * 2
    with pytest.raises(UnprocessableEntityError):
        await client.threads.get_state(ended, select=["nothing"])


async def test_every_state_of_the_past_can_be_read(
    client: LangGraphClient, http: httpx.AsyncClient, ended: str
) -> None:
    """By checkpoint, by its id alone, and from pages of the history in any form of `before`."""
    history = await client.threads.get_history(ended, limit=50)
    second = history[1]
    flat = {"thread_id": ended, "checkpoint_ns": "", "checkpoint_id": second["checkpoint_id"]}

    assert [state["next"] for state in history] == [[], ["c"], ["b"], ["a"], ["__start__"]]
    assert [state["values"].get("log") for state in history] == [
        ["i", "a", "b", "c"],
        ["i", "a", "b"],
        ["i", "a"],
        ["i"],
        [],
    ]
    assert await client.threads.get_state(ended, checkpoint=second["checkpoint"]) == second
    assert await client.threads.get_state(ended, checkpoint_id=second["checkpoint_id"]) == second
    for before in (second["checkpoint_id"], flat, {"configurable": flat}):
        assert await client.threads.get_history(ended, limit=50, before=before) == history[2:]
    assert (
        await http.get(f"/threads/{ended}/history", params={"before": flat["checkpoint_id"], "limit": 1})
    ).json() == [history[2]]
    assert len((await http.post(f"/threads/{ended}/history", json={})).json()) == 1
    for start in (second["checkpoint"], second["checkpoint_id"]):
        answer = await http.post(f"/threads/{ended}/history", json={"checkpoint": start, "limit": 9})
        assert answer.json()[0] == second
    assert await client.threads.get_history(ended, limit=50, metadata={"source": "input"}) == history[-1:]
    unknown = await client.threads.get_state(ended, checkpoint_id=str(uuid4()))
    assert unknown["values"] == {}


async def test_a_failed_node_shows_in_the_tasks(client: LangGraphClient, thread: str) -> None:
    """As the text of the exception."""
    await client.runs.wait(thread, "fails", input={"log": []}, raise_error=False)

    state, row = await client.threads.get_state(thread), await client.threads.get(thread)
    assert [(task["name"], task["error"]) for task in state["tasks"]] == [("fail", "ValueError('boom')")]
    assert (row["status"], row["error"]) == ("error", {"error": "ValueError", "message": "boom"})
    assert row["values"] == {"log": ["a"]}


async def test_the_state_of_a_subgraph_is_shown_on_demand(client: LangGraphClient, thread: str) -> None:
    """As a reference, or nested; its interrupt is its parent's too."""
    await client.runs.wait(thread, "nested", input={"log": ["i"]})

    state = await client.threads.get_state(thread)
    (task,) = state["tasks"]
    (opened,) = (await client.threads.get_state(thread, subgraphs=True))["tasks"]
    inner = await client.threads.get_state(thread, checkpoint=task["checkpoint"])
    inner_history = await client.threads.get_history(thread, checkpoint=task["checkpoint"], limit=9)

    assert task["checkpoint"] == {"thread_id": thread, "checkpoint_ns": f"child:{task['id']}"}
    assert task["state"] is None
    assert (opened["checkpoint"], opened["state"]["next"]) == (None, ["ask"])
    assert opened["state"]["values"] == inner["values"] == {"log": ["i", "first", "pre"]}
    assert [one["value"] for one in state["interrupts"]] == [{"question": "inside?"}]
    assert inner["interrupts"] == state["interrupts"]
    assert [one["next"] for one in inner_history] == [["ask"], ["pre"], ["__start__"]]


async def test_what_finished_beside_an_interrupt_shows_in_the_state(client: LangGraphClient, thread: str) -> None:
    """Of two questions one is answered: its task is done, its values are there, the other one waits."""
    await client.runs.wait(thread, "two_approvers", input={"answers": []})
    waiting = {one["value"]["question"]: one["id"] for one in (await client.threads.get_state(thread))["interrupts"]}
    assert set(waiting) == {"left?", "right?"}

    await client.runs.wait(thread, "two_approvers", command={"resume": {waiting["left?"]: "L"}})

    state, row = await client.threads.get_state(thread), await client.threads.get(thread)
    assert (state["values"], state["next"]) == ({"answers": [{"left": "L"}]}, ["right"])
    assert [one["id"] for one in state["interrupts"]] == [waiting["right?"]]
    assert [one["id"] for task in row["interrupts"].values() for one in task] == [waiting["right?"]]
    assert row["values"] == {"answers": []}


async def test_the_state_is_changed_as_if_a_node_had_done_it(client: LangGraphClient, ended: str) -> None:
    """The next run goes on from there."""
    written = await client.threads.update_state(ended, {"log": ["u"]}, as_node="a")

    state, row = await client.threads.get_state(ended), await client.threads.get(ended)
    assert written["checkpoint"] == written["configurable"] == state["checkpoint"]
    assert written["checkpoint_id"] == state["checkpoint_id"]
    assert (state["values"]["log"][-1], state["next"], state["metadata"]["source"]) == ("u", ["b"], "update")
    assert (row["status"], row["values"]) == ("interrupted", state["values"])
    assert (await client.runs.wait(ended, "steps"))["log"] == ["i", "a", "b", "c", "u", "b", "c"]


async def test_a_change_of_an_earlier_state_is_a_fork(client: LangGraphClient, ended: str) -> None:
    """The latest state is then the fork's; the past stays."""
    history = await client.threads.get_history(ended, limit=50)
    after_a = next(state for state in history if state["next"] == ["b"])

    await client.threads.update_state(ended, {"log": ["forked"]}, as_node="b", checkpoint=after_a["checkpoint"])

    assert (await client.threads.get_state(ended))["values"] == {"log": ["i", "a", "forked"]}
    assert (await client.threads.get_history(ended, limit=50))[1:] == history
    assert await client.runs.wait(ended, "steps") == {"log": ["i", "a", "forked", "c"]}


async def test_a_change_of_the_state_clears_the_error(client: LangGraphClient, thread: str) -> None:
    """And the thread is no longer in error."""
    await client.runs.wait(thread, "fails", input={"log": []}, raise_error=False)

    await client.threads.update_state(thread, {"log": ["mended"]}, as_node="fail")

    row = await client.threads.get(thread)
    assert (row["status"], row["error"], row["values"]) == ("idle", None, {"log": ["a", "mended"]})


async def test_special_nodes_of_the_library_work(client: LangGraphClient) -> None:
    """`__input__`, `__copy__` and `__end__`; unknown channels are ignored, unknown nodes refused."""
    thread = (await client.threads.create(graph_id="steps"))["thread_id"]
    await client.threads.update_state(thread, {"log": ["i"]}, as_node="__input__")
    assert (await client.threads.get_state(thread))["next"] == ["__start__"]
    await client.threads.update_state(thread, None, as_node="__copy__")
    assert (await client.threads.get_state(thread))["metadata"]["source"] == "fork"
    await client.threads.update_state(thread, {"log": ["a"], "unknown": 1}, as_node="a")
    assert (await client.threads.get_state(thread))["values"] == {"log": ["a"]}
    await client.threads.update_state(thread, None, as_node="__end__")
    assert (await client.threads.get_state(thread))["next"] == []
    with pytest.raises(BadRequestError):
        await client.threads.update_state(thread, {"log": []}, as_node="no_node")


async def test_a_state_is_not_changed_under_a_run(client: LangGraphClient, thread: str, running: Any) -> None:
    """409 as long as one is pending or running; 400 when there is no graph to ask."""
    with pytest.raises(BadRequestError):
        await client.threads.update_state(thread, {"log": []})
    run = await running(thread)
    with pytest.raises(ConflictError):
        await client.threads.update_state(thread, {"log": []})
    await client.runs.cancel(thread, run["run_id"], wait=True)


async def test_a_copy_goes_its_own_way(client: LangGraphClient, thread: str) -> None:
    """It has state, history and open questions, but no runs."""
    await client.runs.wait(thread, "approver", input={"answers": ["i"]})

    copy = await client.threads.copy(thread)  # pyright: ignore[reportAssignmentType]  the SDK forgets what it returns
    copied: str = copy["thread_id"]  # pyright: ignore[reportOptionalSubscript]

    assert copy["status"] == "interrupted"  # pyright: ignore[reportOptionalSubscript]
    assert len(await client.threads.get_history(copied, limit=50)) == 2
    assert await client.runs.list(copied) == []
    assert await client.runs.wait(copied, "approver", command={"resume": "yes"}) == {"answers": ["i", "yes"]}
    assert (await client.threads.get(thread))["status"] == "interrupted"
    with pytest.raises(ConflictError):
        await client.threads.copy(str(uuid4()))


async def test_threads_are_pruned(client: LangGraphClient, ended: str) -> None:
    """Of the history only the latest state stays, or nothing at all."""
    state = await client.threads.get_state(ended)
    assert await client.threads.prune([ended, str(uuid4())], strategy="keep_latest") == {"pruned_count": 1}
    (left,) = await client.threads.get_history(ended, limit=50)
    assert left["values"] == state["values"]
    assert (await client.runs.wait(ended, "steps", input={"log": ["j"]}))["log"][:5] == ["i", "a", "b", "c", "j"]

    assert await client.threads.prune([ended]) == {"pruned_count": 1}
    with pytest.raises(NotFoundError):
        await client.threads.get(ended)


async def test_the_storage_of_a_thread_is_told_by_channel(http: httpx.AsyncClient, ended: str) -> None:
    """Counts and bytes."""
    storage = (await http.get(f"/threads/{ended}/storage")).json()

    assert storage["checkpoints"]["count"] == 5
    assert storage["channel_values"]["by_channel"]["log"]["versions"] == 4
    assert storage["total_bytes"] > 0


async def test_a_deleted_thread_ends_its_run_and_is_gone(client: LangGraphClient, thread: str, running: Any) -> None:
    """Nothing of it can be read any more."""
    run = await running(thread)

    await client.threads.delete(thread)

    for gone in (
        client.threads.get(thread),
        client.threads.get_state(thread),
        client.threads.get_history(thread),
        client.runs.list(thread),
        client.runs.get(thread, run["run_id"]),
        client.threads.delete(thread),
    ):
        with pytest.raises(NotFoundError):
            await gone


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/threads", {"ttl": "5"}, 422),
        ("POST", "/threads", {"thread_id": "not-a-uuid"}, 422),
        ("POST", "/threads/search", {"ids": ["not-a-uuid"]}, 400),
        ("POST", "/threads/search", {"extract": {"values": "values.a"}}, 422),
        ("POST", "/threads/search", {"extract": {"a": "status"}}, 422),
        ("POST", "/threads/search", {"select": ["nothing"]}, 422),
        ("POST", "/threads/prune", {}, 422),
        ("GET", f"/threads/{_NOBODY}", None, 404),
        ("GET", "/threads/not-a-uuid", None, 422),
        ("PATCH", f"/threads/{_NOBODY}", {"metadata": {}}, 404),
        ("GET", f"/threads/{_NOBODY}/state", None, 404),
        ("POST", f"/threads/{_NOBODY}/state", {"values": {}}, 404),
        ("POST", f"/threads/{_NOBODY}/state/checkpoint", {}, 422),
        ("GET", f"/threads/{_NOBODY}/history", None, 404),
        ("GET", f"/threads/{_NOBODY}/storage", None, 404),
        ("POST", f"/threads/{_NOBODY}/copy", None, 409),
    ],
)
async def test_what_cannot_be_is_refused_with_its_status(
    method: str, path: str, body: Any, status: int, http: httpx.AsyncClient
) -> None:
    """And the reason as `detail`."""
    answer = await http.request(method, path, json=body)

    assert answer.status_code == status
    assert answer.json()["detail"]


async def test_many_states_are_changed_at_once(client: LangGraphClient) -> None:
    """Each on a thread of its own; they share the worker's connections."""
    threads = [(await client.threads.create(graph_id="steps"))["thread_id"] for _ in range(40)]

    await asyncio.gather(*(client.threads.update_state(thread, {"log": [thread]}, as_node="a") for thread in threads))

    for thread in threads:
        assert (await client.threads.get(thread))["values"] == {"log": [thread]}
