from __future__ import annotations

import json
import operator
import subprocess
import sys
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from langchain_core.tools import tool
from langgraph.func import entrypoint
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.pregel import Pregel
from langgraph.types import Command
from typing_extensions import TypedDict

from lgnb.errors import GraphLoadError, InvalidRequest
from lgnb.graphs.descriptor_views import SCHEMA_KINDS, GraphDescriptor, drawing, schemas, subgraphs
from lgnb.graphs.descriptors import describe, describe_all
from lgnb.graphs.loading import GraphRegistry
from lgnb.graphs.sources import GraphSource


class Inner(TypedDict):
    x: int


class State(TypedDict):
    x: int
    items: Annotated[list[str], operator.add]


class Out(TypedDict):
    items: list[str]


class OldStyle(typing.TypedDict):
    x: int
    note: typing.NotRequired[str]


@dataclass
class Ctx:
    model: str = "small"


class Opaque:
    pass


def nothing(state: Any) -> dict[str, Any]:
    return {}


def decide(state: State) -> Command[Literal["child", "fin"]]:
    return Command(goto="fin")


@tool
def look_up(query: str) -> str:
    """Look something up."""
    return query


def nested() -> Any:
    deep = StateGraph(Inner).add_node("leaf", nothing).add_edge(START, "leaf").add_edge("leaf", END).compile()
    child = StateGraph(Inner).add_node("first", nothing).add_node("deep", deep)
    child.add_edge(START, "first").add_edge("first", "deep")
    graph = StateGraph(State, output_schema=Out, context_schema=Ctx)
    graph.add_node("route", nothing).add_node("decide", decide).add_node("child", child.compile())
    graph.add_node("fin", nothing).add_node("tools", ToolNode([look_up]))
    graph.add_edge(START, "route").add_edge("child", "decide").add_edge("tools", END)
    graph.add_conditional_edges("route", lambda state: "child", {"yes": "child", "no": END})
    return graph.compile()


@pytest.fixture
async def descriptor() -> GraphDescriptor:
    return await describe(GraphSource("main", nested(), description="The main one"))


def node_ids(drawn: dict[str, Any]) -> list[str]:
    return [node["id"] for node in drawn["nodes"]]


async def test_a_descriptor_survives_being_stored(descriptor: GraphDescriptor) -> None:
    stored = json.loads(json.dumps(descriptor.to_json())) | {"key_of_a_newer_version": 1}

    assert GraphDescriptor.from_json(stored) == descriptor
    assert descriptor.name == "main"
    assert descriptor.description == "The main one"
    assert descriptor.nodes == ["route", "decide", "child", "fin", "tools"]


async def test_a_drawing_has_nodes_and_edges_without_import_paths(descriptor: GraphDescriptor) -> None:
    drawn = drawing(descriptor)

    assert drawn["nodes"][0] == {"id": "__start__", "type": "runnable", "data": {"name": "__start__"}}
    assert drawn["nodes"][-1] == {"id": "__end__"}
    tools = next(node for node in drawn["nodes"] if node["id"] == "tools")
    assert tools == {
        "id": "tools",
        "type": "runnable",
        "data": {"name": "tools"},
        "metadata": {"__tools": ["look_up"]},
    }
    assert {"source": "__start__", "target": "route"} in drawn["edges"]
    assert {"source": "route", "target": "child", "data": "yes", "conditional": True} in drawn["edges"]
    assert {"source": "route", "target": "__end__", "data": "no", "conditional": True} in drawn["edges"]
    assert {"source": "decide", "target": "fin", "conditional": True} in drawn["edges"]


async def test_xray_opens_subgraphs_to_the_asked_depth(descriptor: GraphDescriptor) -> None:
    closed, one, full = drawing(descriptor), drawing(descriptor, 1), drawing(descriptor, True)

    assert "child" in node_ids(closed)
    assert {"child:first", "child:deep"} <= set(node_ids(one))
    assert "child" not in node_ids(one)
    assert {"child:first", "child:deep:leaf"} <= set(node_ids(full))
    assert "child:deep" not in node_ids(full)
    assert drawing(descriptor, 2) == drawing(descriptor, 9) == full
    assert {"source": "child:deep:leaf", "target": "decide"} in full["edges"]


async def test_an_xray_of_no_levels_is_the_closed_drawing(descriptor: GraphDescriptor) -> None:
    """What a remote graph is asked for by the graph around it, when that one is opened by one level."""
    assert drawing(descriptor, 0) == drawing(descriptor)


async def test_a_negative_xray_is_refused(descriptor: GraphDescriptor) -> None:
    with pytest.raises(InvalidRequest, match="xray is -1"):
        drawing(descriptor, -1)


async def test_the_five_schemas_are_there(descriptor: GraphDescriptor) -> None:
    found = schemas(descriptor)

    assert list(found) == ["graph_id", *SCHEMA_KINDS]
    assert found["graph_id"] == "main"
    assert found["input_schema"]["title"] == "State"
    assert found["output_schema"]["title"] == "Out"
    assert found["state_schema"]["title"] == "main_state"
    assert found["state_schema"]["properties"] == {
        "x": {"default": None, "title": "X", "type": "integer"},
        "items": {"default": None, "items": {"type": "string"}, "title": "Items", "type": "array"},
    }
    assert found["context_schema"]["properties"]["model"] == {"default": "small", "title": "Model", "type": "string"}
    assert found["config_schema"] == found["context_schema"]


