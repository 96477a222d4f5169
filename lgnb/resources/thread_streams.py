"""Following a thread in the words of runs' streams: one run after another, and updates of its state between them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import orjson

from ..db.database import Database
from ..db.runs import RunRepository
from ..db.threads import ThreadRepository
from ..errors import QueueUnavailable, ThreadNotFound
from ..models.access import Condition
from ..models.streams import StreamEvent
from ..queue.bells import Bell, Bells
from ..queue.events import END, EventLog, LoggedEvent
from ..queue.thread_updates import ThreadUpdates
from .acting import Acting

_TRUST_SECONDS = 5.0
_DISTRUST_SECONDS = 0.5
_PAGE = 500
_MOST_RUNS = 100


@dataclass(slots=True)
class _OpenRun:
    """A run whose end was not read yet; `position` is the id of the last event that was."""

    position: str
    found_ended: bool = False


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

    async def runs(self, thread_id: UUID, visible: Condition | None) -> list[tuple[UUID, bool]]:
        """The newest runs of a thread, oldest of them first, and whether each has ended."""
        async with self._database.connection() as connection:
            page = await RunRepository(connection).page(
                thread_id, limit=_MOST_RUNS, offset=0, status=None, visible=visible
            )
        return [(run.run_id, run.is_final) for run in reversed(page)]

    async def read_run(self, run_id: UUID, position: str) -> list[LoggedEvent]:
        try:
            return await self._events.read(run_id, after=position, count=_PAGE)
        except QueueUnavailable:
            return []

    async def read_updates(self, thread_id: UUID, position: str) -> list[tuple[str, StreamEvent]]:
        try:
            found = await self._updates.read(thread_id, after=position)
        except QueueUnavailable:
            return []
        return [(update.id, StreamEvent("state_update", update.data, update.id)) for update in found]

    async def places(self, thread_id: UUID, run_ids: Collection[UUID]) -> tuple[str, dict[UUID, str]]:
        """Where the thread's updates and these runs' logs end at present."""
        try:
            return (
                await self._updates.last_id(thread_id),
                {run_id: await self._events.last_id(run_id) for run_id in run_ids},
            )
        except QueueUnavailable:
            return "0", {}

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

    async def begin(self, after: str | None) -> None:
        runs = await self._streams.runs(self._thread_id, self._visible)
        self._known = {run_id for run_id, _ in runs}
        if after is not None:
            for run_id, ended in runs:
                if not ended or await self._streams.read_run(run_id, after):
                    self._open[run_id] = _OpenRun(after)
            self._updates_position = after
            return
        in_flight = [run_id for run_id, ended in runs if not ended]
        self._updates_position, places = await self._streams.places(self._thread_id, in_flight)
        self._open = {run_id: _OpenRun(places.get(run_id, "0")) for run_id in in_flight}

    async def events(self) -> AsyncGenerator[StreamEvent]:
        """Every event that passes, in the order of ids as far as they are there."""
        while True:
            found, full = await self._round()
            for _, event in sorted(found, key=lambda pair: _order(pair[0])):
                if self._passes(event):
                    yield event
            if full:
                continue
            rung = await self._bell.wait(timeout_seconds=self._streams.trust_seconds())
            if not rung:
                for event in await self._ended_silently():
                    if self._passes(event):
                        yield event
            if not rung or not self._open:
                await self._discover()

    async def _round(self) -> tuple[list[tuple[str, StreamEvent]], bool]:
        """What the logs have now, and whether to look again at once."""
        found: list[tuple[str, StreamEvent]] = []
        again = False
        for run_id, place in list(self._open.items()):
            logged = await self._streams.read_run(run_id, place.position)
            again = again or len(logged) == _PAGE
            for entry in logged:
                place.position = entry.id
                if entry.event == END:
                    found.append((entry.id, _run_done(run_id, entry.id)))
                    del self._open[run_id]
                    # The next run of the thread may be working already.
                    await self._discover()
                    again = True
                    break
                found.append((entry.id, StreamEvent(entry.event, entry.data, entry.id)))
        if "state_update" in self._modes and await self._streams.is_visible(self._thread_id, self._visible):
            updates = await self._streams.read_updates(self._thread_id, self._updates_position)
            found += updates
            if updates:
                self._updates_position = updates[-1][0]
        return found, again

    async def _discover(self) -> None:
        for run_id, _ in await self._streams.runs(self._thread_id, self._visible):
            if run_id not in self._known:
                self._known.add(run_id)
                self._open[run_id] = _OpenRun("0")

    async def _ended_silently(self) -> list[StreamEvent]:
        """Runs that are over without an end in their log: it expired, or was lost with Redis."""
        in_flight = {run_id for run_id, ended in await self._streams.runs(self._thread_id, self._visible) if not ended}
        done: list[StreamEvent] = []
        for run_id, place in list(self._open.items()):
            if run_id in in_flight:
                continue
            if place.found_ended:
                del self._open[run_id]
                if place.position != "0":
                    done.append(_run_done(run_id, None))
            # The mark may be on its way: the status is committed first. Look once more before giving up on it.
            place.found_ended = True
        return done

    def _passes(self, event: StreamEvent) -> bool:
        if event.event == "state_update":
            return "state_update" in self._modes
        return "run_modes" in self._modes or ("lifecycle" in self._modes and event.event == "metadata")


def _run_done(run_id: UUID, event_id: str | None) -> StreamEvent:
    return StreamEvent("metadata", orjson.dumps({"status": "run_done", "run_id": run_id}), event_id)


def _order(event_id: str) -> tuple[int, int]:
    milliseconds, _, number = event_id.partition("-")
    return int(milliseconds), int(number or 0)
