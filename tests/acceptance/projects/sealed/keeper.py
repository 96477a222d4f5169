"""A graph that keeps a secret: in its state, the store, a thread, a question, and the message of an error."""

from __future__ import annotations

import operator
from typing import Annotated, Any

from langgraph.config import get_store
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from langgraph_sdk import get_client
from typing_extensions import TypedDict


class State(TypedDict):
    texts: Annotated[list[str], operator.add]
    kind: str


async def keep(state: State) -> dict[str, Any]:
    text = state["texts"][-1]
    await get_store().aput(("kept",), "last", {"kind": "kept", "text": text})
    await get_client().threads.create(metadata={"kind": "made by a graph", "note": text})
    return {"texts": [f"kept {text}"], "kind": "seen"}


def ask(state: State) -> dict[str, Any]:
    get_store().put(("kept",), "asked", {"kind": "asked", "text": state["texts"][-1]})
    if state["texts"][-1].startswith("kept fail"):
        raise ValueError(f"cannot go on with {state['texts'][-1]}")
    return {"texts": [interrupt({"about": state["texts"][-1]})]}


graph = StateGraph(State).add_sequence([keep, ask]).add_edge(START, "keep").add_edge("ask", END).compile()
