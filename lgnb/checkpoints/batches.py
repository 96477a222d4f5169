"""Saves of all runs of a process, sent together: what comes while a batch is on its way goes with the next one.

One batch is one round trip and one commit. A save that Postgres refuses is no reason to lose its neighbours: then each
is tried alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

from ..db.checkpoints import CheckpointRepository, Saving
from ..db.database import Database
from ..errors import DatabaseUnavailable
from ..failpoints import failpoint

Save = Callable[[CheckpointRepository], Awaitable[Saving]]

_MOST_SAVES = 64
_MOST_BYTES = 1 << 20
# While one batch commits, another may be sent.
_BATCHES_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class _Waiting:
    save: Save
    size: int
    done: asyncio.Future[bool]


class SaveBatches:
    """`save` returns when its batch is committed. All calls come from one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[_Waiting] = deque()
        self._senders: set[asyncio.Task[None]] = set()

    async def save(self, save: Save, *, size: int) -> bool:
        """Whether the fence of the save held; `size` is about how many bytes it sends."""
        waiting = _Waiting(save, size, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if len(self._senders) < _BATCHES_AT_ONCE:
            self._senders.add(asyncio.create_task(self._send(), name="lgnb-saves"))
        return await waiting.done

    async def _send(self) -> None:
        try:
            # What else this turn of the loop brings shall come along.
            await asyncio.sleep(0)
            while batch := self._next_batch():
                await self._write(batch)
        finally:
            # Here, not when the task is done: a save in between would find no place for a sender and wait for ever.
            self._senders.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        while self._waiting and len(batch) < _MOST_SAVES and (not batch or size + self._waiting[0].size <= _MOST_BYTES):
            waiting = self._waiting.popleft()
            if not waiting.done.done():  # else nobody waits for it any more
                batch.append(waiting)
                size += waiting.size
        return batch

    async def _write(self, batch: list[_Waiting]) -> None:
        try:
            held = await self._written(batch)
        except DatabaseUnavailable as error:
            self._fail(batch, error)
        except asyncio.CancelledError:
            self._fail(batch, DatabaseUnavailable("The process stops."))
            raise
        except Exception as error:  # noqa: BLE001  whoever waits for the save gets it
            if len(batch) == 1:
                self._fail(batch, error)
                return
            for waiting in batch:
                await self._write([waiting])
        else:
            for waiting, one in zip(batch, held, strict=True):
                if not waiting.done.done():
                    waiting.done.set_result(one)

    async def _written(self, batch: list[_Waiting]) -> list[bool]:
        if len(batch) == 1:
            async with self._database.connection() as connection:
                failpoint("before_save")
                return [await (await batch[0].save(CheckpointRepository(connection))).held()]
        async with self._database.pipeline(transaction=False) as connection:
            failpoint("before_save")
            checkpoints = CheckpointRepository(connection)
            saving = [await waiting.save(checkpoints) for waiting in batch]
        return [await one.held() for one in saving]

    @staticmethod
    def _fail(batch: list[_Waiting], error: Exception) -> None:
        for waiting in batch:
            if not waiting.done.done():
                waiting.done.set_exception(error)
