"""Resources on a real Postgres and Redis, and a worker that a test plays by hand."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest

from lgnb.checkpoints.codec import Codec
from lgnb.checkpoints.saver import Saver
from lgnb.db.database import Database
from lgnb.graphs.descriptor_views import GraphDescriptor
from lgnb.models.checkpoints import Fence
from lgnb.models.runs import ClaimedRun, Run, RunOutcome, RunRequest
from lgnb.queue import Queue
from lgnb.resources import Resources, build_resources
from lgnb.settings import Settings

GRAPH = "sums"


@pytest.fixture
async def database(database_uri: str) -> AsyncIterator[Database]:
    database = Database(database_uri, pool_size=24, application_name="resource-tests")
    await database.open()
    yield database
    await database.close()


@pytest.fixture
async def queue(redis_uri: str, redis_prefix: str) -> AsyncIterator[Queue]:
    queue = Queue(redis_uri, prefix=redis_prefix)
    yield queue
    await queue.close()


@pytest.fixture
def settings() -> Settings:
    return Settings(lease_seconds=30, max_attempts=3)


@pytest.fixture
async def resources(database: Database, queue: Queue, settings: Settings) -> AsyncIterator[Resources]:
    resources = await build_resources(database=database, queue=queue, settings=settings)
    await resources.assistants.register(GraphDescriptor(graph_id=GRAPH, name=GRAPH))
    yield resources
    await resources.close()


@dataclass
class HandWorker:
    """A worker whose every step a test takes itself."""

    resources: Resources
    worker_id: UUID = field(default_factory=uuid4)

    async def register(self, *, pid: int = 1) -> HandWorker:
        await self.resources.leases.register(self.worker_id, host_name="here", pid=pid, graph_ids=[GRAPH], jobs=100)
        return self

    async def claim(self, limit: int = 100) -> list[ClaimedRun]:
        return await self.resources.leases.claim(self.worker_id, graph_ids=[GRAPH], limit=limit)

    async def claim_one(self) -> ClaimedRun:
        (claimed,) = await self.claim()
        return claimed

    async def finish(self, claimed: ClaimedRun, **outcome: Any) -> None:
        ended: dict[str, Any] = {"status": "success", "thread_status": "idle", "result": b"{}"}
        await self.resources.leases.finish(claimed, RunOutcome(**{**ended, **outcome}))

    async def finish_with(self, claimed: ClaimedRun, state: dict[str, Any], **outcome: Any) -> None:
        ended: dict[str, Any] = {"status": "success", "thread_status": "idle", "result": b"{}"}
        await self.resources.leases.finish(claimed, RunOutcome(**{**ended, **outcome}).with_state(state))

    def saver(self, claimed: ClaimedRun) -> Saver:
        return Saver(self.resources.storage, Codec(), fence=Fence(claimed.run_id, claimed.attempt))

    async def lose(self, database: Database) -> None:
        """Let the lease end, as if nobody had renewed it."""
        async with database.connection() as connection:
            await connection.execute(
                "UPDATE workers SET lease_expires_at = clock_timestamp() - interval '1 second' WHERE worker_id = %s",
                (self.worker_id,),
            )


@pytest.fixture
async def worker(resources: Resources) -> HandWorker:
    return await HandWorker(resources).register()


@pytest.fixture
async def second_worker(resources: Resources) -> HandWorker:
    return await HandWorker(resources).register(pid=2)


@pytest.fixture
async def vectors(database: Database) -> None:
    """The embedded Postgres always has pgvector; one that was named for the tests may lack it, and need not have it."""
    async with database.connection() as connection:
        cursor = await connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'")
        available = await cursor.fetchone() is not None
    if not available and "LGNB_TEST_POSTGRES_URI" in os.environ:
        pytest.skip("this Postgres has no pgvector")


@pytest.fixture
async def thread_id(resources: Resources) -> UUID:
    return (await resources.threads.create()).thread_id


@pytest.fixture
def start(resources: Resources, thread_id: UUID) -> Callable[..., Awaitable[Run]]:
    """Create a run on the thread of the test."""

    async def create(**request: Any) -> Run:
        return await resources.runs.create(thread_id, RunRequest(assistant_id=GRAPH, **request))

    return create


@pytest.fixture
def until() -> Callable[..., Awaitable[Any]]:
    """Wait until a coroutine function answers something true, and return that."""

    async def wait(ask: Callable[[], Awaitable[Any]], what: str, *, seconds: float = 10) -> Any:
        try:
            async with asyncio.timeout(seconds):
                while not (answer := await ask()):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"{what}: not within {seconds:g} s") from None
        return answer

    return wait
