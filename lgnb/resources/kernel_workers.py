"""Live graphs: who may serve which name, and the kernels that are connected to this host."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Generator, Sequence
from uuid import UUID

from ..db.database import Database
from ..db.workers import WorkerRepository, WorkerRow
from ..errors import GraphTaken, LeaseLost
from ..graphs.descriptor_views import GraphDescriptor
from ..models.live import KernelInfo, LiveGraph
from ..queue.signals import Signals
from .assistants import Assistants
from .leases import Leases

logger = logging.getLogger(__name__)

Heard = Callable[[Sequence[UUID]], None]


class KernelWorkers:
    def __init__(self, database: Database, *, assistants: Assistants, leases: Leases, signals: Signals) -> None:
        self._database = database
        self._assistants = assistants
        self._leases = leases
        self._signals = signals
        self._connected: set[Heard] = set()
        self._hears = False

    async def graphs(self) -> list[LiveGraph]:
        """Every live graph, served at the moment or not."""
        async with self._database.connection() as connection:
            return await WorkerRepository(connection).live_graphs()

    @contextlib.contextmanager
    def connected(self, heard: Heard) -> Generator[None]:
        """Tell one connected kernel, until the block ends, of runs that somebody has signalled."""
        if not self._hears:
            self._hears = True
            self._signals.start(self._heard)
        self._connected.add(heard)
        try:
            yield
        finally:
            self._connected.discard(heard)

    async def serve(
        self, worker_id: UUID, kernel: KernelInfo, descriptor: GraphDescriptor, *, take_over: bool = False
    ) -> None:
        """Give a kernel the runs and calls of a graph, and keep its system assistant in step.

        A kernel follows itself: after a restart, or from another kernel of the same notebook. Runs that others have
        in hand end where they are.

        Args:
            take_over: also take the name from another kernel, or from a graph of langgraph.json that no worker serves.

        Raises:
            GraphTaken: somebody else serves the name.
            LeaseLost: the kernel's own lease has ended.
        """
        graph_id = descriptor.graph_id
        dead: list[WorkerRow] = []
        async with self._database.transaction() as connection:
            workers = WorkerRepository(connection)
            await workers.lock_graph(graph_id)
            for other in await workers.serving(graph_id):
                if other.worker_id == worker_id:
                    continue
                if _is_restarted(other, kernel):
                    await workers.delete(other.worker_id)
                    dead.append(other)
                    continue
                _require_takeover(other, graph_id, kernel, take_over=take_over)
                await workers.leave_graph(graph_id, worker_id=other.worker_id)
            known = await workers.graph_kernel(graph_id)
            if known is not None and known.kernel is None and not take_over:
                raise GraphTaken(
                    f"A graph of langgraph.json is called {graph_id!r}; choose another name, "
                    "or take it with --take-over if that graph is gone."
                )
            if not await workers.serve_graph(worker_id, graph_id):
                raise LeaseLost(worker_id, 0)
            await self._assistants.register_on(connection, descriptor, kernel=kernel)
        if dead:
            await self._leases.sweep()

    async def leave(self, worker_id: UUID, graph_id: str) -> None:
        """Give a kernel no more runs of a graph; those it has in hand go on."""
        async with self._database.connection() as connection:
            await WorkerRepository(connection).leave_graph(graph_id, worker_id=worker_id)

    async def graph_ids(self, worker_id: UUID) -> list[str]:
        """What a kernel serves: somebody else may have taken a graph over."""
        async with self._database.connection() as connection:
            return await WorkerRepository(connection).graph_ids(worker_id)

    def _heard(self, run_ids: list[UUID]) -> None:
        for heard in list(self._connected):
            heard(run_ids)


def _is_restarted(other: WorkerRow, kernel: KernelInfo) -> bool:
    """Whether a worker is the same kernel in a process that is gone."""
    if other.kernel is None:
        return False
    before = KernelInfo(**other.kernel)
    return before.kernel_id == kernel.kernel_id and (before.host_name, before.pid) != (kernel.host_name, kernel.pid)


def _require_takeover(other: WorkerRow, graph_id: str, kernel: KernelInfo, *, take_over: bool) -> None:
    if other.kernel is None:
        raise GraphTaken(f"Workers serve a graph {graph_id!r} of langgraph.json; choose another name.")
    owner = KernelInfo(**other.kernel)
    if not (take_over or owner.is_same(kernel)):
        raise GraphTaken(
            f"Graph {graph_id!r} is served by {owner}; choose another name, stop it there with "
            f"%lg unserve {graph_id}, or take it with --take-over."
        )
