"""What is known about a graph without running its code: plain JSON that the worker stores and the host reads.

Imports no graph library, so that assistants can be inspected in the host and while no worker is up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from lgnb.errors import GraphLoadError, InvalidRequest

NAMESPACE_SEPARATOR = "|"

SCHEMA_KINDS = ("input_schema", "output_schema", "state_schema", "config_schema", "context_schema")


def _no_schemas() -> dict[str, Any]:
    return dict.fromkeys(SCHEMA_KINDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphDescriptor:
    """One graph as its worker saw it. Every value is plain JSON.

    Attributes:
        name: the graph's own name, or its id when it has none.
        nodes: names of its nodes, START and END left out.
        drawings: the drawing with subgraphs opened 0, 1, 2... levels deep, the last one fully; empty when the graph
            cannot be drawn.
        schemas: the five JSON schemas by the names in `SCHEMA_KINDS`; None where there is none.
        subgraph_schemas: the same for every subgraph at any depth, by namespace such as `parent|child`.
        has_stream_transformers: whether the module exports `stream_transformers`.
        failure: the reason why the graph could not be loaded; None when it could.
        traceback: the user's frames of that failure.
    """

    graph_id: str
    name: str
    description: str | None = None
    nodes: list[str] = field(default_factory=list[str])
    drawings: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    schemas: dict[str, Any] = field(default_factory=_no_schemas)
    subgraph_schemas: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    has_stream_transformers: bool = False
    failure: str | None = None
    traceback: str = ""

    def require_loaded(self) -> None:
        """Raises GraphLoadError when the graph could not be loaded."""
        if self.failure is not None:
            raise GraphLoadError(self.graph_id, self.failure, traceback=self.traceback)

    def to_json(self) -> dict[str, Any]:
        """The descriptor as the object that is stored."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> GraphDescriptor:
        """Read a stored descriptor; keys of a newer version are left out."""
        known = {spec.name for spec in fields(cls)}
        return cls(**{key: value for key, value in stored.items() if key in known})


def drawing(descriptor: GraphDescriptor, xray: bool | int = False) -> dict[str, Any]:
    """The `{"nodes", "edges"}` of the graph.

    `xray` opens subgraphs: False or 0 not at all, a number that many levels deep, True all of them. (A remote graph
    inside a graph that is drawn one level deep is asked for its drawing with 0.)

    Raises:
        GraphLoadError: the graph could not be loaded.
        InvalidRequest: the graph cannot be drawn, or `xray` is a negative number.
    """
    descriptor.require_loaded()
    if xray < 0:
        raise InvalidRequest(f"xray is {xray}, but must be true, false or a number of levels.")
    if not descriptor.drawings:
        raise InvalidRequest(f"Graph {descriptor.graph_id!r} cannot be drawn.")
    deepest = len(descriptor.drawings) - 1
    return descriptor.drawings[deepest if xray is True else min(int(xray), deepest)]


def schemas(descriptor: GraphDescriptor) -> dict[str, Any]:
    """The graph's id and its five schemas.

    Raises:
        GraphLoadError: the graph could not be loaded.
    """
    descriptor.require_loaded()
    return {"graph_id": descriptor.graph_id, **descriptor.schemas}


def subgraphs(
    descriptor: GraphDescriptor, namespace: str | None = None, recurse: bool = False
) -> dict[str, dict[str, Any]]:
    """The schemas of subgraphs by namespace: the direct ones, with `recurse` all, with `namespace` only that one.

    A namespace below the first level is found only with `recurse`. An unknown one gives an empty object.

    Raises:
        GraphLoadError: the graph could not be loaded.
    """
    descriptor.require_loaded()
    return {
        name: found
        for name, found in descriptor.subgraph_schemas.items()
        if (recurse or NAMESPACE_SEPARATOR not in name) and namespace in (None, name)
    }
