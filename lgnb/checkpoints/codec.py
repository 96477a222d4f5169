"""Objects to bytes and back, in the process that owns the graph: strict msgpack, no pickle, known types only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from ..models.checkpoints import Blob
from .compression import compressed, expanded

TypeName = tuple[str, ...]
"""Module and name of a class, as ("package.module", "State")."""


class Codec:
    """Encodes the values of channels and writes.

    Revives the library's own safe types (messages, datetimes, Send, Interrupt, ...) and those given by name. Any
    other type comes back as the plain data it was made of: reading a checkpoint never runs code that it names.
    """

    def __init__(self, allowed: Iterable[TypeName | type] = (), *, json_types: Iterable[Sequence[str]] = ()) -> None:
        # None is the serializer's strict mode, whatever LANGGRAPH_STRICT_MSGPACK says.
        self.serde = JsonPlusSerializer(
            pickle_fallback=False,
            allowed_json_modules=[tuple(name) for name in json_types] or None,
            allowed_msgpack_modules=None,
        ).with_msgpack_allowlist(tuple(allowed))

    def with_allowed(self, allowed: Iterable[TypeName | type]) -> Codec:
        """A codec that revives these types as well."""
        codec = Codec()
        codec.serde = self.serde.with_msgpack_allowlist(tuple(allowed))
        return codec

    def encode(self, value: Any) -> Blob:
        """The encoded value.

        Raises:
            TypeError: the value, or something in it, has no encoding.
        """
        kind, data = self.serde.dumps_typed(value)
        return compressed(Blob(kind, bytes(data)))

    def decode(self, blob: Blob) -> Any:
        """The value of a blob.

        Raises:
            ValueError: the bytes are damaged.
        """
        plain = expanded(blob)
        return self.serde.loads_typed((plain.type, plain.data))
