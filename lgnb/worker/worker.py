"""The worker: claims runs, executes them on graph loops, commits how they ended, and gives back what it cannot finish.

Everything here happens on the service loop; what can run twice is fenced by the attempt it quotes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from ..checkpoints.codec import Codec
from ..errors import DatabaseUnavailable, QueueUnavailable
from ..graphs.loading import GraphRegistry
from ..log_format import log_fields
from ..models.runs import ClaimedRun, RunWatch
from ..resources import Resources
from ..settings import Settings
from .attempt import RETRY_SECONDS, STOP_GRACE_SECONDS, Attempt
from .call_server import CallServer
from .cron_tick import CronTick
from .expiry import StoreSweeper, ThreadSweeper
from .graph_store import GraphStore
from .heartbeat import Heartbeat
from .loops import GraphLoops, LoopThread
from .sweeper import Sweeper

logger = logging.getLogger(__name__)

_CLAIM_AT_ONCE = 8
_MOST_AT_ONCE = 32
_MOST_HEARD = 256
_WATCH_SECONDS = 0.25
_QUIET_SECONDS = 0.02


class Worker:
    """One lease and up to `jobs` runs. `run()` returns after `stop()`, when everything is finished or given back."""

    def __init__(
        self,
        resources: Resources,
        registry: GraphRegistry,
        *,
        settings: Settings,
        postgres_uri: str,
        codec: Codec | None = None,
    ) -> None:
        self._resources = resources
        self._registry = registry
        self._settings = settings
        self._postgres_uri = postgres_uri
        self._codec = codec or Codec()
        self._graph_ids = [graph_id for graph_id in registry.graph_ids if graph_id not in registry.failures]
        self._loop = asyncio.get_running_loop()
        self._graph_loops = GraphLoops(
            isolation=settings.isolated_loops,
            on_blocked=self._from_thread(self._evacuate),
        )
        self._store = GraphStore(resources.store, loop=self._loop)
        self._calls = CallServer(
            resources,
            registry,
            graph_loops=self._graph_loops,
            graph_ids=self._graph_ids,
            store=self._store,
            codec=self._codec,
            most_at_once=max(1, settings.postgres_pool_size // 4),
        )
        self._worker_id = uuid4()
        self._heartbeat: Heartbeat | None = None
        self._hands: dict[UUID, Attempt] = {}
        self._attempts: set[asyncio.Task[None]] = set()
        # The runs begun and not yet ended, by how many attempts of each are.
        self._begun: Counter[UUID] = Counter()
        # Signalled runs that were in nobody's hands here, the last ones only.
        self._heard: deque[UUID] = deque(maxlen=_MOST_HEARD)
        self._suspects = 0
        self._claim_at_once = _CLAIM_AT_ONCE
        self._look = asyncio.Event()
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Work until `stop()` was called."""
        await self._begin_lease()
        background = [
            asyncio.create_task(Sweeper(self._resources.leases, period_seconds=1.0).run(), name="lgnb-sweeper"),
            asyncio.create_task(
                CronTick(self._resources.crons, period_seconds=self._settings.poll_seconds).run(), name="lgnb-crons"
            ),
            asyncio.create_task(ThreadSweeper(self._resources.threads).run(), name="lgnb-thread-sweeper"),
            asyncio.create_task(StoreSweeper(self._resources.store).run(), name="lgnb-store-sweeper"),
            asyncio.create_task(self._watch_lease(), name="lgnb-lease"),
            asyncio.create_task(self._return_lost_claims(), name="lgnb-lost-claims"),
            asyncio.create_task(self._listen(), name="lgnb-wakeups"),
            asyncio.create_task(self._calls.run(), name="lgnb-calls"),
        ]
        self._resources.signals.start(lambda run_ids: self._spawn(self._check(run_ids)))
        try:
            while not self._stopping.is_set():
                await self._claim()
            await self._drain()
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            await self._resources.signals.stop()
            if self._heartbeat is not None:
                await asyncio.to_thread(self._heartbeat.stop)
            with contextlib.suppress(DatabaseUnavailable):
                await self._resources.leases.unregister(self._worker_id)
            self._graph_loops.stop()

    def stop(self) -> None:
        """Claim nothing more and come to an end; safe to call twice."""
        self._stopping.set()
        self._look.set()

    # the lease

    async def _begin_lease(self) -> None:
        self._worker_id = uuid4()
        asked_at = time.monotonic()
        await self._resources.leases.register(
            self._worker_id,
            host_name=socket.gethostname(),
            pid=os.getpid(),
            graph_ids=self._graph_ids,
            jobs=self._settings.jobs,
        )
        self._heartbeat = Heartbeat(
            self._postgres_uri,
            worker_id=self._worker_id,
            lease_seconds=self._settings.lease_seconds,
            leased_at=asked_at,
            watched=lambda: list(self._hands),
            on_watched=self._from_thread(self._compare),
            on_lost=self._from_thread(self._lose),
            every_beat=self._graph_loops.check,
        )
        self._heartbeat.start()

    def _lose(self) -> None:
        """The lease ended (stalled, or cut off from Postgres): what is in hand belongs to others now."""
        if self._heartbeat is None:
            return
        self._heartbeat.abandon()
        self._heartbeat = None
        logger.warning("The lease of this worker ended before it was renewed; its runs go on elsewhere.")
        self._resources.leases.tell_lost(self._worker_id)
        for hand in self._hands.values():
            hand.stop("lost")
        if not self._stopping.is_set():
            self._spawn(self._begin_lease_again())

    async def _watch_lease(self) -> None:
        """Notice the end of the lease also while the heartbeat waits for a Postgres that says nothing."""
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            if self._heartbeat is not None and self._heartbeat.is_overdue:
                self._lose()

    async def _begin_lease_again(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._begin_lease()
            except DatabaseUnavailable:
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self._look.set()
                return

    # claiming

    async def _listen(self) -> None:
        """Turn wake-up tokens into looks, as long as there is room for another run."""
        if not self._graph_ids:
            return
        while True:
            if self._begun.total() >= self._settings.jobs:
                await asyncio.sleep(self._settings.poll_seconds / 10)
                continue
            try:
                if await self._resources.wakeups.wait(self._graph_ids, timeout_seconds=5.0):
                    self._look.set()
            except QueueUnavailable:
                await asyncio.sleep(RETRY_SECONDS)

    async def _claim(self) -> None:
        """Claim what is due, then wait for a wake-up, the next delayed run, or the poll interval."""
        self._look.clear()
        wait_seconds = self._settings.poll_seconds
        try:
            room = self._settings.jobs - self._begun.total()
            if room > 0 and self._graph_ids:
                limit = min(room, self._claim_at_once)
                leases = self._resources.leases
                claimed = await leases.claim(
                    self._worker_id, graph_ids=self._graph_ids, limit=limit, suspect=not self._suspects
                )
                for one in claimed:
                    self._begin(one)
                if len(claimed) == limit:
                    # There may be more, but others shall have their share of it: look again after a breath, and take
                    # more at once, since the runs in hand leave less and less time to look.
                    self._claim_at_once = min(2 * self._claim_at_once, _MOST_AT_ONCE)
                    await asyncio.sleep(0)
                    return
                self._claim_at_once = _CLAIM_AT_ONCE
                # Who is rung all the time looks all the time, and finds what was delayed as well.
                if not claimed and not await self._rung(_QUIET_SECONDS):
                    due = await leases.next_due_seconds(self._graph_ids)
                    wait_seconds = min(wait_seconds, max(due, 0.0)) if due is not None else wait_seconds
        except DatabaseUnavailable:
            logger.warning("Postgres does not answer; looking for runs again soon.")
        await self._rung(wait_seconds)

    async def _rung(self, wait_seconds: float) -> bool:
        """Whether there was a reason to look in that time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_seconds):
                await self._look.wait()
        return self._look.is_set()

    async def _return_lost_claims(self) -> None:
        period_seconds = self._settings.lease_seconds
        while True:
            await asyncio.sleep(period_seconds)
            with contextlib.suppress(DatabaseUnavailable):
                returned = await self._resources.leases.return_lost_claims(
                    self._worker_id, known=list(self._begun), age_seconds=period_seconds
                )
                if returned:
                    logger.warning("Returned %d runs whose claim was committed, but never answered.", len(returned))

    # one run

    def _begin(self, claimed: ClaimedRun) -> None:
        self._begun[claimed.run_id] += 1
        self._suspects += self._resources.leases.is_suspect(claimed)
        self._spawn(self._execute(claimed))

    async def _execute(self, claimed: ClaimedRun) -> None:
        """Execute a claimed run to its committed end."""
        log_fields.set({"run_id": claimed.run_id, "thread_id": claimed.thread_id, "attempt": claimed.attempt})
        hand = Attempt(
            claimed,
            self._resources,
            store=self._store,
            codec=self._codec,
            timeout_seconds=self._settings.run_timeout_seconds,
            stopping=self._stopping,
        )
        self._hands[claimed.run_id] = hand
        if claimed.run_id in self._heard:
            self._spawn(self._check([claimed.run_id]))
        try:
            await hand.run(
                self._registry.get(claimed.graph_id),
                partial(self._graph_loops.run, graph_id=claimed.graph_id, run_id=claimed.run_id),
            )
        finally:
            was_full = self._begun.total() >= self._settings.jobs or self._suspects > 0
            self._begun -= Counter([claimed.run_id])
            self._suspects -= self._resources.leases.is_suspect(claimed)
            # A run that was given back may be in hand again already, by a newer attempt.
            if self._hands.get(claimed.run_id) is hand:
                self._hands.pop(claimed.run_id, None)
            if was_full:
                self._look.set()

    # stopping runs

    async def _check(self, run_ids: list[UUID]) -> None:
        """Somebody signalled these runs: look at the rows of those in hand."""
        # One may be on its way into our hands: its claim is committed, but has not come back or is being prepared.
        self._heard.extend(run_id for run_id in run_ids if run_id not in self._hands)
        ours = [run_id for run_id in run_ids if run_id in self._hands]
        if not ours:
            return
        with contextlib.suppress(DatabaseUnavailable):
            self._compare(await self._resources.runs.watch(ours), asked=ours)

    def _compare(self, rows: Sequence[RunWatch], asked: list[UUID] | None = None) -> None:
        """Stop what was cancelled, superseded, deleted or taken over."""
        present = {row.run_id: row for row in rows}
        for run_id in asked or list(present):
            hand, row = self._hands.get(run_id), present.get(run_id)
            if hand is None:
                continue
            if row is None or row.attempt != hand.claimed.attempt or row.status != "running":
                # A newer claim of ours looks the same from here; its row was read before it was made.
                if row is None or row.attempt >= hand.claimed.attempt:
                    hand.stop("lost")
            elif row.cancel_action is not None:
                hand.stop(row.cancel_action, row.cancel_reason or "The run was cancelled.")

    def _evacuate(self, thread: LoopThread, culprit: UUID | None, lasting: bool) -> None:
        """A graph blocks this loop: the other runs on it go on elsewhere, from their last checkpoint."""
        for run_id, hand in self._hands.items():
            if hand.thread is not thread or run_id == culprit or hand.is_done:
                continue
            if lasting or not hand.has_begun:
                hand.stranded = True
                hand.stop("return")

    async def _drain(self) -> None:
        """Let runs finish their superstep, then give back what is left."""
        for hand in self._hands.values():
            hand.drain()
        if self._attempts:
            await asyncio.wait(self._attempts, timeout=self._settings.drain_seconds)
        for hand in self._hands.values():
            hand.stop("return")
        if self._attempts:
            await asyncio.wait(self._attempts, timeout=STOP_GRACE_SECONDS + 1)

    def _from_thread(self, method: Callable[..., None]) -> Callable[..., None]:
        """The same method for another thread to call; it runs on the service loop."""

        def passed_on(*arguments: Any) -> None:
            # A stopping process may have closed the loop already.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(method, *arguments)

        return passed_on

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.create_task(coroutine)
        self._attempts.add(task)
        task.add_done_callback(self._attempts.discard)
        task.add_done_callback(_log_failure)


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("A task of the worker failed", exc_info=error)
