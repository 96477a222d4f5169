from __future__ import annotations

import dataclasses
import subprocess
import sys
from enum import Enum
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, TypedDict, TypeVar

import pydantic
from langgraph.graph import START, StateGraph

from lgnb.checkpoints.revivable import revivable_types


class Kind(Enum):
    A = "a"


class Leaf(pydantic.BaseModel):
    kind: Kind


@dataclasses.dataclass
class Tree:
    left: Tree | None
    leaves: dict[str, list[Leaf]]


Bound = TypeVar("Bound", bound=Tree)


class Box(pydantic.BaseModel, Generic[Bound]):
    content: Bound


class Pair(NamedTuple):
    first: NotImported  # noqa: F821  a name that is missing at run time
    second: int


class Sent(pydantic.BaseModel):
    x: int


class Private(pydantic.BaseModel):
    x: int


class InChild(pydantic.BaseModel):
    x: int


class Unrelated(pydantic.BaseModel):
    x: int


Name = NewType("Name", Leaf)


class ChildState(TypedDict):
    found: InChild


class State(TypedDict):
    tree: Annotated[Tree | None, lambda old, new: new]
    boxes: tuple[Box[Tree], ...]
    pair: Pair
    mode: Literal[Kind.A, "other"]
    name: Name
    anything: Any
    text: str


class Work(TypedDict):
    sent: Sent


class Hidden(TypedDict):
    private: Private


def names(graph: Any) -> set[str]:
    return {name for module, name in revivable_types(graph) if module == __name__}


def test_declared_classes_are_found_through_containers_unions_fields_and_subgraphs():
    child = StateGraph(ChildState).add_node("n", lambda state: {}).add_edge(START, "n").compile()
    graph = StateGraph(State)
    graph.add_node("child", child)
    graph.add_node("work", lambda work: {}, input_schema=Work)
    graph.add_node("hidden", lambda hidden: {}, input_schema=Hidden)
    graph.add_edge(START, "child")

    found = names(graph.compile())

    assert found >= {"Kind", "Leaf", "Tree", "Box", "Pair", "Sent", "Private", "InChild"}
    assert "Unrelated" not in found


def test_builtins_and_functions_are_not_offered():
    graph = StateGraph(State).add_node("n", lambda state: {}).add_edge(START, "n").compile()

    assert not [entry for entry in revivable_types(graph) if entry[0] in ("builtins", "os", "typing")]


def test_an_object_that_declares_nothing_gives_nothing():
    assert revivable_types(object()) == set()


def test_the_saver_loads_without_a_database_driver():
    code = "import sys, lgnb.checkpoints.saver, lgnb.checkpoints.tasks; print('psycopg' in sys.modules)"

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert found.stdout.strip() == "False"
