"""Webhooks: what is told about the end of a run, to whom, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal
from uuid import UUID

DeliveryStatus = Literal["pending", "delivered", "failed"]

PAYLOAD_FIELDS = (
    "run_id",
    "thread_id",
    "assistant_id",
    "metadata",
    "status",
    "kwargs",
    "multitask_strategy",
    "created_at",
    "updated_at",
    "langsmith_session_name",
    "run_started_at",
    "run_ended_at",
    "webhook_sent_at",
    "values",
    "error",
)
"""Everything a payload may hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlPolicy:
    """Which addresses may be called. Link-local, multicast, reserved and test networks never are."""

    require_https: bool = False
    allowed_domains: tuple[str, ...] = ()
    allowed_ports: tuple[int, ...] = ()
    max_url_length: int = 4096
    disable_loopback: bool = True
    disable_private_ips: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookConfig:
    """What the configuration says about webhooks.

    Attributes:
        headers: sent with every call; they may hold variables, which only the host fills in.
        allowed_fields: the keys of the payload that are sent; None for all.
        enabled: when false, webhooks are accepted and not sent.
    """

    policy: UrlPolicy = field(default_factory=UrlPolicy)
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    allowed_fields: tuple[str, ...] | None = None
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What a webhook is or was told, with every try; a row of the API."""

    delivery_id: UUID
    run_id: UUID
    thread_id: UUID
    url: str
    status: DeliveryStatus
    created_at: datetime
    next_attempt_at: datetime | None
    attempts: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DueDelivery:
    """A delivery to try now; `now` is the time of the database."""

    delivery_id: UUID
    run_id: UUID
    url: str
    payload: dict[str, Any]
    tries_left: int
    now: datetime
    # Why the payload could not be opened.
    unopened: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of one try: a status, or why there is none. `seconds` is how long it took."""

    seconds: float
    status: int | None = None
    error: str | None = None

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_final(self) -> bool:
        """Whether trying again would be no use: it arrived, or the receiver does not want it."""
        return self.status is not None and self.status < 500 and self.status not in (408, 425, 429)
