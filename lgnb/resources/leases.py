"""What a worker does to runs: claim, finish, give back, and take over from the dead. All of it is fenced.

A worker holds one lease, its row in `workers`; each claimed run quotes it and an attempt number. A write that
quotes an outdated attempt finds no row, changes nothing and raises LeaseLost.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from ..checkpoints.history import thread_states
from ..checkpoints.storage import CheckpointStorage
from ..db.database import Connection, Database
from ..db.outcomes import sealed_outcome
from ..db.runs import ExpiredRun, RunEnd, RunRepository
from ..db.threads import ThreadRepository
from ..db.workers import WorkerRepository
from ..errors import EncryptionFailed, LeaseLost, QueueUnavailable
from ..failpoints import failpoint
from ..gathering import Gathering
from ..models.news import LeaseNews, RunNews, ThreadNews
from ..models.runs import ClaimedRun, Ending, RunOutcome
from ..models.threads import ThreadStatus
from ..models.vault import sealing_for
from ..queue.news import NewsChannel
from ..queue.wakeups import WakeUps
from .cancellation import roll_back_attempt
from .endings import Endings
from .latest_state import latest_values, refresh_latest_state
from .webhooks import Webhooks

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Takeover:
    """What the sweeper did: runs put back into the queue, and runs it had to end."""

    requeued: list[UUID]
    ended: list[UUID]


class Leases:
    def __init__(
        self,
        database: Database,
        *,
        storage: CheckpointStorage,
        endings: Endings,
        wakeups: WakeUps,
        lease_seconds: float,
        max_attempts: int,
        webhooks: Webhooks,
        news: NewsChannel,
    ) -> None:
        self._database = database
        self._storage = storage
        self._endings = endings
        self._wakeups = wakeups
        self._webhooks = webhooks
        self._news = news
        self._lease_seconds = lease_seconds
        self._max_attempts = max_attempts
        self._suspect_after = max(max_attempts - 1, 1)
        self._ends = Gathering(self._finish_together)
        self._temporary_ends = Gathering(self._finish_temporary_together)

    async def register(
        self,
        worker_id: UUID,
        *,
        host_name: str,
        pid: int,
        graph_ids: list[str],
        jobs: int,
        kernel: dict[str, Any] | None = None,
    ) -> None:
        """Announce a worker, or the kernel that a host acts for, and give it its first lease."""
        async with self._database.connection() as connection:
            await WorkerRepository(connection).insert(
                worker_id,
                host_name=host_name,
                pid=pid,
                graph_ids=graph_ids,
                jobs=jobs,
                lease_seconds=self._lease_seconds,
                kernel=kernel,
            )

    async def renew(self, worker_id: UUID) -> bool:
        """Extend a lease; false when it had ended, and with it the claim on every run it held."""
        async with self._database.connection() as connection:
            return await WorkerRepository(connection).renew(worker_id, lease_seconds=self._lease_seconds)

    async def held(self, worker_id: UUID) -> list[ClaimedRun]:
        """The runs that a worker has in hand."""
        async with self._database.connection() as connection:
            return await RunRepository(connection).held(worker_id)

    async def unregister(self, worker_id: UUID) -> None:
        async with self._database.connection() as connection:
            await WorkerRepository(connection).delete(worker_id)

    async def claim(
        self, worker_id: UUID, *, graph_ids: list[str], limit: int, suspect: bool = True
    ) -> list[ClaimedRun]:
        """Up to `limit` due runs, oldest first, at most one per thread. Two workers never get the same attempt.

        Args:
            suspect: one of them may be a run that `is_suspect`.
        """
        async with self._database.connection() as connection:
            claimed = await RunRepository(connection).claim(
                worker_id, graph_ids=graph_ids, limit=limit, suspect_after=self._suspect_after, suspect=suspect
            )
            if claimed:
                failpoint("after_claim")
        if not all(run.unopened is None for run in claimed):
            claimed = await self._without_unopened(claimed)
        self._news.tell(*map(_start, claimed))
        return claimed

    async def _without_unopened(self, claimed: list[ClaimedRun]) -> list[ClaimedRun]:
        """Runs whose request cannot be read end here, with the request stored as it is.

        Without any handlers they go back instead: they are for workers that were started with these.
        """
        for run in claimed:
            if run.unopened is None:
                continue
            logger.error("Run %s cannot be executed: %s", run.run_id, run.unopened)
            if not self._database.vault.fields.seals:
                async with self._database.connection() as connection:
                    await RunRepository(connection).return_to_queue(run.run_id, attempt=run.attempt)
                continue
            error = {"error": "SealedValue", "message": run.unopened}
            outcome = RunOutcome(
                status="error", thread_status="error", result=orjson.dumps({"__error__": error}), error=error
            )
            with contextlib.suppress(LeaseLost):
                await self._conclude(run, outcome, rolled_back=False)
                await self._endings.tell(
                    run.thread_id, run.run_id, status="error", graph_id=run.graph_id, error=run.unopened
                )
        return [run for run in claimed if run.unopened is None]

    def is_suspect(self, claimed: ClaimedRun) -> bool:
        """Whether this is the last attempt of a run that was there each time a worker died.

        A worker executes one such run at a time: otherwise a run that kills its worker would take others with it.
        """
        return claimed.failed_attempts >= self._suspect_after

    async def next_due_seconds(self, graph_ids: list[str]) -> float | None:
        async with self._database.connection() as connection:
            return await RunRepository(connection).next_due_seconds(graph_ids)

    async def end(self, claimed: ClaimedRun, ending: Ending, *, rolled_back: bool) -> RunOutcome:
        """Commit how an attempt ended, with the state that its checkpoints tell.

        Raises:
            LeaseLost: this attempt is no longer the current one; nothing was changed.
        """
        state: dict[str, Any] | None = None
        if not rolled_back and not claimed.temporary:
            states = await thread_states(self._storage, claimed.thread_id, limit=1, live=True)
            state = states[0] if states else None
        if ending.status in ("error", "timeout"):
            thread_status = "error"
        else:
            thread_status = "interrupted" if state and state["next"] else "idle"
        outcome = RunOutcome(
            status=ending.status, thread_status=thread_status, result=ending.result, error=ending.error
        ).with_state(state)
        if ending.live_values is not None:
            outcome = outcome.with_live_values(orjson.loads(ending.live_values), saved=ending.live_values_saved)
        outcome = await self._conclude(claimed, outcome, rolled_back=rolled_back)
        failpoint("after_finish")
        return outcome

    async def _conclude(self, claimed: ClaimedRun, outcome: RunOutcome, *, rolled_back: bool) -> RunOutcome:
        """Commit an outcome, sealed as the run is. One that cannot be sealed is an error without values."""
        try:
            with sealing_for(claimed.encryption):
                await (self.roll_back if rolled_back else self.finish)(claimed, outcome)
            return outcome
        except EncryptionFailed as error:
            logger.error("What run %s ended with is not stored: %s", claimed.run_id, error)
        # Of the operator's text nothing is repeated, as this is stored in plain; the webhook would tell of the request.
        told = {"error": "EncryptionFailed", "message": "The handlers of encryption.path failed; see the log."}
        outcome = RunOutcome(
            status="error", thread_status="error", result=orjson.dumps({"__error__": told}), error=told
        )
        with sealing_for(claimed.encryption, off=True):
            await self.finish(replace(claimed, kwargs={**claimed.kwargs, "webhook": None}), outcome)
        return outcome

    async def finish(self, claimed: ClaimedRun, outcome: RunOutcome) -> None:
        """Commit the end of an attempt: run, thread and result in one transaction.

        Raises:
            LeaseLost: this attempt is no longer the current one; nothing was changed.
        """
        if not self._webhooks.wants(claimed.kwargs.get("webhook")):
            is_awaited = await self._finish_quietly(claimed, outcome)
            self._tell_end(claimed, outcome)
            if is_awaited:
                await self._ring(claimed.graph_id)
            return
        async with self._database.transaction() as connection:
            # The thread is locked before its runs everywhere, so that no two transactions wait for each other.
            await ThreadRepository(connection).hold(claimed.thread_id)
            runs = RunRepository(connection)
            if not await runs.finish(claimed.run_id, attempt=claimed.attempt, status=outcome.status):
                raise LeaseLost(claimed.run_id, claimed.attempt)
            if told := await self._webhooks.ended_run(connection, claimed.run_id, url=claimed.kwargs.get("webhook")):
                await self._webhooks.note(
                    connection, told, status=outcome.status, values=outcome.values, error=outcome.error
                )
            is_awaited = await _store_outcome(connection, claimed, outcome)
        self._tell_end(claimed, outcome)
        if is_awaited:
            await self._ring(claimed.graph_id)

    async def _finish_quietly(self, claimed: ClaimedRun, outcome: RunOutcome) -> bool:
        """The same where nobody else is told, together with others; whether another run of the thread waits."""
        end = RunEnd(
            run_id=claimed.run_id,
            thread_id=claimed.thread_id,
            attempt=claimed.attempt,
            # Here, where it is known in whose name; those that it is stored with may be sealed for others.
            outcome=await sealed_outcome(outcome, self._database.vault.fields),
            thread_metadata=_served(claimed),
        )
        if claimed.temporary:
            if not await self._temporary_ends.add(end):
                raise LeaseLost(claimed.run_id, claimed.attempt)
            return False
        status = await self._ends.add(end) or await self._finish_locked(end)
        if status is None:
            raise LeaseLost(claimed.run_id, claimed.attempt)
        return status == "busy"

    async def _finish_together(self, ends: Sequence[RunEnd]) -> list[ThreadStatus | None]:
        async with self._database.connection() as connection:
            ended = await RunRepository(connection).finish_on_threads(ends)
        return [ended.get(end.run_id) for end in ends]

    async def _finish_temporary_together(self, ends: Sequence[RunEnd]) -> list[bool]:
        async with self._database.connection() as connection:
            ended = await RunRepository(connection).finish_temporary(ends)
        return [end.run_id in ended for end in ends]

    async def _finish_locked(self, end: RunEnd) -> ThreadStatus | None:
        """End a run whose thread somebody changed just now; None when its lease was lost."""
        async with self._database.transaction() as connection:
            # A statement of its own: the next one then sees every run that was accepted before the lock was ours.
            await ThreadRepository(connection).hold(end.thread_id)
            ended = await RunRepository(connection).finish_on_threads([end])
        return ended.get(end.run_id)

    async def roll_back(self, claimed: ClaimedRun, outcome: RunOutcome) -> None:
        """Commit the end of a rolled back attempt: the run and the checkpoints it wrote disappear.

        Raises:
            LeaseLost: this attempt is no longer the current one; nothing was changed.
        """
        async with self._database.transaction() as connection:
            await ThreadRepository(connection).hold(claimed.thread_id)
            told = await self._webhooks.ended_run(connection, claimed.run_id, url=claimed.kwargs.get("webhook"))
            if not await roll_back_attempt(connection, claimed.run_id, attempt=claimed.attempt):
                raise LeaseLost(claimed.run_id, claimed.attempt)
            is_awaited = await _store_outcome(connection, claimed, outcome)
            if not claimed.temporary:
                await refresh_latest_state(connection, claimed.thread_id)
            if told:
                values = await latest_values(connection, claimed.thread_id)
                await self._webhooks.note(connection, told, status="rollback", values=values, error=outcome.error)
        self._tell_end(claimed, outcome)
        if is_awaited:
            await self._ring(claimed.graph_id)

    async def give_back(self, claimed: ClaimedRun) -> bool:
        """Return a run to the queue, its attempt uncounted. False when it was not ours any more."""
        async with self._database.connection() as connection:
            returned = await RunRepository(connection).return_to_queue(claimed.run_id, attempt=claimed.attempt)
        if returned:
            self._news.tell(RunNews(action="returned", run_id=claimed.run_id, thread_id=claimed.thread_id))
            await self._ring(claimed.graph_id)
        return returned is not None

    async def return_lost_claims(self, worker_id: UUID, *, known: Sequence[UUID], age_seconds: float) -> list[UUID]:
        """Return to the queue what the table gives to this worker and the worker does not know of, uncounted.

        When the connection breaks after a claim is committed, nobody hears of it; and the lease of the worker goes on.

        Args:
            known: the runs that the worker has begun.
            age_seconds: how old such a claim must be; the answer to a younger one may still be on its way.
        """
        async with self._database.connection() as connection:
            returned = await RunRepository(connection).return_unknown(worker_id, known=known, age_seconds=age_seconds)
        self._news.tell(*(RunNews(action="returned", run_id=run.run_id, thread_id=run.thread_id) for run in returned))
        for graph_id in {run.graph_id for run in returned}:
            await self._ring(graph_id)
        return [run.run_id for run in returned]

    async def release_process(self, *, host_name: str, pid: int) -> Takeover:
        """Take over at once from a worker process that is known to have died."""
        async with self._database.connection() as connection:
            await WorkerRepository(connection).delete_process(host_name, pid)
        return await self.sweep()

    async def sweep(self, *, limit: int = 200) -> Takeover:
        """Put the runs of lost workers back into the queue; end those that were cancelled or tried too often."""
        done = Takeover(requeued=[], ended=[])
        graph_ids: set[str] = set()
        hopeless: list[ExpiredRun] = []
        lost: list[RunNews] = []
        async with self._database.transaction() as connection:
            # First take away what they could renew, then their runs.
            await WorkerRepository(connection).delete_expired()
            runs = RunRepository(connection)
            for run in await runs.expired(limit=limit):
                if run.cancel_action is not None or run.counted_attempts >= self._max_attempts:
                    hopeless.append(run)
                elif await runs.requeue(run.run_id, attempt=run.attempt):
                    done.requeued.append(run.run_id)
                    lost.append(RunNews(action="lost", run_id=run.run_id, thread_id=run.thread_id))
                    graph_ids.add(run.graph_id)
        self._news.tell(*lost)
        for run in hopeless:
            if await self._end(run):
                done.ended.append(run.run_id)
                graph_ids.add(run.graph_id)
        for graph_id in graph_ids:
            await self._ring(graph_id)
        if done.requeued or done.ended:
            logger.warning(
                "Took over from lost workers: %d runs queued again, %d ended.", len(done.requeued), len(done.ended)
            )
        return done

    async def purge_results(self, *, age_seconds: float) -> int:
        async with self._database.connection() as connection:
            return await RunRepository(connection).purge_results(age_seconds=age_seconds)

    async def _end(self, run: ExpiredRun) -> bool:
        """End a run whose worker is lost. Only one of several sweepers succeeds, the others find no row."""
        claimed = run.as_claimed()
        outcome = await self._lost_outcome(run)
        try:
            outcome = await self._conclude(claimed, outcome, rolled_back=run.cancel_action == "rollback")
        except LeaseLost:
            return False
        reason = str((outcome.error or {}).get("message", ""))
        await self._endings.tell(run.thread_id, run.run_id, status=outcome.status, graph_id=run.graph_id, error=reason)
        return True

    async def _lost_outcome(self, run: ExpiredRun) -> RunOutcome:
        states = [] if run.unopened else await thread_states(self._storage, run.thread_id, limit=1, live=True)
        state = states[0] if states else None
        if run.cancel_action is not None:
            kind = "UserRollback" if run.cancel_action == "rollback" else "UserInterrupt"
            cancelled = RunOutcome(
                status="interrupted",
                thread_status="interrupted" if state and state["next"] else "idle",
                result=orjson.dumps(state["values"] if state and run.cancel_action == "interrupt" else {}),
                error={"error": kind, "message": run.cancel_reason or "The run was cancelled."},
            )
            return cancelled if run.cancel_action == "rollback" else cancelled.with_state(state)
        where = f" while executing node {', '.join(state['next'])}" if state and state["next"] else ""
        error = {"error": "WorkerLost", "message": f"The worker died {run.counted_attempts} times{where}."}
        return RunOutcome(
            status="error", thread_status="error", result=orjson.dumps({"__error__": error}), error=error
        ).with_state(state)

    def tell_lost(self, worker_id: UUID) -> None:
        """A worker could not renew its lease in time."""
        self._news.tell(LeaseNews(worker_id=worker_id))

    def _tell_end(self, claimed: ClaimedRun, outcome: RunOutcome) -> None:
        thread = ThreadNews(
            action="deleted" if claimed.temporary else "status",
            thread_id=claimed.thread_id,
            status=None if claimed.temporary else outcome.thread_status,
        )
        run = RunNews(
            action="ended",
            run_id=claimed.run_id,
            thread_id=claimed.thread_id,
            graph_id=claimed.graph_id,
            status=outcome.status,
            attempt=claimed.attempt,
        )
        self._news.tell(run, thread)

    async def _ring(self, graph_id: str) -> None:
        try:
            await self._wakeups.ring(graph_id)
        except QueueUnavailable:
            logger.warning("Redis does not answer: runs start with the next poll.")


def _start(claimed: ClaimedRun) -> RunNews:
    waited = (datetime.now(UTC) - claimed.created_at).total_seconds()
    return RunNews(
        action="started",
        run_id=claimed.run_id,
        thread_id=claimed.thread_id,
        graph_id=claimed.graph_id,
        attempt=claimed.attempt,
        # A figure for people: the clock of this machine will do. A retry has waited for something else.
        waited_seconds=max(waited, 0.0) if claimed.attempt == 1 else None,
    )


async def _store_outcome(connection: Connection, claimed: ClaimedRun, outcome: RunOutcome) -> bool:
    """Whether another run of the thread waits for this one."""
    threads = ThreadRepository(connection)
    await RunRepository(connection).insert_result(
        claimed.run_id, thread_id=claimed.thread_id, status=outcome.status, result=outcome.result
    )
    if claimed.temporary:
        # The run goes with its thread; it wrote no checkpoints.
        await threads.delete(claimed.thread_id)
        return False
    return await threads.finish_run(claimed.thread_id, outcome=outcome, metadata=_served(claimed)) == "busy"


def _served(claimed: ClaimedRun) -> dict[str, str]:
    """What the thread remembers of who served it last."""
    return {"graph_id": claimed.graph_id, "assistant_id": str(claimed.assistant_id)}
