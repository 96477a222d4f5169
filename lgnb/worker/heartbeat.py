"""The heartbeat: renews the worker's lease from a thread of its own, so that no graph can hold it up.

With each beat it looks at the rows of the runs in hand, which makes cancels durable even without Redis.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from ..db.queries import query
from ..db.runs import RunWatch

logger = logging.getLogger(__name__)


class Heartbeat:
    """One thread with one connection. The callbacks run on that thread and must only pass the news on.

    Args:
        leased_at: when the lease was asked for, by `time.monotonic()`.
        on_lost: the lease ended before it could be renewed; everything in hand belongs to others now.
        on_watched: how the runs in hand stand in the table.
        watched: ids of the runs in hand.
        every_beat: called with each beat, for whatever else needs a thread that nothing blocks.
    """

    def __init__(
        self,
        postgres_uri: str,
        *,
        worker_id: UUID,
        lease_seconds: float,
        leased_at: float,
        watched: Callable[[], list[UUID]],
        on_watched: Callable[[list[RunWatch]], None],
        on_lost: Callable[[], None],
        every_beat: Callable[[], None],
    ) -> None:
        self._uri = postgres_uri
        self._worker_id = worker_id
        self._lease_seconds = lease_seconds
        self._watched = watched
        self._on_watched = on_watched
        self._on_lost = on_lost
        self._every_beat = every_beat
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lgnb-heartbeat", daemon=True)
        # Ticks are short for the loop watchdog's sake; the lease is renewed every third of its length.
        self._tick_seconds = 0.25
        self._renew_every = max(1, int(lease_seconds / 3 / self._tick_seconds))
        self._connection: psycopg.Connection | None = None
        self._renewed_at = leased_at

    @property
    def is_overdue(self) -> bool:
        """Whether the lease must have ended by now, by our own clock: others may have taken over.

        For somebody else to ask, because the heartbeat itself may wait for an answer that never comes.
        """
        return time.monotonic() - self._renewed_at > self._lease_seconds

    def abandon(self) -> None:
        """Have the thread end as soon as it can, without waiting for it."""
        self._stopped.set()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Safe to call twice; returns when the thread has ended."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout=self._lease_seconds)

    def _run(self) -> None:
        ticks = 0
        try:
            while not self._stopped.wait(self._tick_seconds):
                ticks += 1
                self._every_beat()
                if ticks % self._renew_every == 0 and not self._beat():
                    if not self._stopped.is_set():
                        self._on_lost()
                    return
        finally:
            self._disconnect()

    def _beat(self) -> bool:
        """False when the lease is known to be lost. With a silent Postgres it is, once it `is_overdue`."""
        try:
            connection = self._connect()
            asked_at = time.monotonic()
            renewed = connection.execute(
                query("worker_renew"), {"worker_id": self._worker_id, "lease_seconds": self._lease_seconds}
            ).fetchone()
            if renewed is None:
                return False
            # From before the question: so the lease never ends for the database before it ends here.
            self._renewed_at = asked_at
            if run_ids := self._watched():
                with connection.cursor(row_factory=class_row(RunWatch)) as cursor:
                    cursor.execute(query("run_watch"), {"run_ids": run_ids})
                    self._on_watched(cursor.fetchall())
        except psycopg.Error as error:
            logger.warning("The heartbeat could not reach Postgres (%s); trying again.", type(error).__name__)
            self._disconnect()
        return True

    def _connect(self) -> psycopg.Connection:
        if self._connection is None:
            self._connection = psycopg.connect(
                self._uri,
                autocommit=True,
                connect_timeout=max(2, int(self._lease_seconds / 3)),
                application_name="lgnb-heartbeat",
                options="-c statement_timeout=5000 -c timezone=UTC",
            )
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
