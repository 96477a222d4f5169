"""How Postgres finds threads among many: by an index, whatever is asked for and in whatever order."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from psycopg import sql

from lgnb.db.database import Connection, Database
from lgnb.db.threads import ThreadRepository

# With LGNB_TEST_THREADS=1000000, among a million.
_THREADS = int(os.environ.get("LGNB_TEST_THREADS", "30000"))


class Planned(ThreadRepository):
    """Shows the plan of a composed statement in place of its rows."""

    plan = ""

    @property
    def connection(self) -> Connection:
        return self._connection

    async def _composed(self, row: type[Any], statement: sql.Composed, params: dict[str, Any]) -> list[Any]:
        await self._explain(statement, params)
        return []

    async def _count(self, statement: sql.Composed, params: dict[str, Any]) -> int:
        await self._explain(statement, params)
        return 0

    async def _explain(self, statement: sql.Composed, params: dict[str, Any]) -> None:
        cursor = await self._connection.execute(sql.SQL("EXPLAIN ") + statement, params)
        self.plan = "\n".join([line for (line,) in await cursor.fetchall()])


_NOTHING: dict[str, Any] = {"metadata": {}, "values": {}, "status": None}
_PAGE: dict[str, Any] = {"ids": None, "sort_by": None, "sort_order": None, "limit": 11, "offset": 0}


async def plan(threads: Planned, **asked: Any) -> str:
    await threads.search_page(**{**_NOTHING, **_PAGE, **asked})
    return threads.plan


async def plan_of_count(threads: Planned, **asked: Any) -> str:
    await threads.count(**{**_NOTHING, **asked})
    return threads.plan


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
        "threads_pkey": {"ids": [uuid4()]},
    }

    plans = {index: await plan(threads, **question) for index, question in asked.items()}

    for index, shown in plans.items():
        assert index in shown, shown
        assert "Seq Scan" not in shown, shown


@pytest.mark.parametrize("sort_order", ["asc", "desc"])
async def test_a_page_in_any_order_is_read_off_an_index(threads: Planned, sort_order: str) -> None:
    orders = {
        "updated_at": "threads_by_update",
        "created_at": "threads_by_creation",
        "state_updated_at": "threads_by_state_update",
        "status": "threads_by_status",
        "thread_id": "threads_pkey",
    }

    plans = {index: await plan(threads, sort_by=name, sort_order=sort_order) for name, index in orders.items()}
    plans["threads_by_status"] += await plan(threads, status="idle", sort_by="updated_at", sort_order=sort_order)

    for index, shown in plans.items():
        assert index in shown, shown
        # Not even by groups: a million threads may have been changed at the same time.
        assert "Sort" not in shown, shown


async def test_counts_among_many_threads_use_the_index_of_what_they_count(threads: Planned) -> None:
    asked: dict[str, dict[str, Any]] = {
        "threads_by_metadata": {"metadata": {"customer": 4711}},
        "threads_by_values": {"values": {"topic": 4711}},
        "threads_by_status": {"status": "interrupted"},
    }

    plans = {index: await plan_of_count(threads, **question) for index, question in asked.items()}

    for index, shown in plans.items():
        assert index in shown, shown
        assert "Seq Scan" not in shown, shown


async def test_what_many_threads_have_in_common_is_found_in_the_order_of_the_page(threads: Planned) -> None:
    shown = await plan(threads, metadata={"kind": 3})

    # A seventh of them match: walking the order of the page finds eleven sooner than collecting them all.
    assert "threads_by_update" in shown, shown


async def test_a_search_is_planned_for_what_it_asks_however_often_it_is_repeated(threads: Planned) -> None:
    repository = ThreadRepository(threads.connection)
    common: dict[str, Any] = {**_NOTHING, **_PAGE, "metadata": {"kind": 3}}

    # Postgres thinks of one plan for all values after the fifth time that it has planned a prepared statement.
    for _ in range(20):
        await repository.search_page(**common)
        rows = await repository.search_page(**{**common, "metadata": {"customer": 4711}})

    assert [row.metadata["customer"] for row in rows] == [4711]
    cursor = await threads.connection.execute(
        "SELECT max(custom_plans) > 20, sum(generic_plans) FROM pg_prepared_statements WHERE statement LIKE %s",
        ("%metadata @> %ORDER BY updated_at%",),
    )
    assert await cursor.fetchone() == (True, 0)
