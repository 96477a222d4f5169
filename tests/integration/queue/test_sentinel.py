"""A Redis that Sentinels watch over: whoever they call the primary is the one that is used."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from redis_topologies import WatchedPair

from lgnb.errors import QueueUnavailable, SettingsError
from lgnb.queue import Queue
from lgnb.queue.bells import Bells
from lgnb.queue.events import EventLog
from lgnb.queue.wakeups import WakeUps


@pytest.fixture(scope="module")
def pair(make_data_dir: Callable[[], Path]) -> Iterator[WatchedPair]:
    pair = WatchedPair(make_data_dir())
    yield pair
    pair.stop()


@pytest.fixture
async def queue(pair: WatchedPair) -> AsyncIterator[Queue]:
    queue = Queue(pair.uri, prefix="watched")
    yield queue
    await queue.close()


async def test_after_a_failover_the_new_primary_is_used(pair: WatchedPair, queue: Queue) -> None:
    events, bells, wakeups = EventLog(queue, ttl_seconds=60), Bells(queue), WakeUps(queue)
    bells.start()
    await queue.refuse_other_kind()
    assert await _appends(events)

    pair.primary.kill()
    deadline = time.monotonic() + 20
    while not (await _appends(events) and bells.connected):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)

    assert pair.replica.ask("INFO", "replication")["role"] == "master"
    run_id = uuid4()
    async with bells.listening(run_id) as bell:
        await events.append_end(run_id, thread_id=uuid4(), attempt=1, number=1, status="success")
        assert await bell.wait(timeout_seconds=2)
    await wakeups.ring("graph")
    assert await wakeups.wait(["graph"], timeout_seconds=2)
    assert pair.replica.ask("DBSIZE") > 0
    assert queue.pool_stats()["in_use"] == 1  # the bells
    await bells.stop()


async def test_a_name_that_no_sentinel_knows_is_told(pair: WatchedPair) -> None:
    queue = Queue(pair.uri.replace("/main", "/other"), prefix="watched")

    with pytest.raises(QueueUnavailable, match="MasterNotFoundError"):
        await queue.ping()
    await queue.close()


@pytest.mark.parametrize("scheme", ["redis", "redis+cluster"])
async def test_a_sentinel_is_not_taken_for_something_else(pair: WatchedPair, scheme: str) -> None:
    queue = Queue(f"{scheme}://{pair.sentinel.place}", prefix="watched")

    with pytest.raises(SettingsError, match=r"names a Sentinel; write it as redis\+sentinel://"):
        await queue.refuse_other_kind()
    await queue.close()


async def _appends(events: EventLog) -> bool:
    try:
        return await events.append(uuid4(), thread_id=uuid4(), attempt=1, events=[(1, "values", b"1")])
    except QueueUnavailable:
        return False
