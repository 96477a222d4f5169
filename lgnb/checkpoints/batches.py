"""Saves of all runs of a process, sent together: what comes while a batch is on its way goes with the next one.

One batch is one statement and one commit. Everything is saved in the order in which it was given, so a run may go on
before its saves are committed: what a later one builds on is always there. A save that Postgres refuses is no reason
to lose its neighbours: then each is tried alone.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from psycopg.errors import UniqueViolation

from ..db.checkpoints import CheckpointRepository
from ..db.database import Database
from ..errors import DatabaseFull, DatabaseUnavailable, LeaseLost, PlaceTaken
from ..failpoints import failpoint
from ..models.checkpoints import Fence, NewCheckpoint, NewTasks, NewWrites, Save

_MOST_SAVES = 200
_MOST_BYTES = 1 << 20
_GATHER_SECONDS = 0.003
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Given:
    save: Save
    line: SaveLine
    at: float


class SaveBatches:
    """Sends what its lines are given, on the loop of the database; lines may be used from any loop.

    Saving outlives a short restart of Postgres: it is tried again for `patience_seconds` while that does not answer.
    Whether a lost statement took effect does not matter: saving twice is saving once.
    """

    def __init__(self, database: Database, *, patience_seconds: float) -> None:
        self._database = database
        self._patience_seconds = patience_seconds
        self._given: deque[_Given] = deque()
        self._sender: asyncio.Task[None] | None = None
        self._is_roused = False
        self._is_awaited = False
        self._awaited = asyncio.Event()

    def line(self, fence: Fence | None) -> SaveLine:
        return SaveLine(self, fence)

    def give(self, save: Save, line: SaveLine) -> None:
        """Queue a save; its line hears how it went."""
        self._given.append(_Given(save, line, time.monotonic()))
        if not self._is_roused:
            self._is_roused = True
            self._call_soon(self._rouse)

    def hurry(self) -> None:
        """Somebody waits for what was given until now, so nothing more shall gather."""
        if not self._is_awaited:
            self._is_awaited = True
            self._call_soon(self._awaited.set)

    def _call_soon(self, call: Callable[[], None]) -> None:
        try:
            (self._database.loop or asyncio.get_running_loop()).call_soon_threadsafe(call)
        except RuntimeError as error:
            raise DatabaseUnavailable("The process stops.") from error

    def _rouse(self) -> None:
        self._is_roused = False
        if self._sender is None and self._given:
            self._sender = asyncio.create_task(self._send(), name="lgnb-saves")

    async def _send(self) -> None:
        try:
            while self._given:
                await self._gather()
                # Whoever waits now waits for what is in this batch, or asks again for haste.
                self._is_awaited = len(self._given) > _MOST_SAVES
                await self._write(self._next_batch())
        finally:
            self._sender = None

    async def _gather(self) -> None:
        """While nobody waits, let a graph that is quick get ahead: several supersteps are saved as fast as one."""
        if self._is_awaited or len(self._given) >= _MOST_SAVES:
            return
        self._awaited.clear()
        if self._is_awaited:  # asked for by another thread just now
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_GATHER_SECONDS):
                await self._awaited.wait()

    def _next_batch(self) -> list[_Given]:
        batch: list[_Given] = []
        rows: set[Hashable] = set()
        size = 0
        while self._given and len(batch) < _MOST_SAVES:
            given = self._given[0]
            row, bytes_of_it = _row_of(given.save), _size_of(given.save)
            # A statement can change a row but once.
            if batch and (row in rows or size + bytes_of_it > _MOST_BYTES):
                break
            batch.append(self._given.popleft())
            rows.add(row)
            size += bytes_of_it
        return batch

    async def _write(self, batch: Sequence[_Given]) -> None:
        pause_seconds = _FIRST_PAUSE_SECONDS
        # What follows a save that is missing would tell of a state that nobody can load.
        _settle([(given, given.line.error) for given in batch if given.line.error is not None])
        batch = [given for given in batch if given.line.error is None]
        while batch:
            try:
                held = await self._held(batch)
            except DatabaseFull as error:
                return _settle([(given, error) for given in batch])
            except DatabaseUnavailable as error:
                give_up_at = time.monotonic() + pause_seconds - self._patience_seconds
                _settle([(given, error) for given in batch if given.at < give_up_at])
                if batch := [given for given in batch if given.at >= give_up_at]:
                    await asyncio.sleep(pause_seconds)
                pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)
            except asyncio.CancelledError:
                _settle([(given, DatabaseUnavailable("The process stops.")) for given in batch])
                raise
            except Exception as error:  # noqa: BLE001  whoever gave the save gets it
                if len(batch) == 1:
                    return _settle([(batch[0], _translated(error))])
                for given in batch:
                    await self._write([given])
                return None
            else:
                return _settle(
                    [(given, None if one else given.line.lost()) for given, one in zip(batch, held, strict=True)]
                )
        return None

    async def _held(self, batch: Sequence[_Given]) -> list[bool]:
        async with self._database.connection() as connection:
            failpoint("before_save")
            return await CheckpointRepository(connection).save([(given.save, given.line.fence) for given in batch])


class SaveLine:
    """Saves that belong together, in their order. After one that failed nothing of it is saved any more.

    Attributes:
        fence: the attempt in whose name they are saved.
        error: what became of the first one that failed.
    """

    def __init__(self, batches: SaveBatches, fence: Fence | None) -> None:
        self.fence = fence
        self.error: Exception | None = None
        self._batches = batches
        self._lock = threading.Lock()
        self._given_at: deque[float] = deque()
        self._waiting: list[asyncio.Future[None]] = []

    def add(self, save: Save) -> None:
        """Save this as soon as may be. Raises what kept an earlier one from being saved."""
        if self.error is not None:
            raise self.error
        with self._lock:
            self._given_at.append(time.monotonic())
        self._batches.give(save, self)

    async def flush(self) -> None:
        """Return when everything is committed.

        Raises:
            LeaseLost: the fence does not hold; nothing was saved.
            PlaceTaken: a part of a list would go where another one is; nothing was saved.
            DatabaseUnavailable: Postgres did not answer.
        """
        with self._lock:
            future = asyncio.get_running_loop().create_future() if self._given_at else None
            if future is not None:
                self._waiting.append(future)
        if future is not None:
            self._batches.hurry()
            await future
        if self.error is not None:
            raise self.error

    @property
    def lag_seconds(self) -> float:
        """How long the oldest save has been waiting that is not done."""
        with self._lock:
            return time.monotonic() - self._given_at[0] if self._given_at else 0.0

    def lost(self) -> LeaseLost | None:
        """What it means that the fence did not hold."""
        return None if self.fence is None else LeaseLost(self.fence.run_id, self.fence.attempt)

    def settle(self, count: int, error: Exception | None) -> list[asyncio.Future[None]]:
        """So many saves are done; who waited for the last one."""
        with self._lock:
            self.error = self.error or error
            # They are done in the order in which they came, but for one that failed and made the others useless.
            for _ in range(count):
                self._given_at.popleft()
            waiting, self._waiting = (self._waiting, []) if not self._given_at else ([], self._waiting)
        return waiting


def _settle(outcomes: Sequence[tuple[_Given, Exception | None]]) -> None:
    """Tell the lines, and wake each loop that waits for one of them once."""
    counts: dict[SaveLine, int] = defaultdict(int)
    errors: dict[SaveLine, Exception] = {}
    for given, error in outcomes:
        counts[given.line] += 1
        if error is not None:
            errors.setdefault(given.line, error)
    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = defaultdict(list)
    for line, count in counts.items():
        for future in line.settle(count, errors.get(line)):
            by_loop[future.get_loop()].append(future)
    for loop, futures in by_loop.items():
        try:
            loop.call_soon_threadsafe(_wake, futures)
        except RuntimeError:  # the loop is closed, and nobody waits there any more
            continue


def _wake(futures: Sequence[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)


def _translated(error: Exception) -> Exception:
    if isinstance(error, UniqueViolation):
        return PlaceTaken("Another branch has extended the same list.")
    return error


def _row_of(save: Save) -> Hashable:
    """What two saves of one statement must not have in common."""
    match save:
        case NewCheckpoint() | NewTasks():
            return type(save), save.key
        case NewWrites():
            return save.key, save.task_id


def _size_of(save: Save) -> int:
    match save:
        case NewCheckpoint():
            return sum(len(value.blob.data) for value in save.values if value.blob)
        case NewWrites():
            return sum(len(write.blob.data) for write in save.writes)
        case NewTasks():
            return 0
