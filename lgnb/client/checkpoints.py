"""The checkpoints of a thread: list, name, compare and change them, and branch from one.

A checkpoint is named by its number in the history (0 is the newest), or by its id.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from ..errors import InvalidRequest, NotFound
from .differences import Difference
from .render import brief, is_live
from .session import Session, current_session
from .tables import Record, Table, moment, seconds_between
from .thread_state import State, next_of

PAGE = 1000


def state(thread: str | None = None, *, at: int | str | None = None, subgraphs: bool = False) -> State:
    """The state of a thread: values, what comes next, what waits for an answer.

    Args:
        at: the number or id of a checkpoint; None means the latest.
    """
    session = current_session()
    thread_id = session.thread(thread)
    name = session.aliases.name("thread", thread_id)
    if at is not None:
        found = find_checkpoint(session, thread_id, at)
        return State(f"{name} at checkpoint {at}", found)
    latest: Any = session.connection().call(lambda sdk: sdk.threads.get_state(thread_id, subgraphs=subgraphs))
    return State(name, dict(latest))


def history(thread: str | None = None, *, limit: int = 100) -> Table:
    """The checkpoints of a thread, newest first, numbered from 0 for the newest."""
    session = current_session()
    thread_id = session.thread(thread)
    found: Any = session.connection().call(lambda sdk: sdk.threads.get_history(thread_id, limit=limit))
    numbers = {row["checkpoint_id"]: number for number, row in enumerate(found)}

    def came_from(_: int, row: Record) -> str:
        return str(numbers.get(row.get("parent_checkpoint_id"), ""))

    columns = [
        ("#", lambda number, _: str(number)),
        ("after", came_from),
        ("step", lambda _, row: str((row.get("metadata") or {}).get("step", ""))),
        ("made by", lambda _, row: str((row.get("metadata") or {}).get("source") or "")),
        ("next", lambda _, row: next_of(row)),
        ("values", lambda _, row: _values_line(row.get("values"))),
    ]
    if not _has_branches(found):
        del columns[1]
    if is_live():
        columns.append(("created", lambda _, row: moment(row.get("created_at"))))
    name = session.aliases.name("thread", thread_id)
    return Table(found, columns=columns, title=name, empty="No checkpoint yet.", frame=lambda: _flat(found))


def fork(at: int | str, *, thread: str | None = None) -> State:
    """Branch from a checkpoint: it becomes the thread's state again, and the next run continues there.

    Nothing is lost: the other branch stays in the history. Where the checkpoint has a next step, `resume()` takes it
    once more.

    Args:
        at: the number or id of a checkpoint.
    """
    session = current_session()
    thread_id = session.thread(thread)
    found = find_checkpoint(session, thread_id, at)
    _write(session, thread_id, None, as_node="__copy__", checkpoint_id=str(found["checkpoint_id"]))
    session.choose_thread(thread_id)
    return state(thread_id)


def update_state(
    values: Mapping[str, Any] | list[Any] | None,
    *,
    thread: str | None = None,
    as_node: str | None = None,
    at: int | str | None = None,
) -> State:
    """Write to the state of a thread, as if a node had returned these values.

    Args:
        as_node: the node; what comes next follows from it. None means the node that ran last.
        at: a checkpoint to branch from; None means the latest.
    """
    session = current_session()
    thread_id = session.thread(thread)
    checkpoint_id = None if at is None else str(find_checkpoint(session, thread_id, at)["checkpoint_id"])
    given: Any = values if values is None or isinstance(values, list) else dict(values)
    _write(session, thread_id, given, as_node=as_node, checkpoint_id=checkpoint_id)
    return state(thread_id)


def diff(before: int | str, after: int | str = 0, *, thread: str | None = None) -> Difference:
    """What changed between two checkpoints of a thread, or between two threads.

    Args:
        before, after: numbers or ids of checkpoints, or the aliases of two threads; `after` is the latest by default.
    """
    session = current_session()
    (old_name, old), (new_name, new) = (_side(session, one, thread) for one in (before, after))
    return Difference(old_name, new_name, old, new)


def find_checkpoint(session: Session, thread_id: str, at: int | str) -> dict[str, Any]:
    """The state at a checkpoint, by its number in the history or by its id.

    Raises:
        NotFound: the thread has no such checkpoint; the message says which there are.
    """
    text = str(at).strip().lstrip("#")
    if text.isdigit() and len(text) < 8:
        found: Any = session.connection().call(lambda sdk: sdk.threads.get_history(thread_id, limit=int(text) + 1))
        if len(found) <= int(text):
            name = session.aliases.name("thread", thread_id)
            known = f"numbers 0 to {len(found) - 1}" if found else "no checkpoint yet"
            raise NotFound(f"There is no checkpoint {text}: {name} has {known}; %lg history lists them.")
        return dict(found[int(text)])
    try:
        one: Any = session.connection().call(lambda sdk: sdk.threads.get_state(thread_id, checkpoint_id=text))
    except InvalidRequest:
        raise NotFound(f"{text!r} is no checkpoint; take a number of %lg history, or a whole id.") from None
    if one.get("created_at") is None:
        raise NotFound(f"There is no checkpoint {text} on this thread; %lg history lists them.")
    return dict(one)


def all_states(session: Session, thread_id: str, *, metadata: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Every checkpoint of a thread, newest first, fetched in pages."""

    def page(before: Any) -> Any:
        return session.connection().call(
            lambda sdk: sdk.threads.get_history(thread_id, limit=PAGE, before=before, metadata=metadata)
        )

    newest = page(None)
    states: list[dict[str, Any]] = [dict(one) for one in newest]
    while len(newest) == PAGE:
        newest = page(newest[-1]["checkpoint"])
        states.extend(dict(one) for one in newest)
    return states


