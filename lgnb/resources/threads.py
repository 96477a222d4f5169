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
    WorkerUnavailable,
)
from ..json_encoding import encode, jsonable
from ..models.access import Condition, both
from ..models.checkpoints import UsageRow
from ..models.ids import new_id
from ..models.news import ThreadNews
from ..models.pages import Page
from ..models.threads import Thread, ThreadTtl, ThreadTtlConfig
from ..models.vault import current_sealing
from ..queue.calls import Calls
from ..queue.news import NewsChannel
from ..queue.thread_updates import ThreadUpdates
from .acting import Acting, metadata_of
from .cancellation import Cancellation
from .latest_state import refresh_latest_state
from .limits import Limits
from .replies import unwrap
from .reserved import clean_metadata
from .unserved import why_unserved

logger = logging.getLogger(__name__)

# How long the answer to an update may wait for a Redis that stands still.
_TELL_SECONDS = 1.0


class Threads(Acting):
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
        limits: Limits,
    ) -> None:
        self._database = database
        self._storage = storage
        self._calls = calls
        self._updates = updates
        self._ttl = ttl
        self._cancellation = cancellation
        self._limits = limits
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
        self._limits.check_batch(len(supersteps or ()), what="supersteps")
        value: dict[str, Any] = {
            "thread_id": thread_id,
            "metadata": clean_metadata(metadata or {}),
            "if_exists": if_exists,
            "ttl": _asked_ttl(ttl),
        }
        visible = await self._access.ask("threads", "create", value)
        metadata, ttl, if_exists = metadata_of(value), _given_ttl(value["ttl"]), value["if_exists"]
        if supersteps and "graph_id" not in metadata:
            raise InvalidState("Supersteps need to know the graph: give metadata.graph_id.")
        async with self._database.connection() as connection:
            threads = ThreadRepository(connection)
            created = await threads.insert(thread_id, metadata=metadata, ttl=ttl or self._ttl.default)
            existing = None if created else await threads.get(thread_id, visible=visible)
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
        value = _asked_search(metadata, values, status, limit=limit, offset=offset)
        visible = await self._access.ask("threads", "search", value)
        async with self._database.connection() as connection:
            rows = await ThreadRepository(connection).search_page(
                ids=ids,
                metadata=metadata_of(value),
                values=value["values"],
                status=value["status"],
                visible=visible,
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
        value = _asked_search(metadata, values, status, limit=0, offset=0)
        visible = await self._access.ask("threads", "search", value)
        async with self._database.connection() as connection:
            return await ThreadRepository(connection).count(
                metadata=metadata_of(value), values=value["values"], status=value["status"], visible=visible
            )

    async def get(self, thread_id: UUID) -> Thread:
        return await self._require(thread_id, await self._readable(thread_id))

    async def ttl(self, thread_id: UUID) -> ThreadTtl | None:
        """When a thread expires, or None."""
        visible = await self._readable(thread_id)
        async with self._database.connection() as connection:
            return await ThreadRepository(connection).ttl(thread_id, visible=visible)

    async def update(
        self, thread_id: UUID, *, metadata: dict[str, Any] | None = None, ttl: ThreadTtl | None = None
    ) -> Thread:
        """Merge metadata shallowly, set a time to live."""
        value: dict[str, Any] = {"thread_id": thread_id, "metadata": clean_metadata(metadata or {})}
        visible = await self._access.ask("threads", "update", value)
        # Sealed metadata is not merged by the statement.
        merging = self._database.transaction if self._database.vault.fields.seals else self._database.connection
        async with merging() as connection:
            thread = await ThreadRepository(connection).update(
                thread_id, metadata=metadata_of(value), ttl=ttl, visible=visible
            )
        if thread is None:
            raise ThreadNotFound(thread_id)
        return thread

    async def delete(self, thread_id: UUID, *, missing_ok: bool = False) -> None:
        """Delete a thread with its runs and checkpoints; runs in flight are stopped first."""
        visible = await self._access.ask("threads", "delete", {"thread_id": thread_id})
        await self._delete(thread_id, visible=visible, missing_ok=missing_ok)

    async def _delete(self, thread_id: UUID, *, visible: Condition | None, missing_ok: bool) -> None:
        async with self._database.transaction() as connection:
            threads = ThreadRepository(connection)
            if await threads.hold(thread_id, visible=visible) is None:
                if missing_ok:
                    return
                raise ThreadNotFound(thread_id)
            # Locking the runs waits for writes of their workers and refuses later ones, so none outlives the thread.
            stopped = await RunRepository(connection).hold_in_flight(thread_id)
            await threads.delete(thread_id)
            await CheckpointRepository(connection).delete_for_threads([thread_id])
        self._news.tell(ThreadNews(action="deleted", thread_id=thread_id))
        if stopped:
            await self._cancellation.announce_end(stopped, thread_id=thread_id)

    async def prune(self, thread_ids: list[UUID], *, strategy: str = "delete") -> int:
        """Delete threads, or keep of each only the newest checkpoint per namespace. Missing ids are skipped.

        Raises:
            ThreadNotFound: one of them is hidden from this caller; none was pruned then.
        """
        visible = await self._access.ask("threads", "delete", {"thread_ids": thread_ids})
        async with self._database.connection() as connection:
            existing = await ThreadRepository(connection).existing(thread_ids, visible=visible)
        if visible is not None and (hidden := set(thread_ids) - set(existing)):
            # Whether they are missing or somebody else's is not told.
            raise ThreadNotFound(min(hidden))
        for thread_id in existing:
            if strategy == "keep_latest":
                await self._keep_latest(thread_id, visible=visible)
            else:
                await self._delete(thread_id, visible=visible, missing_ok=True)
        return len(existing)

    async def _keep_latest(self, thread_id: UUID, *, visible: Condition | None) -> None:
        async with self._database.transaction() as connection:
            status = await ThreadRepository(connection).hold(thread_id, visible=visible)
            if status is None:
                return
            await CheckpointRepository(connection).prune([thread_id])
            if status != "busy":
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
        visible = await self._readable(thread_id)
        value: dict[str, Any] = {"thread_id": new_thread_id}
        await self._access.ask("threads", "create", value)
        async with self._database.transaction() as connection:
            threads = ThreadRepository(connection)
            source = await threads.lock(thread_id, visible=visible)
            if source is None:
                raise Conflict("Conflict")
            copied = await threads.copy(thread_id, new_thread_id=new_thread_id, metadata=metadata_of(value))
            if copied is None:
                raise Conflict("Conflict")
            await CheckpointRepository(connection).copy_thread(
                source_thread_id=thread_id, target_thread_id=new_thread_id
            )
            if source.status == "busy" or connection.vault.fields.seals:
                # Its row shows the state before the run that works on it, or names the original where none can read.
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
        visible = await self._readable(thread_id)
        return await self._state(thread_id, checkpoint or {}, subgraphs=subgraphs, visible=visible)

    async def _state(
        self, thread_id: UUID, checkpoint: dict[str, Any], *, subgraphs: bool = False, visible: Condition | None
    ) -> dict[str, Any]:
        async with self._database.connection() as connection:
            latest = await ThreadRepository(connection).latest_state(thread_id, visible=visible)
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
            visible=visible,
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
        visible = await self._readable(thread_id)
        await self._require(thread_id, visible)
        checkpoint = checkpoint or {}
        return await thread_states(
            self._storage,
            thread_id,
            checkpoint_ns=checkpoint.get("checkpoint_ns") or "",
            checkpoint_id=_checkpoint_uuid(checkpoint.get("checkpoint_id")),
            before=_checkpoint_uuid((before or {}).get("checkpoint_id")),
            limit=limit,
            metadata_filter=metadata,
            visible=visible,
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
        visible = await self._access.ask("threads", "update", {"thread_id": thread_id})
        visible = both(visible, await self._readable(thread_id))
        thread = await self._require(thread_id, visible)
        params = {"values": values, "as_node": as_node, "checkpoint": checkpoint or {}, "headers": headers or {}}
        return await self._call(thread, "update_state", params, visible=visible)

    async def storage(self, thread_id: UUID) -> dict[str, Any]:
        """How many bytes the thread's checkpoints take, by channel."""
        visible = await self._readable(thread_id)
        await self._require(thread_id, visible)
        async with self._database.connection() as connection:
            usage = await CheckpointRepository(connection).usage(thread_id, visible=visible)
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
    async def updating(self, thread_id: UUID, *, visible: Condition | None = None) -> AsyncGenerator[Connection]:
        """Hold a thread that no run is changing: the lock keeps new runs out until the block ends.

        Raises:
            ThreadNotFound, ThreadBusy: as they say.
        """
        async with self._database.transaction() as connection:
            if await ThreadRepository(connection).hold(thread_id, visible=visible) is None:
                raise ThreadNotFound(thread_id)
            if await RunRepository(connection).hold_in_flight(thread_id):
                raise ThreadBusy(f"Thread {thread_id} is busy with a run; wait for its end or cancel it.")
            yield connection

    async def _readable(self, thread_id: UUID) -> Condition | None:
        return await self._access.ask("threads", "read", {"thread_id": thread_id})

    async def _require(self, thread_id: UUID, visible: Condition | None) -> Thread:
        async with self._database.connection() as connection:
            thread = await ThreadRepository(connection).get(thread_id, visible=visible)
        if thread is None:
            raise ThreadNotFound(thread_id)
        return thread

    async def _call(
        self, thread: Thread, method: str, params: dict[str, Any], *, visible: Condition | None = None
    ) -> dict[str, Any]:
        graph_id = thread.metadata.get("graph_id")
        if not isinstance(graph_id, str):
            raise InvalidState(f"Thread {thread.thread_id} has no graph yet: run an assistant on it first.")
        if thread.status == "busy":
            raise ThreadBusy(f"Thread {thread.thread_id} is busy with a run; wait for its end or cancel it.")
        async with self._database.connection() as connection:
            if why := await why_unserved(connection, graph_id):
                raise WorkerUnavailable(why)
        given = {
            **params,
            "thread_id": str(thread.thread_id),
            "assistant_id": thread.metadata.get("assistant_id"),
            "user": jsonable(self._caller.as_dict()) if self._caller else None,
            # The worker asks again when it holds the thread: it may be somebody else's by then.
            "visible": visible and visible.filter,
        }
        if context := current_sealing().context:
            given["encryption"] = dict(context)
        reply = await self._calls.request(graph_id, method, given)
        result = unwrap(reply)
        await self._tell_followers(thread.thread_id)
        return result

    async def _tell_followers(self, thread_id: UUID) -> None:
        """Show the new state to those who follow the thread. It is stored by now, with Redis or without."""
        try:
            state = await self._state(thread_id, {}, visible=None)
            async with asyncio.timeout(_TELL_SECONDS):
                await self._updates.append(thread_id, encode({"state": state, "thread_id": thread_id}))
        except (QueueUnavailable, ThreadNotFound, TimeoutError):
            logger.warning("Followers of thread %s are not told of its new state.", thread_id)


def _asked_search(
    metadata: dict[str, Any] | None, values: dict[str, Any] | None, status: str | None, *, limit: int, offset: int
) -> dict[str, Any]:
    return {"metadata": metadata or {}, "values": values or {}, "status": status, "limit": limit, "offset": offset}


def _asked_ttl(ttl: ThreadTtl | None) -> dict[str, Any] | None:
    return ttl and {"strategy": ttl.strategy, "ttl": ttl.ttl_minutes}


def _given_ttl(value: dict[str, Any] | None) -> ThreadTtl | None:
    return ThreadTtl(ttl_minutes=value["ttl"], strategy=value.get("strategy", "delete")) if value else None


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
