"""How Postgres finds threads among many: by an index, whatever is asked for."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from psycopg import sql

from lgnb.db.database import Database
from lgnb.db.threads import ThreadRepository

# With LGNB_TEST_THREADS=1000000, among a million.
_THREADS = int(os.environ.get("LGNB_TEST_THREADS", "30000"))


class Planned(ThreadRepository):
    """Shows the plan of a composed statement in place of its rows."""

    async def _composed(self, row: type[Any], statement: sql.Composed, params: dict[str, Any]) -> list[Any]:
        cursor = await self._connection.execute(sql.SQL("EXPLAIN ") + statement, params)
        return [line for (line,) in await cursor.fetchall()]


async def plan(threads: Planned, **asked: Any) -> str:
    nothing = {"ids": None, "metadata": {}, "values": {}, "status": None, "sort_by": None, "sort_order": None}
    return "\n".join(map(str, await threads.search_page(**{**nothing, "limit": 11, "offset": 0, **asked})))


@pytest.fixture
async def threads(database_uri: str) -> AsyncIterator[Planned]:
    database = Database(database_uri, pool_size=2, application_name="plan-tests")
    await database.open()
    async with database.connection() as connection:
        await connection.execute(
            """
            INSERT INTO threads (thread_id, metadata, status, "values", updated_at, created_at)
            SELECT gen_random_uuid(), jsonb_build_object('customer', n, 'kind', n %% 7),
                CASE WHEN n %% 100 = 0 THEN 'interrupted' ELSE 'idle' END, json_build_object('topic', n),
                now() - n * '1 s'::interval, now() - n * '1 s'::interval
            FROM generate_series(1, %s) AS n
            """,
            (_THREADS,),
        )
        await connection.execute("ANALYZE threads")
        yield Planned(connection)
    await database.close()


async def test_searches_among_many_threads_use_the_index_of_what_they_ask_for(threads: Planned) -> None:
    asked: dict[str, dict[str, Any]] = {
        "threads_by_metadata": {"metadata": {"customer": 4711}},
        "threads_by_values": {"values": {"topic": 4711}},
        "threads_by_status": {"status": "interrupted"},
        "threads_by_update": {},
        "threads_by_creation": {"sort_by": "created_at"},
        "threads_pkey": {"ids": [uuid4()]},
    }

    plans = {index: await plan(threads, **question) for index, question in asked.items()}

    for index, shown in plans.items():
        assert index in shown, shown
        assert "Seq Scan" not in shown, shown


async def test_what_many_threads_have_in_common_is_found_in_the_order_of_the_page(threads: Planned) -> None:
    shown = await plan(threads, metadata={"kind": 3})

    # A seventh of them match: walking the order of the page finds eleven sooner than collecting them all.
    assert "threads_by_update" in shown, shown