def _side(session: Session, one: int | str, thread: str | None) -> tuple[str, dict[str, Any]]:
    if str(one).startswith("thread#"):
        thread_id = session.full_thread_id(str(one))
        return session.aliases.name("thread", thread_id), find_checkpoint(session, thread_id, 0)
    thread_id = session.thread(thread)
    return f"checkpoint {one}", find_checkpoint(session, thread_id, one)


def _write(session: Session, thread_id: str, values: Any, *, as_node: str | None, checkpoint_id: str | None) -> None:
    session.connection().call(
        lambda sdk: sdk.threads.update_state(thread_id, values, as_node=as_node, checkpoint_id=checkpoint_id)
    )


def _has_branches(states: Any) -> bool:
    """Whether a checkpoint came from another one than the next older."""
    return any(
        newer.get("parent_checkpoint_id") != older["checkpoint_id"] for newer, older in itertools.pairwise(states)
    )


def _flat(states: Any) -> list[dict[str, Any]]:
    """One row per checkpoint. `seconds` is how long the step that made it took."""
    created = {one["checkpoint_id"]: one.get("created_at") for one in states}
    rows: list[dict[str, Any]] = []
    for number, one in enumerate(states):
        metadata = one.get("metadata") or {}
        values = one.get("values") if isinstance(one.get("values"), dict) else {"values": one.get("values")}
        parent = one.get("parent_checkpoint_id")
        rows.append(
            {
                "number": number,
                "step": metadata.get("step"),
                "made_by": metadata.get("source"),
                "next": next_of(one),
                "created_at": one.get("created_at"),
                "seconds": seconds_between(created.get(parent), one.get("created_at")),
                "run_id": metadata.get("run_id"),
                "checkpoint_id": one["checkpoint_id"],
                "parent_checkpoint_id": parent,
                **{f"values.{key}": value for key, value in (values or {}).items()},
            }
        )
    return rows


def _values_line(values: Any) -> str:
    if not isinstance(values, dict):
        return brief(values)
    return ", ".join(f"{key}: {_size_or_value(value)}" for key, value in values.items())


def _size_or_value(value: Any) -> str:
    if isinstance(value, list) and value and all(isinstance(one, dict) and "content" in one for one in value):
        return str(len(value))
    return brief(value, 40)
