"""Threads that expire: deleted or cut down, once, and never under a run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from langgraph.checkpoint.base import empty_checkpoint

from lgnb.db.database import Database
from lgnb.errors import ThreadNotFound
from lgnb.graphs.configuration import Configuration
from lgnb.graphs.descriptor_views import GraphDescriptor
from lgnb.models.runs import RunRequest
from lgnb.models.threads import ThreadTtl, ThreadTtlConfig
from lgnb.queue import Queue
from lgnb.resources import Resources, build_resources
from lgnb.settings import Settings
from lgnb.worker.expiry import ThreadSweeper

GRAPH = "sums"


async def _expire(database: Database, thread_id: UUID) -> None:
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE threads SET expires_at = now() - interval '1 s' WHERE thread_id = %s", (thread_id,)
        )


async def _create(resources: Resources, strategy: Any = "delete") -> UUID:
    ttl = ThreadTtl(ttl_minutes=10, strategy=strategy)
    return (await resources.threads.create(ttl=ttl)).thread_id


async def _checkpoints(database: Database, thread_id: UUID) -> int:
    async with database.connection() as connection:
        cursor = await connection.execute("SELECT count(*) FROM checkpoints WHERE thread_id = %s", (thread_id,))
        row = await cursor.fetchone()
    assert row is not None
    return row[0]


async def _run_with_checkpoints(resources: Resources, worker: Any, thread_id: UUID, count: int = 3) -> None:
    """A run that saves some checkpoints, one after the other."""
    await resources.runs.create(thread_id, RunRequest(assistant_id=GRAPH))
    claimed = await worker.claim_one()
    saver = worker.saver(claimed)
    config: Any = {"configurable": {"thread_id": str(thread_id), "checkpoint_ns": ""}}
    for step in range(count):
        checkpoint = empty_checkpoint()
        version = f"{step + 1:010}.0"
        checkpoint["channel_values"] = {"n": [step] * 50}
        checkpoint["channel_versions"] = {"n": version}
        config = await saver.aput(config, checkpoint, {"source": "loop", "step": step}, {"n": version})
    await worker.finish(claimed)


async def test_an_expired_thread_is_deleted_with_its_runs_and_checkpoints_once(
    resources: Resources, database: Database, worker: Any
) -> None:
    thread_id = await _create(resources)
    await _run_with_checkpoints(resources, worker, thread_id)
    living = await _create(resources)
    await _expire(database, thread_id)

    assert sorted(await asyncio.gather(resources.threads.expire(), resources.threads.expire())) == [0, 1]

    with pytest.raises(ThreadNotFound):
        await resources.threads.get(thread_id)
    assert await _checkpoints(database, thread_id) == 0
    assert await resources.threads.get(living)


async def test_a_thread_that_keeps_its_latest_is_cut_down_and_expires_again(
    resources: Resources, database: Database, worker: Any
) -> None:
    thread_id = await _create(resources, "keep_latest")
    await _run_with_checkpoints(resources, worker, thread_id)
    before = await resources.threads.get_state(thread_id)
    await _expire(database, thread_id)

    assert await resources.threads.expire() == 1
    assert await resources.threads.expire() == 0

    assert await _checkpoints(database, thread_id) == 1
    assert (await resources.threads.get_state(thread_id))["values"] == before["values"]
    ttl = await resources.threads.ttl(thread_id)
    assert ttl is not None
    assert ttl.expires_at is not None


async def test_a_busy_thread_waits_until_its_run_has_ended(
    resources: Resources, database: Database, worker: Any
) -> None:
    thread_id = await _create(resources)
    await resources.runs.create(thread_id, RunRequest(assistant_id=GRAPH))
    claimed = await worker.claim_one()
    await _expire(database, thread_id)

    assert await resources.threads.expire() == 0

    await worker.finish(claimed)
    assert await resources.threads.expire() == 1


async def test_a_thread_that_got_more_time_meanwhile_lives_on(resources: Resources, database: Database) -> None:
    thread_id = await _create(resources)
    await _expire(database, thread_id)
    await resources.threads.update(thread_id, ttl=ThreadTtl(ttl_minutes=10, strategy="delete"))

    assert await resources.threads.expire() == 0


async def test_the_sweeper_expires_threads_by_itself(
    resources: Resources, database: Database, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources.threads, "_ttl", ThreadTtlConfig(sweep_interval_minutes=0.001))
    thread_id = await _create(resources)
    await _expire(database, thread_id)
    sweeping = asyncio.create_task(ThreadSweeper(resources.threads).run())

    async def gone() -> bool:
        return await resources.threads.count() == 0

    await until(gone, "the thread is gone")
    sweeping.cancel()


class TestWithADefault:
    @pytest.fixture
    async def resources(self, database: Database, queue: Queue, settings: Settings) -> AsyncIterator[Resources]:
        ttl = ThreadTtlConfig(default=ThreadTtl(ttl_minutes=7, strategy="keep_latest"))
        resources = await build_resources(
            database=database, queue=queue, settings=settings, configuration=Configuration(thread_ttl=ttl)
        )
        await resources.assistants.register(GraphDescriptor(graph_id=GRAPH, name=GRAPH))
        yield resources
        await resources.close()

    async def test_every_way_to_make_a_thread_gives_it_the_default_and_a_word_of_the_creator_counts_more(
        self, resources: Resources
    ) -> None:
        made = await resources.threads.create()
        copied = await resources.threads.copy(made.thread_id)
        kept = await resources.runs.create(None, RunRequest(assistant_id=GRAPH, on_completion="keep"))
        own = await _create(resources)

        for thread_id in (made.thread_id, copied.thread_id, kept.thread_id):
            ttl = await resources.threads.ttl(thread_id)
            assert ttl is not None
            assert (ttl.ttl_minutes, ttl.strategy) == (7, "keep_latest")
        ttl = await resources.threads.ttl(own)
        assert ttl is not None
        assert (ttl.ttl_minutes, ttl.strategy) == (10, "delete")
