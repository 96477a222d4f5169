"""Following runs: complete and in order, from any place, and honest about what was lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import orjson
import pytest

from lgnb.models.runs import ClaimedRun, Run, RunRequest
from lgnb.models.streams import StreamEvent
from lgnb.queue import Queue
from lgnb.resources import Resources

from .conftest import GRAPH, HandWorker

Start = Callable[..., Awaitable[Run]]


class Log:
    """Writes events of one attempt, numbered as a worker does."""

    def __init__(self, resources: Resources, claimed: ClaimedRun) -> None:
        self._events = resources.events
        self._claimed = claimed
        self._number = 0

    async def write(self, *names: str) -> bool:
        events: list[tuple[int, str, bytes]] = []
        for name in names:
            self._number += 1
            events.append((self._number, name, orjson.dumps(self._number)))
        return await self._events.append(
            self._claimed.run_id, thread_id=self._claimed.thread_id, attempt=self._claimed.attempt, events=events
        )

    async def end(self, *, result: bytes = b"") -> None:
        self._number += 1
        await self._events.append_end(
            self._claimed.run_id,
            thread_id=self._claimed.thread_id,
            attempt=self._claimed.attempt,
            number=self._number,
            status="success",
            result=result,
        )


@pytest.fixture
async def resumable(start: Start) -> Run:
    return await start(stream_resumable=True)


@pytest.fixture
async def claimed(resumable: Run, worker: HandWorker) -> ClaimedRun:
    return await worker.claim_one()


@pytest.fixture
def log(resources: Resources, claimed: ClaimedRun) -> Log:
    return Log(resources, claimed)


@pytest.fixture
def follow(resources: Resources) -> Callable[..., Awaitable[list[StreamEvent]]]:
    """All events until the end, which has to come in time."""

    async def collect(run: Run, after: str | None = "0", modes: list[str] | None = None) -> list[StreamEvent]:
        async with asyncio.timeout(15):
            return [event async for event in resources.runs.stream(run, after=after, modes=modes)]

    return collect


def names(events: list[StreamEvent]) -> list[str]:
    return [event.event for event in events]


async def test_a_stream_has_every_event_in_order_and_ends_with_the_run(
    resumable: Run, claimed: ClaimedRun, log: Log, follow: Any, worker: HandWorker
) -> None:
    following = asyncio.create_task(follow(resumable))
    await log.write("metadata")
    for _ in range(300):
        await log.write("values", "updates")
    await worker.finish(claimed)
    await log.end()

    events = await following

    assert [orjson.loads(event.data) for event in events] == list(range(1, 602))
    ids = [event.id for event in events]
    assert all(ids)
    assert len(set(ids)) == len(ids)


async def test_a_stream_resumes_behind_any_event(
    resumable: Run, claimed: ClaimedRun, log: Log, follow: Any, worker: HandWorker
) -> None:
    await log.write("metadata", "values", "values", "updates")
    await worker.finish(claimed)
    await log.end()

    whole = await follow(resumable, "-1")

    assert names(whole) == ["metadata", "values", "values", "updates"]
    for number, event in enumerate(whole):
        assert await follow(resumable, event.id) == whole[number + 1 :]


async def test_events_of_a_run_that_is_not_resumable_have_no_id(
    resources: Resources, worker: HandWorker, start: Start, follow: Any
) -> None:
    run = await start()
    claimed = await worker.claim_one()
    log = Log(resources, claimed)
    await log.write("metadata")
    await worker.finish(claimed)
    await log.end()

    assert [event.id for event in await follow(run)] == [None]


async def test_whoever_joins_later_gets_later_events_only(
    resources: Resources, resumable: Run, claimed: ClaimedRun, log: Log, worker: HandWorker
) -> None:
    await log.write("metadata", "values")
    events = resources.runs.stream(resumable)
    first = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0.2)
    await log.write("updates")

    assert (await first).event == "updates"
    await worker.finish(claimed)
    await log.end()
    assert [event async for event in events] == []


async def test_joining_an_ended_run_is_over_at_once(
    resources: Resources, resumable: Run, claimed: ClaimedRun, log: Log, follow: Any, worker: HandWorker
) -> None:
    await log.write("metadata")
    await worker.finish(claimed)
    await log.end()
    ended = await resources.runs.find(resumable.run_id)

    began = time.monotonic()
    assert await follow(ended, None) == []
    assert time.monotonic() - began < 1


async def test_modes_let_through_what_they_name_and_always_the_error(
    resumable: Run, claimed: ClaimedRun, log: Log, follow: Any, worker: HandWorker
) -> None:
    await log.write("metadata", "values", "values|child:1", "messages/partial", "messages", "custom", "error")
    await worker.finish(claimed)
    await log.end()

    async def seen(*modes: str) -> list[str]:
        return names(await follow(resumable, "0", list(modes)))

    assert await seen("values") == ["values", "values|child:1", "error"]
    assert await seen("messages-tuple") == ["messages/partial", "messages", "error"]
    assert await seen("messages/partial", "metadata") == ["metadata", "messages/partial", "error"]
    assert await seen("values|child:1") == ["values|child:1", "error"]
    assert len(await seen()) == 7


async def test_the_next_attempt_goes_on_in_the_same_stream_and_the_old_one_is_silenced(
    resources: Resources, resumable: Run, log: Log, follow: Any, worker: HandWorker, second_worker: HandWorker
) -> None:
    following = asyncio.create_task(follow(resumable))
    await log.write("metadata", "values")
    await resources.leases.release_process(host_name="here", pid=1)
    second = await second_worker.claim_one()
    new_log = Log(resources, second)
    assert await new_log.write("metadata")

    assert not await log.write("values")
    await second_worker.finish(second)
    await new_log.end()

    assert names(await following) == ["metadata", "values", "metadata"]


async def test_events_lost_with_redis_leave_a_gap_and_not_silence(
    resumable: Run, claimed: ClaimedRun, log: Log, follow: Any, worker: HandWorker, queue: Queue, resources: Resources
) -> None:
    await log.write("metadata", "values")
    await resources.events.delete(resumable.run_id)
    await log.write("values")
    await worker.finish(claimed)
    await log.end()

    assert names(await follow(resumable, "-1")) == ["gap", "values"]


async def test_events_lost_just_before_the_end_leave_a_gap_too(
    resumable: Run, claimed: ClaimedRun, log: Log, follow: Any, worker: HandWorker, resources: Resources
) -> None:
    await log.write("metadata", "values")
    await resources.events.delete(resumable.run_id)
    await worker.finish(claimed)
    await log.end()

    assert names(await follow(resumable, "-1")) == ["gap"]


async def test_a_place_that_is_no_longer_kept_is_a_gap(
    resumable: Run, claimed: ClaimedRun, log: Log, follow: Any, worker: HandWorker, resources: Resources
) -> None:
    await log.write("metadata")
    place = (await resources.events.read(resumable.run_id, after="0"))[0].id
    await resources.events.delete(resumable.run_id)
    # The ids of a log are times in milliseconds.
    await asyncio.sleep(0.01)
    await log.write("values")
    await worker.finish(claimed)
    await log.end()

    assert names(await follow(resumable, place)) == ["gap", "values"]


async def test_a_run_that_ended_without_its_mark_ends_its_stream_with_a_gap(
    resources: Resources, resumable: Run, claimed: ClaimedRun, log: Log, follow: Any, worker: HandWorker
) -> None:
    await log.write("metadata")
    await worker.finish(claimed)
    ended = await resources.runs.find(resumable.run_id)

    assert names(await follow(ended, "0")) == ["metadata", "gap"]


async def test_the_streams_of_runs_that_were_pending_end_too(
    resources: Resources, start: Start, follow: Any, thread_id: UUID
) -> None:
    cancelled, deleted, superseded = await start(), await start(), await start()
    following = [asyncio.create_task(follow(run)) for run in (cancelled, deleted, superseded)]
    await asyncio.sleep(0.1)

    await resources.runs.cancel(thread_id, cancelled.run_id)
    await resources.runs.delete(thread_id, deleted.run_id)
    newest = await start(multitask_strategy="rollback")
    last = asyncio.create_task(follow(newest))
    await asyncio.sleep(0.1)
    await resources.threads.delete(thread_id)

    began = time.monotonic()
    assert await asyncio.gather(*following, last) == [[], [], [], []]
    assert time.monotonic() - began < 2


async def test_a_waiting_caller_hears_the_end_at_once(
    resources: Resources, resumable: Run, claimed: ClaimedRun, log: Log, worker: HandWorker
) -> None:
    waiting = asyncio.create_task(resources.runs.result(resumable))
    await asyncio.sleep(0.1)
    await worker.finish(claimed, result=b'{"answer":42}')
    await log.end()

    began = time.monotonic()
    assert await waiting == {"answer": 42}
    assert time.monotonic() - began < 1


async def test_without_its_result_a_run_is_told_from_the_row_of_its_thread(
    resources: Resources, start: Start, worker: HandWorker
) -> None:
    run = await start()
    error = {"error": "ValueError", "message": "no"}
    await worker.finish(await worker.claim_one(), status="error", thread_status="error", error=error)
    await resources.leases.purge_results(age_seconds=0)

    assert await resources.runs.result(run) == {"__error__": error}


async def test_whoever_leaves_a_stream_is_gone_at_once(resources: Resources, resumable: Run) -> None:
    """At whatever moment: a client that has left may have asked to cancel the run."""

    async def follow() -> None:
        async for _ in resources.runs.stream(resumable, after="0"):
            pass

    for moment in range(60):
        following = asyncio.create_task(follow())
        for _ in range(moment):
            await asyncio.sleep(0)
        following.cancel()
        done, _ = await asyncio.wait({following}, timeout=1)
        assert done, f"left at moment {moment}, but still there"


async def test_the_log_of_a_run_is_bounded_in_time(
    resources: Resources, log: Log, claimed: ClaimedRun, queue: Queue
) -> None:
    await log.write("metadata")
    live = await queue.redis.ttl(queue.keys.run_events(claimed.run_id))
    await log.end()
    ended = await queue.redis.ttl(queue.keys.run_events(claimed.run_id))

    assert live > 3600
    assert 0 < ended <= 120


async def test_a_token_wakes_one_worker(resources: Resources) -> None:
    waiting = asyncio.create_task(resources.wakeups.wait([GRAPH, "other"], timeout_seconds=5))
    await asyncio.sleep(0.1)

    await resources.runs.create(None, RunRequest(assistant_id=GRAPH))

    assert await waiting is True
    assert await resources.wakeups.wait([GRAPH], timeout_seconds=0.1) is False


@pytest.mark.parametrize("told", [b'{"told": "by the bell"}', b""])
async def test_who_waits_for_a_run_is_told_by_its_bell_or_else_by_postgres(
    resources: Resources, resumable: Run, claimed: ClaimedRun, log: Log, worker: HandWorker, told: bytes
) -> None:
    async with resources.runs.expected(resumable.run_id) as bell:
        waiting = asyncio.create_task(resources.runs.encoded_result(resumable, expected=bell))
        await worker.finish(claimed, result=b'{"told": "by Postgres"}')
        await log.end(result=told)
        answer = await asyncio.wait_for(waiting, 10)

    assert orjson.loads(answer) == {"told": "by the bell" if told else "by Postgres"}
