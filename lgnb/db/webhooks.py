"""The webhook_deliveries and webhook_attempts tables: the outbox, and what became of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar, cast
from uuid import UUID

from ..errors import SealedValue
from ..models.access import Condition
from ..models.ids import new_id
from ..models.runs import MultitaskStrategy, Run, RunStatus
from ..models.webhooks import Answer, Delivery, DeliveryStatus, DueDelivery
from .repository import Repository, raw_json

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What is still to be delivered."""

    n_pending: int
    oldest_secs: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedRun:
    """A run as its payload tells it."""

    run_id: UUID
    thread_id: UUID
    assistant_id: UUID
    metadata: dict[str, Any]
    status: RunStatus
    kwargs: dict[str, Any]
    multitask_strategy: MultitaskStrategy
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    now: datetime

    def as_run(self) -> Run:
        names = Run.__dataclass_fields__.keys() - {"langsmith_session_name"}
        return Run(**{name: getattr(self, name) for name in names})


class WebhookRepository(Repository):
    model = "run"
    sealed_columns = ("metadata", "kwargs", "payload")

    async def run(self, run_id: UUID) -> EndedRun | None:
        return await self._one(EndedRun, "webhook_run", run_id=run_id)

    async def insert(self, run: EndedRun, *, url: str, payload: bytes, tries: int) -> None:
        """`payload` is JSON text."""
        await self._do(
            "webhook_insert",
            delivery_id=new_id(),
            run_id=run.run_id,
            thread_id=run.thread_id,
            url=url,
            payload=raw_json(await self._sealed_text("payload", payload)),
            tries=tries,
        )

    async def claim(self, *, limit: int, lease_seconds: float) -> list[DueDelivery]:
        return await self._all(DueDelivery, "webhook_claim", limit=limit, lease_seconds=lease_seconds)

    async def finish(self, delivery_id: UUID, answer: Answer, *, status: DeliveryStatus, delay_seconds: float) -> None:
        # The delivery first: two processes that both tried it then take their locks in the same order.
        await self._do("webhook_finish", delivery_id=delivery_id, status=status, delay_seconds=delay_seconds)
        await self._do(
            "webhook_attempt_insert",
            delivery_id=delivery_id,
            seconds=answer.seconds,
            response_status=answer.status,
            error=answer.error,
        )

    async def of_run(self, thread_id: UUID, run_id: UUID, *, visible: Condition | None = None) -> list[Delivery]:
        return await self._all(Delivery, "webhook_of_run", visible=visible, thread_id=thread_id, run_id=run_id)

    async def send_again(
        self, thread_id: UUID, run_id: UUID, *, tries: int, visible: Condition | None = None
    ) -> list[UUID]:
        return await self._column(
            "webhook_send_again", visible=visible, thread_id=thread_id, run_id=run_id, tries=tries
        )

    async def backlog(self) -> Backlog:
        found = await self._one(Backlog, "webhook_backlog")
        assert found is not None
        return found

    async def next_due_seconds(self) -> float | None:
        return await self._scalar("webhook_next_due_seconds")

    async def _opened(self, row: T, columns: Collection[str] | None = None) -> T:
        """As ever, except that one delivery which cannot be opened does not hide the others."""
        try:
            return await super()._opened(row, columns)
        except SealedValue as error:
            if not isinstance(row, DueDelivery):
                raise
            return cast(T, replace(row, payload={}, unopened=str(error)))

    async def purge(self, *, age_seconds: float) -> int:
        return await self._do("webhook_purge", age_seconds=age_seconds)
