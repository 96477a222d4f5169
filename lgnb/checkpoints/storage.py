"""Where encoded checkpoints are kept: the protocol every saver and reader speaks, and Postgres behind it.

Arguments and answers are bytes, text and ids, so that the protocol can also be spoken over HTTP. Nothing is revived.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

from ..db.checkpoints import CheckpointRepository
from ..db.database import Database
from ..gathering import Gathering
from ..models.checkpoints import (
    Blob,
    CheckpointFilter,
    CheckpointKey,
    CheckpointPlace,
    DeltaHistory,
    Fence,
    NewCheckpoint,
    NewTasks,
    NewWrites,
    NextTasks,
    RunTraces,
    Save,
    SavedCheckpoint,
)
from ..models.vault import NoVault
from .batches import SaveBatches, SaveLine
from .sealed import opened, opened_history, sealed_checkpoint, sealed_writes
from .view import view


class CheckpointStorage(Protocol):
    """Keeps checkpoints as bytes.

    One that `keeps_parts` takes values without a blob and parts of lists, and tells the places of values; to one that
    says nothing of it, values are given whole.

    The methods that take a fence raise LeaseLost, and write nothing, when the fence no longer holds. All of them
    may run twice with the same arguments and then change nothing the second time.
    """

    async def put(self, checkpoint: NewCheckpoint, *, fence: Fence | None = None) -> None:
        """Save a checkpoint; raises PlaceTaken, and writes nothing, when a part would go where another one is."""
        ...

    async def put_writes(self, writes: NewWrites, *, fence: Fence | None = None) -> None: ...

    async def put_tasks(self, key: CheckpointKey, tasks: NextTasks, *, fence: Fence | None = None) -> None: ...

    async def get(
        self, *, thread_id: UUID, checkpoint_ns: str, checkpoint_id: UUID | None = None
    ) -> SavedCheckpoint | None:
        """One checkpoint with values, writes and tasks, or the newest of the namespace."""
        ...

    async def list(self, which: CheckpointFilter) -> Sequence[SavedCheckpoint]:
        """Checkpoints with values, writes and tasks, newest first."""
        ...

    async def delta_history(
        self, *, thread_id: UUID, checkpoint_ns: str, checkpoint_id: UUID | None, channels: Sequence[str]
    ) -> Mapping[str, DeltaHistory]: ...

    async def traces_of_run(self, thread_id: UUID, run_id: UUID) -> RunTraces:
        """What an earlier attempt of a run left behind, so that the next one goes on instead of starting over."""
        ...

    async def delete_threads(self, thread_ids: Sequence[UUID]) -> None: ...

    async def delete_for_runs(self, run_ids: Sequence[UUID]) -> None: ...

    async def copy_thread(self, *, source_thread_id: UUID, target_thread_id: UUID) -> None: ...

    async def prune(self, thread_ids: Sequence[UUID]) -> None:
        """Keep the newest checkpoint of each namespace, and what its delta channels need."""
        ...


class PostgresStorage:
    """CheckpointStorage on our own Postgres; each call is one statement, except a list, which is three.

    Saves that come at the same time go together, as one batch, and so do reads of one checkpoint each. A run outlives a
    short restart of Postgres: saving is tried again for `patience_seconds`. Reading is not, since the caller may be a
    request that is better told at once.
    """

    keeps_parts = True

    def __init__(self, database: Database, *, patience_seconds: float = 5.0) -> None:
        self._database = database
        self._batches = SaveBatches(database, patience_seconds=patience_seconds)
        # Several at a time, so that nobody waits behind a large state; a burst shares its statements all the same.
        self._reads = Gathering(self._read_together, most_under_way=4)
        self._vault = database.vault

    def line(self, fence: Fence | None) -> SaveLine | None:
        """Takes saves from any loop, without waiting for them; none where values are sealed first, which takes time."""
        return self._batches.line(fence) if isinstance(self._vault, NoVault) else None

    async def put(self, checkpoint: NewCheckpoint, *, fence: Fence | None = None) -> None:
        await self._save(await sealed_checkpoint(checkpoint, self._vault), fence)

    async def put_writes(self, writes: NewWrites, *, fence: Fence | None = None) -> None:
        await self._save(await sealed_writes(writes, self._vault), fence)

    async def put_tasks(self, key: CheckpointKey, tasks: NextTasks, *, fence: Fence | None = None) -> None:
        await self._save(NewTasks(key=key, tasks=tasks), fence)

    async def get(
        self, *, thread_id: UUID, checkpoint_ns: str, checkpoint_id: UUID | None = None
    ) -> SavedCheckpoint | None:
        place = CheckpointPlace(thread_id=thread_id, checkpoint_ns=checkpoint_ns, checkpoint_id=checkpoint_id)
        found = await self._reads.add(place)
        return (await opened([found], self._vault))[0] if found else None

    async def list(self, which: CheckpointFilter) -> Sequence[SavedCheckpoint]:
        async with self._database.connection() as connection:
            found = await CheckpointRepository(connection).page(which)
        return await opened(found, self._vault)

    async def delta_history(
        self, *, thread_id: UUID, checkpoint_ns: str, checkpoint_id: UUID | None, channels: Sequence[str]
    ) -> Mapping[str, DeltaHistory]:
        async with self._database.connection() as connection:
            found = await CheckpointRepository(connection).delta_history(
                thread_id=thread_id, checkpoint_ns=checkpoint_ns, checkpoint_id=checkpoint_id, channels=channels
            )
        return {channel: await opened_history(history, self._vault) for channel, history in found.items()}

    async def traces_of_run(self, thread_id: UUID, run_id: UUID) -> RunTraces:
        async with self._database.connection() as connection:
            repository = CheckpointRepository(connection)
            has_checkpoint = await repository.has_run(thread_id=thread_id, run_id=run_id)
            resumed = await repository.resumed_tasks(thread_id=thread_id, run_id=run_id)
        return RunTraces(
            has_checkpoint=has_checkpoint,
            resumed_interrupts={task_id: await self._interrupt_ids(asked) for task_id, asked in resumed},
        )

    async def delete_threads(self, thread_ids: Sequence[UUID]) -> None:
        async with self._database.connection() as connection:
            await CheckpointRepository(connection).delete_for_threads(thread_ids)

    async def delete_for_runs(self, run_ids: Sequence[UUID]) -> None:
        async with self._database.connection() as connection:
            await CheckpointRepository(connection).delete_for_runs(run_ids)

    async def copy_thread(self, *, source_thread_id: UUID, target_thread_id: UUID) -> None:
        async with self._database.connection() as connection:
            await CheckpointRepository(connection).copy_thread(
                source_thread_id=source_thread_id, target_thread_id=target_thread_id
            )

    async def prune(self, thread_ids: Sequence[UUID]) -> None:
        async with self._database.connection() as connection:
            await CheckpointRepository(connection).prune(thread_ids)

    async def _read_together(self, places: Sequence[CheckpointPlace]) -> list[SavedCheckpoint | None]:
        async with self._database.connection() as connection:
            return await CheckpointRepository(connection).get(places)

    async def _save(self, save: Save, fence: Fence | None) -> None:
        line = self._batches.line(fence)
        line.add(save)
        await line.flush()

    async def _interrupt_ids(self, asked: Blob | None) -> list[str]:
        raised = view((await self._vault.open([asked]))[0]) if asked is not None else []
        return [interrupt["id"] for interrupt in raised if isinstance(interrupt, dict) and interrupt.get("id")]
