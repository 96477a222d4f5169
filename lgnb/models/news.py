"""What happened to runs, threads and leases, for those who watch an installation: ids and statuses only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

RunAction = Literal["created", "started", "returned", "lost", "ended"]
ThreadAction = Literal["created", "deleted", "status"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNews:
    """Something happened to a run.

    created: it was accepted. started: a worker has it. returned: a worker gave it back in good order. lost: its worker
    died, and it waits again. ended: its end is committed.

    Attributes:
        waited_seconds: from when it was due to its start.
    """

    action: RunAction
    run_id: UUID
    thread_id: UUID
    graph_id: str | None = None
    status: str | None = None
    attempt: int | None = None
    waited_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadNews:
    """Something happened to a thread; `status` is what it is after the end of a run."""

    action: ThreadAction
    thread_id: UUID
    status: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseNews:
    """A worker could not renew its lease in time."""

    worker_id: UUID


News = RunNews | ThreadNews | LeaseNews
