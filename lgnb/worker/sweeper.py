"""The sweeper: puts runs of lost workers back into the queue and forgets old results, again and again."""

from __future__ import annotations

import asyncio
import logging

from ..errors import DatabaseUnavailable
from ..resources.leases import Leases

logger = logging.getLogger(__name__)

_RESULTS_KEPT_SECONDS = 600.0
_PURGE_EVERY = 60


class Sweeper:
    """Any number may sweep at once: rows are skipped while another one holds them."""

    def __init__(self, leases: Leases, *, period_seconds: float) -> None:
        self._leases = leases
        self._period_seconds = period_seconds

    async def run(self) -> None:
        """Sweep until cancelled."""
        rounds = 0
        while True:
            await asyncio.sleep(self._period_seconds)
            rounds += 1
            try:
                await self._leases.sweep()
                if rounds % _PURGE_EVERY == 0:
                    await self._leases.purge_results(age_seconds=_RESULTS_KEPT_SECONDS)
            except DatabaseUnavailable:
                logger.warning("The sweeper could not reach Postgres; trying again.")
