"""How the whole stands, over all tables: for the doctor, who reads and changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from .repository import Repository


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerHealth:
    is_standby: bool
    now: datetime
    most_connections: int
    connections: int
    has_vector: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingRuns:
    """Due runs of one graph, and how many live workers serve it."""

    graph_id: str
    number: int
    oldest_seconds: float
    workers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookHealth:
    given_up: int
    failing: int
    last_error: str | None


class HealthRepository(Repository):
    async def server(self) -> ServerHealth:
        found = await self._one(ServerHealth, "health_server")
        assert found is not None
        return found

    async def waiting(self) -> list[WaitingRuns]:
        return await self._all(WaitingRuns, "health_waiting")

    async def lost(self, *, seconds: float) -> int:
        return await self._scalar("health_lost", seconds=seconds)

    async def overdue(self, *, seconds: float) -> int:
        return await self._scalar("health_overdue", seconds=seconds)

    async def webhooks(self) -> WebhookHealth:
        found = await self._one(WebhookHealth, "health_webhooks")
        assert found is not None
        return found

    async def try_writing(self) -> None:
        """Write a page and take it back; raises what Postgres says where it cannot."""
        async with self._connection.transaction(force_rollback=True):
            await self._connection.execute(
                "CREATE TEMPORARY TABLE lgnb_doctor AS SELECT repeat('x', 1000) FROM generate_series(1, 100)"
            )
