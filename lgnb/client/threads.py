"""`lgnb.threads`: list, read, copy and delete threads, each in one call from a cell."""

from __future__ import annotations

from typing import Any

from .render import brief, is_live
from .session import current_session
from .tables import Record, Table
from .thread_state import State

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
    session = current_session()
    thread_id = session.thread(thread)
    row: Any = session.connection().call(lambda sdk: sdk.threads.get(thread_id))
    return dict(row)


def state(thread: str | None = None, *, subgraphs: bool = False) -> State:
    """The latest state of a thread: values, what comes next, what waits for an answer."""
    session = current_session()
    thread_id = session.thread(thread)
    found: Any = session.connection().call(lambda sdk: sdk.threads.get_state(thread_id, subgraphs=subgraphs))
    return State(session.aliases.name("thread", thread_id), dict(found))


def history(thread: str | None = None, *, limit: int = 100) -> Table:
    """The checkpoints of a thread, newest first, numbered from 0 for the newest."""
    session = current_session()
    thread_id = session.thread(thread)
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
    thread_id = session.thread(thread)
    row: Any = session.connection().call(lambda sdk: sdk.threads.copy(thread_id))
    copied = str((row or {})["thread_id"])
    session.choose_thread(copied)
    return copied


def delete(thread: str | None = None) -> None:
    """Delete a thread with its runs and checkpoints."""
    session = current_session()
    thread_id = session.thread(thread)
    session.connection().call(lambda sdk: sdk.threads.delete(thread_id))
    session.forget_thread(thread_id)


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
