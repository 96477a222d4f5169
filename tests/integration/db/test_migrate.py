"""The schema is brought up to date once, however often and from however many processes one asks."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from lgnb.db.migrate import migrate, migrations, pending_migrations


@pytest.fixture
def empty_database_uri(postgres_uri: str) -> Iterator[str]:
    name = f"lgnb_empty_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_uri, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield urlunsplit(urlsplit(postgres_uri)._replace(path=f"/{name}"))
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


async def test_an_empty_database_gets_every_migration_and_a_second_time_none(empty_database_uri: str) -> None:
    async with await psycopg.AsyncConnection.connect(empty_database_uri, autocommit=True) as connection:
        names = [name for _, name, _ in migrations()]
        assert await pending_migrations(connection) == names

        assert await migrate(connection) == names

        assert await pending_migrations(connection) == []
        assert await migrate(connection) == []


async def test_processes_that_start_at_once_apply_each_migration_once(empty_database_uri: str) -> None:
    async def start() -> list[str]:
        async with await psycopg.AsyncConnection.connect(empty_database_uri, autocommit=True) as connection:
            return await migrate(connection)

    applied = await asyncio.gather(start(), start(), start())

    assert sorted(name for names in applied for name in names) == [name for _, name, _ in migrations()]


async def test_a_migration_that_fails_leaves_nothing_behind(empty_database_uri: str) -> None:
    async with await psycopg.AsyncConnection.connect(empty_database_uri, autocommit=True) as connection:
        # A table in the way of the first migration.
        await connection.execute("CREATE TABLE runs (something integer)")

        with pytest.raises(psycopg.errors.DuplicateTable):
            await migrate(connection)

        assert await pending_migrations(connection) == [name for _, name, _ in migrations()]
        cursor = await connection.execute("SELECT to_regclass('assistants')")
        assert await cursor.fetchone() == (None,)


def test_migrations_are_numbered_without_a_hole() -> None:
    assert [number for number, _, _ in migrations()] == list(range(1, len(migrations()) + 1))
