"""The parts of a row a client asked for: `select` keeps columns, `extract` adds values found by path."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from lgnb.errors import InvalidRequest

_MOST_PATHS = 10
_ROOTS = ("values", "metadata", "config", "interrupts")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(-?\d{1,9})\]")

Path = list[str | int]


def row_of(item: Any) -> dict[str, Any]:
    """A dataclass of lgnb.models as the JSON object of the API (its values are encoded later)."""
    return {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}


def project(row: Mapping[str, Any], select: Iterable[str] | None) -> dict[str, Any]:
    """Only the selected columns, or all of them."""
    if select is None:
        return dict(row)
    wanted = set(select)
    return {name: value for name, value in row.items() if name in wanted}


def project_state(state: Mapping[str, Any], select: Sequence[str] | None, *, columns: Sequence[str]) -> dict[str, Any]:
    """Only the selected parts of a ThreadState; `values.<key>` selects one key of its values.

    Raises:
        InvalidRequest: a name is none of `columns`.
    """
    keys: set[str] = set()
    for name in select or ():
        root, dot, key = name.partition(".")
        if root == "values" and dot and key:
            keys.add(key)
        elif name not in columns:
            raise InvalidRequest(f"select holds {name[:64]!r}, but allows only {', '.join(columns)} and values.<key>.")
    projected = project(state, select)
    if keys and "values" not in projected and isinstance(values := state.get("values"), Mapping):
        fields = cast(Mapping[str, Any], values)
        projected["values"] = {key: value for key, value in fields.items() if key in keys}
    return projected


def parse_extract(extract: Mapping[str, str], *, columns: Iterable[str]) -> dict[str, Path]:
    """Aliases and their paths, such as `{"last": "values.messages[-1].content"}`.

    Raises:
        InvalidRequest: too many paths, a bad alias, or a path that does not begin at a searchable column.
    """
    if len(extract) > _MOST_PATHS:
        raise InvalidRequest(f"extract holds {len(extract)} paths, but at most {_MOST_PATHS} are allowed.")
    taken = set(columns)
    paths: dict[str, Path] = {}
    for alias, text in extract.items():
        if not alias.isidentifier() or alias in taken:
            raise InvalidRequest("Each alias of extract must be an identifier and not the name of a thread's column.")
        paths[alias] = _parse_path(text)
    return paths


def extracted(row: Mapping[str, Any], paths: Mapping[str, Path]) -> dict[str, Any]:
    """The value at each path, or null where there is none."""
    return {alias: _value_at(row, path) for alias, path in paths.items()}


def _parse_path(text: str) -> Path:
    root = re.match(r"\w+", text)
    if root is None or root[0] not in _ROOTS:
        raise InvalidRequest(f"A path of extract must begin with one of {', '.join(_ROOTS)}.")
    path: Path = [root[0]]
    position = root.end()
    while position < len(text):
        step = _STEP.match(text, position)
        if step is None:
            raise InvalidRequest("After its first word, a path of extract goes on with .key or [number].")
        path.append(step[1] if step[1] is not None else int(step[2]))
        position = step.end()
    return path


def _value_at(row: Mapping[str, Any], path: Path) -> Any:
    value: Any = row
    for step in path:
        if isinstance(step, int):
            items = cast(list[Any], value) if isinstance(value, list) else []
            value = items[step] if -len(items) <= step < len(items) else None
        else:
            fields = cast(dict[str, Any], value) if isinstance(value, Mapping) else {}
            value = None if step.startswith("_") else fields.get(step)
    return value
