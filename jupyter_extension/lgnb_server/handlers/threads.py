"""Threads, their state and their history."""

from __future__ import annotations

from typing import Any, cast, get_args
from uuid import UUID

from tornado.web import authenticated

from lgnb.errors import InvalidState

from ..bodies import (
    StateColumn,
    StateHistory,
    StateRead,
    StateUpdate,
    ThreadColumn,
    ThreadCount,
    ThreadCreate,
    ThreadPatch,
    ThreadPrune,
    ThreadSearch,
)
from ..projection import extracted, parse_extract, project, project_state, row_of
from .base import LgnbHandler

_STATE_COLUMNS = get_args(StateColumn)


class ThreadsHandler(LgnbHandler):
    @authenticated
    async def post(self) -> None:
        body = self.body(ThreadCreate)
        supersteps = body.supersteps
        thread = await self.resources.threads.create(
            thread_id=body.thread_id,
            metadata=body.metadata,
            if_exists=body.if_exists,
            ttl=body.ttl.as_thread_ttl() if body.ttl else None,
            supersteps=None if supersteps is None else [step.model_dump() for step in supersteps],
        )
        self.answer(thread)


class ThreadSearchHandler(LgnbHandler):
    @authenticated
    async def post(self) -> None:
        body = self.body(ThreadSearch)
        paths = parse_extract(body.extract or {}, columns=get_args(ThreadColumn))
        page = await self.resources.threads.search(
            ids=None if body.ids is None else [_known_id(text) for text in body.ids],
            metadata=body.metadata,
            values=body.values,
            status=body.status,
            limit=body.limit,
            offset=body.offset,
            sort_by=body.sort_by,
            sort_order=body.sort_order,
        )
        rows: list[dict[str, Any]] = []
        for thread in page.items:
            whole = row_of(thread)
            row = project(whole, body.select)
            rows.append({**row, "extracted": extracted(whole, paths)} if paths else row)
        self.answer_page(page, rows)


class ThreadCountHandler(LgnbHandler):
    @authenticated
    async def post(self) -> None:
        body = self.body(ThreadCount)
        count = await self.resources.threads.count(metadata=body.metadata, values=body.values, status=body.status)
        self.answer(count)


class ThreadPruneHandler(LgnbHandler):
    @authenticated
    async def post(self) -> None:
        body = self.body(ThreadPrune)
        pruned = await self.resources.threads.prune(body.thread_ids, strategy=body.strategy)
        self.answer({"pruned_count": pruned})


class ThreadHandler(LgnbHandler):
    @authenticated
    async def get(self, thread_id: UUID) -> None:
        row = row_of(await self.resources.threads.get(thread_id))
        if "ttl" in (self.query_list("include") or ()):
            row["ttl"] = await self.resources.threads.ttl(thread_id)
        self.answer(row)

    @authenticated
    async def patch(self, thread_id: UUID) -> None:
        body = self.body(ThreadPatch)
        thread = await self.resources.threads.update(
            thread_id, metadata=body.metadata, ttl=body.ttl.as_thread_ttl() if body.ttl else None
        )
        if "return=minimal" in self.request.headers.get("Prefer", ""):
            self.answer_empty()
        else:
            self.answer(thread)

    @authenticated
    async def delete(self, thread_id: UUID) -> None:
        await self.resources.threads.delete(thread_id)
        self.answer_empty()


class ThreadCopyHandler(LgnbHandler):
    @authenticated
    async def post(self, thread_id: UUID) -> None:
        self.answer(await self.resources.threads.copy(thread_id))


class ThreadStorageHandler(LgnbHandler):
    @authenticated
    async def get(self, thread_id: UUID) -> None:
        self.answer(await self.resources.threads.storage(thread_id))


class StateHandlerBase(LgnbHandler):
    def shown(self, state: dict[str, Any], select: list[str] | None) -> dict[str, Any]:
        """The parts of a state that the client selected."""
        return project_state(state, select, columns=_STATE_COLUMNS)


class StateHandler(StateHandlerBase):
    @authenticated
    async def get(self, thread_id: UUID, checkpoint_id: str | None = None) -> None:
        state = await self.resources.threads.get_state(
            thread_id,
            checkpoint={"checkpoint_id": checkpoint_id} if checkpoint_id else None,
            subgraphs=self.query_flag("subgraphs"),
        )
        self.answer(self.shown(state, self.query_list("select")))

    @authenticated
    async def post(self, thread_id: UUID) -> None:
        body = self.body(StateUpdate)
        checkpoint = body.checkpoint.as_dict() if body.checkpoint else {}
        if body.checkpoint_id:
            checkpoint.setdefault("checkpoint_id", body.checkpoint_id)
        written = await self.resources.threads.update_state(
            thread_id,
            values=body.values,
            as_node=body.as_node,
            checkpoint=checkpoint or None,
            headers=self.configurables(),
        )
        self.answer(written)


class StateAtCheckpointHandler(StateHandlerBase):
    @authenticated
    async def post(self, thread_id: UUID) -> None:
        body = self.body(StateRead)
        state = await self.resources.threads.get_state(
            thread_id, checkpoint=body.checkpoint.as_dict() or None, subgraphs=body.subgraphs
        )
        self.answer(self.shown(state, body.select))


class HistoryHandler(StateHandlerBase):
    @authenticated
    async def get(self, thread_id: UUID) -> None:
        states = await self.resources.threads.history(
            thread_id,
            limit=self.query_number("limit", default=1, least=1, most=1000),
            before=_flat_checkpoint(self.get_query_argument("before", "") or None),
            metadata=None,
            checkpoint=None,
        )
        columns = self.query_list("select")
        self.answer([self.shown(state, columns) for state in states])

    @authenticated
    async def post(self, thread_id: UUID) -> None:
        body = self.body(StateHistory)
        states = await self.resources.threads.history(
            thread_id,
            limit=body.limit,
            before=_flat_checkpoint(body.before),
            metadata=body.metadata,
            checkpoint=_flat_checkpoint(body.checkpoint),
        )
        self.answer([self.shown(state, body.select) for state in states])


def _flat_checkpoint(before: str | dict[str, Any] | None) -> dict[str, Any] | None:
    """The three forms in which clients name a checkpoint, as one: its id, a checkpoint, or a config around it."""
    if not before:
        return None
    if isinstance(before, str):
        return {"checkpoint_id": before}
    inner = before.get("configurable")
    return _texts_of(cast(dict[str, Any], inner) if isinstance(inner, dict) else before)


def _texts_of(checkpoint: dict[str, Any]) -> dict[str, Any]:
    names = ("checkpoint_id", "checkpoint_ns", "checkpoint_map")
    return {name: checkpoint[name] for name in names if isinstance(checkpoint.get(name), str | dict)}


def _known_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidState("ids must be thread ids, that is UUIDs.") from None
