"""Which tasks a caller wants listed, and the token that goes on where a page ended."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from lgnb.models.runs import Run
from lgnb.models.threads import Thread

from ..jsonrpc import INVALID_PARAMS, RpcError, number_param
from .reading import History, read_context_id, read_history
from .tasks import state_of

_DEFAULT_PAGE = 50
_MOST = 100
_TOKEN = re.compile(r"(\d{1,9})-(\d{1,9})-(\d{1,9})")
_STATES = frozenset(
    ("submitted", "working", "input-required", "completed", "canceled", "failed", "rejected", "auth-required")
)


@dataclass(frozen=True, slots=True)
class Place:
    """A place between two tasks: so many threads on, so many tasks within that thread, so many tasks before it."""

    thread: int
    task: int
    before: int

    def __str__(self) -> str:
        return f"{self.thread}-{self.task}-{self.before}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The params of listing tasks."""

    context_id: UUID | None
    state: str | None
    since: datetime | None
    limit: int
    place: Place
    history: History
    artifacts: bool

    def fits(self, run: Run, thread: Thread, *, newest: bool) -> bool:
        """Whether the task whose last run this is was asked for."""
        if self.since is not None and run.updated_at < self.since:
            return False
        return self.state is None or state_of(run, thread, newest=newest) == self.state


def read_wanted(params: Mapping[str, Any], *, scope: str) -> Wanted:
    """The params of listing; raises RpcError."""
    return Wanted(
        context_id=read_context_id(params),
        state=_state(params.get("status")),
        since=_since(params.get("statusTimestampAfter")),
        limit=number_param(params, "pageSize", default=_DEFAULT_PAGE, least=1, most=_MOST),
        place=_place(params.get("pageToken")),
        history=read_history(params, scope=scope, default=0),
        artifacts=params.get("includeArtifacts") is True,
    )


def _state(given: Any) -> str | None:
    if given in (None, "", "TASK_STATE_UNSPECIFIED"):
        return None
    state = str(given).removeprefix("TASK_STATE_").lower().replace("_", "-")
    if state not in _STATES:
        raise RpcError(INVALID_PARAMS, f"status is none of {', '.join(sorted(_STATES))}.")
    return state


def _since(given: Any) -> datetime | None:
    if given in (None, ""):
        return None
    try:
        since = datetime.fromisoformat(given)
    except (TypeError, ValueError):
        raise RpcError(INVALID_PARAMS, "statusTimestampAfter must be a time in ISO 8601.") from None
    return since if since.tzinfo else since.replace(tzinfo=UTC)


def _place(given: Any) -> Place:
    if given in (None, ""):
        return Place(0, 0, 0)
    match = _TOKEN.fullmatch(given) if isinstance(given, str) else None
    if match is None:
        raise RpcError(INVALID_PARAMS, "pageToken is not one that this server gave.")
    return Place(*(int(number) for number in match.groups()))
