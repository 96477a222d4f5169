"""Updates of a thread's state that came by request, for those who follow it: kept for a while, under rising ids."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from .connection import Queue, translated

_MOST_KEPT = 100
_NEWEST_SECONDS = 30 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class LoggedUpdate:
    """`previous` is the id of the update before it, "" where nobody knows of one."""

    id: str
    data: bytes
    previous: str


class ThreadUpdates:
    """Append and read. Appending twice shows the same state twice."""

    def __init__(self, queue: Queue, *, ttl_seconds: float) -> None:
        self._queue = queue
        self._redis = queue.redis
        self._keys = queue.keys
        self._ttl_ms = int(ttl_seconds * 1000)

    async def append(self, thread_id: UUID, data: bytes) -> None:
        """`data` is JSON."""
        keys = [self._keys.thread_updates(thread_id), self._keys.thread_newest_update(thread_id)]
        newest_ms = max(int(_NEWEST_SECONDS * 1000), self._ttl_ms)
        arguments = [data, self._ttl_ms, newest_ms, _MOST_KEPT, self._keys.thread_bell(thread_id)]
        with translated():
            await self._queue.append_update_script(keys=keys, args=arguments)

    async def read(self, thread_id: UUID, *, after: str) -> list[LoggedUpdate]:
        """Entries with an id larger than `after` ("0" for all), oldest first."""
        start = "-" if after == "0" else f"({after}"
        with translated():
            rows = await self._redis.xrange(self._keys.thread_updates(thread_id), min=start)
        return [
            LoggedUpdate(entry_id.decode(), fields[b"d"], fields.get(b"p", b"").decode())
            for entry_id, fields in rows or ()
        ]

    async def newest_id(self, thread_id: UUID) -> str:
        """The id of the newest update, which may have expired, or "0"."""
        with translated():
            newest = await self._redis.get(self._keys.thread_newest_update(thread_id))
        return newest.decode() if newest else "0"
