"""Runs: accepting, listing, following, cancelling and deleting them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal
from uuid import UUID

import orjson

from ..db.database import Connection, Database
from ..db.runs import RunInFlight, RunRepository
from ..db.threads import ThreadRepository
from ..errors import (
    AccessDenied,
    NotFound,
    QueueUnavailable,
    RunConflict,
    RunNotFound,
    ThreadNotFound,
)
from ..failpoints import failpoint
from ..models.access import Condition, both
from ..models.identity import Caller, stored_caller
from ..models.ids import new_id
from ..models.news import RunNews, ThreadNews
from ..models.runs import CancelAction, MultitaskStrategy, Run, RunRequest, RunStatus, RunWatch
from ..models.streams import StreamEvent
from ..models.threads import ThreadToRun, ThreadTtl
from ..queue.bells import Bell
from ..queue.news import NewsChannel
from ..queue.wakeups import WakeUps
from .acceptance import (
    Acceptance,
    Permit,
    ask_for_run,
    assistant_to_run,
    new_run,
    refuse_second_answer,
)
from .acting import Acting
from .cancellation import Cancellation, delete_run
from .latest_state import latest_values, refresh_latest_state
from .limits import Limits
from .reserved import shown
from .shortcut import Shortcut
from .streams import RunStreams
from .webhooks import Webhooks


class Runs(Acting):
    def __init__(
        self,
        database: Database,
        *,
        wakeups: WakeUps,
        cancellation: Cancellation,
        streams: RunStreams,
        webhooks: Webhooks,
        news: NewsChannel,
        default_ttl: ThreadTtl | None,
        limits: Limits,
    ) -> None:
        self._database = database
        self._wakeups = wakeups
        self._cancellation = cancellation
        self._streams = streams
        self._webhooks = webhooks
        self._news = news
        self._default_ttl = default_ttl
        self._limits = limits
        self._shortcut = Shortcut(database, default_ttl=default_ttl)

    async def create(
        self,
        thread_id: UUID | None,
        request: RunRequest,
        *,
        request_id: str | None = None,
        headers_configurable: dict[str, str] | None = None,
        run_id: UUID | None = None,
    ) -> Run:
        """Accept a run, in one transaction; without a thread it is stateless and gets one of its own.

        Args:
            run_id: the id that was `expected`, by somebody who listens for the end already.

        Raises:
            AssistantNotFound, ThreadNotFound: as they say.
            RunConflict: the strategy is "reject" and the thread is busy.
            InvalidState: the request contradicts itself.
            InvalidRequest: the webhook may not be called.
            LimitReached: too many runs are in flight.
        """
        permit = await self._permit(thread_id, request, run_id=run_id)
        await self._webhooks.check(permit.request.webhook)
        acceptance: Acceptance | None = None
        if not self._limits.counts_runs:
            acceptance = await self._shortcut.accept(
                thread_id, permit, request_id=request_id, headers=headers_configurable
            )
        if acceptance is None:
            async with self._database.transaction() as connection:
                acceptance = await self._accept(
                    connection, thread_id, permit, request_id=request_id, headers=headers_configurable
                )
                await self._limits.admit(connection, [acceptance.run.run_id])
        await self.announce([acceptance])
        return shown(acceptance.run)

    async def create_batch(
        self,
        requests: list[RunRequest],
        *,
        request_id: str | None = None,
        headers_configurable: dict[str, str] | None = None,
    ) -> list[Run]:
        """Accept several stateless runs: all of them or none."""
        self._limits.check_batch(len(requests), what="runs")
        permits = [await self._permit(None, request) for request in requests]
        for url in {permit.request.webhook for permit in permits}:
            await self._webhooks.check(url)
        async with self._database.transaction() as connection:
            accepted = [
                await self._accept(connection, None, permit, request_id=request_id, headers=headers_configurable)
                for permit in permits
            ]
            await self._limits.admit(connection, [acceptance.run.run_id for acceptance in accepted])
        await self.announce(accepted)
        return [shown(acceptance.run) for acceptance in accepted]

    async def list(self, thread_id: UUID, *, limit: int = 10, offset: int = 0, status: str | None = None) -> list[Run]:
        visible = await self._access.ask("threads", "read", {"thread_id": thread_id})
        visible = both(visible, await self._access.ask("threads", "search", {"thread_id": thread_id, "metadata": {}}))
        async with self._database.connection() as connection:
            found = await RunRepository(connection).page(
                thread_id, limit=limit, offset=offset, status=status, visible=visible
            )
            if not found and await ThreadRepository(connection).get(thread_id, visible=visible) is None:
                raise ThreadNotFound(thread_id)
        return [shown(run) for run in found]

    async def get(self, thread_id: UUID, run_id: UUID) -> Run:
        visible = await self._access.ask("threads", "read", {"thread_id": thread_id})
        async with self._database.connection() as connection:
            run = await RunRepository(connection).get(thread_id, run_id, visible=visible)
        if run is None:
            raise RunNotFound(run_id)
        return shown(run)

    async def refuse_waiting_for_itself(self, run_id: UUID, thread_id: UUID) -> None:
        """Refuse what a run asks for on its own thread and would wait for: it cannot begin before that run has ended.

        Raises:
            RunConflict: the run is in flight on this thread.
        """
        async with self._database.connection() as connection:
            run = await RunRepository(connection).get(thread_id, run_id)
        if run is not None and not run.is_final:
            raise RunConflict(
                f"Run {run_id} would wait for itself: a run on its own thread begins after it. "
                "Give the other run a thread of its own, or none."
            )

    async def find(self, run_id: UUID) -> Run:
        """A run by its id alone."""
        async with self._database.connection() as connection:
            run = await RunRepository(connection).find(run_id)
        if run is None:
            raise RunNotFound(run_id)
        # Its thread, which decides about access, was not known before.
        return await self.get(run.thread_id, run_id) if self._access.restricts else shown(run)

    async def delete(self, thread_id: UUID, run_id: UUID) -> None:
        """Delete a run and the checkpoints it wrote; one in flight is cancelled first."""
        visible = await self._access.ask("threads", "delete", {"thread_id": thread_id, "run_id": run_id})
        async with self._database.transaction() as connection:
            threads = ThreadRepository(connection)
            locked = await threads.hold(thread_id, visible=visible)
            run = await RunRepository(connection).get(thread_id, run_id) if locked else None
            if run is None:
                raise RunNotFound(run_id)
            if run.temporary:
                await threads.delete(thread_id)
            else:
                await delete_run(connection, run_id)
                await refresh_latest_state(connection, thread_id)
        if not run.is_final:
            await self._cancellation.announce_end([run_id], thread_id=thread_id)

    async def cancel(
        self, thread_id: UUID, run_id: UUID, *, action: CancelAction = "interrupt", wait: bool = False
    ) -> Run:
        """Cancel a run in flight; with `wait`, return when it has ended. The run as it was before."""
        visible = await self._ask_to_cancel(thread_id, [run_id], action=action)
        async with self._database.connection() as connection:
            run = await RunRepository(connection).get(thread_id, run_id, visible=visible)
        if run is None:
            raise RunNotFound(run_id)
        reason = "The run was cancelled by a request."
        if not await self._cancellation.cancel(thread_id, run_id, action=action, reason=reason, visible=visible):
            raise NotFound(f"Run {run_id} has ended; there is nothing to cancel.")
        if wait:
            await self.result(run)
        return shown(run)

    async def cancel_many(
        self,
        *,
        status: Literal["pending", "running", "all"] | None = None,
        thread_id: UUID | None = None,
        run_ids: list[UUID] | None = None,
        action: CancelAction = "interrupt",
    ) -> None:
        """Cancel runs by status, or those named of one thread."""
        statuses: list[RunStatus] = ["pending", "running"] if status in (None, "all") else [status]
        visible = await self._ask_to_cancel(thread_id, run_ids, action=action, status=status)
        async with self._database.connection() as connection:
            found: list[RunInFlight] = await RunRepository(connection).in_flight_ids(
                statuses=statuses, thread_id=thread_id, run_ids=run_ids, visible=visible
            )
        cancelled = [
            await self._cancellation.cancel(
                run.thread_id,
                run.run_id,
                action=action,
                reason="The run was cancelled by a request.",
                visible=visible,
            )
            for run in found
        ]
        if not any(cancelled):
            raise NotFound("No run in flight matches; there is nothing to cancel.")

    def stream(
        self, run: Run, *, after: str | None = None, modes: list[str] | None = None
    ) -> AsyncGenerator[StreamEvent, None]:
        """Events of a run until its end is committed; see `RunStreams.follow`."""
        return self._streams.follow(run, after=after, modes=modes or ())

    def pages(
        self, run: Run, *, after: str | None = None, modes: list[str] | None = None
    ) -> AsyncGenerator[list[StreamEvent], None]:
        """The same events, as many at once as are there."""
        return self._streams.pages(run, after=after, modes=modes or ())

    async def result(self, run: Run) -> Any:
        """Wait for the end of a run; what a caller of wait and join is told."""
        return orjson.loads(await self.encoded_result(run))

    async def encoded_result(self, run: Run, *, expected: Bell | None = None) -> bytes:
        """The same as JSON text; whoever `expected` the run before it was created need not look at once."""
        # When a run is gone, its thread's id may have come to mean somebody else's thread.
        return await self._streams.result(run, expected=expected, or_of_thread=not self._access.restricts)

    def expected(self, run_id: UUID) -> AbstractAsyncContextManager[Bell]:
        """Listen for the end of a run that is about to be created."""
        return self._streams.expected(run_id)

    async def caller_of(self, run_id: UUID) -> Caller | None:
        """Who started a run, so that its graph can act in his name; None when that is not known, or the run is gone."""
        async with self._database.connection() as connection:
            run = await RunRepository(connection).find(run_id)
        configurable: dict[str, Any] = ((run and run.kwargs.get("config")) or {}).get("configurable") or {}
        return stored_caller(configurable.get("langgraph_auth_user"))

    async def watch(self, run_ids: Sequence[UUID]) -> Sequence[RunWatch]:
        """How runs stand in the table, for the worker that holds them."""
        async with self._database.connection() as connection:
            return await RunRepository(connection).watch(run_ids)

    async def disconnected(self, run: Run, *, joined: bool = False) -> None:
        """The client that asked to cancel on disconnect has gone; one that only `joined` may need the right to."""
        visible: Condition | None = None
        if joined:
            try:
                visible = await self._ask_to_cancel(run.thread_id, [run.run_id], action="interrupt")
            except AccessDenied:
                return
        await self._cancellation.cancel(
            run.thread_id,
            run.run_id,
            action="interrupt",
            reason="The client that waited for this run disconnected.",
            visible=visible,
        )

    async def accept(
        self,
        connection: Connection,
        thread_id: UUID | None,
        request: RunRequest,
        *,
        configurable: dict[str, str],
        caller: Caller | None,
    ) -> Acceptance:
        """Accept a run as part of a transaction that goes on; `announce` it when that is committed.

        Nobody is asked: that `caller` may start this run was decided when he ordered it.
        """
        permit = Permit(run_id=new_id(), request=request, caller=caller)
        acceptance = await self._accept(connection, thread_id, permit, request_id=None, headers=configurable)
        await self._limits.admit(connection, [acceptance.run.run_id])
        return acceptance

    async def announce(self, accepted: Sequence[Acceptance]) -> None:
        """Only now, after the commit, is Redis told; without it workers find the runs by their next poll."""
        failpoint("after_accept")
        for acceptance in accepted:
            run = acceptance.run
            if acceptance.is_new_thread:
                self._news.tell(ThreadNews(action="created", thread_id=run.thread_id))
            self._news.tell(
                RunNews(action="created", run_id=run.run_id, thread_id=run.thread_id, graph_id=acceptance.graph_id)
            )
            try:
                await self._wakeups.ring(acceptance.graph_id)
            except QueueUnavailable:
                pass
            if acceptance.stopped:
                await self._cancellation.announce_end(acceptance.stopped, thread_id=acceptance.run.thread_id)

    async def _permit(self, thread_id: UUID | None, request: RunRequest, *, run_id: UUID | None = None) -> Permit:
        run_id = run_id or new_id()
        if not self._access.restricts:
            return Permit(run_id=run_id, request=request, caller=self._caller)
        async with self._database.connection() as connection:
            return await ask_for_run(self._access, connection, thread_id, request, run_id=run_id)

    async def _ask_to_cancel(
        self, thread_id: UUID | None, run_ids: Sequence[UUID] | None, *, action: CancelAction, status: str | None = None
    ) -> Condition | None:
        metadata = {"run_ids": run_ids, "status": status}
        return await self._access.ask(
            "threads", "update", {"thread_id": thread_id, "action": action, "metadata": metadata}
        )

    async def _accept(
        self,
        connection: Connection,
        thread_id: UUID | None,
        permit: Permit,
        *,
        request_id: str | None,
        headers: dict[str, str] | None,
        again: bool = False,
    ) -> Acceptance:
        request, run_id = permit.request, permit.run_id
        assistant = await assistant_to_run(connection, request.assistant_id, visible=permit.assistant_visible)
        threads = ThreadRepository(connection)
        runs = RunRepository(connection)
        existing: ThreadToRun | None = None
        if thread_id is not None:
            existing = await threads.lock_to_run(thread_id, visible=permit.thread_visible)
            if existing is None and (request.if_not_exists != "create" or (again and permit.thread_visible)):
                raise ThreadNotFound(thread_id)
        in_flight = await runs.in_flight(existing.thread_id) if existing else []
        if in_flight and request.multitask_strategy == "reject":
            raise RunConflict(f"Thread {thread_id} is busy with run {in_flight[0].run_id}.")
        refuse_second_answer(request, in_flight)
        new = new_run(permit, assistant, existing, thread_id=thread_id, request_id=request_id, headers=headers)
        if thread_id is None:
            run = await runs.insert_on_new_thread(new, ttl=self._default_ttl)
            if run is None:
                # Somebody changed the assistant since we looked.
                return await self._accept(connection, thread_id, permit, request_id=request_id, headers=headers)
            return Acceptance(run=run, graph_id=new.graph_id, stopped=[], is_new_thread=True)
        if existing is None:
            created = await threads.insert(
                new.thread_id,
                metadata=new.thread_metadata,
                config=new.thread_config,
                status="busy",
                ttl=self._default_ttl,
            )
            if created is None:
                # Somebody created the thread since we looked, or it is hidden; begin again with the row locked.
                return await self._accept(
                    connection, thread_id, permit, request_id=request_id, headers=headers, again=True
                )
        elif existing.status == "busy":
            await threads.update(existing.thread_id, metadata=None, ttl=None)
        else:
            await threads.begin_run(existing.thread_id, metadata=new.thread_metadata, config=new.thread_config)
        run = await runs.insert(new)
        stopped = await self._supersede(connection, in_flight, request.multitask_strategy, by=run_id)
        return Acceptance(run=run, graph_id=assistant.graph_id, stopped=stopped, is_new_thread=existing is None)

    async def _supersede(
        self, connection: Connection, in_flight: Sequence[Run], strategy: MultitaskStrategy, *, by: UUID
    ) -> list[UUID]:
        """End the runs that make way for a new one; which ones did."""
        if not in_flight or strategy not in ("interrupt", "rollback"):
            return []
        stopped = [old.run_id for old in in_flight]
        reason = f"Superseded by run {by}."
        # Their workers come too late to tell anybody; whoever was never started is not told of.
        begun = [old for old in in_flight if old.status == "running"]
        found = [await self._webhooks.ended_run(connection, old.run_id, url=old.kwargs.get("webhook")) for old in begun]
        await RunRepository(connection).supersede(stopped, reason=reason)
        if strategy == "rollback":
            for old_id in stopped:
                await delete_run(connection, old_id)
        for told in filter(None, found):
            await self._webhooks.note(
                connection,
                told,
                status="rollback" if strategy == "rollback" else "interrupted",
                values=await latest_values(connection, told.thread_id),
                error={"error": f"User{strategy.capitalize()}", "message": reason},
            )
        return stopped
