"""The store: long-term memory in namespaces, with expiry and, where an index is configured, search by similarity."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Sequence
from typing import Any

from ..db.database import Connection, Database
from ..db.store import ItemRow, StoreRepository
from ..db.vectors import VectorRepository, prepare_vectors
from ..errors import InvalidRequest, InvalidState
from ..json_encoding import encode
from ..models.access import Condition
from ..models.store import (
    FoundItem,
    IndexChoice,
    IndexConfig,
    Item,
    ItemQuery,
    Namespace,
    NamespaceQuery,
    PutItem,
    StoreConfig,
)
from .acting import Acting

logger = logging.getLogger(__name__)

_RESERVED_LABEL = "langgraph"
_MOST_CANDIDATES = 20_000


class Store(Acting):
    def __init__(self, database: Database, *, config: StoreConfig) -> None:
        self._database = database
        self._config = config
        self._index: IndexConfig | None = None
        self._vector_version: tuple[int, ...] = ()
        self.problem = "No store.index is configured."

    @property
    def config(self) -> StoreConfig:
        return self._config

    @property
    def is_semantic(self) -> bool:
        """Whether a search by similarity is possible; if not, `problem` says why."""
        return self._index is not None

    async def prepare(self) -> None:
        """Make what the configured index needs. Without pgvector everything but search by similarity works."""
        if self._config.index is None:
            return
        async with self._database.connection() as connection:
            self._vector_version, problem = await prepare_vectors(connection, self._config.index)
        if problem is None:
            self._index, self.problem = self._config.index, ""
            return
        self.problem = f"The store has no semantic search: {problem}"
        logger.warning("%s", self.problem)

    async def put(
        self,
        namespace: Sequence[str],
        key: str,
        value: dict[str, Any],
        *,
        index: IndexChoice = None,
        ttl_minutes: float | None = None,
    ) -> None:
        """Store an item, in place of one with the same namespace and key.

        Args:
            index: which parts to embed; False for none, None for those of the configuration.
            ttl_minutes: None for the default of the configuration.

        Raises:
            InvalidRequest: a label of the namespace is empty or holds a dot.
            InvalidState: the namespace is empty, or begins with `langgraph`.
        """
        asked: dict[str, Any] = {
            "namespace": tuple(namespace),
            "key": key,
            "value": value,
            "index": index,
            "ttl": self._config.default_ttl_minutes if ttl_minutes is None else ttl_minutes,
        }
        await self._access.ask("store", "put", asked)
        item = PutItem(
            namespace=tuple(asked["namespace"]),
            key=asked["key"],
            value=asked["value"],
            index=asked["index"],
            ttl_minutes=asked["ttl"],
        )
        await self.write([item])

    async def delete(self, namespace: Sequence[str], key: str) -> None:
        """Delete an item; one that is not there is deleted already."""
        namespace, key = await self._ask_for_item("delete", {"namespace": tuple(namespace), "key": key})
        check_labels(namespace)
        async with self._database.connection() as connection:
            await StoreRepository(connection).delete(namespace, key)

    async def get(self, namespace: Sequence[str], key: str, *, refresh_ttl: bool | None = None) -> Item | None:
        """An item, or None. Reading it gives it its whole time to live again, unless told otherwise."""
        namespace, key = await self._ask_for_item(
            "get", {"namespace": tuple(namespace), "key": key, "refresh_ttl": refresh_ttl}
        )
        check_labels(namespace)
        async with self._database.connection() as connection:
            items = StoreRepository(connection)
            found = await items.get(namespace, key)
            if found is not None and self._refreshes(refresh_ttl):
                await items.refresh([found])
        return _item(found) if found else None

    async def search(
        self,
        namespace_prefix: Sequence[str] = (),
        *,
        filter: dict[str, Any] | None = None,
        query: str | None = None,
        limit: int = 10,
        offset: int = 0,
        refresh_ttl: bool | None = None,
    ) -> list[FoundItem]:
        """Items under a namespace: with a `query` by similarity, else last updated first.

        Raises:
            InvalidState: the filter names an operator that does not exist.
            EmbeddingFailed: as it says.
        """
        asked: dict[str, Any] = {
            "namespace": tuple(namespace_prefix),
            "filter": filter or {},
            "limit": limit,
            "offset": offset,
            "query": query,
            "refresh_ttl": refresh_ttl,
        }
        visible: Condition | None = await self._access.ask("store", "search", asked)
        what = ItemQuery(
            namespace_prefix=tuple(asked["namespace"]),
            filter=asked["filter"] or {},
            limit=limit,
            offset=offset,
            query=asked["query"],
            refresh_ttl=self._refreshes(refresh_ttl),
            visible=visible,
        )
        return await self.find(what)

    async def find(self, what: ItemQuery) -> list[FoundItem]:
        """The same as `search`, with everything decided."""
        check_labels(what.namespace_prefix)
        index = self._index if what.query else None
        vector = await index.embedder.embed_query(what.query) if index and what.query else None
        async with self._database.connection() as connection:
            items = StoreRepository(connection)
            found = await items.search(what) if vector is None else await self._by_similarity(connection, what, vector)
            if what.refresh_ttl:
                await items.refresh(found)
        return [_found(row) for row in found]

    async def list_namespaces(
        self,
        *,
        prefix: Sequence[str] = (),
        suffix: Sequence[str] = (),
        max_depth: int | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[list[str]]:
        """Namespaces that hold items, in order; deeper ones are cut to `max_depth` labels."""
        asked: dict[str, Any] = {
            "namespace": tuple(prefix),
            "suffix": tuple(suffix),
            "max_depth": max_depth,
            "limit": limit,
            "offset": offset,
        }
        await self._access.ask("store", "list_namespaces", asked)
        conditions = [("prefix", tuple(asked["namespace"]))] if asked["namespace"] else []
        conditions += [("suffix", tuple(asked["suffix"]))] if asked["suffix"] else []
        return await self.find_namespaces(
            NamespaceQuery(conditions=tuple(conditions), max_depth=max_depth, limit=limit, offset=offset)  # pyright: ignore[reportArgumentType]
        )

    async def find_namespaces(self, what: NamespaceQuery) -> list[list[str]]:
        """The same as `list_namespaces`, with any number of conditions."""
        for _, path in what.conditions:
            check_labels(path)
        async with self._database.connection() as connection:
            return await StoreRepository(connection).namespaces(what)

    async def write(self, puts: Sequence[PutItem]) -> None:
        """Store and delete several items, all or none; of two with the same name the last one counts."""
        for item in puts:
            check_labels(item.namespace)
            if item.value is not None:
                _check_root(item.namespace)
        # One order for everybody, so that no two transactions wait for each other.
        last = {(item.namespace, item.key): item for item in puts}
        ordered = [last[name] for name in sorted(last)]
        vectors = await self._vectors(ordered)
        values = await asyncio.to_thread(_encoded, ordered) if len(ordered) > 100 else _encoded(ordered)
        # Which is a transaction anyway; to open one and to end it would take two round trips more.
        is_one_statement = len(ordered) == 1 and self._index is None
        async with self._database.connection() if is_one_statement else self._database.transaction() as connection:
            items = StoreRepository(connection)
            for item, value, own in zip(ordered, values, vectors, strict=True):
                if value is None:
                    await items.delete(item.namespace, item.key)
                    continue
                await items.put(item, value=value)
                if self._index is not None:
                    await self._vector_repository(connection, self._index).replace(item.namespace, item.key, own)

    async def sweep(self, *, limit: int = 1000) -> int:
        """Delete items that have expired; doing it twice, or from two processes, deletes each once."""
        async with self._database.connection() as connection:
            return await StoreRepository(connection).sweep(limit=limit)

    async def _ask_for_item(self, action: str, asked: dict[str, Any]) -> tuple[Namespace, str]:
        await self._access.ask("store", action, asked)
        return tuple(asked["namespace"]), asked["key"]

    def _refreshes(self, asked: bool | None) -> bool:
        return self._config.refresh_on_read if asked is None else asked

    async def _vectors(self, items: Sequence[PutItem]) -> list[list[tuple[str, list[float]]]]:
        """(path, vector) for each item; the texts of all items are embedded in one go."""
        index = self._index
        if index is None:
            return [[] for _ in items]
        texts = [
            []
            if item.value is None or item.index is False
            else index.embedder.texts(item.value, item.index or index.fields)
            for item in items
        ]
        embedded = iter(await index.embedder.embed([text for own in texts for _, text in own]))
        return [[(path, next(embedded)) for path, _ in own] for own in texts]

    async def _by_similarity(self, connection: Connection, what: ItemQuery, vector: list[float]) -> list[ItemRow]:
        """A page of the items by similarity; those without vectors come last."""
        index = self._index
        assert index is not None
        wanted = what.offset + what.limit
        enough = wanted * len(index.fields)
        while True:
            async with connection.transaction():
                ranked = await self._vector_repository(connection, index).nearest(what, vector, enough=enough)
            candidates = ranked[0].candidates if ranked else 0
            if len(ranked) >= wanted or candidates < enough or enough >= _MOST_CANDIDATES:
                break
            # Several vectors of the same items were among the nearest.
            enough = min(enough * 4, _MOST_CANDIDATES)
        page = ranked[what.offset :]
        if len(page) < what.limit:
            rest = dataclasses.replace(what, limit=what.limit - len(page), offset=max(0, what.offset - len(ranked)))
            page += await StoreRepository(connection).search(rest, embedded="no")
        return page

    def _vector_repository(self, connection: Connection, index: IndexConfig) -> VectorRepository:
        return VectorRepository(connection, index, version=self._vector_version)


def check_labels(namespace: Sequence[str]) -> None:
    """Raises InvalidRequest when a label is empty, or holds a dot or NUL."""
    for label in namespace:
        if not label or "." in label or "\0" in label:
            raise InvalidRequest("Each label of a namespace must be a text that is not empty and holds no dot.")


def _check_root(namespace: Namespace) -> None:
    if not namespace:
        raise InvalidState("The namespace of an item must have at least one label.")
    if namespace[0] == _RESERVED_LABEL:
        raise InvalidState(f"The first label of a namespace must not be {_RESERVED_LABEL!r}.")


def _encoded(items: Sequence[PutItem]) -> list[bytes | None]:
    return [None if item.value is None else encode(item.value) for item in items]


def _item(row: ItemRow) -> Item:
    return Item(
        namespace=row.namespace, key=row.key, value=row.value, created_at=row.created_at, updated_at=row.updated_at
    )


def _found(row: ItemRow) -> FoundItem:
    return FoundItem(
        namespace=row.namespace,
        key=row.key,
        value=row.value,
        created_at=row.created_at,
        updated_at=row.updated_at,
        score=row.score,
    )
