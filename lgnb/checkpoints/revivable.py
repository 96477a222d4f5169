"""Which classes a graph's checkpoints may be revived into: those that its state and its nodes declare."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from enum import Enum
from types import UnionType
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from .codec import TypeName

_SCHEMAS = ("state_schema", "input_schema", "output_schema")


def revivable_types(graph: Any) -> set[TypeName]:
    """Module and name of every class declared by a compiled graph and its subgraphs; give them to `Codec`.

    Looks into containers, unions, `Annotated` and the fields of models, dataclasses, typed dicts and named tuples.
    """
    found: set[type] = set()
    seen: set[int] = set()
    for declared in _declared(graph):
        _collect(declared, found, seen)
    return {(cls.__module__, cls.__name__) for cls in found}


def _declared(graph: Any) -> Iterator[Any]:
    yield from _declared_alone(graph)
    subgraphs = getattr(graph, "get_subgraphs", None)
    if callable(subgraphs):
        for _, subgraph in cast(Any, subgraphs(recurse=True)):
            yield from _declared_alone(subgraph)


def _declared_alone(graph: Any) -> Iterator[Any]:
    for channel in dict(getattr(graph, "channels", None) or {}).values():
        yield getattr(channel, "ValueType", None)
        yield getattr(channel, "UpdateType", None)
    builder = getattr(graph, "builder", None)
    for schema in _SCHEMAS:
        yield getattr(builder, schema, None)
    for node in dict(getattr(builder, "nodes", None) or {}).values():
        yield getattr(node, "input_schema", None)
    for branches in dict(getattr(builder, "branches", None) or {}).values():
        for branch in branches.values():
            yield getattr(branch, "input_schema", None)


def _collect(declared: Any, found: set[type], seen: set[int]) -> None:
    if declared is None or declared is Any or id(declared) in seen:
        return
    seen.add(id(declared))
    origin = get_origin(declared)
    if origin is Literal:
        for value in get_args(declared):
            if isinstance(value, Enum):
                found.add(type(value))
        return
    if origin is not None or isinstance(declared, UnionType):
        # Annotated, unions, containers, and generic classes with their own fields.
        for part in (origin, *get_args(declared)):
            _collect(part, found, seen)
    elif isinstance(declared, type):
        _collect_class(cast(Any, declared), found, seen)
    else:
        # A type variable stands for its bound; a new type for the one it is made of.
        _collect(getattr(declared, "__bound__", None) or getattr(declared, "__supertype__", None), found, seen)


def _collect_class(cls: type[Any], found: set[type], seen: set[int]) -> None:
    if issubclass(cls, Enum) or _has_fields(cls):
        found.add(cls)
        for hint in _hints(cls):
            _collect(hint, found, seen)
        # Box[Leaf] of pydantic is a class of its own; a plain Box may be stored as well.
        generic: dict[str, Any] = getattr(cls, "__pydantic_generic_metadata__", None) or {}
        for part in (generic.get("origin"), *generic.get("args", ())):
            _collect(part, found, seen)


def _has_fields(cls: type[Any]) -> bool:
    return (
        dataclasses.is_dataclass(cls)
        or hasattr(cls, "model_fields")
        or hasattr(cls, "__fields__")
        or (issubclass(cls, tuple) and hasattr(cls, "_fields"))
        or hasattr(cls, "__total__")  # a typed dict: never stored by name, but its fields may be
    )


def _hints(cls: type[Any]) -> list[Any]:
    try:
        return list(get_type_hints(cls, include_extras=True).values())
    except Exception:  # noqa: BLE001  a user's annotations are evaluated; a name may be missing at run time
        return [hint for hint in getattr(cls, "__annotations__", {}).values() if not isinstance(hint, str)]
