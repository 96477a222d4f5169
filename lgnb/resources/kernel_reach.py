"""What a connected kernel may read and write: the threads of runs it holds, and of updates it was asked for.

Its checkpoints come as bytes and are stored as bytes; nothing is revived here.
"""

from __future__ import annotations

import contextlib
from collections import Counter, deque
from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from ..errors import InvalidRequest, LeaseLost
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
from ..models.runs import ClaimedRun, RunStatus
from ..models.store import FoundItem, Item, ItemQuery, NamespaceQuery, PutItem
from ..models.vault import current_sealing, sealing_for
from ..wire import Method

if TYPE_CHECKING:
    from . import Resources

_MOST_ENDED = 256

# Inside the class `list` is the method of that name.
_Checkpoints = list[SavedCheckpoint]


class KernelReach:
    """The storage, the logs and the store, as one kernel gets at them.

    Attributes:
        hands: the runs it holds.
    """

    def __init__(self, resources: Resources) -> None:
        self.hands: dict[UUID, ClaimedRun] = {}
        # The last word on a run is said when its end is committed.
        self._ended: deque[ClaimedRun] = deque(maxlen=_MOST_ENDED)
        self._updating: Counter[UUID] = Counter()
        self._updating_for: dict[UUID, Mapping[str, Any]] = {}
        self._storage = resources.storage
        self._events = resources.events
        self._thread_log = resources.thread_log
        self._store = resources.store

    @property
    def methods(self) -> dict[str, Method]:
        """By their names on the wire."""
        return {
            "put": self.put,
            "put_writes": self.put_writes,
            "put_tasks": self.put_tasks,
            "get": self.get,
            "list": self.list,
            "delta_history": self.delta_history,
            "traces_of_run": self.traces_of_run,
            "append_events": self.append_events,
            "append_end": self.append_end,
            "append_protocol": self.append_protocol,
            "is_watched": self.is_watched,
            "store_get": self.store_get,
            "store_find": self.store_find,
            "store_namespaces": self.store_namespaces,
            "store_write": self.store_write,
        }

    def held(self, run_id: UUID, attempt: int) -> ClaimedRun:
        """The run with this attempt; raises LeaseLost when the kernel does not hold it."""
        claimed = self.hands.get(run_id)
        if claimed is None or claimed.attempt != attempt:
            raise LeaseLost(run_id, attempt)
        return claimed

    def let_go(self, claimed: ClaimedRun) -> None:
        """The run is no longer in hand; its last events may still come."""
        if self.hands.pop(claimed.run_id, None) is not None:
            self._ended.append(claimed)

    @contextlib.contextmanager
    def updating(self, thread_id: UUID) -> Generator[None]:
        """Let the kernel write to a thread without a run, until the block ends."""
        self._updating[thread_id] += 1
        self._updating_for[thread_id] = current_sealing().context
        try:
            yield
        finally:
            self._updating[thread_id] -= 1
            if not self._updating[thread_id]:
                self._updating_for.pop(thread_id, None)

    # checkpoints

    async def put(self, *, checkpoint: NewCheckpoint, fence: Fence | None) -> None:
        self._require_write(checkpoint.key.thread_id, fence)
        with sealing_for(self._encryption(checkpoint.key.thread_id, fence)):
            await self._storage.put(checkpoint, fence=fence)

    async def put_writes(self, *, writes: NewWrites, fence: Fence | None) -> None:
        self._require_write(writes.key.thread_id, fence)
        with sealing_for(self._encryption(writes.key.thread_id, fence)):
            await self._storage.put_writes(writes, fence=fence)

    async def put_tasks(self, *, key: CheckpointKey, tasks: NextTasks, fence: Fence | None) -> None:
        self._require_write(key.thread_id, fence)
        await self._storage.put_tasks(key, tasks, fence=fence)

    async def get(self, *, thread_id: UUID, checkpoint_ns: str, checkpoint_id: UUID | None) -> SavedCheckpoint | None:
        self._require_read(thread_id)
        return await self._storage.get(thread_id=thread_id, checkpoint_ns=checkpoint_ns, checkpoint_id=checkpoint_id)

    async def list(self, *, which: CheckpointFilter) -> _Checkpoints:
        self._require_read(which.thread_id)
        return [*await self._storage.list(which)]

    async def delta_history(
        self, *, thread_id: UUID, checkpoint_ns: str, checkpoint_id: UUID | None, channels: Sequence[str]
    ) -> Mapping[str, DeltaHistory]:
        self._require_read(thread_id)
        return await self._storage.delta_history(
            thread_id=thread_id, checkpoint_ns=checkpoint_ns, checkpoint_id=checkpoint_id, channels=channels
        )

    async def traces_of_run(self, *, thread_id: UUID, run_id: UUID) -> RunTraces:
        self._require_read(thread_id)
        return await self._storage.traces_of_run(thread_id, run_id)

    # what readers of streams see

    async def append_events(self, *, run_id: UUID, attempt: int, events: Sequence[tuple[int, str, bytes]]) -> bool:
        claimed = self._spoken_of(run_id, attempt)
        return await self._events.append(run_id, thread_id=claimed.thread_id, attempt=attempt, events=events)

    async def append_end(
        self, *, run_id: UUID, attempt: int, number: int, status: RunStatus, result: bytes = b""
    ) -> bool:
        claimed = self._spoken_of(run_id, attempt)
        return await self._events.append_end(
            run_id, thread_id=claimed.thread_id, attempt=attempt, number=number, status=status, result=result
        )

    async def append_protocol(
        self, *, run_id: UUID, attempt: int, events: Sequence[ProtocolEvent], first: int, ended: bool
    ) -> bool:
        claimed = self._spoken_of(run_id, attempt)
        return await self._thread_log.append(
            claimed.thread_id, run_id=run_id, attempt=attempt, events=events, first=first, ended=ended
        )

    async def is_watched(self, *, thread_id: UUID) -> bool:
        self._require_read(thread_id)
        return await self._thread_log.is_watched(thread_id)

    # the store

    async def store_get(self, *, namespace: Sequence[str], key: str, refresh_ttl: bool | None) -> Item | None:
        return await self._store.get(namespace, key, refresh_ttl=refresh_ttl)

    async def store_find(self, *, what: ItemQuery) -> Sequence[FoundItem]:
        return await self._store.find(what)

    async def store_namespaces(self, *, what: NamespaceQuery) -> Sequence[Sequence[str]]:
        return await self._store.find_namespaces(what)

    async def store_write(self, *, puts: Sequence[PutItem]) -> None:
        with sealing_for(self._only_encryption()):
            await self._store.write(puts)

    # rules

    def _require_write(self, thread_id: UUID, fence: Fence | None) -> None:
        if fence is None:
            if not self._updating[thread_id]:
                raise InvalidRequest(f"Thread {thread_id} is not being updated; only a run may write to it.")
        elif self.held(fence.run_id, fence.attempt).thread_id != thread_id:
            raise InvalidRequest(f"Run {fence.run_id} belongs to another thread than {thread_id}.")

    def _encryption(self, thread_id: UUID, fence: Fence | None) -> Mapping[str, Any]:
        """In whose name something is written to a thread: that of its run, or of the update."""
        if fence is None:
            return self._updating_for.get(thread_id, {})
        return self.held(fence.run_id, fence.attempt).encryption

    def _only_encryption(self) -> Mapping[str, Any]:
        """The same where the kernel does not say for which run it writes."""
        all_of_them = [claimed.encryption for claimed in self.hands.values()] + [*self._updating_for.values()]
        if any(one != all_of_them[0] for one in all_of_them[1:]):
            raise InvalidRequest(
                "This kernel has runs of several encryption contexts in hand, so nobody knows in whose name the item "
                "is to be stored. Serve the graph with one job at a time, or from a worker."
            )
        return all_of_them[0] if all_of_them else {}

    def _require_read(self, thread_id: UUID | None) -> None:
        threads = {claimed.thread_id for claimed in self.hands.values()}
        if thread_id is None or not (thread_id in threads or self._updating[thread_id]):
            raise InvalidRequest(f"Thread {thread_id} is none of those that this kernel works on.")

    def _spoken_of(self, run_id: UUID, attempt: int) -> ClaimedRun:
        ended = (one for one in self._ended if (one.run_id, one.attempt) == (run_id, attempt))
        return next(ended, None) or self.held(run_id, attempt)
