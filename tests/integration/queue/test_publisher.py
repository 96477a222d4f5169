"""The publisher of a worker: in order, without holes, and silent once its run has ended."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from uuid import UUID, uuid4

import pytest

from lgnb.queue import Queue
from lgnb.queue.events import END, EventLog
from lgnb.worker.publisher import Publisher


@pytest.fixture
def make_publisher(events: EventLog) -> Callable[..., Publisher]:
    return partial(_publisher, events)


def _publisher(log: EventLog, run_id: UUID, *, attempt: int = 1) -> Publisher:
    return Publisher(log, run_id=run_id, thread_id=uuid4(), attempt=attempt, loop=asyncio.get_running_loop())


async def test_events_of_another_thread_arrive_in_order(
    events: EventLog, make_publisher: Callable[..., Publisher]
) -> None:
    run_id = uuid4()
    publisher = make_publisher(run_id)

    def speak() -> None:
        for number in range(2000):
            publisher.publish("values", b"%d" % number)

    thread = threading.Thread(target=speak)
    thread.start()
    await asyncio.to_thread(thread.join)
    await publisher.close("success")

    found = await events.read(run_id, after="0", count=5000)
    assert [one.number for one in found] == list(range(1, 2002))
    assert [one.data for one in found[:-1]] == [b"%d" % number for number in range(2000)]
    assert (found[-1].event, found[-1].data) == (END, b"success")


async def test_nothing_follows_the_end(events: EventLog, make_publisher: Callable[..., Publisher]) -> None:
    run_id = uuid4()
    publisher = make_publisher(run_id)
    publisher.publish("values", b"1")
    await publisher.close("interrupted")

    publisher.publish("values", b"2")
    await publisher.flush()

    assert [one.event for one in await events.read(run_id, after="0")] == ["values", END]


async def test_an_outdated_attempt_is_not_heard(events: EventLog, make_publisher: Callable[..., Publisher]) -> None:
    run_id = uuid4()
    old, new = make_publisher(run_id), make_publisher(run_id, attempt=2)
    new.publish("metadata", b"new")
    await new.flush()

    old.publish("values", b"late")
    await old.flush()

    assert old.outdated
    assert [one.data for one in await events.read(run_id, after="0")] == [b"new"]


async def test_a_run_ends_although_redis_is_away() -> None:
    """It gives up after some seconds: readers then see the end in Postgres."""
    queue = Queue("unix:///nowhere/redis.sock", prefix="nowhere")
    publisher = _publisher(EventLog(queue, ttl_seconds=60), uuid4())

    publisher.publish("values", b"1")
    async with asyncio.timeout(15):
        await publisher.close("success")
    await queue.close()

    await asyncio.sleep(0)  # a task that was cancelled has ended by the next round
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("lgnb-send")]
