"""Deterministic graphs for tests of a server: each does one thing that a test can count, delay, block or break.

Their behaviour is told by context, or by configurable where a client sends that; `langgraph.json` beside this file
serves them all.
"""

from __future__ import annotations

import asyncio
import operator
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt
from typing_extensions import TypedDict

from lgnb.graphs.scripted_model import ScriptedChatModel


@dataclass
class Options:
    """How the graphs behave.

    Attributes:
        steps: supersteps of `counter`.
        count: tokens of `tokens`.
        delay: seconds that one step, or one token, takes without blocking the loop.
        seconds: how long `blocker` blocks its loop.
        log_file: a file to which `counter`, `crasher` and `failing` append a line for each execution of a step.
        times: how often `crasher` and `failing` do it before they succeed, counted in `log_file`; always without one.
        message: text of the error that `failing` raises.
    """

    steps: int = 5
    count: int = 20
    delay: float = 0.0
    seconds: float = 1.0
    log_file: str | None = None
    times: int | None = None
    message: str = "failed on purpose"


class Text(TypedDict):
    text: str


class Count(TypedDict):
    step: int
    seen: Annotated[list[int], operator.add]


def _options(runtime: Runtime[Options]) -> Options:
    return runtime.context or Options()


def _record(options: Options, line: str) -> int:
    """Append to the log file as one write; answers how many lines it had before."""
    if options.log_file is None:
        return 0
    path = Path(options.log_file)
    before = len(path.read_text().splitlines()) if path.exists() else 0
    with path.open("a") as file:
        file.write(f"{line}\n")
    return before


def _one_node(state: Any, name: str, node: Callable[..., Any]) -> Any:
    return (
        StateGraph(state, context_schema=Options)
        .add_node(name, node)
        .add_edge(START, name)
        .add_edge(name, END)
        .compile()
    )


async def _echo(state: Text, runtime: Runtime[Options]) -> dict[str, Any]:
    await asyncio.sleep(_options(runtime).delay)
    get_stream_writer()({"echo": state["text"]})
    return {"text": f"echo: {state['text']}"}


async def _step(state: Count, runtime: Runtime[Options]) -> dict[str, Any]:
    options = _options(runtime)
    step = state.get("step", 0) + 1
    _record(options, str(step))
    await asyncio.sleep(options.delay)
    return {"step": step, "seen": [step]}


def _more(state: Count, runtime: Runtime[Options]) -> Literal["step", "__end__"]:
    return "step" if state["step"] < _options(runtime).steps else "__end__"


async def _block(state: Text, runtime: Runtime[Options]) -> dict[str, Any]:
    # On purpose: this is what the isolation of event loops has to survive.
    time.sleep(_options(runtime).seconds)  # noqa: ASYNC251
    return {"text": "unblocked"}


async def _fail(state: Text, runtime: Runtime[Options]) -> dict[str, Any]:
    options = _options(runtime)
    if options.times is None or _record(options, "fail") < options.times:
        raise ValueError(options.message)
    return {"text": "recovered"}


async def _crash(state: Text, runtime: Runtime[Options]) -> dict[str, Any]:
    options = _options(runtime)
    if options.times is None or _record(options, "crash") < options.times:
        os._exit(41)
    return {"text": "survived"}


async def _speak(state: MessagesState, runtime: Runtime[Options]) -> dict[str, Any]:
    options = _options(runtime)
    text = " ".join(f"token{number}" for number in range(1, options.count + 1))
    model = ScriptedChatModel(script=lambda _: AIMessage(text), token_delay=options.delay)
    return {"messages": [await model.ainvoke(state["messages"] or [HumanMessage("speak")])]}


class Answers(TypedDict):
    answers: Annotated[list[Any], operator.add]


async def _ask(state: Answers) -> dict[str, Any]:
    return {"answers": [interrupt({"question": "one?"})]}


async def _ask_left(state: Answers) -> dict[str, Any]:
    return {"answers": [{"left": interrupt({"question": "left?"})}]}


async def _ask_right(state: Answers) -> dict[str, Any]:
    return {"answers": [{"right": interrupt({"question": "right?"})}]}


async def _start_child(state: Count) -> Command[Literal["child"]]:
    return Command(goto="child", update={"step": state.get("step", 0), "seen": []})


def _counter() -> Any:
    builder = StateGraph(Count, context_schema=Options).add_node("step", _step).add_edge(START, "step")
    return builder.add_conditional_edges("step", _more).compile()


def _two_questions() -> Any:
    builder = StateGraph(Answers, context_schema=Options).add_node("left", _ask_left).add_node("right", _ask_right)
    builder.add_edge(START, "left").add_edge(START, "right").add_edge("left", END).add_edge("right", END)
    return builder.compile()


def _parent() -> Any:
    builder = StateGraph(Count, context_schema=Options).add_node("begin", _start_child).add_node("child", child)
    return builder.add_edge(START, "begin").add_edge("child", END).compile()


def _around(state: Any, inner: Any) -> Any:
    return StateGraph(state).add_node("inner", inner).add_edge(START, "inner").add_edge("inner", END).compile()


echo = _one_node(Text, "echo", _echo)
counter = _counter()
blocker = _one_node(Text, "block", _block)
failing = _one_node(Text, "fail", _fail)
crasher = _one_node(Text, "crash", _crash)
tokens = _one_node(MessagesState, "speak", _speak)
approver = _one_node(Answers, "ask", _ask)
two_approvers = _two_questions()
nested_approver = _around(Answers, approver)
nested_tokens = _around(MessagesState, tokens)
child = _counter()
parent = _parent()
