"""The runs and run_results tables: the queue, and what waiting callers are told."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar, cast
from uuid import UUID

import orjson
from psycopg.types.json import Json, Jsonb

from ..errors import SealedValue
from ..models.access import Condition
from ..models.runs import CancelAction, ClaimedRun, NewRun, Run, RunOutcome, RunStatus, RunWatch
from ..models.threads import ThreadStatus, ThreadTtl
from ..models.vault import context_of, is_sealed
from .pieces import Pieces, json_text
from .queries import query
from .repository import Repository, raw_json

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInFlight:
    run_id: UUID
    thread_id: UUID
    status: RunStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnedRun:
    run_id: UUID
    thread_id: UUID
    graph_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiredRun:
    """A running run whose worker is lost. `counted_attempts` leaves out those given back in good order."""

    run_id: UUID
    thread_id: UUID
    assistant_id: UUID
    graph_id: str
    metadata: dict[str, Any]
    kwargs: dict[str, Any]
    created_at: datetime
    attempt: int
    counted_attempts: int
    cancel_action: CancelAction | None
    cancel_reason: str | None
    encryption: Mapping[str, Any] = field(default_factory=dict[str, Any])
    unopened: str | None = None

    def as_claimed(self) -> ClaimedRun:
        """The attempt as its worker held it, to end it in that worker's place."""
        return ClaimedRun(
            run_id=self.run_id,
            thread_id=self.thread_id,
            assistant_id=self.assistant_id,
            graph_id=self.graph_id,
            metadata=self.metadata,
            kwargs=self.kwargs,
            attempt=self.attempt,
            failed_attempts=self.counted_attempts,
            created_at=self.created_at,
            encryption=self.encryption,
            unopened=self.unopened,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    """An attempt that has come to its end, its outcome sealed.

    `thread_metadata` holds ids alone, which are never sealed; so a statement can merge it.
    """

    run_id: UUID
    thread_id: UUID
    attempt: int
    outcome: RunOutcome
    thread_metadata: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCounts:
    n_pending: int
    n_running: int
    pending_runs_wait_time_max_secs: float
    pending_runs_wait_time_med_secs: float
    pending_unblocked_runs_wait_time_max_secs: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTold:
    """How a run stands, None when there is none; and the JSON text for its waiting caller, None before its end."""

    run_id: UUID
    status: RunStatus | None
    result: str | None


class RunRepository(Repository):
    model = "run"
    sealed_columns = ("metadata", "kwargs")

    async def get(self, thread_id: UUID, run_id: UUID, *, visible: Condition | None = None) -> Run | None:
        return await self._one(Run, "run_get", visible=visible, thread_id=thread_id, run_id=run_id)

    async def find(self, run_id: UUID) -> Run | None:
        return await self._one(Run, "run_find", run_id=run_id)

    async def page(
        self, thread_id: UUID, *, limit: int, offset: int, status: str | None, visible: Condition | None = None
    ) -> list[Run]:
        return await self._all(
            Run, "run_page", visible=visible, thread_id=thread_id, limit=limit, offset=offset, status=status
        )

    async def insert(self, new: NewRun) -> Run:
        """The run as it was accepted, by the database's clock; its thread is locked."""
        run = await self._inserted("run_insert", new)
        assert run is not None
        return run

    async def insert_on_new_thread(self, new: NewRun, *, ttl: ThreadTtl | None) -> Run | None:
        """The same with a thread of its own. None when the assistant has changed; then nothing was stored."""
        return await self._inserted(
            "run_insert_on_new_thread",
            new,
            assistant_mark=new.assistant_mark,
            **await self._remembered(new),
            ttl_minutes=ttl and ttl.ttl_minutes,
            ttl_strategy=ttl and ttl.strategy,
        )

    async def insert_on_thread(self, new: NewRun, *, thread_mark: str) -> Run | None:
        """The same on a thread that is not busy; None also when the thread has changed."""
        return await self._inserted(
            "run_insert_on_thread",
            new,
            assistant_mark=new.assistant_mark,
            thread_mark=thread_mark,
            **await self._remembered(new),
        )

    async def _inserted(self, name: str, new: NewRun, /, **params: Any) -> Run | None:
        cursor = await self._connection.execute(
            query(name),
            {
                "run_id": new.run_id,
                "thread_id": new.thread_id,
                "assistant_id": new.assistant_id,
                "graph_id": new.graph_id,
                "metadata": Jsonb(await self._sealed("metadata", new.metadata)),
                "kwargs": Json(await self._sealed("kwargs", new.kwargs)),
                "multitask_strategy": new.multitask_strategy,
                "after_seconds": new.after_seconds,
                **params,
            },
        )
        row = await cursor.fetchone()
        return None if row is None else new.accepted(created_at=row[0], updated_at=row[1])

    async def _remembered(self, new: NewRun) -> dict[str, Jsonb]:
        seal = self._connection.vault.fields.seal
        return {
            "thread_metadata": Jsonb(await seal("thread", "metadata", new.thread_metadata)),
            "thread_config": Jsonb(await seal("thread", "config", new.thread_config)),
        }

    async def in_flight(self, thread_id: UUID) -> list[Run]:
        """Pending and running runs of a thread, locked, oldest first."""
        return await self._all(Run, "run_in_flight", thread_id=thread_id)

    async def hold_in_flight(self, thread_id: UUID) -> list[UUID]:
        """The same lock; their ids alone."""
        return await self._column("run_in_flight", thread_id=thread_id)

    async def claim(
        self, worker_id: UUID, *, graph_ids: list[str], limit: int, suspect_after: int, suspect: bool
    ) -> list[ClaimedRun]:
        """Due runs; one at most that has failed `suspect_after` times or more, and that only if `suspect`."""
        return await self._all(
            ClaimedRun,
            "run_claim",
            worker_id=worker_id,
            graph_ids=graph_ids,
            limit=limit,
            suspect_after=suspect_after,
            suspect=suspect,
        )

    async def held(self, worker_id: UUID) -> list[ClaimedRun]:
        """Runs that a worker has in hand."""
        return await self._all(ClaimedRun, "run_held", worker_id=worker_id)

    async def next_due_seconds(self, graph_ids: list[str]) -> float | None:
        return await self._scalar("run_next_due_seconds", graph_ids=graph_ids)

    async def finish(self, run_id: UUID, *, attempt: int, status: RunStatus) -> bool:
        """False when this attempt is no longer the current one."""
        return await self._do("run_finish", run_id=run_id, attempt=attempt, status=status) == 1

    async def finish_temporary(self, ends: Sequence[RunEnd]) -> frozenset[UUID]:
        """End temporary runs, threads and all. The others among them are no longer these attempts'."""
        pieces = Pieces()
        rows = [
            {
                "run_id": end.run_id,
                "thread_id": end.thread_id,
                "attempt": end.attempt,
                "status": end.outcome.status,
                **pieces.add("result", end.outcome.result),
            }
            for end in ends
        ]
        return frozenset(await self._column("run_finish_temporary", ends=json_text(rows), bytes=pieces.joined()))

    async def finish_on_threads(self, ends: Sequence[RunEnd]) -> dict[UUID, ThreadStatus]:
        """End runs on threads that nobody changes at the same time, or that are locked.

        Of each that has ended the status of its thread.
        """
        pieces = Pieces()
        rows = [
            {
                "run_id": end.run_id,
                "thread_id": end.thread_id,
                "attempt": end.attempt,
                "status": end.outcome.status,
                "thread_status": end.outcome.thread_status,
                "has_state": end.outcome.has_state,
                "error": end.outcome.error,
                "thread_metadata": end.thread_metadata,
                **pieces.add("result", end.outcome.result),
                **pieces.add_json("values", end.outcome.values),
                **pieces.add("interrupts", orjson.dumps(end.outcome.interrupts)),
                **pieces.add_json("state", end.outcome.state),
            }
            for end in ends
        ]
        cursor = await self._connection.execute(
            query("run_finish_on_threads"), {"ends": json_text(rows), "bytes": pieces.joined()}
        )
        return dict(await cursor.fetchall())

    async def return_to_queue(self, run_id: UUID, *, attempt: int) -> str | None:
        """The graph id when the run went back, None when this attempt was not the current one."""
        return await self._scalar("run_return", run_id=run_id, attempt=attempt)

    async def return_unknown(self, worker_id: UUID, *, known: Sequence[UUID], age_seconds: float) -> list[ReturnedRun]:
        return await self._all(
            ReturnedRun, "run_return_unknown", worker_id=worker_id, known=list(known), age_seconds=age_seconds
        )

    async def delete(self, run_id: UUID) -> bool:
        return await self._do("run_delete", run_id=run_id) == 1

    async def delete_attempt(self, run_id: UUID, *, attempt: int) -> bool:
        return await self._do("run_delete_attempt", run_id=run_id, attempt=attempt) == 1

    async def supersede(self, run_ids: list[UUID], *, reason: str) -> list[UUID]:
        return await self._column("run_supersede", run_ids=run_ids, reason=reason)

    async def end_pending(self, run_id: UUID, *, reason: str) -> bool:
        """False when the run is not pending."""
        return await self._do("run_end_pending", run_id=run_id, reason=reason) == 1

    async def request_cancel(self, run_id: UUID, *, action: CancelAction, reason: str) -> bool:
        return await self._do("run_request_cancel", run_id=run_id, action=action, reason=reason) == 1

    async def in_flight_ids(
        self,
        *,
        statuses: list[RunStatus],
        thread_id: UUID | None = None,
        run_ids: list[UUID] | None = None,
        assistant_id: UUID | None = None,
        visible: Condition | None = None,
    ) -> list[RunInFlight]:
        return await self._all(
            RunInFlight,
            "run_in_flight_ids",
            visible=visible,
            statuses=statuses,
            thread_id=thread_id,
            run_ids=run_ids,
            assistant_id=assistant_id,
        )

    async def watch(self, run_ids: Sequence[UUID]) -> list[RunWatch]:
        return await self._all(RunWatch, "run_watch", run_ids=list(run_ids))

    async def expired(self, *, limit: int) -> list[ExpiredRun]:
        return await self._all(ExpiredRun, "run_expired", limit=limit)

    async def requeue(self, run_id: UUID, *, attempt: int) -> bool:
        return await self._scalar("run_requeue", run_id=run_id, attempt=attempt) is not None

    async def counts(self) -> RunCounts:
        counts = await self._one(RunCounts, "run_counts")
        assert counts is not None
        return counts

    async def more_pending_than(self, number: int) -> bool:
        """Whether more runs than `number` wait."""
        return await self._scalar("run_more_pending_than", number=number)

    async def count_for(self, requested_by: str, run_ids: Sequence[UUID]) -> int:
        """Note that these runs are this requester's, and say how many of his are in flight; exact until the commit."""
        await self._scalar("run_serialize_requester", requested_by=requested_by)
        await self._do("run_note_requester", requested_by=requested_by, run_ids=list(run_ids))
        return await self._scalar("run_count_for", requested_by=requested_by)

    async def insert_result(self, run_id: UUID, *, thread_id: UUID, status: RunStatus, result: bytes) -> None:
        """`result` is JSON text."""
        result = await self._sealed_text("result", result)
        await self._do("run_result_insert", run_id=run_id, thread_id=thread_id, status=status, result=raw_json(result))

    async def told(self, run_ids: Sequence[UUID]) -> dict[UUID, RunTold]:
        """Of each of these runs."""
        found = await self._all(RunTold, "run_told", run_ids=list(run_ids))
        return {
            told.run_id: told
            if told.result is None
            else replace(told, result=await self._opened_text("result", told.result))
            for told in found
        }

    async def purge_results(self, *, age_seconds: float) -> int:
        return await self._do("run_result_purge", age_seconds=age_seconds)

    async def encryption_context(self, run_id: UUID) -> dict[str, Any]:
        """In whose name the run was sealed."""
        return await self._scalar("run_encryption_context", run_id=run_id) or {}

    async def _opened(self, row: T, columns: Collection[str] | None = None) -> T:
        """As ever, except that one run in a worker's hands which cannot be opened does not hide the others."""
        if not isinstance(row, ClaimedRun | ExpiredRun) or not is_sealed(row.kwargs):
            return await super()._opened(row, columns)
        context = context_of(row.kwargs)
        try:
            opened: ClaimedRun | ExpiredRun = await super()._opened(row, columns)
            return cast(T, replace(opened, encryption=context))
        except SealedValue as error:
            known = {"temporary": row.kwargs.get("temporary")}
            return cast(T, replace(row, metadata={}, kwargs=known, encryption=context, unopened=str(error)))
