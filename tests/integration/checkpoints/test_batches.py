from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation

from lgnb.checkpoints.batches import SaveBatches
from lgnb.checkpoints.storage import PostgresStorage
from lgnb.db.checkpoints import CheckpointRepository, Saving
from lgnb.db.database import Database
from lgnb.errors import LeaseLost
from lgnb.models.checkpoints import CheckpointKey, Fence, NextTasks

TASKS = NextTasks(next=("a",), tasks=(), channels=("x",))


def place() -> CheckpointKey:
    return CheckpointKey(thread_id=uuid4(), checkpoint_ns="", checkpoint_id=uuid4())


def saving(key: CheckpointKey) -> Callable[[CheckpointRepository], Any]:
    async def save(checkpoints: CheckpointRepository) -> Saving:
        return await checkpoints.put_tasks(key, TASKS, fence=None)

    return save


async def refused(checkpoints: CheckpointRepository) -> Saving:
    connection: AsyncConnection[Any] = checkpoints._connection
    twice = UUID(int=1)
    return Saving(
        await connection.execute("INSERT INTO threads (thread_id) SELECT %s FROM generate_series(1, 2)", (twice,))
    )


async def saved(database: Database, keys: list[CheckpointKey]) -> int:
    async with database.connection() as connection:
        cursor = await connection.execute(
            "SELECT count(*) FROM checkpoint_tasks WHERE checkpoint_id = ANY (%s)",
            ([key.checkpoint_id for key in keys],),
        )
        row = await cursor.fetchone()
    assert row is not None
    return row[0]


async def test_saves_that_come_together_share_their_commits(database: Database) -> None:
    batches, keys = SaveBatches(database), [place() for _ in range(40)]
    async with database.connection() as connection:
        before = await (await connection.execute("SELECT pg_current_xact_id()::text::bigint")).fetchone()

    held = await asyncio.gather(*(batches.save(saving(key), size=1) for key in keys))

    async with database.connection() as connection:
        after = await (await connection.execute("SELECT pg_current_xact_id()::text::bigint")).fetchone()
    assert all(held)
    assert await saved(database, keys) == 40
    assert before is not None
    assert after is not None
    # The question is a transaction as well; other databases of the server count too.
    assert after[0] - before[0] < 30


async def test_a_refused_save_does_not_spoil_its_neighbours(database: Database) -> None:
    batches, keys = SaveBatches(database), [place() for _ in range(10)]

    saves = [batches.save(saving(key), size=1) for key in keys]
    saves.insert(5, batches.save(refused, size=1))
    answers = await asyncio.gather(*saves, return_exceptions=True)

    assert isinstance(answers.pop(5), UniqueViolation)
    assert answers == [True] * 10
    assert await saved(database, keys) == 10


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


@pytest.mark.parametrize("size", [1, 1 << 20])
async def test_large_saves_go_alone(database: Database, size: int) -> None:
    batches, keys = SaveBatches(database), [place() for _ in range(4)]

    assert all(await asyncio.gather(*(batches.save(saving(key), size=size) for key in keys)))

    assert await saved(database, keys) == 4
