"""What a run did and when: its nodes with their times, and its events line by line.

The server keeps the events of a resumable run for a while, under ids that begin with the milliseconds at which they
were logged. Later, and for other runs, the checkpoints still tell when each superstep ended.
"""

from __future__ import annotations

import html
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from langgraph_sdk.schema import StreamPart

from ..errors import LgnbError
from .render import QUIET, brief, is_live
from .run_view import text_of
from .session import Session
from .tables import Record, Table, frame_of
from .thread_state import message_line

if TYPE_CHECKING:
    from .runs import Run

TICK_SECONDS = 0.1
QUIET_SECONDS = 1.0  # a run that still works has told everything so far after this silence


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedStep:
    """One execution of a node.

    Attributes:
        superstep: its number in the run; inside a subgraph, also the number there: 2.1.
        start, end: seconds of the epoch; `end` is None while it works.
    """

    superstep: str
    node: str
    start: float
    end: float | None
    outcome: str = ""
    has_failed: bool = False


class Trace:
    """The nodes of a run by superstep, and there in the order in which they began: `.steps`."""

    def __init__(self, title: str, steps: Sequence[TracedStep], *, has_ended: bool = True) -> None:
        self.title = title
        self.steps = sorted(steps, key=_order)
        self.has_ended = has_ended

    def to_frame(self) -> Any:
        """A DataFrame with one row per execution of a node."""
        return frame_of(self._rows())

    def __repr__(self) -> str:
        return repr(self._table())

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        bundle = self._table().bundle()
        return bundle | {"text/html": self._html()} if is_live() and self.steps else bundle

    def _table(self) -> Table:
        columns = [
            ("superstep", lambda _, row: row["superstep"]),
            ("node", lambda _, row: row["node"]),
            ("outcome", lambda _, row: row["outcome"]),
        ]
        if is_live():
            columns.insert(2, ("began", lambda _, row: f"{row['start']:.2f} s"))
            columns.insert(3, ("took", lambda _, row: _took(row)))
        return Table(self._rows(), columns=columns, title=self.title, empty="Nothing of this run is on record.")

    def _rows(self) -> list[dict[str, Any]]:
        begin = min((step.start for step in self.steps), default=0.0)
        return [
            {
                "superstep": step.superstep,
                "node": step.node,
                "start": round(step.start - begin, 3),
                "seconds": None if step.end is None else round(step.end - step.start, 3),
                "outcome": step.outcome,
            }
            for step in self.steps
        ]

    def _html(self) -> str:
        """The table with a bar for the time of each node."""
        rows = self._rows()
        whole = max((row["start"] + (row["seconds"] or 0) for row in rows), default=0.0) or 1.0
        cell = 'style="text-align: left; white-space: nowrap"'
        lines: list[str] = []
        for row, step in zip(rows, self.steps, strict=True):
            left, width = 100 * row["start"] / whole, max(100 * (row["seconds"] or 0) / whole, 0.5)
            colour = "#b3261e" if step.has_failed else "var(--jp-brand-color1, #1976d2)"
            bar = (
                f'<div style="margin-left: {left:.1f}%; width: {min(width, 100 - left):.1f}%; min-width: 2px; '
                f'height: 10px; background: {colour}; border-radius: 2px"></div>'
            )
            lines.append(
                f"<tr><td {cell}>{row['superstep']}</td><td {cell}>{html.escape(row['node'])}</td>"
                f'<td style="width: 240px; text-align: left">{bar}</td><td {cell}>{_took(row)}</td>'
                f'<td style="text-align: left">{html.escape(row["outcome"])}</td></tr>'
            )
        head = "".join(f"<th {cell}>{name}</th>" for name in ("superstep", "node", "when", "took", "outcome"))
        title = f"<p><strong>{html.escape(self.title)}</strong></p>"
        return f"{title}<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


class Log:
    """The events of a run as lines: `.lines` holds (seconds since the first event or None, text)."""

    def __init__(self, title: str, parts: Sequence[StreamPart]) -> None:
        self.title = title
        self.lines = _lines(parts)

    def to_frame(self) -> Any:
        """A DataFrame with one row per line."""
        return frame_of([{"seconds": seconds, "event": text} for seconds, text in self.lines])

    def __repr__(self) -> str:
        return "\n".join([self.title, *self._written()])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        text = "\n".join(self._written())
        return {
            "text/plain": repr(self),
            "text/markdown": f"**{self.title}**\n\n```\n{text}\n```",
            "text/html": f"<p><strong>{html.escape(self.title)}</strong></p>"
            f'<pre style="{QUIET}; white-space: pre-wrap">{html.escape(text)}</pre>',
        }

    def _written(self) -> list[str]:
        if not self.lines:
            return ["The events of this run are not kept any more; %lg trace tells what its checkpoints know."]
        if not is_live():
            return [f"  {text}" for _, text in self.lines]
        return [f"{'' if seconds is None else format(seconds, '9.3f'):>9}  {text}" for seconds, text in self.lines]


def read_parts(session: Session, run: Run) -> list[StreamPart]:
    """The events of a run that the server still has; of one that still works, those up to now."""
    run_id = run.run_id
    if run_id is None:
        return []
    stream = session.connection().stream(lambda sdk: sdk.runs.join_stream(run.thread_id, run_id, last_event_id="-1"))
    parts: list[StreamPart] = []
    silent_since = time.monotonic()
    try:
        for part in stream.items(tick=lambda: TICK_SECONDS):
            if part is not None:
                parts.append(part)
                silent_since = time.monotonic()
            elif time.monotonic() - silent_since > QUIET_SECONDS:
                break
    except LgnbError:
        return parts  # a gap, or a run that is gone: what came is what there is
    finally:
        stream.close()
    return parts


