"""Ending runs before their time: the wish is a column, the signal only makes it fast."""

from __future__ import annotations

import logging
from uuid import UUID

from ..db.checkpoints import CheckpointRepository
from ..db.database import Connection, Database
from ..db.runs import RunInFlight, RunRepository
from ..db.threads import ThreadRepository
from ..errors import QueueUnavailable
from ..models.runs import CancelAction, Run
from ..queue.events import EventLog
from ..queue.signals import Signals

logger = logging.getLogger(__name__)

# Larger than any attempt: once a log was closed from outside, no worker writes to it any more.
NO_ATTEMPT = 1_000_000_000


class Cancellation:
    """Cancels runs in flight. Asking twice is harmless: the second time nothing is left to cancel."""

    def __init__(self, database: Database, *, signals: Signals, events: EventLog) -> None:
        self._database = database
        self._signals = signals
        self._events = events

    async def interrupt(self, run: RunInFlight | Run, *, reason: str) -> None:
        await self.cancel(run.thread_id, run.run_id, action="interrupt", reason=reason)

    async def cancel(self, thread_id: UUID, run_id: UUID, *, action: CancelAction, reason: str) -> bool:
        """False when the run is not (or no longer) pending or running.

        A pending run ends here and now; a running one is asked to end and its worker does the rest.
        """
        async with self._database.transaction() as connection:
            runs = RunRepository(connection)
            threads = ThreadRepository(connection)
            await threads.lock(thread_id)
            run = await runs.get(thread_id, run_id)
            if run is None or run.is_final:
                return False
            # A claim may slip in between; then the run is running and the wish is noted instead.
            ended = await runs.end_pending(run_id, reason=reason)
            if not ended:
                await runs.request_cancel(run_id, action=action, reason=reason)
            elif run.temporary:
                await threads.delete(thread_id)
            else:
                if action == "rollback":
                    await delete_run(connection, run_id)
                await threads.recompute_status(thread_id)
        if ended:
            await self.announce_end(run_id)
        else:
            await self.announce([run_id])
        return True

    async def announce(self, run_ids: list[UUID]) -> None:
        """Tell workers to look at these runs; without Redis they find out with their next heartbeat."""
        try:
            await self._signals.send(run_ids)
        except QueueUnavailable:
            logger.warning("Redis does not answer: the workers of %d runs will see the cancel later.", len(run_ids))

    async def announce_end(self, run_id: UUID) -> None:
        """Close the stream of a run that ended without a worker."""
        try:
            await self._events.append_end(run_id, attempt=NO_ATTEMPT, number=0, status="interrupted")
        except QueueUnavailable:
            logger.warning("Redis does not answer: readers of run %s will see its end in Postgres.", run_id)


async def delete_run(connection: Connection, run_id: UUID) -> None:
    """Remove a run and every checkpoint it wrote."""
    await CheckpointRepository(connection).delete_for_runs([run_id])
    await RunRepository(connection).delete(run_id)


async def rollback_attempt(connection: Connection, run_id: UUID, *, attempt: int) -> bool:
    """Remove a running run and its checkpoints, if this attempt still holds it."""
    # The run goes first: from then on the writes of its worker are refused, so none can follow the deletion.
    if not await RunRepository(connection).delete_attempt(run_id, attempt=attempt):
        return False
    await CheckpointRepository(connection).delete_for_runs([run_id])
    return True
