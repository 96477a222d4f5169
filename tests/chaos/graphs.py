"""Graphs that keep books: each superstep leaves one mark in the state and one line in a file outside of it.

The state tells what counted, the file what was executed; the checker compares both.
"""

from __future__ import annotations

import asyncio
import operator
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from langchain_core.runnables import RunnableConfig
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import interrupt
from typing_extensions import TypedDict


@dataclass
class Task:
    """What one run does.

    Attributes:
        request: names the request that asked for the run.
        steps: its supersteps.
        delay: seconds that each takes.
        blocking: whether a step holds up its event loop meanwhile.
        book: directory of the files with what was executed.
    """

    request: str = ""
    steps: int = 1
    delay: float = 0.0
    blocking: bool = False
    book: str = "."


class Ledger(TypedDict):
    step: int
    marks: Annotated[list[str], operator.add]


async def _step(state: Ledger, config: RunnableConfig, runtime: Runtime[Task]) -> dict[str, Any]:
    task = runtime.context
    step = state["step"] + 1
    attempt = config.get("metadata", {}).get("run_attempt")
    with (Path(task.book) / task.request).open("a") as file:
        file.write(f"{attempt} {step}\n")
    if task.blocking:
        time.sleep(task.delay)  # noqa: ASYNC251  on purpose: no lease may depend on a graph's manners
    else:
        await asyncio.sleep(task.delay)
    get_stream_writer()({"request": task.request, "step": step})
    return {"step": step, "marks": [f"{task.request} {step}"]}


def _more(state: Ledger, runtime: Runtime[Task]) -> Literal["step", "__end__"]:
    return "step" if state["step"] < runtime.context.steps else "__end__"


async def _ask(state: Ledger, runtime: Runtime[Task]) -> dict[str, Any]:
    answer = interrupt({"request": runtime.context.request})
    await asyncio.sleep(runtime.context.delay)
    return {"marks": [f"answer {answer}"]}


ledger = (
    StateGraph(Ledger, context_schema=Task)
    .add_node("step", _step)
    .add_edge(START, "step")
    .add_conditional_edges("step", _more)
    .compile()
)
question = (
    StateGraph(Ledger, context_schema=Task).add_node("ask", _ask).add_edge(START, "ask").add_edge("ask", END).compile()
)
