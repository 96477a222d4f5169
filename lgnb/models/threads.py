"""Threads, as the API shows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

ThreadStatus = Literal["idle", "busy", "interrupted", "error"]
TtlStrategy = Literal["delete", "keep_latest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """A durable conversation or line of state; the row of the API."""

    thread_id: UUID
    created_at: datetime
    updated_at: datetime
    state_updated_at: datetime
    metadata: dict[str, Any]
    config: dict[str, Any]
    status: ThreadStatus
    values: dict[str, Any] | None
    interrupts: dict[str, Any]
    error: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadToRun:
    """What a new run needs to know of its thread. The `mark` changes whenever the row does."""

    thread_id: UUID
    metadata: dict[str, Any]
    config: dict[str, Any]
    status: ThreadStatus
    mark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadTtl:
    """When a thread expires and what is left of it then."""

    ttl_minutes: float
    strategy: TtlStrategy
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadTtlConfig:
    """What the configuration says about the life of threads; `default` is for those created without a word of it."""

    default: ThreadTtl | None = None
    sweep_interval_minutes: float = 5.0
    sweep_limit: int = 10_000
