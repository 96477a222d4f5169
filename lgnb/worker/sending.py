"""Sends what a run's event loop produces to Redis: in order, in batches, through its absences, within bounds."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from ..errors import QueueUnavailable

T = TypeVar("T")

_MOST_KEPT = 20_000
_MOST_PER_BATCH = 500
_RETRY_SECONDS = 0.2
_LAST_TRIES = 10
_HOLD_SECONDS = 0.01
_PACE_SECONDS = 0.0005
# Nobody sees this, and a graph of quick supersteps needs but one message for several.
_SHORTEST_PACE_SECONDS = 0.002
_LONGEST_PACE_SECONDS = 0.05


class Pace:
    """How long the next batch of a run collects: the longer the more runs send at once.

    Nothing waits that comes after a silence. So the first token of a stream goes out at once, and a hundred streams do
    not send token by token.
    """

    def __init__(self) -> None:
        self._sending = 0

    def begin(self) -> None:
        self._sending += 1

    def end(self) -> None:
        self._sending -= 1

    @property
    def pause_seconds(self) -> float:
        return min(self._sending * _PACE_SECONDS, _LONGEST_PACE_SECONDS)


# Of one process: all its runs share the processor.
_pace = Pace()


class BatchSender(Generic[T]):
    """`put` may be called from any thread; everything else on the service loop.

    Args:
        send: takes a batch; false means that a newer attempt has taken over and nothing more needs to be sent.
    """

    def __init__(
        self, send: Callable[[list[T]], Awaitable[bool]], *, loop: asyncio.AbstractEventLoop, pace: Pace = _pace
    ) -> None:
        self._send_batch = send
        self._loop = loop
        self._pace = pace
        self._collected: asyncio.Future[None] | None = None
        self._waiting: deque[T] = deque()
        self._task: asyncio.Task[None] | None = None
        self._scheduled = False
        self._is_urgent = False
        self._may_hurry = False
        self.closed = False
        self.outdated = False

    def put(self, item: T, *, urgent: bool = True) -> None:
        """Queue an item; one wake-up of the service loop serves all items queued until it runs.

        Whatever is not `urgent` may wait until more have come.
        """
        if self.closed:
            # A graph that was left behind may still speak; its run has ended or goes on elsewhere.
            return
        self._waiting.append(item)
        self._is_urgent = self._is_urgent or urgent
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon_threadsafe(self._start)

    def hold(self, item: T) -> None:
        """Queue an item that shall go with the next one, or alone when none comes soon. On the service loop only."""
        self._waiting.append(item)
        self._loop.call_later(_HOLD_SECONDS, self._start)

    async def close(self) -> None:
        """Take nothing more; return when the rest was sent, or given up because Redis was away for long."""
        self.closed = True
        if self._waiting and self._task is None:
            self._start()
        if self._collected is not None:
            _settle(self._collected)
        if self._task is not None:
            # Redis may be away for long; a run must not wait for it to end. What is dropped leaves a hole.
            sending = self._task
            done, _ = await asyncio.wait({sending}, timeout=_LAST_TRIES * _RETRY_SECONDS)
            if not done:
                sending.cancel()
                self._waiting.clear()

    async def last(self, send: Callable[[], Awaitable[object]]) -> bool:
        """Send what closes a log; False when Redis did not take it in several tries."""
        for _ in range(_LAST_TRIES):
            try:
                await send()
            except QueueUnavailable:
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return True
        return False

    def _start(self) -> None:
        self._scheduled = False
        if self._collected is not None and self._is_urgent and self._may_hurry:
            _settle(self._collected)
        if self._task is None and self._waiting:
            self._task = asyncio.create_task(self._send(), name="lgnb-send")

    async def _collect(self) -> None:
        """Let more come, unless the sender is being closed; what is urgent waits no longer than nobody sees."""
        await self._pause(_SHORTEST_PACE_SECONDS, may_hurry=False)
        if not self._is_urgent:
            await self._pause(self._pace.pause_seconds - _SHORTEST_PACE_SECONDS, may_hurry=True)

    async def _pause(self, seconds: float, *, may_hurry: bool) -> None:
        if self.closed or seconds <= 0:
            return
        self._may_hurry = may_hurry
        self._collected = self._loop.create_future()
        timer = self._loop.call_later(seconds, _settle, self._collected)
        try:
            await self._collected
        finally:
            timer.cancel()
            self._collected = None

    async def _send(self) -> None:
        self._pace.begin()
        try:
            while self._waiting:
                self._is_urgent = False
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_PER_BATCH))]
                try:
                    if not await self._send_batch(batch):
                        self.outdated = True
                        self._waiting.clear()
                except QueueUnavailable:
                    self._waiting.extendleft(reversed(batch))
                    while len(self._waiting) > _MOST_KEPT:
                        self._waiting.popleft()
                    await asyncio.sleep(_RETRY_SECONDS)
                else:
                    # Whatever comes in the meantime goes with the next batch.
                    await self._collect()
        finally:
            self._pace.end()
            self._task = None


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
