"""The graphs under measurement. Every server imports this file, so it knows nothing but LangGraph."""

from __future__ import annotations

import asyncio
import operator
import time
from typing import Annotated, Any

from langchain_core.language_models import FakeListChatModel
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, MessagesState, StateGraph
from typing_extensions import TypedDict

TOKENS = 500


class Text(TypedDict):
    text: str


class Steps(TypedDict):
    # How many supersteps are left, what each of them said, and what it carries along.
    left: int
    said: Annotated[list[str], operator.add]
    carried: str


async def _answer(state: Text) -> Text:
    return {"text": state["text"].upper()}


async def _step(state: Steps) -> dict[str, Any]:
    written: dict[str, Any] = {"left": state["left"] - 1, "said": [f"step {state['left']} is done"]}
    if state.get("carried"):
        # A node that returns the whole state writes what it did not change as well.
        written["carried"] = state["carried"]
    return written


def _looped() -> StateGraph[Any]:
    builder = StateGraph(Steps).add_node("step", _step).add_edge(START, "step")
    return builder.add_conditional_edges("step", lambda state: "step" if state["left"] > 0 else END, ["step", END])


async def _speak(state: MessagesState) -> dict[str, Any]:
    # A model that answers as fast as it is read; like a real one it lets the loop go between two tokens.
    model = FakeListChatModel(responses=["x" * TOKENS], sleep=0)
    return {"messages": [await model.ainvoke(state["messages"])]}


async def _tick(state: Steps) -> dict[str, Any]:
    write = get_stream_writer()
    for _ in range(state["left"]):
        write({"at": time.monotonic()})
        await asyncio.sleep(0.01)
    return {"left": 0}


def _one(state: Any, name: str, node: Any) -> StateGraph[Any]:
    return StateGraph(state).add_node(name, node).add_edge(START, name).add_edge(name, END)


one_node = _one(Text, "answer", _answer).compile()
ten_steps = _looped().compile()
log = _looped().compile().with_config(recursion_limit=2000)
tokens = _one(MessagesState, "speak", _speak).compile()
ticker = _one(Steps, "tick", _tick).compile()


def steps(count: int, *, carried: str = "") -> dict[str, Any]:
    """The input of a graph that makes this many supersteps."""
    return {"left": count, "said": [], **({"carried": carried} if carried else {})}
