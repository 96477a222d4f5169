"""A database of each test's own, the storage on it, and runs to fence with."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest

from lgnb.checkpoints.codec import Codec
from lgnb.checkpoints.saver import Saver
from lgnb.checkpoints.storage import PostgresStorage
from lgnb.db.database import Database
from lgnb.models.checkpoints import Fence


@pytest.fixture
async def database(database_uri: str) -> AsyncIterator[Database]:
    database = Database(database_uri, pool_size=6, application_name="checkpoint-tests")
    await database.open()
    yield database
    await database.close()


@pytest.fixture
def storage(database: Database) -> PostgresStorage:
    return PostgresStorage(database)


@pytest.fixture
def saver(storage: PostgresStorage) -> Saver:
    return Saver(storage, Codec())


@pytest.fixture
async def running(database: Database) -> Fence:
    """A running run and the attempt that holds it; its thread is named by `thread_of`."""
    fence = Fence(run_id=uuid.uuid4(), attempt=1)
    thread_id = uuid.uuid4()
    async with database.transaction() as connection:
        await connection.execute("INSERT INTO threads (thread_id) VALUES (%s)", (thread_id,))
        await connection.execute(
            "INSERT INTO runs (run_id, thread_id, assistant_id, graph_id, kwargs, multitask_strategy, created_at, "
            "status, attempt) VALUES (%s, %s, %s, 'g', '{}', 'reject', now(), 'running', 1)",
            (fence.run_id, thread_id, uuid.uuid4()),
        )
    return fence
