"""Updates of a thread's state that came by request, for those who follow it: kept for a while, under rising ids."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from .connection import Queue, translated

_MOST_KEPT = 100


@dataclass(frozen=True, slots=True)
class LoggedUpdate:
    id: str
    data: bytes


class ThreadUpdates:
    """Append and read. Appending twice shows the same state twice."""

    def __init__(self, queue: Queue, *, ttl_seconds: float) -> None:
        self._redis = queue.redis
        self._keys = queue.keys
        self._ttl_ms = int(ttl_seconds * 1000)

    async def append(self, thread_id: UUID, data: bytes) -> None:
        """`data` is JSON."""
        key = self._keys.thread_updates(thread_id)
        with translated():
            async with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.xadd(key, {"d": data}, maxlen=_MOST_KEPT)
                pipeline.pexpire(key, self._ttl_ms)
                await pipeline.execute()
            await self._redis.publish(self._keys.thread_bell(thread_id), "update")

    async def read(self, thread_id: UUID, *, after: str) -> list[LoggedUpdate]:
        """Entries with an id larger than `after` ("0" for all), oldest first."""
        start = "-" if after == "0" else f"({after}"
        with translated():
            rows = await self._redis.xrange(self._keys.thread_updates(thread_id), min=start)
        return [LoggedUpdate(entry_id.decode(), fields[b"d"]) for entry_id, fields in rows or ()]

    async def last_id(self, thread_id: UUID) -> str:
        """The id of the newest entry, or "0"."""
        with translated():
            rows = await self._redis.xrevrange(self._keys.thread_updates(thread_id), count=1)
        return rows[0][0].decode() if rows else "0"
