"""Carries the events of one run from its event loop to its log: batched, numbered, in order, fenced.

While Redis is away a bounded number of events is kept; what had to be dropped leaves a hole in the numbers,
by which readers notice it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from .sending import BatchSender

logger = logging.getLogger(__name__)


class Events(Protocol):
    """The log that the events go to; see `queue.events.EventLog`."""

    async def append(
        self, run_id: UUID, *, thread_id: UUID, attempt: int, events: Sequence[tuple[int, str, bytes]]
    ) -> bool: ...

    async def append_end(
        self, run_id: UUID, *, thread_id: UUID, attempt: int, number: int, status: str, result: bytes = b""
    ) -> bool: ...


class Publisher:
    """`publish` may be called from any thread; everything else on the service loop."""

    def __init__(
        self, events: Events, *, run_id: UUID, thread_id: UUID, attempt: int, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._events = events
        self._run_id = run_id
        self._thread_id = thread_id
        self._attempt = attempt
        self._number = 0
        self._sender = BatchSender(self._append, loop=loop)

    @property
    def outdated(self) -> bool:
        """Whether a newer attempt has written to the log."""
        return self._sender.outdated

    def publish(self, event: str, data: bytes) -> None:
        """Queue an event; after the end none is taken."""
        if self._sender.closed:
            return
        self._number += 1
        # Tokens may wait for a moment. What a superstep brought may not: its checkpoint is being saved, and a worker
        # that died now would leave nobody to tell of it.
        self._sender.put((self._number, event, data), urgent=not event.startswith("messages"))

    def announce(self, data: bytes) -> None:
        """Queue the first event, which says who speaks; it travels with what the run says first."""
        self._number += 1
        self._sender.hold((self._number, "metadata", data))

    async def close(self, status: str, *, result: bytes = b"") -> None:
        """Send what is left and the end mark. Call it when status and result are committed, never before."""
        await self._sender.close()
        self._number += 1

        async def append_end() -> None:
            await self._events.append_end(
                self._run_id,
                thread_id=self._thread_id,
                attempt=self._attempt,
                number=self._number,
                status=status,
                result=result,
            )

        if not await self._sender.last(append_end):
            logger.warning("Redis does not answer: readers of run %s will see its end in Postgres.", self._run_id)

    async def flush(self) -> None:
        """Send what is left, without an end mark: the run goes on elsewhere."""
        await self._sender.close()

    async def _append(self, batch: list[tuple[int, str, bytes]]) -> bool:
        return await self._events.append(self._run_id, thread_id=self._thread_id, attempt=self._attempt, events=batch)
