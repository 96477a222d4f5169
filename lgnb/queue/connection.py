"""The Redis connection of one process, and the translation of its failures into our errors."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from importlib import resources
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from ..errors import QueueUnavailable, SettingsError
from .keys import Keys

# A Redis that stands still is as good as none; nobody waits longer for what is only speed.
_REPLY_SECONDS = 2.0


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
    except (RedisError, OSError) as error:
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

    def __init__(self, uri: str, *, prefix: str, max_connections: int = 256) -> None:
        self.keys = Keys(prefix)
        # Any: redis-py types every reply as a union of what it may be with and without decoding.
        self.redis: Any = self._client(uri, max_connections=max_connections, reply_seconds=_REPLY_SECONDS)
        # For commands that wait for something to happen, and for subscriptions: their silence is no failure.
        self.patient: Any = self._client(uri, max_connections=max_connections, reply_seconds=None)
        self.append_events_script: Any = self._script("append_events")
        self.append_protocol_script: Any = self._script("append_protocol")
        self.append_update_script: Any = self._script("append_update")

    def _client(self, uri: str, *, max_connections: int, reply_seconds: float | None) -> Redis:
        # A peer that vanished without a word is noticed by the system, where there is a network in between.
        network: dict[str, Any] = {} if uri.startswith("unix:") else {"socket_keepalive": True}
        pool = BlockingConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType]
            uri,
            max_connections=max_connections,
            timeout=5,
            # Shown by CLIENT LIST.
            client_name=self.keys.prefix,
            socket_timeout=reply_seconds,
            socket_connect_timeout=2,
            health_check_interval=15,
            # A lost connection is told to the caller at once: each has its own way to go on.
            retry=Retry(NoBackoff(), 1),
            **network,
        )
        return Redis.from_pool(pool)

    def _script(self, name: str) -> Any:
        text = resources.files("lgnb.queue").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")
        return self.redis.register_script(text)

    async def ping(self) -> None:
        """Raises QueueUnavailable when Redis does not answer."""
        with translated():
            await self.redis.ping()

    async def refuse_cluster(self) -> None:
        """Check that this Redis is of a kind that works.

        Raises:
            SettingsError: it is a node of a Cluster, and most keys belong to nodes that nobody would ask.
            QueueUnavailable: Redis does not answer.
        """
        with translated():
            facts = await self.redis.info("cluster")
        if facts.get("cluster_enabled"):
            raise SettingsError(
                "LGNB_REDIS_URI names a node of a Redis Cluster, which is not supported; "
                "name a Redis or Valkey that is not clustered."
            )

    async def close(self) -> None:
        """Close every connection; safe to call twice."""
        await self.redis.aclose()
        await self.patient.aclose()

    def stats(self) -> dict[str, Any]:
        pool = self.redis.connection_pool
        return {"max_connections": pool.max_connections}

    def pool_stats(self) -> dict[str, int]:
        """How many connections are open for commands and for subscriptions, and how many of them are in use."""
        pools = [self.redis.connection_pool, self.patient.connection_pool]
        in_use = sum(len(pool._in_use_connections) for pool in pools)
        idle = sum(len(pool._available_connections) for pool in pools)
        return {"pool_max": sum(pool.max_connections for pool in pools), "pool_size": in_use + idle, "in_use": in_use}
