"""The reduction of a run's stream, fed with parts recorded from a server."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from lgnb.client.run_view import NodeDone, Note, RunView, Said, ToolCall, text_of

_RECORDED = Path(__file__).with_name("recorded")


def _parts(name: str) -> list[tuple[str, Any]]:
    return [tuple(part) for part in json.loads((_RECORDED / f"{name}.json").read_text())]


def _view(name: str, status: str = "success") -> RunView:
    view = RunView()
    for event, data in _parts(name):
        view.feed(event, data)
    view.finish(status)
    return view


def _of(view: RunView, kind: type[Any]) -> list[Any]:
    return [item for item in view.items if isinstance(item, kind)]


def test_tokens_grow_into_one_text() -> None:
    view, texts = RunView(), []

    for event, data in _parts("agent"):
        view.feed(event, data)
        texts.append(view.text)

    assert texts[4].split() == ["You", "said"]
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(texts))
    assert [said.node for said in _of(view, Said)] == ["model"]
    assert view.values is not None
    assert view.text == view.values["messages"][-1]["content"]


def test_a_run_is_working_until_its_status_is_known() -> None:
    view = RunView()
    states = [view.state]
    for event, data in _parts("agent"):
        view.feed(event, data)
        states.append(view.state)
    view.finish("success")

    assert states[0] == "starting"
    assert set(states[1:]) == {"running"}
    assert view.state == "success"
    assert view.is_final


def test_a_tool_call_is_joined_from_its_chunks_and_meets_its_result() -> None:
    view = _view("tool")

    [call] = _of(view, ToolCall)
    assert (call.name, json.loads(call.arguments), call.result) == ("weather", {"city": "Paris"}, "sunny in Paris")
    assert view.text.strip() == "The tool says: **sunny in Paris**."


def test_events_of_subgraphs_are_shown_once_with_the_way_to_their_node() -> None:
    view = _view("nested")

    assert [call.name for call in _of(view, ToolCall)] == ["weather"]
    said = [said for said in _of(view, Said) if said.text]
    assert [one.node for one in said] == ["inner/model"]
    assert said[0].text.strip() == "The tool says: **sunny in Paris**."


def test_what_the_thread_already_held_is_not_told_again() -> None:
    old = {"type": "ai", "content": "said before", "id": "old"}
    view = RunView()
    view.feed("metadata", {"run_id": "r", "attempt": 1})
    view.feed("values", {"messages": [old, {"type": "human", "content": "hi", "id": "h"}]})

    view.feed("updates", {"inner": {"messages": [old, {"type": "ai", "content": "new", "id": "n"}]}})

    assert [said.text for said in _of(view, Said)] == ["new"]


def test_supersteps_and_the_working_nodes_are_known_while_it_works() -> None:
    view, seen = RunView(), []
    for event, data in _parts("steps"):
        view.feed(event, data)
        seen.append((view.supersteps, tuple(view.active.values())))

    assert (1, ("step_1",)) in seen
    assert (4, ("step_4",)) in seen
    assert seen[-1] == (4, ())


def test_parallel_tasks_are_one_superstep() -> None:
    assert _view("two").supersteps == 1


def test_node_changes_and_custom_events_keep_their_order() -> None:
    view = _view("steps")

    kinds = [type(item) for item in view.items]
    assert kinds == [Note, NodeDone] * 4
    assert _of(view, NodeDone)[0] == NodeDone("step_1", {"count": 1, "log": ["step 1"]})


def test_an_exception_is_kept_with_its_node_and_what_came_before() -> None:
    view = _view("fail", "error")

    assert view.state == "error"
    assert view.failure is not None
    assert (view.failure.error, view.failure.message) == ("ValueError", "step 2 failed on purpose")
    assert view.failure.node == "step_2"
    assert [done.node for done in _of(view, NodeDone)] == ["step_1"]


def test_the_traceback_is_kept_where_the_worker_sends_it() -> None:
    view = RunView()

    view.feed("error", {"error": "ValueError", "message": "no", "traceback": 'File "graph.py", line 3'})

    assert view.failure is not None
    assert view.failure.traceback == 'File "graph.py", line 3'


def test_an_interrupt_makes_a_successful_run_wait() -> None:
    view = _view("approval")

    assert view.state == "interrupted"
    [one] = view.interrupts.values()
    assert (one.value["question"], one.node) == ("Send this?", "ask")
    assert view.values == {"request": "x", "log": []}


def test_several_interrupts_are_told_apart() -> None:
    assert sorted(one.node for one in _view("two").interrupts.values()) == ["ask", "ask2"]


def test_a_pause_before_a_node_is_no_question() -> None:
    view = _view("before")

    assert (view.state, view.interrupts) == ("paused", {})


@pytest.mark.parametrize(
    ("status", "state"),
    [("timeout", "timeout"), ("interrupted", "cancelled"), ("gone", "gone"), ("success", "success")],
)
def test_the_status_of_the_server_decides_the_end(status: str, state: str) -> None:
    assert _view("steps", status).state == state


def test_a_new_attempt_drops_what_the_lost_one_had_half_said() -> None:
    view = RunView()
    view.feed("metadata", {"run_id": "r", "attempt": 1})
    view.feed("messages", [{"type": "AIMessageChunk", "content": "Half a", "id": "one"}, {"langgraph_node": "model"}])

    view.feed("metadata", {"run_id": "r", "attempt": 2})
    view.feed("messages", [{"type": "AIMessageChunk", "content": "All", "id": "two"}, {"langgraph_node": "model"}])

    assert [said.text for said in _of(view, Said)] == ["All"]
    assert "attempt 2" in _of(view, Note)[0].value


def test_repeated_work_of_a_run_that_continues_is_left_out() -> None:
    view = RunView()

    view.feed("updates", {"ask": {"log": ["x"]}, "__metadata__": {"cached": True}})

    assert view.items == []


@pytest.mark.parametrize("part", [("surprise", {"x": 1}), ("messages", {"x": 1}), ("values", None), ("tasks", [1])])
def test_unknown_parts_change_nothing(part: tuple[str, Any]) -> None:
    view = RunView()

    view.feed(*part)

    assert view == RunView()


def test_the_text_of_content_blocks_is_joined() -> None:
    assert text_of([{"type": "text", "text": "a"}, {"type": "image"}, "b"]) == "ab"
