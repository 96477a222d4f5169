"""A Postgres for the floors: the library's own saver on it, and the bytes that a workload leaves in its tables."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg import sql

from lgnb.checkpoints.saver import Saver
from lgnb.checkpoints.storage import PostgresStorage
from lgnb.db.database import Database
from lgnb.db.migrate import migrate
from lgnb.testing.servers import private_servers

# What lies in the rows, so that pages half empty count neither for nor against anybody; large values included.
_SIZES = """
SELECT sum(pg_table_size(oid)), sum(pg_indexes_size(oid))
FROM pg_class
WHERE relkind = 'r' AND relname LIKE 'checkpoint%' AND relname <> 'checkpoint_migrations'
"""


@asynccontextmanager
async def database() -> AsyncIterator[str]:
    """The URI of a fresh database on a private Postgres."""
    async with private_servers() as pair:
        name = f"bench_{uuid.uuid4().hex}"
        async with await psycopg.AsyncConnection.connect(pair.postgres_uri, autocommit=True) as connection:
            await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        parts = urlsplit(pair.postgres_uri)
        yield urlunsplit(parts._replace(path=f"/{name}"))


@asynccontextmanager
async def theirs() -> AsyncIterator[Callable[[], AbstractAsyncContextManager[AsyncPostgresSaver]]]:
    """The library's saver, to be made once per run: it has a lock, so that one for all would serve one at a time."""
    async with database() as uri, AsyncPostgresSaver.from_conn_string(uri) as saver:
        await saver.setup()
        yield lambda: AsyncPostgresSaver.from_conn_string(uri)


async def stored_bytes(which: str, work: Callable[[Any], Awaitable[None]]) -> tuple[int, int]:
    """The bytes that `work` leaves in the tables of a saver, and in their indexes: "lgnb" or "AsyncPostgresSaver"."""
    async with database() as uri:
        async with await psycopg.AsyncConnection.connect(uri, autocommit=True) as connection:
            # Bytes are the same however long a commit takes.
            name = sql.Identifier(connection.info.dbname)
            await connection.execute(sql.SQL("ALTER DATABASE {} SET synchronous_commit = off").format(name))
        if which == "lgnb":
            pool = Database(uri, pool_size=4, application_name="bench")
            await pool.open()
            try:
                async with pool.connection() as connection:
                    await migrate(connection)
                await work(Saver(PostgresStorage(pool)))
            finally:
                await pool.close()
        else:
            async with AsyncPostgresSaver.from_conn_string(uri) as saver:
                await saver.setup()
                await work(saver)
        async with await psycopg.AsyncConnection.connect(uri, autocommit=True) as connection:
            await connection.execute("VACUUM")
            cursor = await connection.execute(_SIZES)
            row = await cursor.fetchone()
            assert row is not None
            return int(row[0]), int(row[1])
