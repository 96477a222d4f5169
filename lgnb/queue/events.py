"""The event log of each run: appended by its worker under a fence, read by any host, from any place.

An event carries its attempt and its number within the attempt. Numbers are without holes, so a reader
sees by them when something is missing and says so instead of staying silent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from ..models.protocol import GAP
from .connection import Queue, translated

# The name of the last entry of a run's log. Clients never see it: their stream closes instead.
END = "end"
# What the bell of a run says before it rings for the end, in front of what waiting callers are told.
RESULT = b"result "
_MOST_TOLD_BYTES = 8192


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """One entry of a run's log. `number` counts from 1 within each attempt; 0 is an end written by no attempt."""

    id: str
    attempt: int
    number: int
    event: str
    data: bytes


class EventLog:
    """Append and read. Both are safe to repeat: ids rise, and a reader names the last id it has."""

    def __init__(self, queue: Queue, *, ttl_seconds: float, most_bytes: int | None = None) -> None:
        """An event larger than `most_bytes` is not kept; a `gap` takes its place and says so."""
        self._most_bytes = most_bytes
        self._queue = queue
        self._redis = queue.redis
        self._keys = queue.keys
        self._ttl_ms = int(ttl_seconds * 1000)
        # While a run works its log must not expire between two slow steps.
        self._live_ttl_ms = max(self._ttl_ms, 24 * 3600 * 1000)

    async def append(
        self,
        run_id: UUID,
        *,
        thread_id: UUID,
        attempt: int,
        events: Sequence[tuple[int, str, bytes]],
        ended: bool = False,
        result: bytes = b"",
    ) -> bool:
        """Append (number, name, data) triples in one round trip; False when a newer attempt has written already.

        Numbers that are there already are left out, so a batch may be sent again when its fate is not known.
        """
        arguments: list[Any] = [attempt, self._ttl_ms if ended else self._live_ttl_ms]
        is_told = 0 < len(result) <= _MOST_TOLD_BYTES
        arguments += [
            self._keys.run_bell(run_id),
            self._keys.thread_bell(thread_id),
            RESULT + result if is_told else b"",
        ]
        for number, name, data in events:
            arguments += (number, *self._within_bounds(name, data))
        with translated():
            last = await self._queue.append_events_script(
                keys=[self._keys.run_events(run_id), self._keys.run_fence(run_id)], args=arguments
            )
        return last is not None

    async def append_end(
        self, run_id: UUID, *, thread_id: UUID, attempt: int, number: int, status: str, result: bytes = b""
    ) -> bool:
        """Close the log. Status and result must be committed in Postgres by then.

        A small `result` is told with the bell, which saves whoever waits for it a look into Postgres.
        """
        end = (number, END, status.encode())
        return await self.append(run_id, thread_id=thread_id, attempt=attempt, events=[end], ended=True, result=result)

    async def read(self, run_id: UUID, *, after: str, count: int = 500) -> list[LoggedEvent]:
        """Entries with an id larger than `after` ("0" for all), oldest first."""
        start = "-" if after in ("0", "") else f"({after}"
        with translated():
            rows = await self._redis.xrange(self._keys.run_events(run_id), min=start, count=count)
        return [_event(entry_id, fields) for entry_id, fields in rows or ()]

    async def contains(self, run_id: UUID, entry_id: str) -> bool:
        """Whether an entry with this id is still there."""
        with translated():
            return bool(await self._redis.xrange(self._keys.run_events(run_id), min=entry_id, max=entry_id, count=1))

    async def newest(self, run_id: UUID, *, up_to: str = "+") -> LoggedEvent | None:
        """The newest entry whose id is not larger than `up_to`."""
        with translated():
            rows = await self._redis.xrevrange(self._keys.run_events(run_id), max=up_to, count=1)
        return _event(*rows[0]) if rows else None

    async def last_id(self, run_id: UUID) -> str:
        """The id of the newest entry, or "0"."""
        newest = await self.newest(run_id)
        return "0" if newest is None else newest.id

    def _within_bounds(self, name: str, data: bytes) -> tuple[str, bytes]:
        if self._most_bytes is None or len(data) <= self._most_bytes:
            return name, data
        return GAP, orjson.dumps({"after": None, "reason": too_large(name, len(data), self._most_bytes)})

    async def delete(self, run_id: UUID) -> None:
        with translated():
            await self._redis.delete(self._keys.run_events(run_id), self._keys.run_fence(run_id))


def too_large(name: str, size: int, most_bytes: int) -> str:
    """Why an event is not there, for its reader."""
    return (
        f"An event {name[:128]!r} of {size} bytes was left out, because max_event_bytes is {most_bytes}; "
        "the state of the thread holds what it told."
    )


def _event(entry_id: bytes, fields: dict[bytes, bytes]) -> LoggedEvent:
    return LoggedEvent(
        entry_id.decode(), int(fields[b"a"]), int(fields[b"n"]), fields[b"e"].decode(), fields.get(b"d", b"")
    )
