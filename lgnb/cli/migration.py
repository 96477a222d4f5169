"""`lgnb migrate`: the schema brought up to date before new hosts start."""

from __future__ import annotations

from contextlib import AsyncExitStack

from .. import embedded
from ..db.database import Database
from ..db.migrate import migrate
from ..settings import Settings


async def migrate_database(settings: Settings) -> list[str]:
    """Apply every missing migration and return their names.

    Raises:
        DatabaseUnavailable: Postgres does not answer.
        EmbeddedError: no Postgres was named and the embedded one does not start.
    """
    async with AsyncExitStack() as stack:
        uri = settings.postgres_uri
        if not uri:
            pair = await embedded.acquire(settings.data_dir)
            stack.push_async_callback(pair.release)
            uri = pair.postgres_uri
        database = Database(uri, pool_size=2, application_name="lgnb-migrate")
        await database.open()
        stack.push_async_callback(database.close)
        async with database.connection() as connection:
            return await migrate(connection)
