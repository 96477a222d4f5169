"""What stays in the tables, alone and with their indexes, after runs that every agent resembles."""

from __future__ import annotations

import uuid
from typing import Any

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.graph import END, START, MessagesState, StateGraph

from .. import graphs
from ..databases import stored_bytes
from ..figures import Metric
from . import Family, Figures, Scale

_STEPS = 500
_MEGABYTE = 1e6
_WORDS = "the quick brown fox jumps over a lazy dog while seven wizards watch and nobody says anything at all".split()


def text(number: int, length: int) -> str:
    """A text of words in an order of its own, so that it compresses like prose and not like a pattern."""
    state, words, size = number * 7919 + 1, [], 0
    while size < length:
        state = (state * 1103515245 + 12345) % 2**31
        words.append(f"{_WORDS[state % len(_WORDS)]}{state % 97}")
        size += len(words[-1]) + 1
    return " ".join(words)[:length]


async def _short(saver: Any) -> None:
    await _looped(saver, graphs.steps(_STEPS))


async def _unchanged(saver: Any) -> None:
    await _looped(saver, graphs.steps(_STEPS, carried=text(1, 100_000)))


async def _looped(saver: Any, given: Any) -> None:
    config: Any = {"configurable": {"thread_id": str(uuid.uuid4())}, "recursion_limit": 2 * _STEPS}
    await graphs.log.copy({"checkpointer": saver}).ainvoke(given, config)


def _chat(turns: int) -> Any:
    async def chat(saver: Any) -> None:
        async def answer(state: MessagesState) -> dict[str, Any]:
            return {"messages": [AIMessage(text(len(state["messages"]), 2000))]}

        builder = StateGraph(MessagesState).add_node("answer", answer).add_edge(START, "answer")
        graph = builder.add_edge("answer", END).compile(checkpointer=saver)
        config: Any = {"configurable": {"thread_id": str(uuid.uuid4())}}
        for turn in range(turns):
            await graph.ainvoke({"messages": [HumanMessage(f"question {turn}")]}, config)

    return chat


def _column(which: str) -> Any:
    async def measured(scale: Scale) -> Figures:
        # The library's saver stores the whole chat with each turn: 250 turns show that as well as 500 do.
        half, whole = (250, 500) if which == "lgnb" else (125, 250)
        works: dict[str, Any] = {"short": _short, "unchanged": _unchanged}
        if not scale.is_quick:
            works |= {f"chat_{half}": _chat(half), f"chat_{whole}": _chat(whole)}
        found: Figures = {}
        for name, work in works.items():
            tables, indexes = await stored_bytes(which, work)
            found[name] = tables / _MEGABYTE
            found[f"{name}_all"] = (tables + indexes) / _MEGABYTE
        if not scale.is_quick:
            found["growth"] = found[f"chat_{whole}"] / found[f"chat_{half}"]
        return found

    return measured


_INDEXED = "… with its indexes"

FAMILY = Family(
    "Bytes in the tables of the checkpointer",
    (
        Metric("short", "500 supersteps, one short message each", "MB", "<= 0.6", 2),
        Metric("short_all", _INDEXED, "MB", "", 2),
        Metric("unchanged", "500 supersteps that return an unchanged 100 kB text", "MB", "<= 0.5", 2),
        Metric("unchanged_all", _INDEXED, "MB", "", 2),
        Metric("chat_250", "a chat of 250 turns, answers of 2 kB", "MB", "", 2),
        Metric("chat_250_all", _INDEXED, "MB", "", 2),
        Metric("chat_500", "a chat of 500 turns, answers of 2 kB", "MB", "<= 3", 2),
        Metric("chat_500_all", _INDEXED, "MB", "", 2),
        Metric("growth", "twice the turns take so many times the bytes", "×", "", 2),
    ),
    floors=(("lgnb", _column("lgnb")), ("AsyncPostgresSaver", _column("AsyncPostgresSaver"))),
    # The same bytes each time.
    rounds=1,
)
