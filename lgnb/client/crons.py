"""`lgnb.crons`: schedules that start runs: search, create, pause, resume, delete."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cronsim import CronSim, CronSimError

from ..errors import InvalidRequest, NotFound
from . import inputs
from .render import brief, is_live
from .session import Session, current_session
from .tables import Record, Table, moment
from .twins import awaitable

# Options of `create` and `update` that go to the server as they are, by the SDK's own names.
PASSED_ON = frozenset(
    {
        "config",
        "context",
        "durability",
        "end_time",
        "interrupt_after",
        "interrupt_before",
        "metadata",
        "multitask_strategy",
        "on_run_completed",
        "timezone",
        "webhook",
    }
)


def search(
    *, assistant: str | None = None, thread: str | None = None, enabled: bool | None = None, limit: int = 100
) -> Table:
    """The crons of the server, the one that comes next first.

    Args:
        enabled: only those that run (True) or are paused (False).
    """
    session = current_session()
    assistant_id = None if assistant is None else str(session.find_assistant(assistant)["assistant_id"])
    thread_id = None if thread is None else session.thread(thread)
    found: Any = session.connection().call(
        lambda sdk: sdk.crons.search(
            assistant_id=assistant_id,
            thread_id=thread_id,
            enabled=enabled,
            limit=limit,
            sort_by="created_at",
            sort_order="asc",
        )
    )
    # Met oldest first, so that cron#1 is the same one whatever happened in between.
    for row in found:
        session.aliases.name("cron", row["cron_id"])
    rows: list[dict[str, Any]] = sorted((dict(row) for row in found), key=_due)
    names = {one["assistant_id"]: str(one["name"]) for one in session.assistants()}

    def runs_on(_: int, row: Record) -> str:
        return session.aliases.name("thread", row["thread_id"]) if row.get("thread_id") else "a new one each time"

    columns = [
        ("cron", lambda _, row: session.aliases.name("cron", row["cron_id"])),
        ("assistant", lambda _, row: names.get(row["assistant_id"], str(row["assistant_id"]))),
        ("schedule", lambda _, row: _schedule(row)),
        ("means", lambda _, row: _in_words(str(row["schedule"]))),
        ("thread", runs_on),
        ("input", lambda _, row: _input_line((row.get("payload") or {}).get("input"))),
        ("state", lambda _, row: "on" if row.get("enabled", True) else "paused"),
    ]
    if is_live():
        columns.append(("next run", lambda _, row: moment(row.get("next_run_date"))))
    return Table(rows, columns=columns, empty="There is no cron.", frame=lambda: [_flat(row, names) for row in rows])


def get(cron: str) -> dict[str, Any]:
    """The row of a cron, by its alias or id.

    Raises:
        NotFound: there is no such cron.
    """
    session = current_session()
    cron_id = _full_id(session, cron)
    row: Any = session.connection().call(lambda sdk: sdk.http.get(f"/runs/crons/{cron_id}"))
    return dict(row)


def create(
    assistant: str, schedule: str, input: Any = None, *, thread: str | None = None, **options: Any
) -> dict[str, Any]:
    """Run an assistant by a schedule.

    Args:
        schedule: five fields such as `0 9 * * 1-5`, six with seconds at the end, or `@daily`; in UTC unless
            `timezone` says otherwise.
        input: a text for the model, or the graph's input as an object.
        thread: an id or alias of the thread to run on; None for a new thread each time.
        options: what else the SDK's `crons.create` takes, such as `timezone`, `end_time`, `context` or `webhook`.
    """
    session = current_session()
    row = session.find_assistant(assistant)
    request = _checked(options)
    if isinstance(input, str):
        input = inputs.run_input(input, schema=session.input_schema(row["assistant_id"]))
    request |= {"schedule": schedule, "input": {} if input is None else input}
    assistant_id = str(row["assistant_id"])
    if thread is None:
        created: Any = session.connection().call(lambda sdk: sdk.crons.create(assistant_id, **request))
    else:
        thread_id = session.thread(thread)
        created = session.connection().call(lambda sdk: sdk.crons.create_for_thread(thread_id, assistant_id, **request))
    session.aliases.name("cron", str(created["cron_id"]))
    return dict(created)


def update(cron: str, **changes: Any) -> dict[str, Any]:
    """Change a cron: its `schedule`, `input`, `enabled`, or an option of `create`."""
    session = current_session()
    cron_id = _full_id(session, cron)
    own = {name: changes.pop(name) for name in ("schedule", "input", "enabled") if name in changes}
    request = {**own, **_checked(changes)}
    row: Any = session.connection().call(lambda sdk: sdk.crons.update(cron_id, **request))
    return dict(row)


def pause(cron: str) -> dict[str, Any]:
    """Let a cron rest until it is resumed."""
    return update(cron, enabled=False)


def resume(cron: str) -> dict[str, Any]:
    """Let a paused cron run again, from its next time on."""
    return update(cron, enabled=True)


def delete(cron: str) -> None:
    """Delete a cron. Runs that it has started go on."""
    session = current_session()
    cron_id = _full_id(session, cron)
    session.connection().call(lambda sdk: sdk.crons.delete(cron_id))


def _in_words(schedule: str) -> str:
    """A schedule as a sentence; empty where it has no words."""
    text = _ALIASES.get(schedule.strip().lower(), schedule)
    fields = text.split()
    if len(fields) == 6:
        fields = [fields[5], *fields[:5]]  # the library has the seconds first
    try:
        return CronSim(" ".join(fields), datetime.now(UTC)).explain()
    except CronSimError:
        return ""


_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


def _full_id(session: Session, cron: str) -> str:
    found = session.aliases.full_id("cron", cron)
    if found == cron and "#" in cron:
        raise NotFound(f"There is no {cron} in this notebook; %lg crons lists them.")
    return found


def _checked(options: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(options) - PASSED_ON)
    if unknown:
        raise InvalidRequest(f"There is no option {unknown[0]!r}; known are {', '.join(sorted(PASSED_ON))}.")
    return {name: value for name, value in options.items() if value is not None}


def _due(row: Record) -> tuple[bool, str, str]:
    return not row.get("enabled", True), str(row.get("next_run_date") or "9"), str(row["created_at"])


def _schedule(row: Record) -> str:
    return f"{row['schedule']} ({row['timezone']})" if row.get("timezone") else str(row["schedule"])


def _input_line(given: Any) -> str:
    """The input in one line; of a single message only its text."""
    match given:
        case {"messages": [{"content": str(text)}], **rest} if not rest:
            return text if len(text) <= 60 else f"{text[:59]}…"
        case _:
            return brief(given, 60) if given else ""


def _flat(row: Record, names: Mapping[str, str]) -> dict[str, Any]:
    kept = ("schedule", "timezone", "enabled", "next_run_date", "end_time", "created_at", "updated_at")
    return {
        "cron_id": row["cron_id"],
        "assistant": names.get(row["assistant_id"], row["assistant_id"]),
        "thread_id": row.get("thread_id"),
        "input": (row.get("payload") or {}).get("input"),
        **{name: row.get(name) for name in kept},
    }


asearch = awaitable(search)
aget = awaitable(get)
acreate = awaitable(create)
aupdate = awaitable(update)
apause = awaitable(pause)
aresume = awaitable(resume)
adelete = awaitable(delete)
