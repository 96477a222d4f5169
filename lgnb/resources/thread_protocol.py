"""Following a thread through the protocol: every event of its runs by number, from any place, and what was lost."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from ..db.database import Database
from ..db.runs import RunRepository
from ..db.threads import ThreadRepository
from ..errors import QueueUnavailable, ThreadNotFound
from ..models.access import Condition
from ..models.protocol import RootStatus, StoredEvent, Subscription
from ..models.runs import Run
from ..models.threads import Thread
from ..queue.bells import Bell, Bells
from ..queue.thread_log import ThreadLog
from .acting import Acting
from .endings import Endings

logger = logging.getLogger(__name__)

_TRUST_SECONDS = 5.0
_DISTRUST_SECONDS = 0.5
_WATCH_SECONDS = 10.0
_PAGE = 500
_TERMINAL = frozenset(("completed", "failed", "interrupted"))


@dataclass(frozen=True, slots=True)
class Lost:
    """Events between `since` and `first` are no longer there; `first` is None when no event is.

    `after` is where to go on instead.
    """

    since: int
    first: int | None
    after: int


class ThreadProtocol(Acting):
    """The reader's side of the log. Many may follow one thread; each holds a page of it at most."""

    def __init__(self, database: Database, *, log: ThreadLog, bells: Bells, endings: Endings) -> None:
        self._database = database
        self._log = log
        self._bells = bells
        self._endings = endings

    @asynccontextmanager
    async def watching(self, thread_id: UUID) -> AsyncGenerator[ThreadReader]:
        """From the beginning of the block on, whatever happens on the thread is logged and can be read.

        Raises:
            QueueUnavailable: Redis, which holds the log, does not answer.
            ThreadNotFound: the thread is hidden from this caller. Without a rule, one that is to come is waited for.
        """
        visible = await self._access.ask("threads", "read", {"thread_id": thread_id})
        if not await _is_visible(self._database, thread_id, visible):
            raise ThreadNotFound(thread_id)
        async with self._bells.listening_to_thread(thread_id) as bell:
            await self._log.watch(thread_id)
            await self._repeat_questions(thread_id)
            yield ThreadReader(
                thread_id,
                bell,
                database=self._database,
                log=self._log,
                bells=self._bells,
                endings=self._endings,
                visible=visible,
            )

    async def _repeat_questions(self, thread_id: UUID) -> None:
        """Log again what a thread asks, once its events are gone: a person may take days to answer."""
        if (await self._log.extent(thread_id)).first is not None:
            return
        async with self._database.connection() as connection:
            thread = await ThreadRepository(connection).get(thread_id)
            if thread is None or thread.status != "interrupted" or not thread.interrupts:
                return
            runs = await RunRepository(connection).page(thread_id, limit=1, offset=0, status=None)
        if runs:
            asked = [interrupt for task in thread.interrupts.values() for interrupt in task]
            await self._endings.tell_thread(thread_id, runs[0].run_id, status="interrupted", asked=asked)

    async def lost(self, thread_id: UUID, *, since: int) -> Lost | None:
        """What a reader who has everything up to `since` has missed for good; None when nothing."""
        if since <= 0:
            return None
        extent = await self._log.extent(thread_id)
        if since > extent.last:
            # The counter was lost as well and has begun again, below what this reader knows.
            return Lost(since, extent.first, 0)
        if extent.first is None:
            return None if extent.last == since else Lost(since, None, since)
        return Lost(since, extent.first, since) if since < extent.first - 1 else None


class ThreadReader:
    """One reader of one thread. `follow` once; `page` as often as needed."""

    def __init__(
        self,
        thread_id: UUID,
        bell: Bell,
        *,
        database: Database,
        log: ThreadLog,
        bells: Bells,
        endings: Endings,
        visible: Condition | None,
    ) -> None:
        self._visible = visible
        self._seen_visible: str | None = None
        self.thread_id = thread_id
        self._bell = bell
        self._database = database
        self._log = log
        self._bells = bells
        self._endings = endings
        self._watched_at = time.monotonic()
        self._running: str | None = None
        self._found_ended: str | None = None

    async def page(self, *, after: int, subscription: Subscription | None = None) -> tuple[list[StoredEvent], int]:
        """Events that are there and pass, and the number up to which was looked; nothing left when that is `after`."""
        if not await _is_visible(self._database, self.thread_id, self._visible):
            return [], after
        stored = await self._log.read(self.thread_id, after=after, count=_PAGE)
        passing = [event for event in stored if subscription is None or subscription.wants(event)]
        return passing, stored[-1].seq if stored else after

    async def last(self) -> int:
        """The number of the newest event that was given."""
        return (await self._log.extent(self.thread_id)).last

    async def follow(self, *, after: int) -> AsyncGenerator[StoredEvent]:
        """Every event behind `after`, for ever, or until the thread is hidden from this caller."""
        position = after
        while True:
            stored = await self._read(position)
            for event in stored:
                if not await self._may_see(event):
                    return
                position = event.seq
                self._note(event)
                yield event
            await self._keep_watching()
            if len(stored) == _PAGE:
                continue
            trust = _TRUST_SECONDS if self._bells.connected else _DISTRUST_SECONDS
            rung = await self._bell.wait(timeout_seconds=trust)
            if not (rung and self._bells.connected):
                await self._mend_end()

    async def _read(self, position: int) -> list[StoredEvent]:
        try:
            return await self._log.read(self.thread_id, after=position, count=_PAGE)
        except QueueUnavailable:
            return []

    async def _may_see(self, event: StoredEvent) -> bool:
        """Looks at the thread again for each run: its id may have come to mean somebody else's thread."""
        if self._visible is None or event.run_id == self._seen_visible:
            return True
        self._seen_visible = event.run_id
        return await _is_visible(self._database, self.thread_id, self._visible)

    def _note(self, event: StoredEvent) -> None:
        if event.method == "lifecycle" and not event.namespace:
            # The id of a root event ends with its status.
            ended = event.event_id.rpartition("|")[2] in _TERMINAL
            self._running = None if ended else event.run_id

    async def _keep_watching(self) -> None:
        if time.monotonic() - self._watched_at < _WATCH_SECONDS:
            return
        try:
            await self._log.watch(self.thread_id)
        except QueueUnavailable:
            return
        self._watched_at = time.monotonic()

    async def _mend_end(self) -> None:
        """A run whose end was lost with its worker or with Redis gets it from Postgres."""
        if self._running is None:
            return
        run_id = UUID(self._running)
        async with self._database.connection() as connection:
            run = await RunRepository(connection).find(run_id)
            thread = await ThreadRepository(connection).get(self.thread_id)
        if run is not None and not run.is_final:
            return
        if self._found_ended != self._running:
            # Its worker may be about to tell it: the end is committed first. Look once more.
            self._found_ended = self._running
            return
        try:
            await self._endings.tell_thread(self.thread_id, run_id, status=_root_status(run, thread))
        except QueueUnavailable:
            logger.debug("The end of run %s cannot be logged yet.", run_id)


async def _is_visible(database: Database, thread_id: UUID, visible: Condition | None) -> bool:
    if visible is None:
        return True
    async with database.connection() as connection:
        return await ThreadRepository(connection).get(thread_id, visible=visible) is not None


def _root_status(run: Run | None, thread: Thread | None) -> RootStatus:
    if run is None or run.status == "interrupted":
        return "interrupted"
    if run.status != "success":
        return "failed"
    return "interrupted" if thread is not None and thread.status == "interrupted" else "completed"
