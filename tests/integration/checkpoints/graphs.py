"""Graphs for these tests: each one a shape in which checkpoints differ."""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.channels.delta import DeltaChannel
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Send, interrupt


def larger(old: int, new: int) -> int:
    return max(old, new)


class State(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]
    log: Annotated[list[str], operator.add]
    count: Annotated[int, larger]
    nested: dict[str, Any]


class Item(TypedDict):
    item: int


def say(name: str):
    def node(state: State) -> State:
        # Message ids are fixed, so that two runs of one graph make equal states.
        number = len(state.get("log", []))
        return {"log": [name], "count": number, "messages": [AIMessage(name * 40, id=f"{name}-{number}")]}

    return node


def linear() -> StateGraph:
    graph = StateGraph(State)
    graph.add_sequence([("a", say("a")), ("b", say("b")), ("c", say("c"))])
    graph.add_edge(START, "a")
    return graph


def parallel() -> StateGraph:
    graph = StateGraph(State)
    for name in ("a", "b", "c", "join"):
        graph.add_node(name, say(name))
    for name in ("c", "a", "b"):
        graph.add_edge(START, name)
    graph.add_edge(["a", "b", "c"], "join")
    return graph


def asking() -> StateGraph:
    def ask(state: State) -> State:
        first = interrupt({"question": "first", "set": {1}})
        second = interrupt("second")
        return {"log": [f"{first}-{second}"]}

    graph = StateGraph(State)
    graph.add_sequence([("a", say("a")), ("ask", ask), ("c", say("c"))])
    graph.add_edge(START, "a")
    return graph


def asking_beside() -> StateGraph:
    graph = StateGraph(State)
    graph.add_node("a", say("a"))
    graph.add_node("ask", lambda state: {"log": [interrupt("really?")]})
    graph.add_edge(START, "a")
    graph.add_edge(START, "ask")
    return graph


def failing() -> StateGraph:
    def fail(state: State) -> State:
        raise ValueError("boom")

    graph = StateGraph(State)
    graph.add_sequence([("a", say("a")), ("fail", fail)])
    graph.add_edge(START, "a")
    return graph


def with_child(*, persistent: bool = False) -> StateGraph:
    child = asking().compile(checkpointer=True if persistent else None)
    graph = StateGraph(State)
    graph.add_sequence([("before", say("before")), ("child", child), ("after", say("after"))])
    graph.add_edge(START, "before")
    return graph


def sending() -> StateGraph:
    graph = StateGraph(State)
    graph.add_node("plan", say("plan"))
    graph.add_node("work", lambda item: {"log": [f"work {item['item']}"]}, input_schema=Item)
    graph.add_node("reduce", say("reduce"))
    graph.add_edge(START, "plan")
    graph.add_conditional_edges("plan", lambda state: [Send("work", {"item": n}) for n in range(3)] + ["reduce"])
    graph.add_edge("work", END)
    return graph


def single_value() -> StateGraph:
    graph = StateGraph(Annotated[list[str], operator.add])
    graph.add_node("a", lambda state: ["a"])
    graph.add_node("b", lambda state: ["b"])
    graph.add_edge(START, "a")
    graph.add_edge("a", "b")
    return graph


def functional(checkpointer: Any):
    @task
    def double(number: int) -> int:
        return 2 * number

    @entrypoint(checkpointer=checkpointer)
    async def flow(number: int, *, previous: int | None = None) -> dict[str, int]:
        return {"sum": await double(number) + ((previous or {}).get("sum", 0))}

    return flow


def extend(state: list[str], writes: list[list[str]]) -> list[str]:
    return [*state, *(text for write in writes for text in write)]


class DeltaState(TypedDict, total=False):
    log: Annotated[list[str], DeltaChannel(extend, snapshot_frequency=4)]
    count: int


def delta(nodes: int = 6) -> StateGraph:
    graph = StateGraph(DeltaState)
    names = [f"n{number}" for number in range(nodes)]
    graph.add_sequence([(name, lambda state, name=name: {"log": [name], "count": 1}) for name in names])
    graph.add_edge(START, names[0])
    return graph


INPUT: dict[str, Any] = {"messages": [HumanMessage("hello " * 300, id="h")], "log": ["in"], "nested": {"x": [1, 2]}}
