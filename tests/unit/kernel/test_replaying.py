from __future__ import annotations

import operator
from typing import Annotated, Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Send, interrupt
from pydantic import BaseModel
from typing_extensions import TypedDict

from lgnb.errors import InvalidRequest
from lgnb.json_encoding import jsonable
from lgnb.kernel.past import Past
from lgnb.kernel.replaying import Options, Replay, replayed

_CONFIG: Any = {"configurable": {"thread_id": "t"}}


class Place(BaseModel):
    city: str


class Trip(TypedDict, total=False):
    text: str
    place: Place
    seen: Annotated[list[str], operator.add]


def _mark(name: str, **more: Any) -> Any:
    return lambda state: {"seen": [name], **more}


def _trip(**nodes: Any) -> Any:
    """a, then b beside c and d, then e when both branches have come to their end."""
    builder = StateGraph(Trip)
    for name in "abcde":
        builder.add_node(name, nodes.get(name, _mark(name)))
    builder.add_edge(START, "a").add_edge("a", "b").add_edge("a", "c").add_edge("c", "d")
    return builder.add_edge(["b", "d"], "e").add_edge("e", END)


def _past(builder: Any, *inputs: Any) -> Past:
    """What a server would tell of runs with these inputs."""
    graph = builder.compile(checkpointer=InMemorySaver())
    for given in inputs:
        graph.invoke(given, _CONFIG, durability="sync")
    states: list[dict[str, Any]] = []
    for one in graph.get_state_history(_CONFIG):
        parent = one.parent_config["configurable"] if one.parent_config else None
        tasks = [
            {
                "name": task.name,
                "path": list(task.path),
                "result": jsonable(task.result),
                "interrupts": [{"value": jsonable(each.value)} for each in task.interrupts],
            }
            for task in one.tasks
        ]
        states.append(
            {
                "values": jsonable(one.values),
                "next": list(one.next),
                "metadata": dict(one.metadata or {}),
                "checkpoint": dict(one.config["configurable"]),
                "parent_checkpoint": dict(parent) if parent else None,
                "tasks": tasks,
            }
        )
    return Past("t", states)


async def _replay(builder: Any, past: Past, number: int, **options: Any) -> Replay:
    return await replayed(builder, past, past.find(number), name="thread#1", options=Options(**options))


async def test_the_same_graph_goes_the_same_way_from_every_checkpoint() -> None:
    builder = _trip(a=_mark("a", place=Place(city="Rome")))
    past = _past(builder, {"text": "one"}, {"text": "two"})

    replays = [await _replay(builder, past, number) for number, state in enumerate(past.states) if state["next"]]

    assert len(replays) == 10
    assert [one.is_same for one in replays] == [True] * 10, replays
    assert replays[0].values["place"] == {"city": "Rome"}
    assert all(one.notes == () for one in replays)


async def test_values_come_back_as_the_objects_that_the_state_declares() -> None:
    seen: list[Any] = []

    def look(state: Trip) -> Any:
        seen.append(state["place"])
        return {}

    past = _past(_trip(a=_mark("a", place=Place(city="Rome"))), {"text": "x"})

    await _replay(_trip(e=look), past, 1)

    assert seen == [Place(city="Rome")]


async def test_messages_come_back_and_their_new_ids_are_no_difference() -> None:
    def say(state: MessagesState) -> Any:
        assert isinstance(state["messages"][0], HumanMessage)
        return {"messages": [AIMessage("hello")]}

    builder = StateGraph(MessagesState).add_node("say", say).add_edge(START, "say").add_edge("say", END)
    past = _past(builder, {"messages": [HumanMessage("hi")]})

    from_node, from_start = [await _replay(builder, past, number) for number in (1, 2)]

    assert from_node.is_same
    assert from_start.is_same
    assert "2: ai: hello" in repr(from_node)


async def test_what_another_graph_does_is_shown_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LGNB_LIVE", "0")
    past = _past(_trip(), {"text": "x"})

    replay = await _replay(_trip(d=_mark("D", text="y")), past, 2)

    assert not replay.is_same
    assert repr(replay).splitlines() == [
        "thread#1: 2 of 2 states differ",
        "step        original                   replayed                   differs",
        "3     ran   d                          d",
        '      text  "x"                        "y"                        ≠',
        '      seen  ["a", "b", "c", "d"]       ["a", "b", "c", "D"]       ≠',
        "4     ran   e                          e",
        '      text  "x"                        "y"                        ≠',
        '      seen  ["a", "b", "c", "d", "e"]  ["a", "b", "c", "D", "e"]  ≠',
    ]


