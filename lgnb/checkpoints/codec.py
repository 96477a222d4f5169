"""Objects to bytes and back, in the process that owns the graph: strict msgpack, no pickle, known types only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import ormsgpack
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from ..models.checkpoints import ITEMS, PARTS, Blob, parts_of
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
        return self.seal(self.encode_plain(value))

    def encode_plain(self, value: Any) -> Blob:
        """The encoded value before it is sealed; equal bytes are equal values."""
        kind, data = self.serde.dumps_typed(value)
        return Blob(kind, bytes(data))

    def seal(self, plain: Blob) -> Blob:
        """An encoded value as it is stored."""
        return compressed(plain)

    def unseal(self, blob: Blob) -> Blob:
        """Undo `seal`.

        Raises:
            ValueError: the bytes are damaged.
        """
        return expanded(blob)

    def encode_item(self, element: Any) -> bytes:
        """One element of a list, to be joined with others."""
        # In a list of its own every element has the same encoding, None and bytes included.
        return bytes(self.serde.dumps_typed([element])[1])

    def join_items(self, items: Sequence[bytes]) -> Blob:
        """A list whose elements are encoded one by one, so that each can be recognised by its bytes."""
        return Blob(ITEMS, ormsgpack.packb(list(items)))

    def parts(self, blob: Blob) -> list[Blob]:
        """The parts of a stored list, still sealed."""
        return parts_of(blob) if blob.type == PARTS else [blob]

    def items(self, parts: Sequence[Blob]) -> list[bytes] | None:
        """The encoded elements of a stored list, or None where they were not encoded one by one."""
        items: list[bytes] = []
        for part in map(self.unseal, parts):
            if part.type != ITEMS:
                return None
            items += cast("list[bytes]", ormsgpack.unpackb(part.data))
        return items

    def decode(self, blob: Blob) -> Any:
        """The value of a blob.

        Raises:
            ValueError: the bytes are damaged.
        """
        if blob.type == PARTS:
            return [element for part in parts_of(blob) for element in self.decode(part)]
        plain = self.unseal(blob)
        if plain.type == ITEMS:
            return [self.serde.loads_typed(("msgpack", item))[0] for item in ormsgpack.unpackb(plain.data)]
        return self.serde.loads_typed((plain.type, plain.data))
