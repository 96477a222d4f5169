"""Makes the descriptor of a graph in the worker: its drawings and schemas, taken from the live object."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any, NotRequired, Required, cast, get_origin, get_type_hints

from langchain_core.runnables import RunnableConfig
from langgraph.channels.base import BaseChannel
from langgraph.graph.state import CompiledStateGraph
from langgraph.pregel import Pregel
from pydantic import ConfigDict, Field, create_model

from lgnb.errors import GraphLoadError
from lgnb.json_encoding import describe_error, jsonable

from .descriptor_views import NAMESPACE_SEPARATOR, GraphDescriptor
from .loading import GraphRegistry
from .sources import GraphSource
from .tracebacks import user_traceback

_DEEPEST_DRAWING = 8
"""Subgraphs below this level stay closed in drawings; graphs that contain themselves end here."""

_log = logging.getLogger(__name__)


async def describe_all(registry: GraphRegistry, *, store: Any = None) -> list[GraphDescriptor]:
    """A descriptor for every graph of the registry, those that failed to load included."""
    return [
        _failed(graph_id, failure)
        if (failure := registry.failures.get(graph_id))
        else await describe(registry.get(graph_id), store=store)
        for graph_id in registry.graph_ids
    ]


async def describe(
    source: GraphSource, *, config: RunnableConfig | None = None, store: Any = None, user: Any = None
) -> GraphDescriptor:
    """Open the graph for reading and describe it.

    Never raises because of the user's code: a factory that fails gives a descriptor with that failure, and a
    schema or drawing that cannot be made is left out.
    """
    try:
        async with source.open(config or {}, access_context="assistants.read", store=store, user=user) as graph:
            return await _described(source, graph)
    except GraphLoadError as error:
        return _failed(source.graph_id, error, description=source.description)
    except Exception as error:  # noqa: BLE001 - a user's factory may raise anything
        shown = describe_error(error)
        reason = f"its factory raised {shown['error']}: {error}"
        failure = GraphLoadError(source.graph_id, reason, traceback=user_traceback(error))
        return _failed(source.graph_id, failure, description=source.description)


def _failed(graph_id: str, error: GraphLoadError, *, description: str | None = None) -> GraphDescriptor:
    return GraphDescriptor(
        graph_id=graph_id, name=graph_id, description=description, failure=error.reason, traceback=error.traceback
    )


async def _described(source: GraphSource, graph: Pregel) -> GraphDescriptor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydantic comments on field names that the user chose for states
        nested = dict(graph.get_subgraphs(recurse=True))
        return GraphDescriptor(
            graph_id=source.graph_id,
            name=graph.name,
            description=source.description,
            nodes=[name for name in graph.nodes if not name.startswith("__")],
            drawings=await _drawings(source.graph_id, graph, depth=_depth(nested)),
            schemas=_schemas(graph),
            subgraph_schemas={
                namespace: _schemas(subgraph) if isinstance(subgraph, Pregel) else _empty_schemas()
                for namespace, subgraph in nested.items()
            },
            has_stream_transformers=source.stream_transformers is not None,
        )


def _depth(namespaces: dict[str, Any]) -> int:
    deepest = max((namespace.count(NAMESPACE_SEPARATOR) + 1 for namespace in namespaces), default=0)
    return min(deepest, _DEEPEST_DRAWING)


async def _drawings(graph_id: str, graph: Pregel, *, depth: int) -> list[dict[str, Any]]:
    """The graph closed, and then ever deeper; where a level cannot be drawn, those above it."""
    drawings: list[dict[str, Any]] = []
    for level in range(depth + 1):
        try:
            drawings.append(_drawing((await graph.aget_graph(xray=level or False)).to_json()))
        except Exception as error:  # noqa: BLE001 - drawing runs the user's conditions and remote subgraphs
            what = f"its subgraphs {level} levels deep" if level else "it"
            _log.warning("Graph %r is served, but %s cannot be drawn: %s", graph_id, what, error)
            break
    return drawings


def _drawing(drawn: dict[str, Any]) -> dict[str, Any]:
    for node in drawn["nodes"]:
        if isinstance(node.get("data"), dict):
            node["data"].pop("id", None)  # import paths are nobody's business
    return jsonable(drawn)


def _empty_schemas() -> dict[str, Any]:
    return {
        "input_schema": None,
        "output_schema": None,
        "state_schema": None,
        "config_schema": {},
        "context_schema": None,
    }


def _schemas(graph: Pregel) -> dict[str, Any]:
    builder: Any = graph.builder if isinstance(graph, CompiledStateGraph) else None
    context = _first_schema(graph.get_context_jsonschema, lambda: _typed_dict_schema(graph.context_schema))
    return {
        "input_schema": _first_schema(
            graph.get_input_jsonschema, lambda: _typed_dict_schema(getattr(builder, "input_schema", None))
        ),
        "output_schema": _first_schema(
            graph.get_output_jsonschema, lambda: _typed_dict_schema(getattr(builder, "output_schema", None))
        ),
        "state_schema": _first_schema(lambda: _state_schema(graph), lambda: _state_schema(graph, lenient=True)),
        "config_schema": context or {},
        "context_schema": context,
    }


def _first_schema(*attempts: Callable[[], dict[str, Any] | None]) -> dict[str, Any] | None:
    for attempt in attempts:
        try:
            found = attempt()
            return None if found is None else cast("dict[str, Any]", jsonable(found))
        except Exception as error:  # noqa: BLE001 - types without a schema raise whatever their authors chose
            _log.debug("A schema could not be made: %s", error)
    return None


def _typed_dict_schema(cls: Any) -> dict[str, Any] | None:
    """The schema of a `typing.TypedDict`, which pydantic refuses before Python 3.12."""
    required: frozenset[str] | None = getattr(cls, "__required_keys__", None)
    if required is None:
        return None
    # Where annotations are texts, `__required_keys__` does not see NotRequired; the resolved hints do.
    marks = {name: get_origin(hint) for name, hint in get_type_hints(cls, include_extras=True).items()}
    members = {
        name: (hint, marks[name] is Required or (name in required and marks[name] is not NotRequired))
        for name, hint in get_type_hints(cls).items()
    }
    return _object_schema(cls.__name__, members)


def _state_schema(graph: Pregel, *, lenient: bool = False) -> dict[str, Any]:
    """All channels of the state, none required. `lenient` leaves the type out where it has no schema."""
    channels = graph.stream_channels_list
    types = {name: channel.ValueType for name in channels if isinstance(channel := graph.channels[name], BaseChannel)}
    if lenient:
        types = {name: kind if _first_schema(lambda kind=kind: _probe(kind)) else Any for name, kind in types.items()}
    return _object_schema(graph.get_name("State"), {name: (kind, False) for name, kind in types.items()})


def _probe(kind: Any) -> dict[str, Any]:
    return _object_schema("Probe", {"value": (kind, True)})


def _object_schema(title: str, members: dict[str, tuple[Any, bool]]) -> dict[str, Any]:
    # Members may have names that pydantic refuses for attributes, such as `__end__`; aliases may be anything.
    definitions: dict[str, Any] = {
        f"member_{number}": (
            kind,
            Field(default=... if required else None, alias=name, title=name.replace("_", " ").strip().title()),
        )
        for number, (name, (kind, required)) in enumerate(members.items())
    }
    model = create_model(title, __config__=ConfigDict(arbitrary_types_allowed=True), **definitions)
    return model.model_json_schema()
