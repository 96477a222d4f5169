"""Following a thread in the words of runs' streams: one run after another, and updates of its state between them.

Where something that should have been shown has expired or was lost, the reader is told by a `gap`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson

from ..db.database import Database
from ..db.runs import RunRepository
from ..db.threads import ThreadRepository
from ..errors import QueueUnavailable, ThreadNotFound
from ..models.access import Condition
from ..models.runs import Run
from ..models.streams import StreamEvent
from ..queue.bells import Bell, Bells
from ..queue.events import END, EventLog, LoggedEvent
from ..queue.thread_updates import LoggedUpdate, ThreadUpdates
from .acting import Acting
from .gaps import Numbers, gap

_TRUST_SECONDS = 5.0
_DISTRUST_SECONDS = 0.5
# A status is committed before the log is closed: how long the last events and the mark may take to follow it.
_MARK_SECONDS = 2.0
_PAGE = 500
_RUNS_PAGE = 100

_LOST = "Events were lost with the Redis that held them."
_EXPIRED = "Events of runs behind this place are no longer kept."
_END_LOST = "The end of a run's events is not kept any more."
_UPDATES_EXPIRED = "Updates of the state behind this place are no longer kept."


@dataclass(slots=True)
class _OpenRun:
    """A run whose end was not read yet; `position` is the id of the last event that was.

    `ended_at` is when it was found ended without the mark, on this process's clock.
    """

    position: str
    numbers: Numbers
    ended_at: float | None = None


class ThreadStreams(Acting):
    def __init__(self, database: Database, *, events: EventLog, updates: ThreadUpdates, bells: Bells) -> None:
        self._database = database
        self._events = events
        self._updates = updates
        self._bells = bells

    @asynccontextmanager
    async def following(
        self, thread_id: UUID, *, after: str | None, modes: Collection[str]
    ) -> AsyncGenerator[AsyncGenerator[StreamEvent]]:
        """Events from the beginning of the block on, or from behind an earlier place; they never end.

        Args:
            after: "0" for all that is kept, an event id to go on behind it, None for later events only.
            modes: run_modes, lifecycle, state_update.

        Raises:
            ThreadNotFound: the thread is hidden from this caller. Without a rule, one that is to come is waited for.
        """
        visible = await self._access.ask("threads", "read", {"thread_id": thread_id})
        if not await self.is_visible(thread_id, visible):
            raise ThreadNotFound(thread_id)
        async with self._bells.listening_to_thread(thread_id) as bell:
            follower = _Follower(thread_id, bell, modes, self, visible)
            await follower.begin(after)
            events = follower.events()
            try:
                yield events
            finally:
                await events.aclose()

    async def is_visible(self, thread_id: UUID, visible: Condition | None) -> bool:
        """Whether a thread fulfils a condition; without one nobody looks."""
        if visible is None:
            return True
        async with self._database.connection() as connection:
            return await ThreadRepository(connection).get(thread_id, visible=visible) is not None

    async def runs(self, thread_id: UUID, visible: Condition | None) -> AsyncGenerator[list[Run]]:
        """The runs of a thread, newest first, in pages."""
        offset = 0
        while True:
            async with self._database.connection() as connection:
                page = await RunRepository(connection).page(
                    thread_id, limit=_RUNS_PAGE, offset=offset, status=None, visible=visible
                )
            if page:
                yield page
            if len(page) < _RUNS_PAGE:
                return
            offset += _RUNS_PAGE

    async def in_flight(self, thread_id: UUID, run_ids: Collection[UUID], visible: Condition | None) -> set[UUID]:
        """Those of these runs that have not ended."""
        unseen, found = set(run_ids), set[UUID]()
        async for page in self.runs(thread_id, visible):
            found |= {run.run_id for run in page if run.run_id in unseen and not run.is_final}
            unseen -= {run.run_id for run in page}
            if not unseen:
                break
        return found

    async def read_run(self, run_id: UUID, position: str) -> list[LoggedEvent]:
        try:
            return await self._events.read(run_id, after=position, count=_PAGE)
        except QueueUnavailable:
            return []

    async def newest_event(self, run_id: UUID, *, up_to: str = "+") -> LoggedEvent | None:
        try:
            return await self._events.newest(run_id, up_to=up_to)
        except QueueUnavailable:
            return None

    async def read_updates(self, thread_id: UUID, position: str) -> list[LoggedUpdate]:
        try:
            return await self._updates.read(thread_id, after=position)
        except QueueUnavailable:
            return []

    async def newest_update(self, thread_id: UUID) -> str:
        """The id of the newest update of the state, kept or not."""
        try:
            return await self._updates.newest_id(thread_id)
        except QueueUnavailable:
            return "0"

    def trust_seconds(self) -> float:
        """How long silence may be believed."""
        return _TRUST_SECONDS if self._bells.connected else _DISTRUST_SECONDS


class _Follower:
    """One reader's place in the logs of a thread's runs.

    It looks at every turn whether the thread is still `visible`: its id may come to mean somebody else's thread.
    """

    def __init__(
        self,
        thread_id: UUID,
        bell: Bell,
        modes: Collection[str],
        streams: ThreadStreams,
        visible: Condition | None,
    ) -> None:
        self._visible = visible
        self._thread_id = thread_id
        self._bell = bell
        self._modes = frozenset(modes)
        self._streams = streams
        self._known: set[UUID] = set()
        self._open: dict[UUID, _OpenRun] = {}
        self._updates_position = "0"
        self._update_seen = False
        # Runs that are older than the place, by the order of runs: nobody has to know each.
        self._older: tuple[datetime, UUID] | None = None
        self._missed: list[StreamEvent] = []

    async def begin(self, after: str | None) -> None:
        """Find the place in every log, and note what is not kept behind it."""
        if self._shows_runs:
            await self._begin_runs(after)
        newest_update = await self._streams.newest_update(self._thread_id)
        self._updates_position = newest_update if after is None else after
        if after is not None and "state_update" in self._modes and _order(newest_update) > _order(after):
            if not await self._streams.read_updates(self._thread_id, after):
                self._missed.append(gap(after, _UPDATES_EXPIRED))
                self._updates_position = newest_update

    async def _begin_runs(self, after: str | None) -> None:
        lost: list[UUID] = []
        async for page in self._streams.runs(self._thread_id, self._visible):
            for run in page:
                self._known.add(run.run_id)
                if not await self._opened(run, after):
                    lost.append(run.run_id)
            oldest = page[-1]
            if oldest.is_final and (after is None or lost or _ended_before(oldest, after)):
                self._older = (oldest.created_at, oldest.run_id)
                break
        if after is not None and lost:
            self._missed.append(gap(after, _EXPIRED))
            # Who comes from the very beginning awaits no run in particular.
            if after != "0":
                self._missed += [_run_done(run_id, None) for run_id in reversed(lost)]

    async def _opened(self, run: Run, after: str | None) -> bool:
        """Open a run that has something to show behind the place; False when that is not kept any more."""
        newest = await self._streams.newest_event(run.run_id)
        if after is None:
            if not run.is_final:
                # Of one that works already, nothing is known but what is there.
                numbers = Numbers.behind(newest) if newest else Numbers(expect_first=run.status == "pending")
                self._open[run.run_id] = _OpenRun(newest.id if newest else "0", numbers)
            return True
        if newest is None and run.is_final:
            return _ended_before(run, after)
        if newest is None or newest.event != END or _order(newest.id) > _order(after):
            seen = None if after == "0" else await self._streams.newest_event(run.run_id, up_to=after)
            self._open[run.run_id] = _OpenRun(after, Numbers.behind(seen))
        return True

    async def events(self) -> AsyncGenerator[StreamEvent]:
        """Every event that passes, in the order of ids as far as they are there."""
        for event in self._missed:
            yield event
        looked_at = time.monotonic()
        while True:
            found, full = await self._round()
            for _, event in sorted(found, key=lambda pair: _order(pair[0])):
                yield event
            if full:
                continue
            rung = await self._bell.wait(timeout_seconds=self._patience())
            # Also while it rings: a later run may be working behind one whose end was lost.
            if not rung or time.monotonic() - looked_at >= self._patience():
                for event in await self._ended_silently():
                    yield event
                await self._discover()
                looked_at = time.monotonic()
            elif not self._open:
                await self._discover()

    def _patience(self) -> float:
        """How long silence is believed; not for ever where a mark is awaited that may have been lost."""
        trust = self._streams.trust_seconds()
        awaited = any(place.ended_at is not None for place in self._open.values())
        return min(trust, _MARK_SECONDS) if awaited else trust

    async def _round(self) -> tuple[list[tuple[str, StreamEvent]], bool]:
        """What the logs have now, and whether to look again at once."""
        found: list[tuple[str, StreamEvent]] = []
        again = False
        for run_id, place in list(self._open.items()):
            logged = await self._streams.read_run(run_id, place.position)
            again = again or len(logged) == _PAGE
            for entry in logged:
                if place.numbers.misses(entry):
                    found.append((entry.id, gap(place.position, _LOST)))
                place.position = entry.id
                if entry.event == END:
                    found.append((entry.id, _run_done(run_id, entry.id)))
                    del self._open[run_id]
                    # The next run of the thread may be working already.
                    await self._discover()
                    again = True
                    break
                if "run_modes" in self._modes or entry.event == "metadata":
                    found.append((entry.id, StreamEvent(entry.event, entry.data, entry.id)))
        if "state_update" in self._modes and await self._streams.is_visible(self._thread_id, self._visible):
            found += await self._new_updates()
        return found, again

    async def _new_updates(self) -> list[tuple[str, StreamEvent]]:
        found: list[tuple[str, StreamEvent]] = []
        for update in await self._streams.read_updates(self._thread_id, self._updates_position):
            # Where its predecessor is not known, Redis has lost its memory since the last one was read.
            missed = _order(update.previous) > _order(self._updates_position) if update.previous else self._update_seen
            if missed:
                found.append((update.id, gap(self._updates_position, _UPDATES_EXPIRED)))
            found.append((update.id, StreamEvent("state_update", update.data, update.id)))
            self._updates_position, self._update_seen = update.id, True
        return found

    async def _discover(self) -> None:
        """Open the runs that have come since the last look."""
        if not self._shows_runs:
            return
        async for page in self._streams.runs(self._thread_id, self._visible):
            new = [run.run_id for run in page if self._is_new(run)]
            for run_id in new:
                self._known.add(run_id)
                self._open[run_id] = _OpenRun("0", Numbers.behind(None))
            if len(new) < len(page):
                break

    def _is_new(self, run: Run) -> bool:
        is_older = self._older is not None and (run.created_at, run.run_id) < self._older
        return run.run_id not in self._known and not is_older

    async def _ended_silently(self) -> list[StreamEvent]:
        """Runs that are over without an end in their log: it expired, or was lost with Redis."""
        if not self._open:
            return []
        in_flight = await self._streams.in_flight(self._thread_id, self._open, self._visible)
        told: list[StreamEvent] = []
        for run_id, place in list(self._open.items()):
            if run_id in in_flight:
                continue
            # The mark may be on its way: the status is committed first. Look once more before giving up on it.
            if place.ended_at is None:
                place.ended_at = time.monotonic()
            elif time.monotonic() - place.ended_at >= _MARK_SECONDS:
                del self._open[run_id]
                told += [gap(place.position, _END_LOST), _run_done(run_id, None)]
        return told

    @property
    def _shows_runs(self) -> bool:
        return not self._modes.isdisjoint(("run_modes", "lifecycle"))


def _ended_before(run: Run, place: str) -> bool:
    """Whether a run had ended, and told so, when the event of this place was logged."""
    return run.is_final and run.updated_at.timestamp() * 1000 < _order(place)[0]


def _run_done(run_id: UUID, event_id: str | None) -> StreamEvent:
    return StreamEvent("metadata", orjson.dumps({"status": "run_done", "run_id": run_id}), event_id)


def _order(event_id: str) -> tuple[int, int]:
    milliseconds, _, number = event_id.partition("-")
    return int(milliseconds), int(number or 0)
