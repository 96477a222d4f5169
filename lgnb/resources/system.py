"""The installation as a whole: is it ready, is it healthy, what is it doing."""

from __future__ import annotations

import importlib.metadata
import logging
from dataclasses import asdict
from typing import Any
from uuid import UUID

from .._version import __version__
from ..db.database import Database
from ..db.runs import RunRepository
from ..db.webhooks import WebhookRepository
from ..db.workers import WorkerRepository
from ..errors import DatabaseUnavailable, QueueUnavailable
from ..queue import Queue
from ..settings import Settings
from .store import Store

logger = logging.getLogger(__name__)

_MOST_RUNS = 200


class System:
    def __init__(self, database: Database, *, queue: Queue, settings: Settings, store: Store) -> None:
        self._database = database
        self._queue = queue
        self._settings = settings
        self._store = store
        self._active = 0

    async def is_ready(self) -> bool:
        """Whether runs can execute: the database answers, and a worker lives unless this host starts none."""
        try:
            async with self._database.connection() as connection:
                workers = await WorkerRepository(connection).live()
        except DatabaseUnavailable:
            return False
        # A kernel executes its own graphs only.
        return any(worker.kernel is None for worker in workers) or self._settings.workers == 0

    async def health(self) -> dict[str, str]:
        """Each dependency as "healthy" or "unhealthy"."""
        found = {"postgres": "healthy", "redis": "healthy"}
        try:
            async with self._database.connection() as connection:
                await connection.execute("SELECT 1")
        except DatabaseUnavailable:
            found["postgres"] = "unhealthy"
        try:
            await self._queue.ping()
        except QueueUnavailable:
            found["redis"] = "unhealthy"
        return found

    async def info(self) -> dict[str, Any]:
        """Version and flags, as clients ask for them before they use a feature."""
        return {
            "version": __version__,
            "langgraph_py_version": importlib.metadata.version("langgraph"),
            "flags": {
                "assistants": True,
                "crons": True,
                "langsmith": False,
                "langsmith_tracing_replicas": False,
                "langsmith_tracing_session_on_runs": False,
                "store": True,
                "strict_resume": True,
            },
            "store": {"semantic_search": self._store.is_semantic, "problem": self._store.problem or None},
            "host": {
                "kind": "self-hosted",
                "project_id": None,
                "host_revision_id": None,
                "revision_id": None,
                "tenant_id": None,
            },
        }

    async def metrics_json(self) -> dict[str, Any]:
        async with self._database.connection() as connection:
            counts = await RunRepository(connection).counts()
            workers = await WorkerRepository(connection).live()
            backlog = await WebhookRepository(connection).backlog()
        self._active = counts.n_running
        jobs = sum(worker.jobs for worker in workers)
        return {
            "queue": {
                "n_pending": counts.n_pending,
                "n_running": counts.n_running,
                "pending_runs_wait_time_max_secs": counts.pending_runs_wait_time_max_secs,
                "pending_runs_wait_time_med_secs": counts.pending_runs_wait_time_med_secs,
                "pending_unblocked_runs_wait_time_max_secs": counts.pending_unblocked_runs_wait_time_max_secs,
            },
            "workers": {
                "alive": len(workers),
                "max": jobs,
                "active": counts.n_running,
                "available": max(jobs - counts.n_running, 0),
            },
            "webhooks": {"n_pending": backlog.n_pending, "oldest_pending_secs": backlog.oldest_secs},
            "postgres": self._database.pool_stats(),
            "redis": self._queue.pool_stats(),
        }

    async def workers(self) -> dict[str, Any]:
        """Who executes what, and what waits, in the order of the queue."""
        async with self._database.connection() as connection:
            workers = await WorkerRepository(connection).live()
            runs = await WorkerRepository(connection).runs(most=_MOST_RUNS)
            counts = await RunRepository(connection).counts()
        executed: dict[UUID | None, list[dict[str, Any]]] = {}
        for run in runs:
            told = {name: value for name, value in asdict(run).items() if name not in ("status", "worker_id")}
            executed.setdefault(run.worker_id if run.status == "running" else None, []).append(told)
        return {
            "workers": [{**asdict(worker), "runs": executed.get(worker.worker_id, [])} for worker in workers],
            "waiting": executed.get(None, []),
            "n_pending": counts.n_pending,
        }

    async def refresh(self) -> None:
        """Bring `active_runs` up to date; the host does this now and then."""
        try:
            await self.metrics_json()
        except DatabaseUnavailable:
            logger.debug("Postgres does not answer; the number of active runs stays as it was.")

    def active_runs(self) -> int:
        """Runs that worked when last looked; cheap."""
        return self._active
