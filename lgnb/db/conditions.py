"""Conditions of access as part of the very statement that reads or writes: parameters only, never text."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any, LiteralString, cast

from psycopg import sql
from psycopg.types.json import Jsonb

from ..models.access import Condition, operators_of
from .queries import query

# A named statement marks the place of a condition by a comment: /* AND visible(column) */, or a whole clause that
# holds it. Without a condition it stays a comment; with one it becomes part of the statement.
_SLOT = re.compile(r"/\*([^*]*?)\bvisible\(([\w.]+)\)([^*]*?)\*/")


def guarded(name: str, condition: Condition, params: Mapping[str, Any]) -> tuple[sql.Composed, dict[str, Any]]:
    """The statement called `name` with the condition in its places, and its parameters.

    A statement without a place raises RuntimeError: it would reach rows that the condition hides.
    """
    given = dict(params)
    parts: list[sql.Composable] = []
    for text, column in _pieces(name):
        parts.append(sql.SQL(text))
        if column is not None:
            parts.append(satisfied(condition, sql.SQL(column), given))
    return sql.Composed(parts), given


def satisfied(condition: Condition, column: sql.Composable, params: dict[str, Any]) -> sql.Composable:
    """That a jsonb column fulfils a condition; the values go into `params`."""
    return _all(condition.filter, column, params)


@functools.cache
def _pieces(name: str) -> list[tuple[LiteralString, LiteralString | None]]:
    """Pieces of text, each with the column whose condition follows it."""
    text = query(name)
    pieces: list[tuple[str, str | None]] = []
    position, opening = 0, ""
    for slot in _SLOT.finditer(text):
        pieces.append((opening + text[position : slot.start()] + slot[1], slot[2]))
        position, opening = slot.end(), slot[3]
    if not pieces:
        raise RuntimeError(f"Query {name} has no place for a condition of access.")
    pieces.append((opening + text[position:], None))
    # Pieces of a literal of ours, cut at its own comments.
    return cast("list[tuple[LiteralString, LiteralString | None]]", pieces)


def _all(filter: Mapping[str, Any], column: sql.Composable, params: dict[str, Any]) -> sql.Composable:
    conditions: list[sql.Composable] = []
    for key, wanted in filter.items():
        if key in ("$and", "$or"):
            parts = [_all(part, column, params) for part in wanted]
            joint = sql.SQL(" AND " if key == "$and" else " OR ").join(parts)
            conditions.append(sql.SQL("({})").format(joint))
        else:
            conditions += [_one(key, operator, value, column, params) for operator, value in operators_of(wanted)]
    return sql.SQL("({})").format(sql.SQL(" AND ").join(conditions)) if conditions else sql.SQL("true")


def _one(key: str, operator: str, value: Any, column: sql.Composable, params: dict[str, Any]) -> sql.Composable:
    if operator == "$contains":
        members = value if isinstance(value, list) else [value]
        return sql.SQL("{} @> {}::jsonb").format(column, _parameter(Jsonb({key: members}), params))
    if operator == "$eq":
        # The index knows containment only; equality is told by the second half.
        return sql.SQL("({column} @> {within}::jsonb AND {column} -> {key}::text = {value}::jsonb)").format(
            column=column,
            within=_parameter(Jsonb({key: value}), params),
            key=_parameter(key, params),
            value=_parameter(Jsonb(value), params),
        )
    raise RuntimeError(f"A condition holds the operator {operator!r}.")


def _parameter(value: Any, params: dict[str, Any]) -> sql.Placeholder:
    name = f"visible_{len(params)}"
    params[name] = value
    return sql.Placeholder(name)
