"""`lgnb.webhooks`: what the webhook of a run was told, every try, and telling it once more."""

from __future__ import annotations

from typing import Any

from . import past_runs
from .render import is_live
from .session import Session, current_session
from .tables import Record, Table, moment
from .twins import awaitable


def list(run: str | None = None, *, thread: str | None = None) -> Table:
    """The deliveries of a run, or of all runs of a thread, oldest first.

    Args:
        run: an id or alias; None for the thread.
        thread: an id or alias; None for the current one.
    """
    session = current_session()
    if run is not None:
        found = past_runs.get(run)
        named = [(str(found["thread_id"]), str(found["run_id"]))]
    else:
        thread_id = session.thread(thread)
        asked = [row for row in past_runs.list(thread_id) if (row.get("kwargs") or {}).get("webhook")]
        named = [(thread_id, str(row["run_id"])) for row in reversed(asked)]
    rows = [one for thread_id, run_id in named for one in _of_run(session, thread_id, run_id)]
    return _table(session, rows)


def attempts(run: str) -> Table:
    """Every try of the deliveries of a run: when, how long, and what was answered."""
    tries = [
        {"delivery_id": one["delivery_id"], "url": one["url"], "try": number, **attempt}
        for one in list(run)
        for number, attempt in enumerate(one["attempts"], 1)
    ]
    columns = [
        ("try", lambda _, row: str(row["try"])),
        ("url", lambda _, row: str(row["url"])),
        ("answer", lambda _, row: _answer(row)),
    ]
    if is_live():
        columns.append(("took", lambda _, row: f"{row['seconds']:.2f} s"))
        columns.append(("at", lambda _, row: moment(row["started_at"])))
    return Table(tries, columns=columns, empty="Nothing was tried yet.")


def redeliver(run: str) -> Table:
    """Tell the webhook of a run once more."""
    session = current_session()
    found = past_runs.get(run)
    path = f"/threads/{found['thread_id']}/runs/{found['run_id']}/webhooks/redeliver"
    rows: Any = session.connection().call(lambda sdk: sdk.http.post(path, json=None))
    return _table(session, [dict(row) for row in rows])


def _of_run(session: Session, thread_id: str, run_id: str) -> Any:
    rows: Any = session.connection().call(lambda sdk: sdk.http.get(f"/threads/{thread_id}/runs/{run_id}/webhooks"))
    return [dict(row) for row in rows]


def _table(session: Session, rows: Any) -> Table:
    columns = [
        ("run", lambda _, row: session.aliases.name("run", row["run_id"])),
        ("url", lambda _, row: str(row["url"])),
        ("state", lambda _, row: str(row["status"])),
        ("tries", lambda _, row: str(len(row["attempts"]))),
        ("last answer", lambda _, row: _answer(row["attempts"][-1]) if row["attempts"] else ""),
    ]
    if is_live():
        columns.append(("next try", lambda _, row: moment(row.get("next_attempt_at"))))
    empty = "No webhook was told anything; give a run one with --webhook URL."
    return Table(rows, columns=columns, empty=empty, frame=lambda: [_flat(row) for row in rows])


def _answer(attempt: Record) -> str:
    return str(attempt.get("response_status") or attempt.get("error") or "no answer")


def _flat(row: Record) -> dict[str, Any]:
    last = row["attempts"][-1] if row["attempts"] else {}
    kept = ("run_id", "thread_id", "delivery_id", "url", "status", "created_at", "next_attempt_at")
    return {
        **{name: row.get(name) for name in kept},
        "tries": len(row["attempts"]),
        "last_status": last.get("response_status"),
        "last_error": last.get("error"),
    }


alist = awaitable(list)
aattempts = awaitable(attempts)
aredeliver = awaitable(redeliver)