async def test_its_forms_are_safe_and_its_frame_has_the_values() -> None:
    past = _past(_trip(), {"text": "<script>"})

    replay = await _replay(_trip(e=_mark("e", text="<b>")), past, 1)

    bundle = replay._repr_mimebundle_()
    assert "<b>" not in bundle["text/html"]
    assert "<script>" not in bundle["text/html"]
    assert "background" in bundle["text/html"]
    assert bundle["text/markdown"].startswith("**thread#1: 1 of 1 states differ**")
    frame = replay.to_frame()
    assert frame[frame.key == "text"].replayed.tolist() == ["<b>"]
    assert frame[frame.key == "text"].same.tolist() == [False]


async def test_a_node_that_fails_is_part_of_the_result() -> None:
    def fail(state: Trip) -> Any:
        raise ValueError("on purpose")

    past = _past(_trip(), {"text": "x"})

    replay = await _replay(_trip(e=fail), past, 1)

    assert isinstance(replay.error, ValueError)
    assert not replay.is_same
    assert "\nValueError: on purpose\n" in repr(replay)
    assert "in fail" in repr(replay)
    assert "The run here failed: ValueError: on purpose" in replay._repr_mimebundle_()["text/html"]


async def test_a_question_is_shown_and_can_be_answered() -> None:
    def ask(state: Trip) -> Any:
        return {"text": interrupt("sure?")}

    builder = _trip(e=ask)
    past = _past(builder, {"text": "x"})

    waiting = await _replay(builder, past, 0)
    answered = await _replay(builder, past, 0, resume="yes")

    assert waiting.replayed[-1]["tasks"][0]["interrupts"] == [{"value": "sure?"}]
    assert answered.values["text"] == "yes"


async def test_a_checkpoint_that_cannot_be_gone_on_from_is_refused_with_the_reason() -> None:
    past = _past(_trip(), {"text": "x"})
    other = StateGraph(Trip).add_node("only", _mark("only")).add_edge(START, "only")
    sending = (
        StateGraph(Trip)
        .add_node("begin", _mark("begin"))
        .add_node("sent", _mark("sent"))
        .add_edge(START, "begin")
        .add_conditional_edges("begin", lambda state: [Send("sent", {"text": "1"})], ["sent"])
    )

    with pytest.raises(InvalidRequest, match="an end"):
        await _replay(_trip(), past, 0)
    with pytest.raises(InvalidRequest, match=r"numbers 0 .* to 5"):
        past.find(6)
    with pytest.raises(InvalidRequest, match="goes on with e there, but this graph has only only"):
        await _replay(other, past, 1)
    with pytest.raises(InvalidRequest, match="sent was sent to"):
        await _replay(sending, _past(sending, {"text": "x"}), 1)


async def test_a_key_that_the_graph_does_not_know_is_left_out_and_told() -> None:
    class Less(TypedDict):
        seen: Annotated[list[str], operator.add]

    past = _past(_trip(), {"text": "x"})
    builder = StateGraph(Less).add_node("e", _mark("e")).add_edge(START, "e")

    replay = await _replay(builder, past, 1)

    assert replay.notes == ("text: this graph has no such key, so it is left out.",)
    assert replay.values == {"seen": ["a", "b", "c", "d", "e"]}


async def test_the_newest_branch_from_a_checkpoint_is_the_one_compared_with() -> None:
    builder = _trip()
    graph = builder.compile(checkpointer=InMemorySaver())
    graph.invoke({"text": "x"}, _CONFIG)
    past = _past(builder, {"text": "x"})
    fork = {**past.states[1], "checkpoint": {"checkpoint_id": "fork"}, "next": [], "values": {"text": "forked"}}
    fork["parent_checkpoint"] = past.states[1]["checkpoint"]

    replay = await _replay(builder, Past("t", [fork, *past.states]), 2)

    assert replay.original[-1]["values"] == {"text": "forked"}
