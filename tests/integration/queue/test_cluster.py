"""What only a Cluster does: keys that move to another node, and nodes that are not all there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from redis_topologies import Cluster

from lgnb.queue import Queue
from lgnb.queue.events import EventLog


@pytest.fixture
async def queue(redis_cluster: Cluster) -> AsyncIterator[Queue]:
    queue = Queue(redis_cluster.uri, prefix="cluster")
    yield queue
    await queue.close()


async def test_keys_are_followed_to_another_node(redis_cluster: Cluster, queue: Queue) -> None:
    """While they move and afterwards."""
    events, run_id, thread_id = EventLog(queue, ttl_seconds=60), uuid4(), uuid4()

    async def append(number: int) -> None:
        assert await events.append(run_id, thread_id=thread_id, attempt=1, events=[(number, "values", b"")])

    await append(1)
    with redis_cluster.moving(queue.keys.run_events(run_id)):
        await append(2)
        assert [one.number for one in await events.read(run_id, after="0")] == [1, 2]
    await append(3)

    assert [one.number for one in await events.read(run_id, after="0")] == [1, 2, 3]
    assert not await events.append(run_id, thread_id=thread_id, attempt=0, events=[(9, "values", b"")])


@pytest.mark.parametrize("number", [0, 2])
async def test_a_client_may_begin_while_a_node_is_away(redis_cluster: Cluster, number: int) -> None:
    """Whether it is one of those that were named, or one that has to be found out."""
    queue = Queue(redis_cluster.uri, prefix="cluster")
    with redis_cluster.without(redis_cluster.nodes[number]):
        facts = await queue.facts()

    assert [not told for told in facts.values()].count(True) == 1
    await queue.close()


async def test_more_commands_than_connections_wait_for_one(redis_cluster: Cluster) -> None:
    queue = Queue(redis_cluster.uri, prefix="cluster", max_connections=4)
    events = EventLog(queue, ttl_seconds=60)

    done = await asyncio.gather(
        *(events.append(uuid4(), thread_id=uuid4(), attempt=1, events=[(1, "values", b"")]) for _ in range(200))
    )

    assert done == [True] * 200
    assert queue.pool_stats()["pool_size"] <= 3 * 4
    await queue.close()
