"""The threads table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Json, Jsonb

from ..models.access import Condition
from ..models.runs import RunOutcome
from ..models.threads import Thread, ThreadStatus, ThreadToRun, ThreadTtl, TtlStrategy
from .conditions import satisfied
from .outcomes import sealed_outcome
from .repository import Repository, where

# Each is the order of an index: what is equal in a column follows the next one.
_SORT_COLUMNS: dict[str, tuple[sql.SQL, ...]] = {
    "thread_id": (sql.SQL("thread_id"),),
    "status": (sql.SQL("status"), sql.SQL("updated_at"), sql.SQL("thread_id")),
    "created_at": (sql.SQL("created_at"), sql.SQL("thread_id")),
    "updated_at": (sql.SQL("updated_at"), sql.SQL("thread_id")),
    "state_updated_at": (sql.SQL("state_updated_at"), sql.SQL("thread_id")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestState:
    """The thread row's share of a ThreadState; `state` lacks the values."""

    status: ThreadStatus
    values: dict[str, Any] | None
    state: dict[str, Any] | None


class ThreadRepository(Repository):
    model = "thread"
    sealed_columns = ("metadata", "config", "values", "interrupts", "state", "error")

    async def get(self, thread_id: UUID, *, visible: Condition | None = None) -> Thread | None:
        return await self._one(Thread, "thread_get", visible=visible, thread_id=thread_id)

    async def lock(self, thread_id: UUID, *, visible: Condition | None = None) -> Thread | None:
        """The thread, locked until the transaction ends, with its metadata and config. Take this lock before one on
        its runs.
        """
        return await self._one(
            Thread, "thread_lock", visible=visible, opens=("metadata", "config"), thread_id=thread_id
        )

    async def hold(self, thread_id: UUID, *, visible: Condition | None = None) -> ThreadStatus | None:
        """The same lock, also on a thread that cannot be opened; the status, or None where there is no such thread."""
        return await self._scalar("thread_hold", visible=visible, thread_id=thread_id)

    async def to_run(self, thread_id: UUID) -> ThreadToRun | None:
        return await self._one(ThreadToRun, "thread_to_run", thread_id=thread_id)

    async def lock_to_run(self, thread_id: UUID, *, visible: Condition | None = None) -> ThreadToRun | None:
        """The same, locked until the transaction ends."""
        return await self._one(ThreadToRun, "thread_lock_to_run", visible=visible, thread_id=thread_id)

    async def insert(
        self,
        thread_id: UUID,
        *,
        metadata: dict[str, Any],
        config: dict[str, Any] | None = None,
        status: ThreadStatus = "idle",
        ttl: ThreadTtl | None = None,
    ) -> Thread | None:
        """The new row, or None when the id is taken."""
        return await self._one(
            Thread,
            "thread_insert",
            thread_id=thread_id,
            metadata=Jsonb(await self._sealed("metadata", metadata)),
            config=Jsonb(await self._sealed("config", config or {})),
            status=status,
            ttl_minutes=ttl and ttl.ttl_minutes,
            ttl_strategy=ttl and ttl.strategy,
        )

    async def update(
        self,
        thread_id: UUID,
        *,
        metadata: dict[str, Any] | None,
        ttl: ThreadTtl | None,
        visible: Condition | None = None,
    ) -> Thread | None:
        """The changed row; with metadata, and where that is sealed, inside a transaction."""
        if metadata and self._seals:
            present = await self.lock(thread_id, visible=visible)
            metadata = (present.metadata if present else {}) | metadata
        return await self._one(
            Thread,
            "thread_update",
            visible=visible,
            thread_id=thread_id,
            metadata=None if metadata is None else Jsonb(await self._sealed("metadata", metadata)),
            ttl_minutes=ttl and ttl.ttl_minutes,
            ttl_strategy=ttl and ttl.strategy,
        )

    async def ttl(self, thread_id: UUID, *, visible: Condition | None = None) -> ThreadTtl | None:
        return await self._one(ThreadTtl, "thread_ttl", visible=visible, thread_id=thread_id)

    async def expired(self, *, limit: int) -> list[UUID]:
        return await self._column("thread_expired", limit=limit)

    async def lock_expired(self, thread_id: UUID) -> TtlStrategy | None:
        """What shall be left of an expired thread, which is locked now; None when it is not to be had."""
        return await self._scalar("thread_lock_expired", thread_id=thread_id)

    async def expire_again(self, thread_id: UUID) -> None:
        await self._do("thread_expire_again", thread_id=thread_id)

    async def delete(self, thread_id: UUID) -> bool:
        return await self._scalar("thread_delete", thread_id=thread_id) is not None

    async def existing(self, thread_ids: list[UUID], *, visible: Condition | None = None) -> list[UUID]:
        return await self._column("thread_existing", visible=visible, thread_ids=thread_ids)

    async def delete_many(self, thread_ids: list[UUID]) -> list[UUID]:
        return await self._column("thread_delete_many", thread_ids=thread_ids)

    async def copy(self, thread_id: UUID, *, new_thread_id: UUID, metadata: dict[str, Any]) -> Thread | None:
        """`metadata` is put over that of the original, which must be locked."""
        if metadata and self._seals:
            source = await self.lock(thread_id)
            metadata = (source.metadata if source else {}) | metadata
        return await self._one(
            Thread,
            "thread_copy",
            thread_id=thread_id,
            new_thread_id=new_thread_id,
            metadata=Jsonb(await self._sealed("metadata", metadata)),
        )

    async def begin_run(self, thread_id: UUID, *, metadata: dict[str, Any], config: dict[str, Any]) -> None:
        await self._do(
            "thread_begin_run",
            thread_id=thread_id,
            metadata=Jsonb(await self._sealed("metadata", metadata)),
            config=Jsonb(await self._sealed("config", config)),
        )

    async def finish_run(
        self, thread_id: UUID, *, outcome: RunOutcome, metadata: dict[str, Any]
    ) -> ThreadStatus | None:
        """`metadata` holds ids alone, which are never sealed; so it can be merged by the statement."""
        outcome = await sealed_outcome(outcome, self._connection.vault.fields)
        return await self._scalar(
            "thread_finish_run",
            thread_id=thread_id,
            status=outcome.thread_status,
            has_state=outcome.has_state,
            values=None if outcome.values is None else Json(outcome.values),
            interrupts=Json(outcome.interrupts),
            state=None if outcome.state is None else Json(outcome.state),
            error=None if outcome.error is None else Jsonb(outcome.error),
            metadata=Jsonb(metadata),
        )

    async def recompute_status(self, thread_id: UUID) -> ThreadStatus | None:
        return await self._scalar("thread_recompute_status", thread_id=thread_id)

    async def refresh_state(
        self, thread_id: UUID, *, values: Any, interrupts: dict[str, Any], state: dict[str, Any] | None
    ) -> None:
        await self._do(
            "thread_refresh_state",
            thread_id=thread_id,
            values=None if values is None else Json(await self._sealed("values", values)),
            interrupts=Json(await self._sealed("interrupts", interrupts)),
            state=None if state is None else Json(await self._sealed("state", state)),
        )

    async def set_state(
        self,
        thread_id: UUID,
        *,
        status: ThreadStatus,
        values: Any,
        interrupts: dict[str, Any],
        state: dict[str, Any],
        metadata: dict[str, Any],
    ) -> None:
        await self._do(
            "thread_set_state",
            thread_id=thread_id,
            status=status,
            values=Json(await self._sealed("values", values)),
            interrupts=Json(await self._sealed("interrupts", interrupts)),
            state=Json(await self._sealed("state", state)),
            metadata=Jsonb(metadata),
        )

    async def encryption_context(self, thread_id: UUID) -> dict[str, Any]:
        """In whose name the thread was sealed last."""
        return await self._scalar("thread_encryption_context", thread_id=thread_id) or {}

    async def latest_state(self, thread_id: UUID, *, visible: Condition | None = None) -> LatestState | None:
        return await self._one(LatestState, "thread_latest_state", visible=visible, thread_id=thread_id)

    async def search_page(
        self,
        *,
        ids: list[UUID] | None,
        metadata: dict[str, Any],
        values: dict[str, Any],
        status: str | None,
        limit: int,
        offset: int,
        sort_by: str | None,
        sort_order: str | None,
        visible: Condition | None = None,
    ) -> list[Thread]:
        conditions, params = _filters(ids=ids, metadata=metadata, values=values, status=status, visible=visible)
        direction = sql.SQL(" ASC" if sort_by and sort_order == "asc" else " DESC")
        order = sql.SQL(", ").join(column + direction for column in _SORT_COLUMNS[sort_by or "updated_at"])
        statement = (
            sql.SQL(
                "SELECT thread_id, created_at, updated_at, state_updated_at, metadata, config, status,\n"
                '    "values", interrupts, error\nFROM threads'
            )
            + where(conditions)
            + sql.SQL("\nORDER BY {}\nLIMIT %(limit)s\nOFFSET %(offset)s").format(order)
        )
        return await self._composed(Thread, statement, {**params, "limit": limit, "offset": offset})

    async def count(
        self,
        *,
        metadata: dict[str, Any],
        values: dict[str, Any],
        status: str | None,
        visible: Condition | None = None,
    ) -> int:
        conditions, params = _filters(ids=None, metadata=metadata, values=values, status=status, visible=visible)
        return await self._count(sql.SQL("SELECT count(*)\nFROM threads") + where(conditions), params)

    async def of_assistant(self, assistant_id: UUID) -> list[UUID]:
        """Threads whose metadata names this assistant."""
        return await self._column("thread_of_assistant", metadata=Jsonb({"assistant_id": str(assistant_id)}))


def _filters(
    *,
    ids: list[UUID] | None,
    metadata: dict[str, Any],
    values: dict[str, Any],
    status: str | None,
    visible: Condition | None,
) -> tuple[list[sql.Composable], dict[str, Any]]:
    conditions: list[sql.Composable] = []
    params: dict[str, Any] = {}
    if ids:
        conditions.append(sql.SQL("thread_id = ANY(%(ids)s)"))
        params["ids"] = ids
    if metadata:
        conditions.append(sql.SQL("metadata @> %(metadata)s"))
        params["metadata"] = Jsonb(metadata)
    if values:
        conditions.append(sql.SQL('"values"::jsonb @> %(values)s'))
        params["values"] = Jsonb(values)
    if status is not None:
        conditions.append(sql.SQL("status = %(status)s"))
        params["status"] = status
    if visible is not None:
        conditions.append(satisfied(visible, sql.SQL("metadata"), params))
    return conditions, params
