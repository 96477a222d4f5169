"""How much one caller, and all of them, may have in flight. A limit that is off costs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from ..db.database import Connection
from ..db.runs import RunRepository
from ..errors import InvalidRequest, LimitReached
from ..settings import Settings

requester: ContextVar[str | None] = ContextVar("requester", default=None)
"""Whose request is being served, for counting; None where the server acts by itself, as for a cron.

It goes beside the arguments because it decides nothing but a count, and every face of the API would have to pass it on.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits that a transaction has to keep. Zero means none."""

    queued_runs: int = 0
    runs_per_user: int = 0
    batch: int = 1_000
    cron_seconds: float = 1.0

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            queued_runs=settings.max_queued_runs,
            runs_per_user=settings.max_runs_per_user,
            batch=settings.max_batch,
            cron_seconds=settings.min_cron_seconds,
        )

    @property
    def counts_runs(self) -> bool:
        """Whether a run may be refused after it was stored, so that it needs a transaction to disappear with."""
        return bool(self.queued_runs or self.runs_per_user)

    async def admit(self, connection: Connection, run_ids: Sequence[UUID]) -> None:
        """Refuse the runs that this transaction has just stored, if they are too many; nothing of them stays then.

        Transactions that are under way do not see each other's pending runs, so `queued_runs` may be passed by a few;
        those of one user follow one another, so `runs_per_user` is exact.

        Raises:
            LimitReached: as it says.
        """
        runs = RunRepository(connection)
        if self.queued_runs and await runs.more_pending_than(self.queued_runs):
            raise LimitReached(f"{self.queued_runs} runs are waiting already; try again when workers have caught up.")
        user = requester.get()
        if self.runs_per_user and user is not None and await runs.count_for(user, run_ids) > self.runs_per_user:
            raise LimitReached(f"You have {self.runs_per_user} runs in flight, which is as many as are allowed.")

    def check_batch(self, size: int, *, what: str) -> None:
        """Raises InvalidRequest for more than one request may bring."""
        if size > self.batch:
            raise InvalidRequest(f"A request may bring {self.batch} {what}, but this one has {size}.")
