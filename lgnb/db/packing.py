"""Rows of checkpoints made small: what a superstep saves is little, and it must not be mostly names.

A reader takes both forms, since older rows hold everything spelled out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, cast

import orjson
import ormsgpack

from ..models.checkpoints import Blob, SavedWrite, TaskWrite

WRITES = "writes"
"""Type of a row that holds all regular writes of a task: msgpack of channel, type and bytes of each, the type left
out if it is the usual one."""

_MOST_PACKED_BYTES = 2048
_REST = "rest"
_REST_KEYS = frozenset(("v", "channel_versions", "versions_seen", "updated_channels"))


def packed_checkpoint(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON of a checkpoint as it is stored: the versions of its channels, which SQL reads, and the rest as text.

    In the rest a channel is named by its place among the sorted channels, and a version that a node has seen is null
    where it is the one the channel still has.
    """
    if frozenset(checkpoint) != _REST_KEYS:
        return dict(checkpoint)
    versions = cast("Mapping[str, Any]", checkpoint["channel_versions"])
    place = {channel: index for index, channel in enumerate(sorted(versions))}
    seen: dict[str, list[Any]] = {}
    for node, by_channel in checkpoint["versions_seen"].items():
        seen[node] = [
            part
            for channel, version in by_channel.items()
            for part in (place.get(channel, channel), None if versions.get(channel) == version else version)
        ]
    updated = checkpoint["updated_channels"]
    named = None if updated is None else [place.get(channel, channel) for channel in updated]
    return {"channel_versions": versions, _REST: orjson.dumps([checkpoint["v"], seen, named]).decode()}


def unpacked_checkpoint(stored: dict[str, Any]) -> dict[str, Any]:
    """Undo `packed_checkpoint`; one stored as it is stays so."""
    if _REST not in stored:
        return stored
    versions = stored["channel_versions"]
    channels = sorted(versions)
    v, seen, updated = orjson.loads(stored[_REST])

    def name(place: int | str) -> str:
        return channels[place] if isinstance(place, int) else place

    return {
        "v": v,
        "channel_versions": versions,
        "versions_seen": {
            node: {
                name(place): versions[name(place)] if version is None else version
                for place, version in zip(parts[::2], parts[1::2], strict=True)
            }
            for node, parts in seen.items()
        },
        "updated_channels": None if updated is None else [name(place) for place in updated],
    }


def packed_types(blobs: Iterable[Blob]) -> list[str]:
    """The types of small scalars, or none where all are the usual ones, which their bytes tell."""
    blobs = list(blobs)
    return [] if all(blob.type == _usual_type(blob.data) for blob in blobs) else [blob.type for blob in blobs]


def typed_blob(kind: str | None, data: bytes) -> Blob:
    """A value as it was saved, whose type was left out if it was the usual one."""
    return Blob(_usual_type(data) if kind is None else kind, data)


def _usual_type(data: bytes) -> str:
    return "msgpack" if data else "null"


def packed_writes(writes: Sequence[TaskWrite]) -> list[TaskWrite]:
    """The writes of a task as rows: the regular ones in one row, if they are small and no number is missing.

    That row has the number of its last write. It so says which numbers it takes, and none of these is written again.
    """
    regular = sorted((write for write in writes if write.idx >= 0), key=lambda write: write.idx)
    size = sum(len(write.blob.data) for write in regular)
    if len(regular) < 2 or regular[-1].idx != len(regular) - 1 or size > _MOST_PACKED_BYTES:
        return list(writes)
    packed = ormsgpack.packb([_packed(write) for write in regular])
    special = [write for write in writes if write.idx < 0]
    return [*special, TaskWrite(idx=regular[-1].idx, channel="", blob=Blob(WRITES, packed))]


def unpacked_writes(rows: Iterable[SavedWrite]) -> list[SavedWrite]:
    """Undo `packed_writes` for rows in the order of path, task and number. Of a number the first row counts."""
    writes: list[SavedWrite] = []
    for _, of_task in groupby(rows, key=lambda row: (row.task_path, row.task_id)):
        by_idx: dict[int, SavedWrite] = {}
        for write in (write for row in of_task for write in _writes_of(row)):
            by_idx.setdefault(write.idx, write)
        writes += (by_idx[idx] for idx in sorted(by_idx))
    return writes


def _writes_of(row: SavedWrite) -> list[SavedWrite]:
    if row.blob.type != WRITES:
        return [row]
    return [
        SavedWrite(task_id=row.task_id, task_path=row.task_path, idx=idx, channel=channel, blob=typed_blob(kind, data))
        for idx, (channel, kind, data) in enumerate(ormsgpack.unpackb(row.blob.data))
    ]


def _packed(write: TaskWrite) -> tuple[str, str | None, bytes]:
    kind, data = write.blob.type, write.blob.data
    return write.channel, None if kind == _usual_type(data) else kind, data
