"""Who calls: what the server knows of a caller, and what it tells the caller's runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


class Caller:
    """A caller by name, with whatever else is known of him: read as attributes or as keys.

    Neither a mapping nor a dataclass, so that the JSON of anything that holds one shows null in its place.
    """

    __slots__ = ("_facts",)

    def __init__(
        self,
        identity: str,
        *,
        permissions: Sequence[str] = (),
        display_name: str | None = None,
        is_authenticated: bool = True,
        extras: Mapping[str, Any] | None = None,
    ) -> None:
        self._facts: dict[str, Any] = {
            "identity": identity,
            "is_authenticated": is_authenticated,
            "display_name": identity if display_name is None else display_name,
            **(extras or {}),
            "permissions": list(permissions),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Caller:
        """The caller that `as_dict` gave."""
        caller = cls(stored["identity"])
        caller._facts |= stored
        return caller

    def as_dict(self) -> dict[str, Any]:
        """Everything that is known, to be stored."""
        return dict(self._facts)

    @property
    def identity(self) -> str:
        return self._facts["identity"]

    @property
    def is_authenticated(self) -> bool:
        return self._facts["is_authenticated"]

    @property
    def display_name(self) -> str:
        return self._facts["display_name"]

    @property
    def permissions(self) -> Sequence[str]:
        return self._facts["permissions"]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._facts:
            raise AttributeError(f"Nothing called {name!r} is known of this caller.")
        return self._facts[name]

    def __getitem__(self, key: str) -> Any:
        return self._facts[key]

    def __contains__(self, key: object) -> bool:
        return key in self._facts

    def __iter__(self) -> Iterator[str]:
        return iter(self._facts)

    def keys(self) -> list[str]:
        return list(self._facts)

    def get(self, key: str, default: Any = None) -> Any:
        return self._facts.get(key, default)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Caller) and self._facts == other._facts

    def __hash__(self) -> int:
        return hash(self.identity)

    def __repr__(self) -> str:
        # Nothing else: what is known may be a secret, and this gets logged.
        return f"Caller({self.identity!r})"


def identity_of(caller: Caller | None) -> dict[str, Any]:
    """What a graph finds of its caller in `config.configurable`, as values of this process."""
    return {
        "langgraph_auth_user": caller,
        "langgraph_auth_user_id": caller.identity if caller else "",
        "langgraph_auth_permissions": list(caller.permissions) if caller else [],
    }


def stored_caller(stored: Mapping[str, Any] | None) -> Caller | None:
    """The caller of a stored run, or None where nobody was known."""
    return Caller.from_dict(stored) if stored else None
