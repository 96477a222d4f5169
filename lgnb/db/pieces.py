"""Many rows as few parameters: their columns as JSON, and long values as pieces of one value beside it.

Postgres takes JSON apart faster than Python builds arrays, and it need not read what is in the pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson


class Pieces:
    """Collects values and says where each is, as two columns: `name_at`, from 1, and `name_size`."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def add(self, name: str, piece: bytes) -> dict[str, int]:
        begin = self._size + 1  # SQL counts from one
        self._pieces.append(piece)
        self._size += len(piece)
        return {f"{name}_at": begin, f"{name}_size": len(piece)}

    def add_json(self, name: str, value: Any) -> dict[str, int]:
        """The same for the JSON text of a value; None has no place, and so is null."""
        return {} if value is None else self.add(name, orjson.dumps(value))

    def joined(self) -> bytes:
        return b"".join(self._pieces)


def json_text(rows: Sequence[dict[str, Any]]) -> str:
    """Rows for `json_to_recordset`."""
    return orjson.dumps(rows).decode()
