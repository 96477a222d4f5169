"""What the statements cost: how many there are, and how Postgres finds the rows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.memory import InMemorySaver
from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from lgnb.checkpoints.codec import Codec
from lgnb.checkpoints.saver import Saver
from lgnb.checkpoints.storage import PostgresStorage
from lgnb.db.checkpoints import CheckpointRepository
from lgnb.db.database import Database
from lgnb.db.queries import query
from lgnb.models.checkpoints import CheckpointPlace, SavedCheckpoint

from . import graphs


async def test_a_run_saves_in_a_few_statements_and_loads_in_one(
    storage: PostgresStorage, monkeypatch: pytest.MonkeyPatch
):
    config = {"configurable": {"thread_id": str(uuid4())}}
    await graphs.linear().compile(checkpointer=Saver(storage, Codec())).ainvoke(graphs.INPUT, config)
    statements: list[str] = []
    execute = AsyncConnection.execute

    async def counted(self: Any, statement: Any, *args: Any, **kw: Any) -> Any:
        statements.append(str(statement))
        return await execute(self, statement, *args, **kw)

    monkeypatch.setattr(AsyncConnection, "execute", counted)
    saver = Saver(storage, Codec(), behind=True)

    await graphs.linear().compile(checkpointer=saver).ainvoke({"log": ["again"]}, config)
    await saver.settled()

    # Five checkpoints and the writes of four tasks. The first one waits, since it extends a list that was loaded.
    assert 2 <= statements.count(query("checkpoint_save")) <= 5
    assert not [text for text in statements if text.upper().startswith(("BEGIN", "SET"))]
    state = await graphs.linear().compile(checkpointer=Saver(storage, Codec())).aget_state(config)
    assert state.metadata is not None
    assert state.metadata["step"] == 8
    assert state.next == ()


@pytest.mark.parametrize("latest", [False, True])
async def test_loading_finds_everything_by_primary_keys(database: Database, storage: PostgresStorage, latest: bool):
    graph = graphs.linear().compile(checkpointer=Saver(storage, Codec()))
    for _ in range(3):
        await graph.ainvoke(graphs.INPUT, {"configurable": {"thread_id": str(uuid4())}})

    one = None if latest else str(uuid4())

    async with database.transaction() as connection:
        await connection.execute("SET LOCAL enable_seqscan = off")
        cursor = await connection.execute(
            "EXPLAIN " + query("checkpoint_get"),
            {"asked": Jsonb([{"number": 0, "thread_id": str(uuid4()), "checkpoint_ns": "", "checkpoint_id": one}])},
        )
        plan = "\n".join(row[0] for row in await cursor.fetchall())

    for key in ("checkpoints_pkey", "checkpoint_values_pkey", "checkpoint_writes_pkey"):
        assert key in plan
    assert "Seq Scan" not in plan
    if latest:
        assert "Backward using checkpoints_pkey" in plan


async def test_an_unchanged_channel_is_stored_once(database: Database, storage: PostgresStorage):
    graph = graphs.linear().compile(checkpointer=Saver(storage, Codec()))
    thread_id = str(uuid4())
    for _ in range(3):
        await graph.ainvoke(graphs.INPUT, {"configurable": {"thread_id": thread_id}})
    await graph.ainvoke({"log": ["x"]}, {"configurable": {"thread_id": thread_id}})

    async with database.connection() as connection:
        cursor = await connection.execute(
            "SELECT channel, count(*) FROM checkpoint_values WHERE thread_id = %s GROUP BY channel", (thread_id,)
        )
        rows = dict(await cursor.fetchall())

    assert rows["nested"] == 3
    assert not [channel for channel in rows if channel.startswith("branch:")]


async def test_the_writes_of_a_task_are_one_row_and_what_comes_later_is_added(
    database: Database, storage: PostgresStorage
):
    task_id, thread_id = str(uuid4()), str(uuid4())
    saver, other = Saver(storage), InMemorySaver()
    config: Any = {"configurable": {"thread_id": thread_id, "checkpoint_ns": ""}}
    pending: list[Any] = []
    for one in (saver, other):
        place = await one.aput(config, empty_checkpoint(), {}, {})
        await one.aput_writes(place, [("a", 1), ("b", None), ("__error__", "x")], task_id)
        await one.aput_writes(place, [("c", 2)], task_id)
        await one.aput_writes(place, [("c", 2), ("d", 3), ("__error__", "y"), ("e", 4)], task_id)
        found = await one.aget_tuple(place)
        assert found is not None
        pending.append(sorted(found.pending_writes or (), key=str))
        async for listed in one.alist(config):
            assert sorted(listed.pending_writes or (), key=str) == pending[-1]

    async with database.connection() as connection:
        cursor = await connection.execute(
            "SELECT idx FROM checkpoint_writes WHERE thread_id = %s AND idx >= 0 ORDER BY idx", (thread_id,)
        )
        rows = [idx for (idx,) in await cursor.fetchall()]

    assert rows == [1, 3]
    assert pending[0] == pending[1]


async def test_runs_that_begin_together_load_together(
    database: Database, storage: PostgresStorage, monkeypatch: pytest.MonkeyPatch
):
    graph = graphs.linear().compile(checkpointer=Saver(storage, Codec()))
    thread_ids = [str(uuid4()) for _ in range(20)]
    for number, thread_id in enumerate(thread_ids[:10]):
        await graph.ainvoke({"log": [f"of {number}"]}, {"configurable": {"thread_id": thread_id}})
    groups: list[int] = []
    get = CheckpointRepository.get

    async def counted(self: CheckpointRepository, places: Sequence[CheckpointPlace]) -> list[SavedCheckpoint | None]:
        groups.append(len(places))
        return await get(self, places)

    monkeypatch.setattr(CheckpointRepository, "get", counted)
    found = await asyncio.gather(
        *(Saver(storage).aget_tuple({"configurable": {"thread_id": thread_id}}) for thread_id in thread_ids)
    )

    assert sum(groups) == 20
    assert len(groups) <= 5
    logs = [one.checkpoint["channel_values"]["log"] if one else None for one in found]
    assert [log[0] if log else None for log in logs] == [f"of {number}" for number in range(10)] + [None] * 10
