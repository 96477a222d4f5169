"""What a graph's state is made of comes back as it was where the graph declares it, and as plain data elsewhere."""

from __future__ import annotations

import dataclasses
from enum import Enum
from typing import Any, NamedTuple, TypedDict
from uuid import uuid4

import pydantic
from langgraph.graph import START, StateGraph

from lgnb.checkpoints.codec import Codec
from lgnb.checkpoints.revivable import revivable_types
from lgnb.checkpoints.saver import Saver
from lgnb.checkpoints.storage import PostgresStorage


class Mood(Enum):
    GOOD = "good"


@dataclasses.dataclass
class Plan:
    steps: list[str]
    mood: Mood = Mood.GOOD


class Point(NamedTuple):
    x: int


class Profile(pydantic.BaseModel):
    name: str
    plan: Plan | None = None
    points: dict[str, list[Point]] = {}


class Undeclared(pydantic.BaseModel):
    secret: int = 1


class Inner(TypedDict):
    plan: Plan


class State(TypedDict, total=False):
    profile: Profile
    inner: Inner
    anything: Any


def build() -> StateGraph:
    def fill(state: State) -> State:
        plan = Plan(["a" * 2000])
        return {
            "profile": Profile(name="n", plan=plan, points={"p": [Point(1)]}),
            "inner": {"plan": plan},
            "anything": Undeclared(),
        }

    graph = StateGraph(State)
    graph.add_node("fill", fill)
    graph.add_edge(START, "fill")
    return graph


async def test_declared_types_are_revived_and_others_are_plain_data(storage: PostgresStorage):
    graph = build().compile()
    graph.checkpointer = Saver(storage, Codec(revivable_types(graph)))
    config = {"configurable": {"thread_id": str(uuid4())}}
    await graph.ainvoke({}, config)

    values = (await graph.aget_state(config)).values

    plan = Plan(["a" * 2000])
    assert values["profile"] == Profile(name="n", plan=plan, points={"p": [Point(1)]})
    assert values["inner"] == {"plan": plan}
    assert values["anything"] == {"secret": 1}


async def test_a_codec_without_the_graph_revives_no_class_of_the_user(storage: PostgresStorage):
    graph = build().compile(checkpointer=Saver(storage))
    config = {"configurable": {"thread_id": str(uuid4())}}
    await graph.ainvoke({}, config)

    values = (await graph.aget_state(config)).values

    assert values["profile"]["plan"] == {"steps": ["a" * 2000], "mood": "good"}


async def test_the_library_may_add_types_to_a_saver(storage: PostgresStorage):
    saver = Saver(storage).with_allowlist({(Plan.__module__, "Plan")})
    graph = build().compile(checkpointer=saver)
    config = {"configurable": {"thread_id": str(uuid4())}}
    await graph.ainvoke({}, config)

    assert isinstance((await graph.aget_state(config)).values["inner"]["plan"], Plan)
