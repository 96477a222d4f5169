"""The store as graphs see it: `runtime.store` and `get_store()`, from any loop or thread of this worker."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, Protocol, TypeVar

from langgraph.store.base import (
    BaseStore,
    GetOp,
    Item,
    ListNamespacesOp,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    TTLConfig,
)

from ..errors import EmbeddingFailed, InvalidRequest
from ..models.store import FoundItem, ItemQuery, NamespaceQuery, PutItem, StoreConfig
from ..models.store import Item as StoredItem

T = TypeVar("T")


class Items(Protocol):
    """The store that items are kept in; see `resources.Store`."""

    @property
    def config(self) -> StoreConfig: ...

    async def get(
        self, namespace: Sequence[str], key: str, *, refresh_ttl: bool | None = None
    ) -> StoredItem | None: ...

    async def find(self, what: ItemQuery) -> list[FoundItem]: ...

    async def find_namespaces(self, what: NamespaceQuery) -> list[list[str]]: ...

    async def write(self, puts: Sequence[PutItem]) -> None: ...


class GraphStore(BaseStore):
    """LangGraph's store interface over our store, whose connections belong to `loop`.

    A batch reads first and then writes, all or none; this is the order of the library's own stores.
    """

    supports_ttl = True

    def __init__(self, store: Items, *, loop: asyncio.AbstractEventLoop) -> None:
        self._store = store
        self._loop = loop
        self.ttl_config = TTLConfig(
            default_ttl=store.config.default_ttl_minutes, refresh_on_read=store.config.refresh_on_read
        )

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        call = self._execute(list(ops))
        if self._loop is asyncio.get_running_loop():
            return await call
        return await asyncio.wrap_future(self._submit(call))

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        call = self._execute(list(ops))
        if self._loop is _running_loop():
            call.close()
            raise RuntimeError(
                "A synchronous call on the store's own loop would wait for itself; use the async method."
            )
        return self._submit(call).result()

    def _submit(self, call: Coroutine[Any, Any, T]) -> Any:
        try:
            return asyncio.run_coroutine_threadsafe(call, self._loop)
        except RuntimeError:  # the loop is closed: the process is on its way out
            call.close()
            raise

    async def _execute(self, ops: list[Op]) -> list[Result]:
        try:
            results = [await self._read(op) for op in ops]
            if puts := [_put(op) for op in ops if isinstance(op, PutOp)]:
                await self._store.write(puts)
        except InvalidRequest as error:
            raise ValueError(str(error)) from None
        except EmbeddingFailed as error:
            # For a node this is an ordinary error. As NotReady it would send the run back to the queue, for ever.
            raise RuntimeError(str(error)) from None
        return results

    async def _read(self, op: Op) -> Result:
        if isinstance(op, GetOp):
            found = await self._store.get(op.namespace, op.key, refresh_ttl=op.refresh_ttl)
            return _item(found) if found else None
        if isinstance(op, SearchOp):
            return [_search_item(found) for found in await self._store.find(_query(op))]
        if isinstance(op, ListNamespacesOp):
            return [tuple(namespace) for namespace in await self._store.find_namespaces(_namespaces(op))]
        return None


def _put(op: PutOp) -> PutItem:
    return PutItem(
        namespace=op.namespace,
        key=str(op.key),
        value=None if op.value is None else dict(op.value),
        index=op.index if op.index is None or op.index is False else list(op.index),
        ttl_minutes=op.ttl,
    )


def _query(op: SearchOp) -> ItemQuery:
    return ItemQuery(
        namespace_prefix=op.namespace_prefix,
        filter=op.filter or {},
        limit=op.limit,
        offset=op.offset,
        query=op.query,
        refresh_ttl=op.refresh_ttl,
    )


def _namespaces(op: ListNamespacesOp) -> NamespaceQuery:
    return NamespaceQuery(
        conditions=tuple((condition.match_type, tuple(condition.path)) for condition in op.match_conditions or ()),
        max_depth=op.max_depth,
        limit=op.limit,
        offset=op.offset,
    )


def _item(found: StoredItem) -> Item:
    return Item(
        namespace=tuple(found.namespace),
        key=found.key,
        value=found.value,
        created_at=found.created_at,
        updated_at=found.updated_at,
    )


def _search_item(found: FoundItem) -> SearchItem:
    return SearchItem(
        namespace=tuple(found.namespace),
        key=found.key,
        value=found.value,
        created_at=found.created_at,
        updated_at=found.updated_at,
        score=found.score,
    )


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
