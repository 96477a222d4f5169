"""Following a run from its event log: complete, in order, resumable; where something was lost, it says so."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection
from typing import Any
from uuid import UUID

import orjson

from ..db.database import Database
from ..db.runs import RunRepository
from ..db.threads import ThreadRepository
from ..errors import QueueUnavailable
from ..models.runs import Run
from ..models.streams import StreamEvent
from ..queue.bells import Bells
from ..queue.events import END, EventLog, LoggedEvent

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

    async def follow(
        self, run: Run, *, after: str | None, modes: Collection[str] = ()
    ) -> AsyncGenerator[StreamEvent, None]:
        """Events of a run until it has ended; its final status is committed by then.

        Args:
            after: "0" from the first event, an event id to go on behind it, None for later events only.
            modes: names to let through, exact or before the `|`; empty means all.
        """
        resumable = bool(run.kwargs.get("resumable"))
        async with self._bells.listening(run.run_id) as bell:
            position = await self._start(run.run_id, after)
            if after is not None and after not in _BEGINNING and not await self._holds(run.run_id, position):
                yield _gap(position, "The events before this place are no longer kept.")
                position = "0"
            numbers = _Numbers(expect_first=after in _BEGINNING)
            ended, last_look = run.is_final, False
            mark_seconds = _LATE_SECONDS if after is None and ended else _MARK_SECONDS
            while True:
                batch = await self._read(run.run_id, position)
                for logged in batch:
                    if numbers.misses(logged):
                        yield _gap(position, "Events were lost with the Redis that held them.")
                    if logged.event == END:
                        return
                    position = logged.id
                    if _passes(logged.event, modes):
                        yield StreamEvent(logged.event, logged.data, logged.id if resumable else None)
                if len(batch) == _PAGE:
                    continue
                if last_look:
                    if after is not None or not run.is_final:
                        yield _gap(position, "The end of the run's events is not kept any more.")
                    return
                if ended:
                    last_look = not await bell.wait(timeout_seconds=mark_seconds)
                    continue
                trust = _TRUST_SECONDS if self._bells.connected else _DISTRUST_SECONDS
                if await bell.wait(timeout_seconds=trust) and self._bells.connected:
                    continue
                ended = await self._has_ended(run)

    async def result(self, run: Run, *, or_of_thread: bool = True) -> Any:
        """Wait for the end of a run and return what its waiting caller is told.

        Args:
            or_of_thread: when nothing is left of the run, what its thread says now.
        """
        async with self._bells.listening(run.run_id) as bell:
            while True:
                found, result = await self._stored_result(run, or_of_thread=or_of_thread)
                if found:
                    return result
                trust = _TRUST_SECONDS
                while not bell.end_heard:
                    trust = _TRUST_SECONDS if self._bells.connected else _DISTRUST_SECONDS
                    if not await bell.wait(timeout_seconds=trust) or not self._bells.connected:
                        break
                bell.end_heard = False

    async def _stored_result(self, run: Run, *, or_of_thread: bool) -> tuple[bool, Any]:
        async with self._database.connection() as connection:
            runs = RunRepository(connection)
            # The run before its result: both are committed together, and a temporary run is gone with its thread then.
            present = await runs.find(run.run_id)
            if present is not None and not present.is_final:
                return False, None
            if stored := await runs.result(run.run_id):
                return True, stored.result
            thread = None
            if or_of_thread or present is not None:
                thread = await ThreadRepository(connection).get(run.thread_id)
        if thread is None:
            return True, {}
        if present is not None and present.status == "error" and thread.error:
            return True, {"__error__": thread.error}
        if thread.interrupts:
            waiting = [interrupt for task in thread.interrupts.values() for interrupt in task]
            return True, {"__interrupt__": [{"value": i.get("value"), "id": i.get("id")} for i in waiting]}
        return True, thread.values if thread.values is not None else {}

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

    async def _read(self, run_id: UUID, position: str) -> list[LoggedEvent]:
        try:
            return await self._events.read(run_id, after=position, count=_PAGE)
        except QueueUnavailable:
            return []

    async def _has_ended(self, run: Run) -> bool:
        async with self._database.connection() as connection:
            present = await RunRepository(connection).find(run.run_id)
        return present is None or present.is_final


class _Numbers:
    """Notices holes: within an attempt numbers rise by one, a new attempt begins at one.

    An end that no attempt has written has no place among the numbers.
    """

    def __init__(self, *, expect_first: bool) -> None:
        self._last: tuple[int, int] | None = (0, 0) if expect_first else None

    def misses(self, logged: LoggedEvent) -> bool:
        if logged.number == 0:
            return False
        last, self._last = self._last, (logged.attempt, logged.number)
        if last is None:
            return False
        if logged.attempt != last[0]:
            return logged.number != 1
        return logged.number != last[1] + 1


def _passes(event: str, modes: Collection[str]) -> bool:
    base = event.split("|", 1)[0]
    if not modes or event in modes or base in modes or base in _ALWAYS:
        return True
    return base.startswith("messages") and not {"messages", "messages-tuple"}.isdisjoint(modes)


def _gap(after: str, reason: str) -> StreamEvent:
    return StreamEvent("gap", orjson.dumps({"after": after, "reason": reason}))
