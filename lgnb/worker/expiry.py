"""Deletes what has expired, again and again: items of the store, and threads or their older checkpoints."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from ..errors import DatabaseUnavailable
from ..resources.store import Store
from ..resources.threads import Threads

logger = logging.getLogger(__name__)

_ITEMS_AT_ONCE = 1000


class StoreSweeper:
    """Any number may sweep at once: rows are skipped while another one holds them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def run(self) -> None:
        """Sweep until cancelled."""
        await _repeat(self._sweep, period_seconds=self._store.config.sweep_interval_minutes * 60)

    async def _sweep(self) -> None:
        while await self._store.sweep(limit=_ITEMS_AT_ONCE) == _ITEMS_AT_ONCE:
            pass


class ThreadSweeper:
    """Any number may sweep at once: threads are skipped while another one holds them."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads

    async def run(self) -> None:
        """Sweep until cancelled."""
        await _repeat(self._sweep, period_seconds=self._threads.ttl_config.sweep_interval_minutes * 60)

    async def _sweep(self) -> None:
        if count := await self._threads.expire():
            logger.info("%d threads had expired.", count)


async def _repeat(sweep: Callable[[], Awaitable[None]], *, period_seconds: float) -> None:
    while True:
        await asyncio.sleep(period_seconds)
        try:
            await sweep()
        except DatabaseUnavailable:
            logger.warning("What has expired could not be deleted: Postgres does not answer.")
        except Exception:  # whatever one thread or item brings about, the loop has to survive
            logger.exception("What has expired could not be deleted.")
