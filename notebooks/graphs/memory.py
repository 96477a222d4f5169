"""A graph with a long-term memory: what a user asks it to remember is kept in the store, apart from any thread."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from langchain_core.messages import AIMessage, BaseMessage, SystemMessage
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.runtime import Runtime
from pydantic import Field

from .models import chat_model

_REMEMBER = re.compile(r"remember that (?P<fact>[^.!]+)", re.IGNORECASE)


@dataclass
class Context:
    """What an assistant of this graph can be told."""

    user: Annotated[str, Field(description="Whose memories these are.")] = "somebody"
    model: Annotated[str | None, Field(description="A real model; empty for the offline script.")] = None


def _namespace(runtime: Runtime[Context]) -> tuple[str, ...]:
    return ("memories", (runtime.context or Context()).user)


async def remember(state: MessagesState, runtime: Runtime[Context]) -> dict[str, Any]:
    """Keep what the user wants to be remembered. The store is the server's; a graph only asks for it."""
    assert runtime.store is not None
    found = _REMEMBER.search(str(state["messages"][-1].text))
    if found:
        number = len(await runtime.store.asearch(_namespace(runtime), limit=100)) + 1
        await runtime.store.aput(_namespace(runtime), f"fact-{number}", {"text": found["fact"].strip()})
    return {}


async def answer(state: MessagesState, runtime: Runtime[Context]) -> dict[str, Any]:
    """Answer with everything that is known about the user."""
    assert runtime.store is not None
    items = await runtime.store.asearch(_namespace(runtime), limit=100)
    facts = sorted(str(item.value["text"]) for item in items)
    known = "; ".join(facts) or "nothing"

    def script(messages: Sequence[BaseMessage]) -> AIMessage:
        asked = _REMEMBER.search(str(messages[-1].text))
        return AIMessage("I will remember that." if asked else f"What I know about you: {known}.")

    model = chat_model((runtime.context or Context()).model, script)
    system = SystemMessage(f"You know this about the user: {known}.")
    return {"messages": [await model.ainvoke([system, *state["messages"]])]}


graph = (
    StateGraph(MessagesState, context_schema=Context)
    .add_node("remember", remember)
    .add_node("answer", answer)
    .add_edge(START, "remember")
    .add_edge("remember", "answer")
    .compile()
)
