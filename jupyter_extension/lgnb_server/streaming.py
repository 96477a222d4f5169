"""Long answers: event streams and waits, kept alive by heartbeats, bounded for slow readers, ended by a stop."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from tornado.iostream import StreamClosedError

from lgnb.errors import LimitReached
from lgnb.models.streams import StreamEvent

from . import sse

logger = logging.getLogger(__name__)

# A reader that takes nothing for this long is cut off; until then the run's log waits for it, not our memory.
SLOW_READER_SECONDS = 60.0

Send = Callable[[bytes], Awaitable[None]]
T = TypeVar("T")


class ClientGone(Exception):
    """The connection ended, or is being ended, before the answer was complete."""


class OpenStreams:
    """Every long answer that is being given, and to whom. A limit of zero is none."""

    def __init__(self, *, most: int = 0, most_per_caller: int = 0) -> None:
        self._most = most
        self._most_per_caller = most_per_caller
        self._ends: set[asyncio.Event] = set()
        self._callers: Counter[str] = Counter()
        self._none_left = asyncio.Event()
        self._none_left.set()

    def __len__(self) -> int:
        return len(self._ends)

    @contextmanager
    def opened(self, end: asyncio.Event, *, caller: str = "") -> Generator[None]:
        """Count one answer as open; `end` is set when it has to stop. Opening one again within itself changes nothing.

        Raises:
            LimitReached: there are as many as may be.
        """
        if end in self._ends:
            yield
            return
        self._check(caller)
        self._ends.add(end)
        self._callers[caller] += 1
        self._none_left.clear()
        try:
            yield
        finally:
            self._ends.discard(end)
            self._callers -= Counter([caller])
            if not self._ends:
                self._none_left.set()

    def _check(self, caller: str) -> None:
        if self._most and len(self._ends) >= self._most:
            raise LimitReached(f"This server has {self._most} streams open, which is as many as it may have.")
        if self._most_per_caller and self._callers[caller] >= self._most_per_caller:
            raise LimitReached(
                f"You have {self._most_per_caller} streams open here; close some, or wait for their end."
            )

    async def end(self, *, timeout_seconds: float) -> None:
        """Ask every open answer to stop, and wait until they have."""
        for end in self._ends:
            end.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._none_left.wait()


async def relay_events(
    pages: AsyncIterator[Sequence[StreamEvent]], *, send: Send, gone: asyncio.Event, heartbeat_seconds: float
) -> None:
    """Send every event as a frame, those of a page together, and a comment whenever nothing happened for a while.

    Raises:
        ClientGone: the reader left, was cut off or the server stops; the pages are closed in either case.
    """
    try:
        await send(b"")
        while True:
            page = await _next(pages, send=send, gone=gone, heartbeat_seconds=heartbeat_seconds)
            if page is None:
                return
            for chunk in sse.chunks(page):
                await send(chunk)
    finally:
        if isinstance(pages, AsyncGenerator):
            await pages.aclose()


async def one_by_one(events: AsyncIterator[StreamEvent]) -> AsyncGenerator[list[StreamEvent]]:
    """Pages of one event each."""
    try:
        async for event in events:
            yield [event]
    finally:
        if isinstance(events, AsyncGenerator):
            await events.aclose()


async def relay_result(result: Awaitable[T], *, send: Send, gone: asyncio.Event, heartbeat_seconds: float) -> T:
    """Wait for `result`, sending a line break whenever nothing happened for a while.

    Raises:
        ClientGone: as in `relay_events`; `result` is cancelled then.
    """
    await send(b"")
    return await _while_beating(result, beat=b"\n", send=send, gone=gone, heartbeat_seconds=heartbeat_seconds)


async def send_bounded(write: Callable[[], Awaitable[Any]], *, cut: Callable[[], None]) -> None:
    """Write to a client, and cut it off when it does not read.

    Raises:
        ClientGone: the connection is closed.
    """
    try:
        async with asyncio.timeout(SLOW_READER_SECONDS):
            await write()
    except StreamClosedError:
        raise ClientGone from None
    except TimeoutError:
        logger.warning("A client read nothing for %g s and was cut off.", SLOW_READER_SECONDS)
        cut()
        raise ClientGone from None


async def _next(
    pages: AsyncIterator[Sequence[StreamEvent]], *, send: Send, gone: asyncio.Event, heartbeat_seconds: float
) -> Sequence[StreamEvent] | None:
    async def following() -> Sequence[StreamEvent] | None:
        return await anext(pages, None)

    return await _while_beating(
        following(), beat=sse.HEARTBEAT, send=send, gone=gone, heartbeat_seconds=heartbeat_seconds
    )


async def _while_beating(
    work: Awaitable[T], *, beat: bytes, send: Send, gone: asyncio.Event, heartbeat_seconds: float
) -> T:
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(gone.wait())
    try:
        while True:
            done, _ = await asyncio.wait(
                (working, leaving), timeout=heartbeat_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if leaving in done:
                raise ClientGone
            if working in done:
                return working.result()
            await send(beat)
    finally:
        leaving.cancel()
        if not working.done():
            working.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)
