"""Two courses of one thread side by side, state by state, as text, Markdown and HTML."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from ..client.render import brief
from ..client.tables import Table
from .past import State, next_of, step_of, waits_for

_WIDEST = 60
_DIFFERENT = "background: rgba(255, 196, 0, 0.25)"
_CELL = "text-align: left; vertical-align: top"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing of one state: what ran before it, what it waits for, or the value of a key."""

    step: int
    key: str
    original: Any
    replayed: Any
    same: bool


def compared(original: Sequence[State], replayed: Sequence[State]) -> list[Line]:
    """What ran, and the values that changed or differ; both begin with the same state."""
    lines: list[Line] = []
    first = step_of(original[0]) if original else 0
    for number in range(1, max(len(original), len(replayed))):
        pairs = [_pair(one, number) for one in (original, replayed)]
        lines.extend(_lines(first + number, *pairs))
    return lines


def lines_table(lines: Sequence[Line], *, title: str) -> Table:
    """The lines as a table of records."""
    records = [
        {"step": one.step, "key": one.key, "original": one.original, "replayed": one.replayed, "same": one.same}
        for one in lines
    ]
    columns = [
        ("step", lambda number, row: "" if number and records[number - 1]["step"] == row["step"] else str(row["step"])),
        ("", lambda _, row: str(row["key"])),
        ("original", lambda _, row: shown(row["original"])),
        ("replayed", lambda _, row: shown(row["replayed"])),
        ("differs", lambda _, row: "" if row["same"] else "≠"),
    ]
    return Table(records, columns=columns, title=title, empty="Neither of the two went any further.")


def lines_html(table: Table, *, title: str, below: Sequence[str]) -> str:
    """The same with the differences marked; sense without any style."""
    names = ("step", "", "original", "replayed", "differs")
    head = "".join(f'<th style="{_CELL}">{html.escape(name)}</th>' for name in names)
    rows: list[str] = []
    for cells, record in zip(table.cells, table.records, strict=True):
        style = "" if record["same"] else f' style="{_DIFFERENT}"'
        shown_cells = "".join(f'<td style="{_CELL}">{html.escape(cell)}</td>' for cell in cells)
        rows.append(f"<tr{style}>{shown_cells}</tr>")
    notes = "".join(f"<p>{html.escape(one)}</p>" for one in below)
    return (
        f"<p><strong>{html.escape(title)}</strong></p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>{notes}"
    )


def shown(value: Any) -> str:
    """A value in one cell."""
    if value is MISSING:
        return "–"
    if isinstance(value, tuple):
        return ", ".join(map(str, cast("tuple[Any, ...]", value))) or "end"
    if _is_messages(value):
        last = value[-1]
        return brief(f"{len(value)}: {last.get('type')}: {_text(last.get('content'))}", _WIDEST)
    return brief(value, _WIDEST)


class _Missing:
    def __repr__(self) -> str:
        return "–"


MISSING: Any = _Missing()
"""Stands where one of the two has no such state or key."""


def _pair(states: Sequence[State], number: int) -> tuple[State | None, State | None]:
    """A state and the one before it."""
    before = states[number - 1] if number - 1 < len(states) else None
    return before, states[number] if number < len(states) else None


def _lines(
    step: int, original: tuple[State | None, State | None], replayed: tuple[State | None, State | None]
) -> Iterator[Line]:
    ran = [next_of(before) if before and state else MISSING for before, state in (original, replayed)]
    yield Line(step=step, key="ran", original=ran[0], replayed=ran[1], same=ran[0] == ran[1])
    one, other = _values(original[1]), _values(replayed[1])
    for key in dict.fromkeys((*one, *other)):
        left, right = one.get(key, MISSING), other.get(key, MISSING)
        same = _without_ids(left) == _without_ids(right)
        if not same or _changed(original, key) or _changed(replayed, key):
            yield Line(step=step, key=key, original=left, replayed=right, same=same)
    waits = [waits_for(state) if state else [] for state in (original[1], replayed[1])]
    if any(waits):
        left, right = (tuple(one) if one else MISSING for one in waits)
        yield Line(step=step, key="waits for", original=left, replayed=right, same=left == right)


def _changed(pair: tuple[State | None, State | None], key: str) -> bool:
    before, state = (_values(one) for one in pair)
    return state.get(key, MISSING) != before.get(key, MISSING)


def _values(state: State | None) -> dict[str, Any]:
    values = (state or {}).get("values")
    if values is None:
        return {}
    return cast("dict[str, Any]", values) if isinstance(values, dict) else {"values": values}


def _without_ids(value: Any) -> Any:
    """Without the ids of messages, which are new in every run."""
    if isinstance(value, list):
        return [_without_ids(one) for one in cast("list[Any]", value)]
    if isinstance(value, Mapping):
        fields = cast("dict[str, Any]", value)
        is_message = "type" in fields and "content" in fields
        return {key: _without_ids(one) for key, one in fields.items() if not (is_message and key == "id")}
    return value


def _is_messages(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(one, dict) and "type" in one and "content" in one for one in cast("list[Any]", value))
    )


def _text(content: Any) -> str:
    if isinstance(content, list):
        parts = cast("list[Any]", content)
        return " ".join(str(one.get("text", "")) if isinstance(one, dict) else str(one) for one in parts).strip()
    return str(content)
