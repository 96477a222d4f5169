"""The protocol log of a thread on a real Redis: numbers, the fence, the end, and what can be lost."""

from __future__ import annotations

import asyncio
import time
from uuid import UUID, uuid4

import pytest

from lgnb.models.protocol import ProtocolEvent
from lgnb.queue import Queue
from lgnb.queue.thread_log import OUTSIDE, ThreadLog


@pytest.fixture
def log(queue: Queue) -> ThreadLog:
    return ThreadLog(queue, ttl_seconds=60)


def event(text: str, *, event_id: str = "") -> ProtocolEvent:
    return ProtocolEvent(method="custom", namespace=("a:1",), params=text.encode(), name="n", event_id=event_id)


async def put(log: ThreadLog, thread: UUID, run: UUID, *texts: str, attempt: int = 1, ended: bool = False) -> bool:
    return await log.append(thread, run_id=run, attempt=attempt, events=[event(text) for text in texts], ended=ended)


async def test_numbers_rise_by_one_over_runs_and_processes(log: ThreadLog, redis_uri: str, redis_prefix: str) -> None:
    thread, first, second = uuid4(), uuid4(), uuid4()
    other_queue = Queue(redis_uri, prefix=redis_prefix)
    other = ThreadLog(other_queue, ttl_seconds=60)

    await put(log, thread, first, "1", "2", ended=True)
    await put(other, thread, second, "3")
    await put(log, thread, second, "4")

    stored = await log.read(thread, after=0)
    assert [one.params for one in stored] == [b"1", b"2", b"3", b"4"]
    assert [one.seq - stored[0].seq for one in stored] == [0, 1, 2, 3]
    assert [one.event_id for one in stored] == [f"{one.seq}-0" for one in stored]
    assert [one.params for one in await other.read(thread, after=stored[1].seq)] == [b"3", b"4"]
    await other_queue.close()


async def test_several_writers_never_give_a_number_twice(log: ThreadLog) -> None:
    thread = uuid4()

    await asyncio.gather(*(put(log, thread, uuid4(), "a", "b") for _ in range(20)))

    numbers = [one.seq for one in await log.read(thread, after=0)]
    assert numbers == list(range(numbers[0], numbers[0] + 40))


async def test_an_outdated_attempt_is_refused(log: ThreadLog) -> None:
    thread, run = uuid4(), uuid4()

    assert await put(log, thread, run, "new", attempt=2)
    assert not await put(log, thread, run, "old", attempt=1)

    assert [one.params for one in await log.read(thread, after=0)] == [b"new"]


async def test_a_batch_that_is_sent_twice_is_there_once(log: ThreadLog) -> None:
    thread, run = uuid4(), uuid4()
    batch = [event("1"), event("2")]

    await log.append(thread, run_id=run, attempt=1, events=batch, first=1)
    await log.append(thread, run_id=run, attempt=1, events=batch, first=1)
    await log.append(thread, run_id=run, attempt=1, events=[event("3")], first=3)
    await log.append(thread, run_id=run, attempt=2, events=[event("retried")], first=1)

    stored = await log.read(thread, after=0)
    assert [one.params for one in stored] == [b"1", b"2", b"3", b"retried"]
    assert [one.seq - stored[0].seq for one in stored] == [0, 1, 2, 3]


async def test_after_the_end_of_a_run_nothing_of_it_is_taken(log: ThreadLog) -> None:
    thread, run, next_run = uuid4(), uuid4(), uuid4()

    assert await put(log, thread, run, "end", attempt=OUTSIDE, ended=True)
    assert not await put(log, thread, run, "late")
    assert not await put(log, thread, run, "end again", attempt=OUTSIDE, ended=True)
    assert await put(log, thread, next_run, "next")

    assert [one.params for one in await log.read(thread, after=0)] == [b"end", b"next"]


async def test_an_event_may_have_an_id_of_its_own(log: ThreadLog) -> None:
    thread = uuid4()
    await log.append(thread, run_id=uuid4(), attempt=1, events=[event("1", event_id="synth:x")])

    [stored] = await log.read(thread, after=0)

    assert (stored.event_id, stored.namespace, stored.name) == ("synth:x", ("a:1",), "n")


async def test_the_counter_outlives_the_events(log: ThreadLog, queue: Queue) -> None:
    thread = uuid4()
    await put(log, thread, uuid4(), "1", "2", ended=True)
    last = (await log.read(thread, after=0))[-1].seq
    await queue.redis.delete(queue.keys.thread_protocol(thread))

    extent = await log.extent(thread)
    await put(log, thread, uuid4(), "3")

    assert (extent.first, extent.last) == (None, last)
    assert [one.seq for one in await log.read(thread, after=last)] == [last + 1]


async def test_a_lost_counter_begins_above_every_number_given_before(log: ThreadLog, queue: Queue) -> None:
    thread = uuid4()
    await put(log, thread, uuid4(), "1")
    before = (await log.read(thread, after=0))[0].seq
    async for key in queue.redis.scan_iter(f"{queue.keys.prefix}*"):
        await queue.redis.delete(key)
    # The clock, not the counter, makes the difference.
    while time.time_ns() // 1_000_000 <= before:
        await asyncio.sleep(0.001)

    await put(log, thread, uuid4(), "2")

    [stored] = await log.read(thread, after=before)
    assert stored.params == b"2"


async def test_a_thread_is_watched_for_a_while(log: ThreadLog, queue: Queue) -> None:
    thread = uuid4()
    assert not await log.is_watched(thread)

    await log.watch(thread)

    assert await log.is_watched(thread)
    assert 0 < await queue.redis.pttl(queue.keys.thread_watched(thread)) <= 30_000


async def test_only_so_many_events_of_a_thread_are_kept(queue: Queue) -> None:
    log, thread = ThreadLog(queue, ttl_seconds=60, most_kept=10), uuid4()

    await put(log, thread, uuid4(), *(str(number) for number in range(1000)))

    # Redis trims whole nodes of the stream.
    kept = await log.read(thread, after=0, count=1000)
    assert 10 <= len(kept) < 300
    assert kept[-1].params == b"999"


async def test_an_event_that_is_too_large_is_told_as_a_gap_in_its_place(queue: Queue) -> None:
    log, thread = ThreadLog(queue, ttl_seconds=60, most_bytes=100), uuid4()
    sizes = (10, 1000, 10)
    events = [ProtocolEvent(method="values", namespace=("a",), params=b'"' + b"x" * size + b'"') for size in sizes]

    await log.append(thread, run_id=uuid4(), attempt=1, events=events, first=1)

    stored = await log.read(thread, after=0)
    assert [event.method for event in stored] == ["values", "gap", "values"]
    assert stored[1].namespace == ("a",)
    assert b"'values' of 1002 bytes was left out" in stored[1].params
