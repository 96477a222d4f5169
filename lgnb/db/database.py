"""The Postgres connection pool of one process, and the translation of its failures into our errors."""

from __future__ import annotations

import asyncio
import select
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import orjson
import psycopg
from psycopg import AsyncConnection
from psycopg.types.json import set_json_dumps, set_json_loads
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from ..errors import DatabaseFull, DatabaseUnavailable
from ..models.vault import NoVault, Vault
from .address import connection_arguments


class Connection(AsyncConnection[Any]):
    """A connection that knows with what values are sealed."""

    vault: Vault = NoVault()


async def _configure(connection: Connection) -> None:
    # Values come from orjson already; both directions skip the standard library's json.
    set_json_dumps(orjson.dumps, connection)
    set_json_loads(orjson.loads, connection)
    await connection.set_autocommit(True)


async def _check(connection: Connection) -> None:
    """Let the pool replace a connection that Postgres has closed.

    Nothing comes over an idle connection, except its end. Only then is Postgres asked, which costs a round trip.
    """
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        await AsyncConnectionPool.check_connection(connection)


class Database:
    """A pool of connections to one Postgres.

    Connections are in autocommit mode: a statement alone is its own transaction; `transaction()` opens a longer one.

    Attributes:
        loop: the event loop on which it was opened, and to which its connections belong.
    """

    def __init__(self, uri: str, *, pool_size: int, application_name: str, vault: Vault | None = None) -> None:
        """`vault` is what the blobs of checkpoints are sealed with; by default nothing."""
        self.loop: asyncio.AbstractEventLoop | None = None
        self.uri = uri
        target, arguments = connection_arguments(uri)
        self.vault = vault or NoVault()
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            target,
            min_size=min(2, pool_size),
            max_size=pool_size,
            open=False,
            timeout=15.0,
            connection_class=Connection,
            configure=self._configure,
            check=_check,
            kwargs={"application_name": application_name, **arguments},
            name=application_name,
        )

    async def _configure(self, connection: Connection) -> None:
        connection.vault = self.vault
        await _configure(connection)

    async def open(self, *, timeout_seconds: float = 30.0) -> None:
        """Connect; raises DatabaseUnavailable when Postgres does not answer in time."""
        self.loop = asyncio.get_running_loop()
        try:
            await self._pool.open(wait=True, timeout=timeout_seconds)
        except (PoolTimeout, psycopg.OperationalError) as error:
            await self._pool.close()
            raise DatabaseUnavailable(
                f"Postgres did not answer within {timeout_seconds:g} s. Check postgres_uri and that the server runs."
            ) from error

    async def close(self) -> None:
        """Close every connection; safe to call twice."""
        await self._pool.close()

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[Connection]:
        """A connection in autocommit mode."""
        try:
            async with self._pool.connection() as connection:
                yield connection
        except psycopg.errors.DiskFull as error:
            raise DatabaseFull("The disk of Postgres is full; make room there and try again.") from error
        except (PoolTimeout, PoolClosed, psycopg.OperationalError, psycopg.InterfaceError) as error:
            if isinstance(error, psycopg.errors.QueryCanceled | psycopg.errors.SerializationFailure):
                raise
            raise DatabaseUnavailable("Postgres does not answer; try again shortly.") from error

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Connection]:
        """A connection inside one transaction, committed at the end of the block."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def pipeline(self, *, transaction: bool = True) -> AsyncGenerator[Connection]:
        """Statements that travel in one round trip, with their commit; their answers are there after the block.

        Without a transaction of its own, what is sent until the end of the block is one all the same.
        """
        async with self.connection() as connection:
            try:
                async with connection.pipeline(), connection.transaction() if transaction else nullcontext():
                    yield connection
            except Exception:
                # It may believe in prepared statements that Postgres never got to; the pool replaces it.
                await connection.close()
                raise

    def pool_stats(self) -> dict[str, int]:
        """Figures of the pool, as psycopg_pool names them."""
        return dict(self._pool.get_stats())
