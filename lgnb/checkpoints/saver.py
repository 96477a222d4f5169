"""LangGraph's checkpointer over a CheckpointStorage, built once per run and fenced by its attempt.

Encodes and decodes on the thread that calls it, where the graph's classes belong; only bytes cross to the loop that
owns the connections.
"""

from __future__ import annotations

import asyncio
import base64
import copy
import random
from collections.abc import AsyncIterator, Collection, Coroutine, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    get_checkpoint_id,
    get_serializable_checkpoint_metadata,
)
from langgraph.checkpoint.serde.types import ERROR

from ..errors import PlaceTaken
from ..json_encoding import jsonable
from ..models.checkpoints import (
    SAME,
    Blob,
    CheckpointFilter,
    CheckpointKey,
    DeltaHistory,
    Fence,
    NewCheckpoint,
    NewTasks,
    NewValue,
    NewWrites,
    NextTasks,
    Save,
    SavedCheckpoint,
    TaskWrite,
)
from .codec import Codec
from .lines import Line, TakesLines, TaskLine
from .tails import Memory, is_same, loaded_value, new_value

if TYPE_CHECKING:  # a kernel uses the saver over HTTP and must not load the database
    from .storage import CheckpointStorage

T = TypeVar("T")

_MAX_INLINE_CHARACTERS = 100
_LONGEST_LAG_SECONDS = 0.5
_VERSION_DIGITS = 8  # a superstep of a millisecond would need a day for them


