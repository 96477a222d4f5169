"""Threads: the durable conversation, its state and its history."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Literal
from uuid import UUID, uuid4

from ..checkpoints.history import empty_state, thread_states
from ..checkpoints.storage import CheckpointStorage
from ..db.checkpoints import CheckpointRepository
from ..db.database import Connection, Database
from ..db.runs import RunRepository
from ..db.threads import ThreadRepository
from ..errors import (
    AlreadyExists,
    Conflict,
    InvalidRequest,
    InvalidState,
    QueueUnavailable,
    SuperstepsFailed,
    ThreadBusy,
    ThreadNotFound,
)
from ..json_encoding import encode
from ..models.checkpoints import UsageRow
from ..models.ids import new_id
from ..models.news import ThreadNews
from ..models.pages import Page
from ..models.threads import Thread, ThreadTtl, ThreadTtlConfig
from ..queue.calls import Calls
from ..queue.news import NewsChannel
from ..queue.thread_updates import ThreadUpdates
from .cancellation import Cancellation
from .latest_state import refresh_latest_state
from .replies import unwrap
from .reserved import clean_metadata

logger = logging.getLogger(__name__)

# How long the answer to an update may wait for a Redis that stands still.
_TELL_SECONDS = 1.0


class Threads:
    def __init__(
        self,
        database: Database,
        *,
        storage: CheckpointStorage,
        calls: Calls,
        updates: ThreadUpdates,
        cancellation: Cancellation,
        news: NewsChannel,
        ttl: ThreadTtlConfig,
    ) -> None:
        self._database = database
        self._storage = storage
        self._calls = calls
        self._updates = updates
        self._ttl = ttl
        self._cancellation = cancellation
        self._news = news

    async def create(
        self,
        *,
        thread_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        if_exists: Literal["raise", "do_nothing"] = "raise",
        ttl: ThreadTtl | None = None,
        supersteps: list[dict[str, Any]] | None = None,
    ) -> Thread:
        """Create a thread; `supersteps` replays state updates of another thread into it.

        Raises:
            AlreadyExists: the id is taken and `if_exists` is "raise".
            SuperstepsFailed: the thread exists now, but its supersteps could not be applied.
        """
        thread_id = thread_id or new_id()
        metadata = clean_metadata(metadata or {})
        if supersteps and "graph_id" not in metadata:
            raise InvalidState("Supersteps need to know the graph: give metadata.graph_id.")
        async with self._database.connection() as connection:
            threads = ThreadRepository(connection)
            created = await threads.insert(thread_id, metadata=metadata, ttl=ttl or self._ttl.default)
            existing = None if created else await threads.get(thread_id)
        if created is None:
            if existing is None or if_exists == "raise":
                raise AlreadyExists(f"Thread {thread_id} exists already.")
            return existing
        self._news.tell(ThreadNews(action="created", thread_id=thread_id))
        if supersteps:
            try:
                await self._call(created, "bulk_update_state", {"supersteps": supersteps})
            except (InvalidRequest, Conflict) as error:
                raise SuperstepsFailed(str(error)) from error
            return await self.get(thread_id)
        return created

    async def search(
        self,
        *,
        ids: list[UUID] | None = None,
        metadata: dict[str, Any] | None = None,
        values: dict[str, Any] | None = None,
        status: str | None = None,
        limit: int = 10,
        offset: int = 0,
        sort_by: str | None = None,
        sort_order: str | None = None,
    ) -> Page[Thread]:
        """Threads that match, last updated first unless sorted otherwise."""
        async with self._database.connection() as connection:
            rows = await ThreadRepository(connection).search_page(
                ids=ids,
                metadata=metadata or {},
                values=values or {},
                status=status,
                limit=limit + 1,
                offset=offset,
                sort_by=sort_by,
                sort_order=sort_order,
            )
        return Page.of(rows, limit=limit, offset=offset)

    async def count(
        self,
        *,
        metadata: dict[str, Any] | None = None,
        values: dict[str, Any] | None = None,
        status: str | None = None,
    ) -> int:
        async with self._database.connection() as connection:
            return await ThreadRepository(connection).count(metadata=metadata or {}, values=values or {}, status=status)

    async def get(self, thread_id: UUID) -> Thread:
        async with self._database.connection() as connection:
            thread = await ThreadRepository(connection).get(thread_id)
        if thread is None:
            raise ThreadNotFound(thread_id)
        return thread

    async def ttl(self, thread_id: UUID) -> ThreadTtl | None:
        """When a thread expires, or None."""
        async with self._database.connection() as connection:
            return await ThreadRepository(connection).ttl(thread_id)

    async def update(
        self, thread_id: UUID, *, metadata: dict[str, Any] | None = None, ttl: ThreadTtl | None = None
    ) -> Thread:
        """Merge metadata shallowly, set a time to live."""
        async with self._database.connection() as connection:
            thread = await ThreadRepository(connection).update(
                thread_id, metadata=None if metadata is None else clean_metadata(metadata), ttl=ttl
            )
        if thread is None:
            raise ThreadNotFound(thread_id)
        return thread

    async def delete(self, thread_id: UUID, *, missing_ok: bool = False) -> None:
        """Delete a thread with its runs and checkpoints; runs in flight are stopped first."""
        async with self._database.transaction() as connection:
            threads = ThreadRepository(connection)
            if await threads.lock(thread_id) is None:
                if missing_ok:
                    return
                raise ThreadNotFound(thread_id)
            # Locking the runs waits for writes of their workers and refuses later ones, so none outlives the thread.
            stopped = [run.run_id for run in await RunRepository(connection).in_flight(thread_id)]
            await threads.delete(thread_id)
            await CheckpointRepository(connection).delete_for_threads([thread_id])
        self._news.tell(ThreadNews(action="deleted", thread_id=thread_id))
        if stopped:
            await self._cancellation.announce_end(stopped, thread_id=thread_id)

    async def prune(self, thread_ids: list[UUID], *, strategy: str = "delete") -> int:
        """Delete threads, or keep of each only the newest checkpoint per namespace. Missing ids are skipped."""
        async with self._database.connection() as connection:
            existing = await ThreadRepository(connection).existing(thread_ids)
        if strategy == "keep_latest":
            for thread_id in existing:
                await self._keep_latest(thread_id)
        else:
            for thread_id in existing:
                await self.delete(thread_id, missing_ok=True)
        return len(existing)

    async def _keep_latest(self, thread_id: UUID) -> None:
        async with self._database.transaction() as connection:
            thread = await ThreadRepository(connection).lock(thread_id)
            await CheckpointRepository(connection).prune([thread_id])
            if thread is not None and thread.status != "busy":
                await refresh_latest_state(connection, thread_id)

    @property
    def ttl_config(self) -> ThreadTtlConfig:
        return self._ttl

    async def expire(self) -> int:
        """Delete, or cut down to their latest checkpoints, the threads whose time is over; how many it were.

        A busy thread waits for the next time. Two processes at once share the work.
        """
        async with self._database.connection() as connection:
            thread_ids = await ThreadRepository(connection).expired(limit=self._ttl.sweep_limit)
        return sum([await self._expire(thread_id) for thread_id in thread_ids])

    async def _expire(self, thread_id: UUID) -> bool:
        async with self._database.transaction() as connection:
            threads = ThreadRepository(connection)
            strategy = await threads.lock_expired(thread_id)
            if strategy == "delete":
                await threads.delete(thread_id)
                await CheckpointRepository(connection).delete_for_threads([thread_id])
            elif strategy == "keep_latest":
                await CheckpointRepository(connection).prune([thread_id])
                await refresh_latest_state(connection, thread_id)
                await threads.expire_again(thread_id)
        if strategy == "delete":
            self._news.tell(ThreadNews(action="deleted", thread_id=thread_id))
        return strategy is not None

    async def copy(self, thread_id: UUID) -> Thread:
        """A new thread with the metadata, state and whole history of this one; its runs are not copied."""
        new_thread_id = uuid4()
        async with self._database.transaction() as connection:
            threads = ThreadRepository(connection)
            source = await threads.lock(thread_id)
            copied = await threads.copy(thread_id, new_thread_id=new_thread_id)
            if source is None or copied is None:
                raise Conflict("Conflict")
            await CheckpointRepository(connection).copy_thread(
                source_thread_id=thread_id, target_thread_id=new_thread_id
            )
            if source.status == "busy":
                # Its row shows the state before the run that works on it.
                await refresh_latest_state(connection, new_thread_id)
                copied = await threads.get(new_thread_id) or copied
            if self._ttl.default is not None:
                copied = await threads.update(new_thread_id, metadata=None, ttl=self._ttl.default) or copied
        self._news.tell(ThreadNews(action="created", thread_id=new_thread_id))
        return copied

    async def get_state(
        self, thread_id: UUID, *, checkpoint: dict[str, Any] | None = None, subgraphs: bool = False
    ) -> dict[str, Any]:
        """The latest ThreadState, or that of a checkpoint. No graph is needed for it.

        Raises:
            ThreadNotFound: there is no such thread. An unknown checkpoint is an empty state.
        """
        checkpoint = checkpoint or {}
        async with self._database.connection() as connection:
            latest = await ThreadRepository(connection).latest_state(thread_id)
        if latest is None:
            raise ThreadNotFound(thread_id)
        if not checkpoint and not subgraphs and latest.status != "busy" and latest.state is not None:
            return {"values": latest.values if latest.values is not None else {}, **latest.state}
        states = await thread_states(
            self._storage,
            thread_id,
            checkpoint_ns=checkpoint.get("checkpoint_ns") or "",
            checkpoint_id=_checkpoint_uuid(checkpoint.get("checkpoint_id")),
            limit=1,
            subgraphs=subgraphs,
            live=not checkpoint.get("checkpoint_id"),
        )
        if states:
            return states[0]
        if not checkpoint.get("checkpoint_id"):
            return empty_state()
        reference = {"checkpoint_id": checkpoint["checkpoint_id"], "thread_id": str(thread_id)}
        return {**empty_state(reference), "checkpoint_id": checkpoint["checkpoint_id"]}

    async def history(
        self,
        thread_id: UUID,
        *,
        limit: int = 1,
        before: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        checkpoint: dict[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """ThreadStates, newest first."""
        await self.get(thread_id)
        checkpoint = checkpoint or {}
        return await thread_states(
            self._storage,
            thread_id,
            checkpoint_ns=checkpoint.get("checkpoint_ns") or "",
            checkpoint_id=_checkpoint_uuid(checkpoint.get("checkpoint_id")),
            before=_checkpoint_uuid((before or {}).get("checkpoint_id")),
            limit=limit,
            metadata_filter=metadata,
        )

    async def update_state(
        self,
        thread_id: UUID,
        *,
        values: Any,
        as_node: str | None = None,
        checkpoint: dict[str, Any] | None = None,
        headers: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Write to the state as if a node had, through a worker that has the graph.

        Args:
            headers: what the configurable of the graph takes from the headers of the request.

        Raises:
            ThreadBusy: a run is pending or running.
            InvalidState: the thread has no graph yet, or the graph refuses the update.
            WorkerUnavailable: no worker that serves the graph answered.
        """
        thread = await self.get(thread_id)
        params = {"values": values, "as_node": as_node, "checkpoint": checkpoint or {}, "headers": headers or {}}
        return await self._call(thread, "update_state", params)

    async def storage(self, thread_id: UUID) -> dict[str, Any]:
        """How many bytes the thread's checkpoints take, by channel."""
        await self.get(thread_id)
        async with self._database.connection() as connection:
            usage = await CheckpointRepository(connection).usage(thread_id)
        by_channel = {row.channel: {"versions": row.rows, "bytes": row.bytes} for row in usage if row.kind == "values"}
        totals = {kind: _total(usage, kind) for kind in ("checkpoints", "values", "writes")}
        return {
            "thread_id": str(thread_id),
            "total_bytes": sum(total["bytes"] for total in totals.values()),
            "checkpoints": totals["checkpoints"],
            "channel_values": {**totals["values"], "by_channel": by_channel},
            "pending_writes": totals["writes"],
        }

    @asynccontextmanager
    async def updating(self, thread_id: UUID) -> AsyncGenerator[Connection]:
        """Hold a thread that no run is changing: the lock keeps new runs out until the block ends.

        Raises:
            ThreadNotFound, ThreadBusy: as they say.
        """
        async with self._database.transaction() as connection:
            if await ThreadRepository(connection).lock(thread_id) is None:
                raise ThreadNotFound(thread_id)
            if await RunRepository(connection).in_flight(thread_id):
                raise ThreadBusy(f"Thread {thread_id} is busy with a run; wait for its end or cancel it.")
            yield connection

    async def _call(self, thread: Thread, method: str, params: dict[str, Any]) -> dict[str, Any]:
        graph_id = thread.metadata.get("graph_id")
        if not isinstance(graph_id, str):
            raise InvalidState(f"Thread {thread.thread_id} has no graph yet: run an assistant on it first.")
        if thread.status == "busy":
            raise ThreadBusy(f"Thread {thread.thread_id} is busy with a run; wait for its end or cancel it.")
        reply = await self._calls.request(
            graph_id,
            method,
            {**params, "thread_id": str(thread.thread_id), "assistant_id": thread.metadata.get("assistant_id")},
        )
        result = unwrap(reply)
        await self._tell_followers(thread.thread_id)
        return result

    async def _tell_followers(self, thread_id: UUID) -> None:
        """Show the new state to those who follow the thread. It is stored by now, with Redis or without."""
        try:
            state = await self.get_state(thread_id)
            async with asyncio.timeout(_TELL_SECONDS):
                await self._updates.append(thread_id, encode({"state": state, "thread_id": thread_id}))
        except (QueueUnavailable, ThreadNotFound, TimeoutError):
            logger.warning("Followers of thread %s are not told of its new state.", thread_id)


def _checkpoint_uuid(value: Any) -> UUID | None:
    if value is None or isinstance(value, UUID):
        return value
    try:
        return UUID(str(value))
    except ValueError:
        raise InvalidRequest(f"checkpoint_id {value!r} is not a UUID.") from None


def _total(usage: list[UsageRow], kind: str) -> dict[str, int]:
    rows = [row for row in usage if row.kind == kind]
    return {"count": sum(row.rows for row in rows), "bytes": sum(row.bytes for row in rows)}
