"""`lgnb.threads`: search, read, copy, export, delete threads; their states and histories; what waits for an answer."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import uuid_utils
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import NotFoundError

from .checkpoints import all_states, diff, fork, history, state, update_state
from .render import is_live, question, suggestions
from .run_view import Interrupt
from .session import Session, current_session
from .tables import Record, Table, moment
from .twins import awaitable

__all__ = [
    "acopy",
    "acreate",
    "adelete",
    "adiff",
    "aexport",
    "afork",
    "aget",
    "ahistory",
    "ainterrupts",
    "asearch",
    "astate",
    "aupdate",
    "aupdate_state",
    "copy",
    "create",
    "delete",
    "diff",
    "export",
    "fork",
    "get",
    "history",
    "interrupts",
    "search",
    "state",
    "update",
    "update_state",
]


def search(*, limit: int = 20, status: str | None = None, metadata: Mapping[str, Any] | None = None) -> Table:
    """The newest threads of the server.

    Args:
        status: only threads that are idle, busy, interrupted or error.
        metadata: only threads whose metadata has these values.
    """
    session = current_session()
    rows = _found(session, limit=limit, status=status, metadata=metadata)

    def name(_: int, row: Record) -> str:
        mark = "*" if row["thread_id"] == session.thread_id else " "
        return f"{mark} {session.aliases.name('thread', row['thread_id'])}"

    columns = [
        ("thread", name),
        ("status", lambda _, row: str(row.get("status") or "")),
        ("graph", lambda _, row: str((row.get("metadata") or {}).get("graph_id") or "")),
    ]
    if is_live():
        columns.append(("updated", lambda _, row: moment(row.get("updated_at"))))
        columns.append(("id", lambda _, row: str(row["thread_id"])))
    return Table(
        rows, columns=columns, empty="There is no such thread yet.", frame=lambda: [_flat(row) for row in rows]
    )


def get(thread: str | None = None) -> dict[str, Any]:
    """The row of a thread; of the current one when none is named."""
    session = current_session()
    thread_id = session.thread(thread)
    row: Any = session.connection().call(lambda sdk: sdk.threads.get(thread_id))
    return dict(row)


def create(*, metadata: Mapping[str, Any] | None = None) -> str:
    """Create an empty thread, and make it the current one; its id."""
    session = current_session()
    thread_id = str(uuid_utils.uuid7())
    given = None if metadata is None else dict(metadata)
    session.connection().call(lambda sdk: sdk.threads.create(thread_id=thread_id, metadata=given))
    session.choose_thread(thread_id)
    return thread_id


def update(thread: str | None = None, *, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Merge values into a thread's metadata, such as a title; see `update_state` for its state."""
    session = current_session()
    thread_id = session.thread(thread)
    row: Any = session.connection().call(lambda sdk: sdk.threads.update(thread_id, metadata=dict(metadata)))
    return dict(row)


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


def export(thread: str | None = None, path: str | os.PathLike[str] | None = None) -> Path:
    """Write everything the server knows of a thread to a JSON file: its row, its runs, every checkpoint.

    Args:
        path: the file, by default `thread-<end of the id>.json` in the working directory.

    Raises:
        FileExistsError: there is such a file already.
    """
    session = current_session()
    thread_id = session.thread(thread)
    file = Path(path) if path is not None else Path(f"thread-{thread_id[-8:]}.json")
    everything = {
        "thread": get(thread_id),
        "runs": session.connection().call(lambda sdk: sdk.runs.list(thread_id, limit=1000)),
        "history": all_states(session, thread_id),
    }
    with file.open("x", encoding="utf-8") as writing:
        json.dump(everything, writing, indent=1, ensure_ascii=False)
    return file


