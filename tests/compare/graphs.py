"""Graphs that both servers of the comparison serve. They know neither of them."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import decimal
import enum
import ipaddress
import operator
import pathlib
import re
import uuid
from collections import deque, namedtuple
from typing import Annotated, Any

from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig
from langgraph.config import get_stream_writer
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import interrupt
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    log: Annotated[list[Any], operator.add]


class Values(TypedDict, total=False):
    values: dict[str, Any]


class Options(TypedDict, total=False):
    model: str
    temperature: float


class Colour(enum.Enum):
    RED = "red"


Point = namedtuple("Point", "x y")


@dataclasses.dataclass
class Pair:
    left: int
    right: str


def saying(word: str) -> Any:
    async def say(state: State) -> State:
        get_stream_writer()({"from": word})
        return {"log": [word]}

    return say


async def _fail(state: State) -> State:
    raise ValueError("boom")


async def _ask(state: State) -> State:
    return {"log": [interrupt({"question": "yes?"})]}


async def _ask_again(state: State) -> State:
    return {"log": [interrupt("again?")]}


async def _sleep(state: State) -> State:
    await asyncio.sleep(30)
    return {"log": ["slept"]}


async def _speak(state: MessagesState) -> dict[str, Any]:
    model = GenericFakeChatModel(messages=iter([AIMessage("one two three", id="answer")]))
    return {"messages": [await model.ainvoke(state["messages"])]}


async def _encode(state: Values) -> Values:
    return {
        "values": {
            "bytes": b"\x00\xff",
            "uuid": uuid.UUID(int=7),
            "path": pathlib.PurePosixPath("/a/b"),
            "address": ipaddress.ip_address("127.0.0.1"),
            "naive": datetime.datetime(2020, 1, 2, 3, 4, 5),  # noqa: DTZ001
            "aware": datetime.datetime(2020, 1, 2, 3, 4, 5, 6, tzinfo=datetime.UTC),
            "date": datetime.date(2020, 1, 2),
            "time": datetime.time(3, 4),
            "delta": datetime.timedelta(minutes=1.5),
            "whole": decimal.Decimal("3"),
            "fraction": decimal.Decimal("3.25"),
            "enum": Colour.RED,
            "set": {1},
            "frozenset": frozenset([2]),
            "deque": deque([3]),
            "tuple": (4, 5),
            "nan": float("nan"),
            "infinity": float("inf"),
            "point": Point(1, 2),
            "pair": Pair(1, "r"),
            "regex": re.compile("a+"),
            "numbers": {1: "one", 2.5: "more", None: "none", False: "no"},
            "text": "gr\u00fc\u00df \U0001f600",
            "large": 2**53 + 1,
        }
    }


async def _show_context(state: State, runtime: Runtime[Options], config: RunnableConfig) -> State:
    configurable = config.get("configurable", {})
    return {"log": [runtime.context, {key: configurable.get(key) for key in ("model", "temperature", "other")}]}


async def _look_around(state: Values, runtime: Runtime[Options], config: RunnableConfig) -> Values:
    """Everything a node can see of the server, without what is different in every run."""
    configurable = config.get("configurable", {})
    seen = {key: value for key, value in configurable.items() if not key.startswith("__pregel")}
    about = runtime.execution_info, runtime.server_info
    return {
        "values": {
            "configurable": seen,
            "config": sorted(key for key in config if key != "callbacks"),
            "metadata": config.get("metadata"),
            "tags": config.get("tags"),
            "recursion_limit": config.get("recursion_limit"),
            "context": runtime.context,
            "execution": {name: type(getattr(about[0], name)).__name__ for name in _EXECUTION} if about[0] else None,
            "server": {name: str(getattr(about[1], name)) for name in _SERVER} if about[1] else None,
            "has store": runtime.store is not None,
            "previous": runtime.previous,
        }
    }


_EXECUTION = ("checkpoint_id", "checkpoint_ns", "task_id", "thread_id", "run_id", "node_attempt")
_SERVER = ("assistant_id", "graph_id", "user")


def sequence(*nodes: tuple[str, Any], state: Any = State, context: Any = None) -> Any:
    return StateGraph(state, context_schema=context).add_sequence(list(nodes)).add_edge(START, nodes[0][0]).compile()


steps = sequence(("a", saying("a")), ("b", saying("b")), ("c", saying("c")))
fails = sequence(("a", saying("a")), ("fail", _fail))
asks = sequence(("ask", _ask), ("b", saying("b")))
asks_both = (
    StateGraph(State)
    .add_node("left", _ask)
    .add_node("right", _ask_again)
    .add_edge(START, "left")
    .add_edge(START, "right")
    .compile()
)
nested = sequence(("first", saying("first")), ("child", sequence(("pre", saying("pre")), ("ask", _ask))))
speaks = sequence(("speak", _speak), state=MessagesState)
encodes = sequence(("encode", _encode), state=Values)
surroundings = sequence(("look", _look_around), state=Values)
with_context = sequence(("show", _show_context), context=Options)
slow = sequence(("a", saying("a")), ("sleep", _sleep))


def factory(config: RunnableConfig) -> Any:
    """A graph for each use."""
    word = config.get("configurable", {}).get("word", "nothing")
    return sequence(("say", saying(word)))
