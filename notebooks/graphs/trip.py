"""A graph that asks two people at the same time: two nodes of one superstep, each with an `interrupt()`."""

from __future__ import annotations

from typing import Any

from langgraph.graph import START, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict


class Trip(TypedDict):
    city: str


class State(Trip, total=False):
    budget: int
    seat: str
    ticket: str


async def ask_manager(state: State) -> dict[str, Any]:
    """Ask how much the trip may cost."""
    return {"budget": interrupt({"question": f"How much may the trip to {state['city']} cost?", "unit": "EUR"})}


async def ask_traveller(state: State) -> dict[str, Any]:
    """Ask where the traveller wants to sit."""
    return {"seat": interrupt({"question": "Where do you want to sit?", "options": ["window", "aisle"]})}


async def book(state: State) -> dict[str, Any]:
    """Book with both answers; this example only says so."""
    return {"ticket": f"{state['city']}, {state['seat']} seat, at most {state['budget']} EUR"}


graph = (
    StateGraph(State, input_schema=Trip)
    .add_node("manager", ask_manager)
    .add_node("traveller", ask_traveller)
    .add_node("book", book)
    .add_edge(START, "manager")
    .add_edge(START, "traveller")
    .add_edge(["manager", "traveller"], "book")
    .compile()
)
