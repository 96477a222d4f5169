"""What every repository shares: a connection, and running named queries on it into models."""

from __future__ import annotations

from typing import Any, LiteralString, TypeVar

from psycopg import rows, sql
from psycopg.types.json import Json

from ..models.access import Condition
from .conditions import guarded
from .database import Connection
from .queries import query

T = TypeVar("T")


def _same(data: bytes) -> bytes:
    return data


def raw_json(data: bytes) -> Json:
    """JSON that is text already, passed on as it is."""
    return Json(data, dumps=_same)


def _statement(
    name: str, visible: Condition | None, params: dict[str, Any]
) -> tuple[LiteralString | sql.Composed, dict[str, Any]]:
    return (query(name), params) if visible is None else guarded(name, visible, params)


class Repository:
    """Runs statements on one connection; it neither commits nor decides.

    With `visible`, a statement reaches only rows that fulfil the condition.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def _one(self, row: type[T], name: str, /, *, visible: Condition | None = None, **params: Any) -> T | None:
        async with self._connection.cursor(row_factory=rows.class_row(row)) as cursor:
            await cursor.execute(*_statement(name, visible, params))
            return await cursor.fetchone()

    async def _all(self, row: type[T], name: str, /, *, visible: Condition | None = None, **params: Any) -> list[T]:
        async with self._connection.cursor(row_factory=rows.class_row(row)) as cursor:
            await cursor.execute(*_statement(name, visible, params))
            return await cursor.fetchall()

    async def _composed(self, row: type[T], statement: sql.Composed, params: dict[str, Any]) -> list[T]:
        async with self._connection.cursor(row_factory=rows.class_row(row)) as cursor:
            await cursor.execute(statement, params)
            return await cursor.fetchall()

    async def _scalar(self, name: str, /, *, visible: Condition | None = None, **params: Any) -> Any:
        """First column of the first row, or None."""
        cursor = await self._connection.execute(*_statement(name, visible, params))
        row = await cursor.fetchone()
        return row[0] if row else None

    async def _column(self, name: str, /, *, visible: Condition | None = None, **params: Any) -> list[Any]:
        cursor = await self._connection.execute(*_statement(name, visible, params))
        return [row[0] for row in await cursor.fetchall()]

    async def _count(self, statement: sql.Composed, params: dict[str, Any]) -> int:
        cursor = await self._connection.execute(statement, params)
        row = await cursor.fetchone()
        return int(row[0]) if row else 0

    async def _do(self, name: str, /, *, visible: Condition | None = None, **params: Any) -> int:
        """Number of rows changed."""
        cursor = await self._connection.execute(*_statement(name, visible, params))
        return cursor.rowcount


def where(conditions: list[sql.Composable]) -> sql.Composable:
    """`WHERE a AND b`, or nothing."""
    if not conditions:
        return sql.SQL("")
    return sql.SQL("\nWHERE ") + sql.SQL(" AND ").join(conditions)
