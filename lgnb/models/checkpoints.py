"""Saved states as bytes and ids: what travels between the process that owns a graph and the storage.

No value in here is ever a revived object; the codec makes these from objects, the storage makes rows of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import ormsgpack

from .access import Condition

NO_RUN = UUID(int=0)
"""Stands for "no run" where a run's id is part of a key."""


@dataclass(frozen=True, slots=True)
class Blob:
    """One encoded value. `type` names the encoding, such as "msgpack" or "msgpack+z"."""

    type: str
    data: bytes


ITEMS = "items"
"""Type of a list whose elements were encoded one by one: msgpack of their bytes, each a list of one."""

PARTS = "parts"
"""Type of a list that is stored in parts: msgpack of the type and bytes of each."""

SAME = "same"
"""Type of a write that equals the value of its channel at the checkpoint it was written onto; it has no bytes."""


def joined(parts: Sequence[Blob]) -> Blob:
    """One blob for a list stored in parts."""
    return parts[0] if len(parts) == 1 else Blob(PARTS, ormsgpack.packb([[part.type, part.data] for part in parts]))


def parts_of(blob: Blob) -> list[Blob]:
    """Undo `joined`; for blobs of type PARTS."""
    return [Blob(kind, data) for kind, data in ormsgpack.unpackb(blob.data)]


@dataclass(frozen=True, slots=True)
class ValuePlace:
    """Where a value is stored: the whole value of version `lineage`, and its parts up to `part`.

    `can_grow` says that no further part follows, so that one may be added.
    """

    lineage: str
    part: int
    can_grow: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RevivalConfig:
    """Types that the configuration lets checkpoints be revived to, besides those that graphs declare."""

    json_types: tuple[Sequence[str], ...] = ()
    msgpack_types: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Fence:
    """The attempt of a run in whose name something is written; the write is refused when it is not current."""

    run_id: UUID
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointKey:
    """Where a checkpoint is."""

    thread_id: UUID
    checkpoint_ns: str
    checkpoint_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class NewValue:
    """The value of a channel at a version that no checkpoint before had.

    Without a place the blob is the whole value. With one it is the part at that place; without a blob the value is
    the one at that place.
    """

    channel: str
    version: str
    blob: Blob | None
    place: ValuePlace | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCheckpoint:
    """A checkpoint to save.

    `checkpoint` holds v, channel_versions, versions_seen and updated_channels; it and `metadata` are plain JSON.
    `inline` are the small scalars kept in the row itself, all of them; `values` are only the new ones.
    """

    key: CheckpointKey
    parent_checkpoint_id: UUID | None
    run_id: UUID | None
    created_at: datetime
    checkpoint: dict[str, Any]
    metadata: dict[str, Any]
    inline: Mapping[str, Blob]
    values: tuple[NewValue, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskWrite:
    """One write of a task. A negative `idx` marks a special write, which replaces an earlier one."""

    idx: int
    channel: str
    blob: Blob


@dataclass(frozen=True, slots=True, kw_only=True)
class NewWrites:
    """What one task wrote onto a checkpoint; at most one write per `idx`."""

    key: CheckpointKey
    task_id: UUID
    task_path: str
    run_id: UUID | None
    writes: tuple[TaskWrite, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NextTasks:
    """What follows a checkpoint, as its graph told.

    Each task is {"id", "name", "subgraph": bool} and, when known, "path". `channels` are the visible channels in
    the order of the state; with `is_single` the state is the value of that one channel, not an object. `defaults`
    is what channels show that nobody has written, by name; "" stands for a single channel of unknown name.
    """

    next: tuple[str, ...]
    tasks: tuple[dict[str, Any], ...]
    channels: tuple[str, ...]
    is_single: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTasks:
    """What follows a checkpoint, to save."""

    key: CheckpointKey
    tasks: NextTasks


Save = NewCheckpoint | NewWrites | NewTasks


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedWrite:
    """A pending write as it was saved."""

    task_id: UUID
    task_path: str
    idx: int
    channel: str
    blob: Blob


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedCheckpoint:
    """A checkpoint as it was saved; `writes` are in the order in which a superstep applies them."""

    key: CheckpointKey
    parent_checkpoint_id: UUID | None
    created_at: datetime
    checkpoint: dict[str, Any]
    metadata: dict[str, Any]
    values: Mapping[str, Blob]
    writes: tuple[SavedWrite, ...]
    tasks: NextTasks | None = None
    # Where the values are stored, for whoever saves the next checkpoint; only of a checkpoint loaded alone.
    places: Mapping[str, ValuePlace] = field(default_factory=dict[str, ValuePlace])


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointPlace:
    """One checkpoint; with a `checkpoint_id` of None the newest of the namespace."""

    thread_id: UUID
    checkpoint_ns: str
    checkpoint_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointFilter:
    """Which checkpoints to list, newest first; None means any."""

    thread_id: UUID | None = None
    checkpoint_ns: str | None = None
    checkpoint_id: UUID | None = None
    before: UUID | None = None
    metadata: dict[str, Any] | None = None
    limit: int | None = None
    # What the metadata of their thread must fulfil.
    visible: Condition | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaHistory:
    """What one delta channel was on the way to a checkpoint: the nearest stored value and the writes since."""

    seed: Blob | None
    writes: tuple[SavedWrite, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTraces:
    """What a run has saved so far: a checkpoint, and answers to interrupts, by task with the ids they answer."""

    has_checkpoint: bool
    resumed_interrupts: Mapping[UUID, list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """Rows and stored bytes of one kind: checkpoints, values of one channel, or writes."""

    kind: str
    channel: str | None
    rows: int
    bytes: int
