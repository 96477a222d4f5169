"""A kernel as the worker of its own graphs: claims their runs from the host and executes them beside the cells.

Everything here happens on the loop that made it, apart from the graphs, which have loops of their own. Node code runs
in the context of the cell that served its graph, so what it prints appears there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from typing import Any, cast
from uuid import UUID

from langchain_core.runnables import RunnableConfig

from ..checkpoints.codec import Codec
from ..checkpoints.saver import Saver
from ..client.discovery import Server
from ..errors import ConnectError, GraphNotFound, LeaseLost, LgnbError
from ..graphs.descriptor_views import GraphDescriptor
from ..graphs.descriptors import describe
from ..graphs.sources import GraphSource
from ..models.live import Begun, KernelInfo, RunHeld
from ..models.runs import ClaimedRun, RunWatch
from ..models.store import StoreConfig
from ..worker.attempt import Attempt
from ..worker.graph_store import GraphStore
from ..worker.graph_updates import refused, supersteps_of, update_graph
from ..worker.loops import GraphLoops
from .backend import HostBackend, HostItems
from .breakpoints import mark_node_context
from .failures import show_failure
from .link import Link

logger = logging.getLogger(__name__)

_JOBS = 10
_CHECK_SECONDS = 0.25
_PAUSE_SECONDS = 0.5
# Jupyter waits five seconds for a kernel to end, and then kills it.
_STOP_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A graph as the cell served it."""

    source: GraphSource
    descriptor: GraphDescriptor
    context: Context


