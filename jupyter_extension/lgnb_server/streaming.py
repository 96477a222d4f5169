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
        async with _Heart(sse.HEARTBEAT, send=send, gone=gone, seconds=heartbeat_seconds) as heart:
            async for page in pages:
                for chunk in sse.chunks(page):
                    await heart.send(chunk)
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
    async with _Heart(b"\n", send=send, gone=gone, seconds=heartbeat_seconds):
        return await result


async def send_bounded(write: Callable[[], Awaitable[Any]], *, cut: Callable[[], None]) -> None:
    """Write to a client, and cut it off when it does not read.

    Raises:
        ClientGone: the connection is closed.
    """
    try:
        writing = write()
        if isinstance(writing, asyncio.Future) and writing.done():
            # The usual case: the system has taken it, and nobody needs to wait.
            writing.result()
            return
        async with asyncio.timeout(SLOW_READER_SECONDS):
            await writing
    except StreamClosedError:
        raise ClientGone from None
    except TimeoutError:
        logger.warning("A client read nothing for %g s and was cut off.", SLOW_READER_SECONDS)
        cut()
        raise ClientGone from None


class _Heart:
    """Beats while the block around a long answer has nothing to send, and ends the block when the reader is gone.

    One task for the whole answer, so that a page that is sent costs neither a task nor a timer.

    Raises:
        ClientGone: out of the block, once `gone` is set or a beat could not be sent.
    """

    def __init__(self, beat: bytes, *, send: Send, gone: asyncio.Event, seconds: float) -> None:
        self._beat = beat
        self._send = send
        self._gone = gone
        self._seconds = seconds
        self._is_sending = False
        self._left = False

    async def __aenter__(self) -> _Heart:
        self._answering = asyncio.current_task()
        self._sent_at = asyncio.get_running_loop().time()
        self._watching = asyncio.create_task(self._watch(), name="lgnb-heart")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, _: Any) -> None:
        self._watching.cancel()
        try:
            await asyncio.gather(self._watching, return_exceptions=True)
        except asyncio.CancelledError:
            # The block may have come to its end when it was about to be cancelled.
            if not self._left:
                raise
        # Ours is the only cancellation: one from outside goes on.
        if self._left and self._answering is not None and self._answering.uncancel() == 0:
            raise ClientGone from None

    async def send(self, chunk: bytes) -> None:
        self._is_sending = True
        try:
            await self._send(chunk)
        finally:
            self._is_sending = False
            self._sent_at = asyncio.get_running_loop().time()

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._gone.is_set():
            pause = self._sent_at + self._seconds - loop.time()
            if pause > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._gone.wait()
                continue
            if not self._is_sending:
                try:
                    await self._send(self._beat)
                except ClientGone:
                    break
            self._sent_at = loop.time()
        self._left = True
        if self._answering is not None:
            self._answering.cancel()
