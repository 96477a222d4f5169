"""Assistants and their versions, as the API shows them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

# A variant of the well-known OID namespace; clients compute system assistant ids with it.
_SYSTEM_NAMESPACE = UUID("6ba7b821-9dad-11d1-80b4-00c04fd430c8")


def system_assistant_id(graph_id: str) -> UUID:
    """The id of the assistant that every served graph gets by itself."""
    return uuid.uuid5(_SYSTEM_NAMESPACE, graph_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assistant:
    """A graph plus config, context and metadata; the row of the API."""

    assistant_id: UUID
    graph_id: str
    config: dict[str, Any]
    context: dict[str, Any]
    metadata: dict[str, Any]
    name: str
    created_at: datetime
    updated_at: datetime
    version: int
    description: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AssistantVersion:
    """One stored version of an assistant."""

    assistant_id: UUID
    graph_id: str
    config: dict[str, Any]
    context: dict[str, Any]
    metadata: dict[str, Any]
    name: str
    created_at: datetime
    version: int
    description: str | None
