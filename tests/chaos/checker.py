"""Compares what clients were told with what the database holds: every promise that is broken is one sentence.

Pure functions over records, so that the checker itself can be tested. What is promised is `docs/reliability.md`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from .history import Call, Fault, History

_IN_FLIGHT = ("pending", "running")
_MOST_TAKE_OVER_SECONDS = 10.0
# How long after a fault a run may still be found to be lost.
_AFTERMATH_SECONDS = 8.0
# What stands between every worker and its lease. All else harms the lease of the process it is done to, or nobody's.
_HARM_EVERY_LEASE = frozenset({"crash postgres", "hold postgres", "cut connections"})


@dataclass(kw_only=True)
class Change:
    """A change of a run's row, noted by the database. `at` is seconds of the epoch."""

    at: float
    run_id: str
    thread_id: str
    request: str | None
    change: str
    old_status: str | None
    status: str | None
    attempt: int
    swept: bool = False
    pid: int | None = None

    @property
    def ends(self) -> bool:
        """Whether the run ended with this change."""
        began_in_flight = self.old_status in _IN_FLIGHT
        return began_in_flight and (self.change == "delete" or self.status not in _IN_FLIGHT)

    @property
    def claims(self) -> bool:
        return self.change == "update" and self.old_status == "pending" and self.status == "running"


@dataclass(kw_only=True)
class Evidence:
    """Everything the checker knows.

    Attributes:
        changes: in the order in which they were committed.
        marks: of each thread, what its state holds at the end.
        books: of each request, (attempt, step) of every execution in the order in which they began.
    """

    history: History
    changes: Sequence[Change]
    marks: Mapping[str, Sequence[str]]
    books: Mapping[str, Sequence[tuple[int, int]]]


@dataclass(kw_only=True)
class Report:
    violations: list[str] = field(default_factory=list[str])
    figures: dict[str, float | int] = field(default_factory=dict[str, "float | int"])


def check(evidence: Evidence) -> Report:
    """Look at everything; a promise that was kept leaves no trace in the report."""
    by_run: dict[str, list[Change]] = defaultdict(list)
    for change in evidence.changes:
        by_run[change.run_id].append(change)
    calls = evidence.history.calls
    report = Report()
    report.violations += _accepted_runs_end(calls, by_run)
    report.violations += _runs_end_once(by_run)
    report.violations += _requests_make_one_run(by_run)
    report.violations += _runs_do_not_fail(by_run)
    report.violations += _states_are_serial(evidence, by_run)
    report.violations += _saved_supersteps_are_not_repeated(calls, evidence.books)
    report.violations += _streams_are_whole(calls, by_run)
    report.violations += _waiting_callers_are_told(calls, by_run)
    report.violations += _leases_hold_in_calm(evidence)
    take_overs = _take_overs(evidence, by_run)
    worst = max(take_overs, default=0.0)
    if worst > _MOST_TAKE_OVER_SECONDS:
        report.violations.append(f"A lost worker's run waited {worst:.1f} s for another one.")
    report.figures = _figures(evidence, by_run, worst=worst, take_overs=len(take_overs))
    return report


def _accepted_runs_end(calls: Iterable[Call], by_run: Mapping[str, list[Change]]) -> Iterable[str]:
    for call in calls:
        if call.outcome != "ok" or not call.run_id:
            continue
        changes = by_run.get(call.run_id)
        if changes is None:
            yield f"Run {call.run_id} ({call.operation}) was accepted, but never stored."
        elif not any(change.ends for change in changes):
            yield f"Run {call.run_id} ({call.operation}) was accepted, but never ended."


def _runs_end_once(by_run: Mapping[str, list[Change]]) -> Iterable[str]:
    for run_id, changes in by_run.items():
        ends = [change for change in changes if change.ends]
        if len(ends) > 1:
            yield f"Run {run_id} ended {len(ends)} times: {', '.join(str(end.status or end.change) for end in ends)}."
        elif not ends:
            yield f"Run {run_id} is still {changes[-1].status}."
        for change in changes:
            if change.change == "update" and change.old_status not in _IN_FLIGHT and change.status != change.old_status:
                yield f"Run {run_id} had ended as {change.old_status} and became {change.status}."


