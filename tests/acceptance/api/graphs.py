"""Graphs with the shapes that the API has to show: steps, subgraphs, questions, failures, messages."""

from __future__ import annotations

import asyncio
import operator
from dataclasses import dataclass
from typing import Annotated, Any

from langchain_core.messages import AIMessage
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Send, interrupt
from typing_extensions import TypedDict

from lgnb.graphs.scripted_model import ScriptedChatModel


class State(TypedDict):
    log: Annotated[list[str], operator.add]


@dataclass
class Options:
    seconds: float = 30.0


def saying(word: str) -> Any:
    async def say(state: State) -> dict[str, Any]:
        get_stream_writer()({"from": word})
        return {"log": [word]}

    return say


async def _sleep(state: State, runtime: Runtime[Options]) -> dict[str, Any]:
    await asyncio.sleep((runtime.context or Options()).seconds)
    return {"log": ["slept"]}


async def _fail(state: State) -> dict[str, Any]:
    raise ValueError("boom")


async def _ask(state: State) -> dict[str, Any]:
    return {"log": [f"answered {interrupt({'question': 'inside?'})}"]}


async def _ask_twice(state: State) -> dict[str, Any]:
    return {"log": [f"{interrupt('first?')} and {interrupt('second?')}"]}


async def _speak(state: MessagesState) -> dict[str, Any]:
    model = ScriptedChatModel(script=lambda _: AIMessage("one two three"))
    return {"messages": [await model.ainvoke(state["messages"])]}


async def _add(state: MessagesState) -> dict[str, Any]:
    return {"messages": [AIMessage("added", id="added")]}


def _fan_out(state: State) -> list[Send]:
    return [Send("work", {"log": [str(number)]}) for number in range(3)]


async def _work(state: State) -> dict[str, Any]:
    return {"log": [f"worked on {state['log'][0]}"]}


def sequence(*nodes: tuple[str, Any], state: Any = State) -> Any:
    return StateGraph(state, context_schema=Options).add_sequence(list(nodes)).add_edge(START, nodes[0][0]).compile()


steps = sequence(("a", saying("a")), ("b", saying("b")), ("c", saying("c")))
slow = sequence(("a", saying("a")), ("sleep", _sleep), ("c", saying("c")))
fails = sequence(("a", saying("a")), ("fail", _fail))
asks_twice = sequence(("ask", _ask_twice))
nested = sequence(("first", saying("first")), ("child", sequence(("pre", saying("pre")), ("ask", _ask))))
talk = sequence(("talker", sequence(("speak", _speak), state=MessagesState)), ("add", _add), state=MessagesState)
fans_out = (
    StateGraph(State)
    .add_node("work", _work)
    .add_conditional_edges(START, _fan_out, ["work"])
    .add_edge("work", END)
    .compile()
)
