"""A graph of several steps: it plans a short text, researches the sections at the same time, and writes it."""

from __future__ import annotations

import asyncio
import operator
from dataclasses import dataclass
from typing import Annotated, Any

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Send
from pydantic import Field
from typing_extensions import TypedDict

from lgnb.graphs.scripted_model import ScriptedChatModel

_SECTIONS = ("what it is", "why it matters", "where to begin")

_FINDINGS = {
    "what it is": "In one sentence: {topic} is easiest to understand from an example that you can run.",
    "why it matters": "People who know {topic} well spend less time on accidents and more on decisions.",
    "where to begin": "Take the smallest case of {topic} that is still real, and change one thing at a time.",
}


@dataclass
class Context:
    """What an assistant of this graph can be told."""

    token_delay: Annotated[
        float, Field(description="Seconds before each token; a piece of research takes five.", ge=0)
    ] = 0.02


class Note(TypedDict):
    """What was found for one section."""

    section: str
    text: str


class Topic(TypedDict):
    """What to write about."""

    topic: str


class State(Topic):
    outline: list[str]
    notes: Annotated[list[Note], operator.add]
    report: str


class Section(TypedDict):
    """The state of one piece of research, which is a subgraph."""

    topic: str
    section: str
    finding: str
    notes: Annotated[list[Note], operator.add]


class Researched(TypedDict):
    notes: Annotated[list[Note], operator.add]


def _delay(runtime: Runtime[Context]) -> float:
    return (runtime.context or Context()).token_delay


async def plan(state: State) -> dict[str, Any]:
    """Decide on the sections."""
    get_stream_writer()({"progress": 0.1, "text": f"Planned {len(_SECTIONS)} sections"})
    return {"outline": list(_SECTIONS)}


def assign(state: State) -> list[Send]:
    """Research every section at the same time."""
    return [Send("research", {"topic": state["topic"], "section": section}) for section in state["outline"]]


async def gather(state: Section, runtime: Runtime[Context]) -> dict[str, Any]:
    """Find something about one section."""
    await asyncio.sleep(5 * _delay(runtime))
    return {"finding": _FINDINGS[state["section"]].format(topic=state["topic"])}


async def summarise(state: Section) -> dict[str, Any]:
    """Hand the finding back to the whole."""
    get_stream_writer()({"progress": 0.5, "text": f"Researched {state['section']}"})
    return {"notes": [Note(section=state["section"], text=state["finding"])]}


async def write(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Write the report, token by token."""
    parts = [
        f"## {note['section'].capitalize()}\n\n{note['text']}" for note in state["notes"][-len(state["outline"]) :]
    ]
    text = "\n\n".join([f"# {state['topic'].strip().capitalize()}", *parts])
    writer = ScriptedChatModel(script=lambda _: AIMessage(text), token_delay=_delay(runtime))
    reply = await writer.ainvoke([HumanMessage(f"Write about {state['topic']}.")])
    get_stream_writer()({"progress": 1.0, "text": "Wrote the report"})
    return {"report": str(reply.text)}


def _graph() -> Any:
    research = StateGraph(Section, output_schema=Researched, context_schema=Context)
    research.add_node("gather", gather)
    research.add_node("summarise", summarise)
    research.add_edge(START, "gather")
    research.add_edge("gather", "summarise")
    research.add_edge("summarise", END)

    builder = StateGraph(State, input_schema=Topic, context_schema=Context)
    builder.add_node("plan", plan)
    builder.add_node("research", research.compile())
    builder.add_node("write", write)
    builder.add_edge(START, "plan")
    builder.add_conditional_edges("plan", assign, ["research"])
    builder.add_edge("research", "write")
    builder.add_edge("write", END)
    return builder.compile()


graph = _graph()
