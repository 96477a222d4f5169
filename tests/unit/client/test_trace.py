"""What a run did and when, told by its events, and by its checkpoints where those are gone."""

from __future__ import annotations

from typing import Any, cast

import pytest
from langgraph_sdk.schema import StreamPart

from lgnb.client.trace import Log, Trace, steps_of_checkpoints, steps_of_parts


def _part(at: int, event: str, **data: Any) -> StreamPart:
    return StreamPart(event, data, f"{at}-0")


def _began(at: int, task: str, name: str, within: str = "") -> StreamPart:
    return _part(at, f"tasks|{within}" if within else "tasks", id=task, name=name, input={})


def _ended(at: int, task: str, name: str, within: str = "", **rest: Any) -> StreamPart:
    event = f"tasks|{within}" if within else "tasks"
    return _part(at, event, id=task, name=name, **({"result": {}, "error": None} | rest))


_PARTS = [
    _part(1000, "metadata", run_id="r", attempt=1),
    _began(1010, "p", "plan"),
    _ended(1030, "p", "plan", result={"outline": ["a", "b"]}),
    _began(1040, "x", "research"),
    _began(1040, "y", "research"),
    _began(1050, "xg", "gather", within="research:x"),
    _ended(1060, "xg", "gather", within="research:x"),
    _began(1060, "xs", "summarise", within="research:x"),
    _ended(1070, "xs", "summarise", within="research:x"),
    _ended(1080, "y", "research"),
    _ended(1090, "x", "research"),
    _began(2000, "w", "write"),
]


def test_nodes_are_numbered_by_superstep_and_those_of_a_subgraph_within_it() -> None:
    trace = Trace("run", steps_of_parts(_PARTS, until=None))

    assert [(step.superstep, step.node) for step in trace.steps] == [
        ("1", "plan"),
        ("2", "research"),
        ("2", "research"),
        ("2.1", "research/gather"),
        ("2.2", "research/summarise"),
        ("3", "write"),
    ]


def test_times_are_those_at_which_the_events_were_logged() -> None:
    plan, *_, write = Trace("run", steps_of_parts(_PARTS, until=None)).to_frame().to_dict("records")

    assert (plan["start"], plan["seconds"]) == (0.0, 0.02)
    assert write["start"] == 0.99
    assert write["seconds"] != write["seconds"], "a node that works has no end yet"


def test_a_node_that_never_ended_ends_with_its_run() -> None:
    steps = steps_of_parts(_PARTS, until="1970-01-01T00:00:03+00:00")

    assert (steps[-1].end, steps[-1].outcome) == (3.0, "did not end")


def test_events_without_times_tell_no_trace() -> None:
    parts = [StreamPart(part.event, part.data, None) for part in _PARTS]

    assert steps_of_parts(parts, until=None) == []


def test_a_failure_is_an_outcome() -> None:
    parts = [_began(1000, "p", "plan"), _ended(1001, "p", "plan", error="ValueError('no')")]

    [step] = steps_of_parts(parts, until=None)

    assert step.has_failed
    assert step.outcome == "ValueError('no')"


def test_checkpoints_tell_how_long_each_superstep_took() -> None:
    states: list[Any] = [
        _state(3.5, []),
        _state(1.5, ["write"]),
        _state(1.0, ["plan"]),
        _state(0.9, ["__start__"]),
        {**_state(0.1, ["old"]), "metadata": {"run_id": "other"}},
    ]

    steps = steps_of_checkpoints(states, "r", until="1970-01-01T00:00:03.6+00:00")

    assert [(step.superstep, step.node, step.end and round(step.end - step.start, 3)) for step in steps] == [
        ("1", "plan", 0.5),
        ("2", "write", 2.0),
    ]


def test_a_failed_superstep_lasts_until_the_end_of_the_run() -> None:
    failed = _state(1.0, ["plan"])
    failed["tasks"][0]["error"] = "ValueError('no')"

    [step] = steps_of_checkpoints([failed], "r", until="1970-01-01T00:00:02+00:00")

    assert (step.has_failed, step.end) == (True, 2.0)


def test_what_a_pause_left_for_later_did_not_work() -> None:
    assert steps_of_checkpoints([_state(1.0, ["plan"])], "r", until="1970-01-01T00:00:02+00:00") == []


def test_a_log_has_a_line_for_each_event_that_says_something_new() -> None:
    where = {"langgraph_node": "model"}
    speaking: Any = [
        StreamPart("messages", cast("Any", [{"id": "m", "type": "AIMessageChunk", "content": word}, where]), None)
        for word in ("Hello", " you")
    ]
    log = Log(
        "run", [*_PARTS[:3], *speaking, _part(2000, "values", a=1), _part(3000, "error", error="E", message="no")]
    )

    assert log.lines == [
        (0.0, "attempt 1 begins"),
        (0.01, "plan begins"),
        (0.03, 'plan ends: outline=["a", "b"]'),
        (None, "model speaks"),
        (2.0, "error: E: no"),
    ]


def test_without_a_live_front_end_neither_times_nor_the_order_of_racing_nodes_show(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LGNB_LIVE", "0")
    racing = [_began(1, "b", "b"), _began(1, "a", "a"), _ended(2, "b", "b"), _ended(3, "a", "a")]

    shown = repr(Trace("run", steps_of_parts(racing, until=None)))

    assert [line.split() for line in shown.splitlines()[1:]] == [
        ["superstep", "node", "outcome"],
        ["1", "a", "done"],
        ["1", "b", "done"],
    ]


def _state(second: float, nodes: list[str]) -> dict[str, Any]:
    return {
        "created_at": f"1970-01-01T00:00:{second:04.1f}+00:00",
        "metadata": {"run_id": "r"},
        "tasks": [{"name": node, "error": None, "interrupts": []} for node in nodes],
    }
