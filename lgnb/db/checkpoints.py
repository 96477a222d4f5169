"""The checkpoint tables: bytes to rows and back. What the bytes mean is the codec's business."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

import orjson
from psycopg import rows, sql
from psycopg.types.json import Jsonb

from ..models.access import Condition
from ..models.checkpoints import (
    SAME,
    Blob,
    CheckpointFilter,
    CheckpointKey,
    CheckpointPlace,
    DeltaHistory,
    Fence,
    NextTasks,
    Save,
    SavedCheckpoint,
    SavedWrite,
    UsageRow,
    ValuePlace,
    joined,
)
from .conditions import satisfied
from .packing import typed_blob, unpacked_checkpoint, unpacked_writes
from .queries import query
from .repository import Repository, raw_json, where
from .saves import SaveRows

_PAGE_COLUMNS = sql.SQL(
    "SELECT c.thread_id, c.checkpoint_ns, c.checkpoint_id, c.parent_checkpoint_id, c.created_at, c.checkpoint, "
    "c.metadata, c.inline_channels, c.inline_types, c.inline_values, "
    "t.next, t.tasks, t.channels AS task_channels, t.is_single, t.defaults "
    "FROM checkpoints AS c "
    "LEFT JOIN checkpoint_tasks AS t USING (thread_id, checkpoint_ns, checkpoint_id)"
)


_ValueKey = tuple[UUID, str, str, str]
"""Thread, namespace, channel and version."""


class CheckpointRepository(Repository):
    """Statements on checkpoints."""

    async def save(self, saves: Sequence[tuple[Save, Fence | None]]) -> list[bool]:
        """Whether the fence of each held, in one statement; a save whose fence did not hold wrote nothing.

        Two of them must not be of the same checkpoint or the same task.
        """
        rows = SaveRows()
        numbers = [rows.add(save, fence) for save, fence in saves]
        cursor = await self._connection.execute(query("checkpoint_save"), rows.parameters())
        row = await cursor.fetchone()
        held = frozenset(row[0] or ()) if row else frozenset[int]()
        return [number in held for number in numbers]

    async def get(self, places: Sequence[CheckpointPlace]) -> list[SavedCheckpoint | None]:
        """The checkpoint at each place, in one statement; None where there is none."""
        asked = [
            {
                "number": number,
                "thread_id": place.thread_id,
                "checkpoint_ns": place.checkpoint_ns,
                "checkpoint_id": place.checkpoint_id,
            }
            for number, place in enumerate(places)
        ]
        rows = await self._rows(query("checkpoint_get"), asked=raw_json(orjson.dumps(asked)))
        found = {row["number"]: row for row in rows}
        return [_whole(found[number]) if number in found else None for number in range(len(places))]

    async def page(
        self, which: CheckpointFilter, *, with_values: bool = True, with_writes: bool = True
    ) -> list[SavedCheckpoint]:
        """Checkpoints with their tasks, newest first. A value that several share is fetched once."""
        statement, params = _page(which)
        page = await self._rows(statement, **params)
        values = await self._values(page) if with_values else {}
        writes = await self._writes(page) if with_writes else {}
        return [
            _checkpoint(
                row,
                values={
                    channel: values[place]
                    for channel, version in row["checkpoint"]["channel_versions"].items()
                    if (place := (row["thread_id"], row["checkpoint_ns"], channel, str(version))) in values
                },
                writes=writes.get((row["thread_id"], row["checkpoint_ns"], row["checkpoint_id"]), ()),
            )
            for row in page
        ]

    async def delta_history(
        self, *, thread_id: UUID, checkpoint_ns: str, checkpoint_id: UUID | None, channels: Sequence[str]
    ) -> dict[str, DeltaHistory]:
        found = await self._rows(
            query("checkpoint_delta_history"),
            thread_id=thread_id,
            checkpoint_ns=checkpoint_ns,
            checkpoint_id=checkpoint_id,
            channels=list(channels),
        )
        seeds = {row["channel"]: typed_blob(row["type"], row["value"]) for row in found if row["kind"] == "seed"}
        places = {(thread_id, checkpoint_ns, row["channel"], row["type"]) for row in found if row["kind"] == "place"}
        seeds |= {channel: blob for (_, _, channel, _), blob in (await self._versions(places)).items()}
        writes: dict[str, list[SavedWrite]] = {}
        steps = groupby((row for row in found if row["kind"] == "write"), key=itemgetter("depth"))
        for step in (list(rows_of_step) for _, rows_of_step in steps):
            for write in unpacked_writes(map(_write, step)):
                if write.channel in step[0]["wanted"]:
                    writes.setdefault(write.channel, []).append(write)
        return {
            channel: DeltaHistory(seed=seeds.get(channel), writes=tuple(writes.get(channel, ())))
            for channel in channels
        }

    async def delete_for_threads(self, thread_ids: Iterable[UUID]) -> int:
        """Number of checkpoints deleted. Deleting a thread runs this in its transaction."""
        return await self._do("checkpoint_delete_for_threads", thread_ids=list(thread_ids))

    async def delete_for_runs(self, run_ids: Iterable[UUID]) -> int:
        """Number of checkpoints deleted. Rolling back a run runs this in its transaction."""
        return int(await self._scalar("checkpoint_delete_for_runs", run_ids=list(run_ids)))

    async def copy_thread(self, *, source_thread_id: UUID, target_thread_id: UUID) -> int:
        """Number of checkpoints copied. Running it twice copies once."""
        return await self._do(
            "checkpoint_copy_thread", source_thread_id=source_thread_id, target_thread_id=target_thread_id
        )

    async def prune(self, thread_ids: Iterable[UUID]) -> int:
        """Number of checkpoints deleted; the newest of each namespace stays."""
        return int(await self._scalar("checkpoint_prune", thread_ids=list(thread_ids)))

    async def usage(self, thread_id: UUID, *, visible: Condition | None = None) -> list[UsageRow]:
        return await self._all(UsageRow, "checkpoint_usage", visible=visible, thread_id=thread_id)

    async def has_run(self, *, thread_id: UUID, run_id: UUID) -> bool:
        """Whether a run has saved a checkpoint of the root graph."""
        return bool(await self._scalar("checkpoint_has_run", thread_id=thread_id, run_id=run_id))

    async def resumed_tasks(self, *, thread_id: UUID, run_id: UUID) -> list[tuple[UUID, Blob | None]]:
        """Tasks that a run has stored an answer for, each with the interrupts it had raised."""
        cursor = await self._connection.execute(
            query("checkpoint_resumed_tasks"), {"thread_id": thread_id, "run_id": run_id}
        )
        return [
            (task_id, Blob(kind, bytes(value)) if kind is not None else None)
            for task_id, kind, value in await cursor.fetchall()
        ]

    async def _rows(self, statement: Any, /, **params: Any) -> list[dict[str, Any]]:
        # Binary results: values arrive as they are stored instead of in hex.
        async with self._connection.cursor(binary=True, row_factory=rows.dict_row) as cursor:
            await cursor.execute(statement, params)
            return await cursor.fetchall()

    async def _values(self, page: list[dict[str, Any]]) -> dict[_ValueKey, Blob]:
        wanted = {
            (row["thread_id"], row["checkpoint_ns"], channel, str(version))
            for row in page
            for channel, version in row["checkpoint"]["channel_versions"].items()
            if channel not in row["inline_channels"]
        }
        return await self._versions(wanted)

    async def _versions(self, wanted: set[_ValueKey]) -> dict[_ValueKey, Blob]:
        if not wanted:
            return {}
        thread_ids, namespaces, channels, versions = (list(column) for column in zip(*wanted, strict=True))
        found = await self._rows(
            query("checkpoint_list_values"),
            thread_ids=thread_ids,
            namespaces=namespaces,
            channels=channels,
            versions=versions,
        )
        parts: dict[_ValueKey, list[tuple[int, Blob]]] = {}
        for row in found:
            if row["version"] is None:
                place = (row["thread_id"], row["checkpoint_ns"], row["channel"], row["lineage"])
                parts.setdefault(place, []).append((row["part"], Blob(row["type"], row["value"])))
        values: dict[_ValueKey, Blob] = {}
        for row in found:
            if (version := row["version"]) is None:
                continue
            place = (row["thread_id"], row["checkpoint_ns"], row["channel"])
            if row["lineage"] is None:
                values[*place, version] = Blob(row["type"], row["value"])
            else:
                values[*place, version] = joined(
                    [blob for part, blob in parts[*place, row["lineage"]] if part <= row["part"]]
                )
        return values

    async def _writes(self, page: list[dict[str, Any]]) -> dict[tuple[UUID, str, UUID], list[SavedWrite]]:
        if not page:
            return {}
        found = await self._rows(
            query("checkpoint_list_writes"),
            thread_ids=[row["thread_id"] for row in page],
            namespaces=[row["checkpoint_ns"] for row in page],
            checkpoint_ids=[row["checkpoint_id"] for row in page],
        )
        writes: dict[tuple[UUID, str, UUID], list[SavedWrite]] = {}
        for row in found:
            place = (row["thread_id"], row["checkpoint_ns"], row["checkpoint_id"])
            writes.setdefault(place, []).append(_write(row))
        return {place: unpacked_writes(rows_of_place) for place, rows_of_place in writes.items()}


def _whole(row: Mapping[str, Any]) -> SavedCheckpoint:
    """A checkpoint from a row that holds all of it."""
    return _checkpoint(
        row,
        values=_joined_blobs(row),
        places=_places(row),
        writes=unpacked_writes(
            SavedWrite(task_id=task_id, task_path=path, idx=idx, channel=channel, blob=Blob(kind, data))
            for task_id, path, idx, channel, kind, data in zip(
                row["task_ids"] or (),
                row["task_paths"] or (),
                row["idxs"] or (),
                row["write_channels"] or (),
                row["write_types"] or (),
                row["write_blobs"] or (),
                strict=True,
            )
        ),
    )


def _joined_blobs(row: Mapping[str, Any]) -> dict[str, Blob]:
    """The values of one checkpoint, whose parts come in their order."""
    parts: dict[str, list[Blob]] = {}
    for channel, kind, value in zip(row["channels"] or (), row["types"] or (), row["blobs"] or (), strict=True):
        parts.setdefault(channel, []).append(Blob(kind, value))
    return {channel: joined(blobs) for channel, blobs in parts.items()}


def _places(row: Mapping[str, Any]) -> dict[str, ValuePlace]:
    columns = (row[name] or () for name in ("channels", "lineages", "parts", "can_grow"))
    return {channel: ValuePlace(*place) for channel, *place in zip(*columns, strict=True)}


def _page(which: CheckpointFilter) -> tuple[sql.Composed, dict[str, Any]]:
    conditions: list[sql.Composable] = []
    params: dict[str, Any] = {}
    for column in ("thread_id", "checkpoint_ns", "checkpoint_id"):
        value = getattr(which, column)
        if value is not None:
            conditions.append(sql.SQL("c.{} = {}").format(sql.Identifier(column), sql.Placeholder(column)))
            params[column] = value
    if which.before is not None:
        conditions.append(sql.SQL("c.checkpoint_id < %(before)s"))
        params["before"] = which.before
    if which.metadata:
        conditions.append(sql.SQL("c.metadata @> %(metadata)s"))
        params["metadata"] = Jsonb(which.metadata)
    if which.visible is not None:
        of_thread = sql.SQL("EXISTS (SELECT 1 FROM threads AS th WHERE th.thread_id = c.thread_id AND {})")
        conditions.append(of_thread.format(satisfied(which.visible, sql.SQL("th.metadata"), params)))
    statement = _PAGE_COLUMNS + where(conditions) + sql.SQL("\nORDER BY c.checkpoint_id DESC")
    if which.limit is not None:
        statement += sql.SQL("\nLIMIT %(limit)s")
        params["limit"] = which.limit
    return statement, params


def _blobs(
    channels: Sequence[str] | None, types: Sequence[str] | None, data: Sequence[bytes] | None
) -> dict[str, Blob]:
    data = data or ()
    parts = zip(channels or (), types or [None] * len(data), data, strict=True)
    return {channel: typed_blob(kind, value) for channel, kind, value in parts}


def _write(row: Mapping[str, Any]) -> SavedWrite:
    return SavedWrite(
        task_id=row["task_id"],
        task_path=row["task_path"],
        idx=row["idx"],
        channel=row["channel"],
        blob=Blob(row["type"], row["value"]),
    )


def _checkpoint(
    row: Mapping[str, Any],
    *,
    values: Mapping[str, Blob],
    writes: Sequence[SavedWrite],
    places: Mapping[str, ValuePlace] | None = None,
) -> SavedCheckpoint:
    tasks = None
    if row.get("next") is not None:
        tasks = NextTasks(
            next=tuple(row["next"]),
            tasks=tuple(row["tasks"]),
            channels=tuple(row["task_channels"]),
            is_single=row["is_single"],
            defaults=row["defaults"],
        )
    return SavedCheckpoint(
        key=CheckpointKey(
            thread_id=row["thread_id"], checkpoint_ns=row["checkpoint_ns"], checkpoint_id=row["checkpoint_id"]
        ),
        parent_checkpoint_id=row["parent_checkpoint_id"],
        created_at=row["created_at"],
        checkpoint=unpacked_checkpoint(row["checkpoint"]),
        metadata=row["metadata"],
        values=_blobs(row["inline_channels"], row["inline_types"], row["inline_values"]) | dict(values),
        writes=tuple(
            replace(write, blob=values[write.channel]) if write.blob.type == SAME else write for write in writes
        ),
        tasks=tasks,
        places=places or {},
    )
