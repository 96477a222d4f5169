"""The Redis connection of one process, and the translation of its failures into our errors."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from importlib import resources
from typing import Any

from redis.exceptions import RedisClusterException, RedisError

from ..errors import QueueUnavailable, SettingsError
from .address import EXAMPLES, Kind, parse
from .clients import client, kind_of
from .keys import Keys

# A Redis that stands still is as good as none; nobody waits longer for what is only speed.
_REPLY_SECONDS = 2.0
# One thread serves them all, so more connections answer no sooner; to open them is what takes long in a burst.
_MOST_CONNECTIONS = 16
_MOST_PATIENT = 256
_WHO: dict[Kind, str] = {
    "standalone": "a Redis that stands alone",
    "sentinel": "a Sentinel",
    "cluster": "a node of a Redis Cluster",
}


@contextmanager
def translated() -> Generator[None]:
    """Turn a failure of Redis into QueueUnavailable.

    A cancellation is not lost in the block, though redis-py sends with `asyncio.wait_for`, which before Python 3.12
    forgets one that comes when the command has just been sent.
    """
    task = asyncio.current_task()
    cancelled_before = task.cancelling() if task else 0
    try:
        yield
        if task and task.cancelling() > cancelled_before:
            raise asyncio.CancelledError
    except (RedisError, RedisClusterException, OSError) as error:
        if task and task.cancelling() > cancelled_before:
            raise asyncio.CancelledError from error
        raise QueueUnavailable(f"Redis does not answer ({type(error).__name__}); try again shortly.") from error


async def end_task(task: asyncio.Task[None]) -> None:
    """Cancel a task that waits on Redis, and return when it has ended.

    One cancellation may get lost while a connection is being made, and the task would then wait for ever.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=0.5)


class Queue:
    """One Redis for wake-ups, event logs, signals and calls. Everything in it may be lost without losing a run."""

    def __init__(self, uri: str, *, prefix: str, max_connections: int = _MOST_CONNECTIONS) -> None:
        self.keys = Keys(prefix)
        self._address = parse(uri)
        # Any: redis-py types every reply as a union of what it may be with and without decoding.
        self.redis: Any = self._client(reply_seconds=_REPLY_SECONDS, max_connections=max_connections)
        # For commands that wait for something to happen, and for subscriptions: their silence is no failure.
        self.patient: Any = self._client(reply_seconds=None, max_connections=max(max_connections, _MOST_PATIENT))
        self.append_events_script: Any = self._script("append_events")
        self.append_protocol_script: Any = self._script("append_protocol")
        self.append_update_script: Any = self._script("append_update")
        self.push_script: Any = self._script("push")

    def _client(self, **more: Any) -> Any:
        return client(self._address, client_name=self.keys.prefix, **more)

    def _script(self, name: str) -> Any:
        text = resources.files("lgnb.queue").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")
        return self.redis.register_script(text)

    async def ping(self) -> None:
        """Raises QueueUnavailable when Redis does not answer."""
        with translated():
            await self.redis.ping()

    async def facts(self) -> dict[str, dict[str, Any]]:
        """What INFO tells, of each node that holds data by its place in a Cluster, under "" otherwise."""
        with translated():
            return await self.redis.facts()

    async def refuse_other_kind(self) -> None:
        """Check that who answers is of the kind that the URI names.

        Raises:
            SettingsError: it is not, and most commands would fail.
            QueueUnavailable: nobody answers.
        """
        with translated():
            kind = await kind_of(self._address, reply_seconds=_REPLY_SECONDS)
        if kind != self._address.kind:
            raise SettingsError(f"LGNB_REDIS_URI names {_WHO[kind]}; write it as {EXAMPLES[kind]}")

    async def close(self) -> None:
        """Close every connection; safe to call twice."""
        await self.redis.disconnect()
        await self.patient.disconnect()

    def pool_stats(self) -> dict[str, int]:
        """How many connections are open for commands and for subscriptions, and how many of them are in use."""
        sizes = [self.redis.pool_size, self.patient.pool_size]
        return {
            "pool_max": sum(size.most for size in sizes),
            "pool_size": sum(size.opened for size in sizes),
            "in_use": sum(size.in_use for size in sizes),
        }
