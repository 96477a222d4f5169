"""The assistants and assistant_versions tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from ..models.access import Condition
from ..models.assistants import Assistant, AssistantVersion
from .conditions import satisfied
from .repository import Repository, where

_SORT_COLUMNS: dict[str, sql.SQL] = {
    "assistant_id": sql.SQL("assistant_id"),
    "graph_id": sql.SQL("lower(graph_id)"),
    "name": sql.SQL("lower(name)"),
    "created_at": sql.SQL("created_at"),
    "updated_at": sql.SQL("updated_at"),
}


def _jsonb(value: dict[str, Any] | None) -> Jsonb | None:
    return None if value is None else Jsonb(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnableAssistant(Assistant):
    """An assistant, and why its graph could not be loaded, if so. Its `mark` changes whenever one of them does."""

    failure: str | None
    mark: str


class AssistantRepository(Repository):
    model = "assistant"
    sealed_columns = ("config", "context", "metadata")

    async def get(self, assistant_id: UUID, *, visible: Condition | None = None) -> Assistant | None:
        return await self._one(Assistant, "assistant_get", visible=visible, assistant_id=assistant_id)

    async def to_run(self, assistant_id: UUID, *, visible: Condition | None = None) -> RunnableAssistant | None:
        return await self._one(RunnableAssistant, "assistant_to_run", visible=visible, assistant_id=assistant_id)

    async def insert(
        self,
        assistant_id: UUID,
        *,
        graph_id: str,
        config: dict[str, Any],
        context: dict[str, Any],
        metadata: dict[str, Any],
        name: str,
        description: str | None,
    ) -> Assistant | None:
        """The new row, or None when the id is taken."""
        return await self._one(
            Assistant,
            "assistant_insert",
            assistant_id=assistant_id,
            graph_id=graph_id,
            config=Jsonb(await self._sealed("config", config)),
            context=Jsonb(await self._sealed("context", context)),
            metadata=Jsonb(await self._sealed("metadata", metadata)),
            name=name,
            description=description,
        )

    async def lock(self, assistant_id: UUID, *, visible: Condition | None = None) -> bool:
        return await self._scalar("assistant_lock", visible=visible, assistant_id=assistant_id) is not None

    async def update(
        self,
        assistant_id: UUID,
        *,
        graph_id: str | None,
        config: dict[str, Any] | None,
        context: dict[str, Any] | None,
        metadata: dict[str, Any] | None,
        name: str | None,
        description: str | None,
        visible: Condition | None = None,
    ) -> Assistant | None:
        """The changed row, which must be locked."""
        if metadata and self._seals:
            present = await self.get(assistant_id, visible=visible)
            metadata = (present.metadata if present else {}) | metadata
        return await self._one(
            Assistant,
            "assistant_update",
            visible=visible,
            assistant_id=assistant_id,
            graph_id=graph_id,
            config=_jsonb(await self._sealed("config", config)),
            context=_jsonb(await self._sealed("context", context)),
            metadata=_jsonb(await self._sealed("metadata", metadata)),
            name=name,
            description=description,
        )

    async def delete(self, assistant_id: UUID, *, visible: Condition | None = None) -> bool:
        return await self._scalar("assistant_delete", visible=visible, assistant_id=assistant_id) is not None

    async def versions_page(
        self,
        assistant_id: UUID,
        *,
        metadata: dict[str, Any],
        limit: int,
        offset: int,
        visible: Condition | None = None,
    ) -> list[AssistantVersion]:
        return await self._all(
            AssistantVersion,
            "assistant_versions_page",
            visible=visible,
            assistant_id=assistant_id,
            metadata=Jsonb(metadata),
            limit=limit,
            offset=offset,
        )

    async def set_latest(
        self, assistant_id: UUID, *, version: int, metadata: dict[str, Any], visible: Condition | None = None
    ) -> Assistant | None:
        """`metadata` is put over that of the version."""
        if metadata and self._seals:
            known = await self._one(
                AssistantVersion, "assistant_version_get", assistant_id=assistant_id, version=version
            )
            metadata = (known.metadata if known else {}) | metadata
        return await self._one(
            Assistant,
            "assistant_set_latest",
            visible=visible,
            assistant_id=assistant_id,
            version=version,
            metadata=Jsonb(await self._sealed("metadata", metadata)),
        )

    async def search_page(
        self,
        *,
        metadata: dict[str, Any],
        graph_id: str | None,
        name: str | None,
        limit: int,
        offset: int,
        sort_by: str | None,
        sort_order: str | None,
        visible: Condition | None = None,
    ) -> list[Assistant]:
        conditions, params = _filters(metadata=metadata, graph_id=graph_id, name=name, visible=visible)
        order = sql.SQL("ASC" if sort_by and sort_order == "asc" else "DESC")
        statement = (
            sql.SQL(
                "SELECT assistant_id, graph_id, config, context, metadata, name, created_at, updated_at,\n"
                "    version, description\nFROM assistants"
            )
            + where(conditions)
            + sql.SQL("\nORDER BY {} {}, assistant_id {}\nLIMIT %(limit)s\nOFFSET %(offset)s").format(
                _SORT_COLUMNS[sort_by or "created_at"], order, order
            )
        )
        return await self._composed(Assistant, statement, {**params, "limit": limit, "offset": offset})

    async def count(
        self,
        *,
        metadata: dict[str, Any],
        graph_id: str | None,
        name: str | None,
        visible: Condition | None = None,
    ) -> int:
        conditions, params = _filters(metadata=metadata, graph_id=graph_id, name=name, visible=visible)
        return await self._count(sql.SQL("SELECT count(*)\nFROM assistants") + where(conditions), params)


def _filters(
    *, metadata: dict[str, Any], graph_id: str | None, name: str | None, visible: Condition | None
) -> tuple[list[sql.Composable], dict[str, Any]]:
    conditions: list[sql.Composable] = []
    params: dict[str, Any] = {}
    if metadata:
        conditions.append(sql.SQL("metadata @> %(metadata)s"))
        params["metadata"] = Jsonb(metadata)
    if graph_id is not None:
        conditions.append(sql.SQL("graph_id = %(graph_id)s"))
        params["graph_id"] = graph_id
    if name:
        # strpos instead of ILIKE: the text is a substring, not a pattern.
        conditions.append(sql.SQL("strpos(lower(name), lower(%(name)s)) > 0"))
        params["name"] = name
    if visible is not None:
        conditions.append(satisfied(visible, sql.SQL("metadata"), params))
    return conditions, params
