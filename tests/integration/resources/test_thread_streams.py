"""Following a thread: what has expired or was lost is told by a gap, and nothing else is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import orjson
import pytest

from lgnb.models.runs import ClaimedRun, Run
from lgnb.models.streams import StreamEvent
from lgnb.queue import Queue
from lgnb.resources import Resources

from .conftest import HandWorker

Start = Callable[..., Awaitable[Run]]
Following = Callable[..., Any]


class Seen:
    """What a reader of the thread has been told so far."""

    def __init__(self, events: AsyncIterator[StreamEvent]) -> None:
        self.events: list[StreamEvent] = []
        self._task = asyncio.ensure_future(self._read(events))

    async def _read(self, events: AsyncIterator[StreamEvent]) -> None:
        async for event in events:
            self.events.append(event)

    @property
    def words(self) -> list[str]:
        return [_word(event) for event in self.events]

    async def until(self, word: str, *, times: int = 1) -> list[str]:
        async with asyncio.timeout(20):
            while self.words.count(word) < times:
                assert not self._task.done()
                await asyncio.sleep(0.02)
        return self.words

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})


def _word(event: StreamEvent) -> str:
    is_end = event.event == "metadata" and b"run_done" in event.data
    return "done" if is_end else event.event


@pytest.fixture
def following(resources: Resources, thread_id: UUID) -> Following:
    @asynccontextmanager
    async def follow(after: str | None = None, *modes: str) -> AsyncIterator[Seen]:
        streams = resources.thread_streams
        async with streams.following(thread_id, after=after, modes=modes or ("run_modes",)) as events:
            seen = Seen(events)
            try:
                yield seen
            finally:
                await seen.stop()

    return follow


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is believed for a moment only, so that a test of what happens after it is short."""
    monkeypatch.setattr("lgnb.resources.thread_streams._TRUST_SECONDS", 0.5)
    monkeypatch.setattr("lgnb.resources.thread_streams._MARK_SECONDS", 0.5)


@pytest.fixture
def work(resources: Resources, start: Start, worker: HandWorker) -> Callable[..., Awaitable[Run]]:
    """A run on the thread, with its events, from its creation to its end."""

    async def execute(*names: str, end: bool = True) -> Run:
        run = await start()
        claimed = await worker.claim_one()
        await write(resources, claimed, 1, "metadata", *names)
        await worker.finish(claimed)
        if end:
            await close(resources, claimed, 2 + len(names))
        return run

    return execute


async def write(resources: Resources, claimed: ClaimedRun, first: int, *names: str) -> None:
    events = [(number, name, orjson.dumps(number)) for number, name in enumerate(names, first)]
    await resources.events.append(claimed.run_id, thread_id=claimed.thread_id, attempt=claimed.attempt, events=events)


async def close(resources: Resources, claimed: ClaimedRun, number: int) -> None:
    await resources.events.append_end(
        claimed.run_id, thread_id=claimed.thread_id, attempt=claimed.attempt, number=number, status="success"
    )


async def place_of(resources: Resources, run: Run, number: int) -> str:
    return (await resources.events.read(run.run_id, after="0"))[number].id


async def test_a_place_whose_run_has_expired_is_told_as_a_gap_and_the_rest_follows(
    resources: Resources, work: Callable[..., Awaitable[Run]], following: Following
) -> None:
    expired = await work("values", "updates")
    place = await place_of(resources, expired, 1)
    await resources.events.delete(expired.run_id)
    await work("values")

    async with following(place) as seen:
        words = await seen.until("done", times=2)

    assert words == ["gap", "done", "metadata", "values", "done"]
    assert orjson.loads(seen.events[0].data)["after"] == place
    assert orjson.loads(seen.events[1].data)["run_id"] == str(expired.run_id)
    assert seen.events[0].id is None


async def test_a_run_of_which_nothing_was_seen_and_nothing_is_kept_is_told_too(
    resources: Resources, work: Callable[..., Awaitable[Run]], following: Following
) -> None:
    seen_before = await work("values")
    place = await place_of(resources, seen_before, 2)
    missed = await work("values")
    await resources.events.delete(missed.run_id)

    async with following(place, "lifecycle") as seen:
        assert await seen.until("done") == ["gap", "done"]
    assert orjson.loads(seen.events[1].data)["run_id"] == str(missed.run_id)


async def test_whoever_has_seen_the_end_of_an_expired_run_missed_nothing(
    resources: Resources, work: Callable[..., Awaitable[Run]], following: Following
) -> None:
    expired = await work("values")
    # A place of a later millisecond than the commit of the run's end: that of the mark.
    place = await place_of(resources, expired, 2)
    await resources.events.delete(expired.run_id)
    await asyncio.sleep(0.01)
    await work("values")

    async with following(place) as seen:
        assert await seen.until("done") == ["metadata", "values", "done"]


async def test_from_the_beginning_one_gap_stands_for_all_that_has_expired(
    resources: Resources, work: Callable[..., Awaitable[Run]], following: Following
) -> None:
    for _ in range(3):
        await resources.events.delete((await work("values")).run_id)
    await work("values")

    async with following("0") as seen:
        assert await seen.until("done") == ["gap", "metadata", "values", "done"]


async def test_later_events_only_have_no_gap_before_them(
    resources: Resources, work: Callable[..., Awaitable[Run]], following: Following
) -> None:
    await resources.events.delete((await work("values")).run_id)

    async with following() as seen:
        await work("values")
        assert await seen.until("done") == ["metadata", "values", "done"]


