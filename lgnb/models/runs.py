"""Runs: what a caller asks for, what the API shows, and what a worker holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, cast
from uuid import UUID

RunStatus = Literal["pending", "running", "success", "error", "timeout", "interrupted"]
MultitaskStrategy = Literal["reject", "enqueue", "interrupt", "rollback"]
CancelAction = Literal["interrupt", "rollback"]
Durability = Literal["sync", "async", "exit"]

FINAL_STATUSES: frozenset[RunStatus] = frozenset(("success", "error", "timeout", "interrupted"))


CONTEXT_PROVIDED = "__context_provided__"
"""In the configurable of a run: its caller gave a context, which the configurable only mirrors."""


def is_interrupt_map(resume: Any) -> bool:
    """Whether a resume value answers interrupts by id, told by the same rule as the graph library's."""
    return isinstance(resume, dict) and bool(resume) and all(map(_is_interrupt_id, cast(dict[Any, Any], resume)))


def _is_interrupt_id(key: Any) -> bool:
    return isinstance(key, str) and len(key) == 32 and all(c in "0123456789abcdef" for c in key)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """A validated request for a run. `assistant_id` is a UUID or a graph id."""

    assistant_id: str
    input: Any = None
    command: dict[str, Any] | None = None
    checkpoint: dict[str, Any] | None = None
    checkpoint_id: UUID | None = None
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    config: dict[str, Any] = field(default_factory=dict[str, Any])
    context: dict[str, Any] = field(default_factory=dict[str, Any])
    webhook: str | None = None
    interrupt_before: Literal["*"] | list[str] | None = None
    interrupt_after: Literal["*"] | list[str] | None = None
    stream_mode: list[str] = field(default_factory=lambda: ["values"])
    stream_subgraphs: bool = False
    stream_resumable: bool = False
    feedback_keys: list[str] | None = None
    multitask_strategy: MultitaskStrategy = "enqueue"
    if_not_exists: Literal["create", "reject"] = "reject"
    on_completion: Literal["delete", "keep"] = "delete"
    on_disconnect: Literal["cancel", "continue"] = "continue"
    after_seconds: float = 0
    durability: Durability | None = None
    checkpoint_during: bool | None = None
    strict_resume: bool = False
    langsmith_tracer: dict[str, Any] | None = None
    # Started through the thread protocol: models answer in content blocks.
    event_streaming: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One execution of an assistant on a thread; the row of the API."""

    run_id: UUID
    thread_id: UUID
    assistant_id: UUID
    metadata: dict[str, Any]
    status: RunStatus
    kwargs: dict[str, Any]
    multitask_strategy: MultitaskStrategy
    created_at: datetime
    updated_at: datetime
    langsmith_session_name: None = None

    @property
    def temporary(self) -> bool:
        """Whether the run and its thread go away at the end."""
        return bool(self.kwargs.get("temporary"))

    @property
    def is_final(self) -> bool:
        return self.status in FINAL_STATUSES


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A run as it is to be accepted, and what its thread will remember.

    `assistant_mark` says from which state of the assistant it was made.
    """

    run_id: UUID
    thread_id: UUID
    assistant_id: UUID
    assistant_mark: str
    graph_id: str
    metadata: dict[str, Any]
    kwargs: dict[str, Any]
    multitask_strategy: MultitaskStrategy
    after_seconds: float
    thread_metadata: dict[str, Any]
    thread_config: dict[str, Any]

    def accepted(self, *, created_at: datetime, updated_at: datetime) -> Run:
        """The run that it has become, by the clock of the database."""
        return Run(
            run_id=self.run_id,
            thread_id=self.thread_id,
            assistant_id=self.assistant_id,
            metadata=self.metadata,
            status="pending",
            kwargs=self.kwargs,
            multitask_strategy=self.multitask_strategy,
            created_at=created_at,
            updated_at=updated_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedRun:
    """A run in the hands of one worker. `attempt` is the fencing token of every later write."""

    run_id: UUID
    thread_id: UUID
    assistant_id: UUID
    graph_id: str
    metadata: dict[str, Any]
    kwargs: dict[str, Any]
    attempt: int
    # How often the run was started before and not given back in good order.
    failed_attempts: int
    created_at: datetime
    # In whose name the run was sealed, and so whatever it stores.
    encryption: Mapping[str, Any] = field(default_factory=dict[str, Any])
    # Why its request could not be opened; then there is none.
    unopened: str | None = None

    @property
    def temporary(self) -> bool:
        """Whether the run and its thread go away at the end; nothing of it is checkpointed."""
        return bool(self.kwargs.get("temporary"))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunWatch:
    """How a run that a worker holds stands in the table."""

    run_id: UUID
    attempt: int
    status: RunStatus
    cancel_action: CancelAction | None
    cancel_reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How an attempt ended. `result` is the JSON text for waiting callers.

    `live_values` is the JSON text of the state's values where the rows alone do not tell them: tasks of the open
    superstep have finished, or, with `live_values_saved`, the checkpoint holds the value of a delta channel in parts.
    """

    status: RunStatus
    result: bytes
    error: dict[str, Any] | None = None
    live_values: bytes | None = None
    live_values_saved: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """How an attempt ended, in JSON the API can show.

    `state` is the thread's latest ThreadState without values; with `has_state` false the thread keeps what it has.
    `result` is the JSON text that a caller of wait or join is told.
    """

    status: RunStatus
    thread_status: Literal["idle", "interrupted", "error"]
    result: bytes
    values: Any = None
    interrupts: dict[str, Any] = field(default_factory=dict[str, Any])
    error: dict[str, Any] | None = None
    state: dict[str, Any] | None = None
    has_state: bool = False

    def with_state(self, state: dict[str, Any] | None) -> RunOutcome:
        """This outcome with the thread's latest ThreadState; None leaves the thread as it was."""
        if state is None:
            return self
        interrupts = {task["id"]: task["interrupts"] for task in state["tasks"] if task["interrupts"]}
        without_values = {key: value for key, value in state.items() if key != "values"}
        return replace(self, values=state["values"], interrupts=interrupts, state=without_values, has_state=True)

    def with_live_values(self, values: Any, *, saved: bool) -> RunOutcome:
        """This outcome with the values that only the graph can tell.

        They are shown in the state; when they are those of the checkpoint (`saved`), the thread's values are the same.
        """
        if self.state is None:
            return self
        if saved:
            return replace(self, values=values)
        return replace(self, state={"values": values, **self.state})
