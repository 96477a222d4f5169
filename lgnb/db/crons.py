"""The crons table."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from ..models.access import Condition
from ..models.crons import Cron, DueCron
from .conditions import satisfied
from .repository import Repository, where

_COLUMNS = sql.SQL(
    "cron_id, assistant_id, thread_id, user_id, end_time, schedule, timezone, payload, next_run_date, metadata, "
    "on_run_completed, enabled, created_at, updated_at"
)
_SORT_COLUMNS: dict[str, sql.SQL] = {
    name: sql.SQL(name)
    for name in ("cron_id", "assistant_id", "thread_id", "next_run_date", "end_time", "created_at", "updated_at")
}


class CronRepository(Repository):
    model = "cron"
    sealed_columns = ("payload", "metadata")

    async def insert(self, cron_id: UUID, **values: Any) -> Cron:
        """A new row; `values` are the other columns, but for the two times of the row itself."""
        cron = await self._one(Cron, "cron_insert", cron_id=cron_id, **await self._adapted(values))
        assert cron is not None
        return cron

    async def get(self, cron_id: UUID, *, visible: Condition | None = None) -> Cron | None:
        return await self._one(Cron, "cron_get", visible=visible, cron_id=cron_id)

    async def lock(self, cron_id: UUID, *, visible: Condition | None = None) -> Cron | None:
        """The cron, locked until the transaction ends. Take a lock on its thread before, if one is needed."""
        return await self._one(Cron, "cron_lock", visible=visible, cron_id=cron_id)

    async def update(self, cron_id: UUID, **values: Any) -> Cron:
        """The changed row; `values` are all columns that can change."""
        cron = await self._one(Cron, "cron_update", cron_id=cron_id, **await self._adapted(values))
        assert cron is not None
        return cron

    async def delete(self, cron_id: UUID, *, visible: Condition | None = None) -> bool:
        return await self._scalar("cron_delete", visible=visible, cron_id=cron_id) is not None

    async def due(self, *, limit: int) -> list[DueCron]:
        return await self._all(DueCron, "cron_due", limit=limit)

    async def claim(self, cron_id: UUID, *, tick: datetime, next_run_date: datetime | None) -> Cron | None:
        """The cron whose tick this transaction has now, or None when it is not to be had any more.

        It is as stored: `opened` opens it, which may fail while the tick is taken.
        """
        return await self._one(Cron, "cron_claim", opens=(), cron_id=cron_id, tick=tick, next_run_date=next_run_date)

    async def opened(self, cron: Cron) -> Cron:
        return await self._opened(cron)

    async def encryption_context(self, cron_id: UUID) -> dict[str, Any]:
        """In whose name the cron was sealed."""
        return await self._scalar("cron_encryption_context", cron_id=cron_id) or {}

    async def next_due_seconds(self) -> float | None:
        return await self._scalar("cron_next_due_seconds")

    async def search_page(
        self, *, limit: int, offset: int, sort_by: str | None, sort_order: str | None, **filters: Any
    ) -> list[Cron]:
        conditions, params = _filters(**filters)
        order = sql.SQL("ASC" if sort_by and sort_order == "asc" else "DESC")
        statement = (
            sql.SQL("SELECT {}\nFROM crons").format(_COLUMNS)
            + where(conditions)
            + sql.SQL("\nORDER BY {} {}, cron_id {}\nLIMIT %(limit)s\nOFFSET %(offset)s").format(
                _SORT_COLUMNS[sort_by or "created_at"], order, order
            )
        )
        return await self._composed(Cron, statement, {**params, "limit": limit, "offset": offset})

    async def count(self, **filters: Any) -> int:
        conditions, params = _filters(**filters)
        return await self._count(sql.SQL("SELECT count(*)\nFROM crons") + where(conditions), params)

    async def _adapted(self, values: dict[str, Any]) -> dict[str, Any]:
        return {
            name: Jsonb(await self._sealed(name, value)) if name in self.sealed_columns else value
            for name, value in values.items()
        }


def _filters(
    *,
    assistant_id: UUID | None,
    thread_id: UUID | None,
    metadata: dict[str, Any],
    enabled: bool | None = None,
    visible: Condition | None = None,
    thread_visible: Condition | None = None,
) -> tuple[list[sql.Composable], dict[str, Any]]:
    conditions: list[sql.Composable] = []
    params: dict[str, Any] = {}
    for name, value in (("assistant_id", assistant_id), ("thread_id", thread_id), ("enabled", enabled)):
        if value is not None:
            conditions.append(sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)))
            params[name] = value
    if metadata:
        conditions.append(sql.SQL("metadata @> %(metadata)s"))
        params["metadata"] = Jsonb(metadata)
    if visible is not None:
        conditions.append(satisfied(visible, sql.SQL("metadata"), params))
    if thread_visible is not None:
        on_thread = sql.SQL(
            "(thread_id IS NULL OR EXISTS (SELECT 1 FROM threads t WHERE t.thread_id = crons.thread_id AND {}))"
        )
        conditions.append(on_thread.format(satisfied(thread_visible, sql.SQL("t.metadata"), params)))
    return conditions, params
