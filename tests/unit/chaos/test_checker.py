"""The checker of chaos: it is silent about what was promised, and names what was not."""

from __future__ import annotations

from typing import Any

import pytest
from chaos.checker import Change, Evidence, check
from chaos.history import Call, Fault, History

RUN, THREAD, REQUEST = "run-1", "thread-1", "request-1"


def test_a_run_that_goes_well_leaves_nothing_to_say() -> None:
    assert _violations() == []


def test_an_accepted_run_must_be_stored() -> None:
    assert "never stored" in _only(changes=[])


def test_an_accepted_run_must_end() -> None:
    found = _violations(changes=_life()[:2], marks=[])

    assert any("never ended" in one for one in found)


def test_a_run_ends_once() -> None:
    late = _change("update", "running", "interrupted", attempt=1)

    assert any("ended 2 times" in one for one in _violations(changes=[*_life(), late]))


def test_what_has_ended_does_not_change() -> None:
    late = _change("update", "success", "error", attempt=1)

    assert any("had ended as success" in one for one in _violations(changes=[*_life(), late]))


def test_a_request_makes_one_run() -> None:
    twin = [Change(**{**vars(change), "run_id": "run-2"}) for change in _life()]

    assert any("made 2 runs" in one for one in _violations(changes=[*_life(), *twin]))


@pytest.mark.parametrize(
    ("marks", "said"),
    [
        (["request-1 1"], "succeeded after 1 of 2"),
        (["request-1 1", "request-1 2", "request-1 2"], "left the steps"),
        (["request-1 2", "request-1 1"], "left the steps"),
        ([], "holds nothing of it"),
        (["request-1 1", "other 1", "request-1 2"], "are mixed"),
    ],
)
def test_a_state_is_what_a_serial_execution_would_have_left(marks: list[str], said: str) -> None:
    assert any(said in one for one in _violations(marks=marks))


def test_what_was_rolled_back_leaves_no_trace() -> None:
    changes = [*_life()[:2], _change("delete", "running", None, attempt=1)]

    assert "was rolled back, but left" in _only(changes=changes)


def test_a_saved_superstep_is_not_executed_again() -> None:
    assert "step 1 was executed again" in _only(book=[(1, 1), (1, 2), (2, 1), (2, 2)])


def test_the_superstep_under_way_may_be_executed_again() -> None:
    assert _violations(book=[(1, 1), (1, 2), (2, 2)]) == []


def test_what_an_outdated_attempt_executes_does_not_count() -> None:
    assert _violations(book=[(1, 1), (2, 2), (1, 1)]) == []


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ({"streamed": [1]}, "lacks the steps [2]"),
        ({"closed": False}, "never closed"),
        ({"status_after": "running"}, "closed while the run was running"),
    ],
)
def test_a_stream_is_whole_and_ends_after_the_run(seen: dict[str, Any], said: str) -> None:
    assert said in _only(call={"operation": "stream", "closed": True, "streamed": [1, 2], **seen})


def test_a_gap_that_is_said_is_no_silence() -> None:
    assert _violations(call={"operation": "stream", "closed": True, "streamed": [2], "gap": True}) == []


def test_a_waiting_caller_is_told_the_whole() -> None:
    assert "was told [1] instead of [1, 2]" in _only(call={"operation": "wait", "told": [1]})


@pytest.mark.parametrize(
    "fault",
    [
        Fault(name="stall a worker", begun=95.0, ended=99.0, pid=7),
        Fault(name="kill a worker", begun=95.0, ended=99.0, pid=7),
        Fault(name="hold postgres", begun=90.0, ended=93.0),
        Fault(name="cut connections", begun=100.0, ended=101.0),
    ],
    ids=lambda fault: fault.name,
)
def test_a_lease_may_be_lost_for_a_reason(fault: Fault) -> None:
    assert _violations(changes=_taken_over(from_pid=7), faults=[fault]) == []


@pytest.mark.parametrize(
    "faults",
    [
        [],
        [Fault(name="stall a worker", begun=95.0, ended=99.0, pid=8)],
        [Fault(name="kill redis", begun=95.0, ended=99.0), Fault(name="kill a host", begun=98.0, ended=101.0)],
        [Fault(name="hold postgres", begun=80.0, ended=85.0)],
        [Fault(name="stall a worker", begun=101.0, ended=103.0, pid=7)],
    ],
    ids=["nothing happened", "another one stalled", "nothing that matters to it", "long ago", "only later"],
)
def test_a_lease_is_not_lost_for_no_reason(faults: list[Fault]) -> None:
    assert "for no reason" in _only(changes=_taken_over(from_pid=7), faults=faults)


def test_an_answer_reaches_the_question_it_was_given_for() -> None:
    call = {"graph": "question", "answers": "for me", "steps": 0}

    assert _violations(call=call, marks=["answer for me"]) == []
    assert "was answered 'for me'" in _only(call=call, marks=["answer for you"])


def _change(change: str, old: str | None, new: str | None, *, attempt: int, **more: Any) -> Change:
    return Change(
        at=100.0,
        run_id=RUN,
        thread_id=THREAD,
        request=REQUEST,
        change=change,
        old_status=old,
        status=new,
        attempt=attempt,
        **more,
    )


def _life() -> list[Change]:
    return [
        _change("insert", None, "pending", attempt=0),
        _change("update", "pending", "running", attempt=1),
        _change("update", "running", "success", attempt=1),
    ]


def _taken_over(*, from_pid: int) -> list[Change]:
    """A run whose first worker lost it, and whose second one finished it."""
    return [
        *_life()[:2],
        _change("update", "running", "pending", attempt=1, swept=True, pid=from_pid),
        _change("update", "pending", "running", attempt=2),
        _change("update", "running", "success", attempt=2),
    ]


def _violations(
    *,
    call: dict[str, Any] | None = None,
    changes: list[Change] | None = None,
    marks: list[str] | None = None,
    book: list[tuple[int, int]] | None = None,
    faults: list[Fault] | None = None,
) -> list[str]:
    """What the checker says of one run of two steps that went well, but for what is given."""
    asked: dict[str, Any] = {
        "request": REQUEST,
        "graph": "ledger",
        "operation": "background",
        "begun": 100.0,
        "thread_id": THREAD,
        "run_id": RUN,
        "outcome": "ok",
        "steps": 2,
        "durability": "sync",
    }
    evidence = Evidence(
        history=History(seed=0, calls=[Call(**asked | (call or {}))], faults=faults or []),
        changes=_life() if changes is None else changes,
        marks={THREAD: ["request-1 1", "request-1 2"] if marks is None else marks},
        books={REQUEST: book or [(1, 1), (1, 2)]},
    )
    return check(evidence).violations


def _only(**given: Any) -> str:
    (violation,) = _violations(**given)
    return violation
