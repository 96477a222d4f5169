"""Following a run from its event log: complete, in order, resumable; where something was lost, it says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from ..db.database import Database
from ..db.runs import RunRepository, RunTold
from ..db.threads import ThreadRepository
from ..errors import QueueUnavailable
from ..gathering import Gathering
from ..json_encoding import encode
from ..models.runs import Run, RunStatus
from ..models.streams import StreamEvent
from ..models.threads import Thread
from ..queue.bells import Bell, Bells
from ..queue.events import END, EventLog, LoggedEvent
from .gaps import Numbers, gap

# How long a listener trusts silence before it looks for itself: while bells work, and while they do not.
_TRUST_SECONDS = 5.0
_DISTRUST_SECONDS = 0.5
# A status is committed before the log is closed: how long the last events and the mark may take to follow it.
_MARK_SECONDS = 2.0
# The same for somebody who joins a run that has ended, and to whom nothing is promised but later events.
_LATE_SECONDS = 0.3
_PAGE = 500

# Ids that mean "from the first event".
_BEGINNING = ("0", "0-0", "-1")

# What a client gets whatever modes it filters for.
_ALWAYS = frozenset(("error", "gap"))


class RunStreams:
    def __init__(self, database: Database, *, events: EventLog, bells: Bells) -> None:
        self._database = database
        self._events = events
        self._bells = bells
        self._reading: dict[tuple[UUID, str], _Reading] = {}
        self._told = Gathering(self._told_together)

    async def follow(
        self, run: Run, *, after: str | None, modes: Collection[str] = ()
    ) -> AsyncGenerator[StreamEvent, None]:
        """The events of `pages`, one by one."""
        async with aclosing(self.pages(run, after=after, modes=modes)) as pages:
            async for page in pages:
                for event in page:
                    yield event

    async def pages(
        self, run: Run, *, after: str | None, modes: Collection[str] = ()
    ) -> AsyncGenerator[list[StreamEvent], None]:
        """Events of a run until it has ended, as many at once as are there; its final status is committed by then.

        Args:
            after: "0" from the first event, an event id to go on behind it, None for later events only.
            modes: names to let through, exact or before the `|`; empty means all.
        """
        resumable = bool(run.kwargs.get("resumable"))
        async with self._bells.listening(run.run_id) as bell:
            position = await self._start(run.run_id, after)
            if after is not None and after not in _BEGINNING and not await self._holds(run.run_id, position):
                yield [gap(position, "The events before this place are no longer kept.")]
                position = "0"
            numbers = Numbers(expect_first=after in _BEGINNING)
            ended, last_look = run.is_final, False
            mark_seconds = _LATE_SECONDS if after is None and ended else _MARK_SECONDS
            while True:
                batch = await self._read(run.run_id, position, bell)
                page: list[StreamEvent] = []
                for logged in batch:
                    if numbers.misses(logged):
                        page.append(gap(position, "Events were lost with the Redis that held them."))
                    if logged.event == END:
                        break
                    position = logged.id
                    if _passes(logged.event, modes):
                        page.append(StreamEvent(logged.event, logged.data, logged.id if resumable else None))
                if page:
                    yield page
                if batch and batch[-1].event == END:
                    return
                if len(batch) == _PAGE:
                    continue
                if last_look:
                    if after is not None or not run.is_final:
                        yield [gap(position, "The end of the run's events is not kept any more.")]
                    return
                if ended:
                    last_look = not await bell.wait(timeout_seconds=mark_seconds)
                    continue
                trust = _TRUST_SECONDS if self._bells.connected else _DISTRUST_SECONDS
                if await bell.wait(timeout_seconds=trust) and self._bells.connected:
                    continue
                ended = await self._has_ended(run)

    def expected(self, run_id: UUID) -> AbstractAsyncContextManager[Bell]:
        """A bell that hears the end of a run which is about to be created."""
        return self._bells.listening(run_id)

    async def result(self, run: Run, *, expected: Bell | None = None, or_of_thread: bool = True) -> bytes:
        """Wait for the end of a run and return the JSON text that its waiting caller is told.

        Args:
            expected: the bell of `expected`, if it was there before the run.
            or_of_thread: when nothing is left of the run, tell what its thread says now.
        """
        if expected is not None:
            look_first = not self._bells.connected
            return await self._heard_result(run, expected, look_first=look_first, or_of_thread=or_of_thread)
        async with self._bells.listening(run.run_id) as bell:
            return await self._heard_result(run, bell, look_first=True, or_of_thread=or_of_thread)

    async def _heard_result(self, run: Run, bell: Bell, *, look_first: bool, or_of_thread: bool) -> bytes:
        while True:
            if look_first and (result := await self._stored_result(run, or_of_thread=or_of_thread)) is not None:
                return result
            look_first = True
            trust = _TRUST_SECONDS
            while not bell.end_heard:
                trust = _TRUST_SECONDS if self._bells.connected else _DISTRUST_SECONDS
                if not await bell.wait(timeout_seconds=trust) or not self._bells.connected:
                    break
            if bell.end_heard and bell.result is not None:
                return bell.result
            bell.end_heard = False

    async def _stored_result(self, run: Run, *, or_of_thread: bool) -> bytes | None:
        told = await self._told.add(run.run_id)
        if told.result is not None and told.status not in ("pending", "running"):
            return told.result.encode()
        if told.status in ("pending", "running"):
            return None
        thread: Thread | None = None
        if or_of_thread or told.status is not None:
            async with self._database.connection() as connection:
                thread = await ThreadRepository(connection).get(run.thread_id)
        return encode(_result_of(thread, told.status))

    async def _told_together(self, run_ids: Sequence[UUID]) -> list[RunTold]:
        async with self._database.connection() as connection:
            told = await RunRepository(connection).told(run_ids)
        return [told[run_id] for run_id in run_ids]

    async def _start(self, run_id: UUID, after: str | None) -> str:
        if after is None:
            try:
                return await self._events.last_id(run_id)
            except QueueUnavailable:
                return "0"
        return "0" if after in _BEGINNING else after

    async def _holds(self, run_id: UUID, entry_id: str) -> bool:
        try:
            return await self._events.contains(run_id, entry_id)
        except QueueUnavailable:
            return False

    async def _read(self, run_id: UUID, position: str, bell: Bell) -> list[LoggedEvent]:
        """What followed a place. Listeners that were rung together read together."""
        place = (run_id, position)
        reading = self._reading.get(place)
        if reading is None or reading.begun < bell.rung_at:
            task = asyncio.ensure_future(self._events.read(run_id, after=position, count=_PAGE))
            reading = self._reading[place] = _Reading(task, self._bells.heard)
            task.add_done_callback(lambda _: self._forget(place, reading))
        try:
            return await asyncio.shield(reading.task)
        except QueueUnavailable:
            return []

    def _forget(self, place: tuple[UUID, str], reading: _Reading) -> None:
        if self._reading.get(place) is reading:
            del self._reading[place]
        if not reading.task.cancelled():
            reading.task.exception()  # somebody who read along may have left

    async def _has_ended(self, run: Run) -> bool:
        async with self._database.connection() as connection:
            present = await RunRepository(connection).find(run.run_id)
        return present is None or present.is_final


@dataclass(frozen=True, slots=True)
class _Reading:
    """A read under way, and how many rings had been heard when it began: it answers these and none that came later."""

    task: asyncio.Future[list[LoggedEvent]]
    begun: int


def _passes(event: str, modes: Collection[str]) -> bool:
    base = event.split("|", 1)[0]
    if not modes or event in modes or base in modes or base in _ALWAYS:
        return True
    return base.startswith("messages") and not {"messages", "messages-tuple"}.isdisjoint(modes)


def _result_of(thread: Thread | None, status: RunStatus | None) -> Any:
    """What is told of a run whose own result is not kept any more."""
    if thread is None:
        return {}
    if status == "error" and thread.error:
        return {"__error__": thread.error}
    if thread.interrupts:
        waiting = [interrupt for task in thread.interrupts.values() for interrupt in task]
        return {"__interrupt__": [{"value": i.get("value"), "id": i.get("id")} for i in waiting]}
    return thread.values if thread.values is not None else {}
