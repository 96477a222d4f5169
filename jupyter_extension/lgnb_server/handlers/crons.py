"""Crons: creating, searching, changing and deleting them."""

from __future__ import annotations

from uuid import UUID

from tornado.web import authenticated

from ..bodies import CronCount, CronCreate, CronPatch, CronSearch
from ..projection import project, row_of
from .base import LgnbHandler


class CronsHandler(LgnbHandler):
    @authenticated
    async def post(self, thread_id: UUID | None = None) -> None:
        body = self.body(CronCreate)
        self.answer(await self.resources.crons.create(body.assistant_id, body.as_change(), thread_id=thread_id))


class CronSearchHandler(LgnbHandler):
    @authenticated
    async def post(self) -> None:
        body = self.body(CronSearch)
        page = await self.resources.crons.search(
            assistant_id=body.assistant_id,
            thread_id=body.thread_id,
            enabled=body.enabled,
            metadata=body.metadata,
            limit=body.limit,
            offset=body.offset,
            sort_by=body.sort_by,
            sort_order=body.sort_order,
        )
        self.answer_page(page, [project(row_of(cron), body.select) for cron in page.items])


class CronCountHandler(LgnbHandler):
    @authenticated
    async def post(self) -> None:
        body = self.body(CronCount)
        count = await self.resources.crons.count(
            assistant_id=body.assistant_id, thread_id=body.thread_id, metadata=body.metadata
        )
        self.answer(count)


class CronHandler(LgnbHandler):
    @authenticated
    async def get(self, cron_id: UUID) -> None:
        self.answer(await self.resources.crons.get(cron_id))

    @authenticated
    async def patch(self, cron_id: UUID) -> None:
        self.answer(await self.resources.crons.update(cron_id, self.body(CronPatch).as_change()))

    @authenticated
    async def delete(self, cron_id: UUID) -> None:
        await self.resources.crons.delete(cron_id)
        self.answer_empty()
