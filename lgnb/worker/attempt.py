"""One attempt of a claimed run, from its first event to its committed end.

It knows neither Postgres nor Redis, only a `Backend`: the resources of a worker process, or their image in a kernel.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from ..checkpoints.codec import Codec
from ..checkpoints.saver import Saver
from ..errors import DatabaseUnavailable, LeaseLost
from ..graphs.sources import GraphSource
from ..models.checkpoints import Fence
from ..models.runs import ClaimedRun, Ending, RunOutcome
from ..models.vault import begin_sealing
from .execution import Execution, RunReturned, StopReason, durability_of
from .inputs import input_of
from .loops import LoopThread
from .protocol_report import ProtocolLog, ProtocolReport
from .publisher import Events, Publisher

if TYPE_CHECKING:  # a kernel must not load the database
    from ..checkpoints.storage import CheckpointStorage

logger = logging.getLogger(__name__)

# How long a stopped run may take to notice before its end is committed without it.
STOP_GRACE_SECONDS = 3.0
RETRY_SECONDS = 0.5


class RunLeases(Protocol):
    """Where attempts end; see `resources.Leases`."""

    async def end(self, claimed: ClaimedRun, ending: Ending, *, rolled_back: bool) -> RunOutcome: ...

    async def give_back(self, claimed: ClaimedRun) -> bool: ...


class Backend(Protocol):
    """Everything that an attempt reads from and writes to; every write is fenced by the attempt."""

    @property
    def storage(self) -> CheckpointStorage: ...
    @property
    def events(self) -> Events: ...
    @property
    def thread_log(self) -> ProtocolLog: ...
    @property
    def leases(self) -> RunLeases: ...


Start = Callable[[Coroutine[Any, Any, Ending]], tuple[LoopThread, "Future[Ending]"]]
"""Starts an execution on the loop that suits its graph."""


class Attempt:
    """A run in hand. Everything here happens on the loop that made it, apart from the graph itself.

    Attributes:
        thread: the loop of its graph, once it has been started.
        stranded: that loop is known not to listen.
    """

    def __init__(
        self,
        claimed: ClaimedRun,
        backend: Backend,
        *,
        store: Any,
        codec: Codec,
        timeout_seconds: float | None,
        stopping: asyncio.Event,
        on_error: Callable[[BaseException], None] | None = None,
    ) -> None:
        self.claimed = claimed
        self.thread: LoopThread | None = None
        self.stranded = False
        self._backend = backend
        self._store = store
        self._codec = codec
        self._timeout_seconds = timeout_seconds
        self._stopping = stopping
        self._on_error = on_error
        self._loop = asyncio.get_running_loop()
        self._stop_asked = asyncio.Event()
        self._stop_first: tuple[StopReason, str] | None = None
        self._execution: Execution | None = None
        self._future: Future[Ending] | None = None
        self._publisher = Publisher(
            backend.events,
            run_id=claimed.run_id,
            thread_id=claimed.thread_id,
            attempt=claimed.attempt,
            loop=self._loop,
        )
        # The thread of a temporary run goes away with it.
        self._report = None if claimed.temporary else ProtocolReport(backend.thread_log, claimed, loop=self._loop)

    @property
    def has_begun(self) -> bool:
        """Whether the graph's loop has come to it yet."""
        return self._execution is not None and self._execution.has_begun

    @property
    def is_done(self) -> bool:
        """Whether the graph has come to its end, which may still have to be committed."""
        return self._future is not None and self._future.done()

    def stop(self, reason: StopReason, message: str = "") -> None:
        """End the attempt now; also before it has begun."""
        if self._execution is not None:
            self._execution.stop(reason, message)
        elif self._stop_first is None or reason == "lost":
            self._stop_first = reason, message
        self._stop_asked.set()

    def drain(self) -> None:
        """Ask the graph to stop after the superstep it is in."""
        if self._execution is not None:
            self._execution.drain()

    async def run(self, source: GraphSource, start: Start) -> None:
        """Execute the run to its committed end, or give it back."""
        claimed, report = self.claimed, self._report
        if claimed.encryption:
            begin_sealing(claimed.encryption)
        self._publisher.announce(orjson.dumps({"run_id": claimed.run_id, "attempt": claimed.attempt}))
        try:
            if report is not None:
                await report.begin()
            execution = await self._prepare(source)
            self._execution = execution
            if self._stop_first is not None:
                execution.stop(*self._stop_first)
            self.thread, self._future = start(execution.run())
            ending = await self._ending(execution, self._future)
            rolled_back = execution.stopped == "rollback"
            outcome = await self._commit(ending, rolled_back=rolled_back)
            await self._publisher.close(outcome.status, result=b"" if rolled_back else outcome.result)
            if report is not None:
                await _report_end(report, outcome)
        except LeaseLost:
            logger.info("Attempt %d of run %s is no longer the current one.", claimed.attempt, claimed.run_id)
        except (RunReturned, DatabaseUnavailable):
            await self._publisher.flush()
            if report is not None:
                await report.flush()
            await self._give_back()
        finally:
            if report is not None:
                report.stop()

    async def _prepare(self, source: GraphSource) -> Execution:
        claimed = self.claimed
        saver: Saver | None = None
        goes_on = False
        given = input_of(claimed, stored_input=False)
        if not claimed.temporary:
            fence = Fence(claimed.run_id, claimed.attempt)
            is_behind = durability_of(claimed) != "sync"
            saver = Saver(self._backend.storage, self._codec, fence=fence, loop=self._loop, behind=is_behind)
            if claimed.attempt > 1:
                traces = await self._backend.storage.traces_of_run(claimed.thread_id, claimed.run_id)
                goes_on = traces.has_checkpoint
                given = input_of(claimed, stored_input=goes_on, resumed_tasks=traces.resumed_interrupts)
        return Execution(
            claimed,
            source,
            saver=saver,
            input=given,
            goes_on=goes_on,
            publish=self._publisher.publish,
            report=self._report,
            store=self._store,
            on_error=self._on_error,
        )

    async def _ending(self, execution: Execution, future: Future[Ending]) -> Ending:
        """Wait for the graph; one that does not stop when told, or at its time limit, is left behind."""
        done = asyncio.ensure_future(asyncio.wrap_future(future))
        asked = asyncio.create_task(self._stop_asked.wait())
        try:
            await asyncio.wait({done, asked}, timeout=self._timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
            if not done.done():
                if not asked.done():
                    execution.stop("timeout")
                await asyncio.wait({done}, timeout=0 if self.stranded else STOP_GRACE_SECONDS)
            if done.done():
                return done.result()
            logger.warning("Run %s does not stop; its end is committed without it.", self.claimed.run_id)
            return execution.stopped_ending()
        finally:
            asked.cancel()
            if not done.done():
                # Nobody waits for it any more; whatever it still writes is refused by the fence.
                done.add_done_callback(_ignore_result)

    async def _commit(self, ending: Ending, *, rolled_back: bool) -> RunOutcome:
        while True:
            try:
                return await self._backend.leases.end(self.claimed, ending, rolled_back=rolled_back)
            except DatabaseUnavailable:
                logger.warning("The end of run %s could not be committed yet; trying again.", self.claimed.run_id)
                await asyncio.sleep(RETRY_SECONDS)

    async def _give_back(self) -> None:
        while True:
            try:
                await self._backend.leases.give_back(self.claimed)
            except LeaseLost:
                return
            except DatabaseUnavailable:
                if self._stopping.is_set():
                    # The sweeper of another worker takes over when the lease ends.
                    return
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return


async def _report_end(report: ProtocolReport, outcome: RunOutcome) -> None:
    """Tell those who watch the thread how the run ended."""
    if outcome.status in ("error", "timeout"):
        error = outcome.error or {}
        await report.close("failed", error=str(error.get("message") or error.get("error") or outcome.status))
    elif outcome.status == "interrupted" or outcome.thread_status == "interrupted":
        waiting = {interrupt["id"] for task in outcome.interrupts.values() for interrupt in task}
        await report.close("interrupted", waiting=waiting if outcome.has_state else None)
    else:
        await report.close("completed")


def _ignore_result(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
