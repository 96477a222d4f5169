"""Threads: rows, state, history, copies and what is left after pruning."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg import sql

from lgnb.db.database import Database
from lgnb.errors import AlreadyExists, Conflict, InvalidRequest, InvalidState, LeaseLost, ThreadBusy, ThreadNotFound
from lgnb.models.runs import Run
from lgnb.models.threads import ThreadTtl
from lgnb.resources import Resources

from .conftest import HandWorker
from .graphs import execute, newest_state

Start = Callable[..., Awaitable[Run]]


@pytest.fixture
def run_graph(start: Start, worker: HandWorker) -> Callable[..., Awaitable[Run]]:
    """Execute a run of three nodes to its end, or until a node."""

    async def run(*log: str, stop_before: str | None = None, thread_status: str = "idle", **outcome: Any) -> Run:
        created = await start()
        claimed = await worker.claim_one()
        saver = worker.saver(claimed)
        await execute(claimed, saver, log=list(log), stop_before=stop_before)
        await worker.finish_with(claimed, await newest_state(saver, claimed), thread_status=thread_status, **outcome)
        return created

    return run


async def test_a_new_thread_is_idle_and_empty(resources: Resources) -> None:
    thread = await resources.threads.create(metadata={"a": 1, "run_id": "reserved"})

    assert (thread.status, thread.values, thread.interrupts, thread.error) == ("idle", None, {}, None)
    assert thread.metadata == {"a": 1}
    state = await resources.threads.get_state(thread.thread_id)
    assert (state["values"], state["next"], state["checkpoint"]) == ({}, [], None)
    assert await resources.threads.history(thread.thread_id, limit=10) == []


async def test_a_taken_id_is_refused_or_returns_what_is_there(resources: Resources, thread_id: UUID) -> None:
    with pytest.raises(AlreadyExists):
        await resources.threads.create(thread_id=thread_id)

    again = await resources.threads.create(thread_id=thread_id, metadata={"new": 1}, if_exists="do_nothing")
    assert again.metadata == {}


async def test_one_of_many_creators_of_a_thread_wins(resources: Resources) -> None:
    thread_id = uuid4()

    created = await asyncio.gather(
        *(resources.threads.create(thread_id=thread_id) for _ in range(10)), return_exceptions=True
    )

    assert sum(isinstance(one, AlreadyExists) for one in created) == 9


async def test_metadata_is_merged_shallowly_and_a_null_is_kept(resources: Resources) -> None:
    thread = await resources.threads.create(metadata={"a": {"x": 1}, "b": 1})

    updated = await resources.threads.update(thread.thread_id, metadata={"a": {"y": 2}, "b": None})

    assert updated.metadata == {"a": {"y": 2}, "b": None}
    assert updated.updated_at > thread.updated_at
    assert updated.state_updated_at == thread.state_updated_at
    with pytest.raises(ThreadNotFound):
        await resources.threads.update(uuid4(), metadata={})


async def test_a_time_to_live_is_kept_with_the_thread(resources: Resources, thread_id: UUID) -> None:
    assert await resources.threads.ttl(thread_id) is None

    await resources.threads.update(thread_id, ttl=ThreadTtl(ttl_minutes=2.5, strategy="delete"))

    ttl = await resources.threads.ttl(thread_id)
    assert ttl is not None
    assert (ttl.ttl_minutes, ttl.strategy) == (2.5, "delete")
    assert ttl.expires_at is not None


async def test_a_search_filters_by_containment(
    resources: Resources, thread_id: UUID, run_graph: Callable[..., Awaitable[Run]]
) -> None:
    await run_graph("i")
    empty = await resources.threads.create(metadata={"list": [1, 2], "nothing": None, "nested": {"a": 1, "b": 2}})
    search = resources.threads.search

    async def found(**filters: Any) -> list[UUID]:
        return [thread.thread_id for thread in (await search(**filters)).items]

    assert await found(metadata={"list": [2]}) == [empty.thread_id]
    assert await found(metadata={"nested": {"b": 2}}) == [empty.thread_id]
    assert await found(metadata={"nothing": None}) == [empty.thread_id]
    assert await found(metadata={"missing": None}) == []
    assert await found(values={"log": ["a"]}) == [thread_id]
    assert await found(values={"log": ["z"]}) == []
    assert await found(ids=[thread_id, uuid4()]) == [thread_id]
    assert await found(status="busy") == []
    assert await found(sort_by="created_at", sort_order="asc") == [thread_id, empty.thread_id]
    assert await resources.threads.count(values={"log": ["a"]}, status="idle") == 1


async def test_history_is_read_from_rows_newest_first(
    resources: Resources, thread_id: UUID, run_graph: Callable[..., Awaitable[Run]]
) -> None:
    await run_graph("i")

    states = await resources.threads.history(thread_id, limit=100)

    assert [state["next"] for state in states] == [[], ["c"], ["b"], ["a"], ["__start__"]]
    assert [state["metadata"]["step"] for state in states] == [3, 2, 1, 0, -1]
    assert [state["parent_checkpoint_id"] for state in states[:-1]] == [s["checkpoint_id"] for s in states[1:]]
    older = await resources.threads.history(thread_id, limit=2, before={"checkpoint_id": states[1]["checkpoint_id"]})
    assert older == states[2:4]
    assert await resources.threads.history(thread_id, limit=9, metadata={"source": "input"}) == states[-1:]
    at = await resources.threads.get_state(thread_id, checkpoint={"checkpoint_id": states[2]["checkpoint_id"]})
    assert at == states[2]
    with pytest.raises(InvalidRequest):
        await resources.threads.history(thread_id, before={"checkpoint_id": "nonsense"})


async def test_an_unknown_checkpoint_is_an_empty_state(resources: Resources, thread_id: UUID) -> None:
    unknown = str(uuid4())

    state = await resources.threads.get_state(thread_id, checkpoint={"checkpoint_id": unknown})

    assert (state["values"], state["checkpoint_id"]) == ({}, unknown)
    with pytest.raises(ThreadNotFound):
        await resources.threads.get_state(uuid4())


async def test_the_state_of_a_busy_thread_is_read_from_its_checkpoints(
    resources: Resources, thread_id: UUID, start: Start, worker: HandWorker
) -> None:
    await start()
    claimed = await worker.claim_one()
    await execute(claimed, worker.saver(claimed), log=["i"], stop_before="c")

    state = await resources.threads.get_state(thread_id)

    assert (state["values"], state["next"]) == ({"log": ["i", "a", "b"]}, ["c"])


async def test_a_copy_has_the_state_and_the_history_but_not_the_runs(
    resources: Resources, thread_id: UUID, run_graph: Callable[..., Awaitable[Run]]
) -> None:
    await run_graph("i", stop_before="b", thread_status="interrupted")

    copied = await resources.threads.copy(thread_id)

    history = await resources.threads.history(copied.thread_id, limit=100)
    assert copied.thread_id.version == 4
    assert (copied.status, copied.values) == ("interrupted", {"log": ["i", "a"]})
    assert await resources.runs.list(copied.thread_id) == []
    assert [state["values"] for state in history] == [
        state["values"] for state in await resources.threads.history(thread_id, limit=100)
    ]
    assert {state["checkpoint"]["thread_id"] for state in history} == {str(copied.thread_id)}
    assert await resources.threads.get_state(copied.thread_id) == history[0]
    with pytest.raises(Conflict):
        await resources.threads.copy(uuid4())


async def test_a_copy_of_a_busy_thread_shows_its_newest_checkpoint(
    resources: Resources, thread_id: UUID, start: Start, worker: HandWorker
) -> None:
    await start()
    claimed = await worker.claim_one()
    await execute(claimed, worker.saver(claimed), log=["i"], stop_before="c")

    copied = await resources.threads.copy(thread_id)

    assert (copied.status, copied.values) == ("interrupted", {"log": ["i", "a", "b"]})
    assert (await resources.threads.get_state(copied.thread_id))["next"] == ["c"]


async def test_pruning_deletes_threads_or_all_but_their_newest_checkpoints(
    resources: Resources, thread_id: UUID, run_graph: Callable[..., Awaitable[Run]]
) -> None:
    await run_graph("i", stop_before="c", thread_status="error", error={"error": "E", "message": "m"})
    before = await resources.threads.history(thread_id, limit=100)

    assert await resources.threads.prune([thread_id, uuid4()], strategy="keep_latest") == 1

    (left,) = await resources.threads.history(thread_id, limit=100)
    thread = await resources.threads.get(thread_id)
    assert left == {**before[0], "parent_checkpoint": None, "parent_checkpoint_id": None}
    assert await resources.threads.get_state(thread_id) == left
    assert (thread.status, thread.error) == ("error", {"error": "E", "message": "m"})
    assert await resources.threads.prune([thread_id]) == 1
    with pytest.raises(ThreadNotFound):
        await resources.threads.get(thread_id)


async def test_a_deleted_thread_takes_everything_along_and_refuses_its_worker(
    resources: Resources, thread_id: UUID, start: Start, worker: HandWorker, database: Database
) -> None:
    run = await start()
    claimed = await worker.claim_one()
    await execute(claimed, worker.saver(claimed), log=["i"], stop_before="b")

    await resources.threads.delete(thread_id)

    with pytest.raises(LeaseLost):
        await execute(claimed, worker.saver(claimed), log=["late"])
    with pytest.raises(LeaseLost):
        await worker.finish(claimed)
    assert await resources.runs.result(run) == {}
    tables = ("runs", "checkpoints", "checkpoint_values", "checkpoint_writes", "checkpoint_tasks")
    async with database.connection() as connection:
        for table in tables:
            cursor = await connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table)))
            assert await cursor.fetchone() == (0,), table


async def test_deleting_the_newest_run_shows_the_state_before_it(
    resources: Resources, thread_id: UUID, run_graph: Callable[..., Awaitable[Run]]
) -> None:
    await run_graph("i")
    before = await resources.threads.get_state(thread_id)
    newest = await run_graph("j")

    await resources.runs.delete(thread_id, newest.run_id)

    assert await resources.threads.get_state(thread_id) == before
    assert (await resources.threads.get(thread_id)).values == before["values"]


async def test_storage_counts_what_the_checkpoints_take(
    resources: Resources, thread_id: UUID, run_graph: Callable[..., Awaitable[Run]]
) -> None:
    assert (await resources.threads.storage(thread_id))["total_bytes"] == 0

    await run_graph("i")

    storage = await resources.threads.storage(thread_id)
    assert storage["thread_id"] == str(thread_id)
    assert storage["checkpoints"]["count"] == 5
    assert storage["channel_values"]["by_channel"]["log"]["versions"] == 4
    assert storage["total_bytes"] == sum(
        storage[part]["bytes"] for part in ("checkpoints", "channel_values", "pending_writes")
    )
    with pytest.raises(ThreadNotFound):
        await resources.threads.storage(uuid4())


async def test_a_state_is_changed_only_while_no_run_is_in_flight(
    resources: Resources, thread_id: UUID, start: Start
) -> None:
    with pytest.raises(InvalidState, match="no graph"):
        await resources.threads.update_state(thread_id, values={})
    await start()
    with pytest.raises(ThreadBusy):
        await resources.threads.update_state(thread_id, values={})
    with pytest.raises(ThreadBusy):
        async with resources.threads.updating(thread_id):
            raise AssertionError("A run was in flight.")


async def test_a_run_waits_until_an_update_of_the_state_is_over(
    resources: Resources, thread_id: UUID, start: Start
) -> None:
    async with resources.threads.updating(thread_id):
        creating = asyncio.create_task(start())
        done, _ = await asyncio.wait({creating}, timeout=0.3)
        assert not done

    assert (await creating).status == "pending"
