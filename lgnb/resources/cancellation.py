"""Ending runs before their time: the wish is a column, the signal only makes it fast."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from uuid import UUID

from ..db.checkpoints import CheckpointRepository
from ..db.database import Connection, Database
from ..db.runs import RunRepository
from ..db.threads import ThreadRepository
from ..errors import QueueUnavailable
from ..models.access import Condition
from ..models.news import RunNews
from ..models.runs import CancelAction, RunStatus
from ..queue.news import NewsChannel
from ..queue.signals import Signals
from .endings import Endings
from .latest_state import refresh_latest_state

logger = logging.getLogger(__name__)


class Cancellation:
    """Cancels runs in flight, and tells workers and readers of runs that ended without their worker."""

    def __init__(self, database: Database, *, signals: Signals, endings: Endings, news: NewsChannel) -> None:
        self._database = database
        self._signals = signals
        self._endings = endings
        self._news = news

    async def cancel(
        self,
        thread_id: UUID,
        run_id: UUID,
        *,
        action: CancelAction,
        reason: str,
        visible: Condition | None = None,
    ) -> bool:
        """False when the run is not (or no longer) pending or running, so asking twice is harmless.

        A pending run ends here and now; a running one is asked to end and its worker does the rest.
        """
        async with self._database.transaction() as connection:
            runs = RunRepository(connection)
            threads = ThreadRepository(connection)
            if await threads.hold(thread_id, visible=visible) is None:
                return False
            run = await runs.get(thread_id, run_id)
            if run is None or run.is_final:
                return False
            # A claim may slip in between; then the run is running and the wish is noted instead.
            ended = await runs.end_pending(run_id, reason=reason)
            if not ended:
                if not await runs.request_cancel(run_id, action=action, reason=reason):
                    return False
            elif run.temporary:
                await threads.delete(thread_id)
            else:
                if action == "rollback":
                    await delete_run(connection, run_id)
                # It may have superseded a run whose checkpoints the thread's row does not show yet.
                await refresh_latest_state(connection, thread_id)
        if ended:
            await self.announce_end([run_id], thread_id=thread_id)
        else:
            await self._signal([run_id])
        return True

    async def announce_end(
        self, run_ids: Sequence[UUID], *, thread_id: UUID, status: RunStatus = "interrupted"
    ) -> None:
        """Runs were ended from outside, committed by now: their workers stop, their streams close.

        Without Redis, workers find out with their next heartbeat and readers look into Postgres.
        """
        for run_id in run_ids:
            self._news.tell(RunNews(action="ended", run_id=run_id, thread_id=thread_id, status=status))
        await self._signal(run_ids)
        for run_id in run_ids:
            await self._endings.tell(thread_id, run_id, status=status)

    async def _signal(self, run_ids: Sequence[UUID]) -> None:
        try:
            await self._signals.send(run_ids)
        except QueueUnavailable:
            logger.warning("Redis does not answer: the workers of %d runs will see the cancel later.", len(run_ids))


async def delete_run(connection: Connection, run_id: UUID) -> None:
    """Remove a run and every checkpoint it wrote."""
    # The run goes first: from then on the writes of its worker are refused, so none can follow the deletion.
    await RunRepository(connection).delete(run_id)
    await CheckpointRepository(connection).delete_for_runs([run_id])


async def roll_back_attempt(connection: Connection, run_id: UUID, *, attempt: int) -> bool:
    """Remove a running run and its checkpoints, if this attempt still holds it."""
    if not await RunRepository(connection).delete_attempt(run_id, attempt=attempt):
        return False
    await CheckpointRepository(connection).delete_for_runs([run_id])
    return True
