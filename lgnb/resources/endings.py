"""Telling readers that a run ended without its worker: both of its logs are closed from outside."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from ..errors import QueueUnavailable
from ..models.protocol import RootStatus, input_requested, root_lifecycle
from ..models.runs import RunStatus
from ..queue.events import EventLog
from ..queue.thread_log import OUTSIDE, ThreadLog

logger = logging.getLogger(__name__)


class Endings:
    """Doing it twice changes nothing: once a log was closed, nobody writes to it any more."""

    def __init__(self, *, events: EventLog, thread_log: ThreadLog) -> None:
        self._events = events
        self._thread_log = thread_log

    async def tell(
        self, thread_id: UUID, run_id: UUID, *, status: RunStatus, graph_id: str = "", error: str = ""
    ) -> None:
        """The end is committed by now. Without Redis, readers find it in Postgres."""
        try:
            await self._events.append_end(run_id, thread_id=thread_id, attempt=OUTSIDE, number=0, status=status)
            await self.tell_thread(thread_id, run_id, status=_root_status(status), graph_id=graph_id, error=error)
        except QueueUnavailable:
            logger.warning("Redis does not answer: readers of run %s will see its end in Postgres.", run_id)

    async def tell_thread(
        self,
        thread_id: UUID,
        run_id: UUID,
        *,
        status: RootStatus,
        graph_id: str = "",
        error: str = "",
        asked: Sequence[Mapping[str, Any]] = (),
    ) -> bool:
        """Only the protocol's log of the thread, with the interrupts that wait; False when the end is there already."""
        now_ms = time.time_ns() // 1_000_000
        questions = [
            input_requested(run_id, (), interrupt["id"], interrupt.get("value"), timestamp_ms=now_ms)
            for interrupt in asked
        ]
        end = root_lifecycle(run_id, status, graph_id=graph_id, timestamp_ms=now_ms, error=error)
        return await self._thread_log.append(
            thread_id, run_id=run_id, attempt=OUTSIDE, events=[*questions, end], ended=True
        )


def _root_status(status: RunStatus) -> RootStatus:
    if status == "success":
        return "completed"
    return "interrupted" if status == "interrupted" else "failed"