def steps_of_parts(parts: Sequence[StreamPart], *, until: str | None) -> list[TracedStep]:
    """The executions of nodes that a run's events tell, also in subgraphs; none where events have no times."""
    steps: dict[str, TracedStep] = {}
    supersteps: dict[str, int] = {}
    active: dict[str, set[str]] = {}
    for part in parts:
        mode, _, namespace = part.event.partition("|")
        at = _time_of(part)
        if mode != "tasks" or at is None:
            continue
        data: Any = part.data
        task_id, name = str(data["id"]), "/".join([*_path(namespace), str(data["name"])])
        working = active.setdefault(namespace, set())
        if "result" not in data and "error" not in data:
            if not working:
                supersteps[namespace] = supersteps.get(namespace, 0) + 1
            working.add(task_id)
            around = steps.get(namespace.rpartition("|")[2].partition(":")[2])
            superstep = f"{around.superstep}.{supersteps[namespace]}" if around else str(supersteps[namespace])
            steps[task_id] = TracedStep(superstep=superstep, node=name, start=at, end=None)
        elif task_id in steps:
            working.discard(task_id)
            steps[task_id] = replace(steps[task_id], end=at, outcome=_outcome(data), has_failed=bool(data.get("error")))
    end = _epoch(until)
    return [
        step if step.end is not None or end is None else replace(step, end=end, outcome="did not end")
        for step in steps.values()
    ]


def steps_of_checkpoints(states: Sequence[Record], run_id: str, *, until: str | None) -> list[TracedStep]:
    """The supersteps of a run, told by the times of its checkpoints; their nodes have the time of the whole."""
    own = [state for state in reversed(states) if (state.get("metadata") or {}).get("run_id") == run_id]
    steps: list[TracedStep] = []
    for number, state in enumerate(own):
        start = _epoch(state.get("created_at"))
        following = own[number + 1] if number + 1 < len(own) else None
        end = _epoch(following.get("created_at")) if following else _epoch(until)
        for task in state.get("tasks") or []:
            if task["name"] == "__start__" or start is None:
                continue
            failed, asked = task.get("error"), task.get("interrupts")
            if following is None and not failed and not asked and end is not None:
                continue  # what came next was left for another run
            outcome = str(failed) if failed else "asked" if asked else "working" if end is None else "done"
            superstep = len({step.start for step in steps} | {start})
            steps.append(
                TracedStep(
                    superstep=str(superstep),
                    node=str(task["name"]),
                    start=start,
                    end=end,
                    outcome=outcome,
                    has_failed=bool(failed),
                )
            )
    return steps


def _order(step: TracedStep) -> tuple[list[int], Any]:
    """By superstep, then by time; without a live reader by name, as nodes that work side by side race."""
    return [int(part) for part in step.superstep.split(".")], step.start if is_live() else (step.node, step.outcome)


def _lines(parts: Sequence[StreamPart]) -> list[tuple[float | None, str]]:
    times = [at for part in parts if (at := _time_of(part)) is not None]
    begin = times[0] if times else 0.0
    lines: list[tuple[float | None, str]] = []
    speaking: set[str] = set()
    for part in parts:
        at = _time_of(part)
        text = _line(part, speaking)
        if text is not None:
            lines.append((None if at is None else round(at - begin, 3), text))
    return lines


def _line(part: StreamPart, speaking: set[str]) -> str | None:
    """What an event says in one line; None for events that say nothing new."""
    mode, _, namespace = part.event.partition("|")
    path, data = _path(namespace), cast("Any", part.data)
    match mode, data:
        case "metadata", {"run_id": _, **rest}:
            return f"attempt {rest.get('attempt', 1)} begins"
        case "tasks", {"name": str(name), **rest}:
            node = "/".join([*path, name])
            is_end = "result" in rest or "error" in rest
            return f"{node} ends: {_outcome(rest)}" if is_end else f"{node} begins"
        case "messages", [{"id": str(message_id), "type": "AIMessageChunk"}, {**metadata}]:
            if message_id in speaking:
                return None
            speaking.add(message_id)
            return f"{'/'.join([*path, str(metadata.get('langgraph_node', ''))])} speaks"
        case "messages", [{"type": "tool", **message}, _]:
            return f"tool {message.get('name')} answers: {brief(text_of(message.get('content')), 120)}"
        case "custom", _:
            return f"{'/'.join(path) or 'custom'}: {brief(data, 160)}"
        case "error", {**error}:
            return f"error: {error.get('error')}: {error.get('message')}"
        case _:
            return None


def _outcome(data: Record) -> str:
    if data.get("error"):
        return str(data["error"])
    if data.get("interrupts"):
        return "asked"
    result = data.get("result")
    if isinstance(result, dict) and result:
        return "; ".join(_told(key, value) for key, value in result.items())
    return "done"


def _told(key: str, value: Any) -> str:
    """What a node returned under a key; of messages what they say."""
    messages = value if isinstance(value, list) else [value]
    if messages and all(isinstance(one, dict) and "type" in one and "content" in one for one in messages):
        return "; ".join(map(message_line, messages))
    return f"{key}={brief(value)}"


def _took(row: Record) -> str:
    return "" if row["seconds"] is None else f"{row['seconds']:.2f} s"


def _path(namespace: str) -> list[str]:
    return [segment.partition(":")[0] for segment in namespace.split("|") if segment]


def _time_of(part: StreamPart) -> float | None:
    milliseconds, dash, _ = (part.id or "").partition("-")
    return int(milliseconds) / 1000 if dash and milliseconds.isdigit() else None


def _epoch(moment: Any) -> float | None:
    return None if moment is None else datetime.fromisoformat(str(moment)).timestamp()
