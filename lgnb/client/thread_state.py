"""The latest state of a thread: the values, what comes next, what waits, and which answer goes to which question."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import InvalidRequest
from .render import brief
from .run_view import text_of
from .tables import Table


class State:
    """A thread's state: `.values`, `.next`, `.interrupts`, and everything the server sent in `.raw`."""

    def __init__(self, name: str, raw: dict[str, Any]) -> None:
        self.name = name
        self.raw = raw

    @property
    def values(self) -> Any:
        return self.raw.get("values") or {}

    @property
    def next(self) -> tuple[str, ...]:
        return tuple(self.raw.get("next") or ())

    @property
    def interrupts(self) -> Any:
        return interrupts_of(self.raw)

    def _table(self) -> Table:
        values = self.values if isinstance(self.values, dict) else {"values": self.values}
        rows = [
            {"key": "next", "value": next_of(self.raw)},
            *({"key": "waits for", "value": brief(one["value"], 200)} for one in self.interrupts),
            *({"key": key, "value": line} for key, value in values.items() for line in _value_lines(value)),
        ]
        columns = [("", lambda _, row: row["key"]), ("state", lambda _, row: row["value"])]
        return Table(rows, columns=columns, title=self.name)

    def __repr__(self) -> str:
        return repr(self._table())

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return self._table().bundle()


def next_of(row: Mapping[str, Any]) -> str:
    """What comes next at a checkpoint, for reading; a node that runs several times is counted."""
    names = ["start" if name == "__start__" else str(name) for name in row.get("next") or []]
    counted = [f"{name} ×{names.count(name)}" if names.count(name) > 1 else name for name in dict.fromkeys(names)]
    return ", ".join(counted) or "end"


def interrupts_of(state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The interrupts a thread state waits with: `id`, `value`, `node`, by node."""
    found: dict[str, dict[str, Any]] = {}
    for task in state.get("tasks") or []:
        for raw in task.get("interrupts") or []:
            found[str(raw["id"])] = {"id": str(raw["id"]), "value": raw.get("value"), "node": str(task.get("name", ""))}
    for raw in state.get("interrupts") or []:
        found.setdefault(str(raw["id"]), {"id": str(raw["id"]), "value": raw.get("value"), "node": ""})
    return sorted(found.values(), key=lambda one: one["node"])


def _value_lines(value: Any) -> list[str]:
    """A value for reading: messages one by one as `who: text`, anything else in one line."""
    if isinstance(value, list) and value and all(isinstance(one, dict) and "content" in one for one in value):
        return [message_line(one) for one in value]
    return [brief(value, 200)]


def message_line(message: Mapping[str, Any]) -> str:
    """One message in one line."""
    text = " ".join(text_of(message.get("content")).split())
    calls = ", ".join(f"{call.get('name')}({brief(call.get('args'), 60)})" for call in message.get("tool_calls") or [])
    said = " ".join(part for part in (text, f"calls {calls}" if calls else "") if part)
    return f"{message.get('type')}: {said if len(said) <= 200 else said[:199] + '…'}"


def answers_by_id(value: Any, interrupt_id: str | None, waiting: list[dict[str, Any]]) -> Any:
    """The map from interrupt id to answer, so that an answer reaches its own interrupt and no other."""
    ids = [str(one["id"]) for one in waiting]
    names = {**{str(number): one for number, one in enumerate(ids, 1)}, **{one: one for one in ids}}
    if interrupt_id is not None:
        key = interrupt_id.lstrip("#")
        if key not in names:
            raise InvalidRequest(
                f"No interrupt {interrupt_id} waits; there are {', '.join(sorted(names)[: len(ids)])}."
            )
        return {names[key]: value}
    if isinstance(value, dict) and value and all(str(key) in names for key in value):
        return {names[str(key)]: one for key, one in value.items()}
    if len(ids) == 1:
        return {ids[0]: value}
    raise InvalidRequest(
        f"{len(ids)} interrupts wait; name one with --id 1 … --id {len(ids)}, "
        'or answer all with an object such as {"1": …, "2": …}.'
    )
