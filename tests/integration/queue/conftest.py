"""A connection to a real Redis, alone or a Cluster, with keys of each test's own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from lgnb.queue import Queue
from lgnb.queue.events import EventLog


@pytest.fixture(params=["alone", "cluster"])
def redis_uri(request: pytest.FixtureRequest) -> str:
    """Each test meets both kinds."""
    if request.param == "cluster":
        return request.getfixturevalue("redis_cluster").uri
    return request.getfixturevalue("servers")[1]


@pytest.fixture
async def queue(redis_uri: str, redis_prefix: str) -> AsyncIterator[Queue]:
    queue = Queue(redis_uri, prefix=redis_prefix)
    yield queue
    await queue.close()


@pytest.fixture
def events(queue: Queue) -> EventLog:
    return EventLog(queue, ttl_seconds=60)


@pytest.fixture
def until() -> Callable[..., Awaitable[None]]:
    """Wait until a condition holds."""

    async def wait(condition: Callable[[], bool], *, what: str, seconds: float = 5.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
            await asyncio.sleep(0.005)

    return wait
