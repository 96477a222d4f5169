"""What a caller may reach: the question a resource asks before it acts, and the condition that answers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast

from .identity import Caller

ResourceName = Literal["assistants", "threads", "crons", "store"]

_GROUPS = ("$or", "$and")
_OPERATORS = ("$eq", "$contains")
_MOST_NESTED = 2


@dataclass(frozen=True, slots=True)
class Condition:
    """What the metadata of a row must be like for a caller to see it.

    `filter` maps keys to a value, to `{"$eq": value}` or to `{"$contains": member or members}`; all must match.
    `$or` and `$and` hold lists of such filters.
    """

    filter: Mapping[str, Any]

    @classmethod
    def parse(cls, given: Mapping[Any, Any]) -> Condition | None:
        """A filter that somebody wrote; None when it is empty.

        Raises:
            ValueError: it is none of the forms above; the text says why.
        """
        _check(given, depth=0)
        return cls(dict(given)) if given else None

    def keys(self) -> set[str]:
        """The keys that are looked at."""
        return _keys(self.filter)


def both(one: Condition | None, other: Condition | None) -> Condition | None:
    """The condition that holds when both do; None stands for one that always holds."""
    if one is None or other is None:
        return one or other
    return Condition({"$and": [one.filter, other.filter]})


class Access(Protocol):
    """One caller's rights.

    Attributes:
        caller: None when nobody in particular calls.
        restricts: False when every question is answered with yes, so that none need be prepared.
    """

    caller: Caller | None
    restricts: bool

    async def ask(self, resource: ResourceName, action: str, value: dict[str, Any]) -> Condition | None:
        """Whether the caller may act. Returns what rows must fulfil, or None when all may be reached.

        Args:
            value: what the caller wants to do. The answer may change it in place, and the changes count.

        Raises:
            AccessDenied: he may not.
        """
        ...


class Unrestricted:
    """Everything is allowed: the server's own work, and callers of a server that keeps nobody apart."""

    restricts = False

    def __init__(self, caller: Caller | None = None) -> None:
        self.caller = caller

    async def ask(self, resource: ResourceName, action: str, value: dict[str, Any]) -> Condition | None:
        return None


UNRESTRICTED = Unrestricted()


def operators_of(wanted: Any) -> list[tuple[str, Any]]:
    """What a key is compared with, as pairs of operator and value."""
    if isinstance(wanted, Mapping):
        given = cast("Mapping[str, Any]", wanted)
        if any(str(name).startswith("$") for name in given):
            return list(given.items())
    return [("$eq", wanted)]


def _keys(filter: Mapping[str, Any]) -> set[str]:
    groups = [part for name in _GROUPS for part in filter.get(name, ())]
    return {key for key in filter if key not in _GROUPS}.union(*map(_keys, groups))


def _check(given: Mapping[Any, Any], *, depth: int) -> None:
    for key, wanted in given.items():
        if not isinstance(key, str):
            raise ValueError(f"a key of a filter must be a text, not {type(key).__name__}")
        if key in _GROUPS:
            _check_group(key, wanted, depth=depth + 1)
        elif key.startswith("$"):
            raise ValueError(f"there is no operator {key!r}; filters can be joined by {' and '.join(_GROUPS)}")
        else:
            for operator, value in operators_of(wanted):
                _check_comparison(key, operator, value)


def _check_group(name: str, parts: Any, *, depth: int) -> None:
    if depth > _MOST_NESTED:
        raise ValueError(f"{name} is nested more than {_MOST_NESTED} deep")
    members = cast("list[Any]", parts) if isinstance(parts, list) else []
    if len(members) < 2 or not all(isinstance(part, Mapping) and part for part in members):
        raise ValueError(f"{name} needs a list of at least two filters")
    for part in members:
        _check(part, depth=depth)


def _check_comparison(key: str, operator: str, value: Any) -> None:
    if operator not in _OPERATORS:
        raise ValueError(f"{key!r} has an operator {operator!r}, but only {' and '.join(_OPERATORS)} exist")
    if not _is_json(value):
        raise ValueError(f"{key!r} is compared with a {type(value).__name__}, which JSON cannot hold")
    members = cast("list[Any]", value) if isinstance(value, list) else [value]
    if operator == "$contains" and (not members or any(isinstance(member, list | Mapping) for member in members)):
        raise ValueError(f"{key!r} can contain texts, numbers, true, false and null: one of them or a list")


def _is_json(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(k, str) and _is_json(v) for k, v in cast("Mapping[Any, Any]", value).items())
    if isinstance(value, list):
        return all(_is_json(member) for member in cast("list[Any]", value))
    if isinstance(value, float):
        return value == value and abs(value) != float("inf")
    return value is None or isinstance(value, str | int)
