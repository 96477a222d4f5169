"""The store_items table: reading, filtering, writing and sweeping items."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from psycopg import sql
from psycopg.types.json import Jsonb

from ..errors import InvalidState
from ..models.store import ItemQuery, Namespace, NamespaceQuery, PutItem
from .conditions import satisfied
from .queries import query
from .repository import Repository, raw_json, where

_LIVE = sql.SQL("(i.expires_at IS NULL OR i.expires_at > now())")
_ITEMS = sql.SQL("SELECT i.namespace, i.key, i.value, i.created_at, i.updated_at, i.ttl_minutes\nFROM store_items i")
_NEWEST_PAGE = sql.SQL("\nORDER BY i.updated_at DESC, i.namespace, i.key\nLIMIT %(limit)s\nOFFSET %(offset)s")
_COMPARISONS: dict[str, sql.SQL] = {
    "$gt": sql.SQL(">"),
    "$gte": sql.SQL(">="),
    "$lt": sql.SQL("<"),
    "$lte": sql.SQL("<="),
}

Embedded = Literal["any", "no"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRow:
    """An item with its time to live; `score` and `candidates` only from a search by similarity."""

    namespace: list[str]
    key: str
    value: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    ttl_minutes: float | None
    score: float | None = None
    candidates: int = 0


class StoreRepository(Repository):
    model = "store"
    sealed_columns = ("value",)

    async def get(self, namespace: Namespace, key: str) -> ItemRow | None:
        return await self._one(ItemRow, "store_get", namespace=list(namespace), key=key)

    async def put(self, item: PutItem, *, value: bytes) -> None:
        """`value` is the item's value as JSON text."""
        await self._do(
            "store_put",
            namespace=list(item.namespace),
            key=item.key,
            value=raw_json(await self._sealed_text("value", value)),
            ttl_minutes=item.ttl_minutes,
        )

    async def delete(self, namespace: Namespace, key: str) -> None:
        await self._do("store_delete", namespace=list(namespace), key=key)

    async def refresh(self, items: Iterable[ItemRow]) -> None:
        """Give items their whole time to live again; one by one, so that no two readers wait for each other."""
        keys = [{"namespace": item.namespace, "key": item.key} for item in items if item.ttl_minutes is not None]
        for key in keys:
            await self._connection.execute(query("store_refresh"), key)

    async def search(self, what: ItemQuery, *, embedded: Embedded = "any") -> list[ItemRow]:
        """Items that match, last updated first; with `embedded` "no" only those that have no vectors."""
        conditions, params = item_conditions(what)
        if embedded == "no":
            conditions.append(
                sql.SQL("NOT EXISTS (SELECT 1 FROM store_vectors v WHERE v.namespace = i.namespace AND v.key = i.key)")
            )
        statement = _ITEMS + where(conditions) + _NEWEST_PAGE
        return await self._composed(ItemRow, statement, {**params, "limit": what.limit, "offset": what.offset})

    async def namespaces(self, what: NamespaceQuery) -> list[list[str]]:
        conditions: list[sql.Composable] = [_LIVE]
        params: dict[str, Any] = {"limit": what.limit, "offset": what.offset, "depth": what.max_depth}
        for number, (kind, path) in enumerate(what.conditions):
            conditions += _path_conditions(kind, path, f"path{number}", params)
        shown = sql.SQL("i.namespace" if what.max_depth is None else "i.namespace[1:%(depth)s::integer]")
        statement = (
            sql.SQL("SELECT DISTINCT {} AS shown\nFROM store_items i").format(shown)
            + where(conditions)
            + sql.SQL("\nORDER BY shown\nLIMIT %(limit)s\nOFFSET %(offset)s")
        )
        cursor = await self._connection.execute(statement, params)
        return [row[0] for row in await cursor.fetchall()]

    async def sweep(self, *, limit: int) -> int:
        return await self._do("store_sweep", limit=limit)


def item_conditions(what: ItemQuery) -> tuple[list[sql.Composable], dict[str, Any]]:
    """What `store_items i` must fulfil.

    Raises:
        InvalidState: the filter names an operator that does not exist.
    """
    conditions: list[sql.Composable] = [_LIVE]
    params: dict[str, Any] = {}
    if what.namespace_prefix:
        conditions.append(sql.SQL("i.namespace >= %(prefix)s::text[] AND i.namespace < %(beyond)s::text[]"))
        params["prefix"], params["beyond"] = prefix_range(what.namespace_prefix)
    for number, (key, wanted) in enumerate(what.filter.items()):
        params[f"key{number}"] = key
        for position, (operator, value) in enumerate(_operators(wanted)):
            name = f"value{number}_{position}"
            params[name] = Jsonb(value)
            conditions.append(_comparison(operator, key=f"key{number}", value=name))
            if operator == "$eq":
                # The index knows containment only; equality follows from the condition before.
                conditions.append(sql.SQL("i.value @> {}").format(sql.Placeholder(f"{name}_within")))
                params[f"{name}_within"] = Jsonb({key: value})
    if what.visible is not None:
        conditions.append(satisfied(what.visible, sql.SQL("i.value"), params))
    return conditions, params


def prefix_range(prefix: Sequence[str]) -> tuple[list[str], list[str]]:
    """The first namespace under a prefix, and the first one after all of them.

    Labels compare by their bytes and hold no NUL, so nothing lies between a label and the same with \\x01 behind it.
    """
    return list(prefix), [*prefix[:-1], prefix[-1] + "\x01"]


def _operators(wanted: Any) -> list[tuple[str, Any]]:
    if isinstance(wanted, dict) and any(str(name).startswith("$") for name in wanted):
        return list(wanted.items())
    return [("$eq", wanted)]


def _comparison(operator: str, *, key: str, value: str) -> sql.Composable:
    found = sql.SQL("i.value -> {}::text").format(sql.Placeholder(key))
    wanted = sql.SQL("{}::jsonb").format(sql.Placeholder(value))
    if operator == "$eq":
        return sql.SQL("{} = {}").format(found, wanted)
    if operator == "$ne":
        return sql.SQL("{} IS DISTINCT FROM {}").format(found, wanted)
    if operator not in _COMPARISONS:
        allowed = ", ".join(("$eq", "$ne", *_COMPARISONS))
        raise InvalidState(f"The filter has an operator {operator[:64]!r}, but only {allowed} exist.")
    return sql.SQL("(jsonb_typeof({found}) = jsonb_typeof({wanted}) AND {found} {than} {wanted})").format(
        found=found, wanted=wanted, than=_COMPARISONS[operator]
    )


def _path_conditions(kind: str, path: Namespace, name: str, params: dict[str, Any]) -> list[sql.Composable]:
    conditions: list[sql.Composable] = [sql.SQL("cardinality(i.namespace) >= {}").format(sql.Literal(len(path)))]
    for position, label in enumerate(path):
        if label == "*":
            continue
        params[f"{name}_{position}"] = label
        place = sql.Literal(position + 1)
        if kind == "suffix":
            place = sql.SQL("cardinality(i.namespace) - {}").format(sql.Literal(len(path) - position - 1))
        conditions.append(sql.SQL("i.namespace[{}] = {}").format(place, sql.Placeholder(f"{name}_{position}")))
    return conditions
