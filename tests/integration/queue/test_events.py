"""The event log: fenced, repeatable, in order."""

from __future__ import annotations

from uuid import uuid4

import pytest

from lgnb.errors import QueueUnavailable
from lgnb.queue import Queue
from lgnb.queue.events import END, EventLog


def _batch(*numbers: int) -> list[tuple[int, str, bytes]]:
    return [(number, "values", b"%d" % number) for number in numbers]


async def test_events_are_read_in_order_from_any_place(events: EventLog) -> None:
    run_id = uuid4()
    assert await events.append(run_id, thread_id=uuid4(), attempt=1, events=_batch(1, 2, 3))

    everything = await events.read(run_id, after="0")
    rest = await events.read(run_id, after=everything[0].id)

    assert [(one.attempt, one.number, one.event, one.data) for one in everything] == [
        (1, 1, "values", b"1"),
        (1, 2, "values", b"2"),
        (1, 3, "values", b"3"),
    ]
    assert rest == everything[1:]
    assert await events.last_id(run_id) == everything[-1].id


async def test_an_older_attempt_is_refused_once_a_newer_one_has_written(events: EventLog) -> None:
    run_id = uuid4()
    await events.append(run_id, thread_id=uuid4(), attempt=1, events=_batch(1))
    await events.append(run_id, thread_id=uuid4(), attempt=2, events=_batch(1))

    assert not await events.append(run_id, thread_id=uuid4(), attempt=1, events=_batch(2))
    assert [one.attempt for one in await events.read(run_id, after="0")] == [1, 2]


async def test_a_batch_that_is_sent_again_is_appended_once(events: EventLog) -> None:
    """As after a connection that broke between the command and its reply."""
    run_id = uuid4()
    await events.append(run_id, thread_id=uuid4(), attempt=1, events=_batch(1, 2))

    assert await events.append(run_id, thread_id=uuid4(), attempt=1, events=_batch(1, 2))
    assert await events.append(run_id, thread_id=uuid4(), attempt=1, events=_batch(2, 3))
    assert await events.append_end(run_id, thread_id=uuid4(), attempt=1, number=4, status="success")
    assert await events.append_end(run_id, thread_id=uuid4(), attempt=1, number=4, status="success")

    found = await events.read(run_id, after="0")
    assert [one.number for one in found] == [1, 2, 3, 4]
    assert found[-1].event == END


async def test_an_end_from_outside_is_appended_whatever_was_written_before(events: EventLog) -> None:
    run_id = uuid4()
    await events.append(run_id, thread_id=uuid4(), attempt=1, events=_batch(1, 2))

    assert await events.append_end(run_id, thread_id=uuid4(), attempt=1_000_000_000, number=0, status="interrupted")

    assert not await events.append(run_id, thread_id=uuid4(), attempt=2, events=_batch(1))
    assert [one.event for one in await events.read(run_id, after="0")] == ["values", "values", END]


async def test_a_redis_that_is_not_there_is_told_as_such() -> None:
    queue = Queue("unix:///nowhere/redis.sock", prefix="nowhere")

    with pytest.raises(QueueUnavailable):
        await EventLog(queue, ttl_seconds=60).append(uuid4(), thread_id=uuid4(), attempt=1, events=_batch(1))
    await queue.close()
