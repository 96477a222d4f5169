"""Deletes what has expired, again and again: items of the store."""

from __future__ import annotations

import asyncio
import logging

from ..errors import DatabaseUnavailable
from ..resources.store import Store

logger = logging.getLogger(__name__)

_AT_ONCE = 1000


class StoreSweeper:
    """Any number may sweep at once: rows are skipped while another one holds them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._period_seconds = store.config.sweep_interval_minutes * 60

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await asyncio.sleep(self._period_seconds)
            try:
                while await self._store.sweep(limit=_AT_ONCE) == _AT_ONCE:
                    pass
            except DatabaseUnavailable:
                logger.warning("Expired items of the store could not be deleted: Postgres does not answer.")
