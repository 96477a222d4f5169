"""`lgnb.threads`: list, read, copy and delete threads, each in one call from a cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .render import brief, is_live
from .runs import current_thread, interrupts_of
from .session import current_session
from .tables import Record, Table

# Inside this module `list` is the public function of that name.
_list = list


def list(*, limit: int = 20, status: str | None = None, metadata: dict[str, Any] | None = None) -> Table:
    """The newest threads of the server.

    Args:
        status: only threads that are idle, busy, interrupted or error.
    """
    session = current_session()
    found = session.connection().call(
        lambda sdk: sdk.threads.search(
            limit=limit,
            status=status,  # pyright: ignore[reportArgumentType]
            metadata=metadata,
            select=["thread_id", "status", "metadata", "created_at", "updated_at", "interrupts"],
        )
    )

    def name(_: int, row: Record) -> str:
        mark = "*" if row["thread_id"] == session.thread_id else " "
        return f"{mark} {session.aliases.name('thread', row['thread_id'])}"

    columns = [
        ("thread", name),
        ("status", lambda _, row: str(row.get("status") or "")),
        ("graph", lambda _, row: str((row.get("metadata") or {}).get("graph_id") or "")),
    ]
    if is_live():
        columns.append(("updated", lambda _, row: str(row.get("updated_at") or "")[:19].replace("T", " ")))
        columns.append(("id", lambda _, row: str(row["thread_id"])))
    rows: Any = found
    return Table(rows, columns=columns, empty="There are no threads yet.")


def get(thread: str | None = None) -> dict[str, Any]:
    """The row of a thread; of the current one when none is named."""
    thread_id = current_thread(current_session(), thread)
    row: Any = current_session().connection().call(lambda sdk: sdk.threads.get(thread_id))
    return dict(row)


def state(thread: str | None = None, *, subgraphs: bool = False) -> State:
    """The latest state of a thread: values, what comes next, what waits for an answer."""
    session = current_session()
    thread_id = current_thread(session, thread)
    found: Any = session.connection().call(lambda sdk: sdk.threads.get_state(thread_id, subgraphs=subgraphs))
    return State(session.aliases.name("thread", thread_id), dict(found))


def history(thread: str | None = None, *, limit: int = 100) -> Table:
    """The checkpoints of a thread, newest first, numbered from 0 for the newest."""
    session = current_session()
    thread_id = current_thread(session, thread)
    found: Any = session.connection().call(lambda sdk: sdk.threads.get_history(thread_id, limit=limit))
    columns = [
        ("#", lambda number, _: str(number)),
        ("step", lambda _, row: str((row.get("metadata") or {}).get("step", ""))),
        ("made by", lambda _, row: str((row.get("metadata") or {}).get("source") or "")),
        ("next", lambda _, row: ", ".join(_node(one) for one in row.get("next") or []) or "end"),
        ("values", lambda _, row: _values_line(row.get("values"))),
    ]
    if is_live():
        columns.append(("created", lambda _, row: str(row.get("created_at") or "")[:19].replace("T", " ")))
    name = session.aliases.name("thread", thread_id)
    return Table(found, columns=columns, title=name, empty="No checkpoint yet.")


def copy(thread: str | None = None) -> str:
    """Copy a thread with its whole history and continue on the copy; the id of the copy."""
    session = current_session()
    thread_id = current_thread(session, thread)
    row: Any = session.connection().call(lambda sdk: sdk.threads.copy(thread_id))
    copied = str((row or {})["thread_id"])
    session.choose_thread(copied)
    return copied


def delete(thread: str | None = None) -> None:
    """Delete a thread with its runs and checkpoints."""
    session = current_session()
    thread_id = current_thread(session, thread)
    session.connection().call(lambda sdk: sdk.threads.delete(thread_id))
    session.forget_thread(thread_id)


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
            {"key": "next", "value": ", ".join(self.next) or "end"},
            *({"key": "waits for", "value": brief(one["value"], 200)} for one in self.interrupts),
            *({"key": key, "value": line} for key, value in values.items() for line in _value_lines(value)),
        ]
        columns = [("", lambda _, row: row["key"]), ("state", lambda _, row: row["value"])]
        return Table(rows, columns=columns, title=self.name)

    def __repr__(self) -> str:
        return repr(self._table())

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return self._table().bundle()


def _node(name: str) -> str:
    return "start" if name == "__start__" else name


def _values_line(values: Any) -> str:
    if not isinstance(values, dict):
        return brief(values)
    return ", ".join(f"{key}: {_size_or_value(value)}" for key, value in values.items())


def _size_or_value(value: Any) -> str:
    if isinstance(value, _list) and value and all(isinstance(one, dict) and "content" in one for one in value):
        return str(len(value))
    return brief(value, 40)


def _value_lines(value: Any) -> _list[str]:
    """A value for reading: messages one by one as `who: text`, anything else in one line."""
    if isinstance(value, _list) and value and all(isinstance(one, dict) and "content" in one for one in value):
        return [message_line(one) for one in value]
    return [brief(value, 200)]


def message_line(message: Mapping[str, Any]) -> str:
    """One message in one line."""
    from .run_view import text_of

    text = " ".join(text_of(message.get("content")).split())
    calls = ", ".join(f"{call.get('name')}({brief(call.get('args'), 60)})" for call in message.get("tool_calls") or [])
    said = " ".join(part for part in (text, f"calls {calls}" if calls else "") if part)
    return f"{message.get('type')}: {said if len(said) <= 200 else said[:199] + '…'}"
