"""Graphs that stop, ask or leave in ways which only the tests of faults need."""

from __future__ import annotations

import asyncio
import operator
import sys
from pathlib import Path
from typing import Annotated, Any

from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict


class Answers(TypedDict):
    log_file: str
    delay: float
    answers: Annotated[list[Any], operator.add]


def _note(state: Answers, line: str) -> None:
    with Path(state["log_file"]).open("a") as file:
        file.write(f"{line}\n")


async def _ask_twice(state: Answers) -> dict[str, Any]:
    first = interrupt("first?")
    _note(state, f"got {first}")
    await asyncio.sleep(state["delay"])
    second = interrupt("second?")
    return {"answers": [first, second]}


async def _ask_left(state: Answers) -> dict[str, Any]:
    answer = interrupt("left?")
    _note(state, f"left got {answer}")
    await asyncio.sleep(state["delay"])
    return {"answers": [f"left {answer}"]}


async def _ask_right(state: Answers) -> dict[str, Any]:
    answer = interrupt("right?")
    _note(state, f"right got {answer}")
    await asyncio.sleep(state["delay"])
    return {"answers": [f"right {answer}"]}


async def _leave(state: Answers) -> dict[str, Any]:
    sys.exit("a node called sys.exit")


two_in_a_row = StateGraph(Answers).add_node("ask", _ask_twice).add_edge(START, "ask").add_edge("ask", END).compile()
side_by_side = (
    StateGraph(Answers)
    .add_node("left", _ask_left)
    .add_node("right", _ask_right)
    .add_edge(START, "left")
    .add_edge(START, "right")
    .compile()
)
leaver = StateGraph(Answers).add_node("leave", _leave).add_edge(START, "leave").compile()
