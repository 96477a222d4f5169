"""What the worker makes of the things a graph yields."""

from __future__ import annotations

from typing import Any

import orjson
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage

from lgnb.worker.translation import EventTranslator

INSIDE = ("agent:task-1",)


def events(translator: EventTranslator, *yielded: tuple[tuple[str, ...], str, Any]) -> list[tuple[str, Any]]:
    return [(name, orjson.loads(data)) for triple in yielded for name, data in translator.translate(*triple)]


def test_what_was_not_asked_for_is_not_sent() -> None:
    translator = EventTranslator(stream_modes=["updates"], subgraphs=False)

    assert set(translator.library_modes) == {"updates", "values", "checkpoints"}
    assert events(translator, ((), "values", {"a": 1}), ((), "updates", {"n": {"a": 1}})) == [
        ("updates", {"n": {"a": 1}})
    ]
    assert events(translator, (INSIDE, "updates", {"n": None})) == []


def test_subgraphs_are_named_by_their_path() -> None:
    translator = EventTranslator(stream_modes=["values"], subgraphs=True)

    assert events(translator, (("a:1", "b:2"), "values", {})) == [("values|a:1|b:2", {})]


def test_partial_messages_accumulate() -> None:
    translator = EventTranslator(stream_modes=["messages"], subgraphs=True)
    pieces = [((), "messages", (AIMessageChunk(text, id="m"), {"langgraph_node": "n"})) for text in ("a", "b")]

    described, first, second = events(translator, *pieces)

    assert described == ("messages/metadata", {"m": {"metadata": {"langgraph_node": "n"}}})
    assert [event[1][0]["content"] for event in (first, second)] == ["a", "ab"]
    assert second[1][0]["type"] == "ai"


def test_a_message_of_a_subgraph_is_shown_once_when_its_node_ends() -> None:
    translator = EventTranslator(stream_modes=["messages-tuple"], subgraphs=False)
    question, answer = HumanMessage("?", id="q"), AIMessage("!", id="a")
    task = {"id": "task-1", "name": "agent"}
    metadata = {"thread_id": "t", "langgraph_node": "model"}
    yielded: list[tuple[tuple[str, ...], str, Any]] = [
        ((), "checkpoints", {"metadata": {"step": 4}}),
        ((), "tasks", {**task, "input": {"messages": [question]}, "triggers": ("x",), "metadata": {"graph_id": "g"}}),
        (INSIDE, "messages", (AIMessageChunk("!", id="a"), metadata)),
        ((), "tasks", {**task, "error": None, "result": {"messages": [question, answer]}, "interrupts": []}),
        ((), "tasks", {**task, "error": None, "result": {"messages": [question, answer]}, "interrupts": []}),
    ]

    ((name, (message, shown)),) = events(translator, *yielded)

    assert (name, message["content"]) == ("messages", "!")
    assert shown == {
        "graph_id": "g",
        "thread_id": "t",
        "ls_integration": "langgraph",
        "langgraph_step": 5,
        "langgraph_node": "agent",
        "langgraph_triggers": ["x"],
        "langgraph_path": ["__pregel_pull", "agent"],
        "langgraph_checkpoint_ns": "agent:task-1",
    }


def test_a_message_of_a_plain_node_is_not_repeated_when_the_node_ends() -> None:
    translator = EventTranslator(stream_modes=["messages-tuple"], subgraphs=False)
    answer = AIMessage("!", id="a")

    sent = events(
        translator,
        ((), "messages", (AIMessageChunk("!", id="a"), {})),
        ((), "tasks", {"id": "task-1", "name": "agent", "error": None, "result": {"messages": [answer]}}),
    )

    assert [name for name, _ in sent] == ["messages"]


def test_debug_events_name_checkpoints_as_states_do_and_hide_the_caller() -> None:
    translator = EventTranslator(stream_modes=["debug"], subgraphs=False)
    configurable = {"thread_id": "t", "checkpoint_ns": "", "checkpoint_id": "c", "langgraph_auth_user": {"token": "x"}}
    child = {"configurable": {"thread_id": "t", "checkpoint_ns": "child:1"}}
    payload = {
        "config": {"configurable": configurable},
        "parent_config": None,
        "tasks": [{"id": "1", "name": "child", "state": child}, {"id": "2", "name": "leaf", "state": None}],
    }

    ((_, event),) = events(translator, ((), "debug", {"type": "checkpoint", "payload": payload}))

    shown = event["payload"]
    assert shown["checkpoint"] == {"checkpoint_id": "c", "thread_id": "t", "checkpoint_ns": ""}
    assert shown["parent_checkpoint"] is None
    assert shown["tasks"] == [
        {"id": "1", "name": "child", "checkpoint": {"thread_id": "t", "checkpoint_ns": "child:1"}},
        {"id": "2", "name": "leaf", "state": None},
    ]
    assert "langgraph_auth_user" not in shown["config"]["configurable"]