async def test_without_a_context_schema_config_is_empty_and_context_null() -> None:
    found = schemas(
        await describe(GraphSource("m", StateGraph(MessagesState).add_node("n", nothing).set_entry_point("n")))
    )

    assert found["config_schema"] == {}
    assert found["context_schema"] is None
    assert found["input_schema"]["properties"]["messages"]["type"] == "array"


async def test_a_functional_graph_is_described() -> None:
    @entrypoint()
    def double(value: int) -> str:
        return str(value)

    descriptor = await describe(GraphSource("double", double))

    assert schemas(descriptor)["input_schema"] == {"title": "double_input", "type": "integer"}
    assert node_ids(drawing(descriptor)) == ["double", "__start__", "__end__"]


async def test_a_typed_dict_of_the_standard_library_has_an_input_schema_on_every_python() -> None:
    graph = StateGraph(OldStyle, context_schema=OldStyle).add_node("n", nothing).add_edge(START, "n")

    found = schemas(await describe(GraphSource("old", graph)))

    assert found["input_schema"]["title"] == "OldStyle"
    assert found["input_schema"]["required"] == ["x"]
    assert found["input_schema"]["properties"]["x"] == {"title": "X", "type": "integer"}
    assert found["context_schema"]["required"] == ["x"]


async def test_a_type_without_a_schema_costs_only_its_own_property() -> None:
    class Odd(TypedDict):
        thing: Opaque
        x: int
        _hidden: str

    graph = StateGraph(Odd).add_node("n", nothing).add_edge(START, "n")

    found = schemas(await describe(GraphSource("opaque", graph)))

    assert found["input_schema"] is None
    assert found["state_schema"]["properties"] == {
        "thing": {"default": None, "title": "Thing"},
        "x": {"default": None, "title": "X", "type": "integer"},
        "_hidden": {"default": None, "title": "Hidden", "type": "string"},
    }


@pytest.mark.parametrize(
    ("namespace", "recurse", "expected"),
    [
        (None, False, ["child"]),
        (None, True, ["child", "child|deep"]),
        ("child", False, ["child"]),
        ("child", True, ["child"]),
        ("child|deep", False, []),
        ("child|deep", True, ["child|deep"]),
        ("deep", True, []),
    ],
)
async def test_subgraphs_are_found_by_namespace(
    descriptor: GraphDescriptor, namespace: str | None, recurse: bool, expected: list[str]
) -> None:
    found = subgraphs(descriptor, namespace, recurse)

    assert list(found) == expected
    assert all(list(entry) == list(SCHEMA_KINDS) for entry in found.values())


async def test_a_failing_factory_gives_a_descriptor_with_its_failure() -> None:
    def factory() -> Any:
        raise OSError("no such model")

    descriptor = await describe(GraphSource("bad", factory, description="d"))

    assert descriptor.failure == "its factory raised OSError: no such model"
    assert 'raise OSError("no such model")' in descriptor.traceback
    assert "sources.py" not in descriptor.traceback
    for view in (drawing, schemas, subgraphs):
        with pytest.raises(GraphLoadError, match="Graph 'bad' could not be loaded: its factory raised OSError"):
            view(descriptor)


async def test_graphs_that_failed_to_load_are_described_with_the_others(
    load: Callable[..., GraphRegistry], caplog: pytest.LogCaptureFixture
) -> None:
    graphs = {"bad": "./bad.py:graph", "good": "./good.py:graph"}
    registry = load({"bad.py": "1/0", "good.py": GOOD}, graphs)

    bad, good = await describe_all(registry)

    assert (bad.graph_id, bad.failure) == ("bad", "ZeroDivisionError: division by zero")
    assert 'bad.py", line 1' in bad.traceback
    assert (good.graph_id, good.failure, good.nodes) == ("good", None, ["n"])


GOOD = """
from langgraph.graph import MessagesState, StateGraph
graph = StateGraph(MessagesState).add_node("n", lambda state: {}).add_edge("__start__", "n").compile()
"""


async def test_a_graph_that_cannot_be_drawn_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("remote")

    monkeypatch.setattr("langgraph.pregel.Pregel.aget_graph", fail)
    descriptor = await describe(GraphSource("remote", nested()))

    assert schemas(descriptor)["input_schema"]["title"] == "State"
    with pytest.raises(InvalidRequest, match="Graph 'remote' cannot be drawn"):
        drawing(descriptor)


async def test_subgraphs_that_cannot_be_drawn_leave_the_closed_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = drawing(await describe(GraphSource("remote", nested())))
    draw = Pregel.aget_graph

    async def fail_deeper(self: Any, *args: Any, xray: int = 0, **kwargs: Any) -> Any:
        if xray:
            raise RuntimeError("remote")
        return await draw(self, *args, xray=xray, **kwargs)

    monkeypatch.setattr(Pregel, "aget_graph", fail_deeper)
    descriptor = await describe(GraphSource("remote", nested()))

    assert drawing(descriptor, True) == drawing(descriptor) == closed


def test_reading_descriptors_needs_no_graph_library() -> None:
    program = (
        "import sys, lgnb.graphs.descriptor_views\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'langchain_core','langgraph','pydantic'}))"
    )

    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "[]"