class Saver(BaseCheckpointSaver[str]):
    """Saves and loads the checkpoints of one run, or of calls when there is no fence.

    Args:
        storage: where the bytes go.
        codec: how values become bytes; give it the types of the graph's state.
        fence: the attempt of the run. Each write raises LeaseLost, and changes nothing, once it is not current.
        loop: the loop that owns the storage, when graphs run on another one. The synchronous methods need it.
        behind: the graph goes on while its checkpoints are being saved, all of them in order. `settled` waits for
            them, and so does everything that reads.
    """

    def __init__(
        self,
        storage: CheckpointStorage,
        codec: Codec | None = None,
        *,
        fence: Fence | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        behind: bool = False,
    ) -> None:
        self._codec = codec or Codec()
        super().__init__(serde=self._codec.serde)
        self._storage = storage
        self._keeps_parts = getattr(storage, "keeps_parts", False)
        self._fence = fence
        self._loop = loop
        self._memory = Memory()
        line = storage.line(fence) if isinstance(storage, TakesLines) else None
        self._line: Line = line or TaskLine(self._store)
        # Without a line of its own a storage promises no order.
        self._is_behind = behind and line is not None
        # Lists that this saver did not begin: another branch may be about to extend them.
        self._shared_lists: set[str] = set()

    def with_allowlist(self, extra_allowlist: Collection[tuple[str, ...]]) -> Saver:
        """This saver, also reviving these types; LangGraph calls it with the types of a graph's state."""
        clone = copy.copy(self)
        clone._codec = self._codec.with_allowed(extra_allowlist)
        clone.serde = clone._codec.serde
        return clone

    def get_next_version(self, current: str | int | None, channel: None) -> str:
        """The version after `current`. The random end keeps the versions of two branches apart."""
        head = "0" if current is None else str(current).partition(".")[0]
        # Versions are compared as text, so the number keeps the width it had.
        width = max(len(head), _VERSION_DIGITS)
        tail = base64.urlsafe_b64encode(random.randbytes(6)).decode()
        return f"{int(head) + 1:0{width}}.{tail}"

    # reading

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        await self.settled()
        saved = await self._hop(self._storage.get(**_place(config), checkpoint_id=_checkpoint_id(config)))
        return self._loaded(saved) if saved else None

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        self._wait(self.settled())
        saved = self._wait(self._storage.get(**_place(config), checkpoint_id=_checkpoint_id(config)))
        return self._loaded(saved) if saved else None

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        await self.settled()
        for saved in await self._hop(self._storage.list(_filter(config, filter, before, limit))):
            yield self._tuple(saved)

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        self._wait(self.settled())
        for saved in self._wait(self._storage.list(_filter(config, filter, before, limit))):
            yield self._tuple(saved)

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        if not channels:
            return {}
        await self.settled()
        return self._histories(
            await self._hop(
                self._storage.delta_history(
                    **_place(config), checkpoint_id=_checkpoint_id(config), channels=list(channels)
                )
            )
        )

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        if not channels:
            return {}
        self._wait(self.settled())
        return self._histories(
            self._wait(
                self._storage.delta_history(
                    **_place(config), checkpoint_id=_checkpoint_id(config), channels=list(channels)
                )
            )
        )

    # writing

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        new = self._new_checkpoint(config, checkpoint, metadata, new_versions)
        shared = self._shared_lists and self._shared_lists.intersection(_extended_lists(new))
        if self._is_behind and not shared:
            self._line.add(new)
            return _config(new.key)
        try:
            await self._hop(self._storage.put(new, fence=self._fence))
        except PlaceTaken:
            whole = self._whole_checkpoint(config, checkpoint, metadata, new_versions)
            await self._hop(self._storage.put(whole, fence=self._fence))
        else:
            # Whoever has extended a list is the only one who goes on extending it.
            self._shared_lists -= shared or set()
        return _config(new.key)

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        new = self._new_checkpoint(config, checkpoint, metadata, new_versions)
        try:
            self._wait(self._storage.put(new, fence=self._fence))
        except PlaceTaken:
            whole = self._whole_checkpoint(config, checkpoint, metadata, new_versions)
            self._wait(self._storage.put(whole, fence=self._fence))
        return _config(new.key)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        if _is_cancelled(writes):
            return
        key, encoded = _key(config), self._encoded(writes)
        if self._repeats(key, encoded):
            # The graph is a step ahead of its checkpoints: this one is about to be saved.
            await self._memory.awaited(key.checkpoint_id)
        new = self._new_writes(key, encoded, task_id, task_path)
        if self._is_behind:
            self._line.add(new)
        else:
            await self._hop(self._storage.put_writes(new, fence=self._fence))

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        if _is_cancelled(writes):
            return
        new = self._new_writes(_key(config), self._encoded(writes), task_id, task_path)
        self._wait(self._storage.put_writes(new, fence=self._fence))

    def add_tasks(self, key: CheckpointKey, tasks: NextTasks) -> None:
        """Save what follows a checkpoint, for readers without the graph; see `tasks_of_event`. Nobody waits for it.

        Raises what kept something from being saved before.
        """
        self._line.add(NewTasks(key=key, tasks=tasks))

    async def settled(self) -> None:
        """Return when everything is committed that nobody waited for; raises what kept it from that."""
        await self._line.flush()

    async def keep_up(self) -> None:
        """Wait for what is being saved if that takes long; to be called between supersteps.

        So a run whose Postgres is away goes on by little, and who continues it from its last checkpoint repeats little.
        """
        if self._line.lag_seconds > _LONGEST_LAG_SECONDS:
            await self.settled()

    async def adelete_thread(self, thread_id: str) -> None:
        await self._hop(self._storage.delete_threads([UUID(thread_id)]))

    def delete_thread(self, thread_id: str) -> None:
        self._wait(self._storage.delete_threads([UUID(thread_id)]))

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Undo what runs saved, also their writes onto older checkpoints; ids that are no UUID match nothing."""
        await self._hop(self._storage.delete_for_runs(_uuids(run_ids)))

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        self._wait(self._storage.delete_for_runs(_uuids(run_ids)))

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        await self._hop(
            self._storage.copy_thread(source_thread_id=UUID(source_thread_id), target_thread_id=UUID(target_thread_id))
        )

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        self._wait(
            self._storage.copy_thread(source_thread_id=UUID(source_thread_id), target_thread_id=UUID(target_thread_id))
        )

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        await self._hop(self._pruning(thread_ids, strategy))

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        self._wait(self._pruning(thread_ids, strategy))

    def _pruning(self, thread_ids: Sequence[str], strategy: str) -> Coroutine[Any, Any, None]:
        ids = [UUID(thread_id) for thread_id in thread_ids]
        if strategy == "keep_latest":
            return self._storage.prune(ids)
        if strategy == "delete":
            return self._storage.delete_threads(ids)
        raise ValueError(f"There is no prune strategy {strategy!r}; use keep_latest or delete.")

    # between objects and bytes

    async def _store(self, save: Save) -> None:
        match save:
            case NewCheckpoint():
                await self._hop(self._storage.put(save, fence=self._fence))
            case NewWrites():
                await self._hop(self._storage.put_writes(save, fence=self._fence))
            case NewTasks():
                await self._hop(self._storage.put_tasks(save.key, save.tasks, fence=self._fence))

    def _new_checkpoint(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> NewCheckpoint:
        values = checkpoint["channel_values"]
        inline = {channel: self._codec.encode(value) for channel, value in values.items() if _is_small(value)}
        merged = cast(dict[str, Any], get_serializable_checkpoint_metadata(config, metadata))
        key = CheckpointKey(**_place(config), checkpoint_id=UUID(checkpoint["id"]))
        stored = {
            channel: (str(version), values[channel])
            for channel, version in new_versions.items()
            if channel in values and channel not in inline
        }
        return NewCheckpoint(
            key=key,
            parent_checkpoint_id=_checkpoint_id(config),
            run_id=self._run_id(merged.get("run_id")),
            created_at=_time(checkpoint["ts"]),
            checkpoint={
                "v": checkpoint["v"],
                "channel_versions": checkpoint["channel_versions"],
                "versions_seen": checkpoint["versions_seen"],
                "updated_channels": checkpoint.get("updated_channels"),
            },
            metadata=jsonable(merged),
            inline=inline,
            values=self._new_values(key, _checkpoint_id(config), checkpoint["channel_versions"], stored),
        )

    def _whole_checkpoint(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> NewCheckpoint:
        """The same without what is remembered of its parent."""
        self._memory.forget(**_place(config))
        return self._new_checkpoint(config, checkpoint, metadata, new_versions)

    def _new_values(
        self,
        key: CheckpointKey,
        parent_id: UUID | None,
        versions: ChannelVersions,
        stored: Mapping[str, tuple[str, Any]],
    ) -> tuple[NewValue, ...]:
        if not self._keeps_parts:
            return tuple(
                NewValue(channel=channel, version=version, blob=self._codec.encode(value))
                for channel, (version, value) in stored.items()
            )
        known = self._memory.of(key.thread_id, key.checkpoint_ns, parent_id)
        # Of channels that were not written it holds what held before, if that is still their version.
        kept = {channel: was for channel, was in known.items() if str(versions.get(channel)) == was[0]}
        new: list[NewValue] = []
        for channel, (version, value) in stored.items():
            before = known[channel][1] if channel in known else None
            added, noted = new_value(channel, version, value, codec=self._codec, before=before)
            new.append(added)
            if noted is not None:
                kept[channel] = (version, noted)
        self._memory.note(key.thread_id, key.checkpoint_ns, key.checkpoint_id, kept)
        return tuple(new)

    def _encoded(self, writes: Sequence[tuple[str, Any]]) -> Mapping[int, tuple[str, Blob]]:
        """Channel and value of each write, not sealed."""
        # By index, since of two special writes of one kind the last one counts.
        by_idx = {WRITES_IDX_MAP.get(channel, idx): (channel, value) for idx, (channel, value) in enumerate(writes)}
        return {idx: (channel, self._codec.encode_plain(value)) for idx, (channel, value) in by_idx.items()}

    def _new_writes(
        self, key: CheckpointKey, encoded: Mapping[int, tuple[str, Blob]], task_id: str, task_path: str
    ) -> NewWrites:
        known = self._memory.of(key.thread_id, key.checkpoint_ns, key.checkpoint_id)
        return NewWrites(
            key=key,
            task_id=UUID(task_id),
            task_path=task_path,
            run_id=self._run_id(None),
            writes=tuple(
                TaskWrite(idx=idx, channel=channel, blob=self._written(plain, known.get(channel)))
                for idx, (channel, plain) in encoded.items()
            ),
        )

    def _repeats(self, key: CheckpointKey, encoded: Mapping[int, tuple[str, Blob]]) -> bool:
        """Whether a task wrote what its channel was given or held before, and its own checkpoint is not known yet."""
        if not self._keeps_parts:
            return False
        place = (key.thread_id, key.checkpoint_ns)
        newest = self._memory.newest(*place)
        # Each of them is to be remembered, so none is left out.
        repeated = [self._memory.note_write(*place, channel, plain) for channel, plain in encoded.values()]
        held = (is_same(newest[channel][1], plain) for channel, plain in encoded.values() if channel in newest)
        return (any(repeated) or any(held)) and not self._memory.knows(*place, key.checkpoint_id)

    def _written(self, plain: Blob, known: tuple[str, Any] | None) -> Blob:
        # A node that returns what its channel holds already.
        return Blob(SAME, b"") if known is not None and is_same(known[1], plain) else self._codec.seal(plain)

    def _run_id(self, named: Any) -> UUID | None:
        # The fence knows better than metadata, which callers may fill in.
        if self._fence is not None:
            return self._fence.run_id
        return next(iter(_uuids([named])), None) if named else None

    def _loaded(self, saved: SavedCheckpoint) -> CheckpointTuple:
        """A checkpoint that was asked for alone, because a run begins from it."""
        loaded = self._tuple(saved)
        self._shared_lists.update(place.lineage for place in saved.places.values())
        values, versions = loaded.checkpoint["channel_values"], loaded.checkpoint["channel_versions"]
        known = {
            channel: (str(versions[channel]), noted)
            for channel, place in saved.places.items()
            if (noted := loaded_value(values[channel], saved.values[channel], place, codec=self._codec)) is not None
        }
        self._memory.note(saved.key.thread_id, saved.key.checkpoint_ns, saved.key.checkpoint_id, known)
        return loaded

    def _tuple(self, saved: SavedCheckpoint) -> CheckpointTuple:
        key = saved.key
        return CheckpointTuple(
            config=_config(key),
            checkpoint=cast(
                Checkpoint,
                {
                    **saved.checkpoint,
                    "id": str(key.checkpoint_id),
                    "ts": saved.created_at.isoformat(),
                    "channel_values": {channel: self._codec.decode(blob) for channel, blob in saved.values.items()},
                },
            ),
            metadata=cast(CheckpointMetadata, saved.metadata),
            parent_config=_config(key, saved.parent_checkpoint_id) if saved.parent_checkpoint_id else None,
            pending_writes=[
                (str(write.task_id), write.channel, self._codec.decode(write.blob)) for write in saved.writes
            ],
        )

    def _histories(self, histories: Mapping[str, DeltaHistory]) -> dict[str, DeltaChannelHistory]:
        return {channel: self._history(history) for channel, history in histories.items()}

    def _history(self, history: DeltaHistory) -> DeltaChannelHistory:
        found = DeltaChannelHistory(
            writes=[(str(write.task_id), write.channel, self._codec.decode(write.blob)) for write in history.writes]
        )
        if history.seed is not None:
            found["seed"] = self._codec.decode(history.seed)
        return found

    # between loops

    async def _hop(self, call: Coroutine[Any, Any, T]) -> T:
        """Run a storage call on the loop that owns it."""
        if self._loop is None or self._loop is asyncio.get_running_loop():
            return await call
        return await asyncio.wrap_future(self._submit(call, self._loop))

    def _wait(self, call: Coroutine[Any, Any, T]) -> T:
        """Run a storage call from a thread, as `graph.invoke` inside a node does."""
        problem = None
        if self._loop is None:
            problem = "This saver has no loop to run synchronous calls on; use ainvoke, astream or aget_state."
        elif self._loop is _running_loop():
            problem = "A synchronous call on the storage's own loop would wait for itself; use the async method."
        if problem or self._loop is None:
            call.close()
            raise RuntimeError(problem)
        return self._submit(call, self._loop).result()

    @staticmethod
    def _submit(call: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> Any:
        try:
            return asyncio.run_coroutine_threadsafe(call, loop)
        except RuntimeError:  # the loop is closed: the process is on its way out
            call.close()
            raise


def _is_cancelled(writes: Sequence[tuple[str, Any]]) -> bool:
    """Whether these are the writes of a task that was cancelled, perhaps before it followed its edges.

    Whoever goes on from the checkpoint would take them for all that the task had to say; so it is executed again.
    """
    return any(channel == ERROR and isinstance(value, asyncio.CancelledError) for channel, value in writes)


def _extended_lists(new: NewCheckpoint) -> Iterator[str]:
    return (value.place.lineage for value in new.values if value.place is not None and value.blob is not None)


def _is_small(value: Any) -> bool:
    """Whether a value is kept in the checkpoint's row. Depends on nothing else, so that no version gets lost."""
    return (
        value is None
        or type(value) in (bool, int, float)
        or (type(value) is str and len(value) <= _MAX_INLINE_CHARACTERS)
    )


