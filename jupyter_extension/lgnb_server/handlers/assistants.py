"""Assistants and their versions, drawings and schemas."""

from __future__ import annotations

import re
from uuid import UUID

from tornado.web import authenticated

from lgnb.errors import InvalidRequest

from ..bodies import (
    AssistantCount,
    AssistantCreate,
    AssistantLatest,
    AssistantPatch,
    AssistantSearch,
    AssistantVersions,
)
from ..projection import project, row_of
from .base import LgnbHandler


class AssistantsHandler(LgnbHandler):
    @authenticated
    async def post(self) -> None:
        body = self.body(AssistantCreate)
        assistant = await self.resources.assistants.create(
            graph_id=body.graph_id,
            assistant_id=body.assistant_id,
            config=dict(body.config),
            context=body.context,
            metadata=body.metadata,
            name=body.name,
            description=body.description,
            if_exists=body.if_exists,
        )
        self.answer(assistant)


class AssistantSearchHandler(LgnbHandler):
    @authenticated
    async def post(self) -> None:
        body = self.body(AssistantSearch)
        page = await self.resources.assistants.search(
            metadata=body.metadata,
            graph_id=body.graph_id,
            name=body.name,
            limit=body.limit,
            offset=body.offset,
            sort_by=body.sort_by,
            sort_order=body.sort_order,
        )
        self.answer_page(page, [project(row_of(assistant), body.select) for assistant in page.items])


class AssistantCountHandler(LgnbHandler):
    @authenticated
    async def post(self) -> None:
        body = self.body(AssistantCount)
        count = await self.resources.assistants.count(metadata=body.metadata, graph_id=body.graph_id, name=body.name)
        self.answer(count)


class AssistantHandler(LgnbHandler):
    @authenticated
    async def get(self, assistant_id: UUID) -> None:
        self.answer(await self.resources.assistants.get(assistant_id))

    @authenticated
    async def patch(self, assistant_id: UUID) -> None:
        body = self.body(AssistantPatch)
        assistant = await self.resources.assistants.update(
            assistant_id,
            graph_id=body.graph_id,
            config=None if body.config is None else dict(body.config),
            context=body.context,
            metadata=body.metadata,
            name=body.name,
            description=body.description,
        )
        self.answer(assistant)

    @authenticated
    async def delete(self, assistant_id: UUID) -> None:
        await self.resources.assistants.delete(assistant_id, delete_threads=self.query_flag("delete_threads"))
        self.answer_empty()


class AssistantVersionsHandler(LgnbHandler):
    @authenticated
    async def post(self, assistant_id: UUID) -> None:
        body = self.body(AssistantVersions)
        versions = await self.resources.assistants.versions(
            assistant_id, metadata=body.metadata, limit=body.limit, offset=body.offset
        )
        self.answer(versions)


class AssistantLatestHandler(LgnbHandler):
    @authenticated
    async def post(self, assistant_id: UUID) -> None:
        body = self.body(AssistantLatest)
        self.answer(await self.resources.assistants.set_latest(assistant_id, version=body.version))


class AssistantGraphHandler(LgnbHandler):
    @authenticated
    async def get(self, assistant: str) -> None:
        self.answer(await self.resources.assistants.graph(assistant, xray=self._xray()))

    def _xray(self) -> bool | int:
        text = self.get_query_argument("xray", "").lower()
        if text in ("", "true", "false"):
            return text == "true"
        if re.fullmatch(r"\d{1,4}", text):
            return int(text)
        raise InvalidRequest("xray must be true, false, or the number of levels to draw.")


class AssistantSchemasHandler(LgnbHandler):
    @authenticated
    async def get(self, assistant_id: UUID) -> None:
        self.answer(await self.resources.assistants.schemas(assistant_id))


class AssistantSubgraphsHandler(LgnbHandler):
    @authenticated
    async def get(self, assistant_id: UUID, namespace: str | None = None) -> None:
        subgraphs = await self.resources.assistants.subgraphs(
            assistant_id, namespace=namespace, recurse=self.query_flag("recurse")
        )
        self.answer(subgraphs)
