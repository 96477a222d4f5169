"""A graph that remembers what it is told in the store of the server, and recalls what is like it."""

from __future__ import annotations

from langgraph.config import get_store
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    text: str
    recalled: list[str]
    known: int


async def remember(state: State, runtime: Runtime) -> State:
    assert runtime.store is not None
    await runtime.store.aput(("graph", "notes"), state["text"], {"text": state["text"]})
    found = await runtime.store.asearch(("graph",), query=state["text"], limit=2)
    return {"recalled": [item.key for item in found]}


def count(state: State) -> State:
    """A plain function, which runs on a thread of its own."""
    return {"known": len(get_store().search(("graph",)))}


builder = StateGraph(State).add_node("remember", remember).add_node("count", count)
graph = builder.add_edge(START, "remember").add_edge("remember", "count").add_edge("count", END).compile()