def _place(config: RunnableConfig) -> dict[str, Any]:
    configurable = config.get("configurable", {})
    return {
        "thread_id": UUID(str(configurable["thread_id"])),
        "checkpoint_ns": configurable.get("checkpoint_ns") or "",
    }


def _key(config: RunnableConfig) -> CheckpointKey:
    return CheckpointKey(**_place(config), checkpoint_id=UUID(get_checkpoint_id(config)))


def _checkpoint_id(config: RunnableConfig) -> UUID | None:
    checkpoint_id = get_checkpoint_id(config)
    return UUID(checkpoint_id) if checkpoint_id else None


def _config(key: CheckpointKey, checkpoint_id: UUID | None = None) -> RunnableConfig:
    return {
        "configurable": {
            "thread_id": str(key.thread_id),
            "checkpoint_ns": key.checkpoint_ns,
            "checkpoint_id": str(checkpoint_id or key.checkpoint_id),
        }
    }


def _filter(
    config: RunnableConfig | None,
    metadata: dict[str, Any] | None,
    before: RunnableConfig | None,
    limit: int | None,
) -> CheckpointFilter:
    configurable = (config or {}).get("configurable", {})
    return CheckpointFilter(
        thread_id=UUID(str(configurable["thread_id"])) if config else None,
        checkpoint_ns=configurable.get("checkpoint_ns"),
        checkpoint_id=_checkpoint_id(config) if config else None,
        before=_checkpoint_id(before) if before else None,
        metadata=jsonable(metadata) if metadata else None,
        limit=limit,
    )


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _uuids(names: Sequence[Any]) -> list[UUID]:
    found: list[UUID] = []
    for name in names:
        try:
            found.append(UUID(str(name)))
        except ValueError:
            continue
    return found


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