class KernelWorker:
    """One lease for everything that this kernel serves through one server.

    Args:
        on_taken: told of a graph that somebody else serves from now on.
    """

    def __init__(self, server: Server, kernel: KernelInfo, *, on_taken: Callable[[str], None]) -> None:
        self.graphs: dict[str, Served] = {}
        self._on_taken = on_taken
        self._link = Link(
            server,
            kernel=kernel,
            jobs=_JOBS,
            methods={"update": self.update, "watch": self.watch},
            held=self._held,
            on_begun=self._on_begun,
            on_lost=self._on_lost,
            on_beat=self._on_beat,
        )
        self._backend = HostBackend(self._link)
        self._loop = asyncio.get_running_loop()
        self._graph_loops = GraphLoops(isolation="auto")
        self._store: GraphStore | None = None
        self._timeout_seconds: float | None = None
        self._hands: dict[UUID, Attempt] = {}
        self._attempts: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()
        self._stopping = asyncio.Event()
        self._background = [
            asyncio.create_task(work, name="lgnb-kernel")
            for work in (self._link.run(), self._claim(), self._check_loops())
        ]

    @property
    def is_connected(self) -> bool:
        return self._link.is_connected

    @property
    def running(self) -> int:
        """How many runs are in hand."""
        return len(self._hands)

    async def serve(self, graph_id: str, source: GraphSource, context: Context, *, take_over: bool = False) -> None:
        """Execute the runs of this graph from now on; a run that has begun ends with the graph it began with.

        Raises:
            GraphLoadError: the graph cannot be described.
            GraphTaken: somebody else serves this name.
            ConnectError: the host refuses this kernel.
        """
        _, described = context.run(self._graph_loops.run, describe(source, store=self._store), graph_id=graph_id)
        descriptor = await asyncio.wrap_future(described)
        descriptor.require_loaded()
        while True:
            try:
                await self._link.ask("serve", descriptor=descriptor, take_over=take_over)
                break
            except LeaseLost:
                # The link is about to find out, and gets a new lease.
                await asyncio.sleep(_PAUSE_SECONDS)
        self.graphs[graph_id] = Served(source=source, descriptor=descriptor, context=context)
        self._room.set()

    async def unserve(self, graph_id: str) -> None:
        """Take no more runs of this graph; those in hand go on."""
        del self.graphs[graph_id]
        await self._link.ask("unserve", graph_id=graph_id)

    async def stop(self) -> None:
        """Give back what is in hand, uncounted, and end. Safe to call twice."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        for hand in self._hands.values():
            hand.stop("return")
        if self._attempts:
            await asyncio.wait(self._attempts, timeout=_STOP_SECONDS)
        if self._link.is_connected:
            with contextlib.suppress(LgnbError, TimeoutError):
                async with asyncio.timeout(_STOP_SECONDS):
                    await self._link.ask("bye")
        await self._link.stop()
        for task in (*self._background, *self._attempts):
            task.cancel()
        await asyncio.gather(*self._background, *self._attempts, return_exceptions=True)
        self._graph_loops.stop()

    # what the host asks

    async def update(self, *, graph_id: str, of: str, params: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
        """Apply updates of a thread's state to the graph; the place of the new checkpoint."""
        served = self._served(graph_id)
        saver = Saver(self._backend.storage, Codec(), loop=self._loop)
        try:
            updating = update_graph(
                served.source,
                cast(RunnableConfig, config),
                supersteps_of(of, params),
                saver=saver,
                store=self._store,
            )
            _, future = served.context.copy().run(self._graph_loops.run, updating, graph_id=graph_id)
            updated: Any = await asyncio.wrap_future(future)
        except Exception as error:
            raise refused(error) from error
        keys = ("thread_id", "checkpoint_ns", "checkpoint_id")
        return {"configurable": {key: updated["configurable"][key] for key in keys}}

    async def watch(self, *, runs: list[RunWatch], asked: list[UUID]) -> None:
        """Somebody signalled these runs: stop what was cancelled, superseded, deleted or taken over."""
        present = {row.run_id: row for row in runs}
        for run_id in asked:
            hand, row = self._hands.get(run_id), present.get(run_id)
            if hand is None:
                continue
            if row is None or row.attempt != hand.claimed.attempt or row.status != "running":
                # A row that was read before our newest claim tells nothing of it.
                if row is None or row.attempt >= hand.claimed.attempt:
                    hand.stop("lost")
            elif row.cancel_action is not None:
                hand.stop(row.cancel_action, row.cancel_reason or "The run was cancelled.")

    # the lease

    def _held(self) -> list[RunHeld]:
        return [RunHeld(run_id=hand.claimed.run_id, attempt=hand.claimed.attempt) for hand in self._hands.values()]

    def _on_begun(self, begun: Begun) -> None:
        config = StoreConfig(default_ttl_minutes=begun.default_ttl_minutes, refresh_on_read=begun.refresh_on_read)
        self._store = GraphStore(HostItems(self._link, config), loop=self._loop)
        self._timeout_seconds = begun.run_timeout_seconds
        held = {(one.run_id, one.attempt) for one in begun.held}
        for hand in self._hands.values():
            if (hand.claimed.run_id, hand.claimed.attempt) not in held:
                hand.stop("lost")
        if not begun.resumed and self.graphs:
            self._spawn(self._serve_again())

    def _on_lost(self) -> None:
        for hand in self._hands.values():
            hand.stop("lost")

    def _on_beat(self, graph_ids: list[str], runs: list[RunWatch]) -> None:
        for graph_id in set(self.graphs).difference(graph_ids):
            # One that is being served right now is not among those of the beat yet.
            self._spawn(self._make_sure(graph_id))
        self._spawn(self.watch(runs=runs, asked=[row.run_id for row in runs]))

    async def _serve_again(self) -> None:
        """The host has forgotten this kernel: its lease had ended while the connection was broken."""
        for graph_id, served in list(self.graphs.items()):
            try:
                await self._link.ask("serve", descriptor=served.descriptor)
            except LeaseLost:
                return
            except LgnbError as error:
                self._leave(graph_id, str(error))

    async def _make_sure(self, graph_id: str) -> None:
        told = await self._link.ask("beat")
        if graph_id in self.graphs and graph_id not in told["graph_ids"]:
            self._leave(graph_id, f"{graph_id} is served by somebody else now.")

    def _leave(self, graph_id: str, reason: str) -> None:
        if (served := self.graphs.pop(graph_id, None)) is not None:
            served.context.copy().run(self._on_taken, reason)

    # runs

    async def _claim(self) -> None:
        while True:
            self._room.clear()
            room = _JOBS - len(self._hands)
            if not self.graphs or room <= 0:
                await self._room.wait()
                continue
            try:
                claimed: list[ClaimedRun] = await self._link.ask("claim", list[ClaimedRun], limit=room)
            except ConnectError as error:
                for graph_id in list(self.graphs):
                    self._leave(graph_id, str(error))
                return
            except LgnbError as error:
                logger.debug("No runs were claimed: %s", error)
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            for one in claimed:
                self._spawn(self._execute(one))

    async def _execute(self, claimed: ClaimedRun) -> None:
        served = self.graphs.get(claimed.graph_id)
        if served is None or self._stopping.is_set():
            # It was claimed while the graph was being taken away.
            with contextlib.suppress(LgnbError):
                await self._backend.leases.give_back(claimed)
            return
        hand = Attempt(
            claimed,
            self._backend,
            store=self._store,
            codec=Codec(),
            timeout_seconds=self._timeout_seconds,
            stopping=self._stopping,
            on_error=partial(show_failure, claimed.graph_id),
        )
        self._hands[claimed.run_id] = hand
        context = served.context.copy()
        context.run(mark_node_context)
        start = partial(self._graph_loops.run, graph_id=claimed.graph_id, run_id=claimed.run_id)
        try:
            await hand.run(served.source, partial(context.run, start))
        finally:
            if self._hands.get(claimed.run_id) is hand:
                del self._hands[claimed.run_id]
            self._room.set()

    def _served(self, graph_id: str) -> Served:
        if graph_id not in self.graphs:
            raise GraphNotFound(graph_id)
        return self.graphs[graph_id]

    async def _check_loops(self) -> None:
        while True:
            await asyncio.sleep(_CHECK_SECONDS)
            self._graph_loops.check()

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.create_task(coroutine)
        self._attempts.add(task)
        task.add_done_callback(self._attempts.discard)
        task.add_done_callback(_log_failure)


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None and not sys.is_finalizing():
        logger.error("A task of the kernel worker failed", exc_info=error)
