"""What every repository shares: a connection, running named queries on it into models, and the sealing of JSON.

JSON is sealed where it becomes a column and opened where a row becomes a model; nobody above knows of it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, ClassVar, LiteralString, TypeVar, cast

import orjson
from psycopg import rows, sql
from psycopg.types.json import Json

from ..models.access import Condition
from ..models.vault import FIELD_MARK, Model, is_sealed
from .conditions import guarded
from .database import Connection
from .queries import query

T = TypeVar("T")

_SEALED_TEXT = f'{{"{FIELD_MARK}":'


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

    A subclass whose rows hold values of users names the model that they belong to, and the columns.
    """

    model: ClassVar[Model | None] = None
    sealed_columns: ClassVar[tuple[str, ...]] = ()

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def _one(
        self,
        row: type[T],
        name: str,
        /,
        *,
        visible: Condition | None = None,
        opens: Collection[str] | None = None,
        **params: Any,
    ) -> T | None:
        """With `opens`, only these columns are opened; the others are as they are stored."""
        async with self._connection.cursor(row_factory=rows.class_row(row)) as cursor:
            await cursor.execute(*_statement(name, visible, params))
            found = await cursor.fetchone()
        return None if found is None else await self._opened(found, opens)

    async def _all(self, row: type[T], name: str, /, *, visible: Condition | None = None, **params: Any) -> list[T]:
        async with self._connection.cursor(row_factory=rows.class_row(row)) as cursor:
            await cursor.execute(*_statement(name, visible, params))
            found = await cursor.fetchall()
        return [await self._opened(one) for one in found]

    async def _composed(self, row: type[T], statement: sql.Composed, params: dict[str, Any]) -> list[T]:
        async with self._connection.cursor(row_factory=rows.class_row(row)) as cursor:
            await cursor.execute(statement, params)
            found = await cursor.fetchall()
        return [await self._opened(one) for one in found]

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

    @property
    def _seals(self) -> bool:
        """Whether values are sealed here, so that a part of one cannot be changed by a statement alone."""
        return self._connection.vault.fields.seals

    async def _sealed(self, column: str, value: Any) -> Any:
        """The value of a column as it is stored."""
        assert self.model is not None
        return await self._connection.vault.fields.seal(self.model, column, value)

    async def _sealed_text(self, column: str, value: bytes) -> bytes:
        """The same for JSON that is text already."""
        return orjson.dumps(await self._sealed(column, orjson.loads(value))) if self._seals else value

    async def _opened_text(self, column: str, value: str) -> str:
        """Undo `_sealed_text`."""
        if not value.startswith(_SEALED_TEXT):
            return value
        assert self.model is not None
        return orjson.dumps(await self._connection.vault.fields.open(self.model, column, orjson.loads(value))).decode()

    async def _opened(self, row: T, columns: Collection[str] | None = None) -> T:
        """A row with its sealed columns opened: all of them, or those asked for."""
        for column in self.sealed_columns if columns is None else columns:
            value = getattr(row, column, None)
            if is_sealed(value):
                assert self.model is not None
                plain = await self._connection.vault.fields.open(self.model, column, value)
                row = cast(T, replace(cast(Any, row), **{column: plain}))
        return row


def where(conditions: list[sql.Composable]) -> sql.Composable:
    """`WHERE a AND b`, or nothing."""
    if not conditions:
        return sql.SQL("")
    return sql.SQL("\nWHERE ") + sql.SQL(" AND ").join(conditions)
