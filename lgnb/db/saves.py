"""Saves of checkpoints as the parameters of one statement, however many they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..models.checkpoints import NO_RUN, Blob, CheckpointKey, Fence, NewCheckpoint, NewTasks, NewWrites, Save
from .packing import packed_checkpoint, packed_types, packed_writes
from .pieces import Pieces, json_text

Row = dict[str, Any]


class SaveRows:
    """Collects saves, each under its fence, and says what the statement `checkpoint_save` needs of them."""

    def __init__(self) -> None:
        self._fences: dict[Fence | None, int] = {}
        self._rows: dict[str, list[Row]] = {"values": [], "checkpoints": [], "writes": [], "tasks": []}
        self._pieces = Pieces()

    def add(self, save: Save, fence: Fence | None) -> int:
        """The number of its fence."""
        number = self._fences.setdefault(fence, len(self._fences))
        match save:
            case NewCheckpoint():
                self._add_checkpoint(save, number)
            case NewWrites():
                self._add_writes(save, number)
            case NewTasks():
                self._add_tasks(save, number)
        return number

    def parameters(self) -> Mapping[str, Any]:
        fences = [
            {"fence": number, "run_id": fence and fence.run_id, "attempt": fence and fence.attempt}
            for fence, number in self._fences.items()
        ]
        rows = {"fences": fences, **self._rows}
        return {
            **{kind: json_text(of_kind) for kind, of_kind in rows.items()},
            "bytes": self._pieces.joined(),
        }

    def _add_checkpoint(self, new: NewCheckpoint, fence: int) -> None:
        place = {"fence": fence, "thread_id": new.key.thread_id, "checkpoint_ns": new.key.checkpoint_ns}
        self._rows["checkpoints"].append(
            place
            | {
                "checkpoint_id": new.key.checkpoint_id,
                "parent_checkpoint_id": new.parent_checkpoint_id,
                "run_id": new.run_id,
                "created_at": new.created_at,
                "checkpoint": packed_checkpoint(new.checkpoint),
                "metadata": new.metadata,
                "inline_channels": list(new.inline),
                "inline_types": packed_types(new.inline.values()),
                "inline_values": ["\\x" + blob.data.hex() for blob in new.inline.values()],
            }
        )
        for value in new.values:
            row = place | {"channel": value.channel, "version": value.version, "part": 0}
            if value.place is not None:
                row |= {"lineage": value.place.lineage, "part": value.place.part}
            # Nobody's type is empty: it marks a value that is the one at its place.
            row |= {"type": ""} if value.blob is None else self._blob(value.blob)
            self._rows["values"].append(row)

    def _add_writes(self, new: NewWrites, fence: int) -> None:
        task = _row(new.key, fence) | {
            "task_id": new.task_id,
            "run_id": new.run_id or NO_RUN,
            "task_path": new.task_path,
        }
        for write in packed_writes(new.writes):
            self._rows["writes"].append(task | {"idx": write.idx, "channel": write.channel} | self._blob(write.blob))

    def _add_tasks(self, new: NewTasks, fence: int) -> None:
        tasks = new.tasks
        self._rows["tasks"].append(
            _row(new.key, fence)
            | {
                "next": tasks.next,
                "tasks": tasks.tasks,
                "channels": tasks.channels,
                "is_single": tasks.is_single,
                "defaults": tasks.defaults,
            }
        )

    def _blob(self, blob: Blob) -> Row:
        return {"type": blob.type, **self._pieces.add("value", blob.data)}


def _row(key: CheckpointKey, fence: int) -> Row:
    return {
        "fence": fence,
        "thread_id": key.thread_id,
        "checkpoint_ns": key.checkpoint_ns,
        "checkpoint_id": key.checkpoint_id,
    }
