"""Fills the threads of a server by SQL: a million of them in seconds, of which each has a customer of its own."""

from __future__ import annotations

import psycopg

from .servers import Server

_INDEXES = """
SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'threads' AND indexname <> 'threads_pkey'
"""

# As old as their number, so that pages by different orders hold different threads.
_FILL = """
INSERT INTO threads (thread_id, metadata, status, "values", state, created_at, updated_at, state_updated_at)
SELECT gen_random_uuid(), jsonb_build_object('customer', n, 'kind', n %% 7, 'graph_id', 'one_node'),
    CASE WHEN n %% 1000 = 0 THEN 'interrupted' ELSE 'idle' END, json_build_object('topic', n), '{"next": []}',
    now() - n * '1 s'::interval, now() - n * '1 s'::interval, now() - n * '1 s'::interval
FROM generate_series(%(first)s::integer, %(last)s::integer) AS n
"""


async def fill(server: Server, count: int) -> bool:
    """See to it that there are so many; False for a server whose tables cannot be reached."""
    if (uri := server.postgres_uri) is None:
        return False
    async with await psycopg.AsyncConnection.connect(uri, autocommit=True) as connection:
        cursor = await connection.execute("SELECT coalesce(max((metadata ->> 'customer')::int), 0) FROM threads")
        row = await cursor.fetchone()
        present = int(row[0]) if row else 0
        if present >= count:
            return True
        # Whole indexes are made sooner than they grow by one entry after the other, and are the same afterwards.
        indexes = await (await connection.execute(_INDEXES)).fetchall()
        async with connection.transaction():
            await connection.execute("SET LOCAL maintenance_work_mem = '512MB'")
            for name, _ in indexes:
                await connection.execute(f'DROP INDEX "{name}"')
            await connection.execute(_FILL, {"first": present + 1, "last": count})
            for _, definition in indexes:
                await connection.execute(definition)
        await connection.execute("VACUUM (ANALYZE) threads")
    return True
