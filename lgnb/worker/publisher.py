"""Carries the events of one run from its event loop to Redis: batched, numbered, in order, fenced.

While Redis is away a bounded number of events is kept; what had to be dropped leaves a hole in the numbers,
by which readers notice it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from uuid import UUID

from ..errors import QueueUnavailable
from ..queue.events import EventLog

logger = logging.getLogger(__name__)

_MOST_KEPT = 20_000
_MOST_PER_BATCH = 500
_RETRY_SECONDS = 0.2
_LAST_TRIES = 10


class Publisher:
    """`publish` may be called from any thread; everything else on the service loop."""

    def __init__(self, events: EventLog, *, run_id: UUID, attempt: int, loop: asyncio.AbstractEventLoop) -> None:
        self._events = events
        self._run_id = run_id
        self._attempt = attempt
        self._loop = loop
        self._waiting: deque[tuple[int, str, bytes]] = deque()
        self._number = 0
        self._task: asyncio.Task[None] | None = None
        self._scheduled = False
        self._closed = False
        self.outdated = False

    def publish(self, event: str, data: bytes) -> None:
        """Queue an event; one wake-up of the service loop serves all events queued until it runs."""
        if self._closed:
            # A graph that was left behind may still speak; its run has ended or goes on elsewhere.
            return
        self._number += 1
        self._waiting.append((self._number, event, data))
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon_threadsafe(self._start)

    async def close(self, status: str) -> None:
        """Send what is left and the end mark. Call it when the status is committed, never before."""
        self._closed = True
        await self._drained()
        self._number += 1
        for _ in range(_LAST_TRIES):
            try:
                await self._events.append_end(self._run_id, attempt=self._attempt, number=self._number, status=status)
                return
            except QueueUnavailable:
                await asyncio.sleep(_RETRY_SECONDS)
        logger.warning("Redis does not answer: readers of run %s will see its end in Postgres.", self._run_id)

    async def flush(self) -> None:
        """Send what is left, without an end mark: the run goes on elsewhere."""
        self._closed = True
        await self._drained()

    async def _drained(self) -> None:
        if self._waiting and self._task is None:
            self._start()
        if self._task is not None:
            # Redis may be away for long; a run must not wait for it to end. What is dropped leaves a hole.
            sending = self._task
            done, _ = await asyncio.wait({sending}, timeout=_LAST_TRIES * _RETRY_SECONDS)
            if not done:
                sending.cancel()
                self._waiting.clear()

    def _start(self) -> None:
        self._scheduled = False
        if self._task is None:
            self._task = asyncio.create_task(self._send(), name=f"lgnb-publish-{self._run_id}")

    async def _send(self) -> None:
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_PER_BATCH))]
                try:
                    if not await self._events.append(self._run_id, attempt=self._attempt, events=batch):
                        self.outdated = True
                        self._waiting.clear()
                except QueueUnavailable:
                    self._waiting.extendleft(reversed(batch))
                    while len(self._waiting) > _MOST_KEPT:
                        self._waiting.popleft()
                    await asyncio.sleep(_RETRY_SECONDS)
        finally:
            self._task = None
