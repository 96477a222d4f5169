"""The cron tick: creates the runs of crons when their time comes."""

from __future__ import annotations

import asyncio
import logging

from ..errors import DatabaseUnavailable
from ..resources.crons import Crons

logger = logging.getLogger(__name__)

# The clock of the database decides; waking a little late is better than just before.
_MARGIN_SECONDS = 0.01


class CronTick:
    """Any number may tick at once: the statement that takes a tick gives it to one of them.

    Args:
        period_seconds: how often to look for crons that were made or changed meanwhile.
    """

    def __init__(self, crons: Crons, *, period_seconds: float) -> None:
        self._crons = crons
        self._period_seconds = period_seconds

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            wait_seconds = self._period_seconds
            try:
                await self._crons.fire()
                due = await self._crons.next_due_seconds()
                if due is not None:
                    wait_seconds = min(wait_seconds, max(due, 0.0) + _MARGIN_SECONDS)
            except DatabaseUnavailable:
                logger.warning("The crons could not be looked at: Postgres does not answer.")
            except Exception:  # whatever a stored schedule brings about, the loop has to survive
                logger.exception("The crons could not be looked at.")
            await asyncio.sleep(wait_seconds)
