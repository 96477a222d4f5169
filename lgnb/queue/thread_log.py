"""The protocol log of each thread: what its runs did, as numbered envelopes, over all runs and workers.

Numbers rise by one for every envelope of a thread, whoever reads and whatever is filtered. The log keeps the newest
envelopes only, and only for a while; the counter outlives it, so that a reader can be told what it missed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from ..models.protocol import GAP, ProtocolEvent, StoredEvent
from .connection import Queue, translated
from .events import too_large

# Larger than any attempt: what is appended with it closes the log of the run.
OUTSIDE = 1_000_000_000

_MOST_KEPT = 10_000
_LIVE_SECONDS = 24 * 3600.0
_COUNTER_SECONDS = 30 * 24 * 3600.0
_WATCH_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Extent:
    """Which numbers a log holds. `last` is the last one given, 0 when nobody knows any; `first` is None when empty."""

    first: int | None
    last: int


class ThreadLog:
    """Append, read, and say that somebody is watching. Repeating an append of the same end changes nothing."""

    def __init__(
        self, queue: Queue, *, ttl_seconds: float, most_kept: int = _MOST_KEPT, most_bytes: int | None = None
    ) -> None:
        """An event larger than `most_bytes` is not kept; one with the method `gap` takes its place and says so."""
        self._most_bytes = most_bytes
        self._queue = queue
        self._redis = queue.redis
        self._keys = queue.keys
        self._most_kept = most_kept
        self._ttl_ms = int(ttl_seconds * 1000)
        # While a run works the log must not expire between two slow steps.
        self._live_ttl_ms = max(self._ttl_ms, int(_LIVE_SECONDS * 1000))

    async def append(
        self,
        thread_id: UUID,
        *,
        run_id: UUID,
        attempt: int,
        events: Sequence[ProtocolEvent],
        first: int = 0,
        ended: bool = False,
    ) -> bool:
        """Append in one round trip; False when a newer attempt has written, or the run's end is logged already.

        Args:
            first: the place of the first event among those of the attempt, counted from 1. Places that are there
                already are left out, so a batch may be sent again when its fate is not known.
        """
        keys = self._keys
        ttl_ms = self._ttl_ms if ended else self._live_ttl_ms
        counter_ms = max(int(_COUNTER_SECONDS * 1000), self._live_ttl_ms)
        arguments: list[Any] = [attempt, "1" if ended else "0", ttl_ms, counter_ms, self._most_kept]
        arguments += [keys.thread_bell(thread_id), first]
        for event in map(self._within_bounds, events):
            arguments += [
                event.event_id,
                event.method,
                orjson.dumps(event.namespace),
                event.name,
                event.params,
                str(run_id),
            ]
        with translated():
            last = await self._queue.append_protocol_script(
                keys=[
                    keys.thread_protocol(thread_id),
                    keys.thread_protocol_count(thread_id),
                    keys.thread_protocol_fence(thread_id, run_id),
                ],
                args=arguments,
            )
        return bool(last)

    def _within_bounds(self, event: ProtocolEvent) -> ProtocolEvent:
        if self._most_bytes is None or len(event.params) <= self._most_bytes:
            return event
        reason = too_large(event.method, len(event.params), self._most_bytes)
        params = {"namespace": event.namespace, "timestamp": time.time_ns() // 1_000_000, "data": {"reason": reason}}
        return ProtocolEvent(method=GAP, namespace=event.namespace, params=orjson.dumps(params))

    async def read(self, thread_id: UUID, *, after: int, count: int = 500) -> list[StoredEvent]:
        """Entries with a number larger than `after`, in order."""
        with translated():
            rows = await self._redis.xrange(self._keys.thread_protocol(thread_id), min=f"({after}-0", count=count)
        return [_stored(entry_id, fields) for entry_id, fields in rows or ()]

    async def extent(self, thread_id: UUID) -> Extent:
        key = self._keys.thread_protocol(thread_id)
        with translated():
            count = await self._redis.get(self._keys.thread_protocol_count(thread_id))
            oldest = await self._redis.xrange(key, count=1)
            newest = await self._redis.xrevrange(key, count=1)
        first = _seq(oldest[0][0]) if oldest else None
        last = _seq(newest[0][0]) if newest else 0
        return Extent(first, max(last, int(count or 0)))

    async def watch(self, thread_id: UUID) -> None:
        """Say for a while that somebody watches the thread; then runs that nobody can resume are logged too."""
        with translated():
            await self._redis.set(self._keys.thread_watched(thread_id), b"1", px=int(_WATCH_SECONDS * 1000))

    async def is_watched(self, thread_id: UUID) -> bool:
        with translated():
            return bool(await self._redis.exists(self._keys.thread_watched(thread_id)))


def _stored(entry_id: bytes, fields: dict[bytes, bytes]) -> StoredEvent:
    return StoredEvent(
        seq=_seq(entry_id),
        event_id=fields[b"i"].decode() or entry_id.decode(),
        method=fields[b"m"].decode(),
        namespace=tuple(orjson.loads(fields[b"n"])),
        name=fields[b"x"].decode(),
        params=fields[b"p"],
        run_id=fields[b"r"].decode(),
    )


def _seq(entry_id: bytes) -> int:
    return int(entry_id.split(b"-", 1)[0])
