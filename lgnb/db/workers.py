"""The workers and graphs tables: who executes, by which lease, and what they serve."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from ..models.live import LiveGraph
from .repository import Repository


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRow:
    worker_id: UUID
    host_name: str
    pid: int
    graph_ids: list[str]
    jobs: int
    started_at: datetime
    kernel: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphRow:
    graph_id: str
    descriptor: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedRun:
    """A run that a worker executes, or that waits for one."""

    run_id: UUID
    thread_id: UUID
    graph_id: str
    status: str
    worker_id: UUID | None
    attempt: int
    created_at: datetime
    started_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphKernel:
    """Whose a graph is: of a kernel, or of langgraph.json."""

    graph_id: str
    kernel: dict[str, Any] | None


class WorkerRepository(Repository):
    async def insert(
        self,
        worker_id: UUID,
        *,
        host_name: str,
        pid: int,
        graph_ids: list[str],
        jobs: int,
        lease_seconds: float,
        kernel: dict[str, Any] | None = None,
    ) -> None:
        await self._do(
            "worker_insert",
            worker_id=worker_id,
            host_name=host_name,
            pid=pid,
            graph_ids=graph_ids,
            jobs=jobs,
            lease_seconds=lease_seconds,
            kernel=None if kernel is None else Jsonb(kernel),
        )

    async def renew(self, worker_id: UUID, *, lease_seconds: float) -> bool:
        """False when the lease had ended: every run it held may be in other hands."""
        return await self._scalar("worker_renew", worker_id=worker_id, lease_seconds=lease_seconds) is not None

    async def delete(self, worker_id: UUID) -> None:
        await self._do("worker_delete", worker_id=worker_id)

    async def delete_process(self, host_name: str, pid: int) -> int:
        return await self._do("worker_delete_process", host_name=host_name, pid=pid)

    async def delete_expired(self) -> list[UUID]:
        return await self._column("worker_delete_expired")

    async def live(self) -> list[WorkerRow]:
        return await self._all(WorkerRow, "worker_live")

    async def runs(self, *, most: int) -> list[QueuedRun]:
        """Running and pending runs, at most so many of each."""
        return await self._all(QueuedRun, "worker_runs", most=most)

    async def serving(self, graph_id: str) -> list[WorkerRow]:
        """Workers with a lease that serve this graph."""
        return await self._all(WorkerRow, "worker_serving", graph_id=graph_id)

    async def serve_graph(self, worker_id: UUID, graph_id: str) -> bool:
        """False when the worker's lease has ended."""
        return await self._scalar("worker_serve_graph", worker_id=worker_id, graph_id=graph_id) is not None

    async def leave_graph(self, graph_id: str, *, worker_id: UUID | None = None) -> None:
        """Take a graph from the kernel that serves it; from any kernel when none is named."""
        await self._do("worker_leave_graph", graph_id=graph_id, worker_id=worker_id)

    async def graph_ids(self, worker_id: UUID) -> list[str]:
        return await self._column("worker_graph_ids", worker_id=worker_id)

    async def lock_graph(self, graph_id: str) -> None:
        """Keep others from deciding who serves this graph until the transaction ends."""
        await self._do("graph_lock", graph_id=graph_id)

    async def upsert_graph(
        self,
        graph_id: str,
        *,
        descriptor: dict[str, Any],
        failure: str | None,
        kernel: dict[str, Any] | None = None,
    ) -> None:
        stored_kernel = None if kernel is None else Jsonb(kernel)
        await self._do(
            "graph_upsert", graph_id=graph_id, descriptor=Jsonb(descriptor), failure=failure, kernel=stored_kernel
        )

    async def graph_kernel(self, graph_id: str) -> GraphKernel | None:
        return await self._one(GraphKernel, "graph_kernel", graph_id=graph_id)

    async def live_graphs(self) -> list[LiveGraph]:
        """Graphs of kernels, served or not."""
        return await self._all(LiveGraph, "graph_live")

    async def graph_failure(self, graph_id: str) -> str | None:
        return await self._scalar("graph_failure", graph_id=graph_id)

    async def graph(self, graph_id: str) -> dict[str, Any] | None:
        return await self._scalar("graph_get", graph_id=graph_id)

    async def graphs(self) -> list[GraphRow]:
        return await self._all(GraphRow, "graph_all")
