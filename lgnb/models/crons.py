"""Crons: schedules that create runs; the row of the API."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

OnRunCompleted = Literal["delete", "keep"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """When to run what. `payload` is the request that made it; `thread_id` None means a new thread for each run."""

    cron_id: UUID
    assistant_id: UUID
    thread_id: UUID | None
    user_id: str | None
    end_time: datetime | None
    schedule: str
    timezone: str | None
    payload: dict[str, Any]
    next_run_date: datetime | None
    metadata: dict[str, Any]
    on_run_completed: OnRunCompleted | None
    enabled: bool
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DueCron:
    """A cron whose time has come, by the clock of the database."""

    cron_id: UUID
    thread_id: UUID | None
    schedule: str
    timezone: str | None
    tick: datetime
    now: datetime