def _requests_make_one_run(by_run: Mapping[str, list[Change]]) -> Iterable[str]:
    runs: dict[str, set[str]] = defaultdict(set)
    for run_id, changes in by_run.items():
        if changes[0].request:
            runs[changes[0].request].add(run_id)
    for request, run_ids in runs.items():
        if len(run_ids) > 1:
            yield f"Request {request} made {len(run_ids)} runs."


def _runs_do_not_fail(by_run: Mapping[str, list[Change]]) -> Iterable[str]:
    """No graph of ours raises: an error is the fault of the server."""
    for run_id, changes in by_run.items():
        if failed := next((change for change in changes if change.status in ("error", "timeout")), None):
            yield f"Run {run_id} ended as {failed.status} in attempt {failed.attempt}."


def _states_are_serial(evidence: Evidence, by_run: Mapping[str, list[Change]]) -> Iterable[str]:
    """The state of a thread is what its runs, executed one after the other, would have left."""
    calls = {call.request: call for call in evidence.history.calls}
    first_claim = {
        changes[0].request: claim.at
        for changes in by_run.values()
        if changes[0].request and (claim := next((one for one in changes if one.claims), None))
    }
    final = {changes[0].request: _final_status(changes) for changes in by_run.values() if changes[0].request}
    answered = {call.thread_id: call for call in evidence.history.calls if call.answers}
    for thread_id, marks in evidence.marks.items():
        if answer := answered.get(thread_id):
            expected = [f"answer {answer.answers}"] if final.get(answer.request) == "success" else []
            if list(marks) != expected:
                yield f"Thread {thread_id} was answered {answer.answers!r}, but its state holds {list(marks)}."
            continue
        blocks = [(request, [int(mark.split()[1]) for mark in block]) for request, block in _blocks(marks)]
        names = [request for request, _ in blocks]
        if len(set(names)) != len(names):
            yield f"Thread {thread_id}: the steps of two runs are mixed: {names}."
        for request, steps in blocks:
            if steps != list(range(1, len(steps) + 1)):
                yield f"Thread {thread_id}: request {request} left the steps {steps}."
            if final.get(request) == "success" and len(steps) != calls[request].steps:
                yield f"Thread {thread_id}: request {request} succeeded after {len(steps)} of {calls[request].steps}."
            if final.get(request) == "deleted":
                yield f"Thread {thread_id}: request {request} was rolled back, but left the steps {steps}."
        times = [first_claim.get(request, 0.0) for request in names]
        if times != sorted(times):
            yield f"Thread {thread_id}: runs are not in the order in which they were started: {names}."
    present = {mark.split()[0] for marks in evidence.marks.values() for mark in marks}
    for changes in by_run.values():
        request, thread_id = changes[0].request, changes[0].thread_id
        call = calls.get(request or "")
        if call is None or call.graph != "ledger" or thread_id not in evidence.marks or request in present:
            continue
        if final.get(request) == "success":
            yield f"Run {changes[0].run_id} succeeded, but thread {thread_id} holds nothing of it."


def _saved_supersteps_are_not_repeated(
    calls: Iterable[Call], books: Mapping[str, Sequence[tuple[int, int]]]
) -> Iterable[str]:
    """With durability sync a step begins when the one before is saved: from then on nobody executes that one again."""
    for call in calls:
        if call.durability != "sync" or call.graph != "ledger" or call.operation == "stateless":
            continue
        furthest, newest = 0, 0
        for attempt, step in books.get(call.request, ()):
            if attempt < newest:
                continue  # a worker that does not know yet that it lost its run; nothing of it will count
            newest = attempt
            if step < furthest:
                yield f"Request {call.request}: step {step} was executed again after step {furthest} had begun."
            furthest = max(furthest, step)