async def test_events_lost_under_a_working_run_are_a_gap_where_it_goes_on(
    resources: Resources, start: Start, worker: HandWorker, following: Following
) -> None:
    await start()
    async with following() as seen:
        claimed = await worker.claim_one()
        await write(resources, claimed, 1, "metadata")
        await seen.until("metadata")
        # The second went with a Redis that was flushed before anybody read it.
        await write(resources, claimed, 3, "updates")
        await worker.finish(claimed)
        await close(resources, claimed, 4)
        assert await seen.until("done") == ["metadata", "gap", "updates", "done"]


async def test_events_lost_before_a_resumed_place_goes_on_are_a_gap(
    resources: Resources, start: Start, worker: HandWorker, following: Following
) -> None:
    run = await start()
    claimed = await worker.claim_one()
    await write(resources, claimed, 1, "metadata", "values")
    place = await place_of(resources, run, 0)
    await resources.events.delete(run.run_id)
    await asyncio.sleep(0.01)
    await write(resources, claimed, 3, "updates")
    await worker.finish(claimed)
    await close(resources, claimed, 4)

    async with following(place) as seen:
        assert await seen.until("done") == ["gap", "updates", "done"]


@pytest.mark.usefixtures("impatient")
async def test_a_run_that_ends_without_its_mark_is_told_as_a_gap_and_as_done(
    work: Callable[..., Awaitable[Run]], following: Following
) -> None:
    async with following() as seen:
        await work("values", end=False)
        assert await seen.until("done") == ["metadata", "values", "gap", "done"]


@pytest.mark.usefixtures("impatient")
async def test_a_run_that_came_and_went_unseen_is_told_while_the_next_one_works(
    resources: Resources, start: Start, worker: HandWorker, following: Following
) -> None:
    """Its log went with Redis; the one behind it is not held up."""
    lost = await start()
    async with following() as seen:
        await worker.finish(await worker.claim_one())
        await start()
        claimed = await worker.claim_one()
        number = 0
        async with asyncio.timeout(20):
            while "done" not in seen.words:
                number += 1
                await write(resources, claimed, number, "values")
                await asyncio.sleep(0.2)

    assert seen.words[: seen.words.index("done")].count("gap") == 1
    assert orjson.loads(seen.events[seen.words.index("done")].data)["run_id"] == str(lost.run_id)


async def test_more_runs_than_one_page_are_all_shown(
    resources: Resources, work: Callable[..., Awaitable[Run]], start: Start, worker: HandWorker, following: Following
) -> None:
    """Also those that are many pages back when the first of them ends."""
    async with following(None, "lifecycle") as seen:
        runs = [await start() for _ in range(105)]
        for _ in runs:
            claimed = await worker.claim_one()
            await write(resources, claimed, 1, "metadata")
            await worker.finish(claimed)
            await close(resources, claimed, 2)
        words = await seen.until("done", times=105)

    assert "gap" not in words
    assert words.count("metadata") == 105


class TestUpdatesOfTheState:
    @pytest.fixture
    async def update(self, resources: Resources, thread_id: UUID) -> Callable[[int], Awaitable[None]]:
        async def append(number: int) -> None:
            await resources.thread_streams._updates.append(thread_id, orjson.dumps(number))

        return append

    async def test_one_that_has_expired_is_a_gap(
        self, queue: Queue, thread_id: UUID, update: Callable[[int], Awaitable[None]], following: Following
    ) -> None:
        await update(1)
        async with following("0", "state_update") as seen:
            await seen.until("state_update")
        place = seen.events[0].id
        await update(2)
        await queue.redis.delete(queue.keys.thread_updates(thread_id))

        async with following(place, "state_update") as seen:
            await seen.until("gap")
            await update(3)
            assert await seen.until("state_update") == ["gap", "state_update"]

    async def test_without_one_missing_there_is_no_gap(
        self, queue: Queue, thread_id: UUID, update: Callable[[int], Awaitable[None]], following: Following
    ) -> None:
        await update(1)
        async with following(None, "state_update") as seen:
            await update(2)
            await update(3)
            assert await seen.until("state_update", times=2) == ["state_update", "state_update"]

        async with following(seen.events[0].id, "state_update") as again:
            assert await again.until("state_update") == ["state_update"]

    async def test_only_the_newest_are_kept_and_the_others_are_a_gap(
        self, queue: Queue, thread_id: UUID, update: Callable[[int], Awaitable[None]], following: Following
    ) -> None:
        for number in range(4):
            await update(number)
        await queue.redis.xtrim(queue.keys.thread_updates(thread_id), maxlen=2, approximate=False)

        async with following("0", "state_update") as seen:
            assert await seen.until("state_update", times=2) == ["gap", "state_update", "state_update"]

    async def test_a_redis_that_has_forgotten_everything_is_a_gap_for_who_has_read_before(
        self, queue: Queue, thread_id: UUID, update: Callable[[int], Awaitable[None]], following: Following
    ) -> None:
        async with following(None, "state_update") as seen:
            await update(1)
            await seen.until("state_update")
            keys = queue.keys
            await queue.redis.delete(keys.thread_updates(thread_id), keys.thread_newest_update(thread_id))
            await asyncio.sleep(0.01)
            await update(2)
            assert await seen.until("state_update", times=2) == ["state_update", "gap", "state_update"]
