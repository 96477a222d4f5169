"""No write of a stale attempt may land, whatever it races with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import pytest
from langgraph.checkpoint.base import CheckpointMetadata, empty_checkpoint
from psycopg import sql

from lgnb.checkpoints.codec import Codec
from lgnb.checkpoints.saver import Saver
from lgnb.checkpoints.storage import PostgresStorage
from lgnb.db.checkpoints import CheckpointRepository
from lgnb.db.database import Database
from lgnb.errors import DatabaseUnavailable, LeaseLost
from lgnb.models.checkpoints import CheckpointKey, Fence, NewTasks, NewWrites, NextTasks

TABLES = ("checkpoints", "checkpoint_values", "checkpoint_writes", "checkpoint_tasks")
THREAD = uuid4()
CHECKPOINT = empty_checkpoint()
KEY = CheckpointKey(thread_id=THREAD, checkpoint_ns="", checkpoint_id=UUID(CHECKPOINT["id"]))
CONFIG = {"configurable": {"thread_id": str(THREAD), "checkpoint_ns": ""}}
SAVED = {"configurable": {"thread_id": str(THREAD), "checkpoint_ns": "", "checkpoint_id": CHECKPOINT["id"]}}
TASKS = NextTasks(next=("a",), tasks=({"id": "1", "name": "a", "subgraph": False},), channels=())


async def put(saver: Saver) -> None:
    checkpoint = {**CHECKPOINT, "channel_values": {"x": ["value"]}, "channel_versions": {"x": "1"}}
    await saver.aput(CONFIG, checkpoint, CheckpointMetadata(source="loop", step=1), {"x": "1"})


async def put_writes(saver: Saver) -> None:
    await saver.aput_writes(SAVED, [("x", "write")], str(uuid4()))


async def put_tasks(saver: Saver) -> None:
    saver.add_tasks(KEY, TASKS)
    await saver.settled()


every_write = pytest.mark.parametrize("write", [put, put_writes, put_tasks])
Write = Callable[[Saver], Awaitable[None]]


async def rows(database: Database) -> int:
    async with database.connection() as connection:
        total = 0
        for table in TABLES:
            cursor = await connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table)))
            total += (await cursor.fetchone())[0]
        return total


async def blocked(database: Database, pid: int) -> None:
    """Returns once some statement waits for the backend `pid`."""
    async with asyncio.timeout(10), database.connection() as connection:
        while True:
            cursor = await connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))", (pid,)
            )
            if (await cursor.fetchone())[0]:
                return
            await asyncio.sleep(0.02)


@every_write
async def test_the_current_attempt_writes(storage: PostgresStorage, database: Database, running: Fence, write: Write):
    await write(Saver(storage, Codec(), fence=running))

    assert await rows(database) > 0


@every_write
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE runs SET attempt = attempt + 1",
        "UPDATE runs SET status = 'pending'",
        "UPDATE runs SET status = 'success'",
        "DELETE FROM runs",
    ],
)
async def test_a_stale_attempt_writes_nothing(
    storage: PostgresStorage, database: Database, running: Fence, write: Write, change: str
):
    async with database.connection() as connection:
        await connection.execute(change)

    with pytest.raises(LeaseLost) as caught:
        await write(Saver(storage, Codec(), fence=running))

    assert (caught.value.run_id, caught.value.attempt) == (running.run_id, running.attempt)
    assert await rows(database) == 0


@every_write
async def test_a_write_during_a_take_over_waits_and_is_refused(
    storage: PostgresStorage, database: Database, running: Fence, write: Write
):
    async with database.transaction() as taker:
        await taker.execute("UPDATE runs SET attempt = attempt + 1 WHERE run_id = %s", (running.run_id,))
        writing = asyncio.create_task(write(Saver(storage, Codec(), fence=running)))
        await blocked(database, taker.info.backend_pid)
        assert not writing.done()

    with pytest.raises(LeaseLost):
        await writing
    assert await rows(database) == 0


@every_write
async def test_a_write_during_a_take_over_that_is_given_up_lands(
    storage: PostgresStorage, database: Database, running: Fence, write: Write
):
    async with database.connection() as taker:
        async with taker.transaction(force_rollback=True):
            await taker.execute("UPDATE runs SET attempt = attempt + 1 WHERE run_id = %s", (running.run_id,))
            writing = asyncio.create_task(write(Saver(storage, Codec(), fence=running)))
            await blocked(database, taker.info.backend_pid)

    await writing
    assert await rows(database) > 0


async def test_a_take_over_waits_for_a_write_under_way(storage: PostgresStorage, database: Database, running: Fence):
    """The next attempt starts from a checkpoint that cannot change behind its back."""

    async def take_over() -> None:
        async with database.connection() as connection:
            await connection.execute("UPDATE runs SET attempt = attempt + 1 WHERE run_id = %s", (running.run_id,))

    async with database.transaction() as writer:
        writes = NewWrites(key=KEY, task_id=uuid4(), task_path="", run_id=running.run_id, writes=())
        assert await CheckpointRepository(writer).save([(writes, running)]) == [True]
        taking = asyncio.create_task(take_over())
        await blocked(database, writer.info.backend_pid)
        assert not taking.done()

    await taking
    with pytest.raises(LeaseLost):
        await put(Saver(storage, Codec(), fence=running))


async def test_writes_of_one_run_do_not_wait_for_each_other(
    storage: PostgresStorage, database: Database, running: Fence
):
    async with database.transaction() as first:
        assert await CheckpointRepository(first).save([(NewTasks(key=KEY, tasks=TASKS), running)]) == [True]
        async with asyncio.timeout(5):
            await put_writes(Saver(storage, Codec(), fence=running))


@every_write
async def test_a_write_outlives_the_loss_of_its_connection(
    storage: PostgresStorage, database: Database, running: Fence, write: Write
):
    async with database.transaction() as holder:
        await holder.execute("SELECT 1 FROM runs WHERE run_id = %s FOR UPDATE", (running.run_id,))
        writing = asyncio.create_task(write(Saver(storage, Codec(), fence=running)))
        pid = holder.info.backend_pid
        await blocked(database, pid)
        cursor = await holder.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))", (pid,)
        )
        assert await cursor.fetchall() == [(True,)]
        assert await rows(database) == 0

    await writing
    assert await rows(database) > 0


async def test_a_write_gives_up_when_postgres_stays_away(database_uri: str, running: Fence):
    database = Database(database_uri, pool_size=2, application_name="closed")
    storage = PostgresStorage(database, patience_seconds=0.3)

    with pytest.raises(DatabaseUnavailable):
        await put(Saver(storage, Codec(), fence=running))


@every_write
async def test_without_a_fence_nothing_guards(storage: PostgresStorage, database: Database, write: Write):
    await write(Saver(storage, Codec()))

    assert await rows(database) > 0
