"""The store_vectors table, which exists only where a semantic index is configured and Postgres has pgvector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql

from ..models.store import Distance, IndexConfig, ItemQuery, Namespace
from .repository import Repository, where
from .store import ItemRow, StoreRepository, item_conditions, prefix_range

_EXTENSION = "vector"
# Any constant will do, as long as every lgnb process uses the same one.
_PREPARE_LOCK = 0x6C676E63

_OPERATORS: dict[Distance, sql.SQL] = {
    "cosine": sql.SQL("<=>"),
    "l2": sql.SQL("<->"),
    "inner_product": sql.SQL("<#>"),
}
_CLASSES: dict[Distance, str] = {"cosine": "cosine_ops", "l2": "l2_ops", "inner_product": "ip_ops"}
_OLDEST_WITH_ITERATIVE_SCAN = (0, 8)
_MOST_EF_SEARCH = 1000


class VectorRepository(Repository):
    """Vectors of items, by the index configuration of the store."""

    model = StoreRepository.model
    sealed_columns = StoreRepository.sealed_columns

    def __init__(self, connection: Any, config: IndexConfig, *, version: tuple[int, ...]) -> None:
        super().__init__(connection)
        self._config = config
        self._version = version
        self._type = sql.SQL("{}({})").format(sql.Identifier(config.vector_type), sql.Literal(config.dims))

    async def replace(self, namespace: Namespace, key: str, vectors: Sequence[tuple[str, list[float]]]) -> None:
        """Give an item these vectors, by path, and no others."""
        where_item = {"namespace": list(namespace), "key": key}
        await self._connection.execute(
            "DELETE FROM store_vectors WHERE namespace = %(namespace)s::text[] AND key = %(key)s", where_item
        )
        insert = sql.SQL(
            "INSERT INTO store_vectors (namespace, key, path, embedding)\n"
            "VALUES (%(namespace)s::text[], %(key)s, %(path)s, %(embedding)s::{})"
        ).format(self._type)
        for number, (path, vector) in enumerate(vectors):
            await self._connection.execute(
                insert, {**where_item, "path": f"{path}#{number}", "embedding": _text(vector)}
            )

    async def nearest(self, what: ItemQuery, vector: list[float], *, enough: int) -> list[ItemRow]:
        """Matching items by similarity, at most `what.offset + what.limit` of them, best first.

        Looks at the `enough` nearest vectors; `candidates` of each row says how many there were. The caller's
        transaction gets settings for this search.
        """
        conditions, params = item_conditions(what)
        if what.namespace_prefix:
            # Said of the vectors too, so that a small namespace can be read by its own range.
            params["prefix"], params["beyond"] = prefix_range(what.namespace_prefix)
            conditions.append(sql.SQL("v.namespace >= %(prefix)s::text[] AND v.namespace < %(beyond)s::text[]"))
        await self._tune(enough)
        params |= {"vector": _text(vector), "enough": enough, "most": what.offset + what.limit}
        return await self._composed(ItemRow, self.statement(conditions), params)

    def statement(self, conditions: list[sql.Composable]) -> sql.Composed:
        """The search as one statement."""
        distance = sql.SQL("v.embedding {} %(vector)s::{}").format(_OPERATORS[self._config.distance], self._type)
        score = sql.SQL("1 - best.distance" if self._config.distance == "cosine" else "-best.distance")
        return sql.SQL(
            "WITH nearest AS MATERIALIZED (\n"
            "    SELECT i.namespace, i.key, {distance} AS distance\n"
            "    FROM store_vectors v\n"
            "    JOIN store_items i ON i.namespace = v.namespace AND i.key = v.key{conditions}\n"
            "    ORDER BY {distance}\n"
            "    LIMIT %(enough)s\n"
            "), best AS (\n"
            "    SELECT namespace, key, min(distance) AS distance\n"
            "    FROM nearest\n"
            "    GROUP BY namespace, key\n"
            "    ORDER BY min(distance), namespace, key\n"
            "    LIMIT %(most)s\n"
            ")\n"
            "SELECT i.namespace, i.key, i.value, i.created_at, i.updated_at, i.ttl_minutes,\n"
            "    ({score})::double precision AS score, (SELECT count(*) FROM nearest) AS candidates\n"
            "FROM best\n"
            "JOIN store_items i ON i.namespace = best.namespace AND i.key = best.key\n"
            "ORDER BY best.distance, i.namespace, i.key"
        ).format(distance=distance, score=score, conditions=where(conditions))

    async def _tune(self, enough: int) -> None:
        """Let the index go on until enough rows pass the conditions, instead of filtering a fixed number."""
        if self._config.ann == "hnsw":
            await self._set("hnsw.ef_search", str(min(max(enough, 40), _MOST_EF_SEARCH)))
            if self._version >= _OLDEST_WITH_ITERATIVE_SCAN:
                await self._set("hnsw.iterative_scan", "strict_order")
        elif self._config.ann == "ivfflat" and self._version >= _OLDEST_WITH_ITERATIVE_SCAN:
            await self._set("ivfflat.iterative_scan", "relaxed_order")

    async def _set(self, name: str, value: str) -> None:
        await self._connection.execute("SELECT set_config(%s, %s, true)", (name, value))


async def prepare_vectors(connection: Any, config: IndexConfig) -> tuple[tuple[int, ...], str | None]:
    """Make extension, table and index where they are missing.

    Returns the version of pgvector and None, or why there can be no semantic search here.
    """
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_PREPARE_LOCK,))
        version, problem = await _extension(connection)
        if problem:
            return version, problem
        await connection.execute(
            sql.SQL(
                'CREATE TABLE IF NOT EXISTS store_vectors (namespace text[] COLLATE "C" NOT NULL, '
                'key text COLLATE "C" NOT NULL, path text NOT NULL, embedding {}({}) NOT NULL, '
                "PRIMARY KEY (namespace, key, path), "
                "FOREIGN KEY (namespace, key) REFERENCES store_items ON DELETE CASCADE)"
            ).format(sql.Identifier(config.vector_type), sql.Literal(config.dims))
        )
        cursor = await connection.execute(
            "SELECT format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = 'store_vectors'::regclass AND attname = 'embedding'"
        )
        found = (await cursor.fetchone())[0]
        wanted = f"{config.vector_type}({config.dims})"
        if found != wanted:
            return version, (
                f"the items are embedded as {found}, but store.index now says {wanted}. "
                "To begin again: DROP TABLE store_vectors; then restart and put the items anew."
            )
        await _make_index(connection, config)
        return version, None


async def _extension(connection: Any) -> tuple[tuple[int, ...], str | None]:
    cursor = await connection.execute(
        "SELECT installed_version, default_version FROM pg_available_extensions WHERE name = %s", (_EXTENSION,)
    )
    row = await cursor.fetchone()
    if row is None:
        return (), "this Postgres has no pgvector; install the extension on its server."
    if row[0] is None:
        try:
            async with connection.transaction():
                await connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        except psycopg.errors.InsufficientPrivilege:
            return (), "this database user may not install pgvector; let an owner run: CREATE EXTENSION vector;"
    return tuple(int(part) for part in (row[0] or row[1]).split(".") if part.isdigit()), None


async def _make_index(connection: Any, config: IndexConfig) -> None:
    wanted = f"store_vectors_{config.ann}_{config.distance}"
    cursor = await connection.execute(
        "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema() AND tablename = 'store_vectors' "
        "AND indexname <> 'store_vectors_pkey'"
    )
    present = {name for (name,) in await cursor.fetchall()}
    for name in present - {wanted}:
        await connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
    if config.ann != "flat" and wanted not in present:
        await connection.execute(
            sql.SQL("CREATE INDEX {} ON store_vectors USING {} (embedding {})").format(
                sql.Identifier(wanted),
                sql.Identifier(config.ann),
                sql.Identifier(f"{config.vector_type}_{_CLASSES[config.distance]}"),
            )
        )


def _text(vector: Sequence[float]) -> str:
    return "[" + ",".join(repr(float(number)) for number in vector) + "]"