def interrupts(*, limit: int = 100) -> Table:
    """Everything that waits for a person, across all threads, and the line that answers it."""
    session = current_session()
    threads = _found(session, limit=limit, status="interrupted", metadata=None)
    stopped = _stopped(session, [str(thread["thread_id"]) for thread in threads if not _asked_by(thread)])
    rows = [one for thread in threads if thread["thread_id"] not in stopped for one in _questions(thread)]
    columns = [
        ("thread", lambda _, row: session.aliases.name("thread", row["thread_id"])),
        ("graph", lambda _, row: str(row["graph_id"] or "")),
        ("waits with", lambda _, row: _asked(row)),
        ("answer with", lambda _, row: _answer_line(session, row)),
    ]
    if is_live():
        columns.insert(2, ("since", lambda _, row: moment(row["since"])))
    return Table(rows, columns=columns, empty="Nothing waits for an answer.")


def _found(
    session: Session, *, limit: int, status: str | None, metadata: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    given: Any = status
    found = session.connection().call(
        lambda sdk: sdk.threads.search(
            limit=limit,
            status=given,
            metadata=None if metadata is None else dict(metadata),
            select=["thread_id", "status", "metadata", "created_at", "updated_at", "interrupts"],
        )
    )
    return [dict(row) for row in found]


def _flat(row: Record) -> dict[str, Any]:
    metadata = dict(row.get("metadata") or {})
    return {
        "thread_id": row["thread_id"],
        "status": row.get("status"),
        "graph_id": metadata.pop("graph_id", None),
        "created_at": row.get("created_at"),
        "updated_at": row.get("updated_at"),
        "questions": len(_asked_by(row)),
        **{f"metadata.{key}": value for key, value in metadata.items()},
    }


def _stopped(session: Session, thread_ids: Sequence[str]) -> set[str]:
    """Those of these threads whose newest run was cancelled: they are called interrupted too, but wait for nobody."""

    async def newest(sdk: LangGraphClient, thread_id: str) -> list[Any]:
        try:
            return list(await sdk.runs.list(thread_id, limit=1, select=["status"]))
        except NotFoundError:  # deleted meanwhile
            return [{"status": "interrupted"}]

    runs = session.connection().call(lambda sdk: asyncio.gather(*(newest(sdk, thread_id) for thread_id in thread_ids)))
    return {
        thread_id
        for thread_id, found in zip(thread_ids, runs, strict=True)
        if found and found[0]["status"] == "interrupted"
    }


def _asked_by(thread: Record) -> list[dict[str, Any]]:
    return [one for several in (thread.get("interrupts") or {}).values() for one in several]


def _questions(thread: Record) -> list[dict[str, Any]]:
    """One row per question of a thread; one without a question where it paused at a breakpoint."""
    asked = _asked_by(thread)
    common = {
        "thread_id": thread["thread_id"],
        "graph_id": (thread.get("metadata") or {}).get("graph_id"),
        "since": thread.get("updated_at"),
        "of": len(asked),
    }
    if not asked:
        return [{**common, "number": 0, "interrupt_id": None, "value": None}]
    return [
        {**common, "number": number, "interrupt_id": str(one.get("id")), "value": one.get("value")}
        for number, one in enumerate(asked, 1)
    ]


def _asked(row: Record) -> str:
    if not row["number"]:
        return "a pause, without a question"
    text = question(Interrupt(str(row["interrupt_id"]), row["value"])).removeprefix("The graph asks")
    text = " ".join(text.removeprefix(" for approval").removeprefix(":").split())
    return text if len(text) <= 120 else f"{text[:119]}…"


def _answer_line(session: Session, row: Record) -> str:
    line = f"%lg resume -t {session.aliases.name('thread', row['thread_id'])}"
    if not row["number"]:
        return line
    # The id, not the number: which is first depends on the nodes, and those the thread's row does not tell.
    which = f" --id {row['interrupt_id']}" if row["of"] > 1 else ""
    return f"{line}{which} {suggestions(row['value'])[0]}"


asearch = awaitable(search)
aget = awaitable(get)
acreate = awaitable(create)
aupdate = awaitable(update)
acopy = awaitable(copy)
adelete = awaitable(delete)
aexport = awaitable(export)
ainterrupts = awaitable(interrupts)
astate = awaitable(state)
ahistory = awaitable(history)
afork = awaitable(fork)
aupdate_state = awaitable(update_state)
adiff = awaitable(diff)
