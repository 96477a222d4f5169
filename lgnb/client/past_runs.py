"""`lgnb.runs`: the runs of a thread as the server remembers them: list, get, cancel, delete, and what each one did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from . import runs
from .checkpoints import all_states
from .render import is_live
from .session import Session, current_session
from .tables import Record, Table, moment, seconds_between
from .trace import Log, Trace, TracedStep, read_parts, steps_of_checkpoints, steps_of_parts
from .twins import awaitable

FINAL = ("success", "error", "timeout", "interrupted")


def list(thread: str | None = None, *, status: str | None = None, limit: int = 100) -> Table:
    """The runs of a thread, newest first. `to_frame()` has the seconds of each run, and of each of its nodes.

    Args:
        status: only runs that are pending, running, success, error, timeout or interrupted.
    """
    session = current_session()
    thread_id = session.thread(thread)
    found = _rows(session, thread_id, status=status, limit=limit)
    names = _names(session)
    columns = [
        ("run", lambda _, row: session.aliases.name("run", row["run_id"])),
        ("assistant", lambda _, row: names.get(row["assistant_id"], str(row["assistant_id"]))),
        ("status", lambda _, row: str(row["status"])),
    ]
    if is_live():
        columns.append(("took", _took))
        columns.append(("created", lambda _, row: moment(row["created_at"])))
        columns.append(("id", lambda _, row: str(row["run_id"])))
    title = session.aliases.name("thread", thread_id)
    empty = "No run on this thread yet." if status is None else f"No run on this thread is {status}."
    return Table(
        found, columns=columns, title=title, empty=empty, frame=lambda: _flat(session, thread_id, found, names)
    )


def get(run: str | None = None) -> dict[str, Any]:
    """The row of a run, by its id or alias; of the last one when none is named."""
    session = current_session()
    one = runs.find_run(session, run)
    row: Any = session.connection().call(lambda sdk: sdk.runs.get(one.thread_id, str(one.run_id)))
    return dict(row)


def cancel(run: str | None = None, *, action: Literal["interrupt", "rollback"] = "interrupt") -> None:
    """Ask the server to stop a run; the last one when none is named.

    Args:
        action: rollback also takes back what the run has written.
    """
    runs.find_run(current_session(), run).cancel(action=action)


def delete(run: str) -> None:
    """Delete a run that has ended, with the checkpoints it wrote."""
    session = current_session()
    one = runs.find_run(session, run)
    session.connection().call(lambda sdk: sdk.runs.delete(one.thread_id, str(one.run_id)))


def trace(run: str | None = None) -> Trace:
    """What a run did, node by node, with times.

    Where the events of the run are still kept, they also tell what happened inside subgraphs; otherwise the
    checkpoints tell how long each superstep took.
    """
    session = current_session()
    one = runs.find_run(session, run)
    row = get(one.run_id)
    steps = steps_of_parts(read_parts(session, one), until=_end(row))
    if not steps:
        states = all_states(session, one.thread_id)
        steps = steps_of_checkpoints(states, str(one.run_id), until=_end(row))
    return Trace(_title(session, one, row), steps, has_ended=row["status"] in FINAL)


def log(run: str | None = None) -> Log:
    """The events of a run, one line each, with the seconds since its start."""
    session = current_session()
    one = runs.find_run(session, run)
    row = get(one.run_id)
    return Log(_title(session, one, row), read_parts(session, one))


def _rows(session: Session, thread_id: str, *, status: str | None = None, limit: int = 100) -> Any:
    """The runs of a thread as the server sent them, newest first."""
    wanted: Any = status
    found: Any = session.connection().call(lambda sdk: sdk.runs.list(thread_id, limit=limit, status=wanted))
    # Met oldest first, so that run#1 is the first one whatever was looked at before.
    for row in reversed(found):
        session.aliases.name("run", row["run_id"])
    return [dict(row) for row in found]


def _names(session: Session) -> dict[str, str]:
    return {row["assistant_id"]: str(row["name"]) for row in session.assistants()}


def _title(session: Session, one: runs.Run, row: Record) -> str:
    names = [one.assistant, *(session.aliases.name(kind, str(of)) for kind, of in _ids(one)), str(row["status"])]
    return " · ".join(names)


def _ids(one: runs.Run) -> tuple[tuple[Literal["thread"], str], tuple[Literal["run"], str]]:
    return ("thread", one.thread_id), ("run", str(one.run_id))


def _end(row: Record) -> str | None:
    return str(row["updated_at"]) if row["status"] in FINAL else None


def _took(_: int, row: Record) -> str:
    seconds = seconds_between(row["created_at"], _end(row))
    return "" if seconds is None else f"{seconds:.1f} s"


def _flat(session: Session, thread_id: str, found: Any, names: Mapping[str, str]) -> Any:
    """One row per run: when, how long, and the seconds of each node, from the checkpoints."""
    states = all_states(session, thread_id)
    flat: Any = []
    for row in found:
        steps = steps_of_checkpoints(states, str(row["run_id"]), until=_end(row))
        flat.append(
            {
                "run_id": row["run_id"],
                "assistant": names.get(row["assistant_id"], row["assistant_id"]),
                "status": row["status"],
                "created_at": row["created_at"],
                "seconds": seconds_between(row["created_at"], _end(row)),
                "supersteps": len({step.superstep for step in steps}),
                **_seconds_by_node(steps),
            }
        )
    return flat


def _seconds_by_node(steps: Any) -> dict[str, float]:
    """The seconds each node took, over all supersteps; nodes of one superstep worked side by side."""
    slowest: dict[tuple[str, str], float] = {}
    for step in steps:
        place = (step.superstep, step.node)
        slowest[place] = max(slowest.get(place, 0.0), _seconds(step))
    sums: dict[str, float] = {}
    for (_, node), seconds in slowest.items():
        sums[f"seconds.{node}"] = sums.get(f"seconds.{node}", 0.0) + seconds
    return sums


def _seconds(step: TracedStep) -> float:
    return 0.0 if step.end is None else step.end - step.start


alist = awaitable(list)
aget = awaitable(get)
acancel = awaitable(cancel)
adelete = awaitable(delete)
atrace = awaitable(trace)
alog = awaitable(log)
