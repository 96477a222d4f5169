"""Bells: one pub/sub connection per host that tells all its open streams when the log they read has grown.

A ring carries no data; whoever hears it reads the log. A lost ring costs one look after `idle_seconds`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from redis.exceptions import RedisError

from .connection import Queue, end_task
from .events import END, RESULT

logger = logging.getLogger(__name__)

_RECONNECT_SECONDS = 0.5
_CONFIRM_SECONDS = 1.0


class Bell:
    """What one listener holds: rung since it last waited, and whether the end of the run was heard.

    With the end may come `result`, the JSON text that waiting callers are told.
    `rung_at` counts the rings of all bells until this one was rung last.
    """

    def __init__(self) -> None:
        self._is_rung = False
        self._waiting: set[asyncio.Future[None]] = set()
        self.end_heard = False
        self.result: bytes | None = None
        self.rung_at = 0

    def ring(self, event: str | None = None, *, at: int) -> None:
        self.rung_at = at
        self.end_heard = self.end_heard or event == END
        self._is_rung = True
        for heard in self._waiting:
            _settle(heard)

    async def wait(self, *, timeout_seconds: float) -> bool:
        """Wait for the next ring; False when none came in time."""
        if not self._is_rung:
            # An event and asyncio.timeout would cost more, for each reader of each event.
            loop = asyncio.get_running_loop()
            heard: asyncio.Future[None] = loop.create_future()
            self._waiting.add(heard)
            timer = loop.call_later(timeout_seconds, _settle, heard)
            try:
                await heard
            finally:
                timer.cancel()
                self._waiting.discard(heard)
        was_rung, self._is_rung = self._is_rung, False
        return was_rung


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Bells:
    """Subscribe with `listening(run_id)` or `listening_to_thread(thread_id)`; wait on the bell it yields."""

    def __init__(self, queue: Queue) -> None:
        self._redis = queue.patient
        self._keys = queue.keys
        self._listeners: dict[str, set[Bell]] = {}
        self._subscribed: dict[str, asyncio.Event] = {}
        self._early: set[Bell] = set()
        self._pubsub: Any = None
        self._task: asyncio.Task[None] | None = None
        self._stopped = False
        self._lost = False
        self.heard = 0

    @property
    def connected(self) -> bool:
        """Whether rings arrive at present."""
        return self._pubsub is not None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="lgnb-bells")

    async def stop(self) -> None:
        """Safe to call twice; returns when the connection is closed."""
        self._stopped = True
        if self._task is not None:
            await end_task(self._task)
            self._task = None

    @asynccontextmanager
    async def listening(self, run_id: UUID) -> AsyncGenerator[Bell]:
        """A bell that rings whenever this run's log may have grown; subscribed when the block begins."""
        async with self._listening(self._keys.run_bell(run_id)) as bell:
            yield bell

    @asynccontextmanager
    async def listening_to_thread(self, thread_id: UUID) -> AsyncGenerator[Bell]:
        """The same for whatever is logged of a thread: events of its runs, protocol events, updates of its state."""
        async with self._listening(self._keys.thread_bell(thread_id)) as bell:
            yield bell

    @asynccontextmanager
    async def _listening(self, channel: str) -> AsyncGenerator[Bell]:
        bell = Bell()
        listeners = self._listeners.setdefault(channel, set())
        listeners.add(bell)
        try:
            if len(listeners) == 1:
                self._subscribed[channel] = asyncio.Event()
                await self._tell("subscribe", channel)
            await self._confirmed(channel, bell)
            yield bell
        finally:
            listeners.discard(bell)
            self._early.discard(bell)
            if not listeners and self._listeners.pop(channel, None) is not None:
                self._subscribed.pop(channel, None)
                await self._tell("unsubscribe", channel)

    async def _tell(self, verb: str, channel: str) -> None:
        if self._pubsub is None:
            return
        try:
            await getattr(self._pubsub, verb)(channel)
        except (RedisError, OSError):
            # The reader sees the broken connection too, reconnects and subscribes to everything again.
            logger.debug("Could not %s %s", verb, channel)

    async def _confirmed(self, channel: str, bell: Bell) -> None:
        """Wait until Redis has said that the subscription holds; whoever looks earlier may miss the next ring."""
        if self.connected:
            try:
                async with asyncio.timeout(_CONFIRM_SECONDS):
                    await self._subscribed[channel].wait()
            except TimeoutError:
                self._early.add(bell)

    async def _run(self) -> None:
        while not self._stopped:
            try:
                await self._listen()
            except (RedisError, OSError) as error:
                # Once per loss, not once per attempt.
                if not self._lost:
                    logger.warning("The bell connection to Redis broke (%s); connecting again.", type(error).__name__)
                    self._ring_all()
                self._lost = True
                await asyncio.sleep(_RECONNECT_SECONDS)

    async def _listen(self) -> None:
        async with self._redis.subscription() as pubsub:
            # A first channel opens the connection, so that listening works before anybody subscribes.
            await pubsub.subscribe(f"{self._keys.prefix}:bells", *self._listeners)
            self._pubsub = pubsub
            self._lost = False
            self._ring_all()
            try:
                while True:
                    message = await pubsub.get_message(timeout=None)
                    if message is not None:
                        self._hear(message)
            finally:
                self._pubsub = None

    def _hear(self, message: dict[str, Any]) -> None:
        channel = message["channel"].decode()
        if message["type"] == "subscribe":
            if (subscribed := self._subscribed.get(channel)) is not None:
                subscribed.set()
            # Whoever has looked before must look once more.
            for bell in self._early & self._listeners.get(channel, set()):
                self._early.discard(bell)
                bell.ring(at=self.heard)
        elif message["type"] == "message":
            data: bytes = message["data"]
            if data.startswith(RESULT):
                for bell in self._listeners.get(channel, ()):
                    bell.result = data.removeprefix(RESULT)
                return
            self.heard += 1
            for bell in self._listeners.get(channel, ()):
                bell.ring(data.decode(), at=self.heard)

    def _ring_all(self) -> None:
        self.heard += 1
        for listeners in self._listeners.values():
            for bell in listeners:
                bell.ring(at=self.heard)
