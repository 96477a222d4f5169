"""Webhooks: what is told about the end of a run, noted in the transaction that ends it, and what became of it."""

from __future__ import annotations

import random
from typing import Any
from uuid import UUID

from ..db.database import Connection, Database
from ..db.runs import RunRepository
from ..db.webhooks import EndedRun, WebhookRepository
from ..errors import NotFound, RunNotFound
from ..json_encoding import encode
from ..models.webhooks import Answer, Delivery, DueDelivery, WebhookConfig
from .acting import Acting
from .addresses import Target, allowed_target
from .reserved import shown

_TRIES = 6
_FIRST_DELAY_SECONDS = 1.0
_DELAY_GROWS_BY = 4.0
# Longer than one try can take, so that a delivery is not tried by two processes at once while both live.
LEASE_SECONDS = 90.0


class Webhooks(Acting):
    def __init__(self, database: Database, *, config: WebhookConfig) -> None:
        self._database = database
        self._config = config

    @property
    def config(self) -> WebhookConfig:
        return self._config

    async def check(self, url: str | None) -> None:
        """Raises InvalidRequest when the policy forbids this URL."""
        if url is not None:
            await self.target(url)

    async def target(self, url: str) -> Target:
        """Where to connect for this URL, by the policy; see `allowed_target`."""
        return await allowed_target(url, self._config.policy)

    def wants(self, url: str | None) -> bool:
        """Whether somebody wants to be told of the end of a run with this webhook."""
        return url is not None and self._config.enabled

    async def ended_run(self, connection: Connection, run_id: UUID, *, url: str | None) -> EndedRun | None:
        """What the run is before it may disappear; None when nobody wants to be told of its end."""
        return await WebhookRepository(connection).run(run_id) if self.wants(url) else None

    async def note(
        self, connection: Connection, run: EndedRun, *, status: str, values: Any, error: dict[str, Any] | None
    ) -> None:
        """Write into the caller's transaction what the webhook of a run is to be told about its end.

        Args:
            status: a final status of runs, or `rollback`.
        """
        row = shown(run.as_run())
        payload: dict[str, Any] = {
            **{name: getattr(row, name) for name in type(row).__dataclass_fields__},
            "status": status,
            "updated_at": run.now,
            "run_started_at": run.started_at,
            "run_ended_at": run.now,
            "webhook_sent_at": None,
            "values": values,
        }
        if status != "success":
            payload["error"] = error
        await WebhookRepository(connection).insert(
            run, url=run.kwargs["webhook"], payload=encode(payload), tries=_TRIES
        )

    async def of_run(self, thread_id: UUID, run_id: UUID) -> list[Delivery]:
        """What the webhook of a run was told, with every try; also of a run that was rolled back.

        Raises:
            RunNotFound: there is no such run, and nobody was told of one.
        """
        visible = await self._access.ask("threads", "read", {"thread_id": thread_id})
        async with self._database.connection() as connection:
            told = await WebhookRepository(connection).of_run(thread_id, run_id, visible=visible)
            if not told and await RunRepository(connection).get(thread_id, run_id, visible=visible) is None:
                raise RunNotFound(run_id)
        return told

    async def send_again(self, thread_id: UUID, run_id: UUID) -> list[Delivery]:
        """Tell the webhook of a run once more.

        Raises:
            NotFound: nothing of this run was delivered or given up.
        """
        visible = await self._access.ask("threads", "update", {"thread_id": thread_id, "run_id": run_id})
        async with self._database.connection() as connection:
            webhooks = WebhookRepository(connection)
            if not await webhooks.send_again(thread_id, run_id, tries=_TRIES, visible=visible):
                raise NotFound(f"Run {run_id} has no webhook whose delivery has ended.")
            return await webhooks.of_run(thread_id, run_id, visible=visible)

    async def claim(self, *, limit: int) -> list[DueDelivery]:
        """Deliveries to try now. Each is tried at least once; a receiver may see one twice and knows it by its id."""
        async with self._database.connection() as connection:
            return await WebhookRepository(connection).claim(limit=limit, lease_seconds=LEASE_SECONDS)

    async def finish(self, due: DueDelivery, answer: Answer) -> None:
        """Note what came of a try; without success it is tried again later, up to the limit."""
        over = answer.is_final or due.tries_left <= 0
        status = "delivered" if answer.is_success else "failed" if over else "pending"
        delay = _FIRST_DELAY_SECONDS * _DELAY_GROWS_BY ** (_TRIES - 1 - due.tries_left)
        async with self._database.transaction() as connection:
            await WebhookRepository(connection).finish(
                due.delivery_id, answer, status=status, delay_seconds=delay * random.uniform(0.8, 1.2)
            )

    async def next_due_seconds(self) -> float | None:
        async with self._database.connection() as connection:
            return await WebhookRepository(connection).next_due_seconds()

    async def purge(self, *, age_seconds: float) -> int:
        """Forget deliveries that ended and are older than this."""
        async with self._database.connection() as connection:
            return await WebhookRepository(connection).purge(age_seconds=age_seconds)
