"""The graphs that live in kernels, as this server lists them."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from ..errors import LgnbError
from .connection import Connection
from .render import is_live


def live_graphs(connection: Connection) -> list[dict[str, Any]]:
    """Every live graph, served at the moment or not; none where the server does not know such graphs."""
    try:
        found: Any = connection.call(lambda sdk: sdk.http.get("/live/graphs"))
    except LgnbError:
        return []
    return list(found) if isinstance(found, list) else []


def described(graph: dict[str, Any]) -> str:
    """One live graph in one line: where it lives, whether it is served, and what waits for it."""
    parts = [f"{graph['graph_id']} is {'served' if graph['is_served'] else 'not served now'}"]
    kernel = graph["kernel"]
    if is_live():
        where = PurePath(kernel["notebook"]).name if kernel.get("notebook") else f"kernel {kernel['kernel_id'][:8]}"
        parts[0] += f" by {where} on {kernel['host_name']}"
    if graph["n_pending"]:
        one = graph["n_pending"] == 1
        parts.append(f"{graph['n_pending']} run{'' if one else 's'} wait{'s' if one else ''}")
    if not graph["is_served"]:
        parts.append("run its cell with %lg serve again")
    return "; ".join(parts)
