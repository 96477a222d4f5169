"""The resources of a worker, as a kernel has them: questions to its host. What is written is fenced there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn
from uuid import UUID

from ..errors import ConnectError, InvalidRequest, LeaseLost, QueueUnavailable
from ..models.checkpoints import (
    CheckpointFilter,
    CheckpointKey,
    DeltaHistory,
    Fence,
    NewCheckpoint,
    NewWrites,
    NextTasks,
    RunTraces,
    SavedCheckpoint,
)
from ..models.protocol import ProtocolEvent
from ..models.runs import ClaimedRun, Ending, RunOutcome
from ..models.store import FoundItem, Item, ItemQuery, NamespaceQuery, PutItem, StoreConfig
from .link import Link


class HostStorage:
    """Checkpoints of the threads that this kernel works on, as bytes."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def put(self, checkpoint: NewCheckpoint, *, fence: Fence | None = None) -> None:
        await self._link.ask("put", checkpoint=checkpoint, fence=fence)

    async def put_writes(self, writes: NewWrites, *, fence: Fence | None = None) -> None:
        await self._link.ask("put_writes", writes=writes, fence=fence)

    async def put_tasks(self, key: CheckpointKey, tasks: NextTasks, *, fence: Fence | None = None) -> None:
        await self._link.ask("put_tasks", key=key, tasks=tasks, fence=fence)

    async def get(
        self, *, thread_id: UUID, checkpoint_ns: str, checkpoint_id: UUID | None = None
    ) -> SavedCheckpoint | None:
        return await self._link.ask(
            "get",
            SavedCheckpoint | None,
            thread_id=thread_id,
            checkpoint_ns=checkpoint_ns,
            checkpoint_id=checkpoint_id,
        )

    async def list(self, which: CheckpointFilter) -> Sequence[SavedCheckpoint]:
        return await self._link.ask("list", Sequence[SavedCheckpoint], which=which)

    async def delta_history(
        self, *, thread_id: UUID, checkpoint_ns: str, checkpoint_id: UUID | None, channels: Sequence[str]
    ) -> Mapping[str, DeltaHistory]:
        return await self._link.ask(
            "delta_history",
            Mapping[str, DeltaHistory],
            thread_id=thread_id,
            checkpoint_ns=checkpoint_ns,
            checkpoint_id=checkpoint_id,
            channels=channels,
        )

    async def traces_of_run(self, thread_id: UUID, run_id: UUID) -> RunTraces:
        return await self._link.ask("traces_of_run", RunTraces, thread_id=thread_id, run_id=run_id)

    # Threads are kept by the API; a graph has no business with them.

    async def delete_threads(self, thread_ids: Sequence[UUID]) -> None:
        _refuse("delete threads")

    async def delete_for_runs(self, run_ids: Sequence[UUID]) -> None:
        _refuse("delete checkpoints")

    async def copy_thread(self, *, source_thread_id: UUID, target_thread_id: UUID) -> None:
        _refuse("copy threads")

    async def prune(self, thread_ids: Sequence[UUID]) -> None:
        _refuse("prune threads")


class HostEvents:
    """The event logs of runs."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def append(
        self, run_id: UUID, *, thread_id: UUID, attempt: int, events: Sequence[tuple[int, str, bytes]]
    ) -> bool:
        return await _append(self._link, "append_events", run_id=run_id, attempt=attempt, events=events)

    async def append_end(
        self, run_id: UUID, *, thread_id: UUID, attempt: int, number: int, status: str, result: bytes = b""
    ) -> bool:
        return await _append(
            self._link, "append_end", run_id=run_id, attempt=attempt, number=number, status=status, result=result
        )


class HostThreadLog:
    """The protocol logs of threads."""

    def __init__(self, link: Link) -> None:
        self._link = link

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
        return await _append(
            self._link, "append_protocol", run_id=run_id, attempt=attempt, events=events, first=first, ended=ended
        )

    async def is_watched(self, thread_id: UUID) -> bool:
        return bool(await self._link.ask("is_watched", thread_id=thread_id))


class HostLeases:
    """Where attempts end."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def end(self, claimed: ClaimedRun, ending: Ending, *, rolled_back: bool) -> RunOutcome:
        return await self._link.ask(
            "end",
            RunOutcome,
            run_id=claimed.run_id,
            attempt=claimed.attempt,
            ending=ending,
            rolled_back=rolled_back,
        )

    async def give_back(self, claimed: ClaimedRun) -> bool:
        return bool(await self._link.ask("give_back", run_id=claimed.run_id, attempt=claimed.attempt))


class HostItems:
    """The store."""

    def __init__(self, link: Link, config: StoreConfig) -> None:
        self._link = link
        self.config = config

    async def get(self, namespace: Sequence[str], key: str, *, refresh_ttl: bool | None = None) -> Item | None:
        return await self._link.ask(
            "store_get", Item | None, namespace=list(namespace), key=key, refresh_ttl=refresh_ttl
        )

    async def find(self, what: ItemQuery) -> list[FoundItem]:
        return await self._link.ask("store_find", list[FoundItem], what=what)

    async def find_namespaces(self, what: NamespaceQuery) -> list[list[str]]:
        return await self._link.ask("store_namespaces", list[list[str]], what=what)

    async def write(self, puts: Sequence[PutItem]) -> None:
        await self._link.ask("store_write", puts=list(puts))


class HostBackend:
    """Everything that an attempt needs; see `worker.attempt.Backend`."""

    def __init__(self, link: Link) -> None:
        self.storage = HostStorage(link)
        self.events = HostEvents(link)
        self.thread_log = HostThreadLog(link)
        self.leases = HostLeases(link)


async def _append(link: Link, method: str, /, **params: Any) -> bool:
    try:
        return bool(await link.ask(method, **params))
    except LeaseLost:
        return False
    except ConnectError as error:
        raise QueueUnavailable(str(error)) from None


def _refuse(what: str) -> NoReturn:
    raise InvalidRequest(f"A graph in a kernel may not {what}.")
