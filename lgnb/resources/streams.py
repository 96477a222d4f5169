"""Following a run from its event log: complete, in order, resumable; where something was lost, it says so."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection
from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import UUID

import orjson

from ..db.database import Database
from ..db.runs import RunRepository
from ..db.threads import ThreadRepository
from ..errors import QueueUnavailable
from ..json_encoding import encode
from ..models.runs import Run, RunStatus
from ..models.streams import StreamEvent
from ..models.threads import Thread
from ..queue.bells import Bell, Bells
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

    def expected(self, run_id: UUID) -> AbstractAsyncContextManager[Bell]:
        """A bell that hears the end of a run which is about to be created."""
        return self._bells.listening(run_id)

    async def result(self, run: Run, *, expected: Bell | None = None) -> bytes:
        """Wait for the end of a run and return the JSON text that its waiting caller is told.

        Args:
            expected: the bell of `expected`, if it was there before the run.
        """
        if expected is not None:
            return await self._heard_result(run, expected, look_first=not self._bells.connected)
        async with self._bells.listening(run.run_id) as bell:
            return await self._heard_result(run, bell, look_first=True)

    async def _heard_result(self, run: Run, bell: Bell, *, look_first: bool) -> bytes:
        while True:
            if look_first and (result := await self._stored_result(run)) is not None:
                return result
            look_first = True
            trust = _TRUST_SECONDS
            while not bell.end_heard:
                trust = _TRUST_SECONDS if self._bells.connected else _DISTRUST_SECONDS
                if not await bell.wait(timeout_seconds=trust) or not self._bells.connected:
                    break
            bell.end_heard = False

    async def _stored_result(self, run: Run) -> bytes | None:
        async with self._database.connection() as connection:
            told = await RunRepository(connection).told(run.run_id)
            if told.result is not None and told.status not in ("pending", "running"):
                return told.result.encode()
            if told.status in ("pending", "running"):
                return None
            thread = await ThreadRepository(connection).get(run.thread_id)
        return encode(_result_of(thread, told.status))

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
