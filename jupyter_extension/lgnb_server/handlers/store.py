"""Items of the store and their namespaces."""

from __future__ import annotations

from tornado.web import authenticated

from lgnb.errors import InvalidRequest, InvalidState

from ..bodies import ItemDelete, ItemPut, ItemSearch, NamespaceList
from .base import LgnbHandler


class ItemsHandler(LgnbHandler):
    @authenticated
    async def put(self) -> None:
        body = self.body(ItemPut)
        await self.resources.store.put(body.namespace, body.key, body.value, index=body.index, ttl_minutes=body.ttl)
        self.answer_empty()

    @authenticated
    async def get(self) -> None:
        key = self.get_query_argument("key", None, strip=False)
        if key is None:
            raise InvalidState("key is missing: name the item to get.")
        namespace = self.get_query_argument("namespace", "", strip=False)
        if not namespace:
            raise InvalidRequest("namespace is missing: give the labels of the item, joined by dots.")
        refresh = self.query_flag("refresh_ttl") if self.get_query_arguments("refresh_ttl") else None
        self.answer(await self.resources.store.get(namespace.split("."), key, refresh_ttl=refresh))

    @authenticated
    async def delete(self) -> None:
        body = self.body(ItemDelete)
        await self.resources.store.delete(body.namespace, body.key)
        self.answer_empty()


class ItemSearchHandler(LgnbHandler):
    @authenticated
    async def post(self) -> None:
        body = self.body(ItemSearch)
        found = await self.resources.store.search(
            body.namespace_prefix,
            filter=body.filter,
            query=body.query,
            limit=body.limit,
            offset=body.offset,
            refresh_ttl=body.refresh_ttl,
        )
        self.answer({"items": found})


class NamespacesHandler(LgnbHandler):
    @authenticated
    async def post(self) -> None:
        body = self.body(NamespaceList)
        found = await self.resources.store.list_namespaces(
            prefix=body.prefix, suffix=body.suffix, max_depth=body.max_depth, limit=body.limit, offset=body.offset
        )
        self.answer({"namespaces": found})
