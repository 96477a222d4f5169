"""News of runs and threads, from whoever made them to every host. What is lost is missing in figures, nowhere else."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID

import orjson
from redis.exceptions import RedisError

from ..errors import QueueUnavailable
from ..models.news import LeaseNews, News, RunNews, ThreadNews
from .connection import Queue, end_task, translated

logger = logging.getLogger(__name__)

# What happens within this time is told together, so that a burst of runs costs a few messages.
_GATHER_SECONDS = 0.02
_MOST_WAITING = 10_000
_RECONNECT_SECONDS = 0.5
_KINDS: dict[str, type[Any]] = {"run": RunNews, "thread": ThreadNews, "lease": LeaseNews}
_NAMES = {kind: name for name, kind in _KINDS.items()}


class NewsChannel:
    """`tell` from anywhere on the loop; `start(heard)` in a host, which then hears all of it."""

    def __init__(self, queue: Queue) -> None:
        self._redis = queue.redis
        self._patient = queue.patient
        self._channel = queue.keys.news
        self._waiting: list[News] = []
        self._telling: asyncio.Task[None] | None = None
        self._listening: asyncio.Task[None] | None = None

    def tell(self, *news: News) -> None:
        """Soon, and together with what else happens; the caller does not wait for Redis."""
        if not news or len(self._waiting) >= _MOST_WAITING:
            return
        self._waiting += news
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell_soon(), name="lgnb-news")

    def start(self, heard: Callable[[News], None]) -> None:
        self._listening = asyncio.create_task(self._listen(heard), name="lgnb-news-listener")

    async def stop(self) -> None:
        """Tell what waits, and listen no more. Safe to call twice."""
        if self._telling is not None:
            await end_task(self._telling)
        await self._publish()
        if self._listening is not None:
            await end_task(self._listening)
            self._listening = None

    async def _tell_soon(self) -> None:
        while self._waiting:
            await asyncio.sleep(_GATHER_SECONDS)
            await self._publish()

    async def _publish(self) -> None:
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        message = orjson.dumps([{"kind": _NAMES[type(one)], **_fields(one)} for one in waiting])
        try:
            with translated():
                await self._redis.publish(self._channel, message)
        except QueueUnavailable:
            logger.debug("Redis does not answer: %d news are lost.", len(waiting))

    async def _listen(self, heard: Callable[[News], None]) -> None:
        while True:
            try:
                async with self._patient.subscription(ignore_subscribe_messages=True) as pubsub:
                    await pubsub.subscribe(self._channel)
                    while True:
                        message = await pubsub.get_message(timeout=None)
                        for one in orjson.loads(message["data"]) if message else ():
                            _hand_on(one, heard)
            except (RedisError, OSError):
                await asyncio.sleep(_RECONNECT_SECONDS)


def _fields(news: News) -> dict[str, Any]:
    return {field.name: value for field in dataclasses.fields(news) if (value := getattr(news, field.name)) is not None}


def _hand_on(message: dict[str, Any], heard: Callable[[News], None]) -> None:
    try:
        kind = _KINDS[message.pop("kind")]
        ids = {name: UUID(value) for name, value in message.items() if name.endswith("_id") and name != "graph_id"}
        heard(kind(**(message | ids)))
    except Exception:  # a newer version may tell what this one does not know; the listener has to survive
        logger.debug("News could not be read.", exc_info=True)
