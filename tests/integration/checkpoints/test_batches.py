from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from lgnb.checkpoints.batches import SaveBatches, SaveLine
from lgnb.checkpoints.storage import PostgresStorage
from lgnb.db.database import Database
from lgnb.errors import DatabaseUnavailable, LeaseLost
from lgnb.models.checkpoints import (
    Blob,
    CheckpointKey,
    Fence,
    NewTasks,
    NewWrites,
    NextTasks,
    TaskWrite,
)

TASKS = NextTasks(next=("a",), tasks=(), channels=("x",))
# Postgres takes no NUL in a text.
REFUSED = NextTasks(next=("\0",), tasks=(), channels=("x",))


@pytest.fixture
def batches(database: Database) -> SaveBatches:
    return SaveBatches(database, patience_seconds=5)


def place() -> CheckpointKey:
    return CheckpointKey(thread_id=uuid4(), checkpoint_ns="", checkpoint_id=uuid4())


async def save(batches: SaveBatches, key: CheckpointKey, tasks: NextTasks = TASKS) -> None:
    line = batches.line(None)
    line.add(NewTasks(key=key, tasks=tasks))
    await line.flush()


async def saved(database: Database, keys: list[CheckpointKey]) -> int:
    async with database.connection() as connection:
        cursor = await connection.execute(
            "SELECT count(*) FROM checkpoint_tasks WHERE checkpoint_id = ANY (%s)",
            ([key.checkpoint_id for key in keys],),
        )
        row = await cursor.fetchone()
    assert row is not None
    return row[0]


async def test_saves_that_come_together_share_their_commits(database: Database, batches: SaveBatches) -> None:
    keys = [place() for _ in range(40)]
    async with database.connection() as connection:
        before = await (await connection.execute("SELECT pg_current_xact_id()::text::bigint")).fetchone()

    await asyncio.gather(*(save(batches, key) for key in keys))

    async with database.connection() as connection:
        after = await (await connection.execute("SELECT pg_current_xact_id()::text::bigint")).fetchone()
    assert await saved(database, keys) == 40
    assert before is not None
    assert after is not None
    # The question is a transaction as well; other databases of the server count too.
    assert after[0] - before[0] < 30


async def test_a_refused_save_does_not_spoil_its_neighbours(database: Database, batches: SaveBatches) -> None:
    keys = [place() for _ in range(10)]

    saves = [save(batches, key) for key in keys]
    saves.insert(5, save(batches, place(), REFUSED))
    answers = await asyncio.gather(*saves, return_exceptions=True)

    assert "\\u0000" in str(answers.pop(5))
    assert answers == [None] * 10
    assert await saved(database, keys) == 10


async def test_nothing_is_saved_after_a_save_that_was_refused(database: Database, batches: SaveBatches) -> None:
    first, second, third = place(), place(), place()
    line = batches.line(None)

    line.add(NewTasks(key=first, tasks=TASKS))
    line.add(NewTasks(key=place(), tasks=REFUSED))
    line.add(NewTasks(key=second, tasks=TASKS))
    with pytest.raises(Exception, match="u0000") as caught:
        await line.flush()

    with pytest.raises(type(caught.value)):
        line.add(NewTasks(key=third, tasks=TASKS))
    assert [await saved(database, [key]) for key in (first, second, third)] == [1, 0, 0]


async def test_each_save_of_a_batch_has_a_fence_of_its_own(
    database: Database, storage: PostgresStorage, running: Fence
) -> None:
    keys = [place() for _ in range(3)]
    lost = Fence(running.run_id, running.attempt + 1)

    answers = await asyncio.gather(
        *(storage.put_tasks(key, TASKS, fence=fence) for key, fence in zip(keys, (running, lost, None), strict=True)),
        return_exceptions=True,
    )

    assert [type(answer) for answer in answers] == [type(None), LeaseLost, type(None)]
    assert await saved(database, keys) == 2


async def test_the_last_of_two_saves_of_one_row_counts(database: Database, batches: SaveBatches) -> None:
    key, later = place(), NextTasks(next=("b",), tasks=(), channels=("x",))
    line = batches.line(None)

    line.add(NewTasks(key=key, tasks=TASKS))
    line.add(NewTasks(key=key, tasks=later))
    await line.flush()

    async with database.connection() as connection:
        cursor = await connection.execute(
            "SELECT next FROM checkpoint_tasks WHERE checkpoint_id = %s", (key.checkpoint_id,)
        )
        assert await cursor.fetchall() == [(["b"],)]


async def test_large_saves_go_alone(database: Database, batches: SaveBatches) -> None:
    line, data = batches.line(None), b"x" * (1 << 20)
    keys = [place() for _ in range(3)]

    for key in keys:
        write = TaskWrite(idx=0, channel="x", blob=Blob("msgpack", data))
        line.add(NewWrites(key=key, task_id=uuid4(), task_path="", run_id=None, writes=(write,)))
    await line.flush()

    async with database.connection() as connection:
        cursor = await connection.execute(
            "SELECT length(value) FROM checkpoint_writes WHERE checkpoint_id = ANY (%s)",
            ([key.checkpoint_id for key in keys],),
        )
        assert await cursor.fetchall() == [(len(data),)] * 3


async def test_loops_of_several_threads_save_at_the_same_time(database: Database, batches: SaveBatches) -> None:
    keys = [[place() for _ in range(50)] for _ in range(4)]

    async def work(of_thread: list[CheckpointKey]) -> None:
        line = batches.line(None)
        for key in of_thread:
            line.add(NewTasks(key=key, tasks=TASKS))
            await asyncio.sleep(0)
        await line.flush()

    await asyncio.gather(*(asyncio.to_thread(asyncio.run, work(of_thread)) for of_thread in keys))  # type: ignore[arg-type]

    assert await saved(database, [key for of_thread in keys for key in of_thread]) == 200


async def test_nothing_overtakes_a_save_that_postgres_cannot_take_yet(
    database: Database, batches: SaveBatches, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [place(), place()]
    line: SaveLine = batches.line(None)
    tried: list[int] = []
    hold = batches._held

    async def away(batch: Any) -> list[bool]:
        tried.append(len(batch))
        if len(tried) < 3:
            raise DatabaseUnavailable("away")
        return await hold(batch)

    monkeypatch.setattr(batches, "_held", away)
    line.add(NewTasks(key=keys[0], tasks=TASKS))
    while not tried:
        await asyncio.sleep(0.01)
    line.add(NewTasks(key=keys[1], tasks=TASKS))
    await line.flush()

    assert tried == [1, 1, 1, 1]
    assert await saved(database, keys) == 2


async def test_what_postgres_never_takes_is_told(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = SaveBatches(database, patience_seconds=0.2)
    line = batches.line(None)

    async def away(batch: Any) -> list[bool]:
        raise DatabaseUnavailable("away")

    monkeypatch.setattr(batches, "_held", away)
    line.add(NewTasks(key=place(), tasks=TASKS))
    with pytest.raises(DatabaseUnavailable):
        await line.flush()
