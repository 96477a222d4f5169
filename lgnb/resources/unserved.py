"""Why a live graph cannot be called: it lives in a kernel that does not serve it now."""

from __future__ import annotations

from ..db.database import Connection
from ..db.workers import WorkerRepository
from ..models.live import KernelInfo


async def why_unserved(connection: Connection, graph_id: str) -> str | None:
    """Why a live graph cannot be called now; None for one that is served, and for graphs of langgraph.json."""
    workers = WorkerRepository(connection)
    known = await workers.graph_kernel(graph_id)
    if known is None or known.kernel is None or await workers.serving(graph_id):
        return None
    return (
        f"Graph {graph_id!r} lives in {KernelInfo(**known.kernel)}, which does not serve it now; "
        f"run its cell with %lg serve again."
    )
