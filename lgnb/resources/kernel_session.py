"""One connected kernel, whose worker in Postgres is its host: lease, claims, ends of runs, and calls.

The methods are those of `lgnb.wire`. When the connection breaks, nothing is given back: the kernel may come again with
the runs it holds, as long as its lease lives; after that the sweeper takes over, as from any worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from ..errors import (
    DatabaseUnavailable,
    InvalidState,
    LeaseLost,
    LgnbError,
    QueueUnavailable,
    WorkerUnavailable,
)
from ..graphs.descriptor_views import GraphDescriptor
from ..models.live import Begun, KernelInfo, RunHeld
from ..models.runs import ClaimedRun, Ending, RunOutcome, RunWatch
from ..queue.calls import Call, Reply
from ..settings import Settings
from ..wire import Disconnected, Peer
from .kernel_reach import KernelReach
from .replies import failure

if TYPE_CHECKING:
    from . import Resources

logger = logging.getLogger(__name__)

# How long a question for runs waits for one; shorter than what proxies take for silence.
_CLAIM_SECONDS = 20.0
_WAIT_SECONDS = 1.0
_PAUSE_SECONDS = 0.5
# Each update holds one database connection while its graph uses another.
_MOST_UPDATES = 2


class KernelSession:
    """Give it every frame with `receive` while `run` runs; `close` it when the connection has ended."""

    def __init__(self, resources: Resources, *, settings: Settings, send: Callable[[bytes], Awaitable[None]]) -> None:
        self._resources = resources
        self._settings = settings
        self._reach = KernelReach(resources)
        self._worker_id: UUID | None = None
        self._kernel: KernelInfo | None = None
        self._graph_ids: list[str] = []
        self._look = asyncio.Event()
        self._begun = asyncio.Event()
        self._watching: set[asyncio.Task[None]] = set()
        self._answering: set[asyncio.Task[None]] = set()
        self._peer = Peer(
            send,
            {
                "begin": self.begin,
                "serve": self.serve,
                "unserve": self.unserve,
                "beat": self.beat,
                "claim": self.claim,
                "end": self.end,
                "give_back": self.give_back,
                "bye": self.bye,
                **self._reach.methods,
            },
        )

    async def receive(self, frame: bytes) -> None:
        await self._peer.receive(frame)

    async def run(self) -> None:
        """Hear wake-ups, signals and calls for this kernel, until cancelled."""
        await self._begun.wait()
        with self._resources.kernel_workers.connected(self._heard):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen())
                tasks.create_task(self._take_calls())

    def close(self) -> None:
        """The connection has ended. Safe to call twice."""
        self._peer.close()
        for task in self._watching:
            task.cancel()

    # the lease

    async def begin(
        self, *, kernel: KernelInfo, jobs: int, worker_id: UUID | None = None, held: Sequence[RunHeld] = ()
    ) -> Begun:
        """Take up the lease that the kernel had, or give it a new one."""
        self._kernel = kernel
        leases = self._resources.leases
        resumed = worker_id is not None and await leases.renew(worker_id)
        if resumed:
            self._worker_id = worker_id
            await self._take_up(held)
        else:
            self._worker_id = uuid4()
            await leases.register(
                self._worker_id,
                host_name=kernel.host_name,
                pid=kernel.pid,
                graph_ids=[],
                jobs=jobs,
                kernel=asdict(kernel),
            )
        assert self._worker_id is not None
        self._graph_ids = await self._resources.kernel_workers.graph_ids(self._worker_id)
        self._begun.set()
        store = self._resources.store.config
        return Begun(
            worker_id=self._worker_id,
            lease_seconds=self._settings.lease_seconds,
            run_timeout_seconds=self._settings.run_timeout_seconds,
            resumed=resumed,
            held=[RunHeld(run_id=one.run_id, attempt=one.attempt) for one in self._reach.hands.values()],
            default_ttl_minutes=store.default_ttl_minutes,
            refresh_on_read=store.refresh_on_read,
        )

    async def beat(self) -> dict[str, Any]:
        """Renew the lease; what the kernel serves now, and how the runs in hand stand.

        Raises:
            LeaseLost: the lease had ended.
        """
        worker_id = self._own_id()
        if not await self._resources.leases.renew(worker_id):
            self._reach.hands.clear()
            raise LeaseLost(worker_id, 0)
        self._graph_ids = await self._resources.kernel_workers.graph_ids(worker_id)
        await self._resources.leases.return_lost_claims(
            worker_id, known=list(self._reach.hands), age_seconds=self._settings.lease_seconds
        )
        rows = await self._resources.runs.watch(list(self._reach.hands)) if self._reach.hands else []
        return {"graph_ids": self._graph_ids, "runs": rows}

    async def bye(self) -> None:
        """The kernel stops in good order: what it holds goes back to the queue at once, uncounted."""
        worker_id = self._own_id()
        for claimed in list(self._reach.hands.values()):
            await self.give_back(run_id=claimed.run_id, attempt=claimed.attempt)
        await self._resources.leases.unregister(worker_id)

    async def _take_up(self, held: Sequence[RunHeld]) -> None:
        """Of the runs that the lease covers, those which the kernel has; the others never reached it."""
        has = {(one.run_id, one.attempt) for one in held}
        for claimed in await self._resources.leases.held(self._own_id()):
            if (claimed.run_id, claimed.attempt) in has:
                self._reach.hands[claimed.run_id] = claimed
            else:
                await self._resources.leases.give_back(claimed)

    # what it serves

    async def serve(self, *, descriptor: GraphDescriptor, take_over: bool = False) -> None:
        worker_id = self._own_id()
        assert self._kernel is not None
        await self._resources.kernel_workers.serve(worker_id, self._kernel, descriptor, take_over=take_over)
        self._graph_ids = await self._resources.kernel_workers.graph_ids(worker_id)
        self._look.set()

    async def unserve(self, *, graph_id: str) -> None:
        await self._resources.kernel_workers.leave(self._own_id(), graph_id)
        self._graph_ids = [one for one in self._graph_ids if one != graph_id]

    # runs

    async def claim(self, *, limit: int) -> list[ClaimedRun]:
        """Up to `limit` due runs of its graphs; waits a while for one."""
        worker_id, leases = self._own_id(), self._resources.leases
        give_up_at = time.monotonic() + _CLAIM_SECONDS
        while True:
            self._look.clear()
            wait_seconds = self._settings.poll_seconds
            # Asked each time: another kernel may have taken one over.
            self._graph_ids = graph_ids = await self._resources.kernel_workers.graph_ids(worker_id)
            if graph_ids:
                suspect = not any(leases.is_suspect(one) for one in self._reach.hands.values())
                claimed = await leases.claim(worker_id, graph_ids=graph_ids, limit=limit, suspect=suspect)
                self._reach.hands.update({one.run_id: one for one in claimed})
                if claimed:
                    return claimed
                if (due := await leases.next_due_seconds(graph_ids)) is not None:
                    wait_seconds = min(wait_seconds, max(due, 0.0))
            left = give_up_at - time.monotonic()
            if left <= 0:
                return []
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(wait_seconds, left)):
                    await self._look.wait()

    async def end(self, *, run_id: UUID, attempt: int, ending: Ending, rolled_back: bool) -> RunOutcome:
        claimed = self._reach.held(run_id, attempt)
        outcome = await self._resources.leases.end(claimed, ending, rolled_back=rolled_back)
        self._reach.let_go(claimed)
        return outcome

    async def give_back(self, *, run_id: UUID, attempt: int) -> bool:
        claimed = self._reach.held(run_id, attempt)
        returned = await self._resources.leases.give_back(claimed)
        self._reach.let_go(claimed)
        return returned

    # what it is told

    async def _listen(self) -> None:
        while True:
            if not self._graph_ids:
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            try:
                # Short, as the list of graphs may change meanwhile.
                if await self._resources.wakeups.wait(list(self._graph_ids), timeout_seconds=_WAIT_SECONDS):
                    self._look.set()
            except QueueUnavailable:
                await asyncio.sleep(_PAUSE_SECONDS)

    def _heard(self, run_ids: Sequence[UUID]) -> None:
        if ours := [run_id for run_id in run_ids if run_id in self._reach.hands]:
            task = asyncio.create_task(self._watch(ours))
            self._watching.add(task)
            task.add_done_callback(self._watching.discard)

    async def _watch(self, run_ids: list[UUID]) -> None:
        # Without an answer, the next beat tells.
        with contextlib.suppress(LgnbError):
            rows: Sequence[RunWatch] = await self._resources.runs.watch(run_ids)
            await self._peer.ask("watch", runs=rows, asked=run_ids)

    async def _take_calls(self) -> None:
        room = asyncio.Semaphore(_MOST_UPDATES)
        while True:
            if not self._graph_ids:
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            await room.acquire()
            call: Call | None = None
            try:
                call = await self._resources.calls.next(list(self._graph_ids), timeout_seconds=_WAIT_SECONDS)
            except QueueUnavailable:
                await asyncio.sleep(_PAUSE_SECONDS)
            if call is None:
                room.release()
            else:
                # Not ended with the connection: whoever waits is told that the kernel has left.
                task = asyncio.create_task(self._answer(call))
                self._answering.add(task)
                task.add_done_callback(self._answering.discard)
                task.add_done_callback(lambda _: room.release())

    async def _answer(self, call: Call) -> None:
        async def apply(config: dict[str, Any]) -> dict[str, Any]:
            with self._reach.updating(UUID(call.params["thread_id"])):
                return await self._peer.ask(
                    "update", graph_id=call.graph_id, of=call.method, params=call.params, config=config
                )

        try:
            async with asyncio.timeout(max(call.deadline - time.time(), 0)):
                reply = Reply(result=await self._resources.state_updates.update(call, apply))
        except TimeoutError:
            reply = failure(WorkerUnavailable(f"The kernel of graph {call.graph_id!r} did not answer in time."))
        except Disconnected:
            reply = failure(WorkerUnavailable(f"The kernel of graph {call.graph_id!r} left before it answered."))
        except LgnbError as error:
            reply = failure(error)
        with contextlib.suppress(QueueUnavailable, DatabaseUnavailable):
            await self._resources.calls.answer(call, reply)

    def _own_id(self) -> UUID:
        if self._worker_id is None:
            raise InvalidState("The first question of a kernel must be begin.")
        return self._worker_id
