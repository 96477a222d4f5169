"""Signals: telling the worker of a run to stop it. The wish itself is a column in Postgres; this only makes it fast."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from uuid import UUID

from redis.exceptions import RedisError

from .connection import Queue, end_task, translated

logger = logging.getLogger(__name__)

_RECONNECT_SECONDS = 0.5


class Signals:
    """`send` from anywhere; `start(callback)` in a worker, which then hears every run id."""

    def __init__(self, queue: Queue) -> None:
        self._redis = queue.redis
        self._patient = queue.patient
        self._channel = queue.keys.signals
        self._task: asyncio.Task[None] | None = None

    async def send(self, run_ids: Sequence[UUID]) -> None:
        """Ask the workers of these runs to look at their rows."""
        if not run_ids:
            return
        with translated():
            await self._redis.publish(self._channel, " ".join(map(str, run_ids)))

    def start(self, heard: Callable[[list[UUID]], None]) -> None:
        self._task = asyncio.create_task(self._run(heard), name="lgnb-signals")

    async def stop(self) -> None:
        if self._task is not None:
            await end_task(self._task)
            self._task = None

    async def _run(self, heard: Callable[[list[UUID]], None]) -> None:
        lost = False
        while True:
            try:
                async with self._patient.subscription(ignore_subscribe_messages=True) as pubsub:
                    await pubsub.subscribe(self._channel)
                    lost = False
                    while True:
                        message = await pubsub.get_message(timeout=None)
                        if message is not None:
                            heard([UUID(run_id) for run_id in message["data"].decode().split()])
            except (RedisError, OSError) as error:
                # Once per loss, not once per attempt.
                if not lost:
                    logger.warning("The signal connection to Redis broke (%s); connecting again.", type(error).__name__)
                lost = True
                await asyncio.sleep(_RECONNECT_SECONDS)