def _streams_are_whole(calls: Iterable[Call], by_run: Mapping[str, list[Change]]) -> Iterable[str]:
    for call in calls:
        if call.operation != "stream" or call.outcome != "ok":
            continue
        status = _final_status(by_run.get(call.run_id or "", []))
        if not call.closed and status not in (None, "deleted"):
            yield f"The stream of run {call.run_id}, which ended as {status}, never closed."
        if call.closed and call.status_after in _IN_FLIGHT:
            yield f"The stream of run {call.run_id} closed while the run was {call.status_after}."
        missing = set(range(1, call.steps + 1)) - set(call.streamed)
        if call.closed and status == "success" and missing and not call.gap:
            yield f"The stream of run {call.run_id} lacks the steps {sorted(missing)}, and says nothing of it."


def _waiting_callers_are_told(calls: Iterable[Call], by_run: Mapping[str, list[Change]]) -> Iterable[str]:
    for call in calls:
        if call.outcome != "ok" or call.operation not in ("wait", "stateless"):
            continue
        told, whole = call.told, list(range(1, call.steps + 1))
        status = _final_status(by_run.get(call.run_id or "", []))
        is_over = call.operation == "stateless" or status == "success"
        if told is not None and is_over and told != whole:
            yield f"Who waited for run {call.run_id} ({call.operation}) was told {told} instead of {whole}."


def _leases_hold_in_calm(evidence: Evidence) -> Iterable[str]:
    """Nobody loses a run unless something happens to Postgres or to that worker, whatever its graph does."""
    for change in evidence.changes:
        if change.swept and not any(_may_cost_the_lease(fault, change) for fault in evidence.history.faults):
            yield f"Run {change.run_id} was taken from its worker in attempt {change.attempt}, for no reason."


def _take_overs(evidence: Evidence, by_run: Mapping[str, list[Change]]) -> list[float]:
    """How long the runs of each killed worker waited for the next one, in seconds."""
    waits: list[float] = []
    for fault in evidence.history.faults:
        if fault.name != "kill a worker":
            continue
        for changes in by_run.values():
            before = [change for change in changes if change.at <= fault.begun]
            after = [change for change in changes if change.at > fault.begun]
            if before and before[-1].claims and before[-1].pid == fault.pid:
                following = next((change for change in after if change.claims or change.ends), None)
                if following is not None:
                    waits.append(following.at - fault.begun)
    return waits


def _figures(
    evidence: Evidence, by_run: Mapping[str, list[Change]], *, worst: float, take_overs: int
) -> dict[str, float | int]:
    calls = evidence.history.calls
    changes = evidence.changes
    return {
        "requests": len(calls),
        "accepted": sum(call.outcome == "ok" for call in calls),
        "unknown": sum(call.outcome == "unknown" for call in calls),
        "runs stored": len(by_run),
        "runs ended": sum(any(change.ends for change in each) for each in by_run.values()),
        "cancels": evidence.history.cancels,
        "attempts after the first": sum(change.claims and change.attempt > 1 for change in changes),
        "taken from lost workers": sum(change.swept for change in changes),
        "streams read to the end": sum(call.closed for call in calls),
        "streams with a gap": sum(call.gap for call in calls),
        "faults": len(evidence.history.faults),
        "take-overs after a kill": take_overs,
        "worst take-over in seconds": round(worst, 2),
    }


def _blocks(marks: Iterable[str]) -> list[tuple[str, list[str]]]:
    return [(request, list(block)) for request, block in groupby(marks, key=lambda mark: mark.split()[0])]


def _final_status(changes: Sequence[Change]) -> str | None:
    if not changes:
        return None
    # A temporary run goes with its thread in the transaction that ends it.
    return "deleted" if changes[-1].change == "delete" else changes[-1].status


def _may_cost_the_lease(fault: Fault, change: Change) -> bool:
    """Whether the worker that `change` took the run from could have lost its lease by this fault."""
    concerned = fault.name in _HARM_EVERY_LEASE or (fault.pid is not None and fault.pid == change.pid)
    return concerned and fault.begun <= change.at <= fault.ended + _AFTERMATH_SECONDS
